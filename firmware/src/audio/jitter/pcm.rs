//! Decoded sound waiting to be played, with what was played just before it.

use super::CONCEAL_STEP;
use crate::audio::codec::MAX_PACKET_SAMPLES;
use crate::audio::ramp::ms;
use offhook_hal::audio::PERIOD_FRAMES;

/// Kept of what was played, for finding its pitch: 30 ms.
pub const HISTORY: usize = ms(30);
/// The most that stretching puts in at once.
pub const MAX_STRETCH: usize = ms(15);
/// What can wait: less than a period, what is made up at once, what was made up beyond it, and the longest packet,
/// stretched.
const ROOM: usize = 2 * PERIOD_FRAMES + CONCEAL_STEP + MAX_PACKET_SAMPLES + MAX_STRETCH;
const CAPACITY: usize = HISTORY + ROOM;
/// How long a cut is led over: 5 ms.
const JOIN: usize = ms(5);

/// A line of samples: history, then what waits, then what would have followed it, then room.
pub struct Pcm {
    samples: Box<[f32]>,
    /// Where the waiting ones start; never below `HISTORY`.
    read: usize,
    end: usize,
    /// Samples behind the waiting ones that the decoder has made as their continuation, but nobody asked for.
    spare: usize,
}

impl Pcm {
    /// Empty, with a silent history; allocates.
    pub fn new() -> Self {
        Self {
            samples: vec![0.0; CAPACITY].into_boxed_slice(),
            read: HISTORY,
            end: HISTORY,
            spare: 0,
        }
    }

    /// Samples waiting.
    pub fn len(&self) -> usize {
        self.end - self.read
    }

    /// Samples that continue what waits, to be had by [`Pcm::commit_part`] without asking the decoder.
    pub fn spare(&self) -> usize {
        self.spare
    }

    /// Room for `length` samples that the decoder makes next; becomes waiting by one of the commits. Shorter if there is
    /// no room, which there always is while less than a period waits.
    pub fn room(&mut self, length: usize) -> &mut [f32] {
        if self.end + self.spare + length + MAX_STRETCH > CAPACITY {
            let from = self.read - HISTORY;
            self.samples.copy_within(from..self.end + self.spare, 0);
            self.end -= from;
            self.read = HISTORY;
        }
        let start = self.end + self.spare;
        let to = (start + length).min(CAPACITY);
        &mut self.samples[start..to]
    }

    /// Makes `length` samples waiting, of the spare ones and the first `made` of the room; the others are spare.
    pub fn commit_part(&mut self, length: usize, made: usize) {
        let there = (self.spare + made).min(CAPACITY - self.end);
        let length = length.min(there);
        self.end += length;
        self.spare = there - length;
    }

    /// Makes the first `length` samples of the room waiting.
    pub fn commit(&mut self, length: usize) {
        self.commit_without(0, length);
    }

    /// Makes `length` samples of the room waiting, but the first `skip` of them: these are cut out, and the spare ones.
    /// What waits goes on into what is cut out, so the cut is joined by leading from there to what follows it.
    pub fn commit_without(&mut self, skip: usize, length: usize) {
        let all = (self.spare + length).min(CAPACITY - self.end);
        let cut = (self.spare + skip).min(all);
        self.spare = 0;
        let kept = all - cut;
        let sound = &mut self.samples[self.end..self.end + all];
        if cut > 0 {
            let join = kept.min(JOIN);
            for n in 0..join {
                let weight = (n + 1) as f32 / (join + 1) as f32;
                sound[n] += (sound[cut + n] - sound[n]) * weight;
            }
            sound.copy_within(cut + join.., join);
        }
        self.end += kept;
    }

    /// The last `length` waiting samples, all that lies before them, and [`MAX_STRETCH`] samples of room behind them:
    /// the slice, where the samples start in it, and where they end.
    pub fn tail(&mut self, length: usize) -> (&mut [f32], usize, usize) {
        self.spare = 0;
        let to = (self.end + MAX_STRETCH).min(CAPACITY);
        let start = self.end - length.min(self.len());
        (&mut self.samples[..to], start, self.end)
    }

    /// The tail now ends `by` samples later (or earlier).
    pub fn moved_end(&mut self, by: isize) {
        self.end = self
            .end
            .saturating_add_signed(by)
            .clamp(self.read, CAPACITY);
    }

    /// Takes the next samples out; what is not there is silence. How many there were.
    pub fn pop(&mut self, out: &mut [f32]) -> usize {
        let length = self.len().min(out.len());
        out[..length].copy_from_slice(&self.samples[self.read..self.read + length]);
        out[length..].fill(0.0);
        self.read += length;
        if length < out.len() {
            // It has not been continued.
            self.spare = 0;
        }
        length
    }

    /// Silence everywhere, nothing waits.
    pub fn clear(&mut self) {
        self.samples.fill(0.0);
        self.read = HISTORY;
        self.end = HISTORY;
        self.spare = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_queue_that_remembers() {
        let mut pcm = Pcm::new();
        let (mut next_in, mut next_out) = (0, 0);
        let mut out = [0.0; PERIOD_FRAMES];
        for round in 0..100 {
            let length = [960, 480, 2880, 120, MAX_PACKET_SAMPLES][round % 5];
            for sample in pcm.room(length).iter_mut() {
                *sample = next_in as f32;
                next_in += 1;
            }
            pcm.commit(length);
            while pcm.len() >= PERIOD_FRAMES {
                assert_eq!(pcm.pop(&mut out), PERIOD_FRAMES);
                for sample in out {
                    assert_eq!(sample, next_out as f32);
                    next_out += 1;
                }
                let (samples, start, _) = pcm.tail(usize::MAX);
                if next_out > HISTORY {
                    assert_eq!(samples[start - HISTORY], (next_out - HISTORY) as f32);
                }
            }
        }
    }

    #[test]
    fn cuts_out_and_pads_with_silence() {
        let mut pcm = Pcm::new();
        pcm.room(4).copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
        pcm.commit_without(1, 4);
        let mut out = [9.0; 5];
        assert_eq!(pcm.pop(&mut out), 3);
        // From what would have followed, 1, to what follows.
        assert_eq!(out, [1.25, 2.5, 3.75, 0.0, 0.0]);
    }

    /// A ramp that the decoder makes, of which some was not asked for: without the join there is a step where the next
    /// packet begins.
    #[test]
    fn what_was_made_beyond_is_used_or_led_over() {
        for skip in [0, 50, 300] {
            let mut pcm = Pcm::new();
            let mut made = 0;
            let mut make = |room: &mut [f32]| {
                for sample in room {
                    *sample = made as f32;
                    made += 1;
                }
            };
            make(pcm.room(480));
            pcm.commit_part(400, 480);
            assert_eq!((pcm.len(), pcm.spare()), (400, 80));
            make(pcm.room(120));
            pcm.commit_part(100, 120);
            assert_eq!((pcm.len(), pcm.spare()), (500, 100));
            make(pcm.room(960));
            pcm.commit_without(skip, 960);
            assert_eq!((pcm.len(), pcm.spare()), (1460 - skip, 0));
            let mut out = vec![0.0; 1460 - skip];
            pcm.pop(&mut out);
            assert!(out[..500].iter().zip(0..).all(|(&a, b)| a == b as f32));
            let steepest = out.windows(2).map(|w| w[1] - w[0]).fold(0.0, f32::max);
            assert!(steepest < 3.0, "{steepest}");
            assert_eq!(out.last(), Some(&1559.0));
        }
    }
}
