//! From the open socket to the bound resource (genesys-protocol 3.3), message by message.

use super::Own;
use crate::device::Private;
use crate::genesys::CloudError;
use crate::genesys::id::Jid;
use crate::genesys::xml::{Element, ns};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// SASL conditions after which a new channel may help; every other one means that the token is refused (3.3).
const RETRYABLE: [&str; 5] = [
    "encryption-required",
    "incorrect-encoding",
    "invalid-mechanism",
    "malformed-request",
    "mechanism-too-weak",
];

/// Signs in on one socket.
pub(crate) struct Negotiation {
    bare: Jid,
    resource: String,
    token: Private,
    state: State,
    connection_id: String,
}

#[derive(Clone, PartialEq)]
enum State {
    /// Waits for the features that offer mechanisms.
    Mechanisms,
    Authenticating,
    /// Waits for the features that offer binding.
    Features,
    Binding {
        id: String,
        session: bool,
    },
    StartingSession {
        id: String,
        own: Own,
    },
}

/// What to do after a stanza.
pub(crate) enum Step {
    Send(Element),
    Wait,
    Done(Bound),
}

/// Signed in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub own: Own,
    /// `id` of the last server `<open>`.
    pub connection_id: String,
}

/// Signing in failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub error: Box<CloudError>,
    /// The next attempt needs a new channel.
    pub hard: bool,
}

impl Negotiation {
    pub(crate) fn new(bare: Jid, resource: &str, token: Private) -> Self {
        Self {
            bare,
            resource: resource.to_owned(),
            token,
            state: State::Mechanisms,
            connection_id: String::new(),
        }
    }

    /// The client's `<open>`: sent first, and again after SASL.
    pub(crate) fn open(&self) -> Element {
        Element::new("open", ns::FRAMING)
            .with("xml:lang", "en")
            .with("to", self.bare.domain())
            .with("version", "1.0")
    }

    /// Takes the server's next stanza.
    pub(crate) fn handle(&mut self, stanza: &Element) -> Result<Step, Refused> {
        match (stanza.name.as_str(), stanza.ns.as_str()) {
            ("open", ns::FRAMING) => {
                stanza
                    .attribute("id")
                    .unwrap_or_default()
                    .clone_into(&mut self.connection_id);
                Ok(Step::Wait)
            }
            ("close", ns::FRAMING) => Err(unexpected("the server closed the stream".to_owned())),
            ("error", ns::STREAM) => Err(unexpected(format!("stream error {}", condition(stanza)))),
            ("failure", ns::SASL) => Err(sasl_failure(&condition(stanza))),
            ("features", ns::STREAM) => self.features(stanza),
            ("success", ns::SASL) if self.state == State::Authenticating => {
                self.state = State::Features;
                Ok(Step::Send(self.open()))
            }
            ("iq", _) => self.reply(stanza),
            _ => Ok(Step::Wait),
        }
    }

    fn features(&mut self, features: &Element) -> Result<Step, Refused> {
        match self.state {
            State::Mechanisms => {
                let offered: Vec<String> = features
                    .child("mechanisms", ns::SASL)
                    .map(|list| {
                        list.children("mechanism", ns::SASL)
                            .map(Element::text)
                            .collect()
                    })
                    .unwrap_or_default();
                if !offered.iter().any(|mechanism| mechanism == "PLAIN") {
                    return Err(unexpected(format!(
                        "it offers no PLAIN authentication, only [{}]",
                        offered.join(", ")
                    )));
                }
                self.state = State::Authenticating;
                Ok(Step::Send(self.auth()))
            }
            State::Features => {
                if features.child("bind", ns::BIND).is_none() {
                    return Err(unexpected("it offers no resource binding".to_owned()));
                }
                // RFC 3921 session: only where offered and not optional.
                let session = features
                    .child("session", ns::SESSION)
                    .is_some_and(|session| session.child("optional", ns::SESSION).is_none());
                let id = uuid::Uuid::new_v4().to_string();
                let bind = Element::new("bind", ns::BIND)
                    .with_child(Element::new("resource", ns::BIND).with_text(&self.resource));
                let request = request(&id, bind);
                self.state = State::Binding { id, session };
                Ok(Step::Send(request))
            }
            _ => Ok(Step::Wait),
        }
    }

    /// `base64(NUL BARE NUL "authKey:" TOKEN)`: the user name is the whole bare JID.
    fn auth(&self) -> Element {
        let secret = format!("\0{}\0authKey:{}", self.bare.as_str(), self.token.expose());
        Element::new("auth", ns::SASL)
            .with("mechanism", "PLAIN")
            .with_text(&STANDARD.encode(secret))
    }

    fn reply(&mut self, iq: &Element) -> Result<Step, Refused> {
        let failed = iq.attribute("type") == Some("error");
        match self.state.clone() {
            State::Binding { id, session } if iq.attribute("id") == Some(&id) => {
                if failed {
                    return Err(unexpected("it refused to bind the resource".to_owned()));
                }
                let jid = iq
                    .child("bind", ns::BIND)
                    .and_then(|bind| bind.child("jid", ns::BIND))
                    .map(Element::text)
                    .filter(|jid| !jid.trim().is_empty())
                    .ok_or_else(|| unexpected("the bind result has no JID".to_owned()))?;
                let own = Own::new(Jid::new(jid.trim()));
                if !session {
                    return Ok(self.done(own));
                }
                let id = uuid::Uuid::new_v4().to_string();
                let request = request(&id, Element::new("session", ns::SESSION));
                self.state = State::StartingSession { id, own };
                Ok(Step::Send(request))
            }
            State::StartingSession { id, own } if iq.attribute("id") == Some(&id) => {
                if failed {
                    return Err(unexpected("it refused to start the session".to_owned()));
                }
                Ok(self.done(own))
            }
            _ => Ok(Step::Wait),
        }
    }

    fn done(&self, own: Own) -> Step {
        Step::Done(Bound {
            own,
            connection_id: self.connection_id.clone(),
        })
    }
}

fn request(id: &str, child: Element) -> Element {
    Element::new("iq", ns::CLIENT)
        .with("id", id)
        .with("type", "set")
        .with_child(child)
}

fn condition(stanza: &Element) -> String {
    let name = stanza.elements().find(|child| child.name != "text");
    name.map_or("without condition", |child| child.name.as_str())
        .chars()
        .take(64)
        .collect()
}

fn unexpected(detail: String) -> Refused {
    Refused {
        error: Box::new(CloudError::Protocol {
            what: "the streaming server",
            detail,
        }),
        hard: false,
    }
}

fn sasl_failure(condition: &str) -> Refused {
    if RETRYABLE.contains(&condition) {
        Refused {
            hard: true,
            ..unexpected(format!("SASL failure {condition}"))
        }
    } else {
        Refused {
            error: Box::new(CloudError::InvalidToken {
                detail: format!("SASL failure {condition}"),
            }),
            hard: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Negotiation, Refused, Step};
    use crate::device::Private;
    use crate::genesys::CloudError;
    use crate::genesys::id::Jid;
    use crate::genesys::xml::parse;

    const MECHANISMS: &str = r#"<stream:features xmlns:stream="http://etherx.jabber.org/streams"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>"#;
    const SUCCESS: &str = r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#;
    const OPEN: &str =
        r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" id="strm-2" version="1.0"/>"#;

    fn features(inside: &str) -> String {
        format!(
            r#"<stream:features xmlns:stream="http://etherx.jabber.org/streams">{inside}</stream:features>"#
        )
    }

    fn negotiation() -> Negotiation {
        Negotiation::new(
            Jid::from("5f0c@acme-1.orgspan.com"),
            "RES",
            Private::from("TOKEN"),
        )
    }

    /// Feeds stanzas; `{id}` stands for the id of what was sent last. Returns what the last one led to.
    fn feed(negotiation: &mut Negotiation, stanzas: &[&str]) -> Result<Step, Refused> {
        let mut sent_id = String::new();
        let mut last = Ok(Step::Wait);
        for text in stanzas {
            let stanza = parse(&text.replace("{id}", &sent_id)).expect("a stanza");
            last = negotiation.handle(&stanza);
            match &last {
                Ok(Step::Send(sent)) => {
                    sent_id = sent.attribute("id").unwrap_or_default().to_owned();
                }
                Ok(_) => {}
                Err(_) => return last,
            }
        }
        last
    }

    const BIND_RESULT: &str = r#"<iq xmlns="jabber:client" id="{id}" type="result"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>5f0c@acme-1.orgspan.com/OTHER</jid></bind></iq>"#;

    #[test]
    fn the_session_step_is_taken_only_where_it_is_wanted() {
        let bind = r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>"#;
        for (session, expects_session) in [
            ("", false),
            (
                r#"<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session>"#,
                false,
            ),
            (
                r#"<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/>"#,
                true,
            ),
        ] {
            let offered = features(&format!("{bind}{session}"));
            let mut negotiation = negotiation();
            let steps = [OPEN, MECHANISMS, SUCCESS, OPEN, &offered, BIND_RESULT];
            let bound = match feed(&mut negotiation, &steps) {
                Ok(Step::Done(bound)) if !expects_session => bound,
                Ok(Step::Send(session)) if expects_session => {
                    let id = session.attribute("id").expect("an id");
                    let result = format!(r#"<iq xmlns="jabber:client" id="{id}" type="result"/>"#);
                    match feed(&mut negotiation, &[&result]) {
                        Ok(Step::Done(bound)) => bound,
                        _ => panic!("the session result ends it"),
                    }
                }
                _ => panic!("unexpected step for {session}"),
            };
            // The server's word on the resource counts.
            assert_eq!(bound.own.full.as_str(), "5f0c@acme-1.orgspan.com/OTHER");
            assert_eq!(bound.own.domain(), "acme-1.orgspan.com");
            assert_eq!(bound.connection_id, "strm-2");
        }
    }

    #[test]
    fn sasl_failures_fall_into_two_classes() {
        for (condition, token_refused) in [
            ("<encryption-required/>", false),
            ("<incorrect-encoding/>", false),
            ("<invalid-mechanism/>", false),
            ("<malformed-request/>", false),
            ("<mechanism-too-weak/>", false),
            ("<not-authorized/>", true),
            ("<temporary-auth-failure/>", true),
            ("<account-disabled/><text>x</text>", true),
            ("", true),
        ] {
            let failure = format!(
                r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl">{condition}</failure>"#
            );
            let Err(refused) = feed(&mut negotiation(), &[OPEN, MECHANISMS, &failure]) else {
                panic!("{condition} must fail");
            };
            let is_token = matches!(*refused.error, CloudError::InvalidToken { .. });
            assert_eq!(is_token, token_refused, "{condition}");
            assert_eq!(refused.hard, !token_refused, "{condition}");
        }
    }

    #[test]
    fn what_ends_an_attempt_is_named() {
        let no_plain = features(
            r#"<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>ANONYMOUS</mechanism></mechanisms>"#,
        );
        let no_bind = features("");
        let bind = features(r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>"#);
        let bind_error = r#"<iq xmlns="jabber:client" id="{id}" type="error"><error type="cancel"><conflict xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>"#;
        let no_jid = r#"<iq xmlns="jabber:client" id="{id}" type="result"/>"#;
        let stream_error = r#"<stream:error xmlns:stream="http://etherx.jabber.org/streams"><text xmlns="u">x</text><host-unknown xmlns="u"/></stream:error>"#;
        let close = r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#;
        for (stanzas, expected) in [
            (vec![OPEN, no_plain.as_str()], "only [ANONYMOUS]"),
            (
                vec![OPEN, MECHANISMS, SUCCESS, OPEN, no_bind.as_str()],
                "no resource binding",
            ),
            (
                vec![OPEN, MECHANISMS, SUCCESS, OPEN, bind.as_str(), bind_error],
                "refused to bind",
            ),
            (
                vec![OPEN, MECHANISMS, SUCCESS, OPEN, bind.as_str(), no_jid],
                "has no JID",
            ),
            (vec![OPEN, stream_error], "host-unknown"),
            (vec![OPEN, close], "closed the stream"),
        ] {
            let Err(refused) = feed(&mut negotiation(), &stanzas) else {
                panic!("{expected}: must fail");
            };
            let text = refused.error.to_string();
            assert!(text.contains(expected), "{text}");
            assert!(!refused.hard);
        }
    }

    #[test]
    fn replies_to_others_and_noise_are_passed_over() {
        let bind = features(r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>"#);
        let other = r#"<iq xmlns="jabber:client" id="other" type="result"/>"#;
        let noise = r#"<message xmlns="jabber:client"/>"#;
        let mut negotiation = negotiation();
        let steps = [
            noise, OPEN, MECHANISMS, noise, SUCCESS, SUCCESS, OPEN, &bind,
        ];
        assert!(matches!(feed(&mut negotiation, &steps), Ok(Step::Send(_))));
        assert!(matches!(
            feed(&mut negotiation, &[other, noise]),
            Ok(Step::Wait)
        ));
    }
}
