//! How the delay is brought to its target: by leaving out, putting in, and skipping.

use super::{JitterBuffer, stretch};
use crate::audio::ramp::ms;
use std::time::Instant;

/// More than this above the target, and whole packets are left out.
const SKIP_EXCESS: f64 = ms(200) as f64;
/// Delay above the target that is put up with: each stretch is heard, and the target may soon be higher again.
const TOLERANCE: f64 = ms(12) as f64;
/// That which is put up with for longer than [`LONG`].
const LONG_TOLERANCE: f64 = ms(3) as f64;
const LONG: usize = ms(1500);
/// Delay below the target that is put up with, and what a shortening leaves above it.
const MARGIN: f64 = ms(1) as f64;
/// While copies are waited for, the delay may be so much less than the target, which is so much higher: what was made up
/// for a gap and left out again need not be put in again.
pub(super) const COPY_ROOM: f64 = ms(5) as f64;
/// A lengthening goes at most this far above the target: more than [`LONG_TOLERANCE`], and it would be taken back.
const LENGTHEN_BEYOND: f64 = ms(3) as f64;
/// Leaving out what was made up goes at most this far below it. With less, more than NetEQ makes up stays in; PESQ would
/// rather have that (0.1 MOS at 5 % loss), as it counts each stretch.
const JOIN_BELOW: f64 = ms(10) as f64;
/// Delay above the target at which every packet is shortened, not only now and then.
const URGENT: f64 = ms(40) as f64;
/// Between two shortenings that are not urgent, packets.
const SHORTEN_EVERY: u32 = 5;
/// Correlation asked for of a pitch period that is taken out or put in, without and with urgency.
const GOOD_FIT: f64 = 0.9;
const POOR_FIT: f64 = 0.4;

impl JitterBuffer {
    /// Leaves out some of what was made up for a gap, before the sound just decoded; false if nothing was. That costs no
    /// loss of speech, and delay that is too much goes first where nobody misses it.
    pub(super) fn join(&mut self, now: Instant, decoded: usize) -> bool {
        let before = self.pcm.len().saturating_sub(decoded);
        let made_up = std::mem::take(&mut self.made_up).min(before);
        if made_up == 0 {
            return false;
        }
        let excess = self.delay.delay(now, self.playing()) - self.target();
        let most = (excess + JOIN_BELOW).min(self.slack as f64).max(0.0) as usize;
        let (sound, start, end) = self.pcm.tail(made_up + decoded);
        let piece = stretch::shorten(&mut sound[start..end], most.min(made_up), POOR_FIT as f32);
        self.pcm.moved_end(-(piece as isize));
        self.slack -= piece as i64;
        self.counters.concealed_samples -= piece as u64;
        piece > 0
    }

    /// Brings the delay nearer to its target, in the sound just decoded.
    pub(super) fn steer(&mut self, now: Instant, decoded: usize) {
        self.rest = self.rest.saturating_sub(1);
        let target = self.target();
        let excess = self.delay.delay(now, self.playing()) - target;
        let slack = self.slack as f64;
        self.above = if excess > LONG_TOLERANCE {
            self.above.saturating_add(decoded)
        } else {
            0
        };
        let tolerance = if self.above > LONG {
            LONG_TOLERANCE
        } else {
            TOLERANCE
        };
        let short = if self.loss.waits_for_copies() {
            COPY_ROOM
        } else {
            MARGIN
        };
        let urgency = ((excess.abs() - TOLERANCE) / (2.0 * URGENT)).clamp(0.0, 1.0);
        let fit = (GOOD_FIT + (POOR_FIT - GOOD_FIT) * urgency) as f32;
        if excess > SKIP_EXCESS && slack > SKIP_EXCESS {
            self.leave_out_a_packet();
        } else if excess > tolerance && (excess > URGENT || self.rest == 0) {
            let most = (excess - MARGIN).min(slack).max(0.0) as usize;
            let (sound, start, end) = self.pcm.tail(decoded);
            let piece = stretch::shorten(&mut sound[start..end], most, fit);
            self.pcm.moved_end(-(piece as isize));
            self.stretched(-(piece as i64));
        } else if excess < -short {
            let most = (LENGTHEN_BEYOND - excess) as usize;
            let (sound, start, end) = self.pcm.tail(decoded);
            let piece = stretch::lengthen(sound, start, end, most, fit);
            self.pcm.moved_end(piece as isize);
            self.stretched(piece as i64);
        }
    }

    fn stretched(&mut self, by: i64) {
        if by != 0 {
            self.counters.stretched_samples += by.unsigned_abs();
            self.slack += by;
            self.rest = SHORTEN_EVERY;
        }
    }

    fn leave_out_a_packet(&mut self) {
        let Some(first) = self.ring.first() else {
            return;
        };
        if self.ring.len() > 1 && self.next_sequence == Some(first.sequence) {
            self.leave_out(first.sequence);
            self.next_timestamp += self.packet_samples as i64;
            self.slack -= self.packet_samples as i64;
        }
    }
}
