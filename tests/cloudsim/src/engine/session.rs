//! Sessions from the gateway's side: propose, offer, candidates, terminate.

use std::time::Duration;

use super::conversation::{CallDirection, CallState};
use super::{CloudStanza, Engine, LegCommand, Output, Target, Timer};
use crate::gateway::jingle;
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
    pub(super) stage: Stage,
    pub(super) auto_answer: bool,
    pub(super) reinvite: bool,
    /// Proposes sent.
    pub proposes: u32,
    /// The gateway's last description.
    pub(super) offer: Option<String>,
    pub(super) offer_id: String,
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
}

impl Engine {
    /// Makes a session for a participant's phone and gives its id.
    pub(super) fn new_session(&mut self, conversation: &str, participant: &str) -> Option<String> {
        let id = self.id();
        let (node, resource) = (self.id(), self.id());
        let found = self
            .conversations
            .get_mut(conversation)?
            .participant_mut(participant)?;
        let user = found.user.clone()?;
        let phone = found.phone.as_mut()?;
        phone.session = Some(id.clone());
        let node: String = node
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        let session = Session {
            id: id.clone(),
            user,
            // Softphone is recognised by `gjoll` alone (genesys-protocol 12.5).
            peer: format!("{node}@gjoll.{}/{resource}", self.environment),
            conversation: conversation.to_owned(),
            participant: participant.to_owned(),
            form: phone.form,
            owner: None,
            stage: Stage::Proposed,
            auto_answer: phone.auto_answer,
            reinvite: false,
            proposes: 0,
            offer: None,
            offer_id: String::new(),
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
        };
        self.sessions.insert(id.clone(), session);
        Some(id)
    }

    /// Proposes, and again until somebody proceeds.
    pub(super) fn propose(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage != Stage::Proposed {
            return;
        }
        session.proposes += 1;
        let first = session.proposes == 1;
        let stanza = CloudStanza::Propose {
            conversation: session.conversation.clone(),
            auto_answer: session.auto_answer,
            sdp_over_xmpp: session.form == Form::SdpOverXmpp,
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
        let (conversation, participant) =
            (session.conversation.clone(), session.participant.clone());
        let Some(one) = self
            .conversations
            .get(&conversation)
            .and_then(|found| found.participant(&participant))
        else {
            return;
        };
        let Some(phone) = &one.phone else { return };
        let waits = one.call.direction == CallDirection::Outbound
            && !matches!(one.call.state, CallState::Connected);
        let config = if waits {
            Self::silent_until_answered(&phone.leg)
        } else {
            phone.leg.clone()
        };
        let (held, muted) = (one.call.held, one.call.muted);
        self.outputs.push_back(Output::OpenLeg {
            session: id.to_owned(),
            conversation,
            config,
        });
        if held {
            self.leg(id, LegCommand::Held(true));
        }
        if muted {
            self.leg(id, LegCommand::Muted(true));
        }
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
                self.close_session(now, id);
            }
            _ => {
                self.send(id, &Target::Everywhere, CloudStanza::Retract);
                self.mark(now, id, "retract");
                self.close_session(now, id);
            }
        }
    }

    /// Marks a session as over, looks what the phone left out, and closes its leg.
    pub(super) fn close_session(&mut self, now: Duration, id: &str) {
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
        match self.served_by(id) {
            Some(conversation) => self.end_with(now, &conversation, "error", reason),
            None => self.terminate(now, id, reason),
        }
    }

    /// The conversation whose phone uses this session now. A session that a re-invite replaced
    /// serves none, and may end without ending the call.
    pub(super) fn served_by(&self, id: &str) -> Option<String> {
        let conversation = &self.sessions.get(id)?.conversation;
        (self.session_of(conversation) == Some(id)).then(|| conversation.clone())
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
