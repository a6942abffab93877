//! Every order of the first messages, in both forms, leads to the same call.

use super::*;
use crate::gateway::{FarEndSource, LegConfig};
use crate::spec::OutboundStep;

const FORMS: [Form; 2] = [Form::SdpOverXmpp, Form::Jingle];

#[test]
fn inbound_calls_connect_in_every_order_and_form() {
    for form in FORMS {
        let sdp = form == Form::SdpOverXmpp;
        let propose = format!("propose auto=false sdp={sdp} -> all");
        let propose = propose.as_str();
        let alerting = "event alerting";
        for (order, gap, first) in [
            (InboundOrder::EventFirst, 0, [alerting, propose]),
            (InboundOrder::EventFirst, 400, [alerting, propose]),
            (InboundOrder::ProposeFirst, 0, [propose, alerting]),
            (InboundOrder::ProposeFirst, 400, [propose, alerting]),
        ] {
            let mut rig = Rig::new(form);
            let call = rig.ring(order, gap);
            rig.wait(gap);
            assert_eq!(rig.seen(), first, "{form:?} {order:?} {gap}");
            rig.take(&call);
            rig.leg(
                &call,
                LegInput::Candidate("candidate:1 1 udp 1 192.0.2.9 9 typ host".into()),
            );
            rig.connect(&call);
            assert_eq!(
                rig.seen(),
                [
                    "open leg tone:440,-20",
                    "offer reinvite=false -> phone",
                    "leg answer",
                    "candidate -> phone",
                    "leg candidate",
                    "event connected",
                ],
                "{form:?} {order:?} {gap}"
            );
            rig.post_metadata(&call);
            rig.wait(60_000);
            assert_eq!(rig.seen(), Vec::<String>::new());
            let report = rig.engine.report(&call).unwrap();
            assert_eq!(report.state, CallState::Connected);
            assert_eq!(
                (
                    report.proposes,
                    report.candidates_in,
                    report.metadata_requests
                ),
                (1, 1, 1)
            );
            assert_eq!(report.owner.as_deref(), Some(FULL));
        }
    }
}

#[test]
fn outbound_calls_connect_in_every_order_and_form() {
    for form in FORMS {
        let sdp = form == Form::SdpOverXmpp;
        for order in OutboundStep::ORDERS {
            let mut rig = Rig::new(form);
            let call = rig.dial(OutboundSpec {
                order,
                ..OutboundSpec::default()
            });
            rig.wait(20);
            let first = order.map(|step| match step {
                OutboundStep::Reply => "reply 7".to_owned(),
                OutboundStep::Propose => format!("propose auto=true sdp={sdp} -> all"),
                OutboundStep::Event => "event contacting".to_owned(),
            });
            assert_eq!(rig.seen(), first, "{form:?} {order:?}");
            rig.take(&call);
            rig.connect(&call);
            rig.engine.answer_far_end(rig.now, &call).unwrap();
            rig.settle();
            assert_eq!(
                rig.seen(),
                [
                    "open leg silence",
                    "offer reinvite=false -> phone",
                    "leg answer",
                    "leg candidate",
                    "event dialing",
                    "event connected",
                    "leg far end tone:440,-20",
                ],
                "{form:?} {order:?}"
            );
        }
    }
}

/// The phone may be so quick that the call goes on before its first event or reply is out.
#[test]
fn the_first_event_comes_before_every_other() {
    let order = [
        OutboundStep::Propose,
        OutboundStep::Reply,
        OutboundStep::Event,
    ];
    let gap = Duration::from_secs(1);
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.dial(OutboundSpec {
        order,
        gap,
        ..OutboundSpec::default()
    });
    rig.take(&call);
    rig.connect(&call);
    rig.wait(5_000);
    let events: Vec<String> = rig
        .seen()
        .into_iter()
        .filter(|line| line.starts_with("event"))
        .collect();
    assert_eq!(events, ["event contacting", "event dialing"]);
}

#[test]
fn the_far_end_answers_by_itself() {
    let answer_after = Some(Duration::from_millis(500));
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.dial(OutboundSpec {
        answer_after,
        ..OutboundSpec::default()
    });
    rig.wait(20);
    rig.take(&call);
    rig.connect(&call);
    rig.seen();
    rig.wait(499);
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.wait(1);
    assert_eq!(rig.seen(), ["event connected", "leg far end tone:440,-20"]);
}

#[test]
fn an_answer_before_the_phone_is_ready_is_kept() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.dial(OutboundSpec::default());
    rig.wait(20);
    rig.engine.answer_far_end(rig.now, &call).unwrap();
    rig.take(&call);
    rig.connect(&call);
    rig.seen();
    rig.wait(10);
    assert_eq!(rig.seen(), ["event connected", "leg far end tone:440,-20"]);
}

/// A page's peer is the leg itself, so it is there from the start.
#[test]
fn a_browser_is_the_far_end_from_the_offer_on() {
    let leg = LegConfig {
        far_end: FarEndSource::Browser,
        ..LegConfig::default()
    };
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.dial(OutboundSpec {
        leg,
        ..OutboundSpec::default()
    });
    rig.wait(20);
    rig.seen();
    rig.says(&call, SignalKind::Proceed);
    assert_eq!(rig.seen(), ["open leg browser"]);
}

#[test]
fn proposes_are_repeated_until_somebody_proceeds() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.wait(6_500);
    let propose = "propose auto=false sdp=true -> all";
    assert_eq!(rig.seen(), ["event alerting", propose, propose, propose]);
    rig.says(&call, SignalKind::Proceed);
    rig.wait(6_500);
    assert_eq!(rig.seen(), ["open leg tone:440,-20"]);
}

/// The first of several resources wins (genesys-protocol 7.3); the loser breaks no rule.
#[test]
fn one_resource_wins() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::EventFirst, 0);
    rig.says_as(OTHER, &call, SignalKind::Proceed);
    rig.says_as(FULL, &call, SignalKind::Proceed);
    rig.says_as(OTHER, &call, SignalKind::Proceed);
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.seen();
    rig.wait(20);
    assert_eq!(rig.seen(), ["offer reinvite=false -> browser"]);
    rig.says_as(FULL, &call, SignalKind::Active(Form::SdpOverXmpp));
    assert!(rig.violations()[0].contains("from a resource that does not have it"));
}

#[test]
fn an_offer_may_come_without_a_propose() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let call = rig.ring(InboundOrder::OfferOnly, 0);
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.wait(20);
    assert_eq!(
        rig.seen(),
        [
            "event alerting",
            "open leg tone:440,-20",
            "offer reinvite=false -> phone"
        ]
    );
    rig.says(&call, SignalKind::Accept);
    let answer = rig.answer(&call);
    rig.says(&call, answer);
    rig.connect(&call);
    assert_eq!(
        rig.seen(),
        ["leg answer", "leg candidate", "event connected"]
    );
}

#[test]
fn candidates_come_before_the_offer_when_a_test_wants_it() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let spec = InboundSpec {
        early_candidates: true,
        end_of_candidates: true,
        ..InboundSpec::default()
    };
    let call = rig.ring_with(&spec);
    rig.says(&call, SignalKind::Proceed);
    rig.seen();
    rig.leg(&call, LegInput::Offer(OFFER.into()));
    rig.wait(1_000);
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.leg(
        &call,
        LegInput::Candidate("candidate:1 1 udp 1 192.0.2.9 9 typ host".into()),
    );
    rig.leg(&call, LegInput::EndOfCandidates);
    rig.wait(20);
    assert_eq!(
        rig.seen(),
        ["candidate -> phone", "offer reinvite=false -> phone"]
    );
    // The rest waits until the phone has taken the offer.
    rig.says(&call, SignalKind::Accept);
    assert_eq!(
        rig.seen(),
        ["fragment \"a=end-of-candidates\\r\\n\" -> phone"]
    );
}

#[test]
fn a_user_without_a_station_is_not_rung() {
    let mut rig = Rig::new(Form::SdpOverXmpp);
    let user = UserFacts {
        station: false,
        ..Rig::user()
    };
    let error = rig
        .engine
        .call_user(rig.now, &user, &InboundSpec::default())
        .unwrap_err();
    assert!(error.to_string().contains("no station"), "{error}");
    let user = UserFacts {
        newest_resource: None,
        ..Rig::user()
    };
    let spec = InboundSpec {
        order: InboundOrder::OfferOnly,
        ..InboundSpec::default()
    };
    assert!(rig.engine.call_user(rig.now, &user, &spec).is_err());
}
