//! Subscriptions after a connection came up, in the order the SDK makes them (genesys-protocol 2.2, 3.6). Pure.

/// What is to be done, or awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: no connection, or its first service discovery is not answered yet.
    #[default]
    Waiting,
    /// XMPP subscription to the conversations: without it there is no phone.
    Conversations,
    /// The REST list. The first one lacks the persistent connection's topic, which comes after it.
    Put { first: bool },
    /// XMPP subscription to the persistent connection.
    PersistentConnection,
    /// All made.
    Done,
}

/// Which subscriptions the channel in use has.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    step: Step,
    /// Channel on which all were made.
    channel: Option<String>,
    /// Whether all were ever made.
    ever: bool,
}

impl Setup {
    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// A connection on `channel` is up. A channel keeps its subscriptions, so a soft reconnect makes none; a new
    /// channel gets the whole list by REST.
    pub(crate) fn begin(&mut self, channel: &str) -> Step {
        self.step = if self.channel.as_deref() == Some(channel) {
            Step::Done
        } else if self.ever {
            Step::Put { first: false }
        } else {
            Step::Conversations
        };
        self.step
    }

    /// The current step succeeded. The next one.
    pub(crate) fn advance(&mut self, channel: &str) -> Step {
        self.step = match self.step {
            Step::Conversations => Step::Put { first: true },
            Step::Put { first: true } => Step::PersistentConnection,
            Step::Put { first: false } | Step::PersistentConnection => {
                self.channel = Some(channel.to_owned());
                self.ever = true;
                Step::Done
            }
            Step::Waiting | Step::Done => self.step,
        };
        self.step
    }

    /// Goes on although the list could not be made on a later connection: it is tried again beside the calls.
    pub(crate) fn postpone(&mut self) {
        self.step = Step::Done;
    }

    /// The connection is gone.
    pub(crate) fn stop(&mut self) {
        self.step = Step::Waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::{Setup, Step};

    #[test]
    fn first_soft_and_hard_connections() {
        let mut setup = Setup::default();
        assert_eq!(setup.begin("ch1"), Step::Conversations);
        assert_eq!(setup.advance("ch1"), Step::Put { first: true });
        assert_eq!(setup.advance("ch1"), Step::PersistentConnection);
        assert_eq!(setup.advance("ch1"), Step::Done);
        setup.stop();
        assert_eq!(setup.begin("ch1"), Step::Done, "soft");
        setup.stop();
        assert_eq!(setup.begin("ch2"), Step::Put { first: false }, "hard");
        assert_eq!(setup.advance("ch2"), Step::Done);
        assert_eq!(setup.begin("ch2"), Step::Done);
    }

    #[test]
    fn a_first_setup_that_broke_off_starts_over_even_on_the_same_channel() {
        let mut setup = Setup::default();
        setup.begin("ch1");
        setup.advance("ch1");
        setup.stop();
        assert_eq!(setup.begin("ch1"), Step::Conversations);
    }

    #[test]
    fn a_postponed_list_is_made_again_on_the_next_connection() {
        let mut setup = Setup::default();
        setup.begin("ch1");
        for _ in 0..3 {
            setup.advance("ch1");
        }
        setup.begin("ch2");
        setup.postpone();
        assert_eq!(setup.step(), Step::Done);
        assert_eq!(setup.begin("ch2"), Step::Put { first: false });
    }
}
