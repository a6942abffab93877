//! One WebRTC session: from its offer until it ends (genesys-protocol 5.3, 6.5, 6.6, 6.11).

use super::event::{EndReason, Event, SessionInfo, SessionState};
use super::quality::Quality;
use super::timers::Timer;
use super::{CommandId, MediaCommand, Output, SdkError, SdkErrorType, Softphone};
use crate::device::Private;
use crate::genesys::id::{ConversationId, Jid, SessionId};
use crate::genesys::signal::{Candidate, Form, Offer, Reason, Reply};
use crate::media::{ConnectionState, MediaError, Negotiated, PeerEvent};
use std::collections::VecDeque;

/// A session that has an offer and has not ended. Ended ones are dropped at once.
#[derive(Debug)]
pub(super) struct Session {
    /// S.
    pub id: SessionId,
    /// The conversation it was last used for (5.7).
    pub conversation: ConversationId,
    /// The gateway.
    pub peer: Jid,
    /// How answers go.
    pub form: Form,
    /// Only sets up the persistent connection; no call yet (6.12).
    pub eager: bool,
    /// `ice-ufrag` and `ice-pwd` of the remote description, to tell renegotiation from a new connection (5.3).
    pub ice: Option<(String, String)>,
    /// The raw peer-connection state.
    pub connection: ConnectionState,
    /// What the answer agreed on.
    pub negotiated: Option<Negotiated>,
    /// Conversations `sessionStarted` was emitted for and `sessionEnded` was not (6.1 `_emittedSessionStarteds`).
    pub started: Vec<ConversationId>,
    /// Local candidates that came before the answer was sent; `None` once it was.
    unsent: Option<Vec<LocalCandidate>>,
    /// Took the place of a peer connection with the same id, whose `Closed` may still come.
    replacing: bool,
    /// Digits being sent in the audio, for their commands.
    pub digits: VecDeque<(CommandId, Private)>,
    /// How well it is heard.
    pub quality: Quality,
    /// How many sessions re-invites have replaced by this one (5.7).
    pub reconnects: u32,
    /// The ones it is to replace. They carry their calls until it is connected, so that nobody hears a gap (5.7).
    pub replaces: Vec<SessionId>,
}

/// What trickles out.
#[derive(Debug)]
enum LocalCandidate {
    One(Candidate),
    End,
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We end it: the gateway is told.
    Local,
    /// The gateway ended it, or a new connection takes its place under the same id: the gateway is not told.
    Silent,
}

impl Session {
    /// From its offer.
    pub(super) fn new(conversation: ConversationId, offer: &Offer, eager: bool) -> Self {
        Self {
            id: offer.session.clone(),
            conversation: conversation.clone(),
            peer: offer.peer.clone(),
            form: offer.form,
            eager,
            ice: super::offer::ice_credentials(&offer.sdp),
            connection: ConnectionState::New,
            negotiated: None,
            started: vec![conversation],
            unsent: Some(Vec::new()),
            replacing: false,
            digits: VecDeque::new(),
            quality: Quality::default(),
            reconnects: 0,
            replaces: Vec::new(),
        }
    }

    /// What the API shows of it. A session in the engine's list is active: it is answered at once.
    pub(super) fn info(&self) -> SessionInfo {
        self.info_for(&self.conversation, SessionState::Active)
    }

    /// The same, seen from one of the conversations that share it.
    pub(super) fn info_for(
        &self,
        conversation: &ConversationId,
        state: SessionState,
    ) -> SessionInfo {
        SessionInfo {
            id: self.id.clone(),
            conversation_id: conversation.clone(),
            session_type: "softphone",
            state,
            connection_state: self.connection,
        }
    }

    /// 3.6: no media goes over it.
    pub(super) fn is_dead(&self) -> bool {
        matches!(
            self.connection,
            ConnectionState::Disconnected | ConnectionState::Failed | ConnectionState::Closed
        )
    }

    /// Marks it as taking the place of one with the same id.
    pub(super) fn replacing(mut self, replacing: bool) -> Self {
        self.replacing = replacing;
        self
    }

    fn candidate(&self, candidate: LocalCandidate) -> Reply {
        let (session, to, form) = (self.id.clone(), self.peer.clone(), self.form);
        match candidate {
            LocalCandidate::One(candidate) => Reply::Candidate {
                session,
                to,
                form,
                candidate,
            },
            LocalCandidate::End => Reply::EndOfCandidates { session, to, form },
        }
    }
}

impl Softphone {
    /// An event of a session's peer connection. Of ended sessions it is ignored.
    pub(super) fn on_peer(&mut self, id: &SessionId, event: PeerEvent) {
        if self.session(id).is_none() {
            return;
        }
        match event {
            PeerEvent::Candidate { mid, candidate } => {
                self.trickle(id, LocalCandidate::One(Candidate { mid, candidate }));
            }
            PeerEvent::GatheringComplete => self.trickle(id, LocalCandidate::End),
            PeerEvent::Answered { sdp, negotiated } => self.on_answered(id, sdp, negotiated),
            PeerEvent::Failed(MediaError::NoTelephoneEvent) => self.on_digits_refused(id),
            PeerEvent::Failed(error) => self.on_media_error(id, &error),
            PeerEvent::Connection(state) => self.on_connection(id, state),
            PeerEvent::DtmfSent => self.on_digits_sent(id),
            PeerEvent::Statistics(latest) => self.on_statistics(id, latest),
            PeerEvent::FirstPacket => {}
        }
    }

    /// The answer goes first, whatever trickled before it waits.
    fn on_answered(&mut self, id: &SessionId, sdp: String, negotiated: Negotiated) {
        self.timers.stop(&Timer::Answer(id.clone()));
        let Some(session) = self.session_mut(id) else {
            return;
        };
        session.negotiated = Some(negotiated);
        session.replacing = false;
        let first = session.unsent.take();
        let answer = Reply::Answer {
            session: id.clone(),
            to: session.peer.clone(),
            form: session.form,
            sdp,
        };
        let candidates: Vec<Reply> = first
            .into_iter()
            .flatten()
            .map(|candidate| session.candidate(candidate))
            .collect();
        let connected = session.connection == ConnectionState::Connected;
        self.signal(answer);
        for candidate in candidates {
            self.signal(candidate);
        }
        if !connected {
            self.timers.start_once(Timer::Connect(id.clone()));
        }
    }

    fn trickle(&mut self, id: &SessionId, candidate: LocalCandidate) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        if let Some(unsent) = &mut session.unsent {
            unsent.push(candidate);
        } else {
            let reply = session.candidate(candidate);
            self.signal(reply);
        }
    }

    fn on_connection(&mut self, id: &SessionId, state: ConnectionState) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let before = session.connection;
        if before == state || (session.replacing && state == ConnectionState::Closed) {
            return;
        }
        session.connection = state;
        let (peer, form) = (session.peer.clone(), session.form);
        let info = session.info();
        let replaces = session.replaces.clone();
        match state {
            ConnectionState::Connected => {
                self.timers.stop(&Timer::Connect(id.clone()));
                self.timers.stop(&Timer::Interrupted(id.clone()));
                // 5.3: each time ICE becomes connected.
                self.signal(Reply::Active {
                    session: id.clone(),
                    to: peer,
                    form,
                });
                for old in replaces {
                    self.end_session(&old, Reason::AlternativeSession, End::Local);
                }
                self.answer_mocked(id);
            }
            ConnectionState::Disconnected => {
                self.timers.start(Timer::Interrupted(id.clone()));
                // 6.5.3; in both forms, though the SDK only does it for Jingle (5.3): the user hears silence either way.
                self.event(Event::SessionInterrupted(info));
            }
            // 6.5.3, 6.13.18.
            ConnectionState::Failed => self.end_session(id, Reason::FailedTransport, End::Local),
            // 6.13.17: the far end closed DTLS, or the stack gave up.
            ConnectionState::Closed => self.end_session(id, Reason::Gone, End::Local),
            ConnectionState::New | ConnectionState::Connecting => {}
        }
    }

    /// The offer cannot be answered: the session and its call end, the phone works on.
    fn on_media_error(&mut self, id: &SessionId, error: &MediaError) {
        self.timers.stop(&Timer::Answer(id.clone()));
        let Some(session) = self.session(id) else {
            return;
        };
        let conversation = session.conversation.clone();
        let running = session.negotiated.is_some();
        let trouble = SdkError::new(SdkErrorType::Media, error.to_string())
            .about(&conversation)
            .with("sessionId", id.as_str());
        self.event(Event::SdkError(trouble));
        if running {
            // A renegotiation failed. What was agreed on before still carries the call; the gateway decides.
            return;
        }
        let reason = match error {
            // XEP-0166 7.4: none of the offered applications; or only their parameters do not fit.
            MediaError::NoAudio => Reason::UnsupportedApplications,
            MediaError::BadSdp(_) | MediaError::NoCommonCodec(_) => Reason::IncompatibleParameters,
            _ => Reason::MediaError,
        };
        self.end_session(id, reason, End::Local);
        let goes_on = |call: &super::call::Call| call.session.is_some();
        if !self.call(&conversation).is_some_and(goes_on) {
            self.hang_up(&conversation);
        }
    }

    /// Ends a session. Each conversation that was told `sessionStarted` is told `sessionEnded`, once.
    pub(super) fn end_session(&mut self, id: &SessionId, reason: Reason, how: End) {
        let Some(at) = self.sessions.iter().position(|s| &s.id == id) else {
            return;
        };
        let session = self.sessions.remove(at);
        self.timers.stop_session(id);
        if how == End::Local {
            self.refuse(id.clone());
            self.signal(Reply::Terminate {
                session: id.clone(),
                to: session.peer.clone(),
                form: session.form,
                reason,
            });
        }
        self.media(id, MediaCommand::Close);
        self.on_digits_cut_off(&session);
        for conversation in &session.started {
            self.event(Event::SessionEnded {
                session: session.info_for(conversation, SessionState::Ended),
                reason: EndReason { condition: reason },
            });
        }
        let carried = self.calls_of(id);
        let shared = self.active_session.as_ref() == Some(id);
        self.unlink(id);
        if shared {
            // 6.6.3, 6.13.20.
            self.active_session = self
                .persistent()
                .then(|| self.sessions.first().map(|s| s.id.clone()))
                .flatten();
        }
        self.hand_over(id, carried, shared);
    }

    /// 5.7: the session that is to replace this one carries its calls from now on, connected or not.
    fn hand_over(&mut self, from: &SessionId, calls: Vec<ConversationId>, shared: bool) {
        let mut heirs = self.sessions.iter_mut();
        let Some(heir) = heirs.find(|session| session.replaces.contains(from)) else {
            return;
        };
        heir.replaces.retain(|old| old != from);
        let heir = heir.id.clone();
        if shared {
            self.active_session = Some(heir.clone());
        }
        self.move_calls(calls, &heir, false);
        if !self.is_used(&heir) {
            self.timers.start(Timer::Leftover(heir)); // The call ended meanwhile.
        }
    }

    /// The calls of a session that is gone: the cloud ends them, or re-invites (5.7); it is asked if it does neither.
    fn unlink(&mut self, id: &SessionId) {
        let mut orphans = Vec::new();
        for call in self
            .calls
            .iter_mut()
            .filter(|c| c.session.as_ref() == Some(id))
        {
            call.session = None;
            orphans.push(call.id.clone());
        }
        for conversation in orphans {
            self.timers.start(Timer::Orphaned(conversation));
        }
    }

    /// Ends a session no call uses any more: its call ended and the gateway did not end it (6.12).
    pub(super) fn on_leftover(&mut self, id: &SessionId) {
        if self.session(id).is_some() && !self.is_used(id) {
            self.end_session(id, Reason::Success, End::Local);
        }
    }

    /// Whether a call needs this session, or the persistent connection is to keep it.
    pub(super) fn is_used(&self, id: &SessionId) -> bool {
        let shared = self.active_session.as_ref() == Some(id);
        let kept = shared && self.persistent();
        kept || self.calls.iter().any(|call| {
            call.session.as_ref() == Some(id)
                || (shared
                    && self.line_appearance_one()
                    && (call.is_connected() || call.is_ringing()))
        })
    }

    /// A peer connection made no answer.
    pub(super) fn on_answer_timeout(&mut self, id: &SessionId) {
        let error = MediaError::Stack {
            what: "answering the offer",
            detail: "it took too long".to_owned(),
        };
        self.on_media_error(id, &error);
    }

    /// A peer connection did not connect, or did not come back. The gateway re-invites, or ends the call.
    pub(super) fn on_peer_timeout(&mut self, id: &SessionId, what: &'static str, reason: Reason) {
        let Some(session) = self.session(id) else {
            return;
        };
        let error = SdkError::session(&session.conversation, what).with("sessionId", id.as_str());
        self.event(Event::SdkError(error));
        self.end_session(id, reason, End::Local);
    }

    /// The session `id`, if it is alive.
    pub(super) fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| &session.id == id)
    }

    /// The same, to change.
    pub(super) fn session_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| &session.id == id)
    }

    /// 6.1 `hasActiveSession`: the shared session's peer connection is exactly connected.
    pub(super) fn connected_active_session(&self) -> Option<&Session> {
        self.session(self.active_session.as_ref()?)
            .filter(|session| session.connection == ConnectionState::Connected)
    }

    pub(super) fn media(&mut self, session: &SessionId, command: MediaCommand) {
        self.outputs.push_back(Output::Media {
            session: session.clone(),
            command,
        });
    }
}
