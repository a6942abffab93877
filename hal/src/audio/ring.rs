//! A ring of samples from the real-time thread to a writer, without lock or allocation.

use std::sync::atomic::{AtomicI16, AtomicU64, AtomicUsize, Ordering};

/// Fixed in size, one thread writes and one reads.
///
/// When it is full, the newest block is dropped whole and counted: the writing side can
/// neither wait nor take back what the reading side may be looking at.
#[derive(Debug)]
pub(super) struct SampleRing {
    samples: Box<[AtomicI16]>,
    /// Samples ever written and ever read; they differ by at most the capacity.
    written: AtomicUsize,
    read: AtomicUsize,
    dropped: AtomicU64,
}

impl SampleRing {
    /// Takes all its memory now. `capacity` must be a power of two, so that the indices may wrap.
    pub(super) fn new(capacity: usize) -> Self {
        assert!(
            capacity.is_power_of_two(),
            "the capacity is a constant of this crate"
        );
        Self {
            samples: (0..capacity).map(|_| AtomicI16::new(0)).collect(),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Appends `block`, or drops it if it does not fit. For one thread only.
    pub(super) fn push(&self, block: &[i16]) {
        let written = self.written.load(Ordering::Relaxed);
        let used = written.wrapping_sub(self.read.load(Ordering::Acquire));
        if self.samples.len() - used < block.len() {
            self.dropped
                .fetch_add(block.len() as u64, Ordering::Relaxed);
            return;
        }
        for (index, sample) in block.iter().enumerate() {
            self.slot(written.wrapping_add(index))
                .store(*sample, Ordering::Relaxed);
        }
        // Makes the samples visible before the count that says they are there.
        self.written
            .store(written.wrapping_add(block.len()), Ordering::Release);
    }

    /// Gives everything written so far to `take`, oldest first. For one thread only.
    pub(super) fn drain(&self, mut take: impl FnMut(i16)) {
        let written = self.written.load(Ordering::Acquire);
        let mut read = self.read.load(Ordering::Relaxed);
        while read != written {
            take(self.slot(read).load(Ordering::Relaxed));
            read = read.wrapping_add(1);
        }
        self.read.store(read, Ordering::Release);
    }

    /// Samples dropped because the reader was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn slot(&self, count: usize) -> &AtomicI16 {
        &self.samples[count & (self.samples.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn drops_the_newest_block_when_full() {
        let ring = SampleRing::new(8);
        ring.push(&[1, 2, 3, 4, 5]);
        ring.push(&[6, 7, 8, 9]);
        ring.push(&[10, 11, 12]);
        assert_eq!(ring.dropped(), 4);
        let mut out = Vec::new();
        ring.drain(|sample| out.push(sample));
        assert_eq!(out, [1, 2, 3, 4, 5, 10, 11, 12]);
        ring.push(&[13; 8]);
        out.clear();
        ring.drain(|sample| out.push(sample));
        assert_eq!(out, [13; 8]);
    }

    #[test]
    fn keeps_order_between_threads() {
        let ring = Arc::new(SampleRing::new(64));
        let writer = Arc::clone(&ring);
        let thread = std::thread::spawn(move || {
            for value in 0..20_000_i16 {
                let before = writer.dropped();
                loop {
                    writer.push(&[value]);
                    if writer.dropped() == before {
                        break;
                    }
                    writer.dropped.store(before, Ordering::Relaxed);
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 20_000 {
            ring.drain(|sample| {
                assert_eq!(sample, next);
                next += 1;
            });
        }
        thread.join().unwrap();
    }
}
