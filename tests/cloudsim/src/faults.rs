//! What a test wants to go wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::ms;
use crate::tls::TlsFault;

/// Something to go wrong, as the control API and [`crate::Handle::inject`] take it. `user` is an
/// id or a name; empty for the only user there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "fault",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Fault {
    /// The next REST requests that match fail or wait.
    Rest(RestFault),
    /// The next client IQ whose child has this namespace is answered with an error.
    Iq(IqFault),
    /// The next SASL attempt fails with this condition, e.g. `temporary-auth-failure`.
    Sasl {
        /// Whose.
        #[serde(default)]
        user: String,
        /// A condition of RFC 6120 section 6.5.
        condition: String,
    },
    /// A raw frame to all of a user's sockets.
    Raw {
        /// Whose.
        #[serde(default)]
        user: String,
        /// The frame.
        frame: String,
    },
    /// A frame that is not XML, to all of a user's sockets.
    Malformed {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The sockets of a user break without a word.
    DropSockets {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The sockets of a user are closed as RFC 7395 wants.
    CloseSockets {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The channels of a user are gone, and so their sockets.
    CloseChannels {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The sockets of a user stay open, but nothing is answered or sent.
    Silence {
        /// Whose.
        #[serde(default)]
        user: String,
        /// Whether it is so.
        silent: bool,
    },
    /// Connection transfer (`urn:xmpp:cxfr`).
    Transfer {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// Another connection took the channel (`no_longer_subscribed`).
    NoLongerSubscribed {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The resource is bound twice (`duplicate_id`).
    DuplicateId {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// The subscriptions of a user's channels expire (`streaming-subscriptions-expiring`).
    SubscriptionsExpiring {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// Every access token of a user runs out this much later.
    ExpireTokens {
        /// Whose.
        #[serde(default)]
        user: String,
        /// Seconds from now.
        #[serde(default)]
        seconds: u64,
    },
    /// Every refresh token of a user is taken back.
    RevokeRefreshTokens {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// An unasked server ping.
    Ping {
        /// Whose.
        #[serde(default)]
        user: String,
    },
    /// A token's time is over.
    ExpireToken {
        /// The token.
        token: String,
    },
    /// A token is taken back.
    RevokeToken {
        /// The token.
        token: String,
    },
    /// The certificate in new handshakes.
    Tls {
        /// What is wrong with it.
        tls: TlsFault,
    },
}

/// REST requests that go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RestFault {
    /// Only this user's requests, by id; empty: anybody's.
    pub user: String,
    /// Only this method; empty: any.
    pub method: String,
    /// Only paths that contain this; empty: any.
    pub path: String,
    /// The status to answer with, without doing anything; `None`: the usual reply.
    pub status: Option<u16>,
    /// The reply's body ends in the middle.
    pub truncate: bool,
    /// `Retry-After`, seconds.
    pub retry_after: Option<u64>,
    /// `code` of the error body; empty: one that fits the status.
    pub code: String,
    /// Wait this long before the reply.
    #[serde(with = "ms", rename = "delayMs")]
    pub delay: Duration,
    /// How many requests; 0 is for ever.
    pub times: u32,
}

impl Default for RestFault {
    fn default() -> Self {
        Self {
            user: String::new(),
            method: String::new(),
            path: String::new(),
            status: None,
            truncate: false,
            retry_after: None,
            code: String::new(),
            delay: Duration::ZERO,
            times: 1,
        }
    }
}

/// A client IQ that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IqFault {
    /// Only this user's, by id; empty: anybody's.
    pub user: String,
    /// Namespace of the IQ's child.
    pub namespace: String,
    /// Error type: `wait`, `cancel`, `modify`, `auth`.
    pub kind: String,
    /// A condition of RFC 6120 section 8.3.3.
    pub condition: String,
    /// `code` attribute, 429 for throttling.
    pub code: Option<u16>,
    /// No answer at all instead.
    pub unanswered: bool,
    /// How many; 0 is for ever.
    pub times: u32,
}

impl Default for IqFault {
    fn default() -> Self {
        Self {
            user: String::new(),
            namespace: String::new(),
            kind: "wait".into(),
            condition: "resource-constraint".into(),
            code: None,
            unanswered: false,
            times: 1,
        }
    }
}

/// The faults that wait for their moment.
#[derive(Debug, Default)]
pub struct Faults {
    rest: Vec<RestFault>,
    iq: Vec<IqFault>,
    sasl: Vec<(String, String)>,
}

impl Faults {
    /// Adds one for REST.
    pub fn add_rest(&mut self, fault: RestFault) {
        self.rest.push(fault);
    }

    /// Adds one for IQs.
    pub fn add_iq(&mut self, fault: IqFault) {
        self.iq.push(fault);
    }

    /// Adds one for a user's next SASL attempt.
    pub fn add_sasl(&mut self, user: String, condition: String) {
        self.sasl.push((user, condition));
    }

    /// The fault for this request, used up by it.
    pub fn rest(&mut self, user: Option<&str>, method: &str, path: &str) -> Option<RestFault> {
        take(&mut self.rest, |fault| {
            let its = fault.user.is_empty() || user == Some(&fault.user);
            let matches = its
                && (fault.method.is_empty() || fault.method.eq_ignore_ascii_case(method))
                && path.contains(&fault.path);
            (matches, &mut fault.times)
        })
    }

    /// The fault for an IQ with a child of this namespace.
    pub fn iq(&mut self, user: &str, namespace: &str) -> Option<IqFault> {
        take(&mut self.iq, |fault| {
            let its = fault.user.is_empty() || user == fault.user;
            (its && fault.namespace == namespace, &mut fault.times)
        })
    }

    /// The condition a user's SASL attempt fails with.
    pub fn sasl(&mut self, user: &str) -> Option<String> {
        let position = self.sasl.iter().position(|(whose, _)| whose == user)?;
        Some(self.sasl.remove(position).1)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn take<T: Clone>(
    faults: &mut Vec<T>,
    mut looks: impl FnMut(&mut T) -> (bool, &mut u32),
) -> Option<T> {
    let position = faults.iter_mut().position(|fault| looks(fault).0)?;
    let fault = faults[position].clone();
    let (_, times) = looks(&mut faults[position]);
    match *times {
        0 => {}
        1 => {
            faults.remove(position);
        }
        _ => *times -= 1,
    }
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up() {
        let mut faults = Faults::default();
        faults.add_rest(RestFault {
            path: "users".into(),
            times: 2,
            ..RestFault::default()
        });
        assert!(faults.rest(None, "GET", "/stations").is_none());
        assert!(faults.rest(None, "GET", "/users/me").is_some());
        assert!(faults.rest(Some("U"), "GET", "/users/me").is_some());
        assert!(faults.rest(None, "GET", "/users/me").is_none());
        faults.add_rest(RestFault {
            user: "U".into(),
            ..RestFault::default()
        });
        assert!(faults.rest(Some("V"), "GET", "/users/me").is_none());
        assert!(faults.rest(Some("U"), "GET", "/users/me").is_some());
        faults.add_iq(IqFault {
            namespace: "x".into(),
            times: 0,
            ..IqFault::default()
        });
        assert!((0..5).all(|_| faults.iq("U", "x").is_some()) && faults.iq("U", "y").is_none());
        faults.add_sasl("U".into(), "not-authorized".into());
        assert_eq!(faults.sasl("V"), None);
        assert_eq!(faults.sasl("U").as_deref(), Some("not-authorized"));
        assert_eq!(faults.sasl("U"), None);
    }

    #[test]
    fn faults_read_as_json() {
        let fault: Fault =
            serde_json::from_str(r#"{"fault":"rest","path":"calls","status":429,"retryAfter":2}"#)
                .unwrap();
        let Fault::Rest(fault) = fault else {
            panic!("{fault:?}")
        };
        assert_eq!(
            (fault.status, fault.retry_after, fault.times),
            (Some(429), Some(2), 1)
        );
        let fault: Fault = serde_json::from_str(r#"{"fault":"tls","tls":"unknown-ca"}"#).unwrap();
        assert_eq!(
            fault,
            Fault::Tls {
                tls: TlsFault::UnknownCa
            }
        );
        let fault: Fault = serde_json::from_str(r#"{"fault":"dropSockets"}"#).unwrap();
        assert_eq!(
            fault,
            Fault::DropSockets {
                user: String::new()
            }
        );
    }
}
