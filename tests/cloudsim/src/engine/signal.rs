//! What a phone says to a gateway, and whether it may say it now.

use std::net::IpAddr;
use std::time::Duration;

use super::session::Stage;
use super::{Engine, LegCommand, Timer};
use crate::gateway::jingle;
use crate::journal::ViolationKind;
use crate::spec::Form;

/// One thing a phone said about a session. It is well-formed; whether it is right is the
/// engine's to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// `U`.
    pub user: String,
    /// The full JID it came from.
    pub from: String,
    /// The JID it was sent to.
    pub to: String,
    /// `S`.
    pub session: String,
    /// What.
    pub kind: SignalKind,
}

/// The kinds of things a phone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalKind {
    /// `<proceed>`.
    Proceed,
    /// `<accept>` to the own bare JID.
    Accept,
    /// `<reject>`.
    Reject,
    /// JSON-RPC `answer`.
    Answer(String),
    /// The `<jingle>` of a `session-accept`.
    JingleAccept(String),
    /// New ICE credentials by Jingle: user fragment and password.
    IceRestart(String, String),
    /// Candidates (`candidate:...`) with their mid.
    Candidates(Form, Vec<(String, String)>),
    /// The last of the candidates.
    EndOfCandidates(Form),
    /// ICE is up.
    Active(Form),
    /// The end, with its reason.
    Terminate(Form, String),
    /// Mute told by signaling.
    Mute(Form, bool),
    /// `report-statistics`.
    Statistics,
}

impl SignalKind {
    fn form(&self) -> Option<Form> {
        match self {
            Self::Proceed | Self::Accept | Self::Reject => None,
            Self::Answer(_) | Self::Statistics => Some(Form::SdpOverXmpp),
            Self::JingleAccept(_) | Self::IceRestart(..) => Some(Form::Jingle),
            Self::Candidates(form, _)
            | Self::EndOfCandidates(form)
            | Self::Active(form)
            | Self::Terminate(form, _)
            | Self::Mute(form, _) => Some(*form),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Answer(_) => "answer",
            Self::JingleAccept(_) => "session-accept",
            Self::IceRestart(..) => "ICE restart",
            Self::Candidates(..) => "candidate",
            Self::EndOfCandidates(_) => "end-of-candidates",
            Self::Active(_) => "active",
            Self::Terminate(..) => "terminate",
            Self::Mute(..) => "mute",
            Self::Statistics => "report-statistics",
        }
    }
}

impl Engine {
    /// Takes what a phone said. `false`: there is no such session.
    pub fn signal(&mut self, now: Duration, signal: Signal) -> bool {
        let name = signal.kind.name();
        let Signal {
            user,
            from,
            to,
            session: id,
            kind,
        } = signal;
        let Some(session) = self
            .sessions
            .get(&id)
            .filter(|session| session.user == user)
        else {
            self.violate(
                &user,
                ViolationKind::UnknownSession,
                format!("{name} for session {id:?}, which was never proposed or offered"),
            );
            return false;
        };
        let broadcast = matches!(kind, SignalKind::Accept | SignalKind::Reject);
        if !broadcast && session.peer != to {
            let peer = session.peer.clone();
            self.violate(
                &user,
                ViolationKind::WrongAddress,
                format!("{name} for session {id} goes to {to:?}; its gateway is {peer:?}"),
            );
        }
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        if kind.form().is_some_and(|form| form != session.form) {
            let form = session.form;
            self.violate(
                &user,
                ViolationKind::WrongForm,
                format!("{name} for session {id} is not in its form, {form:?}"),
            );
        }
        self.act(now, &user, &from, &id, kind);
        true
    }

    fn act(&mut self, now: Duration, user: &str, from: &str, id: &str, kind: SignalKind) {
        let name = kind.name();
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let (stage, owned) = (session.stage, session.owner.as_deref() == Some(from));
        match kind {
            SignalKind::Proceed => return self.proceed(now, id, from),
            SignalKind::Accept => return self.accepted(now, user, from, id),
            SignalKind::Reject => return self.rejected(now, id),
            _ => {}
        }
        if stage == Stage::Ended {
            // It crossed our retract or terminate on the wire.
            return;
        }
        if stage < Stage::Offered || !owned {
            let why = if owned {
                "before its offer"
            } else {
                "from a resource that does not have it"
            };
            self.violate(
                user,
                ViolationKind::OutOfOrder,
                format!("{name} for session {id} {why}"),
            );
            if !matches!(kind, SignalKind::Terminate(..)) {
                return;
            }
        }
        match kind {
            SignalKind::Answer(sdp) => self.answered(now, user, id, sdp),
            SignalKind::JingleAccept(xml) => {
                let offer = self.sessions.get(id).and_then(|one| one.offer.clone());
                match jingle::accept_to_sdp(&xml, &offer.unwrap_or_default()) {
                    Ok(sdp) => self.answered(now, user, id, sdp),
                    Err(error) => self.violate(
                        user,
                        ViolationKind::BadAnswer,
                        format!("session-accept of {id}: {error}"),
                    ),
                }
            }
            SignalKind::IceRestart(ufrag, pwd) => self.restarted(now, user, id, &ufrag, &pwd),
            SignalKind::Candidates(_, candidates) => self.candidates(user, id, candidates),
            SignalKind::EndOfCandidates(_) => self.no_more_candidates(now, user, id),
            SignalKind::Active(_) => self.activated(now, id),
            SignalKind::Terminate(_, reason) => {
                self.mark(now, id, "terminate-in");
                self.note(user, format!("the phone ended session {id}: {reason}"));
                let served = self.served_by(id);
                self.close_session(now, id, true);
                for (conversation, participant) in served {
                    self.out(now, &conversation, &participant, "client", "success");
                }
            }
            SignalKind::Mute(_, muted) => self.note(user, format!("session {id}: mute {muted}")),
            SignalKind::Statistics => self.mark(now, id, "statistics"),
            SignalKind::Proceed | SignalKind::Accept | SignalKind::Reject => {}
        }
    }

    fn proceed(&mut self, now: Duration, id: &str, from: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        // A later or losing proceed is part of the protocol: proposes are repeated, and several
        // resources may want the same call (genesys-protocol 5.2, 7.3).
        if session.stage == Stage::Proposed {
            self.mark(now, id, "proceed");
            self.prepare(id, from);
        }
    }

    fn accepted(&mut self, now: Duration, user: &str, from: &str, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.stage == Stage::Ended {
            return;
        }
        let why = if session.owner.as_deref() != Some(from) || session.stage < Stage::Offered {
            "the offer has not come to this resource"
        } else if !session.awaits_accept {
            "it was accepted before"
        } else {
            session.awaits_accept = false;
            self.mark(now, id, "accept");
            self.trickle(id);
            return;
        };
        self.violate(
            user,
            ViolationKind::OutOfOrder,
            format!("accept for session {id}: {why}"),
        );
    }

    fn rejected(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if session.stage == Stage::Proposed {
            let (conversation, participant) =
                (session.conversation.clone(), session.participant.clone());
            self.mark(now, id, "reject");
            self.out(now, &conversation, &participant, "client", "decline");
        }
    }

    fn answered(&mut self, now: Duration, user: &str, id: &str, sdp: String) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let offer = session.offer.clone().unwrap_or_default();
        if session.awaits_accept {
            session.awaits_accept = false;
            self.violate(
                user,
                ViolationKind::OutOfOrder,
                format!("answer for session {id} without an accept to the own bare JID before"),
            );
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if !session.awaits_answer {
            self.violate(
                user,
                ViolationKind::OutOfOrder,
                format!("a second answer to one offer of session {id}"),
            );
            return;
        }
        session.awaits_answer = false;
        let first = session.stage == Stage::Offered;
        session.stage = Stage::Answered;
        let candidates_due = !session.end_of_candidates;
        let unreachable = session.leg.unreachable;
        let waiting = std::mem::take(&mut session.remote_candidates);
        for fault in answer_faults(&offer, &sdp) {
            self.violate(
                user,
                ViolationKind::BadAnswer,
                format!("session {id}: {fault}"),
            );
        }
        self.mark(now, id, if first { "answer" } else { "reanswer" });
        if let Some(session) = self.sessions.get_mut(id) {
            session.answer.clone_from(&sdp);
        }
        let sdp = if unreachable {
            without_candidates(&sdp)
        } else {
            sdp
        };
        self.leg(id, LegCommand::Answer(sdp));
        for (candidate, mid) in waiting {
            self.leg(id, LegCommand::Candidate { candidate, mid });
        }
        if candidates_due {
            self.timers.set(
                now + self.deadlines.end_of_candidates,
                Timer::EndOfCandidatesDue {
                    session: id.to_owned(),
                },
            );
        }
    }

    /// The phone's half of an ICE restart: its last answer with new credentials.
    fn restarted(&mut self, now: Duration, user: &str, id: &str, ufrag: &str, pwd: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let asked = session.stage == Stage::Answered && session.awaits_answer;
        if !asked {
            let detail =
                format!("new ICE credentials for session {id}, whose ICE was not restarted");
            self.violate(user, ViolationKind::OutOfOrder, detail);
            return;
        }
        let lines = session.answer.lines().map(|line| {
            if line.starts_with("a=ice-ufrag:") {
                format!("a=ice-ufrag:{ufrag}\r\n")
            } else if line.starts_with("a=ice-pwd:") {
                format!("a=ice-pwd:{pwd}\r\n")
            } else {
                format!("{line}\r\n")
            }
        });
        let answer = lines.collect();
        self.answered(now, user, id, answer);
    }

    fn candidates(&mut self, user: &str, id: &str, candidates: Vec<(String, String)>) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.end_of_candidates {
            self.violate(
                user,
                ViolationKind::OutOfOrder,
                format!("a candidate for session {id} after its end of candidates"),
            );
        }
        for (candidate, mid) in candidates {
            if mid != "audio" {
                self.violate(
                    user,
                    ViolationKind::BadCandidate,
                    format!("session {id}: the section {mid:?} was not offered, only \"audio\""),
                );
            }
            let Some(session) = self.sessions.get_mut(id) else {
                return;
            };
            session.candidates_in += 1;
            // Off by default in the client (genesys-protocol 5.3).
            if is_ipv6_host(&candidate) && !session.leg.ipv6 {
                self.violate(
                    user,
                    ViolationKind::BadCandidate,
                    format!("session {id}: host candidates are dotted IPv4 addresses: {candidate}"),
                );
            }
            let Some(session) = self.sessions.get_mut(id) else {
                return;
            };
            if session.leg.unreachable {
                continue;
            }
            if session.stage == Stage::Answered {
                self.leg(id, LegCommand::Candidate { candidate, mid });
            } else {
                session.remote_candidates.push((candidate, mid));
            }
        }
    }

    fn no_more_candidates(&mut self, now: Duration, user: &str, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut session.end_of_candidates, true) {
            self.violate(
                user,
                ViolationKind::OutOfOrder,
                format!("a second end of candidates for session {id}"),
            );
        } else {
            self.mark(now, id, "end-of-candidates");
        }
    }

    /// ICE may be up before the answer has left: the offerer answers connectivity checks without
    /// knowing who asks (RFC 8445 section 7.3), and Genesys's client says so at once. What comes
    /// before the offer never gets here.
    fn activated(&mut self, now: Duration, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        // Told again each time ICE comes back (genesys-protocol 5.3), so never an error.
        session.active = true;
        self.mark(now, id, "active");
        self.establish_later(now, id);
    }
}

fn without_candidates(sdp: &str) -> String {
    let lines = sdp.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("a=candidate:"))
        .collect()
}

fn is_ipv6_host(candidate: &str) -> bool {
    let words: Vec<&str> = candidate.split(' ').collect();
    let host = words.get(7) == Some(&"host");
    let address = words.get(4).map(|address| address.parse::<IpAddr>());
    host && matches!(address, Some(Ok(IpAddr::V6(_))))
}

/// What is wrong with an answer, by RFC 8829 section 5.3 and genesys-protocol 5.6.
fn answer_faults(offer: &str, answer: &str) -> Vec<String> {
    let values = |sdp: &str, key: &str| -> Vec<String> {
        sdp.lines()
            .filter_map(|line| line.trim_end().strip_prefix(key).map(str::to_owned))
            .collect()
    };
    let mut faults = Vec::new();
    if !answer.starts_with("v=0") {
        return vec!["the answer is no session description: it does not begin with v=0".into()];
    }
    let kinds = |sdp: &str| -> Vec<String> {
        values(sdp, "m=")
            .into_iter()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    };
    let (offered, answered) = (kinds(offer), kinds(answer));
    if offered != answered {
        faults.push(format!(
            "media sections {answered:?} do not match the offer's {offered:?}"
        ));
    }
    let (offered, answered) = (values(offer, "a=mid:"), values(answer, "a=mid:"));
    if offered != answered {
        faults.push(format!(
            "mids {answered:?} do not match the offer's {offered:?}"
        ));
    }
    for setup in values(answer, "a=setup:") {
        if setup != "active" && setup != "passive" {
            faults.push(format!("a=setup:{setup} is no answer (RFC 5763 section 5)"));
        }
        if values(offer, "a=setup:").contains(&setup) {
            faults.push(format!(
                "a=setup:{setup} is what the offer asked for itself"
            ));
        }
    }
    for needed in [
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=fingerprint:",
        "a=setup:",
        "a=rtcp-mux",
    ] {
        if values(answer, needed).is_empty() {
            faults.push(format!(
                "the answer has no {}",
                needed.trim_end_matches(':')
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::answer_faults;

    const OFFER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:audio\r\na=setup:actpass\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:sha-256 AA\r\na=rtcp-mux\r\n";

    #[test]
    fn answers_are_looked_through() {
        let good = OFFER.replace("actpass", "active");
        assert_eq!(answer_faults(OFFER, &good), Vec::<String>::new());
        for (from, to, says) in [
            ("a=setup:active", "a=setup:actpass", "no answer"),
            ("a=mid:audio", "a=mid:0", "mids"),
            ("m=audio", "m=video", "media sections"),
            ("a=fingerprint:sha-256 AA\r\n", "", "no a=fingerprint"),
            ("a=ice-pwd:b\r\n", "", "no a=ice-pwd"),
            ("v=0", "hello", "v=0"),
        ] {
            let faults = answer_faults(OFFER, &good.replace(from, to));
            assert!(
                faults.iter().any(|fault| fault.contains(says)),
                "{from}: {faults:?}"
            );
        }
    }
}
