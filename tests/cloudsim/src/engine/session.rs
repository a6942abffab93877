//! Sessions from the gateway's side: propose, offer, candidates, terminate.

use std::time::Duration;

use super::audio::Wired;
use super::conversation::{CallDirection, CallState, Phone};
use super::{CloudStanza, Engine, LegCommand, Output, PersistentState, Target, Timer};
use crate::gateway::{LegConfig, jingle};
use crate::journal::ViolationKind;
use crate::spec::Form;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Announced; nobody has proceeded.
    Proposed,
    /// Somebody proceeded; the offer is being made.
    Preparing,
    /// The offer is out.
    Offered,
    /// The answer came.
    Answered,
    /// Terminated or retracted.
    Ended,
}

/// One session (`S`) between the gateway and one resource of a user.
#[derive(Debug)]
pub struct Session {
    /// `S`.
    pub id: String,
    /// `U`.
    pub user: String,
    /// `PEER`.
    pub peer: String,
    /// `C` it serves now.
    pub conversation: String,
    /// `P` it serves now.
    pub participant: String,
    /// How SDP travels.
    pub form: Form,
    /// The full JID that won it.
    pub owner: Option<String>,
    /// It serves later calls too (Line Appearance 1, persistent connection).
    pub shared: bool,
    /// It stays when its calls are over.
    pub persistent: bool,
    /// It was set up for a call that does not exist.
    pub(super) eager: bool,
    /// Its end is on its way.
    pub(super) ending: bool,
    /// It is offered again, with the same ICE, for each call it comes to serve.
    pub(super) renegotiates: bool,
    /// What its user was told last of the persistent connection.
    pub(super) told: Option<PersistentState>,
    /// Its leg as it was asked for.
    pub(super) leg: LegConfig,
    /// What its leg lets through.
    pub(super) wired: Wired,
    pub(super) stage: Stage,
    pub(super) auto_answer: bool,
    pub(super) reinvite: bool,
    /// Proposes sent.
    pub proposes: u32,
    /// The gateway's last description.
    pub(super) offer: Option<String>,
    pub(super) offer_id: String,
    /// The phone's last description.
    pub(super) answer: String,
    /// User fragment and password of the offer that was sent last.
    pub(super) offered_ice: Option<(String, String)>,
    /// Offers sent that want an answer of their own.
    pub(super) offers: u32,
    pub(super) awaits_answer: bool,
    pub(super) awaits_accept: bool,
    pub(super) early_candidates: bool,
    pub(super) tells_end_of_candidates: bool,
    /// The gateway's candidates that wait for the offer.
    pub(super) local_candidates: Vec<String>,
    pub(super) local_end: bool,
    /// The phone's candidates that wait for the answer.
    pub(super) remote_candidates: Vec<(String, String)>,
    /// The phone's candidates so far.
    pub candidates_in: u32,
    pub(super) end_of_candidates: bool,
    pub(super) active: bool,
    pub(super) media_since: Option<Duration>,
    pub(super) established: bool,
}

impl Session {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Ended
    }

    pub(super) fn has_leg(&self) -> bool {
        (Stage::Preparing..Stage::Ended).contains(&self.stage)
    }

    /// Whether it is answered and its media came up.
    pub fn is_up(&self) -> bool {
        self.stage == Stage::Answered && self.media_since.is_some()
    }
}

impl Engine {
    /// Makes a session for a participant's phone and gives its id.
    pub(super) fn new_session(&mut self, conversation: &str, participant: &str) -> Option<String> {
        let id = self.id();
        let found = self
            .conversations
            .get_mut(conversation)?
            .participant_mut(participant)?;
        let user = found.user.clone()?;
        let phone = found.phone.as_mut()?;
        phone.session = Some(id.clone());
        let phone = phone.clone();
        let mut session = self.blank_session(id.clone(), user, &phone);
        conversation.clone_into(&mut session.conversation);
        participant.clone_into(&mut session.participant);
        self.sessions.insert(id.clone(), session);
        Some(id)
    }

    /// A session as a phone's gateway makes it, for no call yet.
    pub(super) fn blank_session(&mut self, id: String, user: String, phone: &Phone) -> Session {
        let (node, resource) = (self.id(), self.id());
        let node: String = node
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        Session {
            id,
            shared: self.becomes_shared(&user, phone),
            persistent: phone.persistent,
            eager: false,
            ending: false,
            renegotiates: phone.renegotiates,
            told: None,
            leg: phone.leg.clone(),
            wired: Wired::default(),
            user,
            // Softphone is recognised by `gjoll` alone (genesys-protocol 12.5).
            peer: format!("{node}@gjoll.{}/{resource}", self.environment),
            conversation: String::new(),
            participant: String::new(),
            form: phone.form,
            owner: None,
            stage: Stage::Proposed,
            auto_answer: phone.auto_answer,
            reinvite: false,
            proposes: 0,
            offer: None,
            offer_id: String::new(),
            answer: String::new(),
            offered_ice: None,
            offers: 0,
            awaits_answer: false,
            awaits_accept: false,
            early_candidates: phone.early_candidates && phone.form == Form::SdpOverXmpp,
            tells_end_of_candidates: phone.end_of_candidates,
            local_candidates: Vec::new(),
            local_end: false,
            remote_candidates: Vec::new(),
            candidates_in: 0,
            end_of_candidates: false,
            active: false,
            media_since: None,
            established: false,
        }
    }

    /// Proposes, and again until somebody proceeds.
    pub(super) fn propose(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage != Stage::Proposed {
            return;
        }
        if self.gives_up_eagerly(id) {
            return self.terminate(now, id, "timeout");
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.proposes += 1;
        let first = session.proposes == 1;
        let stanza = CloudStanza::Propose {
            conversation: session.conversation.clone(),
            auto_answer: session.auto_answer,
            sdp_over_xmpp: session.form == Form::SdpOverXmpp,
            eager: session.eager,
        };
        self.send(id, &Target::Everywhere, stanza);
        if first {
            self.mark(now, id, "propose");
        }
        self.timers.set(
            now + self.timing.propose_every,
            Timer::Propose {
                session: id.to_owned(),
            },
        );
    }

    /// The phone won the session: its media leg is made.
    pub(super) fn prepare(&mut self, id: &str, owner: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.stage = Stage::Preparing;
        session.owner = Some(owner.to_owned());
        let (conversation, participant, mut config) = (
            session.conversation.clone(),
            session.participant.clone(),
            session.leg.clone(),
        );
        let one = self
            .conversations
            .get(&conversation)
            .and_then(|found| found.participant(&participant));
        let heard = one.is_some_and(|one| {
            one.call.direction == CallDirection::Inbound || one.call.state == CallState::Connected
        });
        if !heard {
            config = Self::silent_until_answered(&config);
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.wired.far_end = config.far_end.to_string();
        }
        self.outputs.push_back(Output::OpenLeg {
            session: id.to_owned(),
            conversation,
            config,
        });
        self.wire(id);
    }

    /// Ends a session by signaling, once.
    pub(super) fn terminate(&mut self, now: Duration, id: &str, reason: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let owner = session.owner.clone();
        match (session.stage, owner) {
            (Stage::Ended, _) => {}
            (Stage::Offered | Stage::Answered, Some(owner)) => {
                let stanza = match session.form {
                    Form::SdpOverXmpp => Ok(CloudStanza::Terminate {
                        reason: reason.to_owned(),
                    }),
                    Form::Jingle => {
                        jingle::session_terminate(id, reason).map(|xml| CloudStanza::Jingle { xml })
                    }
                };
                match stanza {
                    Ok(stanza) => self.send(id, &Target::Resource(owner), stanza),
                    Err(error) => {
                        let user = session.user.clone();
                        self.note(&user, format!("{id} cannot be terminated: {error}"));
                    }
                }
                self.mark(now, id, "terminate-out");
                self.close_session(now, id, false);
            }
            _ => {
                self.send(id, &Target::Everywhere, CloudStanza::Retract);
                self.mark(now, id, "retract");
                self.close_session(now, id, false);
            }
        }
    }

    /// Marks a session as over, looks what the phone left out, and closes its leg.
    pub(super) fn close_session(&mut self, now: Duration, id: &str, by_phone: bool) {
        /// Shorter media than this says nothing about what the phone would still have sent.
        const SETTLED: Duration = Duration::from_secs(2);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Ended {
            return;
        }
        let had_leg = session.stage >= Stage::Preparing;
        let settled = session
            .media_since
            .is_some_and(|since| now.saturating_sub(since) >= SETTLED);
        let silent_end = settled && !session.end_of_candidates;
        let user = session.user.clone();
        session.stage = Stage::Ended;
        if session.shared {
            self.shared_ended(now, id, by_phone);
        }
        if silent_end {
            self.violate(
                &user,
                ViolationKind::MissingEndOfCandidates,
                format!("session {id} ended and its end of candidates was never told"),
            );
        }
        if had_leg {
            self.leg(id, LegCommand::Close);
        }
    }

    pub(super) fn answer_due(&mut self, now: Duration, id: &str, offer: u32) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if session.stage == Stage::Ended || !session.awaits_answer || session.offers != offer {
            return;
        }
        let user = session.user.clone();
        let waited = self.deadlines.answer;
        self.violate(
            &user,
            ViolationKind::MissingAnswer,
            format!("no answer to the offer of session {id} within {waited:?}"),
        );
        self.fail(now, id, "timeout");
    }

    pub(super) fn end_of_candidates_due(&mut self, id: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if session.stage == Stage::Ended || session.end_of_candidates {
            return;
        }
        let user = session.user.clone();
        let waited = self.deadlines.end_of_candidates;
        self.violate(
            &user,
            ViolationKind::MissingEndOfCandidates,
            format!("session {id}: nothing within {waited:?} of the answer"),
        );
    }

    pub(super) fn active_due(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Ended || session.active {
            return;
        }
        // The call goes on, so that one test sees one fault.
        session.active = true;
        let user = session.user.clone();
        let waited = self.deadlines.active;
        self.violate(
            &user,
            ViolationKind::MissingActive,
            format!("session {id}: media is up since {waited:?} and was not reported active"),
        );
        self.establish_later(now, id);
    }

    /// Once media is up and the phone says so, the call goes on a little later.
    pub(super) fn establish_later(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.active && session.media_since.is_some() && !session.established {
            session.established = true;
            self.timers.set(
                now + self.timing.event,
                Timer::Established {
                    session: id.to_owned(),
                },
            );
        }
    }

    /// Ends the call and its session because the media or the signaling does not work.
    pub(super) fn fail(&mut self, now: Duration, id: &str, reason: &'static str) {
        let served = self.served_by(id);
        for (conversation, participant) in &served {
            self.out(now, conversation, participant, "error", reason);
        }
        if served.is_empty() {
            self.terminate(now, id, reason);
        }
    }

    /// The calls, as conversation and participant, whose phone uses this session now. A session that a re-invite replaced
    /// serves none, and may end without ending a call; one that is shared may serve several.
    /// Calls that only ring on it are not served yet: they can be proposed.
    pub(super) fn served_by(&self, id: &str) -> Vec<(String, String)> {
        let mut calls = self.calls_on(id);
        calls.retain(|(conversation, participant)| {
            let one = self.conversations.get(conversation);
            let state = one.and_then(|one| Some(one.participant(participant)?.call.state));
            let current = self
                .sessions
                .get(id)
                .is_some_and(|one| one.conversation == *conversation);
            current || state.is_some_and(|state| !state.is_pending())
        });
        calls
    }

    pub(super) fn send(&mut self, id: &str, to: &Target, stanza: CloudStanza) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        self.outputs.push_back(Output::Stanza {
            user: session.user.clone(),
            to: to.clone(),
            peer: session.peer.clone(),
            session: id.to_owned(),
            stanza,
        });
    }

    /// Notes when something happened on a session's phone.
    pub(super) fn mark(&mut self, now: Duration, id: &str, what: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if let Some(phone) = self
            .conversations
            .get_mut(&session.conversation)
            .and_then(|found| found.participant_mut(&session.participant))
            .and_then(|one| one.phone.as_mut())
        {
            phone.marks.push((what.to_owned(), now));
        }
    }
}
