//! Who hears whom: what the legs let through follows from the state of the calls alone.
//!
//! A call of two is a far end behind the phone's leg, held or muted as a whole. As soon as more
//! than one other party is in it, the leg mixes: [`Mix`] says for each party what it hears.

use super::conversation::{CallDirection, CallState, Conversation, Participant, Purpose, SpeakTo};
use super::{Engine, LegCommand};
use crate::gateway::{FarEndSource, Mix, MixLeg, MixParty, PHONE};

/// What a leg was told last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wired {
    pub far_end: String,
    pub held: bool,
    pub muted: bool,
    pub mix: Option<Mix>,
}

/// Nobody, as a far end.
const NOBODY: &str = "silence";

impl Engine {
    /// Tells the legs of a conversation's phones what they let through now.
    pub(super) fn rewire(&mut self, id: &str) {
        let Some(conversation) = self.conversations.get(id) else {
            return;
        };
        let sessions: Vec<String> = conversation
            .participants
            .iter()
            .filter_map(|one| one.phone.as_ref()?.session.clone())
            .collect();
        for session in sessions {
            self.wire(&session);
        }
    }

    /// Tells a session's leg what it lets through now, as far as that has changed.
    pub(super) fn wire(&mut self, id: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if !session.has_leg() {
            return;
        }
        let (before, after) = (session.wired.clone(), self.wanted(id));
        if before.mix != after.mix {
            self.leg(id, LegCommand::Mix(after.mix.clone()));
        }
        if before.far_end != after.far_end {
            self.leg(id, LegCommand::FarEnd(after.far_end.clone()));
        }
        if before.held != after.held {
            self.leg(id, LegCommand::Held(after.held));
        }
        if before.muted != after.muted {
            self.leg(id, LegCommand::Muted(after.muted));
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.wired = after;
        }
    }

    /// The first party without a phone says something else, as its leg was told already.
    pub fn keep_voice(&mut self, id: &str, source: &FarEndSource) {
        let Some(conversation) = self.conversations.get_mut(id) else {
            return;
        };
        let mut voices = conversation.participants.iter_mut();
        if let Some(voice) = voices.find_map(|one| one.voice.as_mut()) {
            voice.clone_from(source);
        }
        if let Some(session) = self.session_of(id).map(str::to_owned)
            && let Some(session) = self.sessions.get_mut(&session)
        {
            session.wired.far_end = source.to_string();
        }
    }

    fn wanted(&self, id: &str) -> Wired {
        let Some(session) = self.sessions.get(id) else {
            return Wired::default();
        };
        let mut wanted = Wired {
            mix: None,
            ..session.wired.clone()
        };
        let served = self
            .conversations
            .get(&session.conversation)
            .and_then(|found| Some((found, found.participant(&session.participant)?)))
            .filter(|(_, own)| !own.call.state.is_over());
        let Some((conversation, own)) = served else {
            // Nothing is switched for a call whose session ends with it.
            wanted.held |= session.shared && !session.ending;
            return wanted;
        };
        wanted.held = own.call.held;
        wanted.muted = own.call.muted;
        let others: Vec<&Participant> = conversation
            .participants
            .iter()
            .filter(|one| one.id != own.id && one.can_talk() && !one.call.state.is_over())
            .collect();
        match &others[..] {
            [other] if other.is_plain() => {
                let heard = own.call.state == CallState::Connected
                    || own.call.direction == CallDirection::Inbound;
                wanted.far_end = match &other.voice {
                    Some(voice) if heard => voice.to_string(),
                    // A page's peer is the leg itself: it cannot be exchanged in mid-call.
                    _ if wanted.far_end == "browser" => wanted.far_end,
                    _ => NOBODY.to_owned(),
                };
            }
            [] => {}
            _ => wanted.mix = Some(self.mix(id, conversation, own, &others)),
        }
        wanted
    }

    fn mix(
        &self,
        session: &str,
        conversation: &Conversation,
        own: &Participant,
        others: &[&Participant],
    ) -> Mix {
        // One leg lets each party without a phone hear; the others only repeat what it says.
        let host = conversation
            .participants
            .iter()
            .find(|one| one.phone.is_some() && one.call.state == CallState::Connected)
            .is_none_or(|one| one.id == own.id);
        let leg_of = |one: &Participant| {
            let session = one.phone.as_ref()?.session.clone()?;
            let up = self.sessions.get(&session)?.conversation == conversation.id;
            up.then_some(session)
        };
        let mut mix = Mix {
            own: session.to_owned(),
            ..Mix::default()
        };
        for other in others {
            if let Some(leg) = leg_of(other) {
                mix.legs.push(MixLeg {
                    session: leg,
                    to_phone: conversation.hears(own, other),
                });
            } else if let Some(voice) = &other.voice {
                let heard = others
                    .iter()
                    .filter(|one| one.id != other.id && conversation.hears(other, one))
                    .map(|one| leg_of(one).unwrap_or_else(|| one.id.clone()));
                let phone = conversation.hears(other, own).then(|| PHONE.to_owned());
                mix.parties.push(MixParty {
                    id: other.id.clone(),
                    far_end: voice.to_string(),
                    to_phone: conversation.hears(own, other),
                    hears: host.then(|| phone.into_iter().chain(heard).collect()),
                });
            }
        }
        mix
    }
}

impl Participant {
    /// Whether it has anything to say or to hear: a queue and a mailbox have not.
    pub(super) fn can_talk(&self) -> bool {
        self.voice.is_some() || self.phone.is_some()
    }

    /// A party without a phone and with nothing special about it.
    fn is_plain(&self) -> bool {
        let call = &self.call;
        self.phone.is_none() && !call.held && !call.muted && !call.confined
    }

    /// Whether it is a party of the call in its own right.
    pub(super) fn counts(&self) -> bool {
        !self.call.state.is_over() && self.purpose != Purpose::Acd
    }
}

impl Conversation {
    /// Whether one party hears another.
    fn hears(&self, listener: &Participant, speaker: &Participant) -> bool {
        let (to, from) = (&listener.call, &speaker.call);
        let talks = |state| state == CallState::Connected;
        let apart = self.consult.as_ref().is_some_and(|consult| {
            let pair = [&listener.id, &speaker.id];
            consult.speak_to == SpeakTo::Both
                && pair.contains(&&consult.object)
                && pair.contains(&&consult.destination)
        });
        talks(to.state)
            && talks(from.state)
            && !(to.held || from.held || to.confined || from.confined)
            && !from.muted
            && !apart
    }
}
