//! What should sound, light and be shown, worked out anew from the state after every input; only what changed is said.

use super::calls::Phase;
use super::dial::Purpose;
use super::io::{Output, Screen};
use super::machine::{Activity, Phone, Recall};
use super::settings::AudioPath;
use super::timer::{Timer, after};
use crate::audio::{AudioCommand, KeyTone, Tone};
use crate::genesys::id::SessionId;
use crate::genesys::model::CallState;
use offhook_hal::{Lamp, LampState};
use std::time::{Duration, Instant};

const ONE_SECOND: Duration = Duration::from_secs(1);

/// Everything that sounds, lights and is shown. The default is a phone just switched on.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Shown {
    path: AudioPath,
    volume: Option<u8>,
    ring_volume: Option<u8>,
    listen: bool,
    ring: bool,
    tone: Option<Tone>,
    key_tone: Option<char>,
    mute: bool,
    talk: Option<SessionId>,
    lamps: [LampState; Lamp::ALL.len()],
    screen: Option<Screen>,
}

impl Phone {
    /// Brings waits that depend on the state in line with it, and says what changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        if let Some(focus) = &self.focus
            && self.calls.find(focus).is_none()
        {
            self.focus = None;
        }
        if self.path().is_none() {
            self.key_tone = None;
        }
        if !self.is_hands_free_useless() {
            self.timers.stop(Timer::HandsFreeOver);
        } else if !self.timers.is_running(Timer::HandsFreeOver) {
            self.timers
                .set(Timer::HandsFreeOver, now + after::HANDS_FREE_OVER);
        }
        let recall = match (self.path(), self.recall) {
            (None, Recall::Off) if self.calls.any_left() => Some(Recall::Quiet),
            (Some(_), Recall::Quiet | Recall::Ringing) => Some(Recall::Off),
            (None, Recall::Quiet | Recall::Ringing) if !self.calls.any_left() => Some(Recall::Off),
            _ => None,
        };
        if let Some(recall) = recall {
            self.set_recall(now, recall);
        }
        match self.duration(now) {
            Some(duration) => {
                let begun = Duration::from_nanos(duration.subsec_nanos().into());
                let rest = ONE_SECOND.saturating_sub(begun);
                self.timers.set(Timer::Second, now + rest);
            }
            None => self.timers.stop(Timer::Second),
        }
        self.show_at(Some(now));
    }

    /// Says everything for the first time.
    pub(super) fn show(&mut self) {
        self.show_at(None);
    }

    fn show_at(&mut self, now: Option<Instant>) {
        let new = self.wanted(now);
        let old = std::mem::replace(&mut self.shown, new.clone());
        // First what makes silence and closes the microphone, then the way, then what is heard on it.
        if old.talk != new.talk && new.talk.is_none() {
            self.outputs.push_back(Output::Talk(None));
        }
        if !old.mute && new.mute {
            self.say(AudioCommand::Mute(true));
        }
        if old.ring && !new.ring {
            self.say(AudioCommand::Ring(false));
        }
        if old.key_tone.is_some() && new.key_tone.is_none() {
            self.say(AudioCommand::KeyTone(None));
        }
        if old.tone.is_some() && new.tone.is_none() {
            self.say(AudioCommand::Tone(None));
        }
        if old.listen && !new.listen {
            self.say(AudioCommand::Listen(false));
        }
        if old.path != new.path {
            self.outputs.push_back(Output::Path(new.path));
        }
        // Each path has its own, be it the same: the sound card may have an element for each.
        if old.path != new.path || old.volume != new.volume {
            self.say(AudioCommand::Volume(new.volume.unwrap_or_default()));
        }
        if old.ring_volume != new.ring_volume {
            self.say(AudioCommand::RingVolume(
                new.ring_volume.unwrap_or_default(),
            ));
        }
        if !old.listen && new.listen {
            self.say(AudioCommand::Listen(true));
        }
        if old.tone != new.tone && new.tone.is_some() {
            self.say(AudioCommand::Tone(new.tone));
        }
        if old.key_tone != new.key_tone && new.key_tone.is_some() {
            self.say(AudioCommand::KeyTone(new.key_tone.map(KeyTone)));
        }
        if !old.ring && new.ring {
            self.say(AudioCommand::Ring(true));
        }
        if old.mute && !new.mute {
            self.say(AudioCommand::Mute(false));
        }
        if old.talk != new.talk && new.talk.is_some() {
            self.outputs.push_back(Output::Talk(new.talk));
        }
        for (index, lamp) in Lamp::ALL.into_iter().enumerate() {
            let state = new.lamps[index];
            if old.lamps[index] != state {
                self.outputs.push_back(Output::Lamp { lamp, state });
            }
        }
        if old.screen != new.screen
            && let Some(screen) = new.screen
        {
            self.outputs.push_back(Output::Screen(Box::new(screen)));
        }
    }

    fn wanted(&self, now: Option<Instant>) -> Shown {
        let path = self.path();
        let focus = self.focus_call();
        Shown {
            path: self.last_path,
            volume: Some(self.volumes.of(self.last_path)),
            ring_volume: Some(self.volumes.ring),
            listen: path.is_some(),
            ring: self.rings(path),
            tone: path.and_then(|_| self.tone()),
            key_tone: self.key_tone,
            mute: focus.is_some_and(super::calls::Call::is_gated),
            talk: path.and(self.talk()),
            lamps: Lamp::ALL.map(|lamp| self.lamp(lamp)),
            screen: Some(self.screen(now)),
        }
    }

    /// The session that hears the microphone.
    fn talk(&self) -> Option<SessionId> {
        if matches!(self.activity, Activity::Over { .. }) {
            return None;
        }
        self.focus_call()
            .filter(|call| call.can_hear_us())
            .and_then(|call| call.view.session_id.clone())
    }

    /// A ringer of its own is heard beside a call, but not beside a microphone that stands open on the desk.
    fn rings(&self, path: Option<AudioPath>) -> bool {
        match path {
            None => self.calls.is_audible() || self.recall == Recall::Ringing,
            Some(AudioPath::Handset | AudioPath::Headset) => {
                self.config.own_ringer && self.calls.is_audible()
            }
            Some(AudioPath::Speaker) => false,
        }
    }

    /// The tone in the ear.
    fn tone(&self) -> Option<Tone> {
        if self.timers.is_running(Timer::Beep) {
            return Some(Tone::CallWaiting);
        }
        let waiting = self.calls.is_audible().then_some(Tone::CallWaiting);
        match &self.activity {
            // Beside a call that goes on, a dial tone would disturb.
            Activity::Dialing(entry) if matches!(entry.purpose, Purpose::Add(_)) => waiting,
            Activity::Dialing(entry) if entry.number.is_empty() => waiting.or(Some(Tone::Dial)),
            Activity::Dialing(_) => waiting,
            Activity::Placing(_) => None,
            Activity::Over { tone, .. } => waiting.or(*tone),
            Activity::Idle => match self.focus_call() {
                // While contacting, the cloud only rings our own station; from dialing on it rings the far end. The
                // ringing tone is always our own, because not every gateway sends one.
                Some(call) if call.phase() == Phase::Calling => {
                    (call.view.state == CallState::Dialing).then_some(Tone::Ringback)
                }
                _ => waiting,
            },
        }
    }

    fn lamp(&self, lamp: Lamp) -> LampState {
        let on = |is_on| if is_on { LampState::On } else { LampState::Off };
        match lamp {
            Lamp::Message if self.notices.iter().any(|notice| notice.importance() > 0) => {
                LampState::Slow
            }
            Lamp::Message => LampState::Off,
            // On by the cloud's word; blinking while only asked for.
            Lamp::Mute => match self.focus_call() {
                Some(call) if call.is_gated() != call.view.muted => LampState::Slow,
                call => on(call.is_some_and(|call| call.view.muted)),
            },
            Lamp::Speaker => on(self.path() == Some(AudioPath::Speaker)),
            Lamp::Headset => on(self.path() == Some(AudioPath::Headset)),
            Lamp::Line(key) => self.line_lamp(key),
        }
    }

    fn line_lamp(&self, key: u8) -> LampState {
        let Some(call) = self.calls.on_key(key) else {
            let dialed_on = match &self.activity {
                _ if self.path().is_none() => None,
                Activity::Dialing(entry) if entry.purpose != Purpose::Call => None,
                Activity::Dialing(entry) => self.calls.free_key(entry.key),
                Activity::Placing(command) => {
                    let start = self.starts.iter().find(|start| start.command == *command);
                    self.calls.free_key(start.and_then(|start| start.key))
                }
                Activity::Idle | Activity::Over { .. } => None,
            };
            return if dialed_on == Some(key) {
                LampState::On
            } else {
                LampState::Off
            };
        };
        match call.phase() {
            _ if !call.is_live() || call.rejecting => LampState::Off,
            Phase::Ringing => LampState::Fast,
            Phase::Held | Phase::Talking if self.recall == Recall::Ringing => LampState::Fast,
            Phase::Held => LampState::Slow,
            Phase::Answering | Phase::Calling | Phase::Talking => LampState::On,
            Phase::Hidden | Phase::Elsewhere | Phase::Ended => LampState::Off,
        }
    }
}
