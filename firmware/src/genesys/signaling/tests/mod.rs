//! Signaling as a whole: stanzas in, signals out; replies in, stanzas out.

mod jingle;

use super::{Answer, Handled, Outgoing, Signaling, condition, reason_from};
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::signal::{Candidate, Form, Reason, Reply, Signal};
use crate::genesys::stream::Own;
use crate::genesys::stream::iq::StanzaError;
use crate::genesys::xml::{Element, parse};
use proptest::prelude::*;

const FULL: &str = "5f0c@acme-1.orgspan.com/0265";
const PEER: &str = "+15551234567@acme.gjoll.test/x1";

fn own() -> Own {
    Own::new(Jid::from(FULL))
}

fn stanza(text: &str) -> Element {
    let text = text.replace("PEER", PEER).replace("FULL", FULL);
    parse(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn message(signaling: &mut Signaling, from: &str, child: &str) -> Option<Signal> {
    let text = format!(
        r#"<message xmlns="jabber:client" from="{from}" to="FULL"><{child} xmlns="urn:xmpp:jingle-message:0"/></message>"#
    );
    signaling.message(&own(), &stanza(&text))
}

fn request(signaling: &mut Signaling, from: &str, child: &str) -> Handled {
    let text = format!(
        r#"<iq xmlns="jabber:client" type="set" id="o1" from="{from}" to="FULL">{child}</iq>"#
    );
    let iq = stanza(&text);
    let child = iq.elements().next().expect("a child").clone();
    signaling
        .request(&own(), &iq, &child)
        .expect("call signaling")
}

fn rpc(signaling: &mut Signaling, from: &str, json: &str) -> Handled {
    let child = Element::new("genesys-webrtc", "genesys").with_text(json);
    request(signaling, from, &child.to_string())
}

fn jingle(signaling: &mut Signaling, from: &str, action: &str, inside: &str) -> Handled {
    let child =
        format!(r#"<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="S">{inside}</jingle>"#);
    request(signaling, from, &child)
}

const CONTENT: &str = r#"<content creator="initiator" name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"><payload-type id="0" name="PCMU" clockrate="8000"/></description><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="uf" pwd="pw"/></content>"#;

fn session() -> SessionId {
    SessionId::from("S")
}

fn written(outgoing: &[Outgoing]) -> String {
    outgoing
        .iter()
        .map(|o| match o {
            Outgoing::Message(element) | Outgoing::Request(element) => element.to_string(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn proposals_in_all_their_forms() {
    for (attributes, form, auto_answer, eager) in [
        (
            r#"inin-autoanswer="false" inin-sdp-over-xmpp="true""#,
            Form::SdpOverXmpp,
            false,
            false,
        ),
        (
            r#"inin-autoanswer="true" inin-sdp-over-xmpp="1""#,
            Form::SdpOverXmpp,
            true,
            false,
        ),
        (r#"inin-autoanswer="1""#, Form::Jingle, true, false),
        (
            r#"inin-autoanswer="yes" inin-sdp-over-xmpp="TRUE""#,
            Form::Jingle,
            false,
            false,
        ),
        (
            r#"inin-priv-answer-mode="Auto" inin-sdp-over-xmpp="true""#,
            Form::SdpOverXmpp,
            false,
            true,
        ),
        ("", Form::Jingle, false, false),
    ] {
        let child = format!(r#"propose id="S" inin-cid="C" {attributes}"#);
        let Some(Signal::Propose(propose)) = message(&mut Signaling::new(false), PEER, &child)
        else {
            panic!("a proposal: {attributes}");
        };
        assert_eq!(propose.form, form, "{attributes}");
        assert_eq!(
            (propose.auto_answer, propose.eager),
            (auto_answer, eager),
            "{attributes}"
        );
        assert_eq!(propose.from.as_str(), PEER);
        assert_eq!(propose.original_from.as_str(), PEER);
        assert_eq!(propose.to.as_str(), FULL);
        assert_eq!(
            (propose.session.as_str(), propose.conversation.as_str()),
            ("S", "C")
        );
    }
    let child = r#"propose id="S" inin-cid="C" inin-ofrom="room@x" inin-user-id="V""#;
    let Some(Signal::Propose(propose)) = message(&mut Signaling::new(false), PEER, child) else {
        panic!("a proposal");
    };
    assert_eq!(propose.original_from.as_str(), "room@x");
    assert_eq!(propose.from_user.as_deref(), Some("V"));
}

#[test]
fn a_repeated_proposal_keeps_its_first_form() {
    let mut signaling = Signaling::new(false);
    let form = |signal| match signal {
        Some(Signal::Propose(propose)) => propose.form,
        other => panic!("{other:?}"),
    };
    let json = r#"propose id="S" inin-cid="C" inin-sdp-over-xmpp="true""#;
    let jingle = r#"propose id="S" inin-cid="C""#;
    assert_eq!(form(message(&mut signaling, PEER, json)), Form::SdpOverXmpp);
    assert_eq!(
        form(message(&mut signaling, PEER, jingle)),
        Form::SdpOverXmpp
    );
}

#[test]
fn messages_that_are_not_for_the_phone() {
    for (from, child) in [
        (FULL, r#"propose id="S" inin-cid="C""#),
        (
            "room@conference.acme.test/x",
            r#"propose id="S" inin-cid="C""#,
        ),
        (PEER, r#"propose inin-cid="C""#),
        (PEER, r#"propose id="S""#),
        (PEER, r#"proceed id="S""#),
        (PEER, r#"ringing id="S""#),
    ] {
        let signal = message(&mut Signaling::new(false), from, child);
        assert_eq!(signal, None, "{from} {child}");
    }
    let plain =
        stanza(r#"<message xmlns="jabber:client" from="PEER"><body>hello</body></message>"#);
    assert_eq!(Signaling::new(false).message(&own(), &plain), None);
}

#[test]
fn what_other_clients_and_the_caller_say() {
    let mut signaling = Signaling::new(false);
    assert_eq!(
        message(&mut signaling, PEER, r#"retract id="S""#),
        Some(Signal::Retract { session: session() })
    );
    for word in ["accept", "reject"] {
        assert_eq!(
            message(&mut signaling, FULL, &format!(r#"{word} id="S""#)),
            Some(Signal::Handled {
                session: session(),
                from: Jid::from(FULL)
            })
        );
    }
}

#[test]
fn json_rpc_requests() {
    let mut signaling = Signaling::new(false);
    let handled = rpc(
        &mut signaling,
        PEER,
        r#"{"jsonrpc":"2.0","id":7,"method":"offer","params":{"sessionId":"S","conversationId":"C","sdp":"v=0\r\na=mid:main\r\n","reinvite":true}}"#,
    );
    assert_eq!(handled.answer, Answer::Silence);
    let [Signal::Offer(offer)] = handled.signals.as_slice() else {
        panic!("an offer");
    };
    assert_eq!(offer.sdp, "v=0\r\na=mid:main\r\n");
    assert!(offer.reinvite);
    assert_eq!(offer.request_id, "7");
    assert_eq!(offer.peer.as_str(), PEER);
    assert_eq!(offer.conversation, Some("C".into()));

    let candidate = |session: &str, mid: &str| Signal::Candidate {
        session: session.into(),
        candidate: Candidate {
            mid: mid.to_owned(),
            candidate: "candidate:1 1 udp 1 10.0.0.1 5 typ host".to_owned(),
        },
    };
    for (params, expected) in [
        (
            r#"{"sessionId":"S","sdp":"m=audio 9 RTP/AVP 0\r\na=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n"}"#,
            vec![candidate("S", "audio")],
        ),
        // Without `m=`: the media section of the offer, or the usual name.
        (
            r#"{"sessionId":"S","sdp":"a=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n"}"#,
            vec![candidate("S", "main")],
        ),
        (
            r#"{"sessionId":"T","sdp":"a=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n"}"#,
            vec![candidate("T", "audio")],
        ),
        (
            r#"{"sessionId":"S","sdp":"a=end-of-candidates\r\n"}"#,
            vec![Signal::EndOfCandidates { session: session() }],
        ),
    ] {
        let json =
            format!(r#"{{"jsonrpc":"2.0","id":"q","method":"iceCandidate","params":{params}}}"#);
        assert_eq!(
            rpc(&mut signaling, PEER, &json).signals,
            expected,
            "{params}"
        );
    }
    for (reason, expected) in [
        (
            r#","reason":"alternative-session""#,
            Reason::AlternativeSession,
        ),
        (r#","reason":"boredom""#, Reason::Success),
        ("", Reason::Success),
    ] {
        let json = format!(r#"{{"method":"terminate","params":{{"sessionId":"S"{reason}}}}}"#);
        let signals = rpc(&mut signaling, PEER, &json).signals;
        assert_eq!(
            signals,
            [Signal::Terminate {
                session: session(),
                reason: expected
            }]
        );
    }
}

#[test]
fn bad_and_unknown_json_rpc() {
    let mut signaling = Signaling::new(false);
    let bad = Answer::Error(StanzaError::BAD_REQUEST);
    for (json, answer) in [
        ("not json", bad),
        ("", bad),
        (r#"{"method":"offer"}"#, bad),
        (r#"{"method":"offer","params":{"sessionId":"S"}}"#, bad),
        (
            r#"{"method":"offer","params":{"sessionId":7,"sdp":"v=0"}}"#,
            bad,
        ),
        (r#"{"method":"terminate","params":[]}"#, bad),
        (
            r#"{"method":"mute","params":{"sessionId":"S"}}"#,
            Answer::Silence,
        ),
        (r#"{"jsonrpc":"2.0","id":"x","result":{}}"#, Answer::Silence),
        ("[]", Answer::Silence),
        ("{}", Answer::Silence),
    ] {
        let handled = rpc(&mut signaling, PEER, json);
        assert_eq!(handled.answer, answer, "{json}");
        assert!(handled.signals.is_empty(), "{json}");
    }
    let offer = r#"{"method":"offer","params":{"sessionId":"S","sdp":"v=0"}}"#;
    let stranger = rpc(&mut signaling, "room@conference.acme.test/x", offer);
    assert!(stranger.signals.is_empty());
}

#[test]
fn replies_over_json_rpc() {
    let mut signaling = Signaling::new(false);
    let (to, form) = (Jid::from(PEER), Form::SdpOverXmpp);
    let mut write = |reply: Reply| {
        let text = written(&signaling.reply(&own(), &reply));
        // Ids are random.
        match text.rsplit_once(r#","id":""#) {
            Some((before, _)) => before.to_owned(),
            None => text,
        }
    };
    let head = format!(
        r#"<iq xmlns="jabber:client" type="set" from="{FULL}" to="{PEER}"><genesys-webrtc xmlns="genesys">{{"jsonrpc":"2.0","#
    );
    assert_eq!(
        write(Reply::Answer {
            session: session(),
            to: to.clone(),
            form,
            sdp: "v=0\r\na=<&>\r\n".to_owned()
        }),
        head.clone()
            + r#""method":"answer","params":{"sdp":"v=0\r\na=&lt;&amp;&gt;\r\n","sessionId":"S"}"#
    );
    assert_eq!(
        write(Reply::EndOfCandidates {
            session: session(),
            to: to.clone(),
            form
        }),
        head.clone()
            + r#""method":"iceCandidate","params":{"sessionId":"S","sdp":"a=end-of-candidates\r\n"}"#
    );
    assert_eq!(
        write(Reply::Active {
            session: session(),
            to: to.clone(),
            form
        }),
        head.clone() + r#""params":{"sessionId":"S","status":"active"},"method":"info""#
    );
    assert_eq!(
        write(Reply::Terminate {
            session: session(),
            to: to.clone(),
            form,
            reason: Reason::AlternativeSession
        }),
        head + r#""method":"terminate","params":{"sessionId":"S","reason":"alternative-session"}"#
    );
    assert_eq!(
        write(Reply::Proceed {
            session: session(),
            to
        }),
        format!(
            r#"<message xmlns="jabber:client" to="{PEER}"><proceed xmlns="urn:xmpp:jingle-message:0" id="S"/></message>"#
        )
    );
    assert_eq!(
        write(Reply::Accept { session: session() }),
        r#"<message xmlns="jabber:client" to="5f0c@acme-1.orgspan.com"><accept xmlns="urn:xmpp:jingle-message:0" id="S"/></message>"#
    );
}

#[test]
fn hidden_addresses_are_sent_only_where_allowed() {
    for (ipv6, expected) in [(false, 0), (true, 1)] {
        let reply = Reply::Candidate {
            session: session(),
            to: Jid::from(PEER),
            form: Form::SdpOverXmpp,
            candidate: Candidate {
                mid: "0".to_owned(),
                candidate: "candidate:1 1 udp 5 fd00::2 9 typ host".to_owned(),
            },
        };
        assert_eq!(Signaling::new(ipv6).reply(&own(), &reply).len(), expected);
    }
}

#[test]
fn reasons_are_words_and_words_are_reasons() {
    for (reason, word) in [
        (Reason::AlternativeSession, "alternative-session"),
        (Reason::FailedTransport, "failed-transport"),
        (Reason::Success, "success"),
    ] {
        assert_eq!(condition(reason), word);
        assert_eq!(reason_from(word), reason);
    }
}

proptest! {
    #[test]
    fn no_json_panics(json in r#"(\{|\}|\[|\]|"(method|params|sessionId|sdp|offer|iceCandidate|terminate)"|:|,|[ -~]){0,40}"#) {
        rpc(&mut Signaling::new(false), PEER, &json);
    }

    #[test]
    fn no_fragment_panics(sdp in "(m=|a=|candidate:|\\\\|\r|\n|typ|[ -~]){0,40}") {
        let json = serde_json::json!({"method":"iceCandidate","params":{"sessionId":"S","sdp":sdp}});
        rpc(&mut Signaling::new(false), PEER, &json.to_string());
    }

    #[test]
    fn no_answer_of_our_media_panics(sdp in "(m=audio 9 X 0|a=|ssrc:|rtpmap:|fmtp:|extmap:|\r\n|[ -~]){0,40}") {
        let mut signaling = Signaling::new(false);
        jingle(&mut signaling, PEER, "session-initiate", CONTENT);
        signaling.reply(&own(), &jingle::answer(&sdp));
    }
}
