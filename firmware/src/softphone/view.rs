//! What the phone and `GET /calls` see of a call.

use super::Softphone;
use super::call::{Call, Known};
use super::event::{CallView, ConsultView, Event, Party, Remote, WrapUpView};
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::genesys::model::{Call as WireCall, CallState, Direction, Participant, RecordingState};

impl Softphone {
    /// Emits what changed in the calls' views since the last time, and which of them are gone.
    pub(super) fn refresh_views(&mut self) {
        let views: Vec<CallView> = self
            .calls
            .iter()
            .filter_map(|call| self.view(call))
            .collect();
        let parting = std::mem::take(&mut self.parting);
        let known = std::mem::take(&mut self.views);
        for last in &parting {
            // Told of and over at once: a call of ours that had ended before the reply named it.
            let id = &last.conversation_id;
            let listed = |list: &[CallView]| list.iter().any(|view| &view.conversation_id == id);
            if !listed(&known) && !listed(&views) && last.accepted {
                self.event(Event::Call(Box::new(last.clone())));
                self.event(Event::CallGone {
                    conversation_id: id.clone(),
                });
            }
        }
        for old in known {
            let id = &old.conversation_id;
            if views.iter().any(|new| &new.conversation_id == id) {
                self.views.push(old);
                continue;
            }
            let last = parting
                .iter()
                .rev()
                .find(|last| &last.conversation_id == id);
            if let Some(last) = last.filter(|last| **last != old) {
                self.event(Event::Call(Box::new(last.clone())));
            }
            self.event(Event::CallGone {
                conversation_id: id.clone(),
            });
        }
        for view in &views {
            if !self.views.contains(view) {
                self.event(Event::Call(Box::new(view.clone())));
            }
        }
        self.views = views;
    }

    /// Keeps the last view of a call that is about to be forgotten: the phone wants to know how it ended.
    pub(super) fn part(&mut self, id: &ConversationId) {
        let view = self.call(id).and_then(|call| self.view(call));
        self.parting.extend(view);
    }

    /// `None` for a call that does not concern this phone (yet, or any more).
    fn view(&self, call: &Call) -> Option<CallView> {
        let pending = call.pending.as_ref();
        let announced = pending.is_some_and(|p| p.announced);
        // An outbound call of another client concerns this phone only when it is proposed here (click to dial).
        let inbound = call.direction() != Some(Direction::Outbound);
        let concerns = call.boot || call.is_ours() || announced || (call.stored && inbound);
        // 6.3, 7.1: another client of the user rings.
        let told = pending.is_some_and(|pending| pending.auto_answer);
        let silent = self.handling.is_reduced() && !call.is_ours() && call.is_pending() && !told;
        if !concerns || silent || call.dismissed || call.is_eager() {
            return None;
        }
        let known = call.known.as_ref();
        let session = call.session.as_ref().and_then(|s| self.session(s));
        let direction = call.direction().unwrap_or(Direction::Inbound);
        let ringing = if direction == Direction::Outbound {
            CallState::Contacting
        } else {
            CallState::Alerting
        };
        Some(CallView {
            conversation_id: call.id.clone(),
            session_id: session.map(|s| s.id.clone()),
            direction,
            state: call.state().unwrap_or(ringing),
            pending: announced || (call.early && call.is_ringing() && !call.is_ours()),
            accepted: call.is_ours(),
            auto_answer: call.auto_answer && call.is_ours(),
            held: known.is_some_and(|known| known.call.held),
            muted: known.is_some_and(|known| known.call.muted),
            remote: self.remote(call),
            connection: session.map(|s| s.connection),
            rejects_to_voicemail: known
                .is_some_and(|known| known.participant.purpose.as_deref() == Some("user")),
            telephone_event: session
                .and_then(|s| s.negotiated)
                .is_some_and(|n| n.dtmf_payload_type.is_some()),
            parties: known.map(|known| self.parties(known)).unwrap_or_default(),
            consult: self.consult_view(call),
            recording: known.and_then(recording),
            wrap_up: known.and_then(|known| wrap_up_view(&known.participant)),
        })
    }

    /// The others that are on the call, without the machinery in between.
    fn parties(&self, known: &Known) -> Vec<Party> {
        let party = |p: &Participant| {
            let call = living_call(p)?;
            Some(Party {
                participant_id: p.id.clone(),
                name: p.name.clone().unwrap_or_default(),
                address: p.address.clone().unwrap_or_default(),
                purpose: p.purpose.clone(),
                state: call.state,
                held: call.held,
                muted: call.muted,
                confined: call.confined,
            })
        };
        known
            .conversation
            .participants
            .iter()
            .filter(|p| {
                (p.user_id.is_none() || p.user_id.as_ref() != self.user_id()) && !is_machine(p)
            })
            .filter_map(party)
            .collect()
    }

    /// The consultation this phone began, else one the events tell of.
    fn consult_view(&self, call: &Call) -> Option<ConsultView> {
        let known = call.known.as_ref();
        let told = known.and_then(|known| self.consulted(known));
        let own = call.consult.as_ref();
        if own.is_none() && told.is_none() {
            return None;
        }
        let named = own.and_then(|consult| consult.destination.as_ref());
        let asked = known
            .and_then(|known| {
                let mut participants = known.conversation.participants.iter();
                participants.find(|p| Some(&p.id) == named)
            })
            .or(told.filter(|_| named.is_none()));
        Some(ConsultView {
            destination: named.or(told.map(|p| &p.id)).cloned(),
            speak_to: own.map(|consult| consult.speak_to).unwrap_or_default(),
            state: asked.and_then(living_call).map(|call| call.state),
        })
    }

    /// The far end (4.4): as our own call names it, else the participant at the other end, else what was dialed.
    pub(super) fn remote(&self, call: &Call) -> Remote {
        let Some(known) = &call.known else {
            return Remote {
                name: Private::default(),
                address: call.dialed.clone().unwrap_or_default(),
            };
        };
        let far = self.far_end(&known.conversation.participants);
        let other = known.call.other.as_ref();
        let first = |candidates: [Option<&Private>; 5]| {
            candidates
                .into_iter()
                .flatten()
                .find(|text| !text.is_empty())
                .cloned()
                .unwrap_or_default()
        };
        Remote {
            name: first([
                other.and_then(|o| o.name.as_ref()),
                far.and_then(|p| p.name.as_ref()),
                other.and_then(|o| o.name_raw.as_ref()),
                None,
                None,
            ]),
            address: first([
                other.and_then(|o| o.address_displayable.as_ref()),
                other.and_then(|o| o.address_normalized.as_ref()),
                other.and_then(|o| o.address_raw.as_ref()),
                far.and_then(|p| p.address.as_ref()),
                call.dialed.as_ref(),
            ]),
        }
    }

    /// A customer or external party, else another user; not the machinery in between.
    fn far_end<'a>(&self, participants: &'a [Participant]) -> Option<&'a Participant> {
        let others = || {
            participants
                .iter()
                .rev()
                .filter(|p| p.user_id.is_none() || p.user_id.as_ref() != self.user_id())
        };
        let with_purpose = |wanted: &[&str]| {
            others().find(|p| {
                p.purpose
                    .as_deref()
                    .is_some_and(|purpose| wanted.contains(&purpose))
            })
        };
        with_purpose(&["customer", "external"]).or_else(|| with_purpose(&["user", "agent"]))
    }
}

/// The call of a participant that has not ended.
pub(super) fn living_call(participant: &Participant) -> Option<&WireCall> {
    participant
        .calls
        .iter()
        .rev()
        .find(|call| !call.state.is_ended())
}

/// Queue, menu and the like: no party a user could do anything with.
pub(super) fn is_machine(participant: &Participant) -> bool {
    matches!(
        participant.purpose.as_deref(),
        Some("acd" | "ivr" | "workflow" | "botflow" | "dialer" | "campaign")
    )
}

/// As our call says it, else the conversation.
fn recording(known: &Known) -> Option<RecordingState> {
    let told = [
        known.call.recording_state,
        known.conversation.recording_state,
    ];
    let on = told
        .into_iter()
        .flatten()
        .find(|state| *state != RecordingState::None)
        .or(known.call.recording.then_some(RecordingState::Active));
    on.or_else(|| told.into_iter().flatten().next())
}

/// What the cloud wants after the call, if anything.
pub(super) fn wrap_up_view(participant: &Participant) -> Option<WrapUpView> {
    let prompt = participant.wrapup_prompt.clone();
    let view = WrapUpView {
        mandatory: matches!(prompt.as_deref(), Some("mandatory" | "forcedTimeout")),
        timeout_ms: participant.wrapup_timeout_ms,
        prompt,
    };
    participant.wrapup_required.then_some(view)
}
