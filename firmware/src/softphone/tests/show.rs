//! Outputs as one line of text each.

use crate::genesys::id::ConversationId;
use crate::genesys::rest::{
    Endpoint, FeatureRequest, ParticipantPatch, RestRequest, TransferTarget,
};
use crate::genesys::signal::{Form, Reply};
use crate::softphone::event::{
    CallView, ConversationUpdate, Event, Party, StoredConversation, WrapUpView,
};
use crate::softphone::{CommandReply, MediaCommand, Output, SdkError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// A value by its word on the wire.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(text.into()).unwrap()
}

fn text_of(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap();
    value.as_str().unwrap_or_default().to_owned()
}

/// `number` is the request's, as the script names it.
pub(super) fn show(output: &Output, number: usize) -> String {
    match output {
        Output::Rest { body, .. } => format!("rest {number} {}", request(body)),
        Output::Signal(reply) => signal(reply),
        Output::Media { session, command } => match command {
            MediaCommand::Open { .. } => format!("media {session} open"),
            MediaCommand::Renegotiate { .. } => format!("media {session} renegotiate"),
            MediaCommand::AddCandidate(c) => format!("media {session} candidate {}", c.candidate),
            MediaCommand::EndOfCandidates => format!("media {session} end-of-candidates"),
            MediaCommand::Dtmf(digits) => format!("media {session} digits {}", digits.expose()),
            MediaCommand::Close => format!("media {session} close"),
        },
        Output::Event(event) => show_event(event),
        Output::CommandDone { id, result } => match result {
            Ok(CommandReply::Done) => format!("#{} done", id.0),
            Ok(CommandReply::Started { id: call, .. }) => format!("#{} started {call}", id.0),
            Ok(CommandReply::WrapUpCodes(codes)) => {
                let codes: Vec<&str> = codes.iter().map(|code| code.id.as_str()).collect();
                format!("#{} codes {}", id.0, codes.join(" "))
            }
            Err(error) => format!("#{} failed {}", id.0, show_error(error)),
        },
    }
}

fn request(body: &RestRequest) -> String {
    match body {
        RestRequest::PlaceCall(params) => {
            format!("POST call {}", serde_json::to_string(params).unwrap())
        }
        RestRequest::PatchParticipant {
            conversation,
            participant,
            patch,
        } => {
            let patch = match patch {
                ParticipantPatch::Connect => "state=connected".to_owned(),
                ParticipantPatch::Disconnect => "state=disconnected".to_owned(),
                ParticipantPatch::Muted(muted) => format!("muted={muted}"),
                ParticipantPatch::Held(held) => format!("held={held}"),
                ParticipantPatch::SkipWrapUp => "wrapupSkipped".to_owned(),
            };
            format!("PATCH {conversation}/{participant} {patch}")
        }
        RestRequest::ToVoicemail {
            conversation,
            participant,
        } => format!("POST voicemail {conversation}/{participant}"),
        RestRequest::Conversation { conversation } => format!("GET {conversation}"),
        RestRequest::ActiveCalls => "GET calls".to_owned(),
        RestRequest::Digits {
            conversation,
            participant,
            digits,
        } => format!(
            "POST digits {conversation}/{participant} {}",
            digits.expose()
        ),
        RestRequest::Metadata {
            conversation,
            communication,
        } => format!("POST metadata {conversation}/{communication}"),
        RestRequest::Feature(request) => feature(request),
    }
}

fn target(to: &TransferTarget) -> String {
    match to {
        TransferTarget::Address(to) => to.expose().to_owned(),
        TransferTarget::User(id) => format!("user={id}"),
        TransferTarget::Queue(id) => format!("queue={id}"),
        TransferTarget::Voicemail(id) => format!("voicemail={id}"),
    }
}

fn feature(request: &FeatureRequest) -> String {
    let how = |endpoint: &Endpoint| match endpoint {
        Endpoint::Typed => "",
        Endpoint::Generic => " (generic)",
    };
    match request {
        FeatureRequest::Transfer {
            conversation,
            participant,
            to,
            endpoint,
        } => format!(
            "POST transfer {conversation}/{participant} {}{}",
            target(to),
            how(endpoint)
        ),
        FeatureRequest::Consult {
            conversation,
            object,
            to,
            consulting,
            endpoint,
        } => format!(
            "POST consult {conversation}/{object} {} by={consulting}{}",
            target(to),
            how(endpoint)
        ),
        FeatureRequest::SpeakTo {
            conversation,
            object,
            speak_to,
        } => format!(
            "PATCH consult {conversation}/{object} {}",
            text_of(speak_to)
        ),
        FeatureRequest::CancelConsult {
            conversation,
            object,
        } => format!("DELETE consult {conversation}/{object}"),
        FeatureRequest::AddParticipants {
            conversation,
            participants,
        } => format!(
            "POST participants {conversation} {}",
            serde_json::to_string(participants).unwrap()
        ),
        FeatureRequest::Merge {
            conversation,
            others,
        } => {
            let others: Vec<&str> = others.iter().map(ConversationId::as_str).collect();
            format!("PATCH conference {conversation} {}", others.join(" "))
        }
        FeatureRequest::Recording {
            conversation,
            paused,
        } => format!("PUT recordingstate {conversation} paused={paused}"),
        FeatureRequest::WrapUpCodes {
            conversation,
            participant,
        } => format!("GET wrapupcodes {conversation}/{participant}"),
        FeatureRequest::WrapUp {
            conversation,
            participant,
            communication,
            code,
            notes,
        } => format!(
            "POST wrapup {conversation}/{participant}/{communication} {code}{}",
            notes
                .as_ref()
                .map(|notes| format!(" \"{}\"", notes.expose()))
                .unwrap_or_default()
        ),
    }
}

fn signal(reply: &Reply) -> String {
    let jingle = |form: &Form| match form {
        Form::Jingle => " (jingle)",
        Form::SdpOverXmpp => "",
    };
    match reply {
        Reply::Proceed { session, .. } => format!("proceed {session}"),
        Reply::Accept { session } => format!("accept {session}"),
        Reply::Answer { session, form, .. } => format!("answer {session}{}", jingle(form)),
        Reply::Candidate {
            session,
            candidate,
            form,
            ..
        } => format!(
            "candidate {session} {}{}",
            candidate.candidate,
            jingle(form)
        ),
        Reply::EndOfCandidates { session, form, .. } => {
            format!("end-of-candidates {session}{}", jingle(form))
        }
        Reply::Active { session, form, .. } => format!("active {session}{}", jingle(form)),
        Reply::Terminate {
            session,
            reason,
            form,
            ..
        } => format!("terminate {session} {}{}", text_of(reason), jingle(form)),
        Reply::Statistics(report) => format!(
            "report {} {}/{} received={} jitter={} mos={} reconnects={}",
            report.session,
            report.conversation,
            report.communication,
            report.packets_received,
            report.average_jitter,
            report.average_mos,
            report.reconnects
        ),
    }
}

fn show_event(event: &Event) -> String {
    let name = event.name();
    match event {
        Event::Ready {} => name.to_owned(),
        Event::Connected { reconnect } => format!("{name} reconnect={reconnect}"),
        Event::Disconnected { reconnecting, .. } => format!("{name} reconnecting={reconnecting}"),
        Event::PendingSession(p) => {
            let auto = if p.auto_answer { " auto" } else { "" };
            let eager = p.priv_answer_mode.map_or("", |_| " eager");
            format!("{name} {} {}{auto}{eager}", p.session_id, p.conversation_id)
        }
        Event::CancelPendingSession(r) | Event::HandledPendingSession(r) => {
            format!("{name} {} {}", r.session_id, r.conversation_id)
        }
        Event::SessionStarted(s) | Event::SessionInterrupted(s) => {
            format!("{name} {} {}", s.id, s.conversation_id)
        }
        Event::SessionEnded { session: s, reason } => format!(
            "{name} {} {} {}",
            s.id,
            s.conversation_id,
            text_of(reason.condition)
        ),
        Event::ConversationUpdate(update) => format!("{name} {}", show_update(update)),
        Event::ConversationUpdateRaw(raw) => format!("{name} {}", text_of(&raw.0["id"])),
        Event::Station { action, station } => {
            let la = station.as_ref().and_then(|s| s.web_rtc_call_appearances);
            format!(
                "{name} {action}{}",
                la.map(|la| format!(" la={la}")).unwrap_or_default()
            )
        }
        Event::ConcurrentSoftphoneSessionsEnabled(on) => format!("{name} {on}"),
        Event::SdkError(error) => format!("{name} {}", show_error(error)),
        Event::Call(view) => format!("{name} {}", show_view(view)),
        Event::CallGone { conversation_id } | Event::WrapUpOver { conversation_id } => {
            format!("{name} {conversation_id}")
        }
        Event::AlertingLeaderChanged { voice } => format!(
            "{name} alerting={} configured={}",
            voice.alerting, voice.configured
        ),
        Event::WrapUpRequired {
            conversation_id,
            wrap_up,
            ..
        } => format!("{name} {conversation_id} {}", show_wrap_up(wrap_up)),
    }
}

/// The type, and the message up to the advice.
fn show_error(error: &SdkError) -> String {
    let what = error.message.split(": ").next().unwrap_or_default();
    let cause = error.cause().map(|c| format!(" ({c})")).unwrap_or_default();
    let what = match error.details.0.get("status") {
        Some(status) => status.to_string(),
        None => format!("\"{what}\""),
    };
    format!("{}{cause} {what}", text_of(error.kind))
}

fn show_update(update: &ConversationUpdate) -> String {
    let list = |stored: &[StoredConversation]| {
        let all: Vec<String> = stored
            .iter()
            .map(|one| {
                let call = &one.most_recent_call_state;
                let session = one.session.as_ref();
                format!(
                    "{}:{}{}{}",
                    one.conversation_id,
                    text_of(call.state),
                    if call.held { ":held" } else { "" },
                    session.map(|s| format!(":{}", s.id)).unwrap_or_default()
                )
            })
            .collect();
        all.join(" ")
    };
    let mut text = format!(
        "active={} current=[{}]",
        update.active_conversation_id,
        list(&update.current)
    );
    for (name, which) in [("added", &update.added), ("removed", &update.removed)] {
        if !which.is_empty() {
            write!(text, " {name}=[{}]", list(which)).unwrap();
        }
    }
    text
}

fn show_wrap_up(wrap_up: &WrapUpView) -> String {
    let mandatory = if wrap_up.mandatory { "must" } else { "may" };
    let timeout = wrap_up.timeout_ms.map(|ms| format!(":{ms}ms"));
    format!("{mandatory}{}", timeout.unwrap_or_default())
}

fn show_party(party: &Party) -> String {
    let mut text = format!(
        "{}:{}:{}",
        party.participant_id,
        party.purpose.as_deref().unwrap_or("?"),
        text_of(party.state)
    );
    for (on, what) in [
        (party.held, "held"),
        (party.muted, "muted"),
        (party.confined, "confined"),
    ] {
        if on {
            write!(text, ":{what}").unwrap();
        }
    }
    text
}

fn show_view(view: &CallView) -> String {
    let mut text = format!(
        "{} {} {}",
        view.conversation_id,
        text_of(view.direction),
        text_of(view.state)
    );
    for (on, what) in [
        (view.pending, "pending"),
        (view.accepted, "accepted"),
        (view.auto_answer, "auto"),
        (view.held, "held"),
        (view.muted, "muted"),
        (view.telephone_event, "dtmf"),
    ] {
        if on {
            text.push(' ');
            text.push_str(what);
        }
    }
    if let Some(session) = &view.session_id {
        write!(text, " {session}").unwrap();
    }
    if let Some(connection) = view.connection {
        write!(text, "={}", text_of(connection)).unwrap();
    }
    if view.parties.len() > 1 || view.consult.is_some() {
        let parties: Vec<String> = view.parties.iter().map(show_party).collect();
        write!(text, " with [{}]", parties.join(" ")).unwrap();
    }
    if let Some(consult) = &view.consult {
        let asked = consult.destination.as_ref().map_or("?", |id| id.as_str());
        let state = consult.state.map(text_of).unwrap_or_default();
        write!(
            text,
            " consult={asked}:{state}:{}",
            text_of(consult.speak_to)
        )
        .unwrap();
    }
    if let Some(recording) = view.recording {
        write!(text, " recording={}", text_of(recording)).unwrap();
    }
    if let Some(wrap_up) = &view.wrap_up {
        write!(text, " wrap-up={}", show_wrap_up(wrap_up)).unwrap();
    }
    let (name, address) = (view.remote.name.expose(), view.remote.address.expose());
    if !name.is_empty() || !address.is_empty() {
        write!(text, " \"{name}\" <{address}>").unwrap();
    }
    text
}
