//! Keep-alive by client pings (genesys-protocol 3.5). Pure.

use std::time::{Duration, Instant};

/// From the last pong, or the end of a missed one, to the next ping.
const PERIOD: Duration = Duration::from_secs(14);
/// The second miss in a row drops the connection.
const MAX_MISSES: u32 = 2;

/// When to ping, and when the connection is dead.
#[derive(Debug, Default)]
pub(crate) struct Ping {
    /// `None` while a pong is awaited, and when stopped.
    next: Option<Instant>,
    misses: u32,
    stopped: bool,
}

impl Ping {
    /// A connection came up.
    pub(crate) fn start(&mut self, now: Instant) {
        *self = Self {
            next: Some(now + PERIOD),
            ..Self::default()
        };
    }

    /// No more pings on this connection.
    pub(crate) fn stop(&mut self) {
        self.next = None;
        self.stopped = true;
    }

    /// Whether a ping is to be sent now.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = None;
        }
        due
    }

    /// Any answer to a ping proves that the server lives, an error too.
    pub(crate) fn pong(&mut self, now: Instant) {
        self.misses = 0;
        self.schedule(now);
    }

    /// No answer in time. Whether the connection is to be dropped.
    pub(crate) fn missed(&mut self, now: Instant) -> bool {
        self.misses += 1;
        self.schedule(now);
        self.misses >= MAX_MISSES && !self.stopped
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn schedule(&mut self, now: Instant) {
        if !self.stopped {
            self.next = Some(now + PERIOD);
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
}
