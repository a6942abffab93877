//! Reads the cloud's JSON so that one odd field never costs a whole conversation: `null` counts as absent, and a
//! part that cannot be read is left out and logged.

use super::model::{Call, Conversation, Participant};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

/// Removes every `null` member. The depth is bounded: `serde_json` reads at most 128 levels.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A field of an unexpected type or an unknown word counts as absent.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// A conversation in either of its forms: with nested `calls` (4.4), or call-only with the call's fields flat and the
/// user as an object (2.6).
pub(crate) fn conversation_from(mut value: Value) -> Conversation {
    drop_nulls(&mut value);
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
    let participants = match value.get("participants") {
        Some(Value::Array(list)) => list.as_slice(),
        _ => &[],
    };
    Conversation {
        id: id.into(),
        participants: participants.iter().filter_map(participant_from).collect(),
        recording_state: value
            .get("recordingState")
            .and_then(|state| Deserialize::deserialize(state).ok()),
    }
}

fn participant_from(value: &Value) -> Option<Participant> {
    let members = value.as_object()?;
    let mut members = members.clone();
    let calls = members.remove("calls");
    for (flat, object) in [("userId", "user"), ("queueId", "queue")] {
        if let Some(id) = members.get(object).and_then(|o| o.get("id")).cloned() {
            members.entry(flat).or_insert(id);
        }
    }
    let calls = match calls {
        Some(Value::Array(calls)) => calls.into_iter().filter_map(read_call).collect(),
        _ if members.contains_key("state") => flat_call(&members).into_iter().collect(),
        _ => Vec::new(),
    };
    match serde_json::from_value::<Participant>(Value::Object(members)) {
        Ok(participant) => Some(Participant {
            calls,
            ..participant
        }),
        Err(error) => {
            let why = super::rest::wire::json_trouble(&error);
            tracing::warn!(why, "a participant cannot be read and is left out");
            None
        }
    }
}

/// The one call of a participant in the call-only form.
fn flat_call(members: &Map<String, Value>) -> Option<Call> {
    let mut call = members.clone();
    // `id` and `name` are the participant's there.
    call.remove("id");
    if let Some(id) = call.remove("communicationId") {
        call.insert("id".to_owned(), id);
    }
    read_call(Value::Object(call))
}

fn read_call(value: Value) -> Option<Call> {
    serde_json::from_value(value)
        .inspect_err(|error| {
            let why = super::rest::wire::json_trouble(error);
            tracing::warn!(why, "a call cannot be read and is left out");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::conversation_from;
    use crate::genesys::model::{CallState, Direction, RecordingState};
    use serde_json::json;

    #[test]
    fn the_event_of_section_4_4() {
        let conversation = conversation_from(
            json!({"id":"C","maxParticipants":10,"address":null,"participants":[
            {"id":"P-cust","purpose":"customer","name":"Indianapolis, IN","address":"tel:+13175550100",
             "calls":[{"id":"K-cust","state":"connected","direction":"inbound","muted":null,"held":false}]},
            {"id":"P-me","purpose":"agent","userId":"U","queueId":"Q","alertingTimeoutMs":30000,"attributes":{},
             "calls":[{"id":"K-me","state":"alerting","direction":"inbound","provider":"Edge",
                       "other":{"name":"Indianapolis, IN","addressNormalized":"tel:+13175550100"}}]}]}),
        );
        assert_eq!(conversation.id.as_str(), "C");
        let me = &conversation.participants[1];
        assert_eq!(me.user_id, Some("U".into()));
        assert_eq!(me.alerting_timeout_ms, Some(30_000));
        assert_eq!(me.calls[0].state, CallState::Alerting);
        assert_eq!(me.calls[0].direction, Some(Direction::Inbound));
        assert!(!conversation.participants[0].calls[0].muted);
    }

    #[test]
    fn recording_consultation_and_wrap_up() {
        let conversation = conversation_from(
            json!({"id":"C","recordingState":"PAUSED","participants":[
            {"id":"P","wrapupRequired":true,"wrapupPrompt":"timeout","wrapupTimeoutMs":30000,
             "calls":[{"id":"K","recording":true,"recordingState":"active"}]},
            {"id":"P2","consultParticipantId":"P-cust","wrapupRequired":"odd","wrapupTimeoutMs":"odd",
             "wrapup":{"code":"W1","name":"Sold","notes":"..."},"calls":[{"recordingState":7}]}]}),
        );
        assert_eq!(conversation.recording_state, Some(RecordingState::Paused));
        for (word, state) in [
            ("ACTIVE", RecordingState::Active),
            ("odd", RecordingState::None),
        ] {
            let conversation = conversation_from(json!({"id":"C","recordingState":word}));
            assert_eq!(conversation.recording_state, Some(state), "{word}");
        }
        let [me, other] = conversation.participants.as_slice() else {
            panic!("two participants");
        };
        assert!(me.wrapup_required && me.wrapup.is_none() && me.calls[0].recording);
        assert_eq!(me.wrapup_prompt.as_deref(), Some("timeout"));
        assert_eq!(me.wrapup_timeout_ms, Some(30_000));
        assert_eq!(me.calls[0].recording_state, Some(RecordingState::Active));
        assert_eq!(other.consult_participant_id, Some("P-cust".into()));
        assert!(!other.wrapup_required && other.wrapup_timeout_ms.is_none());
        let code = other
            .wrapup
            .as_ref()
            .and_then(|wrapup| wrapup.code.as_deref());
        assert_eq!(code, Some("W1"));
        assert_eq!(other.calls[0].recording_state, None);
    }

    #[test]
    fn the_flat_form_of_section_2_6_becomes_the_nested_one() {
        let conversation = conversation_from(json!({"id":"C","participants":[
            {"id":"P","purpose":"agent","user":{"id":"U"},"queue":{"id":"Q"},"state":"connected","held":true,
             "muted":true,"direction":"outbound","name":"Agent","address":"sip:a","communicationId":"K"}]}));
        let me = &conversation.participants[0];
        assert_eq!(me.id.as_str(), "P");
        assert_eq!(me.user_id, Some("U".into()));
        assert_eq!(me.queue_id.as_deref(), Some("Q"));
        assert_eq!(me.calls.len(), 1);
        assert_eq!(me.calls[0].id.as_str(), "K");
        assert_eq!(me.calls[0].state, CallState::Connected);
        assert!(me.calls[0].held && me.calls[0].muted);
        assert_eq!(me.calls[0].direction, Some(Direction::Outbound));
    }

    #[test]
    fn odd_parts_cost_only_themselves() {
        let conversation = conversation_from(json!({"id":"C","participants":[
            7,
            {"id":["not text"]},
            {"id":"P","calls":[{"id":"K","state":"sparkling","direction":"sideways"},
                                {"id":"K2","muted":"very"}, {"id":"K3"}]},
            {"id":"Q","calls":"none"}]}));
        assert_eq!(conversation.participants.len(), 2);
        let calls = &conversation.participants[0].calls;
        assert_eq!(
            calls.len(),
            2,
            "only the one with an unreadable field is left out"
        );
        assert_eq!(calls[0].state, CallState::None);
        assert_eq!(calls[0].direction, None);
        assert_eq!(calls[1].id.as_str(), "K3");
        assert!(conversation_from(json!([])).participants.is_empty());
    }
}
