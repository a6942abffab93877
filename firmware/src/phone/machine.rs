//! The phone's state, and what it does with each input.

use super::calls::{Call, Calls};
use super::dial::{Entry, Start};
use super::io::{Input, Login, Notice, Output, StationEntry};
use super::list::List;
use super::outcomes::Asked;
use super::outputs::Shown;
use super::screen::Front;
use super::settings::{AudioPath, AudioSettings, PhoneConfig, Volumes};
use super::strings::{ENGLISH, Strings};
use super::timer::{Timer, Timers, after};
use super::wrap_up::WrapUp;
use crate::audio::{AudioCommand, Tone};
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::softphone::{CommandId, Event, SdkErrorType};
use offhook_hal::{HalEvent, HookState, Key, KeyAction};
use std::collections::VecDeque;
use std::time::Instant;

/// The phone: `handle`, then drain `poll`, then look at `next_timeout`.
pub struct Phone {
    pub(super) config: PhoneConfig,
    pub(super) words: &'static Strings,
    pub(super) timers: Timers,

    pub(super) hook: HookState,
    /// The speaker or headset while it is in use, whatever the hook says.
    pub(super) hands_free: Option<AudioPath>,
    /// The path used last.
    pub(super) last_path: AudioPath,
    pub(super) volumes: Volumes,
    /// The key whose tone sounds.
    pub(super) key_tone: Option<char>,

    pub(super) activity: Activity,
    pub(super) calls: Calls,
    /// The call the user turned to last.
    pub(super) focus: Option<ConversationId>,
    /// The engine's opinion, for when the user has none.
    pub(super) active: ConversationId,
    pub(super) starts: Vec<Start>,
    pub(super) recall: Recall,
    pub(super) last_number: Option<Private>,

    pub(super) agent: Private,
    pub(super) station: Option<String>,
    pub(super) clock: String,
    pub(super) notices: Vec<Notice>,
    pub(super) login: Login,
    /// Another of the user's clients rings, this one keeps still.
    pub(super) is_follower: bool,
    /// Calls that want a code, oldest first.
    pub(super) wrap_ups: Vec<WrapUp>,
    /// Which of the soft keys are shown, where there are more than four.
    pub(super) soft_page: usize,
    /// The list the user has opened.
    pub(super) list: Option<List>,
    /// The stations to choose from, as last told.
    pub(super) stations: Vec<StationEntry>,
    pub(super) message: Option<&'static str>,
    /// A volume being set: its path (none: ring) and percent.
    pub(super) level: Option<(Option<AudioPath>, u8)>,
    pub(super) missed: Option<Missed>,
    /// The ringing call that went last, until it is known whether it was missed.
    pub(super) just_gone: Option<(ConversationId, String)>,

    pub(super) open_commands: VecDeque<(CommandId, Asked)>,
    pub(super) next_command: u64,
    pub(super) shown: Shown,
    pub(super) outputs: VecDeque<Output>,
}

/// What the user is doing beside talking.
#[derive(Debug)]
pub(super) enum Activity {
    /// Nothing, or talking.
    Idle,
    /// Entering a number.
    Dialing(Entry),
    /// The number is with the cloud and no call has come yet.
    Placing(CommandId),
    /// A call is over, or was none, and the user has not hung up.
    Over {
        headline: &'static str,
        hint: &'static str,
        tone: Option<Tone>,
        /// It went wrong, rather than just ended.
        is_failure: bool,
    },
}

/// Calls left on hold after the user hung up ring back from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
    Off,
    Quiet,
    Ringing,
}

/// Calls missed since the user last touched the phone.
pub(super) struct Missed {
    pub count: u32,
    pub last: String,
}

impl Phone {
    /// A phone at rest. Its first outputs (tone plan, volumes, screen) wait to be polled.
    pub fn new(config: PhoneConfig) -> Self {
        let volumes = Volumes::new(&config.audio);
        let mut phone = Self {
            words: &ENGLISH,
            timers: Timers::default(),
            hook: HookState::Resting,
            hands_free: None,
            last_path: config.audio.path.unwrap_or_default(),
            volumes,
            key_tone: None,
            activity: Activity::Idle,
            calls: Calls::default(),
            focus: None,
            active: ConversationId::default(),
            starts: Vec::new(),
            recall: Recall::Off,
            last_number: None,
            agent: Private::default(),
            station: None,
            clock: String::new(),
            notices: Vec::new(),
            login: Login::default(),
            is_follower: false,
            wrap_ups: Vec::new(),
            soft_page: 0,
            list: None,
            stations: Vec::new(),
            message: None,
            level: None,
            missed: None,
            just_gone: None,
            open_commands: VecDeque::new(),
            next_command: config.first_command,
            shown: Shown::default(),
            outputs: VecDeque::new(),
            config,
        };
        phone.say(AudioCommand::Plan(phone.config.tone_plan));
        phone.show();
        phone
    }

    /// Takes what happened at `now`. Time does not go back; waits that are over by then end first.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.pass_time(now);
        match input {
            Input::Hal(event) => self.hal(now, event),
            Input::Softphone(event) => self.event(now, *event),
            Input::CommandDone { id, result } => self.command_done(now, id, result),
            Input::Dial { id, params } => self.dial_for_panel(now, id, *params),
            Input::Notice(None) => self.notices.clear(),
            Input::Notice(Some(notice)) => {
                self.notices.retain(|other| other.area() != notice.area());
                self.notices.push(notice);
            }
            Input::NoticeOver(area) => self.notices.retain(|notice| notice.area() != area),
            Input::Identity { user, station } => {
                self.agent = user;
                self.station = station;
            }
            Input::Clock(time) => self.clock = time,
            Input::Login(login) => self.login_changed(login),
            Input::Stations(stations) => self.stations_found(now, stations),
            Input::Refused(wish) => self.tell(now, self.words.refused(&wish)),
            Input::Audio(settings) => self.apply(now, &settings),
        }
        self.refresh(now);
    }

    /// What is to be done next; `None` when all is said. Drain after every `handle` and `handle_timeout`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Ends every wait that is over at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pass_time(now);
        self.refresh(now);
    }

    /// Where the handset is.
    pub fn hook(&self) -> HookState {
        self.hook
    }

    /// Somebody works it, beside calls that there may be: the handset is lifted, a number is being entered or is with the
    /// cloud (on a speaker or a headset), or a list is open.
    pub fn is_in_use(&self) -> bool {
        self.hook != HookState::Resting
            || matches!(self.activity, Activity::Dialing(_) | Activity::Placing(_))
            || self.list.is_some()
    }

    /// `GET /audio`: everything is there.
    pub fn audio_settings(&self) -> AudioSettings {
        let (volume, ring) = self.volumes.settings();
        AudioSettings {
            path: Some(self.last_path),
            volume: Some(volume),
            ring: Some(ring),
            mute: Some(self.focus_call().is_some_and(Call::is_gated)),
        }
    }

    fn hal(&mut self, now: Instant, event: HalEvent) {
        let is_touch = matches!(
            event,
            HalEvent::Hook(_)
                | HalEvent::HookFlash
                | HalEvent::Key {
                    action: KeyAction::Pressed,
                    ..
                }
        );
        // Whoever goes on has read it.
        let was_told = is_touch && self.message.take().is_some();
        if was_told {
            self.timers.stop(Timer::Message);
            if matches!(event, HalEvent::Key { key: Key::Back, .. }) {
                return;
            }
        }
        if is_touch && matches!(self.front(), Front::Idle) {
            self.notice_seen();
        }
        match event {
            HalEvent::Hook(state) => self.hook_moved(now, state),
            HalEvent::HookFlash => self.hook_flash(now),
            HalEvent::Key { key, action } => self.key(now, key, action),
            // The keypad holds such keys back and its log tells; there is nothing the user could do on the display.
            HalEvent::GhostKeys | HalEvent::KeyStuck(_) => {}
        }
    }

    /// Ends waits one by one, each at its own time and with everything shown that follows, so that a late caller gets
    /// the same as a punctual one.
    fn pass_time(&mut self, now: Instant) {
        while let Some((timer, at)) = self.timers.take_due(now) {
            match timer {
                Timer::InterDigit => self.dial_entry(at),
                Timer::NothingDialed => self.over(
                    at,
                    self.words.nothing_dialed,
                    self.words.lay_down,
                    Some(Tone::Reorder),
                ),
                Timer::EntryForgotten => self.entry_cancel(at),
                Timer::ToneStop => {
                    if let Activity::Over { tone, .. } = &mut self.activity {
                        *tone = None;
                    }
                }
                Timer::HandsFreeOver => self.go_on_hook(at, true),
                Timer::Placing => self.placing_timed_out(at),
                Timer::Recall => self.recall_changed(at),
                Timer::TransferConfirm => self.transfer_unconfirmed(at),
                Timer::HoldConfirm => self.hold_unconfirmed(at),
                Timer::Message => self.message = None,
                Timer::List => self.list = None,
                Timer::Level => self.level = None,
                // What they change is worked out anew below.
                Timer::Beep | Timer::Second => {}
            }
            // Seconds that nobody waited for are skipped.
            self.refresh(if timer == Timer::Second { now } else { at });
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Call(view) => self.call_changed(now, *view),
            Event::CallGone { conversation_id } => self.call_gone(now, &conversation_id),
            Event::CancelPendingSession(of) => self.caller_gave_up(&of.conversation_id),
            Event::HandledPendingSession(of) => {
                if let Some(call) = self.calls.find_mut(&of.conversation_id) {
                    call.handled = true;
                }
            }
            Event::ConversationUpdate(update) => self.active = update.active_conversation_id,
            Event::WrapUpRequired {
                conversation_id,
                wrap_up,
                ..
            } => self.wrap_up_wanted(conversation_id, !wrap_up.mandatory),
            Event::WrapUpOver { conversation_id } => self.wrap_up_over(&conversation_id),
            Event::AlertingLeaderChanged { voice } => {
                self.follow(voice.configured && !voice.alerting);
            }
            Event::SdkError(error) if error.kind == SdkErrorType::Call => {
                let id = error
                    .details
                    .0
                    .get("conversationId")
                    .and_then(|id| id.as_str());
                if let Some(call) = id.and_then(|id| self.calls.find_mut(&ConversationId::from(id)))
                {
                    call.failed = true;
                }
            }
            // Calls' views say it all; failed commands come with their own outcome.
            Event::SdkError(_)
            | Event::Ready {}
            | Event::Connected { .. }
            | Event::Disconnected { .. }
            | Event::PendingSession(_)
            | Event::SessionStarted(_)
            | Event::SessionEnded { .. }
            | Event::SessionInterrupted(_)
            | Event::ConversationUpdateRaw(_)
            | Event::Station { .. }
            | Event::ConcurrentSoftphoneSessionsEnabled(_) => {}
        }
    }

    /// Another client leads, or not any more: what it would ring for is only shown here.
    fn follow(&mut self, is_follower: bool) {
        if std::mem::replace(&mut self.is_follower, is_follower) != is_follower {
            for call in self.calls.iter_mut().filter(|call| call.is_waiting()) {
                call.quiet = is_follower;
            }
        }
    }

    /// `PATCH /audio`.
    fn apply(&mut self, now: Instant, settings: &AudioSettings) {
        self.volumes.apply(settings);
        match settings.path {
            Some(path) if self.path().is_some() => self.switch_path(now, path),
            Some(path) => self.last_path = path,
            None => {}
        }
        if let Some(mute) = settings.mute
            && self
                .focus_call()
                .is_some_and(|call| call.is_gated() != mute)
        {
            self.toggle_mute();
        }
    }

    /// Shows a short message.
    pub(super) fn tell(&mut self, now: Instant, text: &'static str) {
        self.message = Some(text);
        self.timers.set(Timer::Message, now + after::MESSAGE);
    }

    pub(super) fn say(&mut self, command: AudioCommand) {
        self.outputs.push_back(Output::Audio(command));
    }
}
