//! Mute, hold, renegotiation, and all the ways a call ends.

use super::*;
use crate::gateway::Direction;
use crate::spec::InboundPurpose;

const HANG_UP: ParticipantPatch = ParticipantPatch {
    state: Some(CallState::Disconnected),
    muted: None,
    held: None,
    confined: None,
};
const FORMS: [Form; 2] = [Form::SdpOverXmpp, Form::Jingle];

#[test]
fn mute_and_hold_are_done_on_the_leg_and_told_by_events() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    let mute = |muted| ParticipantPatch {
        muted: Some(muted),
        ..ParticipantPatch::default()
    };
    let hold = |held| ParticipantPatch {
        held: Some(held),
        ..ParticipantPatch::default()
    };
    for (patch, lines) in [
        (mute(true), ["leg Muted(true)", "event connected muted"]),
        (hold(true), ["leg Held(true)", "event connected held muted"]),
        (mute(false), ["leg Muted(false)", "event connected held"]),
        (hold(false), ["leg Held(false)", "event connected"]),
    ] {
        rig.patch(&call, patch).unwrap();
        rig.wait(10);
        assert_eq!(rig.seen(), lines);
    }
}

#[test]
fn a_ringing_call_cannot_be_held() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    let hold = ParticipantPatch {
        held: Some(true),
        ..ParticipantPatch::default()
    };
    assert!(matches!(
        rig.patch(&call, hold),
        Err(CommandError::Conflict(_))
    ));
}

#[test]
fn the_phone_hangs_up() {
    for form in FORMS {
        let (mut rig, call) = Rig::talking(form);
        rig.patch(&call, HANG_UP).unwrap();
        rig.wait(1_000);
        assert_eq!(
            rig.seen(),
            [
                "event disconnected",
                "terminate success -> phone",
                "leg Close",
                "event terminated"
            ]
        );
        let report = rig.engine.report(&call).unwrap();
        assert_eq!(report.disconnect_type.as_deref(), Some("client"));
        assert!(matches!(
            rig.patch(&call, HANG_UP),
            Err(CommandError::Conflict(_))
        ));
    }
}

#[test]
fn the_far_end_hangs_up() {
    for form in FORMS {
        let (mut rig, call) = Rig::talking(form);
        rig.engine.hang_up_far_end(rig.now, &call).unwrap();
        rig.wait(1_000);
        assert_eq!(
            rig.seen(),
            [
                "event disconnected",
                "terminate success -> phone",
                "leg Close",
                "event terminated"
            ]
        );
        let report = rig.engine.report(&call).unwrap();
        assert_eq!(report.disconnect_type.as_deref(), Some("peer"));
        assert!(rig.engine.hang_up_far_end(rig.now, &call).is_err());
    }
}

#[test]
fn the_phone_ends_the_session_by_signaling() {
    for form in FORMS {
        let (mut rig, call) = Rig::talking(form);
        rig.says(&call, SignalKind::Terminate(form, "success".into()));
        rig.wait(1_000);
        let lines = rig.seen();
        assert!(
            lines[0].starts_with("note the phone ended session"),
            "{lines:?}"
        );
        assert_eq!(
            lines[1..],
            ["leg Close", "event disconnected", "event terminated"]
        );
    }
}

/// The phone's terminate and the cloud's cross on the wire.
#[test]
fn a_terminate_that_crosses_ours_is_no_fault() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    rig.engine.hang_up_far_end(rig.now, &call).unwrap();
    rig.wait(1_000);
    rig.says(
        &call,
        SignalKind::Terminate(Form::SdpOverXmpp, "success".into()),
    );
    assert_eq!(rig.violations(), Vec::<String>::new());
}

#[test]
fn the_caller_gives_up() {
    for order in [InboundOrder::EventFirst, InboundOrder::ProposeFirst] {
        let mut rig = Rig::new(Form::SdpOverXmpp);
        let call = rig.ring(order, 0);
        rig.seen();
        rig.engine.hang_up_far_end(rig.now, &call).unwrap();
        rig.settle();
        rig.wait(60_000);
        assert_eq!(
            rig.seen(),
            ["retract -> all", "event disconnected", "event terminated"]
        );
    }
}

/// A propose that is retracted while the phone answers.
#[test]
fn the_caller_gives_up_while_the_phone_answers() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.says(&call, SignalKind::Proceed);
    rig.seen();
    rig.engine.hang_up_far_end(rig.now, &call).unwrap();
    rig.settle();
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.wait(60_000);
    assert_eq!(
        rig.seen(),
        [
            "retract -> all",
            "leg Close",
            "event disconnected",
            "event terminated"
        ]
    );
    rig.says(&call, SignalKind::Proceed);
    assert_eq!(rig.seen(), Vec::<String>::new());
}

#[test]
fn nobody_answers() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let alert_for = Duration::from_secs(5);
    let call = rig.ring_with(&InboundSpec {
        alert_for,
        ..InboundSpec::default()
    });
    rig.wait(4_999);
    assert_eq!(rig.seen().len(), 3);
    rig.wait(1_000);
    assert_eq!(
        rig.seen(),
        ["retract -> all", "event disconnected", "event terminated"]
    );
    let report = rig.engine.report(&call).unwrap();
    assert_eq!(report.disconnect_type.as_deref(), Some("timeout"));
}

#[test]
fn the_phone_rejects() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.seen();
    rig.patch(&call, HANG_UP).unwrap();
    rig.wait(1_000);
    assert_eq!(
        rig.seen(),
        ["retract -> all", "event disconnected", "event terminated"]
    );
}

#[test]
fn a_call_to_the_user_goes_to_voicemail() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let spec = InboundSpec {
        purpose: InboundPurpose::User,
        ..InboundSpec::default()
    };
    let call = rig.ring_with(&spec);
    rig.seen();
    let participant = rig.engine.report(&call).unwrap().participant_id;
    rig.engine
        .to_voicemail(rig.now, &call, &participant)
        .unwrap();
    rig.wait(1_000);
    assert_eq!(
        rig.seen(),
        ["retract -> all", "event disconnected", "event terminated"]
    );
    let conversation = rig.engine.conversation_json(&call).unwrap();
    let last = conversation["participants"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(
        (&last["purpose"], &last["userId"]),
        (&"voicemail".into(), &"U".into())
    );
    assert_eq!(last["calls"][0]["state"], "connected");
    assert!(
        rig.engine
            .to_voicemail(rig.now, &call, &participant)
            .is_err()
    );
}

#[test]
fn media_that_fails_ends_the_call_with_an_error() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.take(&call);
    rig.seen();
    rig.leg(&call, LegInput::Failed("no candidate pair works".into()));
    rig.wait(1_000);
    assert_eq!(
        rig.seen()[1..],
        [
            "event disconnected",
            "terminate connectivity-error -> phone",
            "leg Close",
            "event terminated"
        ]
    );
    let conversation = rig.engine.conversation_json(&call).unwrap();
    let error = &conversation["participants"][2]["calls"][0]["errorInfo"];
    assert!(
        error["code"].as_str().unwrap().starts_with("error."),
        "{error}"
    );
}

#[test]
fn a_renegotiation_is_answered_without_accept() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    rig.engine
        .reoffer(&call, false, Direction::SendOnly)
        .unwrap();
    rig.settle();
    assert_eq!(
        rig.seen(),
        ["leg Reoffer { ice_restart: false, direction: SendOnly }"]
    );
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    assert!(
        rig.engine
            .reoffer(&call, false, Direction::SendRecv)
            .is_err()
    );
    let answer = rig.answer(&call);
    rig.says(&call, answer);
    rig.wait(60_000);
    assert_eq!(rig.seen(), ["offer reinvite=false -> phone", "leg answer"]);
}

/// New ICE makes a new session at the client, with the same id (genesys-protocol 5.3).
#[test]
fn new_ice_on_the_same_session_is_accepted_again() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    rig.engine
        .reoffer(&call, true, Direction::SendRecv)
        .unwrap();
    rig.settle();
    rig.leg(&call, LegInput::Offer(OFFER.replace("8hhY", "new1")));
    rig.says(&call, SignalKind::Accept);
    let answer = rig.answer(&call);
    rig.says(&call, answer);
    rig.connect(&call);
    rig.wait(60_000);
    assert_eq!(
        rig.seen()[1..],
        [
            "offer reinvite=false -> phone",
            "leg answer",
            "leg candidate"
        ]
    );
}

#[test]
fn a_reinvite_replaces_the_session_and_is_repeated() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    let old = rig.session(&call);
    let hold = ParticipantPatch {
        held: Some(true),
        ..ParticipantPatch::default()
    };
    rig.patch(&call, hold).unwrap();
    rig.wait(10);
    rig.seen();
    rig.engine.reinvite(rig.now, &call, FULL, false).unwrap();
    rig.settle();
    assert_ne!(rig.session(&call), old);
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.wait(20 + 4_000);
    let offer = "offer reinvite=true -> phone";
    assert_eq!(
        rig.seen(),
        [
            "open leg tone:440,-20",
            "leg Held(true)",
            offer,
            offer,
            offer
        ]
    );
    rig.says(&call, SignalKind::Accept);
    let answer = rig.answer(&call);
    rig.says(&call, answer);
    // The phone ends the old session; the call goes on.
    let peer = rig.engine.session(&old).unwrap().peer.clone();
    let kind = SignalKind::Terminate(Form::SdpOverXmpp, "alternative-session".into());
    let signal = Signal {
        user: "U".into(),
        from: FULL.into(),
        to: peer,
        session: old,
        kind,
    };
    rig.engine.signal(rig.now, signal);
    rig.connect(&call);
    rig.wait(60_000);
    let lines = rig.seen();
    assert!(lines[1].contains("alternative-session"), "{lines:?}");
    assert_eq!(lines[0], "leg answer");
    assert_eq!(lines[2..], ["leg Close", "leg candidate"]);
    assert_eq!(
        rig.engine.report(&call).unwrap().state,
        CallState::Connected
    );
}

/// A session that the phone forgot to end goes with the call.
#[test]
fn a_replaced_session_ends_with_its_call() {
    let (mut rig, call) = Rig::talking(Form::SdpOverXmpp);
    rig.engine.reinvite(rig.now, &call, FULL, false).unwrap();
    rig.take_offer(&call);
    rig.connect(&call);
    rig.seen();
    rig.engine.hang_up_far_end(rig.now, &call).unwrap();
    rig.wait(1_000);
    let ended = ["terminate success -> phone", "leg Close"];
    assert_eq!(
        rig.seen(),
        [
            &["event disconnected"][..],
            &ended,
            &ended,
            &["event terminated"]
        ]
        .concat()
    );
}

/// genesys-protocol 5.4: the far side restarts by a transport-info with new credentials, and a
/// second session-initiate has to be refused.
#[test]
fn a_jingle_session_restarts_its_ice_by_transport_info() {
    let (mut rig, call) = Rig::talking(Form::Jingle);
    let restart = || SignalKind::IceRestart("uf".into(), "pw".into());
    rig.engine
        .reoffer(&call, true, Direction::SendRecv)
        .unwrap();
    rig.settle();
    rig.leg(&call, LegInput::Offer(OFFER.replace("8hhY", "new1")));
    rig.says(&call, restart());
    let lines = rig.seen();
    assert_eq!(lines[1..], ["transport-info -> phone", "leg answer"]);
    rig.engine
        .reoffer(&call, false, Direction::SendRecv)
        .unwrap();
    rig.settle();
    assert_eq!(rig.seen(), ["offer reinvite=false -> phone"]);
    rig.says(&call, restart());
    let broken = rig.violations();
    assert!(
        broken.len() == 1 && broken[0].contains("not restarted"),
        "{broken:?}"
    );
}
