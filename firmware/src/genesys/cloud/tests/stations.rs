//! The station is found and associated with (genesys-protocol 2.3, 4.5, 7.2).

use super::{Answer, Bench, healthy, serve, serve_on};
use crate::device::Private;
use crate::genesys::token::TokenSource;
use crate::genesys::{
    CloudConfig, CloudEvent, Memory, StationSummary, StationTrouble, StationWish,
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const LIST: &str = "GET /stations?webRtcUserId=U&pageSize=100&pageNumber=1";

/// A user without a station, who has these.
fn owner_of(
    list: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> impl Fn(&str, &str) -> Answer + Send + Sync {
    let healthy = healthy();
    move |line, _| match line {
        "GET /users/me?expand=station" => Answer::json(
            200,
            &json!({"id":"U","name":"Agent Smith","chat":{"jabberId":super::BARE}}),
        ),
        line if line.contains("station") && !line.starts_with("PUT /notifications") => list(line),
        line => healthy(line),
    }
}

fn station(id: &str) -> Value {
    json!({"id":id,"name":format!("Phone {id}"),"type":"inin_webrtc_softphone","webRtcCallAppearances":1})
}

/// These stations, all free.
fn with(ids: &'static [&'static str]) -> impl Fn(&str) -> Answer + Send + Sync {
    move |line| match line {
        LIST => {
            let all: Vec<Value> = ids.iter().map(|id| station(id)).collect();
            Answer::json(200, &json!({"entities":all,"pageCount":1}))
        }
        line => match line.rsplit_once('/') {
            Some(("PUT /users/stations/me/associatedstation", _)) => Answer::json(202, &json!({})),
            Some(("GET /stations", id)) => Answer::json(200, &station(id)),
            _ => panic!("{line}"),
        },
    }
}

fn bench(
    memory: &Memory,
    wish: &str,
    http: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
) -> Bench {
    let config = CloudConfig {
        station: StationWish::parse(wish),
        memory: memory.clone(),
        ..CloudConfig::default()
    };
    Bench::with(config, |_| TokenSource::fixed(Private::from("TOKEN")), http)
}

/// Up to `Ready`; the station it names.
async fn ready(bench: &mut Bench) -> Option<String> {
    let mut server = bench.link().await;
    serve(&mut server).await;
    serve_on(server);
    match bench.event().await {
        CloudEvent::Ready(identity) => identity.station.map(|station| station.id.to_string()),
        other => panic!("{other:?}"),
    }
}

async fn trouble(bench: &mut Bench) -> StationTrouble {
    let event = bench
        .event_like(|e| matches!(e, CloudEvent::StationTrouble(_)))
        .await;
    let CloudEvent::StationTrouble(trouble) = event else {
        unreachable!();
    };
    trouble
}

async fn fetched(bench: &mut Bench) -> String {
    let event = bench
        .event_like(|e| matches!(e, CloudEvent::StationFetched(Some(_))))
        .await;
    let CloudEvent::StationFetched(Some(station)) = event else {
        unreachable!();
    };
    station.id.to_string()
}

#[tokio::test(start_paused = true)]
async fn the_only_station_is_associated_with_before_the_phone_is_ready() {
    let memory = Memory::default();
    let mut bench = bench(&memory, "auto", owner_of(with(&["A"])));
    assert_eq!(ready(&mut bench).await.as_deref(), Some("A"));
    assert_eq!(
        bench.requests("PUT /users/stations/me/associatedstation/A"),
        1
    );
    assert_eq!(
        memory.give_back(&"U".into()),
        Some("A".into()),
        "ours to give back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_chooses_among_several_and_is_not_asked_again() {
    let memory = Memory::default();
    let mut first = bench(&memory, "auto", owner_of(with(&["B", "A"])));
    assert_eq!(
        ready(&mut first).await,
        None,
        "the phone is ready, but not to ring"
    );
    let CloudEvent::StationChoice(choice) = first
        .event_like(|e| matches!(e, CloudEvent::StationChoice(_)))
        .await
    else {
        unreachable!();
    };
    let names: Vec<&str> = choice.iter().map(|station| station.name.as_str()).collect();
    assert_eq!(names, ["Phone A", "Phone B"]);
    assert_eq!(first.requests("PUT /users"), 0);
    assert_eq!(first.cloud.stations().await.expect("a list"), choice);
    first
        .cloud
        .choose_station(&choice[1])
        .await
        .expect("associated");
    assert_eq!(fetched(&mut first).await, "B");
    drop(first);
    // After a restart.
    let mut second = bench(&memory, "auto", owner_of(with(&["B", "A"])));
    assert_eq!(ready(&mut second).await.as_deref(), Some("B"));
}

#[tokio::test(start_paused = true)]
async fn the_configured_station_replaces_another_webrtc_one() {
    let healthy = healthy();
    let mine = with(&["ST", "B"]);
    let mut bench = bench(&Memory::default(), "phone b", move |line, _| match line {
        LIST => mine(line),
        "GET /stations/B" => Answer::json(200, &station("B")),
        line if line.starts_with("PUT /users") => mine(line),
        line => healthy(line),
    });
    assert_eq!(ready(&mut bench).await.as_deref(), Some("B"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_associated_where_that_is_not_wanted() {
    let mut bench = bench(
        &Memory::default(),
        "none",
        owner_of(|line| panic!("{line}")),
    );
    assert_eq!(ready(&mut bench).await, None);
}

#[tokio::test(start_paused = true)]
async fn why_there_is_no_station() {
    fn refusing(status: u16) -> impl Fn(&str) -> Answer + Send + Sync {
        let mine = with(&["A"]);
        move |line| match line {
            LIST => mine(line),
            _ => Answer::json(status, &json!({"code":"some.code"})),
        }
    }
    let mut none = bench(&Memory::default(), "auto", owner_of(with(&[])));
    assert_eq!(ready(&mut none).await, None);
    assert_eq!(trouble(&mut none).await, StationTrouble::Missing);
    for (status, expected) in [(409, "taken by somebody else"), (403, "403"), (404, "404")] {
        let mut bench = bench(&Memory::default(), "auto", owner_of(refusing(status)));
        assert_eq!(ready(&mut bench).await, None);
        let text = trouble(&mut bench).await.to_string();
        assert!(text.contains(expected), "{text}");
        bench.quiet(100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_fails_for_now_goes_on_in_the_background() {
    let (tries, mine) = (AtomicUsize::new(0), with(&["A"]));
    let mut bench = bench(
        &Memory::default(),
        "auto",
        owner_of(move |line| match line {
            LIST if tries.fetch_add(1, Ordering::Relaxed) < 2 => Answer::json(503, &json!({})),
            line => mine(line),
        }),
    );
    assert_eq!(
        ready(&mut bench).await,
        None,
        "the phone does not wait for it"
    );
    assert_eq!(fetched(&mut bench).await, "A");
    assert_eq!(bench.seconds(), 30, "two waits of 15 s");
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read() {
    let mut bench = bench(
        &Memory::default(),
        "auto",
        owner_of(|line| match line {
            LIST => Answer::json(
                200,
                &json!({"entities":[{"id":"R","type":"inin_remote"}],"pageCount":2}),
            ),
            "GET /stations?webRtcUserId=U&pageSize=100&pageNumber=2" => {
                Answer::json(200, &json!({"entities":[station("A")],"pageCount":2}))
            }
            line => with(&[])(line),
        }),
    );
    assert_eq!(ready(&mut bench).await.as_deref(), Some("A"));
}

#[tokio::test(start_paused = true)]
async fn a_station_that_is_taken_away_is_not_fought_for() {
    let mut bench = bench(&Memory::default(), "auto", owner_of(with(&["A"])));
    let mut server = bench.link().await;
    serve(&mut server).await;
    bench
        .event_like(|e| matches!(e, CloudEvent::Connected { .. }))
        .await;
    let (say, _others) = serve_on(server);
    say.send(
        r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="v2.users.U.station"><item><json xmlns="urn:xmpp:json:0">{"metadata":{"action":"Disassociated"},"eventBody":{}}</json></item></items></event></message>"#.to_owned(),
    )
    .expect("sent");
    assert!(matches!(bench.event().await, CloudEvent::Station(_)));
    assert!(matches!(
        bench.event().await,
        CloudEvent::StationFetched(None)
    ));
    let StationTrouble::TakenAway { station } = trouble(&mut bench).await else {
        panic!("taken away");
    };
    let expected = StationSummary {
        id: "A".into(),
        name: "Phone A".to_owned(),
        taken: false,
    };
    assert_eq!(station, expected);
    bench.quiet(3600).await;
    assert_eq!(bench.requests("PUT /users"), 1);
    // Somebody wants it back.
    bench
        .cloud
        .choose_station(&station)
        .await
        .expect("associated");
    assert_eq!(fetched(&mut bench).await, "A");
}

#[tokio::test(start_paused = true)]
async fn without_a_user_there_is_nothing_to_choose() {
    let bench = bench(&Memory::default(), "auto", |_, _| Answer::Silence);
    let station = StationSummary::default();
    assert_eq!(
        bench.cloud.choose_station(&station).await,
        Err(StationTrouble::NoUser)
    );
    assert_eq!(bench.cloud.stations().await, Err(StationTrouble::NoUser));
}
