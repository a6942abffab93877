//! Conversations (genesys-protocol 2.4, 2.5, 2.6).

use serde_json::{Value, json};

use super::route::{bad_body, object, page, page_of};
use super::{Call, Reply, parties};
use crate::engine::{
    CallDirection, CallState, CommandError, ParticipantPatch, Purpose, RecordingState,
};
use crate::world::World;

/// Fields of `MediaParticipantRequest`.
const PATCH_FIELDS: [&str; 9] = [
    "state",
    "muted",
    "held",
    "confined",
    "recording",
    "wrapup",
    "wrapupSkipped",
    "resumeTime",
    "securePause",
];

/// Fields of `POST /conversations/calls` with what each must be (genesys-protocol 2.4).
const PLACE_FIELDS: [(&str, Shape); 11] = [
    ("phoneNumber", Shape::Text),
    ("callerId", Shape::Text),
    ("callerIdName", Shape::Text),
    ("callFromQueueId", Shape::Text),
    ("callQueueId", Shape::Text),
    ("callUserId", Shape::Text),
    ("priority", Shape::Number),
    ("languageId", Shape::Text),
    ("routingSkillsIds", Shape::Texts),
    ("conversationIds", Shape::Texts),
    ("uuiData", Shape::Text),
];

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Texts,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_i64(),
            Self::Texts => value
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_string)),
        }
    }
}

pub(super) fn place(world: &mut World, call: &Call) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    // Other fields pass: the client puts `sessionType` and more beside these.
    for (name, shape) in PLACE_FIELDS {
        if body
            .get(name)
            .is_some_and(|value| !value.is_null() && !shape.fits(value))
        {
            return bad_body(world, call, &format!("{name} has the wrong type"));
        }
    }
    if body["conversationIds"].is_array() {
        return place_conference(world, call, &body);
    }
    let guests = match body.get("participants") {
        Some(_) => match parties::guests(world, call, &body) {
            Ok(guests) => guests,
            Err(reply) => return reply,
        },
        None => Vec::new(),
    };
    let address = match target(&body) {
        Ok(address) => address,
        Err(Target::Missing) => {
            let why = "one of phoneNumber, callUserId, callQueueId, participants or conversationIds is needed";
            return bad_body(world, call, why);
        }
        // The user dialed it; the phone only passed it on.
        Err(Target::Invalid(number)) => {
            let message = format!("The phone number {number:?} is not valid");
            return Reply::error(400, "invalid.phone.number", message);
        }
    };
    let Some(facts) = world.facts(&call.user) else {
        return Reply::not_found("user", &call.user);
    };
    if !facts.station {
        let message = "The user has no station to place the call with";
        return Reply::error(400, "bad.request", message);
    }
    let queue = body["callFromQueueId"].as_str().map(str::to_owned);
    let mut spec = world.outbound.clone();
    if let Some(known) = world.contact(&address) {
        spec.leg.far_end = known.far_end.clone();
        spec.far_end_name.clone_from(&known.name);
        spec.answer_after = known.answer_after;
    }
    let callee = body["callUserId"]
        .as_str()
        .and_then(|user| world.facts(user));
    let (token, turn) = world.hold_reply();
    let id = world.engine.place_call(
        world.now,
        &facts,
        &address,
        queue,
        callee.as_ref(),
        &spec,
        token,
    );
    if guests.len() > 1 {
        // The first is whom the call is placed to.
        let others = guests.into_iter().skip(1).collect();
        let brought = parties::bring(world, call, &id, others);
        if brought.status >= 400 {
            return brought;
        }
    }
    let body = json!({"id": id, "selfUri": format!("/api/v2/conversations/calls/{id}")});
    Reply {
        status: 202,
        body: Some(body),
        turn: Some(turn),
    }
}

enum Target {
    Missing,
    Invalid(String),
}

/// A conference of calls that run: the first takes the others in.
fn place_conference(world: &mut World, call: &Call, body: &Value) -> Reply {
    let first = body["conversationIds"][0].as_str().unwrap_or_default();
    let first = first.to_owned();
    let merged = parties::merge(world, call, &first, body);
    if merged.status >= 400 {
        return merged;
    }
    let uri = format!("/api/v2/conversations/calls/{first}");
    Reply {
        status: 202,
        ..Reply::ok(json!({"id": first, "selfUri": uri}))
    }
}

/// Whom a call is for.
fn target(body: &Value) -> Result<String, Target> {
    if let Some(number) = body["phoneNumber"].as_str() {
        return dialed(number).ok_or_else(|| Target::Invalid(number.to_owned()));
    }
    if let Some(user) = body["callUserId"].as_str() {
        return Ok(format!("sip:{user}@localhost"));
    }
    if let Some(queue) = body["callQueueId"].as_str() {
        return Ok(format!("sip:{queue}@queue.localhost"));
    }
    let first = &body["participants"][0];
    if let Some(address) = first["address"].as_str() {
        return dialed(address).ok_or_else(|| Target::Invalid(address.to_owned()));
    }
    if let Some(user) = first["userId"].as_str() {
        return Ok(format!("sip:{user}@localhost"));
    }
    if let Some(queue) = first["queueId"].as_str() {
        return Ok(format!("sip:{queue}@queue.localhost"));
    }
    Err(Target::Missing)
}

/// A number or address as the cloud keeps it, if it can be dialed at all.
pub(super) fn dialed(number: &str) -> Option<String> {
    let number = number.trim();
    if let Some((node, host)) = number
        .strip_prefix("sip:")
        .unwrap_or(number)
        .split_once('@')
    {
        let good = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        return (good(node) && good(host)).then(|| format!("sip:{node}@{host}"));
    }
    let plain: String = number
        .strip_prefix("tel:")
        .unwrap_or(number)
        .chars()
        .filter(|one| !" -().".contains(*one))
        .collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let good = (1..=32).contains(&digits.len())
        && digits
            .bytes()
            .all(|one| one.is_ascii_digit() || b"*#".contains(&one));
    good.then(|| format!("tel:{plain}"))
}

pub(super) fn list(world: &World, call: &Call, flat: bool) -> Reply {
    let own = world.engine.conversations().filter(|conversation| {
        conversation
            .participants
            .iter()
            .any(|one| one.user.as_deref() == Some(&call.user) && !one.call.state.is_over())
    });
    let entities: Vec<Value> = own
        .filter_map(|conversation| {
            if flat {
                world.engine.call_json(&conversation.id)
            } else {
                world.engine.conversation_json(&conversation.id)
            }
        })
        .collect();
    let uri = if flat {
        "/api/v2/conversations/calls"
    } else {
        "/api/v2/conversations"
    };
    Reply::ok(page(&entities, uri))
}

/// Calls of the user that are over, newest first.
pub(super) fn history(world: &World, call: &Call) -> Reply {
    let mut over: Vec<_> = world
        .engine
        .conversations()
        .filter(|one| one.is_over() && one.users().contains(&call.user))
        .collect();
    over.sort_by_key(|one| std::cmp::Reverse(one.started));
    let entities: Vec<Value> = over
        .into_iter()
        .filter_map(|one| {
            let own = one.participants.iter().find(|own| own.user.as_ref() == Some(&call.user))?;
            let mailbox = one.participants.iter().any(|one| one.purpose == Purpose::Voicemail);
            let flat = world.engine.call_json(&one.id)?;
            Some(json!({
                "id": one.id,
                "participants": flat["participants"],
                "direction": own.call.direction.as_str(),
                "wentToVoicemail": mailbox,
                "missedCall": own.connected.is_none() && own.call.direction == CallDirection::Inbound,
                "startTime": world.clock.iso(one.started),
                "wasConference": one.participants.iter().filter(|one| one.connected.is_some()).count() > 3,
                "wasCallback": false,
            }))
        })
        .collect();
    Reply::ok(page_of(
        call,
        &entities,
        "/api/v2/conversations/calls/history",
    ))
}

pub(super) fn get(world: &World, id: &str, flat: bool) -> Reply {
    let found = if flat {
        world.engine.call_json(id)
    } else {
        world.engine.conversation_json(id)
    };
    found.map_or_else(|| Reply::not_found("conversation", id), Reply::ok)
}

pub(super) fn patch_call(world: &mut World, call: &Call, id: &str) -> Reply {
    match object(world, call) {
        Ok(body) if body["state"] == "disconnected" => end(world, id),
        Ok(body) if body["conversationIds"].is_array() => parties::merge(world, call, id, &body),
        Ok(_) => bad_body(
            world,
            call,
            "only {\"state\":\"disconnected\"} and {\"conversationIds\":[..]} are understood here",
        ),
        Err(reply) => reply,
    }
}

pub(super) fn end(world: &mut World, id: &str) -> Reply {
    done(world.engine.end_call(world.now, id))
}

pub(super) fn patch_participant(
    world: &mut World,
    call: &Call,
    id: &str,
    participant: &str,
) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let patch = match patch(&body) {
        Ok(patch) => patch,
        Err(why) => return bad_body(world, call, &why),
    };
    if let Some(error) = aside(world, id, participant, &body) {
        return error;
    }
    if patch == ParticipantPatch::default() {
        return Reply::accepted();
    }
    done(world.engine.patch(world.now, id, participant, patch))
}

/// The fields beside the call itself; the reply if one of them is refused.
fn aside(world: &mut World, id: &str, participant: &str, body: &Value) -> Option<Reply> {
    let mut results = Vec::new();
    if let Some(recording) = body["recording"].as_bool() {
        let state = if recording {
            RecordingState::Active
        } else {
            RecordingState::None
        };
        results.push(world.engine.set_recording(world.now, id, state));
    }
    if body["wrapup"].is_object() {
        match parties::read_wrapup(&body["wrapup"]) {
            Ok(wrapup) => results.push(world.engine.wrap_up(world.now, id, participant, wrapup)),
            Err(why) => return Some(Reply::error(400, "bad.request", why)),
        }
    }
    if body["wrapupSkipped"] == true {
        results.push(world.engine.skip_wrap_up(world.now, id, participant));
    }
    let failed = results.into_iter().find(Result::is_err)?;
    Some(done(failed))
}

fn patch(body: &Value) -> Result<ParticipantPatch, String> {
    let fields = body.as_object().into_iter().flatten();
    if let Some((unknown, _)) = fields
        .clone()
        .find(|(name, _)| !PATCH_FIELDS.contains(&name.as_str()))
    {
        return Err(format!("{unknown} is no field of a participant"));
    }
    if fields.count() == 0 {
        return Err("the body changes nothing".into());
    }
    let flag = |name: &str| match &body[name] {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(*value)),
        other => Err(format!("{name} is {other} and must be true or false")),
    };
    let state = match body["state"].as_str() {
        None if body["state"].is_null() => None,
        Some("connected") => Some(CallState::Connected),
        Some("disconnected") => Some(CallState::Disconnected),
        _ => return Err("state must be \"connected\" or \"disconnected\"".into()),
    };
    Ok(ParticipantPatch {
        state,
        muted: flag("muted")?,
        held: flag("held")?,
        confined: flag("confined")?,
    })
}

pub(super) fn metadata(world: &mut World, id: &str, communication: &str) -> Reply {
    done(world.engine.metadata(world.now, id, communication))
}

pub(super) fn digits(world: &mut World, call: &Call, id: &str, participant: &str) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let digits = body["digits"].as_str().unwrap_or_default();
    let good = !digits.is_empty()
        && digits
            .bytes()
            .all(|one| one.is_ascii_digit() || b"*#ABCDabcd,".contains(&one));
    if !good {
        return bad_body(
            world,
            call,
            "digits must be 0-9, *, #, A-D or a comma for a pause",
        );
    }
    done(world.engine.digits(id, participant, digits))
}

pub(super) fn done(result: Result<(), CommandError>) -> Reply {
    match result {
        Ok(()) => Reply::accepted(),
        Err(CommandError::UnknownConversation(id)) => Reply::not_found("conversation", &id),
        Err(CommandError::UnknownParticipant(id)) => Reply::not_found("participant", &id),
        Err(CommandError::UnknownCommunication(id)) => Reply::not_found("communication", &id),
        Err(error) => Reply::error(409, "general.conflict", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_plain_or_refused() {
        for (typed, kept) in [
            ("+1 317-555-0100", Some("tel:+13175550100")),
            ("(317) 555.0100", Some("tel:3175550100")),
            ("*97#", Some("tel:*97#")),
            ("sip:a@b", Some("sip:a@b")),
            ("a@b", Some("sip:a@b")),
            ("tel:+1", Some("tel:+1")),
            ("", None),
            ("+", None),
            ("hello", None),
            ("a b@c", None),
            ("123456789012345678901234567890123", None),
        ] {
            assert_eq!(dialed(typed).as_deref(), kept, "{typed:?}");
        }
    }

    #[test]
    fn patches_are_strict() {
        for (body, says) in [
            (json!({}), "changes nothing"),
            (json!({"mute": true}), "no field"),
            (json!({"muted": "yes"}), "true or false"),
            (json!({"state": "held"}), "connected"),
        ] {
            assert!(patch(&body).unwrap_err().contains(says), "{body}");
        }
        let both = patch(&json!({"muted": true, "held": false})).unwrap();
        assert_eq!(
            (both.muted, both.held, both.state),
            (Some(true), Some(false), None)
        );
    }
}
