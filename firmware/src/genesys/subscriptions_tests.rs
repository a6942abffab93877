use super::{Notification, Topics, combine, subscribe};
use crate::genesys::id::{Jid, UserId};
use crate::genesys::model::{CallState, StationEvent};
use crate::genesys::xml::{Element, ns};
use serde_json::json;

fn topics() -> Topics {
    Topics::new(UserId::from("U"))
}

fn event(node: &str, json: &str) -> Element {
    Element::new("event", ns::PUBSUB_EVENT).with_child(
        Element::new("items", ns::PUBSUB_EVENT)
            .with("node", node)
            .with_child(
                Element::new("item", ns::PUBSUB_EVENT)
                    .with("id", "1")
                    .with_child(Element::new("json", ns::JSON).with_text(json)),
            ),
    )
}

#[test]
fn bodies_as_the_real_client_sends_them() {
    assert_eq!(
        topics().first_body(),
        json!([{"id": "v2.users.U?conversations&station"}])
    );
    assert_eq!(
        topics().full_body(),
        json!([{"id": "v2.users.U?conversations&station&persistentconnection"}])
    );
}

#[test]
fn combining_topics() {
    let list =
        |topics: &[&str]| combine(&topics.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    assert_eq!(list(&["a.b.c"]), ["a.b.c"]);
    assert_eq!(
        list(&["a.b.c", "x.y", "a.b.d", "a.b.c"]),
        ["a.b?c&d", "x.y"]
    );
    assert_eq!(list(&["plain"]), ["plain"]);
    let long: Vec<String> = (0..30)
        .map(|n| format!("v2.users.U.topic-number-{n:02}"))
        .collect();
    let combined = combine(&long);
    assert!(combined.len() > 1);
    assert!(combined.iter().all(|id| id.len() < 200), "{combined:?}");
    let names: usize = combined
        .iter()
        .map(|id| id.split(['?', '&']).count() - 1)
        .sum();
    assert_eq!(names, 30);
}

#[test]
fn the_subscription_names_the_bare_jid() {
    assert_eq!(
        subscribe(
            "notifications.x",
            &Jid::from("me@acme"),
            "v2.users.U.conversations"
        )
        .to_string(),
        r#"<iq xmlns="jabber:client" to="notifications.x" type="set"><pubsub xmlns="http://jabber.org/protocol/pubsub"><subscribe node="v2.users.U.conversations" jid="me@acme"/></pubsub></iq>"#
    );
}

#[test]
fn a_conversation_is_read_and_kept_raw() {
    let json = r#"{"topicName":"v2.users.U.conversations","version":"2","metadata":{"CorrelationId":"9a"},
        "eventBody":{"id":"C","participants":[{"id":"P","userId":"U","calls":[{"id":"K","state":"dialing"}]}]}}"#;
    let Ok(Some(Notification::Conversation(event))) =
        topics().read(&event("v2.users.U.conversations", json))
    else {
        panic!("a conversation");
    };
    assert_eq!(
        event.conversation.participants[0].calls[0].state,
        CallState::Dialing
    );
    assert_eq!(event.raw.0["metadata"]["CorrelationId"], "9a");
}

#[test]
fn station_events() {
    for (json, expected) in [
        (
            r#"{"metadata":{"action":"Associated"},"eventBody":{"associatedStation":{"id":"ST"}}}"#,
            Some(StationEvent::Associated("ST".into())),
        ),
        (
            r#"{"metadata":{"action":"Disassociated"},"eventBody":{}}"#,
            Some(StationEvent::Disassociated),
        ),
        (
            r#"{"metadata":{"action":"WebRTCMigration"}}"#,
            Some(StationEvent::Migrated),
        ),
        (r#"{"metadata":{"action":"Polished"}}"#, None),
        ("{}", None),
    ] {
        let read = match topics()
            .read(&event("v2.users.U.station", json))
            .expect(json)
        {
            Some(Notification::Station(event)) => Some(event),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(read, expected, "{json}");
    }
}

#[test]
fn persistent_connection_events() {
    let json = r#"{"eventBody":{"userId":"U","stationId":"ST","persistentState":"FAILED",
        "errorInfo":{"text":"t","code":"error.x","userMessage":"m","userParams":[]}}}"#;
    let Ok(Some(Notification::PersistentConnection(event))) =
        topics().read(&event("v2.users.U.persistentconnection", json))
    else {
        panic!("a persistent connection event");
    };
    assert_eq!(event.persistent_state.as_deref(), Some("FAILED"));
    let error = event.error_info.expect("an error");
    assert_eq!(error.code.as_deref(), Some("error.x"));
    assert_eq!(error.message.expect("text").expose(), "t");
    assert_eq!(error.user_message.expect("text").expose(), "m");
}

#[test]
fn system_nodes_and_nodes_of_others() {
    let read = |node: &str| topics().read(&event(node, "{}")).expect(node);
    assert!(matches!(
        read("system.v2.no_longer_subscribed.streaming-1"),
        Some(Notification::ChannelLost)
    ));
    assert!(matches!(
        read("system.v2.duplicate_id.streaming-1"),
        Some(Notification::ChannelLost)
    ));
    assert!(matches!(
        read("streaming-subscriptions-expiring"),
        Some(Notification::Expiring)
    ));
    assert!(matches!(
        read("v2.system.socket_closing"),
        Some(Notification::Closing)
    ));
    assert!(read("v2.users.SOMEBODY.conversations").is_none());
}

#[test]
fn bad_notifications_are_named_without_quoting_them() {
    for (event, expected) in [
        (Element::new("event", ns::PUBSUB_EVENT), "no items"),
        (event("v2.users.U.conversations", "{secret"), "not JSON"),
        (event("v2.users.U.conversations", "{}"), "without id"),
        (
            event("v2.users.U.conversations", &"[".repeat(4000)),
            "not JSON",
        ),
        (
            event(
                "v2.users.U.station",
                r#"{"metadata":{"action":"Associated"},"eventBody":{"associatedStation":{}}}"#,
            ),
            "without id",
        ),
        (
            event(
                "v2.users.U.persistentconnection",
                r#"{"eventBody":"secret"}"#,
            ),
            "unexpected type",
        ),
    ] {
        let error = topics().read(&event).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
