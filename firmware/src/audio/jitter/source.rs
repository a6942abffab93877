//! Whose packets these are.

/// What a packet's source is to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The one that plays, or the first.
    Ours,
    /// Another one that has taken over with this packet.
    Successor,
    /// Another one.
    Stranger,
}

/// The source that plays.
#[derive(Debug, Default)]
pub struct Source {
    ssrc: Option<u32>,
    /// Another source that has sent the last packet.
    candidate: Option<u32>,
}

impl Source {
    /// Judges by the source identifier. A source may change in a call (RFC 3550, 8.2), but a stray packet shall not
    /// change it: the second packet in a row of another one takes over.
    pub fn judge(&mut self, ssrc: u32) -> Who {
        match self.ssrc {
            Some(ours) if ours != ssrc && self.candidate != Some(ssrc) => {
                self.candidate = Some(ssrc);
                Who::Stranger
            }
            Some(ours) if ours != ssrc => {
                *self = Self {
                    ssrc: Some(ssrc),
                    ..Self::default()
                };
                Who::Successor
            }
            _ => {
                self.ssrc = Some(ssrc);
                self.candidate = None;
                Who::Ours
            }
        }
    }

    /// Whether it is the one that plays, without a say in which one that is.
    pub fn is(&self, ssrc: u32) -> bool {
        self.ssrc == Some(ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Who::{Ours, Stranger, Successor};

    #[test]
    fn judges() {
        let mut source = Source::default();
        let verdicts = [1, 1, 2, 1, 2, 3, 2, 2, 2, 1].map(|ssrc| source.judge(ssrc));
        let want = [
            Ours, Ours, Stranger, Ours, Stranger, Stranger, Stranger, Successor, Ours, Stranger,
        ];
        assert_eq!(verdicts, want);
    }
}
