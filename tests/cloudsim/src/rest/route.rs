//! Which request does what.

use serde_json::{Value, json};

use super::{Call, Reply, calls, leader, notifications, parties, people};
use crate::engine::MOST_PARTIES;
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
        ("GET" | "PUT", ["users", "alertingleader"]) => leader::leader(world, call),
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
            Reply::ok(json!({"maximum": MOST_PARTIES}))
        }
        ("GET", ["conversations", "calls", "history"]) => calls::history(world, call),
        ("GET", ["conversations", "calls", id]) => calls::get(world, id, true),
        ("PATCH", ["conversations", "calls", id]) => calls::patch_call(world, call, id),
        ("GET", ["conversations", id]) => calls::get(world, id, false),
        ("DELETE", ["conversations", id]) => calls::end(world, id),
        (method, ["conversations", "calls", id, rest @ ..]) => {
            call_route(world, call, method, id, rest).unwrap_or_else(|| unknown(world, call))
        }
        ("POST", ["conversations", id, "participants", participant, "digits"]) => {
            calls::digits(world, call, id, participant)
        }
        ("POST", ["conversations", id, "participants", participant, "transfer"]) => {
            parties::replace(world, call, id, participant, "address")
        }
        (
            "POST",
            [
                "conversations",
                id,
                "participants",
                participant,
                "replace",
                kind @ ("agent" | "queue"),
            ],
        ) => parties::replace(world, call, id, participant, kind),

        ("DELETE", ["tokens", "me"]) => {
            world.directory.revoke(&call.token);
            Reply::no_content()
        }
        ("PATCH", ["apps", "users", user, "connections", connection]) => {
            leader::alertable(world, call, user, connection)
        }

        // Telemetry is taken and forgotten.
        ("POST", ["diagnostics", "trace"] | ["diagnostics", "newrelic", "insights"]) => {
            Reply::accepted()
        }
        _ => unknown(world, call),
    }
}

fn unknown(world: &mut World, call: &Call) -> Reply {
    let path = call.path.join("/");
    let text = format!("{} /api/v2/{path} does not exist here", call.method);
    world.violate(
        Some(&call.user),
        ViolationKind::UnknownRequest,
        text.clone(),
    );
    Reply::error(404, "not.found", text)
}

/// What lies under `conversations/calls/{C}`.
fn call_route(
    world: &mut World,
    call: &Call,
    method: &str,
    id: &str,
    path: &[&str],
) -> Option<Reply> {
    Some(match (method, path) {
        ("POST", ["participants"]) => parties::add(world, call, id),
        ("PATCH", ["conference"]) => match object(world, call) {
            Ok(body) => parties::merge(world, call, id, &body),
            Err(reply) => reply,
        },
        ("PUT", ["recordingstate"]) => parties::recording_state(world, call, id),
        ("POST", ["communications", communication, "metadata"]) => {
            calls::metadata(world, id, communication)
        }
        (method, ["participants", participant, rest @ ..]) => match (method, rest) {
            ("PATCH", []) => calls::patch_participant(world, call, id, participant),
            ("POST", ["replace"]) => parties::replace(world, call, id, participant, "anybody"),
            ("GET", ["wrapupcodes"]) => parties::wrapup_codes(world, id, participant),
            // As the platform client has it, under the participant.
            ("POST", ["communications", communication, "wrapup"]) => {
                parties::wrapup(world, call, id, communication)
            }
            ("POST", ["consult"]) => parties::consult(world, call, id, participant, "generic"),
            ("POST", ["consult", kind @ ("agent" | "queue")]) => {
                parties::consult(world, call, id, participant, kind)
            }
            ("POST", ["voice", "consult"]) => {
                parties::consult(world, call, id, participant, "address")
            }
            ("PATCH", ["consult"]) => parties::change_consult(world, call, id, participant),
            ("DELETE", ["consult"]) => parties::cancel_consult(world, id, participant),
            _ => return None,
        },
        _ => return None,
    })
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

/// The page of entities that `pageSize` and `pageNumber` ask for.
pub(super) fn page_of(call: &Call, entities: &[Value], uri: &str) -> Value {
    let number = |key: &str| call.query.get(key).and_then(|value| value.parse().ok());
    let size = number("pageSize").unwrap_or(25_usize).clamp(1, 100);
    let wanted = number("pageNumber").unwrap_or(1).max(1);
    let chosen = entities.chunks(size).nth(wanted - 1).unwrap_or_default();
    let mut value = page(chosen, uri);
    value["pageSize"] = size.into();
    value["pageNumber"] = wanted.into();
    value["total"] = entities.len().into();
    value["pageCount"] = entities.len().div_ceil(size).max(1).into();
    value
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
