//! A conversation as JSON, in both of the cloud's shapes (genesys-protocol 2.6 and 4.4).

use serde_json::{Map, Value, json};
use std::time::Duration;

use super::conversation::{Call, Conversation, Participant, Party, RecordingState};
use crate::clock::WallClock;

/// The generic conversation: participants with nested `calls`.
pub fn conversation(conversation: &Conversation, clock: WallClock) -> Value {
    let participants: Vec<Value> = conversation
        .participants
        .iter()
        .map(|one| participant(one, conversation.recording, clock))
        .collect();
    let mut value = json!({
        "id": conversation.id,
        "maxParticipants": 10,
        "startTime": clock.iso(conversation.started),
        "address": conversation.address,
        "participants": participants,
        "recordingState": conversation.recording.as_str(),
        "divisions": [],
        "selfUri": format!("/api/v2/conversations/{}", conversation.id),
    });
    if conversation.is_over() {
        let ended = conversation
            .participants
            .iter()
            .filter_map(|one| one.ended)
            .max();
        put_time(&mut value, "endTime", ended, clock);
    }
    value
}

/// The call conversation: participants with a flat `state`, `held`, `muted` and `user`.
pub fn call_conversation(conversation: &Conversation, clock: WallClock) -> Value {
    let participants: Vec<Value> = conversation
        .participants
        .iter()
        .map(|one| call_participant(one, conversation.recording, clock))
        .collect();
    json!({
        "id": conversation.id,
        "maxParticipants": 10,
        "participants": participants,
        "otherMediaUris": [],
        "recordingState": conversation.recording.as_str(),
        "divisions": [],
        "selfUri": format!("/api/v2/conversations/calls/{}", conversation.id),
    })
}

fn participant(one: &Participant, recording: RecordingState, clock: WallClock) -> Value {
    let mut value = json!({
        "id": one.id,
        "purpose": one.purpose.as_str(),
        "participantType": if one.user.is_some() { "Internal" } else { "External" },
        "name": one.name,
        "address": one.address,
        "startTime": clock.iso(one.started),
        "wrapupRequired": one.wrapup_prompt.is_some(),
        "mediaRoles": ["full"],
        "attributes": {},
        "calls": [call(&one.call, recording, clock)],
    });
    put(&mut value, "userId", one.user.as_deref());
    put(&mut value, "queueId", one.queue.as_deref());
    put_time(&mut value, "connectedTime", one.connected, clock);
    put_time(&mut value, "endTime", one.ended, clock);
    put_aside(&mut value, one);
    put_millis(&mut value, "alertingTimeoutMs", one.alert_for);
    value
}

fn call(call: &Call, recording: RecordingState, clock: WallClock) -> Value {
    let mut value = json!({
        "id": call.id,
        "state": call.state.as_str(),
        "initialState": call.initial.as_str(),
        "direction": call.direction.as_str(),
        "recording": recording == RecordingState::Active,
        "recordingState": recording.as_str(),
        "muted": call.muted,
        "confined": call.confined,
        "held": call.held,
        "securePause": false,
        "segments": [],
        "provider": "Edge",
        "other": party(&call.other),
    });
    put(&mut value, "peerId", call.peer.as_deref());
    put(&mut value, "disconnectType", call.disconnect_type);
    put_time(&mut value, "startHoldTime", call.held_since, clock);
    put_time(&mut value, "connectedTime", call.connected, clock);
    put_time(&mut value, "disconnectedTime", call.disconnected, clock);
    put_error(&mut value, call);
    value
}

fn call_participant(one: &Participant, recording: RecordingState, clock: WallClock) -> Value {
    let call = &one.call;
    let mut value = json!({
        "id": one.id,
        "name": one.name,
        "address": one.address,
        "startTime": clock.iso(one.started),
        "purpose": one.purpose.as_str(),
        "state": call.state.as_str(),
        "direction": call.direction.as_str(),
        "held": call.held,
        "muted": call.muted,
        "confined": call.confined,
        "wrapupRequired": one.wrapup_prompt.is_some(),
        "recording": recording == RecordingState::Active,
        "recordingState": recording.as_str(),
        "provider": "Edge",
        "attributes": {},
        "mediaRoles": ["full"],
    });
    if let Some(user) = &one.user {
        value["user"] = json!({"id": user, "selfUri": format!("/api/v2/users/{user}")});
    }
    if let Some(queue) = &one.queue {
        value["queue"] = json!({"id": queue, "selfUri": format!("/api/v2/routing/queues/{queue}")});
    }
    let (ani, dnis) = match call.direction {
        super::CallDirection::Inbound => (&call.other.address, &one.address),
        super::CallDirection::Outbound => (&one.address, &call.other.address),
    };
    put(&mut value, "ani", Some(ani));
    put(&mut value, "dnis", Some(dnis));
    put(&mut value, "disconnectType", call.disconnect_type);
    put_time(&mut value, "connectedTime", one.connected, clock);
    put_time(&mut value, "endTime", one.ended, clock);
    put_time(&mut value, "startHoldTime", call.held_since, clock);
    put_millis(&mut value, "alertingTimeoutMs", one.alert_for);
    put_aside(&mut value, one);
    put_error(&mut value, call);
    value
}

fn put_aside(value: &mut Value, one: &Participant) {
    put(value, "wrapupPrompt", one.wrapup_prompt.as_deref());
    put(
        value,
        "consultParticipantId",
        one.consult_participant.as_deref(),
    );
    if let Some((code, notes)) = &one.wrapup {
        value["wrapup"] = json!({"code": code, "notes": notes});
    }
    if one.wrapup_skipped {
        value["wrapupSkipped"] = true.into();
    }
}

fn party(party: &Party) -> Value {
    json!({
        "name": party.name,
        "nameRaw": party.name,
        "addressNormalized": party.address,
        "addressRaw": party.address,
        "addressDisplayable": displayable(&party.address),
    })
}

/// A North American number as people write it, anything else without its scheme.
fn displayable(address: &str) -> String {
    let plain = address.strip_prefix("tel:").unwrap_or(address);
    match plain.strip_prefix("+1") {
        Some(rest) if rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("+1 {}-{}-{}", &rest[..3], &rest[3..6], &rest[6..])
        }
        _ => plain.to_owned(),
    }
}

fn put(value: &mut Value, key: &str, text: Option<&str>) {
    if let (Some(map), Some(text)) = (value.as_object_mut(), text) {
        map.insert(key.to_owned(), Value::from(text));
    }
}

fn put_time(value: &mut Value, key: &str, at: Option<Duration>, clock: WallClock) {
    put(value, key, at.map(|at| clock.iso(at)).as_deref());
}

fn put_millis(value: &mut Value, key: &str, length: Option<Duration>) {
    if let (Some(map), Some(length)) = (value.as_object_mut(), length) {
        map.insert(key.to_owned(), Value::from(length.as_millis() as u64));
    }
}

fn put_error(value: &mut Value, call: &Call) {
    if let (Some(map), Some((code, message))) = (value.as_object_mut(), &call.error) {
        let mut info = Map::new();
        info.insert("status".into(), 400.into());
        info.insert("code".into(), code.as_str().into());
        info.insert("message".into(), message.as_str().into());
        map.insert("errorInfo".into(), Value::Object(info));
    }
}

#[cfg(test)]
mod tests {
    use super::displayable;

    #[test]
    fn numbers_are_displayed() {
        for (address, shown) in [
            ("tel:+13175550100", "+1 317-555-0100"),
            ("tel:+441632960000", "+441632960000"),
            ("sip:x@y", "sip:x@y"),
            ("+1317555010", "+1317555010"),
        ] {
            assert_eq!(displayable(address), shown);
        }
    }
}
