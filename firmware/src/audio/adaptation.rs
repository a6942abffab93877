//! What the encoder makes of the far end's reports and limits.
//!
//! A packet costs [`HEADER_BYTES`] beside its sound, 50 times a second with frames of 20 ms: 20 kbit/s. Where a limit is
//! stated, by the configuration or by the far end, headers and sound have to share it, so the longer the frame, the more
//! is left for the voice:
//!
//! | frame | headers | left of 64 kbit/s | of 36 | of 30 | of 24 |
//! |---|---|---|---|---|---|
//! | 10 ms | 40.0 | 24.0 | - | - | - |
//! | 20 ms | 20.0 | 44.0 | 16.0 | 10.0 | 4.0 |
//! | 40 ms | 10.0 | 54.0 | 26.0 | 20.0 | 14.0 |
//! | 60 ms | 6.7 | 57.3 | 29.3 | 23.3 | 17.3 |
//!
//! **The rule.** The frame is the shortest one, from the one that was agreed on up to the longest that is allowed, that
//! leaves the voice enough: 20 kbit/s for Opus (below, libopus puts no copies in for lost packets), 64 kbit/s for G.711.
//! Opus then takes what is left, up to what is configured. While much is lost, it may be our own packets that fill a
//! queue: from 8 percent on the voice's bit rate goes down, at 30 percent to half, and so does what all packets together
//! may take of the limit. Thus a limit of 50 kbit/s means 30 kbit/s in frames of 20 ms, and while a third is lost, 20 kbit/s
//! in frames of 60 ms. G.711 stays as it was agreed on where no frame is long enough: 64 kbit/s is what some who count
//! only the voice state for it. Without a limit the frame stays what it was: some 60 kbit/s are hardly what fills the queue, and
//! the longer a packet, the more is missed when it is lost.
//!
//! The frame gets longer at once, because what does not fit gets lost. It gets shorter when [`STEADY`] reports running
//! the shorter one would have left enough, and while much is lost a quarter more than that, so that it does not go to and
//! fro with each report.

use super::CodecKind;
use super::feedback::{Feedback, SendLimits};

/// Around each packet: IPv4 (20), UDP (8), RTP (12), SRTP's tag (10 bytes).
const HEADER_BYTES: u32 = 50;
/// Of these RTP's own.
const RTP_BYTES: u32 = 22;
/// Frame lengths there are, milliseconds.
const FRAMES_MS: [u8; 4] = [10, 20, 40, 60];
/// Opus's own least.
const CODEC_LEAST_BPS: u32 = 6000;
/// What G.711 always takes.
const G711_BPS: u32 = 64_000;
/// Reports running in which a shorter frame must have been enough. One comes every one to five seconds.
const STEADY: u32 = 5;

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

/// How the Opus encoder is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Bits per second.
    pub bitrate_bps: u32,
    /// Loss reckoned with, percent.
    pub expected_loss_percent: u8,
}

/// Follows the reports: loss up at once and down by a quarter with each report; bit rate and frame by the rule above.
#[derive(Debug)]
pub struct Adaptation {
    configured: Tuning,
    codec: CodecKind,
    /// Of the configuration, all packets with all headers, bits per second; 0: no limit.
    bandwidth_bps: u32,
    limits: SendLimits,
    /// Generations of limits and reports that were looked at.
    seen_limits: u32,
    seen_reports: u32,
    loss: f32,
    /// A report has come: what is lost is not a guess of the configuration's.
    heard: bool,
    /// As agreed on, milliseconds.
    agreed_ms: u8,
    frame_ms: u8,
    /// Reports running that a shorter frame was enough.
    steady: u32,
}

impl Adaptation {
    /// As configured, without a limit, until the first report.
    pub fn new(configured: Tuning) -> Self {
        Self {
            configured,
            codec: CodecKind::Opus,
            bandwidth_bps: 0,
            limits: SendLimits::default(),
            seen_limits: 0,
            seen_reports: 0,
            loss: f32::from(configured.expected_loss_percent),
            heard: false,
            agreed_ms: 20,
            frame_ms: 20,
            steady: 0,
        }
    }

    /// Forgets the last call; reports until now are not this call's. Frames of `agreed_ms` were agreed on, and all
    /// packets together may be `bandwidth_bps`; 0: no limit but the far end's.
    pub fn restart(
        &mut self,
        feedback: &Feedback,
        codec: CodecKind,
        agreed_ms: u8,
        bandwidth_bps: u32,
    ) -> Tuning {
        *self = Self {
            codec,
            bandwidth_bps,
            agreed_ms,
            frame_ms: agreed_ms,
            seen_reports: feedback.latest().0,
            ..Self::new(self.configured)
        };
        (self.seen_limits, self.limits) = feedback.limits();
        self.frame_ms = self.shortest(1.0);
        Tuning {
            bitrate_bps: self.bitrate_bps(),
            ..self.configured
        }
    }

    /// Length of the next frame, milliseconds.
    pub fn frame_ms(&self) -> u8 {
        self.frame_ms
    }

    /// Something new to set, if a report or other limits have come.
    pub fn follow(&mut self, feedback: &Feedback) -> Option<Tuning> {
        let (limited, limits) = feedback.limits();
        let (reports, lost) = feedback.latest();
        if (limited, reports) == (self.seen_limits, self.seen_reports) {
            return None;
        }
        if reports != self.seen_reports {
            self.seen_reports = reports;
            self.reported(f32::from(lost));
        }
        if limited != self.seen_limits {
            (self.seen_limits, self.limits) = (limited, limits);
            self.steady = 0;
            self.frame_ms = self.shortest(1.0);
        }
        let least = if self.loss < SOME {
            LEAST_EXPECTED
        } else {
            LEAST_WITH_SOME
        };
        Some(Tuning {
            bitrate_bps: self.bitrate_bps(),
            expected_loss_percent: self.loss.clamp(least, 30.0).round() as u8,
        })
    }

    fn reported(&mut self, lost: f32) {
        self.heard = true;
        self.loss = if lost > self.loss {
            lost
        } else {
            self.loss + (lost - self.loss) / 4.0
        };
        let enough = self.shortest(1.0);
        // Where nothing is lost any more, what was enough at the start is.
        let more_than_enough = self.shortest(if self.much() > 0.0 { 1.25 } else { 1.0 });
        if enough > self.frame_ms {
            self.frame_ms = enough;
        }
        if more_than_enough >= self.frame_ms {
            self.steady = 0;
            return;
        }
        self.steady += 1;
        if self.steady >= STEADY {
            self.steady = 0;
            self.frame_ms = more_than_enough;
        }
    }

    /// 0.0: hardly anything is lost; 1.0: a third is. G.711 has no bit rate that could follow.
    fn much(&self) -> f32 {
        match self.codec {
            CodecKind::Opus if self.heard => ((self.loss - MUCH) / (30.0 - MUCH)).clamp(0.0, 1.0),
            _ => 0.0,
        }
    }

    /// The shortest frame that leaves `times` enough; if none does, the longest for Opus, and the agreed one for G.711.
    fn shortest(&self, times: f32) -> u8 {
        let much = self.much();
        let enough = match self.codec {
            CodecKind::Opus => LEAST_BPS.min(self.voice_bps()),
            CodecKind::Pcmu | CodecKind::Pcma => G711_BPS,
        };
        let enough = (enough as f32 * times) as u32;
        let longest = self.limits.longest_ms.max(self.agreed_ms);
        let mut allowed = FRAMES_MS
            .into_iter()
            .filter(|frame_ms| (self.agreed_ms..=longest).contains(frame_ms));
        allowed
            .find(|&frame_ms| self.left_bps(frame_ms, much) >= enough)
            .unwrap_or(match self.codec {
                CodecKind::Opus => longest,
                CodecKind::Pcmu | CodecKind::Pcma => self.agreed_ms,
            })
    }

    /// What the voice may take whatever the headers do.
    fn voice_bps(&self) -> u32 {
        match self.limits.codec_bps {
            0 => self.configured.bitrate_bps,
            limit => self.configured.bitrate_bps.min(limit),
        }
    }

    /// What the headers of such frames leave of the limits.
    fn left_bps(&self, frame_ms: u8, much: f32) -> u32 {
        let left = |limit: u32, bytes: u32| match limit {
            0 => u32::MAX,
            limit => part(limit, much).saturating_sub(bytes * 8000 / u32::from(frame_ms.max(1))),
        };
        left(self.bandwidth_bps, HEADER_BYTES)
            .min(left(self.limits.bandwidth_bps, HEADER_BYTES))
            .min(left(self.limits.rtp_bps, RTP_BYTES))
    }

    fn bitrate_bps(&self) -> u32 {
        let much = self.much();
        let most = self
            .voice_bps()
            .min(self.left_bps(self.frame_ms, 0.0))
            .max(CODEC_LEAST_BPS);
        part(self.voice_bps(), much)
            .min(self.left_bps(self.frame_ms, much))
            .clamp(LEAST_BPS.min(most), most)
    }
}

/// What is taken of a bit rate while so much is lost.
fn part(bps: u32, much: f32) -> u32 {
    (f64::from(bps) * (1.0 - 0.5 * f64::from(much))) as u32
}

#[cfg(test)]
mod tests;
