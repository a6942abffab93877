//! The offer and the candidates of a session, and what its media leg tells.

use std::time::Duration;

use super::session::Stage;
use super::{CloudStanza, Engine, LegInput, Target, Timer};
use crate::gateway::jingle;
use crate::journal::ViolationKind;
use crate::spec::Form;

impl Engine {
    /// Something from a session's media leg.
    pub fn leg_input(&mut self, now: Duration, id: &str, input: LegInput) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Ended {
            return;
        }
        match input {
            LegInput::Offer(sdp) => {
                session.offer = Some(sdp);
                let (early, stage) = (session.early_candidates, session.stage);
                if stage >= Stage::Offered {
                    self.send_offer(now, id);
                } else if !early {
                    self.offer_later(now, id);
                } else {
                    self.early_candidates(now, id);
                }
            }
            LegInput::Candidate(candidate) => {
                session.local_candidates.push(candidate);
                if session.stage >= Stage::Offered {
                    self.trickle(id);
                } else {
                    self.early_candidates(now, id);
                }
            }
            LegInput::EndOfCandidates => {
                session.local_end = true;
                if session.stage >= Stage::Offered {
                    self.trickle(id);
                } else if session.early_candidates {
                    // A leg without any candidate must not keep its offer for ever.
                    self.offer_later(now, id);
                }
            }
            LegInput::Connected => {
                if session.media_since.is_none() {
                    session.media_since = Some(now);
                    self.mark(now, id, "media");
                    self.timers.set(
                        now + self.deadlines.active,
                        Timer::ActiveDue {
                            session: id.to_owned(),
                        },
                    );
                    self.establish_later(now, id);
                }
            }
            LegInput::FirstMedia => self.mark(now, id, "first-packet"),
            LegInput::AnswerRefused(why) => {
                let user = session.user.clone();
                self.violate(
                    &user,
                    ViolationKind::BadAnswer,
                    format!("session {id}: {why}"),
                );
                self.fail(now, id, "failed-application");
            }
            LegInput::CandidateRefused(why) => {
                let user = session.user.clone();
                self.violate(
                    &user,
                    ViolationKind::BadCandidate,
                    format!("session {id}: {why}"),
                );
            }
            LegInput::Failed(why) => {
                let user = session.user.clone();
                self.note(&user, format!("the media of session {id} failed: {why}"));
                self.fail(now, id, "connectivity-error");
            }
        }
    }

    fn offer_later(&mut self, now: Duration, id: &str) {
        let timer = Timer::SendOffer {
            session: id.to_owned(),
        };
        self.timers.set(now + self.timing.offer, timer);
    }

    /// Sends the gateway's first candidates ahead of its offer.
    fn early_candidates(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let ready = session.early_candidates
            && session.offer.is_some()
            && !session.local_candidates.is_empty();
        if ready {
            self.flush_candidates(id);
            if let Some(session) = self.sessions.get_mut(id) {
                session.early_candidates = false;
            }
            self.offer_later(now, id);
        }
    }

    /// Sends the offer, in the session's form, and what waited for it.
    pub(super) fn send_offer(&mut self, now: Duration, id: &str) {
        let rpc = self.id();
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let (Some(sdp), Some(owner)) = (session.offer.clone(), session.owner.clone()) else {
            return;
        };
        if session.stage == Stage::Ended || session.awaits_answer {
            return;
        }
        let again = session.stage >= Stage::Offered;
        let stanza = match session.form {
            Form::SdpOverXmpp => Ok(CloudStanza::Offer {
                id: rpc.clone(),
                conversation: session.conversation.clone(),
                sdp,
                reinvite: session.reinvite && !again,
            }),
            Form::Jingle if again => jingle::ice_restart_to_transport_info(id, &sdp)
                .map(|xml| CloudStanza::Jingle { xml }),
            Form::Jingle => jingle::offer_to_jingle(&sdp, id, &session.peer, &owner)
                .map(|xml| CloudStanza::Jingle { xml }),
        };
        let stanza = match stanza {
            Ok(stanza) => stanza,
            Err(error) => {
                let user = session.user.clone();
                self.note(
                    &user,
                    format!("the offer of {id} cannot be said in Jingle: {error}"),
                );
                self.fail(now, id, "general-error");
                return;
            }
        };
        session.offer_id = rpc;
        session.offers += 1;
        session.awaits_answer = true;
        let ice = Some(ice_of(session.offer.as_deref().unwrap_or_default()));
        if ice != session.offered_ice {
            // New ICE makes a new session at the client (genesys-protocol 5.3, offer handling 4):
            // it accepts once more and sends its candidates. The same ICE only renegotiates.
            session.awaits_accept = !(again && session.form == Form::Jingle);
            session.end_of_candidates = false;
            session.offered_ice = ice;
        }
        if !again {
            session.stage = Stage::Offered;
        }
        let (offer, reinvite) = (session.offers, session.reinvite && !again);
        self.send(id, &Target::Resource(owner), stanza);
        self.mark(now, id, if again { "reoffer" } else { "offer" });
        self.trickle(id);
        self.timers.set(
            now + self.deadlines.answer,
            Timer::AnswerDue {
                session: id.to_owned(),
                offer,
            },
        );
        if reinvite {
            self.timers.set(
                now + self.timing.reinvite_every,
                Timer::RepeatReinvite {
                    session: id.to_owned(),
                },
            );
        }
    }

    /// Sends an unanswered re-invite once more, with the same JSON-RPC id.
    pub(super) fn repeat_reinvite(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let (Some(sdp), Some(owner)) = (session.offer.clone(), session.owner.clone()) else {
            return;
        };
        if !session.awaits_answer || session.stage != Stage::Offered {
            return;
        }
        let stanza = CloudStanza::Offer {
            id: session.offer_id.clone(),
            conversation: session.conversation.clone(),
            sdp,
            reinvite: true,
        };
        self.send(id, &Target::Resource(owner), stanza);
        self.timers.set(
            now + self.timing.reinvite_every,
            Timer::RepeatReinvite {
                session: id.to_owned(),
            },
        );
    }

    /// Sends what candidates there are, once the phone has taken the offer: its `<accept>` says
    /// so. Streaming clients before 19 lose candidates that come while they work on an offer
    /// (genesys-protocol 12.11).
    pub(super) fn trickle(&mut self, id: &str) {
        if self
            .sessions
            .get(id)
            .is_some_and(|session| !session.awaits_accept)
        {
            self.flush_candidates(id);
        }
    }

    fn flush_candidates(&mut self, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(owner) = session.owner.clone() else {
            return;
        };
        let mut candidates = std::mem::take(&mut session.local_candidates);
        if session.leg.unreachable {
            candidates.clear();
        }
        let end = std::mem::take(&mut session.local_end) && session.tells_end_of_candidates;
        let form = session.form;
        let offer = session.offer.clone().unwrap_or_default();
        let mut failed = None;
        for candidate in candidates {
            let stanza = match form {
                // The word after `m=` is used as sdpMid (genesys-protocol 12.3).
                Form::SdpOverXmpp => Ok(CloudStanza::Candidate {
                    sdp: format!("m=audio 9 RTP/AVP 0\r\na={candidate}\r\n"),
                }),
                Form::Jingle => jingle::candidate_to_transport_info(&candidate, id, &offer)
                    .map(|xml| CloudStanza::Jingle { xml }),
            };
            match stanza {
                Ok(stanza) => self.send(id, &Target::Resource(owner.clone()), stanza),
                Err(error) => failed = Some(error),
            }
        }
        if end {
            let stanza = match form {
                Form::SdpOverXmpp => Ok(CloudStanza::Candidate {
                    sdp: "a=end-of-candidates\r\n".into(),
                }),
                Form::Jingle => jingle::end_of_candidates_to_transport_info(id, &offer)
                    .map(|xml| CloudStanza::Jingle { xml }),
            };
            match stanza {
                Ok(stanza) => self.send(id, &Target::Resource(owner), stanza),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            let user = self
                .sessions
                .get(id)
                .map(|one| one.user.clone())
                .unwrap_or_default();
            self.note(
                &user,
                format!("a candidate of {id} cannot be said in Jingle: {error}"),
            );
        }
    }
}

/// First user fragment and first password of a description.
fn ice_of(sdp: &str) -> (String, String) {
    let value = |key: &str| {
        let mut lines = sdp.lines();
        lines
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    (value("a=ice-ufrag:"), value("a=ice-pwd:"))
}
