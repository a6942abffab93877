//! How much is lost, and whether waiting for the copies is worth it.
//!
//! A packet of Opus can carry a copy of the one before it. To use it the playout must wait for one packet more, so it
//! does only while many are lost.

/// Time constant, packets: 4 s of 20 ms packets; at the beginning of a call less, so that two losses soon after each
/// other are enough.
const MEMORY: f32 = 200.0;
const FIRST_MEMORY: f32 = 50.0;
/// Waits above this share lost, and no more below that: a few holes are mended by concealment unheard, and waiting has
/// its price in every sentence.
const WAIT: f32 = 0.035;
const WAIT_NO_MORE: f32 = 0.015;

/// What one source loses.
#[derive(Debug)]
pub struct Loss {
    share: f32,
    memory: f32,
    copies: bool,
    waits: bool,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            share: 0.0,
            memory: FIRST_MEMORY,
            copies: false,
            waits: false,
        }
    }
}

impl Loss {
    /// A packet was played.
    pub fn came(&mut self) {
        self.memory = (self.memory + 1.0).min(MEMORY);
        self.share *= 1.0 - 1.0 / self.memory;
        if self.share < WAIT_NO_MORE {
            self.waits = false;
        }
    }

    /// So many were given up. A long outage says nothing of single packets.
    pub fn lost(&mut self, packets: i64) {
        for _ in 0..packets.min(8) {
            self.share += (1.0 - self.share) / self.memory;
        }
        if self.share > WAIT {
            self.waits = true;
        }
    }

    /// Whether the packet behind a lost one carries its copy.
    pub fn copy_comes(&mut self, comes: bool) {
        self.copies = comes;
    }

    /// The playout shall be late enough for them.
    pub fn waits_for_copies(&self) -> bool {
        self.waits && self.copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After `packets` of which each `nth` is lost: does it wait?
    fn waits(packets: usize, nth: usize, copies: bool) -> bool {
        let mut loss = Loss::default();
        loss.copy_comes(copies);
        for n in 1..=packets {
            if n % nth == 0 {
                loss.lost(1);
            } else {
                loss.came();
            }
        }
        loss.waits_for_copies()
    }

    #[test]
    fn waits_only_where_it_helps() {
        assert!(waits(400, 20, true), "5 % lost");
        assert!(!waits(400, 20, false), "but no copies");
        assert!(!waits(2000, 50, true), "2 % lost");
        let mut loss = Loss::default();
        loss.copy_comes(true);
        loss.lost(2);
        assert!(loss.waits_for_copies(), "at the beginning two are enough");
        (0..300).for_each(|_| loss.came());
        assert!(!loss.waits_for_copies(), "over after 6 s");
        loss.lost(1_000_000);
        assert!(loss.share < 0.1, "an outage counts little");
    }
}
