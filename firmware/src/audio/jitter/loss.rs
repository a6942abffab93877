//! How much is lost, and whether waiting for the copies is worth it.
//!
//! A packet of Opus can carry a copy of the one before it. To use it the playout must wait for one packet more, so it
//! does only while some are lost. What is said in no copy is nothing: libopus leaves them out where nobody speaks (about
//! a third of the packets of a voice), and there the waiting goes on, as each change of it is a change of the delay, which
//! is heard.

/// Time constant, packets: 4 s of 20 ms packets; at the beginning of a call less, so that two losses soon after each
/// other are enough.
const MEMORY: f32 = 200.0;
const FIRST_MEMORY: f32 = 50.0;
/// Waits above this share lost, and no more below that. A lost packet that is concealed is heard where it was speech;
/// the waiting ends after 5 to 10 s without any loss.
const WAIT: f32 = 0.02;
const WAIT_NO_MORE: f32 = 0.005;
/// Packets without any copy after which the far end is taken to make none: 10 s of 20 ms packets, longer than a speaker
/// draws breath.
const NO_COPIES_AFTER: u32 = 500;

/// What one source loses.
#[derive(Debug)]
pub struct Loss {
    share: f32,
    memory: f32,
    /// Packets since the last one with a copy.
    without_copy: u32,
    waits: bool,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            share: 0.0,
            memory: FIRST_MEMORY,
            without_copy: NO_COPIES_AFTER,
            waits: false,
        }
    }
}

impl Loss {
    /// A packet was played, with a copy of the one before or without.
    pub fn came(&mut self, with_copy: bool) {
        self.without_copy = if with_copy {
            0
        } else {
            self.without_copy.saturating_add(1)
        };
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

    /// The playout shall be late enough for them.
    pub fn waits_for_copies(&self) -> bool {
        self.waits && self.without_copy < NO_COPIES_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After `packets` of which each `nth` is lost, and of the others each `copies`th has a copy: does it wait?
    fn waits(packets: usize, nth: usize, copies: usize) -> bool {
        let mut loss = Loss::default();
        for n in 1..=packets {
            if n % nth == 0 {
                loss.lost(1);
            } else {
                loss.came(n % copies == 0);
            }
        }
        loss.waits_for_copies()
    }

    const NONE: usize = usize::MAX;

    #[test]
    fn waits_only_where_it_helps() {
        assert!(waits(400, 20, 1), "5 % lost");
        assert!(!waits(400, 20, NONE), "but no copies");
        assert!(waits(2000, 40, 1), "2.5 % lost");
        assert!(!waits(2000, 100, 1), "1 % lost");
        let mut loss = Loss::default();
        loss.came(true);
        loss.lost(2);
        assert!(loss.waits_for_copies(), "at the beginning two are enough");
        (0..500).for_each(|_| loss.came(true));
        assert!(!loss.waits_for_copies(), "over after 10 s");
        loss.lost(1_000_000);
        assert!(loss.share < 0.1, "an outage counts little");
    }

    /// While only the last packet counted, the delay went up and down by a packet with each pause of the speaker, and was
    /// stretched by 2 % in all: worse than the holes.
    #[test]
    fn pauses_without_copies_do_not_end_it() {
        let mut loss = Loss::default();
        for n in 0..5000 {
            // Two seconds of speech, then one of pause.
            let with_copy = n % 150 < 100;
            if n % 20 == 19 {
                loss.lost(1);
            } else {
                loss.came(with_copy);
            }
            assert!(n < 100 || loss.waits_for_copies(), "packet {n}");
        }
        (0..NO_COPIES_AFTER).for_each(|_| loss.came(false));
        loss.lost(8);
        assert!(!loss.waits_for_copies(), "the far end makes no more");
    }
}
