//! How a call begins: who takes part, and what is said first.

use std::time::Duration;

use super::conversation::{
    Call, CallDirection, CallState, Conversation, Participant, Party, Phone, Purpose,
    RecordingState,
};
use super::session::Stage;
use super::{CommandError, Engine, Output, Timer, UserFacts};
use crate::spec::{InboundOrder, InboundPurpose, InboundSpec, OutboundSpec, OutboundStep};

impl Engine {
    /// Rings a user's phone, and gives the conversation's id.
    ///
    /// # Errors
    /// [`CommandError::NoPhone`] if the user has no station, or if the offer shall come at once
    /// and no resource is connected.
    pub fn call_user(
        &mut self,
        now: Duration,
        user: &UserFacts,
        spec: &InboundSpec,
    ) -> Result<String, CommandError> {
        if !user.station {
            let text = format!("{} has no station: nothing can ring", user.name);
            return Err(CommandError::NoPhone(text));
        }
        let offer_to = match (spec.order, &user.newest_resource) {
            (InboundOrder::OfferOnly, None) => {
                let text = format!("{} has no connected client to make an offer to", user.name);
                return Err(CommandError::NoPhone(text));
            }
            (InboundOrder::OfferOnly, Some(resource)) => Some(resource.clone()),
            _ => None,
        };
        let id = self.id();
        let caller = Party {
            name: spec.from_name.clone(),
            address: spec.from_address.clone(),
        };
        let mut participants = match spec.purpose {
            InboundPurpose::Agent => self.caller_and_queue(now, &caller),
            InboundPurpose::User => {
                let mut external = self.participant(now, Purpose::External, &caller);
                external.call.state = CallState::Dialing;
                external.call.direction = CallDirection::Outbound;
                external.call.other = Party {
                    name: user.name.clone(),
                    address: String::new(),
                };
                vec![external]
            }
        };
        let before = participants
            .last()
            .map(|one| (one.call.id.clone(), one.queue.clone()));
        let purpose = match spec.purpose {
            InboundPurpose::Agent => Purpose::Agent,
            InboundPurpose::User => Purpose::User,
        };
        let mut agent = self.own_participant(now, user, purpose, caller.clone());
        agent.call.state = CallState::Alerting;
        agent.call.initial = CallState::Alerting;
        agent.alert_for = Some(spec.alert_for);
        agent.wrapup_prompt = Some(spec.wrapup_prompt.clone())
            .filter(|prompt| spec.purpose == InboundPurpose::Agent && !prompt.is_empty());
        if let Some((call, queue)) = before {
            agent.call.peer = Some(call);
            agent.queue = queue;
        }
        agent.phone = Some(Phone {
            auto_answer: spec.auto_answer || user.auto_answer,
            offer_to,
            early_candidates: spec.early_candidates,
            end_of_candidates: spec.end_of_candidates,
            late_propose: spec.late_propose,
            marks: vec![(CallState::Alerting.as_str().into(), now)],
            ..Phone::of(user, spec.form, spec.leg.clone())
        });
        if let Some(caller) = participants.first_mut() {
            caller.voice = Some(spec.leg.far_end.clone());
        }
        let participant = agent.id.clone();
        participants.push(agent);
        self.insert(now, &id, "tel:+13175550199", participants);
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.recording = spec.recording;
        }
        let (first, second) = match spec.order {
            InboundOrder::ProposeFirst => (OutboundStep::Propose, Some(OutboundStep::Event)),
            InboundOrder::EventFirst => (OutboundStep::Event, Some(OutboundStep::Propose)),
            InboundOrder::OfferOnly => (OutboundStep::Event, None),
        };
        let announce = |step| Timer::Announce {
            conversation: id.clone(),
            participant: participant.clone(),
            step,
            token: None,
        };
        self.timers.set(now, announce(first));
        let second = second.map_or_else(
            || Timer::OfferAtOnce {
                conversation: id.clone(),
                participant: participant.clone(),
            },
            announce,
        );
        self.timers.set(now + spec.gap, second);
        let over = Timer::StopAlerting {
            conversation: id.clone(),
            participant,
        };
        self.timers.set(now + spec.alert_for, over);
        Ok(id)
    }

    /// Places a call for a user, and gives the conversation's id. The reply with this token is
    /// let go when it is its turn. A callee who is a user of ours with a phone is rung there.
    #[allow(clippy::too_many_arguments)] // a call is what these are
    pub fn place_call(
        &mut self,
        now: Duration,
        user: &UserFacts,
        address: &str,
        queue: Option<String>,
        callee_user: Option<&UserFacts>,
        spec: &OutboundSpec,
        token: u64,
    ) -> String {
        let id = self.id();
        let callee = Party {
            name: spec.far_end_name.clone(),
            address: address.to_owned(),
        };
        let (own, far) = match queue {
            Some(_) => (Purpose::Agent, Purpose::Customer),
            None => (Purpose::User, Purpose::External),
        };
        let mut agent = self.own_participant(now, user, own, callee.clone());
        agent.call.direction = CallDirection::Outbound;
        agent.call.state = CallState::Contacting;
        agent.call.initial = CallState::Contacting;
        agent.queue = queue;
        agent.phone = Some(Phone {
            auto_answer: true,
            early_candidates: spec.early_candidates,
            end_of_candidates: spec.end_of_candidates,
            answer_after: spec.answer_after,
            marks: vec![(CallState::Contacting.as_str().into(), now)],
            ..Phone::of(user, spec.form, spec.leg.clone())
        });
        let mut remote = self.participant(now, far, &callee);
        remote.call.state = CallState::Offering;
        remote.call.initial = CallState::Offering;
        remote.voice = Some(spec.leg.far_end.clone());
        remote.call.other = Party {
            name: user.name.clone(),
            address: agent.address.clone(),
        };
        if let Some(callee) = callee_user.filter(|callee| callee.station) {
            let caller = remote.call.other;
            remote = self.callee_with_phone(now, callee, spec.form, spec.leg.clone(), caller);
            if let Some(phone) = &mut agent.phone {
                phone.answer_after = None;
            }
        }
        let participant = agent.id.clone();
        self.insert(now, &id, address, vec![agent, remote]);
        for (step, turn) in spec.order.into_iter().zip(0_u32..) {
            let announce = Timer::Announce {
                conversation: id.clone(),
                participant: participant.clone(),
                step,
                token: Some(token),
            };
            self.timers.set(now + spec.gap * turn, announce);
        }
        id
    }

    pub(super) fn announce(
        &mut self,
        now: Duration,
        conversation: &str,
        participant: &str,
        step: OutboundStep,
        token: Option<u64>,
    ) {
        if step == OutboundStep::Reply {
            self.outputs.extend(token.map(Output::Reply));
            return;
        }
        let Some(one) = self
            .conversations
            .get(conversation)
            .and_then(|found| found.participant(participant))
        else {
            return;
        };
        let (announced, over) = (
            one.phone.as_ref().is_none_or(|phone| phone.announced),
            one.call.state.is_over(),
        );
        match step {
            // A later change may have told it already.
            OutboundStep::Event if !announced => self.notify(now, conversation),
            OutboundStep::Propose if !over => {
                if let Some(session) = self.shared_for(conversation, participant) {
                    self.ring_on(now, conversation, participant, &session);
                } else if let Some(session) = self.new_session(conversation, participant) {
                    self.propose(now, &session);
                }
            }
            _ => {}
        }
    }

    pub(super) fn offer_at_once(&mut self, now: Duration, conversation: &str, participant: &str) {
        let Some(owner) = self
            .conversations
            .get(conversation)
            .and_then(|found| found.participant(participant))
            .filter(|one| !one.call.state.is_over())
            .and_then(|one| one.phone.as_ref()?.offer_to.clone())
        else {
            return;
        };
        if let Some(session) = self.shared_for(conversation, participant) {
            self.ring_on(now, conversation, participant, &session);
        } else if let Some(session) = self.new_session(conversation, participant) {
            self.mark(now, &session, "offer-only");
            self.prepare(&session, &owner);
        }
    }

    fn insert(&mut self, now: Duration, id: &str, address: &str, participants: Vec<Participant>) {
        self.conversations.insert(
            id.to_owned(),
            Conversation {
                id: id.to_owned(),
                address: address.to_owned(),
                started: now,
                participants,
                consult: None,
                recording: RecordingState::None,
            },
        );
    }

    /// The customer who waits in a queue, and the queue.
    fn caller_and_queue(&mut self, now: Duration, caller: &Party) -> Vec<Participant> {
        let queue = self.id();
        let mut customer = self.participant(now, Purpose::Customer, caller);
        customer.call.initial = CallState::Dialing;
        customer.set_state(now, CallState::Connected, None);
        customer.call.other = Party {
            name: "Support".into(),
            address: "tel:+13175550199".into(),
        };
        let line = Party {
            name: "Support".into(),
            address: "tel:+13175550199".into(),
        };
        let mut acd = self.participant(now, Purpose::Acd, &line);
        acd.set_state(now, CallState::Connected, None);
        acd.queue = Some(queue);
        acd.call.other = caller.clone();
        acd.call.peer = Some(customer.call.id.clone());
        vec![customer, acd]
    }

    pub(super) fn own_participant(
        &mut self,
        now: Duration,
        user: &UserFacts,
        purpose: Purpose,
        other: Party,
    ) -> Participant {
        let address = format!("sip:{}@localhost", user.id);
        let own = Party {
            name: user.name.clone(),
            address,
        };
        let mut one = self.participant(now, purpose, &own);
        one.user = Some(user.id.clone());
        one.call.other = other;
        one
    }

    pub(super) fn participant(
        &mut self,
        now: Duration,
        purpose: Purpose,
        party: &Party,
    ) -> Participant {
        Participant {
            id: self.id(),
            purpose,
            user: None,
            name: party.name.clone(),
            address: party.address.clone(),
            queue: None,
            alert_for: None,
            started: now,
            connected: None,
            ended: None,
            call: Call {
                id: self.id(),
                state: CallState::Offering,
                initial: CallState::Offering,
                direction: CallDirection::Inbound,
                held: false,
                muted: false,
                confined: false,
                held_since: None,
                connected: None,
                disconnected: None,
                disconnect_type: None,
                error: None,
                peer: None,
                other: Party::default(),
            },
            phone: None,
            voice: None,
            invited: false,
            answer_after: None,
            consult_participant: None,
            wrapup_prompt: None,
            wrapup: None,
            wrapup_skipped: false,
        }
    }

    /// Whether the phone's form can carry another offer on the same session.
    pub(super) fn can_reoffer(&self, session: &str) -> bool {
        self.sessions
            .get(session)
            .is_some_and(|one| one.stage == Stage::Answered && !one.awaits_answer)
    }
}
