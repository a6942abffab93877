//! One session for several calls: Line Appearance 1 and persistent connections.

use super::*;
use crate::gateway::LegConfig;

const CONNECT: ParticipantPatch = ParticipantPatch {
    state: Some(CallState::Connected),
    muted: None,
    held: None,
    confined: None,
};
const HANG_UP: ParticipantPatch = ParticipantPatch {
    state: Some(CallState::Disconnected),
    muted: None,
    held: None,
    confined: None,
};

fn facts(line_appearances: u32, persistent: bool) -> UserFacts {
    UserFacts {
        line_appearances,
        persistent,
        ..Rig::user()
    }
}

/// Another inbound call, whose far end is a tone of this frequency.
fn ring_as(
    rig: &mut Rig,
    user: &UserFacts,
    hz: u32,
    change: impl FnOnce(&mut InboundSpec),
) -> String {
    let mut spec = InboundSpec {
        leg: LegConfig {
            far_end: format!("tone:{hz}").parse().unwrap(),
            ..LegConfig::default()
        },
        ..InboundSpec::default()
    };
    change(&mut spec);
    let id = rig.engine.call_user(rig.now, user, &spec).unwrap();
    rig.settle();
    id
}

fn dial_as(rig: &mut Rig, user: &UserFacts, spec: &OutboundSpec) -> String {
    let to = "tel:+15555550199";
    let id = rig
        .engine
        .place_call(rig.now, user, to, None, None, spec, 7);
    rig.settle();
    id
}

/// A first call that is connected, on a session of its own.
fn talking_as(user: &UserFacts) -> (Rig, String) {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = ring_as(&mut rig, user, 440, |_| {});
    rig.take(&call);
    rig.connect(&call);
    rig.post_metadata(&call);
    rig.seen();
    (rig, call)
}

fn events(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .filter(|line| !line.starts_with("leg") || line.contains("far end"))
        .collect()
}

#[test]
fn with_one_line_a_second_call_rings_by_its_event_and_is_answered_over_rest() {
    let user = facts(1, false);
    let (mut rig, first) = talking_as(&user);
    let second = ring_as(&mut rig, &user, 600, |_| {});
    rig.wait(5_000);
    assert_eq!(rig.seen(), ["event alerting"]);
    assert_eq!(rig.session(&second), rig.session(&first));

    rig.patch(&second, CONNECT).unwrap();
    rig.wait(10);
    // The cloud holds the first by itself, and the session's sound is the second's.
    assert_eq!(
        rig.seen(),
        [
            "event connected held",
            "leg far end tone:600,-20",
            "event connected"
        ]
    );
    rig.post_metadata(&second);

    let resume = ParticipantPatch {
        held: Some(false),
        ..ParticipantPatch::default()
    };
    rig.patch(&first, resume).unwrap();
    rig.wait(10);
    assert!(rig.engine.report(&second).unwrap().held && !rig.engine.report(&first).unwrap().held);
    assert!(rig.seen().contains(&"leg far end tone:440,-20".to_owned()));

    // Ending the one that is heard leaves the session to the other, still held.
    rig.patch(&first, HANG_UP).unwrap();
    rig.wait(1_000);
    let lines = rig.seen();
    assert!(
        lines.iter().all(|line| !line.starts_with("terminate")),
        "{lines:?}"
    );
    assert!(rig.engine.report(&second).unwrap().held);
    rig.patch(&second, HANG_UP).unwrap();
    rig.wait(1_000);
    assert_eq!(
        events(rig.seen()),
        [
            "event disconnected",
            "terminate success -> phone",
            "event terminated"
        ]
    );
}

#[test]
fn with_one_line_a_second_call_placed_is_dialed_by_itself() {
    let user = facts(1, false);
    let (mut rig, first) = talking_as(&user);
    let second = dial_as(&mut rig, &user, &OutboundSpec::default());
    rig.wait(1_000);
    let lines = rig.seen();
    assert_eq!(
        lines[..3],
        ["reply 7", "event contacting", "event connected held"]
    );
    assert!(
        lines.contains(&"event dialing".to_owned())
            && !lines.iter().any(|line| line.starts_with("propose"))
    );
    rig.engine.answer_far_end(rig.now, &second).unwrap();
    rig.settle();
    assert_eq!(
        rig.engine.report(&second).unwrap().state,
        CallState::Connected
    );
    assert!(rig.engine.report(&first).unwrap().held);
    assert_eq!(rig.session(&second), rig.session(&first));
}

#[test]
fn a_second_call_that_only_rings_can_be_rejected_retracted_or_time_out() {
    let user = facts(1, false);
    for how in ["reject", "retract", "timeout"] {
        let (mut rig, first) = talking_as(&user);
        let second = ring_as(&mut rig, &user, 600, |_| {});
        match how {
            "reject" => rig.patch(&second, HANG_UP).unwrap(),
            "retract" => rig.engine.hang_up_far_end(rig.now, &second).unwrap(),
            _ => {}
        }
        rig.wait(31_000);
        assert_eq!(
            rig.seen(),
            ["event alerting", "event disconnected", "event terminated"],
            "{how}"
        );
        assert_eq!(
            rig.engine.report(&first).unwrap().state,
            CallState::Connected
        );
    }
}

/// Without the propose that follows, a call that rang on a session that then broke would be lost.
#[test]
fn when_the_shared_session_breaks_a_call_that_rings_is_proposed() {
    let user = facts(1, false);
    let (mut rig, first) = talking_as(&user);
    let second = ring_as(&mut rig, &user, 600, |_| {});
    rig.seen();
    rig.leg(&first, LegInput::Failed("gone".into()));
    rig.wait(500);
    let lines = rig.seen();
    assert!(
        lines.contains(&"propose auto=false sdp=true -> all".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        rig.engine.report(&first).unwrap().state,
        CallState::Terminated
    );
    rig.take(&second);
    rig.connect(&second);
    assert_eq!(
        rig.engine.report(&second).unwrap().state,
        CallState::Connected
    );
}

#[test]
fn a_persistent_session_stays_and_says_so() {
    for appearances in [1, 100] {
        let user = facts(appearances, true);
        let mut rig = Rig::new(Form::SdpOverXmpp);
        let first = ring_as(&mut rig, &user, 440, |_| {});
        rig.take(&first);
        rig.connect(&first);
        rig.post_metadata(&first);
        assert!(rig.seen().contains(&"persistent ActiveCall".to_owned()));
        let session = rig.session(&first);
        rig.patch(&first, HANG_UP).unwrap();
        rig.wait(1_000);
        assert_eq!(
            events(rig.seen()),
            [
                "event disconnected",
                "persistent Persisted",
                "event terminated"
            ]
        );

        // The next call rings without a propose, on the same session.
        let next = ring_as(&mut rig, &user, 600, |_| {});
        rig.patch(&next, CONNECT).unwrap();
        rig.wait(10);
        assert_eq!(rig.session(&next), session);
        assert_eq!(
            events(rig.seen()),
            [
                "event alerting",
                "persistent ActiveCall",
                "event connected",
                "leg far end tone:600,-20"
            ]
        );

        rig.engine.lose_shared(rig.now, "U", false).unwrap();
        rig.wait(1_000);
        let lines = events(rig.seen());
        assert_eq!(
            lines,
            [
                "event disconnected",
                "terminate connectivity-error -> phone",
                "persistent Disconnected",
                "event terminated"
            ]
        );
        let last = ring_as(&mut rig, &user, 440, |_| {});
        assert_eq!(
            rig.seen(),
            ["event alerting", "propose auto=false sdp=true -> all"]
        );
        assert_ne!(rig.session(&last), session);
    }
}

#[test]
fn with_many_lines_only_an_idle_persistent_session_is_shared() {
    let user = facts(100, true);
    let (mut rig, first) = talking_as(&user);
    let second = ring_as(&mut rig, &user, 600, |_| {});
    assert_eq!(
        rig.seen(),
        ["event alerting", "propose auto=false sdp=true -> all"]
    );
    rig.take(&second);
    rig.connect(&second);
    rig.post_metadata(&second);
    assert!(
        !rig.engine.report(&first).unwrap().held,
        "the client holds by itself"
    );
    rig.seen();
    rig.patch(&second, HANG_UP).unwrap();
    rig.wait(1_000);
    assert!(
        rig.seen()
            .contains(&"terminate success -> phone".to_owned())
    );
}

#[test]
fn an_eager_connection_is_proposed_without_a_call() {
    let user = facts(1, true);
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let leg = LegConfig::default();
    let session = rig
        .engine
        .set_up_eagerly(rig.now, &user, Form::SdpOverXmpp, leg.clone())
        .unwrap();
    rig.settle();
    assert_eq!(rig.seen(), ["propose auto=false sdp=true eager -> all"]);
    assert!(
        rig.engine
            .set_up_eagerly(rig.now, &user, Form::SdpOverXmpp, leg)
            .is_err()
    );
    let peer = rig.engine.session(&session).unwrap().peer.clone();
    let says = |rig: &mut Rig, kind: SignalKind| {
        let to = if kind == SignalKind::Accept {
            BARE.to_owned()
        } else {
            peer.clone()
        };
        let signal = Signal {
            user: "U".into(),
            from: FULL.into(),
            to,
            session: session.clone(),
            kind,
        };
        rig.engine.signal(rig.now, signal);
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
    rig.wait(10);
    let lines = rig.seen();
    assert_eq!(lines.last().unwrap(), "persistent Persisted", "{lines:?}");
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("event") || line.starts_with("VIOLATION"))
    );

    let call = dial_as(&mut rig, &user, &OutboundSpec::default());
    rig.wait(100);
    assert_eq!(rig.session(&call), session);
    assert_eq!(rig.engine.report(&call).unwrap().state, CallState::Dialing);
}

#[test]
fn an_eager_connection_nobody_wants_is_taken_back() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    rig.engine
        .set_up_eagerly(
            rig.now,
            &facts(1, true),
            Form::SdpOverXmpp,
            LegConfig::default(),
        )
        .unwrap();
    rig.wait(60_000);
    let propose = "propose auto=false sdp=true eager -> all";
    assert_eq!(rig.seen(), [propose, propose, propose, "retract -> all"]);
}

#[test]
fn a_shared_session_may_be_offered_again_for_its_next_call() {
    let user = UserFacts {
        renegotiates: true,
        ..facts(1, true)
    };
    let (mut rig, first) = talking_as(&user);
    rig.patch(&first, HANG_UP).unwrap();
    rig.wait(1_000);
    let next = ring_as(&mut rig, &user, 600, |_| {});
    rig.seen();
    rig.patch(&next, CONNECT).unwrap();
    rig.wait(10);
    let lines = rig.seen();
    assert!(
        lines.iter().any(|line| line.starts_with("leg Reoffer")),
        "{lines:?}"
    );
    rig.leg(&next, LegInput::Offer(OFFER.into()));
    let answer = rig.answer(&next);
    rig.says(&next, answer);
    assert_eq!(rig.violations(), Vec::<String>::new());
}

#[test]
fn a_late_propose_follows_a_call_that_rang_by_its_event() {
    let user = facts(100, true);
    for answered_first in [true, false] {
        let (mut rig, first) = talking_as(&user);
        rig.patch(&first, HANG_UP).unwrap();
        rig.wait(1_000);
        rig.seen();
        let next = ring_as(&mut rig, &user, 600, |spec| {
            spec.late_propose = Some(Duration::from_millis(500));
        });
        assert_eq!(rig.seen(), ["event alerting"]);
        if answered_first {
            rig.patch(&next, CONNECT).unwrap();
            rig.wait(600);
            assert!(!rig.seen().iter().any(|line| line.starts_with("propose")));
        } else {
            rig.wait(600);
            assert_eq!(rig.seen(), ["propose auto=false sdp=true -> all"]);
            // The PATCH crossed the propose.
            rig.patch(&next, CONNECT).unwrap();
            rig.wait(10);
            assert!(rig.seen().contains(&"retract -> all".to_owned()));
        }
        assert_eq!(
            rig.engine.report(&next).unwrap().state,
            CallState::Connected
        );
    }
}

#[test]
fn ipv6_host_candidates_are_only_for_a_gateway_that_has_ipv6() {
    for ipv6 in [false, true] {
        let mut rig = Rig::new(Form::SdpOverXmpp);
        let call = ring_as(&mut rig, &facts(1, true), 440, |spec| spec.leg.ipv6 = ipv6);
        rig.take(&call);
        let candidate = "candidate:2 1 udp 1 2001:db8::2 5 typ host".to_owned();
        rig.says(
            &call,
            SignalKind::Candidates(Form::SdpOverXmpp, vec![(candidate, "audio".into())]),
        );
        let told = rig.seen().join("\n").contains("dotted IPv4");
        assert_eq!(told, !ipv6);
    }
}

#[test]
fn nothing_comes_of_an_unreachable_leg() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = ring_as(&mut rig, &facts(1, true), 440, |spec| {
        spec.leg.unreachable = true;
    });
    rig.take(&call);
    rig.leg(
        &call,
        LegInput::Candidate("candidate:1 1 udp 1 192.0.2.1 5 typ host".into()),
    );
    let candidate = "candidate:2 1 udp 1 192.0.2.2 5 typ host".to_owned();
    rig.says(
        &call,
        SignalKind::Candidates(Form::SdpOverXmpp, vec![(candidate, "audio".into())]),
    );
    rig.says(&call, SignalKind::EndOfCandidates(Form::SdpOverXmpp));
    let lines = rig.seen();
    assert!(
        !lines.iter().any(|line| line.contains("candidate")),
        "{lines:?}"
    );
}
