//! What the phone and `GET /calls` see of a call.

use super::Softphone;
use super::call::Call;
use super::event::{CallView, Event, Remote};
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::genesys::model::{CallState, Direction, Participant};

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
        if !concerns || call.dismissed || call.is_eager() {
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
            pending: announced,
            accepted: call.is_ours(),
            auto_answer: call.auto_answer && call.is_ours(),
            held: known.is_some_and(|known| known.call.held),
            muted: known.is_some_and(|known| known.call.muted),
            remote: self.remote(call),
            connection: session.map(|s| s.connection),
            telephone_event: session
                .and_then(|s| s.negotiated)
                .is_some_and(|n| n.dtmf_payload_type.is_some()),
        })
    }

    /// The far end (4.4): as our own call names it, else the participant at the other end, else what was dialed.
    fn remote(&self, call: &Call) -> Remote {
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
