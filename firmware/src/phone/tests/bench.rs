//! A phone on a bench with a virtual clock, worked by words.

use crate::device::Private;
use crate::genesys::id::{ConversationId, Jid, ParticipantId, SessionId};
use crate::genesys::model::{CallState, Direction, RawJson, RecordingState};
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::media::ConnectionState;
use crate::phone::{
    AudioSettings, Input, Invitation, Login, Notice, NoticeArea, Output, Phone, PhoneConfig,
    Screen, StationEntry, Wish,
};
use crate::softphone::event::{
    AlertingLeader, CallView, ConsultView, Party, PendingSession, Remote, SessionRef, WrapUpView,
};
use crate::softphone::{CommandId, CommandReply, Event, SdkError, SdkErrorType, WrapUpCode};
use offhook_hal::{HalEvent, HookState, Key, KeyAction};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::words::{audio_in_words, command_in_words, in_words};

pub(super) struct Bench {
    pub phone: Phone,
    pub now: Instant,
    pub screen: Screen,
    views: BTreeMap<String, CallView>,
    /// Commands without an outcome, in words.
    open: Vec<(CommandId, String)>,
    said: Vec<String>,
    api_commands: u64,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(PhoneConfig::default())
    }
}

impl Bench {
    pub fn new(config: PhoneConfig) -> Self {
        let mut bench = Self {
            phone: Phone::new(config),
            now: Instant::now(),
            screen: Screen::default(),
            views: BTreeMap::new(),
            open: Vec::new(),
            said: Vec::new(),
            api_commands: 1,
        };
        bench.drain();
        bench.said.clear();
        bench
    }

    /// Does one step and returns what it caused.
    pub fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        match words.as_slice() {
            ["screen"] => return in_words(&self.screen),
            ["soft"] => return self.screen.soft_keys.join("|"),
            ["audio"] => {
                let json = serde_json::to_string(&self.phone.audio_settings());
                return json.expect("plain data").replace('"', "");
            }
            ["wait", time] => self.wait(duration(time)),
            ["lift"] => self.hal(HalEvent::Hook(HookState::Lifted)),
            ["rest"] => self.hal(HalEvent::Hook(HookState::Resting)),
            ["flash"] => self.hal(HalEvent::HookFlash),
            ["press", name] => self.key(name, KeyAction::Pressed),
            ["release", name] => self.key(name, KeyAction::Released),
            ["tap", name] => {
                self.key(name, KeyAction::Pressed);
                self.key(name, KeyAction::Released);
            }
            ["long", name] => {
                self.key(name, KeyAction::Pressed);
                self.key(name, KeyAction::LongPressed);
                self.key(name, KeyAction::Released);
            }
            // Without the key tones, which other scripts show.
            ["type", digits] => {
                for digit in digits.chars() {
                    self.key(&digit.to_string(), KeyAction::Pressed);
                    self.key(&digit.to_string(), KeyAction::Released);
                }
                self.said.retain(|said| !said.starts_with("key "));
            }
            ["done", command @ ..] => self.done(&command.join(" "), Ok(CommandReply::Done)),
            ["fail", command @ ..] => self.fail(&command.join(" "), SdkErrorType::Http),
            ["refuse", command @ ..] => self.fail(&command.join(" "), SdkErrorType::InvalidToken),
            ["offline", command @ ..] => self.fail(&command.join(" "), SdkErrorType::Session),
            ["started", number, "as", call] => {
                let reply = CommandReply::Started {
                    id: ConversationId::from(*call),
                    self_uri: String::new(),
                };
                self.done(&format!("start {number}"), Ok(reply));
            }
            ["api", "dial", number] => {
                let id = CommandId(self.api_commands);
                self.api_commands += 2;
                let params = StartSoftphoneSessionParams {
                    phone_number: Some(Private::from(*number)),
                    ..StartSoftphoneSessionParams::default()
                };
                self.handle(Input::Dial {
                    id,
                    params: Box::new(params),
                });
            }
            ["api", json] => {
                let settings: AudioSettings = serde_json::from_str(json).expect("audio settings");
                self.handle(Input::Audio(settings));
            }
            ["active", call] => {
                let update = crate::softphone::event::ConversationUpdate {
                    active_conversation_id: ConversationId::from(*call),
                    ..Default::default()
                };
                self.event(Event::ConversationUpdate(update));
            }
            ["agent", name, station] => self.handle(Input::Identity {
                user: Private::from(*name),
                station: Some((*station).to_owned()),
            }),
            ["clock", time] => self.handle(Input::Clock((*time).to_owned())),
            ["leader", "here"] => self.leader(true),
            ["leader", "elsewhere"] => self.leader(false),
            ["wrap", call, "over"] => self.event(Event::WrapUpOver {
                conversation_id: ConversationId::from(*call),
            }),
            ["wrap", call, how] => self.event(Event::WrapUpRequired {
                conversation_id: ConversationId::from(*call),
                wrap_up: WrapUpView {
                    mandatory: *how == "mandatory",
                    prompt: None,
                    timeout_ms: None,
                },
                remote: Remote::default(),
            }),
            ["codes", call, names @ ..] => {
                let code = |name: &&str| WrapUpCode {
                    id: name.to_lowercase(),
                    name: (*name).to_owned(),
                };
                let codes = names.iter().map(code).collect();
                self.done(
                    &format!("codes {call}"),
                    Ok(CommandReply::WrapUpCodes(codes)),
                );
            }
            // Who else is on the call: `A party Bob`, `A party Bob=rings`; `A alone`.
            [call, "parties", names @ ..] => {
                let parties = names.iter().map(|name| party(name)).collect();
                self.change(call, |view| view.parties = parties);
            }
            [call, "consult", asked, to] => {
                let party = party(asked);
                let consult = ConsultView {
                    destination: Some(party.participant_id.clone()),
                    speak_to: serde_json::from_value((*to).into()).expect("who hears whom"),
                    state: Some(party.state),
                };
                self.change(call, |view| {
                    view.parties = vec![party];
                    view.consult = Some(consult);
                });
            }
            ["login", "in"] => self.handle(Input::Login(Login::In)),
            ["login", "out"] => self.handle(Input::Login(Login::Out(Invitation {
                address: "desk-7.local:8321/L/7F3K9Q".into(),
                link: Private::from("HTTP://DESK-7.LOCAL:8321/L/7F3K9Q"),
            }))),
            // `name`, `name=ours`, `name=taken`.
            ["stations", names @ ..] => {
                let entry = |name: &&str| {
                    let (name, state) = name.split_once('=').unwrap_or((*name, ""));
                    StationEntry {
                        id: name.into(),
                        name: name.into(),
                        is_taken: state == "taken",
                        is_ours: state == "ours",
                    }
                };
                self.handle(Input::Stations(names.iter().map(entry).collect()));
            }
            ["refused", wish] => {
                let wish = match *wish {
                    "list" => Wish::ListStations,
                    "log-out" => Wish::LogOut,
                    "ring-here" => Wish::RingHere,
                    _ => Wish::TakeStationBack,
                };
                self.handle(Input::Refused(wish));
            }
            ["notice", name] => self.handle(Input::Notice(notice(name))),
            ["over", "cloud"] => self.handle(Input::NoticeOver(NoticeArea::Cloud)),
            ["over", "state"] => self.handle(Input::NoticeOver(NoticeArea::State)),
            ["over", "station"] => self.handle(Input::NoticeOver(NoticeArea::Station)),
            [call, what] => self.call(call, what),
            _ => panic!("no such step: {step}"),
        }
        std::mem::take(&mut self.said).join("; ")
    }

    pub fn handle(&mut self, input: Input) {
        self.phone.handle(self.now, input);
        self.drain();
    }

    /// Lets time pass, with every wait ending on its moment.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.phone.next_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "waits end in the future");
            self.now = at;
            self.phone.handle_timeout(at);
            self.drain();
        }
        self.now = end;
    }

    /// Whether a call is there, has a way for sound and is not on hold.
    pub fn can_hear_us(&self, call: &str) -> bool {
        self.views.get(call).is_some_and(|view| {
            !view.held
                && !view.state.is_ended()
                && view.connection == Some(ConnectionState::Connected)
        })
    }

    /// How many commands have no outcome yet.
    pub fn open_commands(&self) -> usize {
        self.open.len()
    }

    /// Ends an open command well or badly.
    pub fn finish(&mut self, index: usize, well: bool) -> String {
        let command = self.open[index].1.clone();
        match command.strip_prefix("start ") {
            Some(number) if well => self.step(&format!(
                "started {number} as {}",
                ["A", "B", "C"][index % 3]
            )),
            _ if well && command.starts_with("codes ") => {
                self.step(&format!("{command} Sale Complaint"))
            }
            _ if well => self.step(&format!("done {command}")),
            _ => self.step(&format!("fail {command}")),
        }
    }

    fn leader(&mut self, alerting: bool) {
        self.event(Event::AlertingLeaderChanged {
            voice: AlertingLeader {
                alerting,
                configured: true,
                client_type: None,
            },
        });
    }

    fn change(&mut self, call: &str, change: impl FnOnce(&mut CallView)) {
        let view = self
            .views
            .entry(call.to_owned())
            .or_insert_with(|| view(call));
        change(view);
        let view = view.clone();
        self.event(Event::Call(Box::new(view)));
    }

    fn hal(&mut self, event: HalEvent) {
        self.handle(Input::Hal(event));
    }

    fn key(&mut self, name: &str, action: KeyAction) {
        let key: Key = name.parse().expect("a key");
        self.hal(HalEvent::Key { key, action });
    }

    fn event(&mut self, event: Event) {
        self.handle(Input::Softphone(Box::new(event)));
    }

    fn fail(&mut self, command: &str, kind: SdkErrorType) {
        let error = SdkError {
            kind,
            message: "refused".to_owned(),
            details: RawJson::default(),
        };
        self.done(command, Err(error));
    }

    fn done(&mut self, command: &str, result: Result<CommandReply, SdkError>) {
        let index = self.open.iter().position(|(_, open)| open == command);
        let (id, _) = self
            .open
            .remove(index.unwrap_or_else(|| panic!("{command} is not open")));
        self.handle(Input::CommandDone { id, result });
    }

    /// Something happens to a call: its view changes, or the SDK's event comes.
    fn call(&mut self, name: &str, what: &str) {
        let of = SessionRef {
            session_id: SessionId(format!("S{name}")),
            conversation_id: ConversationId::from(name),
        };
        match what {
            "gone" => {
                self.views.remove(name);
                self.event(Event::CallGone {
                    conversation_id: of.conversation_id,
                });
                return;
            }
            "cancelled" => return self.event(Event::CancelPendingSession(of)),
            "handled" => return self.event(Event::HandledPendingSession(of)),
            "pending" => return self.event(Event::PendingSession(pending(of))),
            "failed" => {
                let details = serde_json::json!({ "conversationId": name });
                return self.event(Event::SdkError(SdkError {
                    kind: SdkErrorType::Call,
                    message: "Call error has occurred".to_owned(),
                    details: RawJson(details),
                }));
            }
            _ => {}
        }
        let view = self
            .views
            .entry(name.to_owned())
            .or_insert_with(|| view(name));
        match what {
            "alerting" => view.state = CallState::Alerting,
            "proposed" => view.pending = true,
            "rings" => (view.state, view.pending) = (CallState::Alerting, true),
            "retracted" => view.pending = false,
            "auto" => {
                (view.state, view.pending) = (CallState::Alerting, true);
                (view.auto_answer, view.accepted) = (true, true);
            }
            "accepted" => view.accepted = true,
            "contacting" | "dialing" => {
                view.direction = Direction::Outbound;
                (view.auto_answer, view.accepted) = (true, true);
                view.state = if what == "dialing" {
                    CallState::Dialing
                } else {
                    CallState::Contacting
                };
            }
            "up" => {
                view.session_id = Some(of.session_id);
                view.connection = Some(ConnectionState::Connected);
            }
            "connected" => {
                (view.state, view.accepted, view.pending) = (CallState::Connected, true, false);
                view.session_id = Some(of.session_id);
                view.connection = Some(ConnectionState::Connected);
            }
            "held" => view.held = true,
            "unheld" => view.held = false,
            "muted" => view.muted = true,
            "unmuted" => view.muted = false,
            "elsewhere" => view.state = CallState::Connected,
            "consult-over" => (view.consult, view.parties) = (None, Vec::new()),
            "recorded" => view.recording = Some(RecordingState::Active),
            "unrecorded" => view.recording = Some(RecordingState::Paused),
            "user" => view.rejects_to_voicemail = true,
            "again" => {}
            "ended" => view.state = CallState::Disconnected,
            _ => panic!("a call cannot be {what}"),
        }
        let view = view.clone();
        self.event(Event::Call(Box::new(view)));
    }

    fn drain(&mut self) {
        while let Some(output) = self.phone.poll() {
            let said = match output {
                Output::Softphone { id, command } => {
                    let said = command_in_words(&command);
                    self.open.push((id, said.clone()));
                    said
                }
                Output::Audio(command) => audio_in_words(command),
                Output::Wish(wish) => match wish {
                    Wish::ListStations => "wish stations".to_owned(),
                    Wish::UseStation(id) => format!("wish use {id}"),
                    Wish::TakeStationBack => "wish take back".to_owned(),
                    Wish::LogOut => "wish log-out".to_owned(),
                    Wish::RingHere => "wish ring here".to_owned(),
                },
                Output::Path(path) => format!("path {path:?}").to_lowercase(),
                Output::Talk(None) => "talk none".to_owned(),
                Output::Talk(Some(session)) => {
                    format!("talk {}", session.as_str().trim_start_matches('S'))
                }
                Output::Lamp { lamp, state } => {
                    format!("{lamp} {}", format!("{state:?}").to_lowercase())
                }
                Output::Screen(screen) => {
                    assert!(
                        self.screen != *screen,
                        "a screen is only said when it changed"
                    );
                    self.screen = *screen;
                    continue;
                }
            };
            self.said.push(said);
        }
    }
}

fn view(name: &str) -> CallView {
    let (remote, address) = match name {
        "A" => ("Alice", "tel:+13175550100"),
        "B" => ("Bob", "sip:+13175550111@edge.example"),
        "C" => ("", "tel:+493012345"),
        _ => ("", ""),
    };
    CallView {
        conversation_id: ConversationId::from(name),
        session_id: None,
        direction: Direction::Inbound,
        state: CallState::None,
        pending: false,
        accepted: false,
        auto_answer: false,
        held: false,
        muted: false,
        remote: Remote {
            name: Private::from(remote),
            address: Private::from(address),
        },
        connection: None,
        telephone_event: true,
        rejects_to_voicemail: false,
        parties: Vec::new(),
        consult: None,
        recording: None,
        wrap_up: None,
    }
}

/// `Bob`, `Bob=rings`.
fn party(text: &str) -> Party {
    let (name, state) = text.split_once('=').unwrap_or((text, ""));
    Party {
        participant_id: ParticipantId(format!("P{name}")),
        name: Private::from(name),
        address: Private::default(),
        purpose: None,
        state: if state == "rings" {
            CallState::Alerting
        } else {
            CallState::Connected
        },
        held: false,
        muted: false,
        confined: false,
    }
}

fn pending(of: SessionRef) -> PendingSession {
    PendingSession {
        id: of.session_id.clone(),
        session_id: of.session_id,
        auto_answer: false,
        conversation_id: of.conversation_id,
        session_type: "softphone",
        original_room_jid: Jid::default(),
        from_user_id: None,
        to_jid: Jid::default(),
        from_jid: Jid::default(),
        priv_answer_mode: None,
    }
}

fn notice(name: &str) -> Option<Notice> {
    Some(match name {
        "none" => return None,
        "connecting" => Notice::Connecting,
        "login" => Notice::LoginNeeded,
        "unreachable" => Notice::CloudUnreachable,
        "tls" => Notice::TlsTrouble,
        "state" => Notice::StateTrouble,
        "state-in-memory" => Notice::StateInMemory,
        "state-damaged" => Notice::StateDamaged,
        "station" => Notice::NoStation,
        "station-taken" => Notice::StationTaken,
        "wrong-station" => Notice::StationNotWebRtc,
        "station-missing" => Notice::StationMissing,
        "station-unknown" => Notice::StationUnknown,
        "stations-unread" => Notice::StationsUnread,
        "sound-missing" => Notice::SoundMissing {
            device: "hw:1".to_owned(),
        },
        "sound-busy" => Notice::SoundBusy {
            device: "hw:1".to_owned(),
        },
        "sound-trouble" => Notice::SoundTrouble {
            device: "hw:1".to_owned(),
        },
        _ => panic!("no such notice: {name}"),
    })
}

fn duration(text: &str) -> Duration {
    let parse = |number: &str| number.parse().expect("a number");
    match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(parse(number)),
        None => Duration::from_secs(parse(text.trim_end_matches('s'))),
    }
}
