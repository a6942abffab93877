//! TURN over TCP and TLS, for a stack that has it over UDP only.
//!
//! The stack is told of such a server at a stand-in address that is nobody's; all its datagrams go through our sockets
//! ([`super::runtime`]), and those to a stand-in are carried over a connection to the server instead (RFC 8656
//! section 12.5), as are the answers back. No socket is opened for it on this machine that another program could write
//! to, and the relayed candidates are the server's, as over UDP.
//!
//! Each socket of the stack has its own connection to a server: a TURN server tells allocations apart by it.
//!
//! A connection that ends is not made again: its allocation has ended with it (RFC 8656 section 3.1), and a new one has
//! another address, which only an ICE restart of the far end could use. Sending into an ended one is an error, which
//! has the stack drop its relay; ICE goes on with what other pairs there are, and fails if there is none.

mod framing;
mod link;
mod stun;

use super::url::{Carrier, IceUrl, Service};
use super::{PeerConfig, sdp};
use bytes::Bytes;
use rustls::ClientConfig;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use stun::Allocation;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use webrtc::peer_connection::RTCIceServer;

/// Messages on their way to a server, half a second of sound. More are dropped, as UDP would: late sound is no use.
const OUTBOUND: usize = 32;
/// Messages that came and wait for the stack, over all connections of a socket; more are dropped.
const INBOUND: usize = 128;
/// Requests remembered so as not to send them twice. The stack has a handful open at a time.
const REQUESTS_REMEMBERED: usize = 32;
/// Stand-ins: the IPv4 dummy address (RFC 7600 section 8), and one in IPv6's discard-only block (RFC 6666). Neither is
/// ever routed, so nothing leaks should a datagram go astray.
const STAND_IN_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));
const STAND_IN_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8));
/// Local preference (RFC 8445 section 5.1.2.1) of candidates relayed over TCP and over TLS; over UDP it is 65535.
const TCP_PREFERENCE: u32 = 0x7fff;
const TLS_PREFERENCE: u32 = 0x3fff;

/// The servers of one peer: what the stack is told of them, the connections, and how the allocations went.
pub(super) struct Bridges {
    for_stack: Vec<RTCIceServer>,
    /// Those behind a stand-in; its port is the index plus one.
    servers: Vec<Server>,
    stand_in: IpAddr,
    /// TURN servers the stack reaches itself.
    over_udp: Vec<String>,
    tls: Option<Arc<ClientConfig>>,
    outcomes: Mutex<Outcomes>,
    relayed: AtomicBool,
}

#[derive(Clone, Debug)]
struct Server {
    url: String,
    at: IceUrl,
}

#[derive(Default)]
struct Outcomes {
    /// Relayed addresses and how their server is reached.
    carriers: HashMap<SocketAddr, Carrier>,
    /// What is wrong with the server at an address.
    trouble: BTreeMap<SocketAddr, String>,
}

impl Bridges {
    /// For the servers of `config`; `ipv4` says whether the stack has an IPv4 socket, which is what makes it ask a
    /// server with an IPv4 address.
    pub(super) fn new(config: &PeerConfig, ipv4: bool) -> Arc<Self> {
        let stand_in = if ipv4 { STAND_IN_V4 } else { STAND_IN_V6 };
        let (mut for_stack, mut servers, mut over_udp) = (Vec::new(), Vec::new(), Vec::new());
        for server in &config.ice_servers {
            let url = match IceUrl::parse(&server.url) {
                Some(at) if at.carrier == Carrier::Udp => {
                    if at.service == Service::Turn {
                        over_udp.push(server.url.clone());
                    }
                    server.url.clone()
                }
                Some(at)
                    if at.service == Service::Turn
                        && matches!(at.carrier, Carrier::Tcp | Carrier::Tls) =>
                {
                    servers.push(Server {
                        url: server.url.clone(),
                        at,
                    });
                    format!("turn:{}", SocketAddr::new(stand_in, servers.len() as u16))
                }
                // What STUN says about a TCP connection is of no use to UDP candidates.
                Some(_) => {
                    debug!(url = %server.url, "ICE server left out: it is of no use for audio over UDP");
                    continue;
                }
                None => {
                    warn!(url = %server.url, "ICE server left out: its address cannot be read");
                    continue;
                }
            };
            for_stack.push(RTCIceServer {
                urls: vec![url],
                username: server.username.clone(),
                credential: server.credential.expose().to_owned(),
            });
        }
        Arc::new(Self {
            for_stack,
            servers,
            stand_in,
            over_udp,
            tls: config.tls.clone(),
            outcomes: Mutex::default(),
            relayed: AtomicBool::new(false),
        })
    }

    /// The servers as the stack is to know them.
    pub(super) fn for_stack(&self) -> Vec<RTCIceServer> {
        self.for_stack.clone()
    }

    /// Looks at a datagram of the server at `from` for the outcome of an allocation.
    pub(super) fn observe(&self, from: SocketAddr, datagram: &[u8]) {
        match stun::allocation(datagram) {
            Some(Allocation::Made(relayed)) => {
                let carrier = self
                    .server(from)
                    .map_or(Carrier::Udp, |server| server.at.carrier);
                let mut outcomes = self.outcomes();
                outcomes.trouble.remove(&from);
                outcomes.carriers.insert(relayed, carrier);
            }
            // 401 is the usual challenge too; then the success that follows takes it back.
            Some(Allocation::Refused(401, reason)) => {
                self.note(
                    from,
                    format!("it refuses the user name or the password (401 {reason})"),
                );
            }
            Some(Allocation::Refused(code, reason)) => {
                self.note(from, format!("it refuses to relay ({code} {reason})"));
            }
            None => {}
        }
    }

    /// The priority to tell of a relayed candidate: the stack's own, less if a stream lies between.
    pub(super) fn priority(&self, candidate: &sdp::Candidate) -> u32 {
        let at = SocketAddr::new(candidate.address, candidate.port);
        // Type preference 0 and component 1 (RFC 8445 section 5.1.2.1).
        let of_stream = |preference: u32| (preference << 8) | 255;
        match self.outcomes().carriers.get(&at) {
            Some(Carrier::Tcp) => of_stream(TCP_PREFERENCE),
            Some(Carrier::Tls) => of_stream(TLS_PREFERENCE),
            _ => candidate.priority,
        }
    }

    /// Whether there is a TURN server at all.
    pub(super) fn can_relay(&self) -> bool {
        !self.servers.is_empty() || !self.over_udp.is_empty()
    }

    /// A relayed candidate was told to the far end.
    pub(super) fn set_relayed(&self) {
        self.relayed.store(true, Ordering::Relaxed);
    }

    /// Whether there is a relayed candidate.
    pub(super) fn relayed(&self) -> bool {
        self.relayed.load(Ordering::Relaxed)
    }

    /// Why there is none, server by server.
    pub(super) fn trouble(&self) -> String {
        let outcomes = self.outcomes();
        let mut found: Vec<String> = outcomes
            .trouble
            .iter()
            .map(|(at, why)| match self.server(*at) {
                Some(server) => format!("{}: {why}", server.url),
                None => format!("turn:{at}: {why}"),
            })
            .collect();
        let known = |index: usize| outcomes.trouble.contains_key(&self.stand_in(index));
        let silent = self
            .servers
            .iter()
            .enumerate()
            .filter(|(index, _)| !known(*index))
            .map(|(_, server)| &server.url);
        let no_word_by_udp = outcomes.trouble.keys().all(|at| self.server(*at).is_some());
        let silent_udp = self.over_udp.iter().filter(|_| no_word_by_udp);
        found.extend(
            silent
                .chain(silent_udp)
                .map(|url| format!("{url}: it does not answer")),
        );
        if found.is_empty() {
            return "none is offered".to_owned();
        }
        found.join("; ")
    }

    fn stand_in(&self, index: usize) -> SocketAddr {
        SocketAddr::new(self.stand_in, index as u16 + 1)
    }

    /// The server behind the stand-in `at`.
    fn server(&self, at: SocketAddr) -> Option<&Server> {
        let index = usize::from(at.port()).checked_sub(1)?;
        (at.ip() == self.stand_in)
            .then(|| self.servers.get(index))
            .flatten()
    }

    fn note(&self, at: SocketAddr, why: String) {
        self.outcomes().trouble.insert(at, why);
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        // Nothing in here panics while it holds the lock.
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections of one of the stack's sockets. They end when it is dropped, having sent what was given to them.
pub(super) struct SocketBridge {
    bridges: Arc<Bridges>,
    links: Mutex<HashMap<SocketAddr, Link>>,
    came: Mutex<mpsc::Receiver<(SocketAddr, Bytes)>>,
    coming: mpsc::Sender<(SocketAddr, Bytes)>,
}

struct Link {
    outbound: mpsc::Sender<Bytes>,
    /// Requests sent. The stack repeats them until they are answered, which a stream does itself (RFC 8489
    /// section 6.2.2).
    requests: VecDeque<[u8; 12]>,
}

impl SocketBridge {
    pub(super) fn new(bridges: Arc<Bridges>) -> Self {
        let (coming, came) = mpsc::channel(INBOUND);
        Self {
            bridges,
            links: Mutex::default(),
            came: Mutex::new(came),
            coming,
        }
    }

    /// Takes a datagram to `to`; `None` if that is no stand-in.
    ///
    /// # Errors
    /// The connection has ended or could not be made.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) -> Option<io::Result<()>> {
        let server = self.bridges.server(to)?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links
            .entry(to)
            .or_insert_with(|| self.open(to, server.clone()));
        Some(link.send(datagram))
    }

    /// The next message of a server, copied to `buffer`: whose and how long.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(SocketAddr, usize)> {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // `None` is not possible: we have a sender of it ourselves.
            let Poll::Ready(Some((from, message))) = came.poll_recv(cx) else {
                return Poll::Pending;
            };
            if let Some(buffer) = buffer.get_mut(..message.len()) {
                buffer.copy_from_slice(&message);
                return Poll::Ready((from, message.len()));
            }
        }
    }

    /// The outcome of allocations is to be seen in every datagram.
    pub(super) fn observe(&self, from: SocketAddr, datagram: &[u8]) {
        self.bridges.observe(from, datagram);
    }

    fn open(&self, stand_in: SocketAddr, server: Server) -> Link {
        let (outbound, queue) = mpsc::channel(OUTBOUND);
        let (coming, bridges) = (self.coming.clone(), Arc::clone(&self.bridges));
        tokio::spawn(async move {
            let tls = bridges.tls.clone();
            let inbound = |message| {
                if coming.try_send((stand_in, message)).is_err() {
                    debug!("a message of a TURN server was dropped: the stack does not take them");
                }
            };
            match link::run(&server.at, tls, queue, inbound).await {
                Ok(()) => debug!(url = %server.url, "the connection to the TURN server is closed"),
                Err(error) => {
                    warn!(url = %server.url, %error, "the TURN server cannot be used");
                    bridges.note(stand_in, error.to_string());
                }
            }
        });
        info!(stand_in = stand_in.port(), "connecting to a TURN server");
        Link {
            outbound,
            requests: VecDeque::with_capacity(REQUESTS_REMEMBERED),
        }
    }
}

impl Link {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if self.outbound.is_closed() {
            return Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the connection to the TURN server has ended",
            ));
        }
        let request = stun::request(datagram);
        if request.is_some_and(|request| self.requests.contains(&request)) {
            return Ok(());
        }
        // Full is a loss, as on any network; a request that was lost may be repeated.
        let is_sent = self
            .outbound
            .try_send(Bytes::copy_from_slice(datagram))
            .is_ok();
        if let Some(request) = request.filter(|_| is_sent) {
            if self.requests.len() == REQUESTS_REMEMBERED {
                self.requests.pop_front();
            }
            self.requests.push_back(request);
        }
        Ok(())
    }
}

/// What a server sends on a stream, for the fuzz target: the messages in it, and what each says of an allocation.
pub(crate) fn fuzz(data: &[u8]) {
    let mut stream = bytes::BytesMut::from(data);
    while let Ok(Some(message)) = framing::next(&mut stream) {
        let _ = (stun::allocation(&message), stun::request(&message));
        let mut again = Vec::new();
        framing::put(&message, &mut again);
        assert_eq!(again.get(..message.len()), Some(&message[..]));
    }
}

#[cfg(test)]
mod tests;
