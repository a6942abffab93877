//! Decoded sound waiting to be played, with what was played just before it.

use crate::audio::codec::MAX_PACKET_SAMPLES;
use crate::audio::ramp::ms;
use offhook_hal::audio::PERIOD_FRAMES;

/// Kept of what was played, for finding its pitch: 30 ms.
pub const HISTORY: usize = ms(30);
/// The most that stretching puts in at once.
pub const MAX_STRETCH: usize = ms(15);
/// What can wait: less than a period, and the longest packet, stretched.
const ROOM: usize = PERIOD_FRAMES + MAX_PACKET_SAMPLES + MAX_STRETCH;
const CAPACITY: usize = HISTORY + ROOM;

/// A line of samples: history, then what waits, then room.
pub struct Pcm {
    samples: Box<[f32]>,
    /// Where the waiting ones start; never below `HISTORY`.
    read: usize,
    end: usize,
}

impl Pcm {
    /// Empty, with a silent history; allocates.
    pub fn new() -> Self {
        Self {
            samples: vec![0.0; CAPACITY].into_boxed_slice(),
            read: HISTORY,
            end: HISTORY,
        }
    }

    /// Samples waiting.
    pub fn len(&self) -> usize {
        self.end - self.read
    }

    /// Room behind what waits, `length` long; becomes waiting by [`Pcm::commit`]. Shorter if there is no room, which
    /// there always is while less than a period waits.
    pub fn room(&mut self, length: usize) -> &mut [f32] {
        if self.end + length + MAX_STRETCH > CAPACITY {
            self.samples.copy_within(self.read - HISTORY..self.end, 0);
            self.end -= self.read - HISTORY;
            self.read = HISTORY;
        }
        let to = (self.end + length).min(CAPACITY);
        &mut self.samples[self.end..to]
    }

    /// Makes the first `length` samples of the room waiting.
    pub fn commit(&mut self, length: usize) {
        self.end = (self.end + length).min(CAPACITY);
    }

    /// Makes `length` samples of the room waiting, but the first `skip` of them: these are cut out.
    pub fn commit_without(&mut self, skip: usize, length: usize) {
        let length = length.min(CAPACITY - self.end);
        let skip = skip.min(length);
        self.samples
            .copy_within(self.end + skip..self.end + length, self.end);
        self.end += length - skip;
    }

    /// The last `length` waiting samples, all that lies before them, and [`MAX_STRETCH`] samples of room behind them:
    /// the slice, where the samples start in it, and where they end.
    pub fn tail(&mut self, length: usize) -> (&mut [f32], usize, usize) {
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
        length
    }

    /// Silence everywhere, nothing waits.
    pub fn clear(&mut self) {
        self.samples.fill(0.0);
        self.read = HISTORY;
        self.end = HISTORY;
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
        assert_eq!(out, [2.0, 3.0, 4.0, 0.0, 0.0]);
    }
}
