//! The way out: frames of the audio thread and key tones become RTP packets.

mod packetizer;

use super::dtmf::{Digit, EventPacket, Keys, STEP, Tick};
use super::line::Line;
use super::{Negotiated, PeerEvent};
use crate::audio::EncodedFrame;
pub(super) use packetizer::Packetizer;
use rtc::rtp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::debug;
use webrtc::media_stream::track_local::TrackLocal;

/// How often the queue is looked at around the time a frame is due. The audio thread may not make a system call and
/// so cannot wake us; the mean delay this adds is half of it, and a frame comes every 10 to 60 ms.
const POLL: Duration = Duration::from_millis(2);
/// How often when no frame came for long, or none may be sent: only to throw away what is there.
const IDLE_POLL: Duration = Duration::from_millis(20);
/// No frame for this long: look less often.
const IDLE_AFTER: Duration = Duration::from_millis(200);
/// Frames sent at once at most. More have piled up only if this task was kept from running; the older ones would
/// but fill the far end's jitter buffer.
const BURST: usize = 5;

/// What the peer tells the sender.
pub(super) enum SenderCommand {
    /// An answer was made.
    Negotiated(Negotiated),
    /// RTP can leave, or cannot any more.
    Connected(bool),
    /// Send keys.
    Keys(Vec<Digit>),
}

/// Sends until the port is given back or the peer is gone.
pub(super) async fn run(
    track: Arc<dyn TrackLocal>,
    packetizer: Packetizer,
    line: Arc<Line>,
    mut commands: mpsc::UnboundedReceiver<SenderCommand>,
) {
    let mut sender = Sender::new(packetizer, Instant::now());
    let mut frames = Vec::new();
    loop {
        let wake = tokio::time::Instant::from_std(sender.next_wake());
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => sender.command(command, Instant::now()),
                None => return,
            },
            () = tokio::time::sleep_until(wake) => {}
        }
        let now = Instant::now();
        if sender.looks_at(now) && !line.frames(&mut frames) {
            return;
        }
        sender.advance(now, &mut frames);
        for _ in 0..std::mem::take(&mut sender.keys_done) {
            line.emit(PeerEvent::DtmfSent);
        }
        for packet in sender.out.drain(..) {
            if let Err(error) = track.write_rtp(packet).await {
                debug!(%error, "the stack takes no RTP any more");
                return;
            }
        }
    }
}

/// What to send when, without the sending.
struct Sender {
    packetizer: Packetizer,
    connected: bool,
    keys: Keys,
    next_key: Option<Instant>,
    next_look: Instant,
    last_frame: Instant,
    /// Packets to send.
    out: Vec<rtp::Packet>,
    /// `Keys` commands that are done with.
    keys_done: usize,
}

impl Sender {
    fn new(packetizer: Packetizer, now: Instant) -> Self {
        Self {
            packetizer,
            connected: false,
            keys: Keys::default(),
            next_key: None,
            next_look: now,
            last_frame: now,
            out: Vec::new(),
            keys_done: 0,
        }
    }

    fn next_wake(&self) -> Instant {
        self.next_key
            .map_or(self.next_look, |key| key.min(self.next_look))
    }

    fn looks_at(&self, now: Instant) -> bool {
        self.next_look <= now
    }

    fn command(&mut self, command: SenderCommand, now: Instant) {
        match command {
            SenderCommand::Negotiated(negotiated) => self.packetizer.negotiated(negotiated),
            SenderCommand::Connected(connected) => {
                self.connected = connected;
                // Look at once: frames from before must not be the first to go out.
                self.next_look = now;
            }
            SenderCommand::Keys(digits) => {
                self.keys.push(&digits);
                self.next_key.get_or_insert(now);
            }
        }
    }

    /// Does what is due at `now`; `frames` came since, and are taken.
    fn advance(&mut self, now: Instant, frames: &mut Vec<EncodedFrame>) {
        let open = self.connected && self.packetizer.sending();
        if !open {
            // A call that was put on hold or cut off has no use for the rest of its keys.
            self.keys_done += self.keys.clear();
            self.next_key = None;
        }
        while let Some(due) = self.next_key.filter(|due| *due <= now) {
            self.next_key = self.key(now, due);
        }
        if !self.looks_at(now) {
            return;
        }
        let came = !frames.is_empty();
        let stale = frames.len().saturating_sub(BURST);
        for (index, frame) in frames.drain(..).enumerate() {
            if open && index >= stale && !self.keys.sounding() && !frame.payload.is_empty() {
                self.out.extend(self.packetizer.audio(&frame, now));
            } else {
                self.packetizer.skip(&frame, now);
            }
        }
        if came {
            self.last_frame = now;
        }
        self.next_look = now
            + if !open || now - self.last_frame > IDLE_AFTER {
                IDLE_POLL
            } else if came {
                // The next frame is due one frame from now; be there a little before.
                self.packetizer.frame_length().saturating_sub(POLL)
            } else {
                POLL
            };
    }

    /// The next packet of the keys; returns when the one after it is due.
    fn key(&mut self, now: Instant, due: Instant) -> Option<Instant> {
        match self.keys.tick(self.packetizer.clock_rate()) {
            Tick::Packet(EventPacket { payload, marker }) => {
                match self.packetizer.key(payload, marker, now) {
                    Some(packet) => self.out.push(packet),
                    // A re-offer took telephone-event away.
                    None => self.keys_done += self.keys.clear(),
                }
                // Counted from when it was due, so that delays do not add up; but never a burst.
                Some((due + STEP).max(now + STEP / 2))
            }
            Tick::Wait(time) => Some(now + time),
            Tick::Sent => {
                self.keys_done += 1;
                Some(now)
            }
            Tick::Idle => None,
        }
    }
}

#[cfg(test)]
mod tests;
