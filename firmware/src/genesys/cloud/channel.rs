//! Which notification channel the next connection uses (genesys-protocol 3.6).

/// So many connections in a row may use one channel; the tenth reuse is forced to take a new one.
const MAX_REUSES: u32 = 10;

/// The channel, and whether it may be used again.
#[derive(Debug, Default)]
pub(super) struct Channel {
    id: Option<String>,
    reuses: u32,
}

impl Channel {
    /// The channel for a soft connection, or `None` when a new one is to be made.
    pub(super) fn reuse(&mut self) -> Option<&str> {
        let id = self.id.as_deref()?;
        self.reuses += 1;
        (self.reuses < MAX_REUSES).then_some(id)
    }

    /// A new channel was made.
    pub(super) fn created(&mut self, id: &str) {
        self.id = Some(id.to_owned());
        self.reuses = 0;
    }

    /// The next connection is hard.
    pub(super) fn forget(&mut self) {
        self.id = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;

    #[test]
    fn nine_reuses_then_a_new_one() {
        let mut channel = Channel::default();
        assert_eq!(channel.reuse(), None);
        channel.created("ch1");
        for _ in 0..9 {
            assert_eq!(channel.reuse(), Some("ch1"));
        }
        assert_eq!(channel.reuse(), None);
        channel.created("ch2");
        assert_eq!(channel.reuse(), Some("ch2"));
        channel.forget();
        assert_eq!(channel.reuse(), None);
    }
}
