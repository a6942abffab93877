//! Tokio as the stack sees it, with four things changed: no wait while connecting is longer than it must be, names
//! are looked up ahead of time, the far end's goodbye is noticed, and what goes to a TURN server behind TCP or TLS is
//! carried there ([`super::turn`]).

use super::turn::{Bridges, SocketBridge};
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit,
};

/// Longest sleep of the stack's loop while connecting. The stack sends the first message of the DTLS handshake only
/// when its loop next wakes on a timer, which may be the interval of the ICE checks after ICE is up; that wait was
/// most of the time a call took to connect.
const HASTE: Duration = Duration::from_millis(5);

/// The stack's runtime for one peer.
pub(super) struct PhoneRuntime {
    tokio: TokioRuntime,
    signals: Arc<Signals>,
    bridges: Arc<Bridges>,
}

/// What a peer and its runtime tell each other.
pub(super) struct Signals {
    /// Connecting: do not sleep long.
    hasty: AtomicBool,
    /// A DTLS alert came after the handshake: the far end may have closed.
    alert: Notify,
    /// All candidates there will be are known.
    gathered: Notify,
}

impl Signals {
    pub(super) fn set_hasty(&self, hasty: bool) {
        self.hasty.store(hasty, Ordering::Relaxed);
    }

    pub(super) fn set_gathered(&self) {
        self.gathered.notify_one();
    }

    /// Resolves when the stack has gathered its candidates.
    pub(super) async fn gathered(&self) {
        self.gathered.notified().await;
    }

    /// Resolves when the far end has sent an alert.
    pub(super) async fn alert(&self) {
        self.alert.notified().await;
    }
}

impl PhoneRuntime {
    pub(super) fn new(bridges: Arc<Bridges>) -> (Arc<Self>, Arc<Signals>) {
        let signals = Arc::new(Signals {
            hasty: AtomicBool::new(true),
            alert: Notify::new(),
            gathered: Notify::new(),
        });
        (
            Arc::new(Self {
                tokio: TokioRuntime,
                signals: signals.clone(),
                bridges,
            }),
            signals,
        )
    }
}

impl fmt::Debug for PhoneRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneRuntime")
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for PhoneRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.tokio.wrap_udp_socket(socket)?;
        Ok(Arc::new(PhoneSocket {
            socket,
            signals: self.signals.clone(),
            bridge: SocketBridge::new(Arc::clone(&self.bridges)),
        }))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp(&self, remote: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.tokio.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(super::names::lookup(host))
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        let hasty = self.signals.hasty.load(Ordering::Relaxed);
        self.tokio
            .sleep(if hasty { duration.min(HASTE) } else { duration })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "offhook"
    }
}

/// A socket, and the connections to TURN servers that the stack takes for a part of it.
///
/// Inbound DTLS alerts are noticed: the stack answers a close_notify but reports it to nobody; the peer asks for the
/// DTLS state when told that one may have come.
struct PhoneSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    signals: Arc<Signals>,
    bridge: SocketBridge,
}

impl PhoneSocket {
    fn look_at(&self, from: SocketAddr, datagrams: &[u8], stride: usize) {
        for datagram in datagrams.chunks(stride.max(1)) {
            self.bridge.observe(from, datagram);
            if is_encrypted_alert(datagram) {
                self.signals.alert.notify_one();
            }
        }
    }
}

impl fmt::Debug for PhoneSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl AsyncUdpSocket for PhoneSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let datagrams = transmit.contents;
        let stride = transmit.segment_size.unwrap_or(datagrams.len()).max(1);
        for datagram in datagrams.chunks(stride) {
            match self.bridge.send(transmit.destination, datagram) {
                Some(sent) => sent?,
                None => return self.socket.poll_send(cx, transmit),
            }
        }
        Poll::Ready(Ok(datagrams.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket.poll_recv(cx, buffers, meta);
        if let Poll::Ready(Ok(count)) = &polled {
            for (buffer, meta) in buffers.iter().zip(meta.iter()).take(*count) {
                let datagrams = buffer.get(..meta.len).unwrap_or_default();
                self.look_at(meta.addr, datagrams, meta.stride);
            }
        }
        if polled.is_ready() {
            return polled;
        }
        let ([buffer, ..], [meta, ..]) = (buffers, meta) else {
            return Poll::Pending;
        };
        let Poll::Ready((from, length)) = self.bridge.poll_recv(cx, buffer) else {
            return Poll::Pending;
        };
        self.look_at(from, buffer.get(..length).unwrap_or_default(), length);
        *meta = RecvMeta::default();
        meta.addr = from;
        meta.len = length;
        meta.stride = length.max(1);
        Poll::Ready(Ok(1))
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

/// A DTLS record of type alert (21) in an epoch after the handshake's (RFC 6347 section 4.1), be it plain or in a
/// TURN ChannelData message, whose header is 4 bytes and begins with 01 in binary (RFC 8656 section 12.4).
fn is_encrypted_alert(datagram: &[u8]) -> bool {
    let record = match datagram.first() {
        Some(0x40..=0x4f) => datagram.get(4..).unwrap_or_default(),
        _ => datagram,
    };
    matches!(record, [21, 0xfe, _, epoch_high, epoch_low, ..] if (*epoch_high, *epoch_low) != (0, 0))
}

#[cfg(test)]
mod tests {
    use super::is_encrypted_alert;

    #[test]
    fn alerts_after_the_handshake_are_seen() {
        let check = |datagram: &[u8], expected| {
            assert_eq!(is_encrypted_alert(datagram), expected, "{datagram:?}");
        };
        check(&[21, 0xfe, 0xfd, 0, 1, 0, 0], true);
        check(&[21, 0xfe, 0xfd, 0, 0, 0, 0], false); // during the handshake
        check(&[23, 0xfe, 0xfd, 0, 1, 0, 0], false);
        check(&[0x40, 0, 0, 20, 21, 0xfe, 0xfd, 0, 1, 0], true);
        check(&[0x80, 111, 0, 1], false); // RTP
        check(&[0x40], false);
        check(&[], false);
    }
}
