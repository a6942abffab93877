//! Which participant and which call of a conversation are ours (genesys-protocol 6.7).

use super::view::living_call;
use crate::genesys::id::UserId;
use crate::genesys::model::{Call, CallState, Conversation, Participant};

/// Our participant and call. `wanted` decides between several participants, where a state is looked for.
pub(super) fn own_call<'a>(
    conversation: &'a Conversation,
    me: &UserId,
    wanted: Option<CallState>,
) -> Option<(&'a Participant, &'a Call)> {
    let participant = own_participant(conversation, me, wanted)?;
    Some((participant, one_call(participant)?))
}

/// Our participant, even without a call.
pub(super) fn own_participant<'a>(
    conversation: &'a Conversation,
    me: &UserId,
    wanted: Option<CallState>,
) -> Option<&'a Participant> {
    // 6.7: those with our user id and a purpose other than voicemail, newest first (6.13.9).
    let own: Vec<&Participant> = conversation
        .participants
        .iter()
        .rev()
        .filter(|p| p.user_id.as_ref() == Some(me) && p.purpose.as_deref() != Some("voicemail"))
        .collect();
    let in_state = wanted.and_then(|wanted| {
        own.iter()
            .find(|p| p.calls.iter().any(|call| call.state == wanted))
    });
    // Beyond the SDK: a leg that goes on counts before a newer one that is over; the call would be lost otherwise.
    let living = || own.iter().find(|p| living_call(p).is_some());
    let with_call = || own.iter().find(|p| !p.calls.is_empty());
    in_state
        .or_else(living)
        .or_else(with_call)
        .or(own.first())
        .copied()
}

/// 6.7: one call is it; of several the only one that has not ended, else the last (6.13.10).
fn one_call(participant: &Participant) -> Option<&Call> {
    let mut living = participant.calls.iter().filter(|c| !c.state.is_ended());
    match (living.next(), living.next()) {
        (Some(only), None) => Some(only),
        _ => participant.calls.last(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `participants`: `id/user/purpose/state,state...` separated by blanks; the answer is `participant/index of call`.
    fn check(participants: &str, wanted: Option<CallState>, expected: &str) {
        let participants = participants
            .split_whitespace()
            .map(|text| {
                let parts: Vec<&str> = text.split('/').collect();
                let calls = parts[3]
                    .split(',')
                    .filter(|state| !state.is_empty())
                    .enumerate()
                    .map(|(index, state)| Call {
                        id: index.to_string().as_str().into(),
                        state: serde_json::from_value(state.into()).unwrap(),
                        ..Call::default()
                    })
                    .collect();
                Participant {
                    id: parts[0].into(),
                    user_id: Some(parts[1].into()),
                    purpose: Some(parts[2].to_owned()),
                    calls,
                    ..Participant::default()
                }
            })
            .collect();
        let conversation = Conversation {
            id: "C".into(),
            participants,
            ..Conversation::default()
        };
        let found = own_call(&conversation, &"U".into(), wanted)
            .map_or("none".to_owned(), |(p, c)| format!("{}/{}", p.id, c.id));
        assert_eq!(found, expected);
    }

    #[test]
    fn our_participant_and_call() {
        let connected = Some(CallState::Connected);
        for (participants, wanted, expected) in [
            ("", None, "none"),
            ("A/X/customer/connected", None, "none"),
            ("A/X/customer/connected B/U/agent/alerting", None, "B/0"),
            ("A/U/voicemail/connected", None, "none"),
            ("A/U/agent/terminated B/U/agent/alerting", None, "B/0"),
            ("A/U/agent/connected B/U/voicemail/connected", None, "A/0"),
            ("A/U/agent/connected B/U/agent/terminated", None, "A/0"),
            ("A/U/agent/connected B/U/agent/alerting", None, "B/0"),
            ("A/U/agent/terminated B/U/agent/terminated", None, "B/0"),
            ("A/U/agent/connected B/U/agent/terminated", connected, "A/0"),
            ("A/U/agent/", None, "none"),
            ("A/U/agent/terminated B/U/agent/", None, "A/0"),
            ("A/U/agent/terminated B/U/agent/", connected, "A/0"),
            ("A/U/agent/terminated,connected", None, "A/1"),
            ("A/U/agent/connected,terminated", None, "A/0"),
            ("A/U/agent/connected,alerting", None, "A/1"),
            ("A/U/agent/terminated,disconnected", None, "A/1"),
        ] {
            check(participants, wanted, expected);
        }
    }
}
