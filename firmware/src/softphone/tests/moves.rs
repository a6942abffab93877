//! What a random world does next, and what its cloud answers.

use super::values::{conversation_of, status_error};
use crate::genesys::id::ConversationId;
use crate::genesys::rest::{
    FeatureRequest, RestError, RestReply, RestRequest, SoftphoneDestination,
};
use crate::softphone::{Command, ConsultAction, SpeakTo, TransferMode, TransferTarget};
use proptest::prelude::*;

/// What the random world can do next.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Cloud(u8, u8),
    Command(u8, u8),
    Rest(u8, u8),
    Peer(u8, u8),
    Wait(u32),
}

pub(super) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Cloud(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Command(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Rest(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Peer(a, b)),
        2 => prop_oneof![0u32..1_000, 0u32..90_000].prop_map(Move::Wait),
    ];
    proptest::collection::vec(one, 1..60)
}

pub(super) const SESSIONS: [&str; 3] = ["S1", "S2", "S3"];
pub(super) const CONVERSATIONS: [&str; 2] = ["C1", "C2"];

pub(super) fn pick<'a>(list: &[&'a str], by: u8) -> &'a str {
    list[usize::from(by) % list.len()]
}

pub(super) fn feature(what: u8, conversation: ConversationId, flag: bool) -> Command {
    let action = [
        ConsultAction::Complete,
        ConsultAction::Cancel,
        ConsultAction::SpeakTo(SpeakTo::Both),
    ];
    match what / 20 {
        0..=2 => Command::Transfer {
            conversation,
            to: TransferTarget::User("U2".to_owned()),
            mode: if flag {
                TransferMode::Blind
            } else {
                TransferMode::Consult
            },
        },
        3..=5 => Command::Consult {
            conversation,
            action: action[usize::from(what) % 3],
        },
        6 | 7 => Command::Record {
            conversation,
            paused: flag,
        },
        8 => Command::AddParticipants {
            conversation,
            participants: vec![SoftphoneDestination {
                address: "1002".into(),
                name: None,
                user_id: None,
                queue_id: None,
            }],
        },
        9 | 10 => Command::Merge {
            conversation,
            others: vec![pick(&CONVERSATIONS, what).into()],
        },
        _ => Command::RemoveParticipant {
            conversation,
            participant: if flag { "P-far" } else { "P" }.into(),
        },
    }
}

pub(super) fn reply(body: &RestRequest, how: u8) -> Result<RestReply, RestError> {
    match (body, how % 8) {
        (_, 0) => Err(status_error(500)),
        (_, 1) => Err(status_error(404)),
        (RestRequest::Feature(request), how) => Ok(match **request {
            FeatureRequest::Consult { .. } => RestReply::Consulting {
                destination: (how > 4).then(|| "P2".into()),
            },
            FeatureRequest::WrapUpCodes { .. } => RestReply::WrapUpCodes(Vec::new()),
            _ => RestReply::Done,
        }),
        (RestRequest::PlaceCall(_), _) => Ok(RestReply::CallPlaced {
            id: pick(&CONVERSATIONS, how / 8).into(),
            self_uri: String::new(),
        }),
        (RestRequest::Conversation { conversation }, how) => {
            let state = [
                "alerting in",
                "connected in",
                "connected out",
                "terminated in",
            ];
            let line = format!("{conversation} {}", pick(&state, how));
            let words: Vec<&str> = line.split_whitespace().collect();
            Ok(RestReply::Conversation(Box::new(conversation_of(&words))))
        }
        (RestRequest::ActiveCalls, 2..=4) => {
            Ok(RestReply::Conversations(vec![conversation_of(&[
                pick(&CONVERSATIONS, how / 8),
                "connected",
                "in",
            ])]))
        }
        (RestRequest::ActiveCalls, _) => Ok(RestReply::Conversations(Vec::new())),
        _ => Ok(RestReply::Done),
    }
}
