//! Jingle sessions from the responder's side.

use super::super::{Answer, Signaling};
use super::{CONTENT, PEER, jingle, message, own, request, session, written};
use crate::genesys::id::Jid;
use crate::genesys::signal::{Candidate, Form, Reason, Reply, Signal};
use crate::genesys::stream::iq::StanzaError;

/// An answered Jingle session.
pub(super) fn accepted() -> Signaling {
    let mut signaling = Signaling::new(false);
    jingle(&mut signaling, PEER, "session-initiate", CONTENT);
    let accept = signaling.reply(&own(), &answer("a=ice-ufrag:own\r\na=ice-pwd:secret\r\n"));
    assert!(written(&accept).contains(r#"action="session-accept""#));
    signaling
}

pub(super) fn answer(ice: &str) -> Reply {
    Reply::Answer {
        session: session(),
        to: Jid::from(PEER),
        form: Form::Jingle,
        sdp: format!("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:audio\r\n{ice}"),
    }
}

#[test]
fn a_jingle_call_from_offer_to_end() {
    let mut signaling = Signaling::new(false);
    let handled = jingle(&mut signaling, PEER, "session-initiate", CONTENT);
    assert_eq!(handled.answer, Answer::Result);
    let [Signal::Offer(offer)] = handled.signals.as_slice() else {
        panic!("an offer");
    };
    assert_eq!(
        (offer.form, offer.conversation.as_ref(), offer.reinvite),
        (Form::Jingle, None, false)
    );
    assert!(offer.sdp.contains("a=ice-ufrag:uf\r\n"), "{}", offer.sdp);

    let mut signaling = accepted();
    let (to, form) = (Jid::from(PEER), Form::Jingle);
    let candidate = Reply::Candidate {
        session: session(),
        to: to.clone(),
        form,
        candidate: Candidate {
            mid: "audio".to_owned(),
            candidate: "candidate:3905730988 1 udp 2122194687 127.0.0.1 44806 typ host".to_owned(),
        },
    };
    let head = format!(
        r#"<iq xmlns="jabber:client" to="{PEER}" type="set"><jingle xmlns="urn:xmpp:jingle:1" sid="S""#
    );
    for (reply, expected) in [
        (
            candidate,
            r#" action="transport-info"><content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="own"><candidate component="1" foundation="3905730988" ip="127.0.0.1" port="44806" priority="2122194687" protocol="udp" type="host"/></transport></content></jingle></iq>"#,
        ),
        (
            Reply::EndOfCandidates {
                session: session(),
                to: to.clone(),
                form,
            },
            r#" action="transport-info"><content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="own"><gathering-complete/></transport></content></jingle></iq>"#,
        ),
        (
            Reply::Active {
                session: session(),
                to: to.clone(),
                form,
            },
            r#" action="session-info"><active xmlns="urn:xmpp:jingle:apps:rtp:info:1"/></jingle></iq>"#,
        ),
        (
            Reply::Terminate {
                session: session(),
                to: to.clone(),
                form,
                reason: Reason::Success,
            },
            r#" action="session-terminate"><reason><success/></reason></jingle></iq>"#,
        ),
    ] {
        assert_eq!(
            written(&signaling.reply(&own(), &reply)),
            format!("{head}{expected}")
        );
    }
    let active = Reply::Active {
        session: session(),
        to,
        form,
    };
    assert!(
        signaling.reply(&own(), &active).is_empty(),
        "the session has ended"
    );
}

#[test]
fn what_the_gateway_says_in_a_jingle_session() {
    let ufrag = r#"<content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="uf" pwd="pw">"#;
    let candidate = format!(
        r#"{ufrag}<candidate component="1" foundation="1" ip="203.0.113.5" port="16384" priority="5" protocol="udp" type="host"/><gathering-complete/></transport></content>"#
    );
    let handled = jingle(&mut accepted(), PEER, "transport-info", &candidate);
    assert_eq!(
        handled.signals,
        [
            Signal::Candidate {
                session: session(),
                candidate: Candidate {
                    mid: "audio".to_owned(),
                    candidate: "candidate:1 1 udp 5 203.0.113.5 16384 typ host".to_owned(),
                }
            },
            Signal::EndOfCandidates { session: session() }
        ]
    );
    for (inside, reason) in [
        ("<reason><busy/><text>no</text></reason>", Reason::Busy),
        ("<reason><media-error/></reason>", Reason::MediaError),
        ("<reason><bored/></reason>", Reason::Success),
        ("", Reason::Success),
    ] {
        let handled = jingle(&mut accepted(), PEER, "session-terminate", inside);
        assert_eq!(handled.answer, Answer::Result);
        assert_eq!(
            handled.signals,
            [Signal::Terminate {
                session: session(),
                reason
            }]
        );
    }
    for (action, inside, answer) in [
        (
            "session-info",
            r#"<active xmlns="urn:xmpp:jingle:apps:rtp:info:1"/>"#,
            Answer::Result,
        ),
        ("session-info", "", Answer::Result),
        (
            "session-info",
            r#"<screen-start xmlns="x"/>"#,
            Answer::Error(StanzaError::UNSUPPORTED_INFO),
        ),
        (
            "session-accept",
            "",
            Answer::Error(StanzaError::OUT_OF_ORDER),
        ),
        (
            "session-initiate",
            CONTENT,
            Answer::Error(StanzaError::OUT_OF_ORDER),
        ),
        ("description-info", "", Answer::Result),
        (
            "transport-info",
            r#"<content name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1"><candidate/></transport></content>"#,
            Answer::Error(StanzaError::BAD_REQUEST),
        ),
    ] {
        let handled = jingle(&mut accepted(), PEER, action, inside);
        assert_eq!(handled.answer, answer, "{action} {inside}");
        assert!(handled.signals.is_empty(), "{action} {inside}");
    }
    for (action, refusal) in [
        (
            "content-add",
            r#"action="content-reject"><content creator="initiator" name="v"/><reason><failed-application/>"#,
        ),
        (
            "transport-replace",
            r#"action="transport-reject"><content creator="initiator" name="v"/><reason><failed-transport/>"#,
        ),
    ] {
        let handled = jingle(&mut accepted(), PEER, action, r#"<content name="v"/>"#);
        assert_eq!(handled.answer, Answer::Result);
        let text = handled.follow_up[0].to_string();
        assert!(text.contains(refusal), "{text}");
    }
}

#[test]
fn jingle_requests_that_are_refused() {
    let unknown = Answer::Error(StanzaError::UNKNOWN_SESSION);
    for (action, answer) in [
        ("transport-info", unknown),
        ("session-info", unknown),
        ("session-accept", unknown),
        ("session-terminate", Answer::Result),
    ] {
        let handled = jingle(&mut Signaling::new(false), PEER, action, "");
        assert_eq!(handled.answer, answer, "{action}");
        assert!(handled.signals.is_empty());
    }
    let other = "+1999@acme.gjoll.test/other";
    for (action, answer) in [
        (
            "session-initiate",
            Answer::Error(StanzaError::SERVICE_UNAVAILABLE),
        ),
        ("session-terminate", unknown),
        ("transport-info", unknown),
    ] {
        let handled = jingle(&mut accepted(), other, action, CONTENT);
        assert_eq!(handled.answer, answer, "{action} by another sender");
        assert!(handled.signals.is_empty());
    }
    let mut signaling = Signaling::new(false);
    for (from, inside, error) in [
        (PEER, "", StanzaError::BAD_REQUEST),
        (
            PEER,
            r#"<content creator="initiator"/>"#,
            StanzaError::BAD_REQUEST,
        ),
        (
            "room@conference.acme.test",
            CONTENT,
            StanzaError::SERVICE_UNAVAILABLE,
        ),
    ] {
        let handled = jingle(&mut signaling, from, "session-initiate", inside);
        assert_eq!(handled.answer, Answer::Error(error), "{from} {inside}");
    }
    let no_sid = request(
        &mut signaling,
        PEER,
        r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-info"/>"#,
    );
    assert_eq!(no_sid.answer, Answer::Error(StanzaError::BAD_REQUEST));
}

#[test]
fn a_jingle_offer_beside_json_rpc_is_swallowed() {
    let mut signaling = Signaling::new(false);
    message(
        &mut signaling,
        PEER,
        r#"propose id="S" inin-cid="C" inin-sdp-over-xmpp="true""#,
    );
    let handled = jingle(&mut signaling, PEER, "session-initiate", CONTENT);
    assert_eq!(handled.answer, Answer::Silence);
    assert!(handled.signals.is_empty() && handled.follow_up.is_empty());
}

#[test]
fn an_ice_restart_by_the_gateway_is_a_new_offer_answered_with_transport_info() {
    let mut signaling = accepted();
    let restart = r#"<content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="uf2" pwd="pw2"/></content>"#;
    let handled = jingle(&mut signaling, PEER, "transport-info", restart);
    let [Signal::Offer(offer)] = handled.signals.as_slice() else {
        panic!("an offer");
    };
    assert!(
        offer.sdp.contains("a=ice-ufrag:uf2\r\na=ice-pwd:pw2\r\n"),
        "{}",
        offer.sdp
    );
    assert!(
        jingle(&mut signaling, PEER, "transport-info", restart)
            .signals
            .is_empty(),
        "only once"
    );
    let sent = written(&signaling.reply(&own(), &answer("a=ice-ufrag:own2\r\na=ice-pwd:x\r\n")));
    assert!(
        sent.contains(r#"action="transport-info"><content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="own2" pwd="x"/>"#),
        "{sent}"
    );
}

#[test]
fn a_gateway_that_goes_away_takes_its_sessions_along() {
    let mut signaling = accepted();
    assert!(
        signaling
            .unavailable(&Jid::from("+1@acme.gjoll.test/y"))
            .is_empty()
    );
    assert_eq!(
        signaling.unavailable(&Jid::from(PEER)),
        [Signal::Terminate {
            session: session(),
            reason: Reason::Gone
        }]
    );
    assert!(signaling.unavailable(&Jid::from(PEER)).is_empty());
}

#[test]
fn a_flood_of_jingle_sessions_is_refused() {
    let mut signaling = Signaling::new(false);
    let mut initiate = |n: usize| {
        let child = format!(
            r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="S{n}">{CONTENT}</jingle>"#
        );
        request(&mut signaling, PEER, &child).answer
    };
    for n in 0..32 {
        assert_eq!(initiate(n), Answer::Result);
    }
    assert_eq!(initiate(32), Answer::Error(StanzaError::TOO_MANY));
}
