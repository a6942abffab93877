//! Each rule that is broken is seen, once, and named.

use super::*;

const XMPP: Form = Form::SdpOverXmpp;

/// Runs a call in which something is done wrong; expects one violation with these words.
fn check(what: ViolationKind, says: &str, wrong: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::new(XMPP);
    wrong(&mut rig);
    let violations = rig.violations();
    assert_eq!(violations.len(), 1, "{what:?}: {violations:?}");
    assert!(
        violations[0].starts_with(&format!("VIOLATION {what:?}")),
        "{violations:?}"
    );
    assert!(violations[0].contains(says), "{violations:?}");
}

fn offered(rig: &mut Rig) -> String {
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.says(&call, SignalKind::Proceed);
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.wait(20);
    call
}

fn answered(rig: &mut Rig) -> String {
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.take(&call);
    call
}

fn good() -> SignalKind {
    SignalKind::Answer(OFFER.replace("actpass", "active"))
}

#[test]
fn signals_out_of_order() {
    use ViolationKind::OutOfOrder;
    check(OutOfOrder, "without an accept", |rig| {
        let call = offered(rig);
        rig.says(&call, good());
    });
    check(OutOfOrder, "accepted before", |rig| {
        let call = answered(rig);
        rig.says(&call, SignalKind::Accept);
    });
    check(OutOfOrder, "the offer has not come", |rig| {
        let call = rig.ring(InboundOrder::EventFirst, 0);
        rig.says(&call, SignalKind::Accept);
    });
    check(OutOfOrder, "before its offer", |rig| {
        let call = rig.ring(InboundOrder::EventFirst, 0);
        rig.says(&call, SignalKind::Proceed);
        rig.says(&call, good());
    });
    check(OutOfOrder, "a second answer", |rig| {
        let call = answered(rig);
        rig.says(&call, good());
    });
    check(OutOfOrder, "active for session", |rig| {
        let call = rig.ring(InboundOrder::EventFirst, 0);
        rig.says(&call, SignalKind::Proceed);
        rig.says(&call, SignalKind::Active(XMPP));
    });
    check(OutOfOrder, "after its end of candidates", |rig| {
        let call = answered(rig);
        rig.connect(&call);
        let late = vec![("candidate:2".to_owned(), "audio".to_owned())];
        rig.says(&call, SignalKind::Candidates(XMPP, late));
    });
    check(OutOfOrder, "a second end of candidates", |rig| {
        let call = answered(rig);
        rig.connect(&call);
        rig.says(&call, SignalKind::EndOfCandidates(XMPP));
    });
}

#[test]
fn wrong_names_and_forms() {
    check(ViolationKind::UnknownSession, "never proposed", |rig| {
        let kind = SignalKind::Proceed;
        let signal = Signal {
            user: "U".into(),
            from: FULL.into(),
            to: "x@gjoll.test".into(),
            session: "nobody".into(),
            kind,
        };
        assert!(!rig.engine.signal(rig.now, signal));
        rig.settle();
    });
    check(ViolationKind::WrongAddress, "its gateway is", |rig| {
        let call = rig.ring(InboundOrder::EventFirst, 0);
        let session = rig.session(&call);
        let kind = SignalKind::Proceed;
        let to = "x@gjoll.test".into();
        let signal = Signal {
            user: "U".into(),
            from: FULL.into(),
            to,
            session,
            kind,
        };
        rig.engine.signal(rig.now, signal);
        rig.settle();
    });
    check(ViolationKind::WrongForm, "not in its form", |rig| {
        let call = answered(rig);
        rig.says(&call, SignalKind::EndOfCandidates(Form::Jingle));
    });
    check(ViolationKind::BadCandidate, "was not offered", |rig| {
        let call = answered(rig);
        let wrong = vec![("candidate:1".to_owned(), "0".to_owned())];
        rig.says(&call, SignalKind::Candidates(XMPP, wrong));
    });
    check(ViolationKind::BadCandidate, "no such address", |rig| {
        let call = answered(rig);
        rig.leg(&call, LegInput::CandidateRefused("no such address".into()));
    });
}

#[test]
fn answers_that_do_not_fit() {
    check(ViolationKind::BadAnswer, "mids", |rig| {
        let call = offered(rig);
        rig.says(&call, SignalKind::Accept);
        let wrong = OFFER
            .replace("actpass", "active")
            .replace("mid:audio", "mid:0");
        rig.says(&call, SignalKind::Answer(wrong));
    });
    check(ViolationKind::BadAnswer, "refused by the peer", |rig| {
        let call = answered(rig);
        rig.leg(&call, LegInput::AnswerRefused("refused by the peer".into()));
    });
}

#[test]
fn things_that_never_come() {
    check(ViolationKind::MissingAnswer, "within 15s", |rig| {
        let call = offered(rig);
        rig.wait(14_999);
        assert_eq!(rig.violations(), Vec::<String>::new());
        rig.wait(2);
        assert!(rig.engine.report(&call).unwrap().state.is_over());
    });
    check(ViolationKind::MissingEndOfCandidates, "within 10s", |rig| {
        let call = answered(rig);
        rig.leg(&call, LegInput::Connected);
        rig.says(&call, SignalKind::Active(XMPP));
        rig.wait(10);
        rig.post_metadata(&call);
        rig.wait(20_000);
    });
    check(ViolationKind::MissingEndOfCandidates, "never told", |rig| {
        let call = answered(rig);
        rig.leg(&call, LegInput::Connected);
        rig.says(&call, SignalKind::Active(XMPP));
        rig.wait(10);
        rig.post_metadata(&call);
        rig.wait(3_000);
        rig.engine.hang_up_far_end(rig.now, &call).unwrap();
        rig.wait(60_000);
    });
    check(ViolationKind::MissingActive, "not reported active", |rig| {
        let call = answered(rig);
        rig.says(&call, SignalKind::EndOfCandidates(XMPP));
        rig.leg(&call, LegInput::Connected);
        rig.wait(5_010);
        rig.post_metadata(&call);
        rig.wait(20_000);
        assert_eq!(
            rig.engine.report(&call).unwrap().state,
            CallState::Connected
        );
    });
    check(ViolationKind::MissingMetadata, "within 5s", |rig| {
        let call = answered(rig);
        rig.connect(&call);
        rig.wait(60_000);
    });
}

#[test]
fn metadata_at_the_wrong_time() {
    check(ViolationKind::RepeatedMetadata, "number 2", |rig| {
        let call = answered(rig);
        rig.connect(&call);
        rig.post_metadata(&call);
        rig.post_metadata(&call);
    });
    check(
        ViolationKind::OutOfOrder,
        "due when it is connected",
        |rig| {
            let call = rig.ring(InboundOrder::EventFirst, 0);
            rig.post_metadata(&call);
        },
    );
}

#[test]
fn answering_over_rest_without_a_session() {
    check(ViolationKind::OutOfOrder, "proceed to its propose", |rig| {
        let call = rig.ring(InboundOrder::EventFirst, 0);
        let answer = ParticipantPatch {
            state: Some(CallState::Connected),
            ..ParticipantPatch::default()
        };
        assert!(rig.patch(&call, answer).is_err());
    });
}

/// A client that is known to send none is not blamed.
#[test]
fn metadata_is_not_missed_from_an_old_client() {
    let mut rig = Rig::new(XMPP);
    let user = UserFacts {
        expects_metadata: false,
        ..Rig::user()
    };
    let call = rig
        .engine
        .call_user(rig.now, &user, &InboundSpec::default())
        .unwrap();
    rig.settle();
    rig.take(&call);
    rig.connect(&call);
    rig.wait(60_000);
    assert_eq!(rig.violations(), Vec::<String>::new());
}
