//! The alerting leader: which of a user's clients rings (genesys-protocol 7.1).

use serde_json::{Value, json};

use super::route::{bad_body, object};
use super::{Call, Reply};
use crate::world::World;

/// `GET` and `PUT /users/alertingleader`.
pub(super) fn leader(world: &mut World, call: &Call) -> Reply {
    if call.method == "GET" {
        let Some(user) = world.directory.user(&call.user) else {
            return Reply::not_found("user", &call.user);
        };
        let mut value = json!({"userId": call.user});
        if let Some(connection) = &user.alerting_leader {
            value["connectionId"] = Value::from(connection.clone());
        }
        return Reply::ok(value);
    }
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let Some(connection) = body["connectionId"].as_str() else {
        return bad_body(world, call, "connectionId is missing");
    };
    if !world.has_connection(&call.user, connection) {
        return Reply::not_found("connection", connection);
    }
    world.lead_alerting(&call.user, Some(connection.to_owned()));
    Reply::ok(json!({"userId": call.user, "connectionId": connection}))
}

/// `PATCH /apps/users/{U}/connections/{connectionId}`: a client that can ring takes the lead if
/// nobody has it.
pub(super) fn alertable(world: &mut World, call: &Call, user: &str, connection: &str) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let Some(alertable) = body["alertable"].as_bool() else {
        return bad_body(world, call, "alertable must be true or false");
    };
    if user != call.user {
        return Reply::error(403, "not.authorized", "The user is another one");
    }
    if !world.has_connection(user, connection) {
        return Reply::not_found("connection", connection);
    }
    let leads = world
        .directory
        .user(user)
        .and_then(|user| user.alerting_leader.clone());
    let gone = leads
        .as_ref()
        .is_none_or(|leader| !world.has_connection(user, leader));
    if alertable && gone {
        world.lead_alerting(user, Some(connection.to_owned()));
    } else if !alertable && leads.as_deref() == Some(connection) {
        world.lead_alerting(user, None);
    }
    Reply::no_content()
}
