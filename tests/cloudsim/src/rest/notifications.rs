//! Notification channels and subscriptions over REST (genesys-protocol 2.2 and 4.1).

use serde_json::{Value, json};

use super::route::bad_body;
use super::{Call, Reply};
use crate::channels::{Channel, TOPICS};
use crate::world::World;

pub(super) fn create(world: &mut World, call: &Call) -> Reply {
    let (channel, dropped) = world.channels.create(world.now, &call.user);
    if let Some(dropped) = dropped {
        let sockets: Vec<u64> = world
            .sockets
            .values()
            .filter(|socket| socket.channel == dropped.id)
            .map(|socket| socket.id)
            .collect();
        for socket in sockets {
            world.hang_up(socket);
        }
    }
    Reply::ok(json(world, &channel))
}

pub(super) fn list(world: &World, call: &Call) -> Reply {
    let channels: Vec<Value> = world
        .channels
        .of(&call.user)
        .map(|channel| json(world, channel))
        .collect();
    // The model of this listing has no pages.
    Reply::ok(json!({"entities": channels}))
}

pub(super) fn subscriptions(world: &mut World, call: &Call, method: &str, channel: &str) -> Reply {
    let Some(found) = world.channels.channel(world.now, channel) else {
        return Reply::not_found("channel", channel);
    };
    if found.user != call.user {
        return Reply::error(403, "not.authorized", "The channel belongs to another user");
    }
    match method {
        "GET" => {
            let topics = found
                .topics
                .iter()
                .map(|topic| json!({"id": topic, "state": "Permitted"}));
            Reply::ok(json!({"entities": topics.collect::<Vec<_>>()}))
        }
        "DELETE" => {
            if let Some(found) = world.channels.channel_mut(channel) {
                found.topics.clear();
            }
            Reply::no_content()
        }
        "PUT" | "POST" => subscribe(world, call, channel, method == "PUT"),
        other => bad_body(
            world,
            call,
            &format!("{other} is no method of subscriptions"),
        ),
    }
}

fn subscribe(world: &mut World, call: &Call, channel: &str, replace: bool) -> Reply {
    let Ok(Value::Array(wanted)) = serde_json::from_slice(&call.body) else {
        return bad_body(world, call, "the body must be an array of {\"id\": topic}");
    };
    let topics: Option<Vec<String>> = wanted
        .iter()
        .map(|one| one["id"].as_str().map(str::to_owned))
        .collect();
    let Some(topics) = topics else {
        return bad_body(world, call, "each entry of the array needs an \"id\"");
    };
    if topics.len() > TOPICS {
        return bad_body(world, call, "a channel takes at most 1000 topics");
    }
    let partial = call
        .query
        .get("ignoreErrors")
        .is_some_and(|value| value == "true");
    let verdicts = world
        .channels
        .subscribe(world.now, channel, &topics, replace, partial);
    match verdicts.iter().find_map(|verdict| verdict.refused.clone()) {
        Some(reason) if !partial => Reply::error(403, "notification.unauthorized.topic", reason),
        _ => {
            let entities: Vec<Value> = verdicts.iter().map(|one| one.json(channel)).collect();
            Reply::ok(json!({"entities": entities}))
        }
    }
}

fn json(world: &World, channel: &Channel) -> Value {
    json!({
        "id": channel.id,
        "connectUri": format!("wss://{}/channels/{}", world.authority, channel.id),
        "expires": world.clock.iso(channel.expires),
    })
}
