//! Identifiers of the wire. All are opaque text; the types keep them from being mixed up.

use crate::device::Private;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A conversation (`C`); what REST replies, proposals and events are correlated by.
    ConversationId
}
id! {
    /// A WebRTC session (`S`): propose `id` = Jingle `sid` = JSON `sessionId`.
    SessionId
}
id! {
    /// A participant of a conversation (`P`).
    ParticipantId
}
id! {
    /// A communication, that is one call of one participant (`K`).
    CommunicationId
}
id! {
    /// A user (`U`).
    UserId
}
id! {
    /// A station (`ST`).
    StationId
}

/// An XMPP address. A gateway's contains the caller's number, so `Debug` hides it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jid(Private);

impl Jid {
    /// Takes `text` as it came.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Private::new(text))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }

    /// Without the resource.
    #[must_use]
    pub fn bare(&self) -> Jid {
        Jid::new(self.as_str().split('/').next().unwrap_or_default())
    }

    /// Between `@` and `/`.
    pub fn domain(&self) -> &str {
        let bare = self.as_str().split('/').next().unwrap_or_default();
        bare.split_once('@').map_or(bare, |(_, domain)| domain)
    }

    /// Whether this is a softphone gateway: `/.*@.*gjoll.*/i` (genesys-protocol 5.1).
    pub fn is_softphone_gateway(&self) -> bool {
        self.as_str()
            .split_once('@')
            .is_some_and(|(_, rest)| rest.to_ascii_lowercase().contains("gjoll"))
    }
}

impl From<&str> for Jid {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Jid;

    #[test]
    fn jid_parts_and_the_gateway_test() {
        let gateway = Jid::from("+155555555@org.GJOLL.test/abc");
        assert_eq!(gateway.bare().as_str(), "+155555555@org.GJOLL.test");
        assert_eq!(gateway.domain(), "org.GJOLL.test");
        assert!(gateway.is_softphone_gateway());
        assert!(!Jid::from("gjoll@acme.test").is_softphone_gateway());
        assert!(!format!("{gateway:?}").contains("155555"));
    }
}
