//! What a call can be told beyond the basics: transfer, consultation, conference, recording, wrap-up.

use super::api::{Answer, Api, Body, Failure, accepted, refuse};
use super::status::ApiCall;
use super::{Refusal, Request};
use crate::device::Private;
use crate::genesys::id::{ConversationId, ParticipantId};
use crate::genesys::rest::SoftphoneDestination;
use crate::softphone::{
    Command, CommandReply, ConsultAction, MediaHandling, SpeakTo, TransferMode, TransferTarget,
};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/calls/{conversation}/transfer", post(transfer))
        .route("/api/v1/calls/{conversation}/consult", post(consult))
        .route("/api/v1/calls/{conversation}/participants", post(add))
        .route(
            "/api/v1/calls/{conversation}/participants/{participant}",
            delete(remove),
        )
        .route("/api/v1/calls/{conversation}/recording", post(record))
        .route("/api/v1/calls/{conversation}/wrapup-codes", get(codes))
        .route(
            "/api/v1/calls/{conversation}/wrapup",
            post(wrap_up).delete(skip_wrap_up),
        )
        .route("/api/v1/calls/{conversation}/terminate", post(terminate))
        .route("/api/v1/media-handling", put(handle_media))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    to: Target,
    mode: Mode,
}

/// Exactly one of the three; `voicemail` goes with `userId`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    address: Option<Private>,
    user_id: Option<String>,
    queue_id: Option<String>,
    #[serde(default)]
    voicemail: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Blind,
    Consult,
}

async fn transfer(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(TransferBody { to, mode }): Body<TransferBody>,
) -> Answer {
    let to = match (to.address, to.user_id, to.queue_id, to.voicemail) {
        (Some(address), None, None, false) => TransferTarget::Address(address),
        (None, Some(user), None, false) => TransferTarget::User(user),
        (None, Some(user), None, true) => TransferTarget::Voicemail(user),
        (None, None, Some(queue), false) => TransferTarget::Queue(queue),
        _ => {
            return Err(bad(
                "give one of to.address, to.userId and to.queueId; to.voicemail goes with to.userId",
            ));
        }
    };
    let mode = match mode {
        Mode::Blind => TransferMode::Blind,
        Mode::Consult => TransferMode::Consult,
    };
    let conversation = ConversationId(conversation);
    let command = Command::Transfer {
        conversation: conversation.clone(),
        to,
        mode,
    };
    api.tell(conversation, command).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConsultBody {
    action: Action,
    speak_to: Option<SpeakTo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Complete,
    Cancel,
    SpeakTo,
}

async fn consult(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(ConsultBody { action, speak_to }): Body<ConsultBody>,
) -> Answer {
    let action = match (action, speak_to) {
        (Action::Complete, None) => ConsultAction::Complete,
        (Action::Cancel, None) => ConsultAction::Cancel,
        (Action::SpeakTo, Some(to)) => ConsultAction::SpeakTo(to),
        _ => return Err(bad("speakTo belongs to the action speakTo, and only there")),
    };
    let conversation = ConversationId(conversation);
    let command = Command::Consult {
        conversation: conversation.clone(),
        action,
    };
    api.tell(conversation, command).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddBody {
    participants: Option<Vec<SoftphoneDestination>>,
    conversation_ids: Option<Vec<ConversationId>>,
}

async fn add(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(body): Body<AddBody>,
) -> Answer {
    let conversation = ConversationId(conversation);
    let command = match (body.participants, body.conversation_ids) {
        (Some(participants), None) => Command::AddParticipants {
            conversation: conversation.clone(),
            participants,
        },
        (None, Some(others)) => Command::Merge {
            conversation: conversation.clone(),
            others,
        },
        _ => return Err(bad("give either participants or conversationIds")),
    };
    api.tell(conversation, command).await
}

async fn remove(
    State(api): State<Api>,
    Path((conversation, participant)): Path<(String, String)>,
) -> Answer {
    let conversation = ConversationId(conversation);
    let command = Command::RemoveParticipant {
        conversation: conversation.clone(),
        participant: ParticipantId(participant),
    };
    api.tell(conversation, command).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingBody {
    state: Recording,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Recording {
    Active,
    Paused,
}

async fn record(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(RecordingBody { state }): Body<RecordingBody>,
) -> Answer {
    let conversation = ConversationId(conversation);
    let command = Command::Record {
        conversation: conversation.clone(),
        paused: state == Recording::Paused,
    };
    api.tell(conversation, command).await
}

/// Of a call, or of one that is over and wants a code.
async fn codes(State(api): State<Api>, Path(conversation): Path<String>) -> Answer {
    let command = Command::WrapUpCodes(ConversationId(conversation));
    match api.command(command).await? {
        CommandReply::WrapUpCodes(codes) => Ok(Json(codes).into_response()),
        _ => Ok(accepted()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrapUpBody {
    code: String,
    notes: Option<Private>,
}

async fn wrap_up(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(WrapUpBody { code, notes }): Body<WrapUpBody>,
) -> Answer {
    let command = Command::WrapUp {
        conversation: ConversationId(conversation),
        code,
        notes,
    };
    api.command(command).await?;
    Ok(accepted())
}

async fn skip_wrap_up(State(api): State<Api>, Path(conversation): Path<String>) -> Answer {
    api.command(Command::SkipWrapUp(ConversationId(conversation)))
        .await?;
    Ok(accepted())
}

/// `forceTerminateSession`: for a session that nothing else ends.
async fn terminate(State(api): State<Api>, Path(conversation): Path<String>) -> Answer {
    let calls: Vec<ApiCall> = api.ask(|reply| Request::Calls { reply }).await?;
    let call = calls
        .into_iter()
        .find(|call| call.conversation_id.as_str() == conversation)
        .ok_or_else(|| Failure(Refusal::UnknownCall.into_response()))?;
    let session = call.session_id.ok_or_else(|| {
        Failure(refuse(
            StatusCode::CONFLICT,
            "conflict",
            "the call has no session: end it instead",
        ))
    })?;
    api.command(Command::Terminate { session }).await?;
    Ok(accepted())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MediaHandlingBody {
    mode: MediaHandling,
}

async fn handle_media(
    State(api): State<Api>,
    Body(MediaHandlingBody { mode }): Body<MediaHandlingBody>,
) -> Answer {
    api.command(Command::SetMediaHandling(mode)).await?;
    Ok(accepted())
}

fn bad(message: &str) -> Failure {
    refuse(StatusCode::BAD_REQUEST, "bad_request", message).into()
}
