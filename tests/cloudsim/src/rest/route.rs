//! Which request does what.

use serde_json::{Value, json};

use super::{Call, Reply, calls, notifications, people};
use crate::journal::ViolationKind;
use crate::world::World;

/// Answers one request. A path or method that the cloud does not have is a violation.
pub(crate) fn route(world: &mut World, call: &Call) -> Reply {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), &path[..]) {
        ("GET", ["organizations", "me"]) => Reply::ok(world.directory.organization()),

        ("GET", ["users", "me"]) => people::me(world, call),
        ("GET", ["users"]) => people::users(world, call),
        ("GET", ["users", "stations", "me"]) => people::stations(world, &call.user),
        ("PUT", ["users", "stations", "me", "associatedstation", station]) => {
            people::associate(world, &call.user, station)
        }
        ("DELETE", ["users", "stations", "me", "associatedstation"]) => {
            people::disassociate(world, &call.user)
        }
        ("GET", ["users", user]) => people::user(world, call, user),
        ("GET", ["users", user, "station"]) => people::stations(world, user),
        ("PUT", ["users", user, "station", "associatedstation", station]) => {
            people::associate(world, user, station)
        }
        ("DELETE", ["users", user, "station", "associatedstation"]) => {
            people::disassociate(world, user)
        }
        ("PUT", ["users", user, "station", "defaultstation", station]) => {
            people::default_station(world, user, Some(station))
        }
        ("DELETE", ["users", user, "station", "defaultstation"]) => {
            people::default_station(world, user, None)
        }
        ("GET", ["stations"]) => people::find_stations(world, call),
        ("GET", ["stations", station]) => people::station(world, station),
        ("DELETE", ["stations", station, "associateduser"]) => people::free_station(world, station),

        ("POST", ["notifications", "channels"]) => notifications::create(world, call),
        ("GET", ["notifications", "channels"]) => notifications::list(world, call),
        (method, ["notifications", "channels", channel, "subscriptions"]) => {
            notifications::subscriptions(world, call, method, channel)
        }

        ("POST", ["conversations", "calls"]) => calls::place(world, call),
        ("GET", ["conversations", "calls"]) => calls::list(world, call, true),
        ("GET", ["conversations"]) => calls::list(world, call, false),
        ("GET", ["conversations", "calls", "maximumconferenceparties"]) => {
            Reply::ok(json!({"maximum": 10}))
        }
        ("GET", ["conversations", "calls", id]) => calls::get(world, id, true),
        ("PATCH", ["conversations", "calls", id]) => calls::patch_call(world, call, id),
        ("GET", ["conversations", id]) => calls::get(world, id, false),
        ("DELETE", ["conversations", id]) => calls::end(world, id),
        ("PATCH", ["conversations", "calls", id, "participants", participant]) => {
            calls::patch_participant(world, call, id, participant)
        }
        (
            "POST",
            [
                "conversations",
                "calls",
                id,
                "participants",
                participant,
                "replace",
            ],
        ) => calls::replace(world, call, id, participant),
        (
            "POST",
            [
                "conversations",
                "calls",
                id,
                "communications",
                communication,
                "metadata",
            ],
        ) => calls::metadata(world, id, communication),
        ("POST", ["conversations", id, "participants", participant, "digits"]) => {
            calls::digits(world, call, id, participant)
        }

        // Telemetry is taken and forgotten.
        ("POST", ["diagnostics", "trace"] | ["diagnostics", "newrelic", "insights"]) => {
            Reply::accepted()
        }
        (method, path) => {
            let text = format!("{method} /api/v2/{} does not exist here", path.join("/"));
            world.violate(
                Some(&call.user),
                ViolationKind::UnknownRequest,
                text.clone(),
            );
            Reply::error(404, "not.found", text)
        }
    }
}

/// The body as a JSON object, or a violation and the 400.
pub(super) fn object(world: &mut World, call: &Call) -> Result<Value, Reply> {
    match serde_json::from_slice::<Value>(&call.body) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(bad_body(world, call, "the body is no JSON object")),
        Err(error) => Err(bad_body(
            world,
            call,
            &format!("the body is no JSON: {error}"),
        )),
    }
}

/// A violation and the 400.
pub(super) fn bad_body(world: &mut World, call: &Call, why: &str) -> Reply {
    let text = format!("{} /api/v2/{}: {why}", call.method, call.path.join("/"));
    world.violate(Some(&call.user), ViolationKind::BadBody, text);
    Reply::error(400, "bad.request", why)
}

/// A page of entities, all of them on the first.
pub(super) fn page(entities: &[Value], uri: &str) -> Value {
    let total = entities.len();
    json!({
        "entities": entities,
        "pageSize": 25,
        "pageNumber": 1,
        "total": total,
        "pageCount": 1,
        "firstUri": uri,
        "lastUri": uri,
        "selfUri": uri,
    })
}
