//! Keep-alive (genesys-protocol 3.5). Pure.

use std::time::{Duration, Instant};

/// From the last pong, or the end of a missed one, to the next ping.
const PERIOD: Duration = Duration::from_secs(14);
/// The second miss in a row drops the connection.
const MAX_MISSES: u32 = 2;
/// With server pings a connection on which nothing at all comes in for so long is dead.
const MAX_SILENCE: Duration = Duration::from_secs(35);

/// When to ping, and when the connection is dead.
#[derive(Debug, Default)]
pub(crate) struct Ping {
    mode: Mode,
    misses: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Stopped,
    /// We ping next at this time.
    Client(Instant),
    /// A pong is awaited.
    Awaiting,
    /// The server pings; by this time something must have come in.
    Server(Instant),
}

impl Ping {
    /// A connection came up: the client pings.
    pub(crate) fn start(&mut self, now: Instant) {
        *self = Self {
            mode: Mode::Client(now + PERIOD),
            misses: 0,
        };
    }

    /// The server has taken over: it pings, we only watch.
    pub(crate) fn watch(&mut self, now: Instant) {
        if self.mode != Mode::Stopped {
            self.mode = Mode::Server(now + MAX_SILENCE);
        }
    }

    /// No more pings on this connection.
    pub(crate) fn stop(&mut self) {
        self.mode = Mode::Stopped;
    }

    /// Something came in, whatever it is.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Mode::Server(deadline) = &mut self.mode {
            *deadline = now + MAX_SILENCE;
        }
    }

    /// Whether a ping is to be sent now.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let due = matches!(self.mode, Mode::Client(next) if next <= now);
        if due {
            self.mode = Mode::Awaiting;
        }
        due
    }

    /// Whether the server has been silent for too long.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        matches!(self.mode, Mode::Server(deadline) if deadline <= now)
    }

    /// Any answer to a ping proves that the server lives, an error too.
    pub(crate) fn pong(&mut self, now: Instant) {
        self.misses = 0;
        self.schedule(now);
    }

    /// No answer in time. Whether the connection is to be dropped.
    pub(crate) fn missed(&mut self, now: Instant) -> bool {
        self.misses += 1;
        let counts = self.mode == Mode::Awaiting;
        self.schedule(now);
        counts && self.misses >= MAX_MISSES
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self.mode {
            Mode::Client(at) | Mode::Server(at) => Some(at),
            Mode::Stopped | Mode::Awaiting => None,
        }
    }

    fn schedule(&mut self, now: Instant) {
        if self.mode == Mode::Awaiting {
            self.mode = Mode::Client(now + PERIOD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ping;
    use std::time::{Duration, Instant};

    #[test]
    fn the_times_seen_with_the_real_client_and_a_mute_server() {
        let t0 = Instant::now();
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut ping = Ping::default();
        ping.start(t0);
        assert_eq!(ping.next_timeout(), Some(at(14)));
        assert!(!ping.due(at(13)));
        assert!(ping.due(at(14)));
        assert_eq!(ping.next_timeout(), None, "one ping at a time");
        assert!(!ping.missed(at(29)));
        assert_eq!(ping.next_timeout(), Some(at(43)));
        assert!(ping.due(at(43)));
        assert!(ping.missed(at(58)), "dropped 58 s after connecting");
    }

    #[test]
    fn a_pong_forgives_a_miss() {
        let t0 = Instant::now();
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut ping = Ping::default();
        ping.start(t0);
        assert!(ping.due(at(14)) && !ping.missed(at(29)));
        assert!(ping.due(at(43)));
        ping.pong(at(44));
        assert_eq!(ping.next_timeout(), Some(at(58)));
        assert!(ping.due(at(58)) && !ping.missed(at(73)));
    }

    #[test]
    fn a_stopped_ping_stays_silent_and_drops_nothing() {
        let t0 = Instant::now();
        let mut ping = Ping::default();
        ping.start(t0);
        assert!(ping.due(t0 + Duration::from_secs(14)));
        ping.stop();
        assert!(!ping.missed(t0) && !ping.missed(t0));
        assert_eq!(ping.next_timeout(), None);
    }

    #[test]
    fn with_server_pings_35_seconds_of_silence_are_the_end() {
        let t0 = Instant::now();
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut ping = Ping::default();
        ping.start(t0);
        ping.watch(at(1));
        assert_eq!(ping.next_timeout(), Some(at(36)));
        assert!(!ping.due(at(20)), "the client is silent");
        ping.heard(at(30));
        assert!(!ping.is_silent(at(64)));
        assert!(ping.is_silent(at(65)));
        // A ping of ours that was on its way says nothing any more.
        assert!(!ping.missed(at(65)) && !ping.missed(at(65)));
        ping.stop();
        assert!(!ping.is_silent(at(100)));
        ping.watch(at(100));
        assert_eq!(ping.next_timeout(), None, "a stopped one stays so");
    }

    #[test]
    fn what_comes_in_is_no_pong() {
        let t0 = Instant::now();
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut ping = Ping::default();
        ping.start(t0);
        ping.heard(at(10));
        assert_eq!(ping.next_timeout(), Some(at(14)));
        assert!(!ping.is_silent(at(1000)));
    }
}
