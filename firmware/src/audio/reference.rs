//! What the loudspeaker plays while the microphone captures: the echo canceller's reference.
//!
//! The device says how far its ends are away from the thread (`snd_pcm_delay`, both sides). Their sum is how long
//! played sound takes until it is captured, apart from its way through the air; the thread's own lateness cancels out
//! in it. The played sound is kept and taken from that far back, so that the canceller sees the same short delay after
//! an underrun or another device as before, and need not search for it.

use super::Frame;
use super::ramp::ms;
use offhook_hal::audio::{PERIOD_FRAMES, PeriodReport};

/// Sound kept: more than a full buffer of the largest that a board may name, 200 ms, and [`MOST_EXTRA_MS`].
const KEPT: usize = 16_384;
/// The most that an echo may be later than the device says, milliseconds.
pub const MOST_EXTRA_MS: u8 = 100;
/// The reference is this much early: the echo must never come before its cause, and reports are a little off.
const EARLY: usize = ms(5);
/// A change of the reports smaller than this is their noise.
const NOISE: usize = ms(2);
/// Reports that must agree on a change before it is followed, unless the device was restarted.
const AGREE: u32 = 3;

/// The sound played, and how far back the microphone is.
pub struct Reference {
    played: Box<[f32]>,
    /// Where the next period goes.
    at: usize,
    /// How far back, samples.
    lag: usize,
    /// Of that, what the device does not know of, samples.
    extra: usize,
    /// Reports in a row that say something else.
    disagree: u32,
}

impl Reference {
    /// Silence.
    pub fn new() -> Self {
        Self {
            played: vec![0.0; KEPT].into_boxed_slice(),
            at: 0,
            lag: 0,
            extra: 0,
            disagree: 0,
        }
    }

    /// The sound takes a path whose echo is `extra_ms` later than its device says, 0..=[`MOST_EXTRA_MS`].
    pub fn take_path(&mut self, extra_ms: u8) {
        let extra = ms(extra_ms.min(MOST_EXTRA_MS).into());
        self.lag = (self.lag - self.extra + extra).min(KEPT - PERIOD_FRAMES);
        self.extra = extra;
    }

    /// What the device said in the exchange that captured the next period.
    pub fn report(&mut self, report: &PeriodReport) {
        let whole = report.playback_delay_frames as usize + report.capture_delay_frames as usize;
        let lag = (whole.saturating_sub(EARLY).min(KEPT) + self.extra).min(KEPT - PERIOD_FRAMES);
        if lag.abs_diff(self.lag) <= NOISE {
            self.disagree = 0;
            return;
        }
        self.disagree += 1;
        if report.restarted || self.disagree >= AGREE {
            self.lag = lag;
            self.disagree = 0;
        }
    }

    /// What is played next; in the period after it, it is what was queued last.
    pub fn push(&mut self, played: &Frame) {
        for &sample in played {
            self.played[self.at] = sample;
            self.at = (self.at + 1) % KEPT;
        }
    }

    /// What was heard while the period just captured was.
    pub fn heard(&self) -> Frame {
        let start = self.at + 2 * KEPT - self.lag - PERIOD_FRAMES;
        std::array::from_fn(|n| self.played[(start + n) % KEPT])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(playback: u32, capture: u32) -> PeriodReport {
        PeriodReport {
            playback_delay_frames: playback,
            capture_delay_frames: capture,
            ..PeriodReport::default()
        }
    }

    /// Plays a ramp, then says from how far back the reference is taken.
    fn lag_after(reference: &mut Reference, reports: &[PeriodReport]) -> f32 {
        for n in 0..40 {
            reference.push(&std::array::from_fn(|k| (n * PERIOD_FRAMES + k) as f32));
        }
        for each in reports {
            reference.report(each);
        }
        (40 * PERIOD_FRAMES - PERIOD_FRAMES) as f32 - reference.heard()[0]
    }

    #[test]
    fn it_is_as_far_back_as_the_device_says_but_a_little_early() {
        let mut reference = Reference::new();
        let early = EARLY as f32;
        assert_eq!(
            lag_after(&mut reference, &[report(960, 0)]),
            0.0,
            "not at once"
        );
        assert_eq!(
            lag_after(&mut reference, &[report(960, 0); 3]),
            960.0 - early
        );
        // The thread was 8 ms late: one side says more, the other less.
        assert_eq!(
            lag_after(&mut reference, &[report(576, 384); 9]),
            960.0 - early
        );
        assert_eq!(
            lag_after(&mut reference, &[report(1000, 0); 9]),
            960.0 - early,
            "noise"
        );
        let restarted = PeriodReport {
            restarted: true,
            ..report(1920, 480)
        };
        assert_eq!(
            lag_after(&mut reference, &[restarted]),
            2400.0 - early,
            "at once"
        );
        assert_eq!(
            lag_after(&mut reference, &[report(u32::MAX, 480); 3]),
            (KEPT - PERIOD_FRAMES) as f32,
            "nonsense is bounded"
        );
    }

    #[test]
    fn a_paths_own_delay_comes_on_top_and_goes_with_the_path() {
        let mut reference = Reference::new();
        let early = EARLY as f32;
        lag_after(&mut reference, &[report(960, 0); 3]);
        reference.take_path(60);
        assert_eq!(lag_after(&mut reference, &[]), 960.0 - early + 2880.0);
        assert_eq!(
            lag_after(&mut reference, &[report(1440, 0); 3]),
            1440.0 - early + 2880.0,
            "reports do not know of it"
        );
        reference.take_path(0);
        assert_eq!(lag_after(&mut reference, &[]), 1440.0 - early);
        // The largest buffer of a board and the largest delay are both reached.
        reference.take_path(MOST_EXTRA_MS);
        assert_eq!(
            lag_after(&mut reference, &[report(9600, 480); 3]),
            10_080.0 - early + 4800.0
        );
        lag_after(&mut reference, &[report(u32::MAX, 480); 3]);
        reference.take_path(0);
        reference.take_path(MOST_EXTRA_MS);
        reference.heard();
    }
}
