//! What the phone says, as the scripts write it.

use crate::audio::{AudioCommand, Tone};
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::phone::Screen;
use crate::softphone::{Command, ConsultAction, TransferMode, TransferTarget};

/// `transfer A 5550100 blind`.
pub(super) fn command_in_words(command: &Command) -> String {
    match command {
        Command::Start(params) => {
            let number = params.phone_number.as_ref().map(Private::expose);
            let target = [
                number,
                params.call_user_id.as_deref(),
                params.call_queue_id.as_deref(),
            ];
            let target = target.into_iter().flatten().collect::<Vec<_>>().join("+");
            match &params.call_from_queue_id {
                Some(queue) => format!("start {target} from {queue}"),
                None => format!("start {target}"),
            }
        }
        Command::Accept(id) => format!("accept {id}"),
        Command::Reject(id) => format!("reject {id}"),
        Command::End(id) => format!("end {id}"),
        Command::Mute {
            conversation,
            mute: true,
        } => format!("mute {conversation}"),
        Command::Mute {
            conversation,
            mute: false,
        } => format!("unmute {conversation}"),
        Command::Hold {
            conversation,
            held: true,
        } => format!("hold {conversation}"),
        Command::Hold {
            conversation,
            held: false,
        } => format!("resume {conversation}"),
        Command::Dtmf {
            conversation,
            digits,
        } => format!("dtmf {conversation} {}", digits.expose()),
        Command::Transfer {
            conversation,
            to,
            mode,
        } => {
            let to = match to {
                TransferTarget::Address(number) => number.expose(),
                TransferTarget::User(id)
                | TransferTarget::Queue(id)
                | TransferTarget::Voicemail(id) => id,
            };
            match mode {
                TransferMode::Blind => format!("transfer {conversation} {to}"),
                TransferMode::Consult => format!("consult {conversation} {to}"),
            }
        }
        Command::Consult {
            conversation,
            action,
        } => match action {
            ConsultAction::Complete => format!("complete {conversation}"),
            ConsultAction::Cancel => format!("cancel {conversation}"),
            ConsultAction::SpeakTo(to) => format!("speak {conversation} {to:?}"),
        },
        Command::AddParticipants {
            conversation,
            participants,
        } => format!("add {conversation} {}", participants[0].address.expose()),
        Command::Merge {
            conversation,
            others,
        } => {
            let others: Vec<&str> = others.iter().map(ConversationId::as_str).collect();
            format!("merge {conversation} {}", others.join(" "))
        }
        Command::RemoveParticipant {
            conversation,
            participant,
        } => format!("remove {conversation} {participant}"),
        Command::Record {
            conversation,
            paused,
        } => format!("record {conversation} {}", !paused),
        Command::WrapUpCodes(id) => format!("codes {id}"),
        Command::WrapUp {
            conversation, code, ..
        } => format!("wrap {conversation} {code}"),
        Command::SkipWrapUp(id) => format!("skip {id}"),
        Command::Terminate { .. } | Command::SetMediaHandling(_) => {
            panic!("the phone does not ask for {command:?}")
        }
    }
}

/// `tone dial`.
pub(super) fn audio_in_words(command: AudioCommand) -> String {
    let on = |on: bool| if on { "on" } else { "off" };
    match command {
        AudioCommand::Listen(state) => format!("listen {}", on(state)),
        AudioCommand::Ring(state) => format!("ring {}", on(state)),
        AudioCommand::Mute(state) => format!("gate {}", on(state)),
        AudioCommand::Tone(None) => "tone off".to_owned(),
        AudioCommand::Tone(Some(Tone::CallWaiting)) => "tone waiting".to_owned(),
        AudioCommand::Tone(Some(tone)) => format!("tone {tone:?}").to_lowercase(),
        AudioCommand::KeyTone(None) => "key off".to_owned(),
        AudioCommand::KeyTone(Some(key)) => format!("key {}", key.0),
        AudioCommand::Volume(percent) => format!("volume {percent}"),
        AudioCommand::RingVolume(percent) => format!("ring volume {percent}"),
        AudioCommand::Plan(plan) => format!("plan {plan:?}"),
        other => panic!("the phone does not say {other:?}"),
    }
}

/// `title (corner) / main / detail / line / line [volume]`.
pub(super) fn in_words(screen: &Screen) -> String {
    let corner = Some(&screen.corner).filter(|corner| !corner.is_empty());
    let corner = corner
        .map(|corner| format!(" ({corner})"))
        .unwrap_or_default();
    let level = screen
        .level
        .map(|level| format!(" [{level}]"))
        .unwrap_or_default();
    let title = format!("{}{corner}", screen.title);
    let lines: Vec<&str> = [&title, &screen.main, &screen.detail]
        .into_iter()
        .chain(&screen.lines)
        .map(String::as_str)
        .filter(|line| !line.is_empty())
        .collect();
    format!("{}{level}", lines.join(" / "))
}
