//! What the far end reports of the stream it gets, on its way to the encoder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// One stream's last receiver report. Clones are the same stream's.
#[derive(Clone, Debug, Default)]
pub struct Feedback(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    reports: AtomicU32,
    lost_percent: AtomicU32,
}

impl Feedback {
    /// A report block came (RFC 3550 6.4.1): this part of the last interval's packets was lost, 0.0 to 100.0 percent.
    pub fn reported(&self, lost_percent: f64) {
        self.0
            .lost_percent
            .store(lost_percent.clamp(0.0, 100.0).round() as u32, Relaxed);
        self.0.reports.fetch_add(1, Relaxed);
    }

    /// How many reports have come, and what the last said, percent.
    pub(super) fn latest(&self) -> (u32, u8) {
        (
            self.0.reports.load(Relaxed),
            self.0.lost_percent.load(Relaxed) as u8,
        )
    }
}

/// Around each packet: IPv4 (20), UDP (8), RTP (12), SRTP's tag (10 bytes).
const HEADER_BITS: u32 = 8 * 50;
/// Opus's own least.
const CODEC_LEAST_BPS: u32 = 6000;

/// What goes into headers.
fn headers_bps(frame_ms: u8) -> u32 {
    HEADER_BITS * 1000 / u32::from(frame_ms.max(1))
}

/// The frame that leaves enough for an intelligible voice within `bandwidth_bps` (0: no limit): `wanted_ms`, or the
/// next longer one that does, or the longest.
pub fn frame_within(bandwidth_bps: u32, wanted_ms: u8) -> u8 {
    let enough =
        |&frame_ms: &u8| bandwidth_bps == 0 || bandwidth_bps >= headers_bps(frame_ms) + LEAST_BPS;
    [10, 20, 40, 60]
        .into_iter()
        .filter(|&frame_ms| frame_ms >= wanted_ms)
        .find(enough)
        .unwrap_or(60)
}

/// What the encoder makes of the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Bits per second.
    pub bitrate_bps: u32,
    /// Loss reckoned with, percent.
    pub expected_loss_percent: u8,
}

/// Follows the reports: loss up at once and down by a quarter with each report; the bit rate down while much is lost,
/// because then it may be our own packets that fill a queue.
#[derive(Debug)]
pub struct Adaptation {
    configured: Tuning,
    /// What the limit leaves for the codec, bits per second.
    left_bps: u32,
    seen: u32,
    loss: f32,
}

/// Below this the encoder spends nothing on the copies, and the first lost packet would have none.
const LEAST_EXPECTED: f32 = 3.0;
/// From this on packets do get lost, percent.
const SOME: f32 = 1.0;
/// What is said to be expected then at least: up to 5 percent libopus leaves the copies out where the bit rate is too low
/// for them (32 kbit/s for the full band); above, it takes the highest tones away instead.
const LEAST_WITH_SOME: f32 = 6.0;
/// From this on the bit rate goes down, to what at 30 percent is half.
const MUCH: f32 = 8.0;
/// Intelligible speech with copies; never less. With 16 kbit/s libopus makes none, whatever is expected.
const LEAST_BPS: u32 = 20_000;

impl Adaptation {
    /// As configured, until the first report.
    pub fn new(configured: Tuning) -> Self {
        Self {
            configured,
            left_bps: u32::MAX,
            seen: 0,
            loss: f32::from(configured.expected_loss_percent),
        }
    }

    /// Forgets the last call; reports until now are not this call's. A packet lasts `frame_ms`, and all of them
    /// together may be `bandwidth_bps`; 0: no limit.
    pub fn restart(&mut self, feedback: &Feedback, frame_ms: u8, bandwidth_bps: u32) -> Tuning {
        self.seen = feedback.latest().0;
        self.loss = f32::from(self.configured.expected_loss_percent);
        self.left_bps = match bandwidth_bps {
            0 => u32::MAX,
            limit => limit
                .saturating_sub(headers_bps(frame_ms))
                .max(CODEC_LEAST_BPS),
        };
        Tuning {
            bitrate_bps: self.configured.bitrate_bps.min(self.left_bps),
            ..self.configured
        }
    }

    /// Something new to set, if a report has come.
    pub fn follow(&mut self, feedback: &Feedback) -> Option<Tuning> {
        let (reports, lost) = feedback.latest();
        if reports == self.seen {
            return None;
        }
        self.seen = reports;
        let lost = f32::from(lost);
        self.loss = if lost > self.loss {
            lost
        } else {
            self.loss + (lost - self.loss) / 4.0
        };
        let much = ((self.loss - MUCH) / (30.0 - MUCH)).clamp(0.0, 1.0);
        let configured = self.configured.bitrate_bps.min(self.left_bps);
        let lowest = LEAST_BPS.min(configured);
        let least = if self.loss < SOME {
            LEAST_EXPECTED
        } else {
            LEAST_WITH_SOME
        };
        Some(Tuning {
            bitrate_bps: ((configured as f32 * (1.0 - 0.5 * much)) as u32).max(lowest),
            expected_loss_percent: self.loss.clamp(least, 30.0).round() as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Tuning = Tuning {
        bitrate_bps: 40_000,
        expected_loss_percent: 10,
    };

    /// After these reports.
    fn tuned(reports: &[f64]) -> Tuning {
        let feedback = Feedback::default();
        let mut adaptation = Adaptation::new(CONFIGURED);
        let mut tuning = CONFIGURED;
        for &report in reports {
            feedback.reported(report);
            tuning = adaptation.follow(&feedback).unwrap();
            assert_eq!(adaptation.follow(&feedback), None, "once per report");
        }
        tuning
    }

    #[test]
    fn follows_the_reports() {
        let cases: [(&[f64], u32, u8); 6] = [
            (&[], 40_000, 10),
            (&[0.0; 20], 40_000, 3),
            (
                &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0],
                40_000,
                6,
            ),
            (&[0.0, 0.0, 0.0, 20.0], 29_090, 20),
            (&[100.0], 20_000, 30),
            (&[f64::NAN, -5.0], 40_000, 6),
        ];
        for (reports, bitrate_bps, expected_loss_percent) in cases {
            assert_eq!(
                tuned(reports),
                Tuning {
                    bitrate_bps,
                    expected_loss_percent
                },
                "{reports:?}"
            );
        }
    }

    #[test]
    fn a_limit_is_kept_with_all_headers() {
        // Limit, wanted frame; then the frame, and what is left for the codec.
        for (limit, wanted, frame_ms, bitrate_bps) in [
            (0, 10, 10, 40_000),
            (100_000, 10, 10, 40_000),
            (64_000, 10, 10, 24_000),
            (50_000, 10, 20, 30_000),
            (32_000, 20, 40, 22_000),
            (24_000, 20, 60, 17_334),
            (16_000, 20, 60, 9_334),
        ] {
            let frame = frame_within(limit, wanted);
            assert_eq!(frame, frame_ms, "{limit} bit/s");
            let feedback = Feedback::default();
            let mut adaptation = Adaptation::new(CONFIGURED);
            let tuning = adaptation.restart(&feedback, frame, limit);
            assert_eq!(tuning.bitrate_bps, bitrate_bps, "{limit} bit/s");
            for lost in [0.0, 30.0, 0.0] {
                feedback.reported(lost);
                let followed = adaptation.follow(&feedback).unwrap();
                assert!(followed.bitrate_bps <= bitrate_bps, "{limit} bit/s");
            }
        }
    }

    #[test]
    fn another_call_begins_as_configured() {
        let feedback = Feedback::default();
        let mut adaptation = Adaptation::new(CONFIGURED);
        feedback.reported(50.0);
        assert_eq!(adaptation.restart(&feedback, 20, 0), CONFIGURED);
        assert_eq!(adaptation.follow(&feedback), None);
    }
}
