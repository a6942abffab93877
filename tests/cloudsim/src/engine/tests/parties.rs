//! Transfers, consultations, conferences, recording and wrap-up.

use super::*;
use crate::gateway::{LegConfig, Mix};

fn outside(hz: u32, answer_after: Option<u64>) -> Guest {
    Guest::Outside {
        party: Party {
            name: "Guest".into(),
            address: format!("tel:+1{hz}"),
        },
        purpose: Purpose::External,
        queue: None,
        voice: format!("tone:{hz}").parse().unwrap(),
        answer_after: answer_after.map(Duration::from_millis),
    }
}

/// A connected call: the rig, `C`, our `P` and the customer's.
fn talking() -> (Rig, String, String, String) {
    let (rig, call) = Rig::talking(Form::SdpOverXmpp);
    let report = rig.engine.report(&call).unwrap();
    let customer = report.participants[0].participant_id.clone();
    (rig, call, report.participant_id, customer)
}

fn state(rig: &Rig, call: &str, participant: &str) -> CallState {
    let conversation = rig.engine.conversation(call).unwrap();
    conversation.participant(participant).unwrap().call.state
}

fn confined(rig: &Rig, call: &str, participant: &str) -> bool {
    let conversation = rig.engine.conversation(call).unwrap();
    conversation.participant(participant).unwrap().call.confined
}

/// Who hears whom, as `listener<speaker` by the last digits of tones; the phone is `P`.
fn heard(rig: &Rig, call: &str) -> Vec<String> {
    let session = rig.engine.session(&rig.session(call)).unwrap();
    let mix: &Mix = session.wired.mix.as_ref().expect("several parties");
    let name = |id: &str| {
        let party = mix.parties.iter().find(|party| party.id == id);
        party.map_or_else(|| "P".to_owned(), |party| party.far_end[5..8].to_owned())
    };
    let mut all = Vec::new();
    for party in &mix.parties {
        if party.to_phone {
            all.push(format!("P<{}", name(&party.id)));
        }
        for from in party.hears.iter().flatten() {
            all.push(format!("{}<{}", name(&party.id), name(from)));
        }
    }
    all.sort();
    all
}

#[test]
fn a_blind_transfer_leaves_the_others_in_the_call() {
    let (mut rig, call, own, customer) = talking();
    let guest = rig
        .engine
        .transfer(rig.now, &call, &own, outside(600, Some(50)))
        .unwrap();
    rig.wait(40);
    let lines = rig.seen();
    assert!(
        lines.contains(&"event disconnected".to_owned())
            && lines.contains(&"terminate success -> phone".to_owned()),
        "{lines:?}"
    );
    assert_eq!(state(&rig, &call, &guest), CallState::Offering);
    rig.wait(60);
    assert_eq!(state(&rig, &call, &guest), CallState::Connected);
    assert_eq!(state(&rig, &call, &customer), CallState::Connected);
    assert_eq!(state(&rig, &call, &own), CallState::Terminated);
    let report = rig.engine.report(&call).unwrap();
    assert_eq!(report.disconnect_type.as_deref(), Some("transfer"));
    rig.engine
        .hang_up_party(rig.now, &call, &guest, "client")
        .unwrap();
    rig.wait(100);
    assert!(rig.engine.conversation(&call).unwrap().is_over());
}

#[test]
fn a_consultation_decides_who_hears_whom() {
    let (mut rig, call, own, customer) = talking();
    let guest = rig
        .engine
        .consult(
            rig.now,
            &call,
            "U",
            &customer,
            outside(600, None),
            SpeakTo::Destination,
        )
        .unwrap();
    rig.settle();
    assert!(
        confined(&rig, &call, &customer),
        "the customer hears music as soon as it begins"
    );
    assert!(heard(&rig, &call).is_empty());
    rig.engine.answer_party(rig.now, &call, &guest).unwrap();
    let conversation = rig.engine.conversation(&call).unwrap();
    for one in [&own, &guest] {
        let about = conversation
            .participant(one)
            .unwrap()
            .consult_participant
            .clone();
        assert_eq!(about.as_deref(), Some(customer.as_str()));
    }
    for (speak_to, wanted) in [
        (SpeakTo::Destination, vec!["600<P", "P<600"]),
        (SpeakTo::Object, vec!["440<P", "P<440"]),
        (SpeakTo::Both, vec!["440<P", "600<P", "P<440", "P<600"]),
        (
            SpeakTo::Conference,
            vec!["440<600", "440<P", "600<440", "600<P", "P<440", "P<600"],
        ),
    ] {
        rig.engine
            .speak_to(rig.now, &call, &customer, speak_to)
            .unwrap();
        rig.wait(10);
        assert_eq!(heard(&rig, &call), wanted, "{speak_to:?}");
        assert_eq!(
            confined(&rig, &call, &customer),
            speak_to == SpeakTo::Destination
        );
        assert_eq!(confined(&rig, &call, &guest), speak_to == SpeakTo::Object);
    }
}

#[test]
fn a_consultation_is_cancelled_completed_or_refused() {
    for how in ["cancelled", "completed", "refused"] {
        let (mut rig, call, own, customer) = talking();
        let guest = rig
            .engine
            .consult(
                rig.now,
                &call,
                "U",
                &customer,
                outside(600, Some(20)),
                SpeakTo::Destination,
            )
            .unwrap();
        rig.wait(100);
        match how {
            "cancelled" => rig
                .engine
                .cancel_consult(rig.now, &call, &customer)
                .unwrap(),
            "completed" => rig
                .engine
                .hang_up_party(rig.now, &call, &own, "client")
                .unwrap(),
            _ => rig
                .engine
                .hang_up_party(rig.now, &call, &guest, "client")
                .unwrap(),
        }
        rig.wait(100);
        assert!(!confined(&rig, &call, &customer), "{how}");
        assert_eq!(state(&rig, &call, &customer), CallState::Connected);
        assert_eq!(
            state(&rig, &call, &own) == CallState::Connected,
            how != "completed"
        );
        assert_eq!(
            state(&rig, &call, &guest) == CallState::Connected,
            how == "completed"
        );
        assert!(
            rig.engine
                .speak_to(rig.now, &call, &customer, SpeakTo::Both)
                .is_err()
        );
        if how != "completed" {
            // Two again: the leg has one far end, as before.
            let session = rig.engine.session(&rig.session(&call)).unwrap();
            assert_eq!(
                (&session.wired.mix, session.wired.far_end.as_str()),
                (&None, "tone:440,-20")
            );
        }
    }
}

#[test]
fn a_conference_grows_mutes_holds_and_shrinks() {
    let (mut rig, call, own, customer) = talking();
    let caller = Party::default();
    let guest = rig
        .engine
        .invite(rig.now, &call, outside(600, Some(0)), &caller)
        .unwrap();
    rig.wait(20);
    let all = ["440<600", "440<P", "600<440", "600<P", "P<440", "P<600"];
    assert_eq!(heard(&rig, &call), all);
    let patch = |rig: &mut Rig, who: &str, patch| {
        rig.engine.patch(rig.now, &call, who, patch).unwrap();
        rig.wait(10);
        heard(rig, &call)
    };
    let muted = |muted| ParticipantPatch {
        muted: Some(muted),
        ..ParticipantPatch::default()
    };
    let held = |held| ParticipantPatch {
        held: Some(held),
        ..ParticipantPatch::default()
    };
    assert_eq!(
        patch(&mut rig, &customer, muted(true)),
        ["440<600", "440<P", "600<P", "P<600"]
    );
    patch(&mut rig, &customer, muted(false));
    assert_eq!(patch(&mut rig, &own, held(true)), ["440<600", "600<440"]);
    patch(&mut rig, &own, held(false));
    assert_eq!(
        patch(&mut rig, &own, muted(true)),
        ["440<600", "600<440", "P<440", "P<600"]
    );
    patch(&mut rig, &own, muted(false));
    let kick = ParticipantPatch {
        state: Some(CallState::Disconnected),
        ..ParticipantPatch::default()
    };
    rig.engine.patch(rig.now, &call, &guest, kick).unwrap();
    rig.wait(100);
    assert_eq!(state(&rig, &call, &guest), CallState::Terminated);
    assert_eq!(state(&rig, &call, &own), CallState::Connected);
    for _ in 0..20 {
        if rig
            .engine
            .invite(rig.now, &call, outside(700, None), &caller)
            .is_err()
        {
            rig.engine.end_call(rig.now, &call).unwrap();
            rig.wait(100);
            assert!(rig.engine.conversation(&call).unwrap().is_over());
            return;
        }
    }
    panic!("a call took more than {MOST_PARTIES} parties");
}

#[test]
fn calls_are_merged() {
    for line_appearances in [1, 100] {
        let user = UserFacts {
            line_appearances,
            ..Rig::user()
        };
        let mut rig = Rig::new(Form::SdpOverXmpp);
        let spec = InboundSpec::default();
        let first = rig.engine.call_user(rig.now, &user, &spec).unwrap();
        rig.settle();
        rig.take(&first);
        rig.connect(&first);
        rig.post_metadata(&first);
        let spec = OutboundSpec {
            leg: LegConfig {
                far_end: "tone:600".parse().unwrap(),
                ..LegConfig::default()
            },
            answer_after: Some(Duration::from_millis(50)),
            ..OutboundSpec::default()
        };
        let second = rig
            .engine
            .place_call(rig.now, &user, "tel:+1600", None, None, &spec, 7);
        rig.wait(30);
        if line_appearances > 1 {
            rig.take(&second);
            rig.connect(&second);
        }
        rig.wait(200);
        rig.post_metadata(&second);
        rig.engine
            .merge(rig.now, &first, "U", std::slice::from_ref(&second))
            .unwrap();
        rig.wait(200);
        assert_eq!(
            heard(&rig, &first),
            ["440<600", "440<P", "600<440", "600<P", "P<440", "P<600"]
        );
        assert!(rig.engine.conversation(&second).unwrap().is_over());
        assert!(!rig.engine.report(&first).unwrap().held);
        assert_eq!(rig.violations(), Vec::<String>::new());
    }
}

#[test]
fn recording_is_paused_and_calls_are_wrapped_up() {
    let (mut rig, call, _, _) = talking();
    let json = |rig: &Rig| rig.engine.conversation_json(&call).unwrap();
    assert!(
        rig.engine
            .set_recording(rig.now, &call, RecordingState::Paused)
            .is_err()
    );
    for (state, word) in [
        (RecordingState::Active, "active"),
        (RecordingState::Paused, "paused"),
        (RecordingState::None, "none"),
    ] {
        rig.engine.set_recording(rig.now, &call, state).unwrap();
        rig.wait(10);
        assert_eq!(json(&rig)["recordingState"], word);
    }
    let communication = rig.engine.report(&call).unwrap().communication_id;
    let own = |rig: &Rig| json(rig)["participants"][2].clone();
    assert_eq!(
        (&own(&rig)["wrapupRequired"], &own(&rig)["wrapupPrompt"]),
        (&true.into(), &"optional".into())
    );
    rig.engine.hang_up_far_end(rig.now, &call).unwrap();
    rig.wait(100);
    rig.engine
        .wrap_up(
            rig.now,
            &call,
            &communication,
            ("code".into(), "note".into()),
        )
        .unwrap();
    rig.wait(10);
    assert_eq!(own(&rig)["wrapup"]["code"], "code");
    let participant = own(&rig)["id"].as_str().unwrap().to_owned();
    assert_eq!(own(&rig)["wrapupSkipped"], serde_json::Value::Null);
    rig.engine
        .skip_wrap_up(rig.now, &call, &participant)
        .unwrap();
    rig.wait(10);
    assert_eq!(own(&rig)["wrapupSkipped"], true);
    assert!(
        rig.engine
            .wrap_up(rig.now, &call, "no", (String::new(), String::new()))
            .is_err()
    );
}

/// A call between two users of ours: both have a leg, and each hears the other's.
#[test]
fn a_user_with_a_phone_is_rung_there() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let callee = UserFacts {
        id: "V".into(),
        name: "Agent Two".into(),
        newest_resource: None,
        ..Rig::user()
    };
    rig.engine.place_call(
        rig.now,
        &Rig::user(),
        "sip:V@localhost",
        None,
        Some(&callee),
        &OutboundSpec::default(),
        7,
    );
    rig.wait(100);
    let sessions = |rig: &Rig, user: &str| -> Vec<String> {
        rig.engine
            .sessions_of(user)
            .map(|one| one.id.clone())
            .collect()
    };
    for user in ["U", "V"] {
        let session = sessions(&rig, user).pop().expect("it is proposed");
        let says = |rig: &mut Rig, kind: SignalKind| {
            let to = rig.engine.session(&session).unwrap().peer.clone();
            let from = format!("{user}/phone");
            rig.engine.signal(
                rig.now,
                Signal {
                    user: user.into(),
                    from,
                    to,
                    session: session.clone(),
                    kind,
                },
            );
            rig.settle();
        };
        says(&mut rig, SignalKind::Proceed);
        rig.engine
            .leg_input(rig.now, &session, LegInput::Offer(OFFER.into()));
        rig.wait(20);
        says(&mut rig, SignalKind::Accept);
        says(
            &mut rig,
            SignalKind::Answer(OFFER.replace("actpass", "active")),
        );
        says(&mut rig, SignalKind::EndOfCandidates(Form::SdpOverXmpp));
        rig.engine.leg_input(rig.now, &session, LegInput::Connected);
        says(&mut rig, SignalKind::Active(Form::SdpOverXmpp));
        rig.wait(100);
    }
    let (mine, theirs) = (
        sessions(&rig, "U").pop().unwrap(),
        sessions(&rig, "V").pop().unwrap(),
    );
    for (own, other) in [(&mine, &theirs), (&theirs, &mine)] {
        let mix = rig
            .engine
            .session(own)
            .unwrap()
            .wired
            .mix
            .clone()
            .expect("two legs");
        assert_eq!(
            (mix.legs.len(), &mix.legs[0].session, mix.legs[0].to_phone),
            (1, other, true)
        );
    }
    assert_eq!(rig.violations(), Vec::<String>::new());
}
