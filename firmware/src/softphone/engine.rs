//! The session engine: its state, its public methods, and where each input goes.

use super::call::Call;
use super::early::{EarlyCandidates, Reinvites};
use super::event::{AlertingLeader, CallView, Event, SdkError, SdkErrorType, SessionInfo};
use super::requests::Purpose;
use super::session::Session;
use super::timers::{Timer, Timers};
use super::wrap_up::AfterCall;
use super::{Input, MediaHandling, Output, RequestId, SoftphoneConfig};
use crate::genesys::id::{ConversationId, Jid, SessionId, UserId};
use crate::genesys::model::{
    ConversationEvent, PersistentConnectionEvent, RawJson, Station, StationEvent,
};
use crate::genesys::rest::RestError;
use crate::genesys::signal::{Reason, Reply, Signal};
use crate::genesys::{CloudError, CloudEvent, Identity};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Calls remembered at once; a station has at most 100 line appearances.
pub(super) const MAX_CALLS: usize = 100;
/// Conversation events kept until it is known who we are; the cloud sends none that early but for running calls.
const MAX_BACKLOG: usize = 64;
/// Sessions we ended or declined, to know their late proposals and offers.
const MAX_REFUSED: usize = 32;
/// Not an error: the persistent connection ends after its idle time (4.6).
const ENDPOINT_DISCONNECT: &str = "error.ininedgecontrol.connection.webrtc.endpoint.disconnect";

/// The session engine, sans-IO: `handle` an input (or `handle_timeout`), drain `poll`, then look at `next_timeout`.
///
/// Time is an argument and never goes back; an earlier `now` counts as the latest one seen. Nothing panics, whatever the
/// inputs. Memory is bounded: at most 100 calls are remembered at once.
#[derive(Debug)]
pub struct Softphone {
    pub(super) config: SoftphoneConfig,
    pub(super) outputs: VecDeque<Output>,
    pub(super) timers: Timers,
    pub(super) requests: BTreeMap<RequestId, Purpose>,
    pub(super) last_request: u64,
    identity: Option<Box<Identity>>,
    pub(super) full_jid: Option<Jid>,
    pub(super) streaming: bool,
    station: Option<Station>,
    /// Oldest first.
    pub(super) calls: Vec<Call>,
    pub(super) last_call: u64,
    /// Alive ones, oldest first.
    pub(super) sessions: Vec<Session>,
    /// The shared or persistent one, with line appearance 1 or a persistent connection (6.1).
    pub(super) active_session: Option<SessionId>,
    pub(super) early: EarlyCandidates,
    pub(super) reinvites: Reinvites,
    refused: VecDeque<SessionId>,
    /// Trailing call errors (6.8.3).
    pub(super) call_errors: BTreeMap<ConversationId, SdkError>,
    /// Calls that are over and want to be wrapped up, oldest first.
    pub(super) after: VecDeque<AfterCall>,
    /// As set last, by configuration, command or alerting leader.
    pub(super) handling: MediaHandling,
    backlog: VecDeque<ConversationEvent>,
    /// The last one (4.6).
    persistent_event: Option<PersistentConnectionEvent>,
    /// As last emitted.
    pub(super) views: Vec<CallView>,
    pub(super) parting: Vec<CallView>,
}

impl Softphone {
    /// An engine that knows nothing yet.
    pub fn new(config: SoftphoneConfig) -> Self {
        Self {
            config,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            requests: BTreeMap::new(),
            last_request: 0,
            identity: None,
            full_jid: None,
            streaming: false,
            station: None,
            calls: Vec::new(),
            last_call: 0,
            sessions: Vec::new(),
            active_session: None,
            early: EarlyCandidates::default(),
            reinvites: Reinvites::default(),
            refused: VecDeque::new(),
            call_errors: BTreeMap::new(),
            after: VecDeque::new(),
            handling: config.media_handling,
            backlog: VecDeque::new(),
            persistent_event: None,
            views: Vec::new(),
            parting: Vec::new(),
        }
    }

    /// Takes one input at `now`, after whatever was due before it.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.handle_timeout(now);
        match input {
            Input::Cloud(event) => self.on_cloud(event),
            Input::Rest { request, result } => self.on_rest(request, result),
            Input::Peer { session, event } => self.on_peer(&session, event),
            Input::Command { id, command } => self.on_command(id, command),
        }
        self.refresh_views();
    }

    /// The next thing to do; drain after every `handle` and `handle_timeout`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Fires every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.timers.advance(now);
        while let Some(timer) = self.timers.take_due() {
            self.on_timeout(timer);
        }
        self.refresh_views();
    }

    /// Calls that concern this phone, oldest first, as last told by `Event::Call`.
    pub fn calls(&self) -> impl Iterator<Item = CallView> {
        self.views.iter().cloned()
    }

    /// Sessions that are alive, oldest first; an idle persistent connection is one.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo> {
        self.sessions.iter().map(Session::info)
    }

    /// The user's effective station.
    pub fn station(&self) -> Option<&Station> {
        self.station.as_ref()
    }

    /// `isConcurrentSoftphoneSessionsEnabled`: line appearance is above 1.
    pub fn is_concurrent_sessions_enabled(&self) -> bool {
        !self.line_appearance_one()
    }

    /// `isPersistentConnectionEnabled`.
    pub fn is_persistent_connection_enabled(&self) -> bool {
        self.persistent()
    }

    /// What the cloud said last of the persistent connection (4.6).
    pub fn persistent_connection(&self) -> Option<&PersistentConnectionEvent> {
        self.persistent_event.as_ref()
    }

    /// Whether streaming is up.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn on_cloud(&mut self, event: CloudEvent) {
        match event {
            CloudEvent::Ready(identity) => self.on_ready(identity),
            CloudEvent::Connected {
                reconnect,
                full_jid,
            } => self.on_streaming_up(reconnect, full_jid),
            CloudEvent::Disconnected {
                reason,
                reconnecting,
            } => {
                // 3.6: sessions survive, their media does not need streaming.
                self.streaming = false;
                self.event(Event::Disconnected {
                    reason,
                    reconnecting,
                });
            }
            CloudEvent::Signal(signal) => self.on_signal(signal),
            CloudEvent::Conversation(event) => self.on_conversation_event(*event),
            CloudEvent::Station(event) => self.on_station_event(&event),
            CloudEvent::StationFetched(station) => self.on_station(station),
            CloudEvent::PersistentConnection(event) => self.on_persistent_connection(&event),
            CloudEvent::AlertingLeader {
                alerting,
                configured,
                client_type,
            } => self.on_alerting_leader(AlertingLeader {
                alerting,
                configured,
                client_type,
            }),
            // These are the runtime's: it gives servers to new peer connections, and page and display ask a person.
            CloudEvent::IceServers(_)
            | CloudEvent::LoggedIn { .. }
            | CloudEvent::LoginNeeded(_)
            | CloudEvent::StationChoice(_)
            | CloudEvent::StationTrouble(_) => {}
            CloudEvent::LoggedOut => self.on_logged_out(),
            CloudEvent::Failed { error, retry_in } => {
                if retry_in.is_none() {
                    self.on_cloud_failed(&error);
                }
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Propose(propose) => self.on_propose(propose),
            Signal::Retract { session } => {
                self.cancel_pending_of(&session, "the caller has hung up");
            }
            Signal::Handled { session, from } => self.on_handled(&session, &from),
            Signal::Offer(offer) => self.on_offer(offer),
            Signal::Candidate { session, candidate } => {
                self.on_candidate(&session, Some(candidate));
            }
            Signal::EndOfCandidates { session } => self.on_candidate(&session, None),
            Signal::Terminate { session, reason } => self.on_terminate(&session, reason),
        }
    }

    fn on_timeout(&mut self, timer: Timer) {
        match timer {
            Timer::Offer(id) => self.on_offer_timeout(&id),
            Timer::Propose(id) => self.on_propose_timeout(&id),
            Timer::Ring(id) => self.ring_early(&id),
            Timer::Placed(id) => self.on_placed_timeout(&id),
            Timer::Direction(id) => self.on_direction_timeout(&id),
            Timer::HeldOffer(id) => self.on_held_offer_timeout(&id),
            Timer::Rejected(id) => self.on_rejected_timeout(&id),
            Timer::Ended(id) => self.on_ended_timeout(&id),
            Timer::Stale(id) | Timer::Orphaned(id) => self.check(&id),
            Timer::CallError(id) => self.on_call_error_timeout(&id),
            Timer::Answer(id) => self.on_answer_timeout(&id),
            Timer::Connect(id) => self.on_peer_timeout(
                &id,
                "no audio connection to the cloud in time: check that the network lets UDP or TURN through",
                Reason::ConnectivityError,
            ),
            Timer::Interrupted(id) => self.on_peer_timeout(
                &id,
                "the audio connection was interrupted and did not come back: check the network",
                Reason::FailedTransport,
            ),
            Timer::Leftover(id) => self.on_leftover(&id),
            Timer::Dtmf(id) => self.on_digits_timeout(&id),
            Timer::Request(request) => {
                let error = RestError::Timeout {
                    request: "the request".to_owned(),
                    after: Timer::Request(request).duration(),
                };
                self.on_rest(request, Err(error));
            }
        }
    }

    /// 2.2: we know who we are. What came before that is worked off now.
    fn on_ready(&mut self, identity: Box<Identity>) {
        let station = identity.station.clone();
        self.identity = Some(identity);
        if station.is_some() {
            self.on_station(station); // 7.2: also at init
        }
        self.event(Event::Ready {});
        for event in std::mem::take(&mut self.backlog) {
            self.observe(event.conversation);
        }
        // 6.13.12: calls of the phone's earlier life are shown and can be ended.
        self.fetch_active_calls(true);
    }

    /// The user has gone: their sessions end here and their calls are forgotten. The gateway is not told: nothing is
    /// said in the name of whoever comes next.
    fn on_logged_out(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.iter().map(|s| s.id.clone()).collect();
        for id in &sessions {
            self.end_session(id, Reason::Gone, super::session::End::Silent);
        }
        self.forget_requests();
        let calls: Vec<ConversationId> = self.calls.iter().map(|call| call.id.clone()).collect();
        for id in &calls {
            self.gone(id);
        }
        // What the next user must neither see nor inherit.
        self.forget_wrap_ups();
        self.handling = self.config.media_handling;
        self.persistent_event = None;
        self.on_station(None);
        self.streaming = false;
        self.identity = None;
        self.full_jid = None;
        self.backlog.clear();
    }

    fn on_streaming_up(&mut self, reconnect: bool, full_jid: Jid) {
        self.streaming = true;
        self.full_jid = Some(full_jid);
        self.event(Event::Connected { reconnect });
        if reconnect {
            // 3.6, 6.13.17
            let dead: Vec<SessionId> = self
                .sessions
                .iter()
                .filter(|session| session.is_dead())
                .map(|session| session.id.clone())
                .collect();
            for id in &dead {
                self.end_session(id, Reason::Gone, super::session::End::Local);
            }
            if self.identity.is_some() {
                self.fetch_active_calls(false);
            }
        }
    }

    fn on_conversation_event(&mut self, event: ConversationEvent) {
        let ConversationEvent { conversation, raw } = event;
        if self.identity.is_some() {
            self.observe(conversation);
        } else if self.backlog.len() < MAX_BACKLOG {
            self.backlog.push_back(ConversationEvent {
                conversation,
                raw: RawJson::default(),
            });
        }
        self.event(Event::ConversationUpdateRaw(raw)); // 6.9: afterwards
    }

    /// 4.5
    fn on_station_event(&mut self, event: &StationEvent) {
        match event {
            // It is read next, and told of then (7.2).
            StationEvent::Associated(_) | StationEvent::Migrated => {}
            StationEvent::Disassociated => self.on_station(None),
        }
    }

    /// 7.2, 6.13.25: existing sessions are left alone.
    fn on_station(&mut self, station: Option<Station>) {
        let action = if station.is_some() {
            "Associated"
        } else {
            "Disassociated"
        };
        if station.is_none() && self.station.is_none() {
            return;
        }
        self.station.clone_from(&station);
        let associated = station.is_some();
        self.event(Event::Station { action, station });
        if associated {
            let concurrent = !self.line_appearance_one();
            self.event(Event::ConcurrentSoftphoneSessionsEnabled(concurrent));
        }
    }

    /// 4.6
    fn on_persistent_connection(&mut self, event: &PersistentConnectionEvent) {
        self.persistent_event = Some(event.clone());
        let lost = matches!(
            event.persistent_state.as_deref(),
            Some("DISCONNECTED" | "FAILED")
        );
        // What never connected, or is interrupted, is not coming back when the cloud has given it up.
        let zombie = self.active_session.clone().filter(|id| {
            let idle = !self.calls.iter().any(|c| c.session.as_ref() == Some(id));
            let up = self.connected_active_session().is_some();
            lost && idle && !up
        });
        if let Some(id) = zombie {
            self.end_session(&id, Reason::Gone, super::session::End::Local);
        }
        let Some(info) = &event.error_info else {
            return;
        };
        if info.code.as_deref() == Some(ENDPOINT_DISCONNECT) {
            return;
        }
        let message = format!(
            "the persistent connection failed ({})",
            info.code.as_deref().unwrap_or("no code")
        );
        let mut error = SdkError::new(SdkErrorType::Call, message);
        error.details = RawJson(json!(event));
        self.event(Event::SdkError(error));
    }

    /// The wire has given up (6.14).
    fn on_cloud_failed(&mut self, error: &CloudError) {
        let kind = match error {
            CloudError::InvalidToken { .. } | CloudError::Forbidden { .. } => {
                SdkErrorType::InvalidToken
            }
            _ if self.identity.is_none() => SdkErrorType::Initialization,
            CloudError::Rest(_) => SdkErrorType::Http,
            _ => SdkErrorType::Generic,
        };
        self.event(Event::SdkError(SdkError::new(kind, error.to_string())));
    }

    /// 6.1 `LA1`; no station counts as one.
    pub(super) fn line_appearance_one(&self) -> bool {
        !self
            .station
            .as_ref()
            .is_some_and(Station::is_concurrent_sessions)
    }

    /// 6.1 `PC`.
    pub(super) fn persistent(&self) -> bool {
        self.station.as_ref().is_some_and(Station::is_persistent)
    }

    pub(super) fn user_id(&self) -> Option<&UserId> {
        self.identity.as_ref().map(|identity| &identity.user.id)
    }

    pub(super) fn bare_jid(&self) -> Option<&Jid> {
        self.identity.as_ref().map(|identity| &identity.bare_jid)
    }

    pub(super) fn call(&self, id: &ConversationId) -> Option<&Call> {
        self.calls.iter().find(|call| &call.id == id)
    }

    pub(super) fn call_mut(&mut self, id: &ConversationId) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| &call.id == id)
    }

    pub(super) fn call_or_new(&mut self, id: &ConversationId) -> &mut Call {
        let at = self.calls.iter().position(|call| &call.id == id);
        let at = at.unwrap_or_else(|| {
            self.last_call += 1;
            self.calls.push(Call::new(id.clone(), self.last_call));
            self.calls.len() - 1
        });
        &mut self.calls[at]
    }

    /// Drops all that is known of a conversation.
    pub(super) fn forget(&mut self, id: &ConversationId) {
        self.cancel_pending(id, "the call is over, or another client has taken it");
        self.timers.stop_conversation(id);
        let Some(at) = self.calls.iter().position(|call| &call.id == id) else {
            return;
        };
        let mut call = self.calls.remove(at);
        for command in call.intents {
            let error = SdkError::session(id, "the call is over, or another client has taken it");
            self.fail(command, error);
        }
        for command in call.digits.drain() {
            self.fail(command, Self::digits_cut_off(id));
        }
    }

    /// Drops a conversation of which nothing is left.
    pub(super) fn clean_up(&mut self, id: &ConversationId) {
        if self.call(id).is_some_and(Call::is_idle) {
            self.forget(id);
        }
    }

    /// Remembers a session we ended or declined.
    pub(super) fn refuse(&mut self, id: SessionId) {
        if self.refused.len() == MAX_REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back(id);
    }

    pub(super) fn is_refused(&self, id: &SessionId) -> bool {
        self.refused.contains(id)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(Box::new(event)));
    }

    pub(super) fn signal(&mut self, reply: Reply) {
        self.outputs.push_back(Output::Signal(reply));
    }
}
