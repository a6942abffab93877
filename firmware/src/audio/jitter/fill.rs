//! What is heard when a packet is not there.

use super::{CONCEAL_STEP, FADE, FADE_AFTER, JitterBuffer, STALL_STEP, State};
use crate::audio::codec::Decode;
use offhook_hal::audio::PERIOD_FRAMES;
use std::time::Instant;

impl JitterBuffer {
    /// Fills a part of the gap before the first waiting packet.
    pub(super) fn fill(
        &mut self,
        decoder: &mut impl Decode,
        sequence: i64,
        gap: usize,
        now: Instant,
    ) {
        let lost = self.next_sequence.is_some_and(|next| sequence > next);
        let length = self.packet_samples;
        if lost && gap <= length && self.recover(decoder, sequence, length, gap) {
            self.counters.fec_recovered += 1;
            self.next_timestamp += gap as i64;
            self.give_up_to(sequence);
            self.join(now, gap);
            return;
        }
        let part = gap.min(PERIOD_FRAMES);
        self.conceal(decoder, part);
        self.made_up += part;
        self.next_timestamp += part as i64;
        // A lost packet may still come as long as some of it is not concealed.
        let open = (gap - part).div_ceil(length.max(1)) as i64;
        self.give_up_to(sequence - open);
    }

    /// The last `gap` of `length` samples before the waiting packet, from its redundancy.
    fn recover(
        &mut self,
        decoder: &mut impl Decode,
        sequence: i64,
        length: usize,
        gap: usize,
    ) -> bool {
        let recovered = decoder.recover(self.ring.payload(sequence), self.pcm.room(length));
        if recovered {
            self.pcm.commit_without(length - gap, length);
        }
        recovered
    }

    /// Nothing waits.
    pub(super) fn stall(&mut self, decoder: &mut impl Decode) -> bool {
        self.made_up = 0;
        if self.rest(decoder) {
            return true;
        }
        if self.stalled >= FADE_AFTER + FADE {
            self.state = State::Waiting;
            self.fade_in = true;
            return false;
        }
        if self.stalled >= FADE_AFTER {
            self.gain.to(0.0);
        }
        // No more than this period needs: the packet may be there in the next.
        let part = (PERIOD_FRAMES - self.pcm.len()).next_multiple_of(STALL_STEP);
        self.conceal(decoder, part);
        self.stalled += part;
        true
    }

    /// Comfort noise for what this period still needs, if the far end rests.
    pub(super) fn rest(&mut self, decoder: &mut impl Decode) -> bool {
        if let Some((_, level)) = self.noise.take() {
            decoder.comfort_noise(level);
            self.rests = true;
            // The sound has faded out if the first such packet was lost.
            self.gain.to(1.0);
        }
        if self.rests {
            self.make_up(decoder, PERIOD_FRAMES - self.pcm.len());
        }
        self.rests
    }

    pub(super) fn conceal(&mut self, decoder: &mut impl Decode, length: usize) {
        self.make_up(decoder, length);
        self.counters.concealed_samples += length as u64;
    }

    pub(super) fn make_up(&mut self, decoder: &mut impl Decode, length: usize) {
        let missing = length.saturating_sub(self.pcm.spare());
        let whole = missing.next_multiple_of(CONCEAL_STEP);
        let room = self.pcm.room(whole);
        let whole = room.len().min(whole) / CONCEAL_STEP * CONCEAL_STEP;
        if whole > 0 {
            decoder.conceal(&mut room[..whole]);
        }
        self.pcm.commit_part(length, whole);
    }
}
