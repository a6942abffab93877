//! Reads inputs written as text and runs them through the engine.

use super::show::{show, word};
use super::values::{
    OTHER, OWN, Words, conversation_of, from, identity, peer, station, status_error,
};
use crate::device::Private;
use crate::genesys::id::{ConversationId, ParticipantId, SessionId};
use crate::genesys::model::{
    ConversationEvent, ErrorInfo, PersistentConnectionEvent, RawJson, StationEvent,
};
use crate::genesys::rest::{
    RestError, RestReply, RestRequest, SoftphoneDestination, StartSoftphoneSessionParams,
};
use crate::genesys::signal::{Candidate, Form, Offer, Propose, Signal};
use crate::genesys::{CloudError, CloudEvent};
use crate::softphone::{
    Command, CommandId, ConsultAction, EagerMode, Input, Output, RequestId, Softphone,
    SoftphoneConfig, TransferMode, TransferTarget, WrapUpCode,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Runs all cases of a file; the file as it ought to be.
pub(super) fn run(text: &str) -> String {
    let mut out = String::new();
    let mut world = World::new(SoftphoneConfig::default());
    for line in text.lines() {
        if line.starts_with("== ") {
            world = World::new(SoftphoneConfig::default());
        } else if let Some(input) = line.strip_prefix("> ") {
            out.push_str(line);
            out.push('\n');
            world.step(input);
            for shown in world.take() {
                out.push_str("    ");
                out.push_str(&shown);
                out.push('\n');
            }
            continue;
        } else if line.starts_with("    ") {
            continue; // what was expected before
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// An engine, its time, and the numbers its requests are shown by.
pub(super) struct World {
    pub(super) phone: Softphone,
    pub(super) now: Instant,
    outputs: Vec<Output>,
    requests: Vec<(RequestId, RestRequest)>,
    shown: BTreeMap<RequestId, usize>,
    commands: u64,
}

impl World {
    pub(super) fn new(config: SoftphoneConfig) -> Self {
        Self {
            phone: Softphone::new(config),
            now: Instant::now(),
            outputs: Vec::new(),
            requests: Vec::new(),
            shown: BTreeMap::new(),
            commands: 0,
        }
    }

    /// One line of a script.
    fn step(&mut self, line: &str) {
        let words = Words(line.split_whitespace().collect());
        match words.at(0) {
            "config" => self.configure(&words),
            "start" => self.start(&words),
            "talking" => self.talking(words.at(1), words.at(2)),
            "wait" => self.wait(words.at(1)),
            "show" => {}
            _ => {
                let input = self.input(line, &words);
                self.input_now(input);
            }
        }
    }

    /// The outputs since the last time, as text.
    fn take(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for output in std::mem::take(&mut self.outputs) {
            let number = if let Output::Rest { request, .. } = &output {
                let next = self.shown.len() + 1;
                *self.shown.entry(*request).or_insert(next)
            } else {
                0
            };
            lines.push(show(&output, number));
        }
        lines
    }

    pub(super) fn input_now(&mut self, input: Input) -> Vec<Output> {
        self.phone.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut new = Vec::new();
        while let Some(output) = self.phone.poll() {
            if let Output::Rest { request, body } = &output {
                self.requests.push((*request, body.clone()));
            }
            new.push(output);
        }
        self.outputs.extend(new.clone());
        new
    }

    /// Lets time pass, and every timer fire in its turn.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut new = Vec::new();
        while let Some(due) = self.phone.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.phone.handle_timeout(self.now);
            new.extend(self.drain());
        }
        self.now = end;
        self.phone.handle_timeout(self.now);
        new.extend(self.drain());
        new
    }

    fn wait(&mut self, text: &str) {
        let time = match text.strip_suffix("ms") {
            Some(ms) => Duration::from_millis(ms.parse().unwrap()),
            None => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()),
        };
        self.pass(time);
    }

    fn configure(&mut self, words: &Words) {
        self.phone = Softphone::new(SoftphoneConfig {
            disable_auto_answer: words.has("no-auto-answer"),
            take_all_outbound: words.has("all-outbound"),
            eager_persistent_connection: match words.value("eager") {
                Some("event") => EagerMode::Event,
                Some("none") => EagerMode::None,
                _ => EagerMode::Auto,
            },
            report_statistics: words.has("report-statistics"),
            media_handling: words.value("media").map(word).unwrap_or_default(),
        });
    }

    /// Connected, ready, nothing going on; what came out is not shown.
    fn start(&mut self, words: &Words) {
        self.input_now(Input::Cloud(CloudEvent::Connected {
            reconnect: false,
            full_jid: OWN.into(),
        }));
        let ready = CloudEvent::Ready(Box::new(identity(station(words))));
        let outputs = self.input_now(Input::Cloud(ready));
        for output in outputs {
            if let Output::Rest { request, .. } = output {
                self.answer(request, Ok(RestReply::Conversations(Vec::new())));
            }
        }
        self.outputs.clear();
    }

    fn answer(&mut self, request: RequestId, result: Result<RestReply, RestError>) {
        self.requests.retain(|(id, _)| *id != request);
        self.input_now(Input::Rest { request, result });
    }

    /// An inbound call answered and connected; what came out is not shown.
    fn talking(&mut self, session: &str, conversation: &str) {
        for line in [
            format!("event {conversation} alerting in"),
            format!("propose {session} {conversation}"),
            format!("accept {conversation}"),
            format!("offer {session} {conversation}"),
            format!("peer {session} answered dtmf"),
            format!("peer {session} connected"),
            format!("event {conversation} connected in"),
        ] {
            self.step(&line);
        }
        for (request, _) in self.requests.clone() {
            self.answer(request, Ok(RestReply::Done));
        }
        self.outputs.clear();
    }

    fn input(&mut self, line: &str, words: &Words) -> Input {
        let cloud = |event| Input::Cloud(event);
        let signal = |signal| Input::Cloud(CloudEvent::Signal(signal));
        let session: SessionId = words.at(1).into();
        let conversation: ConversationId = words.at(1).into();
        let form = if words.has("jingle") {
            Form::Jingle
        } else {
            Form::SdpOverXmpp
        };
        match words.at(0) {
            "connected" => cloud(CloudEvent::Connected {
                reconnect: words.has("again"),
                full_jid: OWN.into(),
            }),
            "disconnected" => cloud(CloudEvent::Disconnected {
                reason: "silent socket".to_owned(),
                reconnecting: !words.has("for-good"),
            }),
            "logged-out" => cloud(CloudEvent::LoggedOut),
            "ready" => cloud(CloudEvent::Ready(Box::new(identity(station(words))))),
            "cloud-failed" => cloud(CloudEvent::Failed {
                error: match words.at(1) {
                    "token" => CloudError::InvalidToken {
                        detail: "401".to_owned(),
                    },
                    _ => CloudError::Timeout {
                        what: "the channel",
                        seconds: 30,
                    },
                },
                retry_in: words.has("retry").then_some(Duration::from_secs(2)),
            }),
            "station" => match words.at(1) {
                "associated" => cloud(CloudEvent::Station(StationEvent::Associated("ST".into()))),
                "gone" => cloud(CloudEvent::Station(StationEvent::Disassociated)),
                "migrated" => cloud(CloudEvent::Station(StationEvent::Migrated)),
                _ => cloud(CloudEvent::StationFetched(station(words))),
            },
            "persistent" => cloud(CloudEvent::PersistentConnection(
                PersistentConnectionEvent {
                    persistent_state: Some(words.at(1).to_owned()),
                    error_info: words.value("error").map(|code| ErrorInfo {
                        code: Some(code.to_owned()),
                        ..ErrorInfo::default()
                    }),
                    ..PersistentConnectionEvent::default()
                },
            )),
            "propose" => signal(Signal::Propose(Propose {
                session: session.clone(),
                conversation: words.at(2).into(),
                from: from(words, &session),
                to: OWN.into(),
                auto_answer: words.has("auto"),
                form,
                eager: words.has("eager"),
                original_from: from(words, &session),
                from_user: None,
            })),
            "retract" => signal(Signal::Retract { session }),
            "handled" => signal(Signal::Handled {
                session,
                from: if words.has("by-me") { OWN } else { OTHER }.into(),
            }),
            "offer" => {
                let ice = words.value("ice").unwrap_or("u1");
                signal(Signal::Offer(Offer {
                    peer: from(words, &session),
                    session,
                    conversation: Some(words.at(2).into()).filter(|_| !words.has("nameless")),
                    sdp: format!("v=0\r\na=ice-ufrag:{ice}\r\na=ice-pwd:{ice}\r\n"),
                    reinvite: words.value("reinvite").is_some(),
                    request_id: words.value("reinvite").unwrap_or("r").to_owned(),
                    form,
                }))
            }
            "candidate" => signal(Signal::Candidate {
                session,
                candidate: Candidate {
                    mid: "audio".to_owned(),
                    candidate: words.at(2).to_owned(),
                },
            }),
            "leader" => cloud(CloudEvent::AlertingLeader {
                alerting: words.at(1) == "me",
                configured: words.at(1) != "unknown",
                client_type: None,
            }),
            "end-of-candidates" => signal(Signal::EndOfCandidates { session }),
            "terminate" => signal(Signal::Terminate {
                session,
                reason: word(
                    Some(words.at(2))
                        .filter(|r| !r.is_empty())
                        .unwrap_or("success"),
                ),
            }),
            "event" => {
                let conversation = conversation_of(&words.0[1..]);
                cloud(CloudEvent::Conversation(Box::new(ConversationEvent {
                    raw: RawJson(serde_json::json!({"id": conversation.id})),
                    conversation,
                })))
            }
            "peer" => Input::Peer {
                session,
                event: peer(words),
            },
            "rest" => self.rest(line, words),
            command => {
                self.commands += 1;
                let command = match command {
                    "call" => {
                        let params = line.trim_start_matches("call").trim();
                        let params = if params.starts_with('{') {
                            serde_json::from_str(params).unwrap()
                        } else {
                            StartSoftphoneSessionParams {
                                phone_number: Some(Private::from(params)),
                                ..StartSoftphoneSessionParams::default()
                            }
                        };
                        Command::Start(Box::new(params))
                    }
                    "accept" => Command::Accept(conversation),
                    "reject" => Command::Reject(conversation),
                    "end" => Command::End(conversation),
                    "mute" | "unmute" => Command::Mute {
                        conversation,
                        mute: command == "mute",
                    },
                    "hold" | "resume" => Command::Hold {
                        conversation,
                        held: command == "hold",
                    },
                    "digits" => Command::Dtmf {
                        conversation,
                        digits: words.at(2).into(),
                    },
                    other => feature(other, words, conversation)
                        .unwrap_or_else(|| panic!("unknown input: {line}")),
                };
                Input::Command {
                    id: CommandId(self.commands),
                    command,
                }
            }
        }
    }

    /// `rest 2 ok`, `rest 2 placed C`, `rest 2 conversation C alerting`, `rest 2 calls C connected, C2 ...`, `rest 2 500`.
    fn rest(&mut self, line: &str, words: &Words) -> Input {
        let number: usize = words.at(1).parse().unwrap();
        let request = self
            .shown
            .iter()
            .find_map(|(id, shown)| (*shown == number).then_some(*id))
            .unwrap_or_else(|| panic!("no such request: {line}"));
        self.requests.retain(|(id, _)| *id != request);
        let result = match words.at(2) {
            "ok" => Ok(RestReply::Done),
            "placed" => Ok(RestReply::CallPlaced {
                id: words.at(3).into(),
                self_uri: format!("/api/v2/conversations/calls/{}", words.at(3)),
            }),
            "conversation" => Ok(RestReply::Conversation(Box::new(conversation_of(
                &words.0[3..],
            )))),
            "calls" => {
                let list = line.split_once("calls").unwrap().1;
                let list = list.split(',').filter(|one| !one.trim().is_empty());
                Ok(RestReply::Conversations(
                    list.map(|one| conversation_of(&one.split_whitespace().collect::<Vec<_>>()))
                        .collect(),
                ))
            }
            "consulting" => Ok(RestReply::Consulting {
                destination: words.0.get(3).map(|id| ParticipantId::from(*id)),
            }),
            "codes" => Ok(RestReply::WrapUpCodes(
                words.0[3..]
                    .iter()
                    .map(|id| WrapUpCode {
                        id: (*id).to_owned(),
                        name: format!("Name of {id}"),
                    })
                    .collect(),
            )),
            "timeout" => Err(RestError::Timeout {
                request: "request".to_owned(),
                after: Duration::from_secs(30),
            }),
            status => Err(status_error(status.parse().unwrap())),
        };
        Input::Rest { request, result }
    }
}

/// Commands beyond the SDK's: `transfer C blind user U2`, `consult C speak-to BOTH`, `add C 1002 1003`, ...
fn feature(command: &str, words: &Words, conversation: ConversationId) -> Option<Command> {
    Some(match command {
        "transfer" => Command::Transfer {
            conversation,
            to: match words.at(3) {
                "user" => TransferTarget::User(words.at(4).to_owned()),
                "queue" => TransferTarget::Queue(words.at(4).to_owned()),
                "voicemail" => TransferTarget::Voicemail(words.at(4).to_owned()),
                _ => TransferTarget::Address(words.at(4).into()),
            },
            mode: match words.at(2) {
                "consult" => TransferMode::Consult,
                _ => TransferMode::Blind,
            },
        },
        "consult" => Command::Consult {
            conversation,
            action: match words.at(2) {
                "complete" => ConsultAction::Complete,
                "cancel" => ConsultAction::Cancel,
                _ => ConsultAction::SpeakTo(word(words.at(3))),
            },
        },
        "add" => Command::AddParticipants {
            conversation,
            participants: words.0[2..]
                .iter()
                .map(|address| SoftphoneDestination {
                    address: (*address).into(),
                    name: None,
                    user_id: None,
                    queue_id: None,
                })
                .collect(),
        },
        "merge" => Command::Merge {
            conversation,
            others: words.0[2..]
                .iter()
                .map(|id| ConversationId::from(*id))
                .collect(),
        },
        "remove" => Command::RemoveParticipant {
            conversation,
            participant: words.at(2).into(),
        },
        "pause-recording" | "resume-recording" => Command::Record {
            conversation,
            paused: command == "pause-recording",
        },
        "wrap-up-codes" => Command::WrapUpCodes(conversation),
        "wrap-up" => Command::WrapUp {
            conversation,
            code: words.at(2).to_owned(),
            notes: words.value("notes").map(Private::from),
        },
        "skip-wrap-up" => Command::SkipWrapUp(conversation),
        "force-terminate" => Command::Terminate {
            session: words.at(1).into(),
        },
        "media-handling" => Command::SetMediaHandling(word(words.at(1))),
        _ => return None,
    })
}

/// A phone that is connected and ready, with the station that the line names.
pub(super) fn ready(line: &str, world: &mut World) {
    world.start(&Words(line.split_whitespace().collect()));
}
