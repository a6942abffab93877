//! Says to systemd that the phone is alive, only while that is proved: the event loop by doing it, the audio thread by
//! its beats.

use super::Runtime;
use crate::audio::thread;
use crate::device::service::{self, Service};
use std::time::{Duration, Instant};

/// An audio thread without a sign of life for so long is stuck. It gives one each period, or each look at a device that
/// stands still; a device that stops moving takes up to three times 3 s to be found out.
const SILENCE: Duration = Duration::from_secs(12);
const _: () = assert!(SILENCE.as_secs() > thread::LOOK_AFTER.as_secs() + 9);

/// The phone's life, as far as systemd has to know.
#[derive(Default)]
pub(super) struct Life {
    service: Service,
    next_pet: Option<Instant>,
    audio: Pulse,
    was_ready: bool,
}

impl Life {
    pub fn new() -> Self {
        Self {
            service: Service::of_this_process(),
            ..Self::default()
        }
    }

    /// The event loop begins.
    pub fn begins(&mut self, now: Instant) {
        tracing::info!(after_ms = age_ms(), "set up");
        self.service.ready();
        self.next_pet = self.service.pet_every().map(|_| now);
    }

    /// When [`Life::pet`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.next_pet
    }

    /// `beats`: of the audio thread, if it should run.
    pub fn pet(&mut self, now: Instant, beats: Option<u64>) {
        let (Some(next), Some(every)) = (self.next_pet, self.service.pet_every()) else {
            return;
        };
        if now < next {
            return;
        }
        self.next_pet = Some(now + every);
        if self.audio.beats(now, beats) {
            self.service.pet();
        } else {
            tracing::error!("the audio thread is stuck: waiting to be restarted");
        }
    }

    pub fn ends(&self) {
        self.service.stopping();
    }
}

fn age_ms() -> Option<u64> {
    service::age().map(|age| age.as_millis() as u64)
}

/// Whether something that counts goes on counting.
#[derive(Default)]
struct Pulse {
    last: Option<(u64, Instant)>,
}

impl Pulse {
    fn beats(&mut self, now: Instant, count: Option<u64>) -> bool {
        let Some(count) = count else {
            self.last = None;
            return true;
        };
        match self.last {
            Some((last, since)) if last == count => now - since < SILENCE,
            _ => {
                self.last = Some((count, now));
                true
            }
        }
    }
}

impl Runtime {
    /// Tells systemd what is new.
    pub(super) fn report_life(&mut self, now: Instant) {
        self.life.pet(now, self.sound.beats());
        let is_ready = self.is_ready();
        if is_ready && !self.life.was_ready {
            tracing::info!(after_ms = age_ms(), "ready for calls");
        }
        self.life.was_ready = is_ready;
        if !self.life.service.is_heard() {
            return;
        }
        if self.softphone.calls().next().is_some() {
            self.life.service.status("On a call");
        } else if let Some(trouble) = self.phone.trouble() {
            self.life.service.status(&trouble);
        } else if is_ready {
            self.life.service.status("Ready for calls");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without it a phone whose audio thread hangs in its driver would be kept alive for ever, without sound.
    #[test]
    fn a_pulse_is_missed_after_its_time_and_only_where_there_should_be_one() {
        let start = Instant::now();
        let mut pulse = Pulse::default();
        for (second, count, expected) in [
            (0, Some(0), true),
            (5, Some(500), true),
            (16, Some(500), true),
            (17, Some(500), false),
            (30, Some(500), false),
            // Recovered.
            (31, Some(501), true),
            // The device is closed, and another one opened much later.
            (32, None, true),
            (90, None, true),
            (91, Some(501), true),
            (102, Some(501), true),
            (103, Some(501), false),
        ] {
            let at = start + Duration::from_secs(second);
            assert_eq!(pulse.beats(at, count), expected, "second {second}");
        }
    }
}
