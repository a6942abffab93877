//! The wire to Genesys Cloud: REST, XMPP over WebSocket, notifications, JSON-RPC and Jingle signaling.
//!
//! Holds no policy: it turns bytes into the values below and back, keeps the connection up by the rules of
//! genesys-protocol section 3, and leaves every decision about calls to `softphone`.
//!
//! SEAM: the types in `id`, `model`, `signal`, `rest::{RestRequest, RestReply, RestError}` and `CloudEvent`.
mod backoff;
mod check;
mod cloud;
mod connection;
mod environment;
pub mod id;
mod lenient;
mod login;
mod memory;
pub mod model;
pub mod rest;
pub mod signal;
mod signaling;
mod stations;
pub(crate) mod stream;
mod subscriptions;
mod tls;
mod token;
mod transport;
pub(crate) mod xml;

pub use crate::media::IceServer;
pub use check::{CheckLine, CheckOutcome, check};
pub use cloud::{Cloud, CloudConfig};
pub use environment::{Endpoint, Environment, REGIONS};
use id::Jid;
pub use login::{Login, LoginConfig, LoginError, LoginNeed, LoginState};
pub use memory::Memory;
use model::{
    ConversationEvent, Organization, PersistentConnectionEvent, Station, StationEvent, User,
};
use signal::Signal;
pub use stations::{StationSummary, StationTrouble, StationWish};
pub(crate) use tls::client_config as tls_config;
pub use token::{TokenError, TokenSource};

/// What service discovery said; used for sessions created afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceServers {
    /// TURN entries first.
    pub servers: Vec<IceServer>,
    /// No STUN service was offered: candidates may only be relayed.
    pub relay_only: bool,
}

/// Everything the cloud connection tells the phone. Closed: `runtime` and `softphone` match it whole.
#[derive(Clone, Debug)]
pub enum CloudEvent {
    /// The init sequence (genesys-protocol 2.2) is done: who we are and where calls ring.
    Ready(Box<Identity>),
    /// Streaming is up; `reconnect` is false only the first time.
    Connected {
        /// Whether it was up before.
        reconnect: bool,
        /// Own full JID, as the server bound it (3.1): tells our own echoed `<accept>` from another client's.
        full_jid: Jid,
    },
    /// Streaming is down.
    Disconnected {
        /// In the log's words.
        reason: String,
        /// Whether the wire keeps trying by itself.
        reconnecting: bool,
    },
    /// New ICE servers (5.5).
    IceServers(IceServers),
    /// Call signaling.
    Signal(Signal),
    /// `v2.users.U.conversations` (4.4).
    Conversation(Box<ConversationEvent>),
    /// `v2.users.U.station` (4.5).
    Station(StationEvent),
    /// The station was read again after an event (4.5, 7.2); `None` when there is none.
    StationFetched(Option<Station>),
    /// `v2.users.U.persistentconnection` (4.6).
    PersistentConnection(PersistentConnectionEvent),
    /// Which of the user's clients is to ring (7.1).
    AlertingLeader {
        /// This one is.
        alerting: bool,
        /// The cloud decides; when false it could not be asked, and every client rings.
        configured: bool,
        /// What kind of client the leader is.
        client_type: Option<String>,
    },
    /// Somebody is logged in: the phone need not ask for it any more.
    LoggedIn {
        /// Whether the login renews itself; otherwise somebody has to log in again at its end.
        renews: bool,
    },
    /// A person must log in, now or soon.
    LoginNeeded(LoginNeed),
    /// The user has gone: logged out, or somebody else has logged in. Everything of theirs is over: calls, station,
    /// name. The next [`CloudEvent::Ready`] tells who is here then.
    LoggedOut,
    /// The user has several stations: a person must choose ([`Cloud::choose_station`]).
    StationChoice(Vec<StationSummary>),
    /// Calls will not ring here.
    StationTrouble(StationTrouble),
    /// Connecting failed; `retry_in` is `None` when the wire has given up (bad token): a person must act.
    Failed {
        /// What went wrong.
        error: CloudError,
        /// When the wire tries again.
        retry_in: Option<std::time::Duration>,
    },
}

/// Who the phone is, after init (genesys-protocol 2.2).
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user the token belongs to.
    pub user: User,
    /// Its organization.
    pub organization: Organization,
    /// Own bare JID.
    pub bare_jid: Jid,
    /// The user's effective station, if there is one.
    pub station: Option<Station>,
}

/// Why the cloud cannot be reached or refuses us. The text is for the log; `phone::strings` has the user's words.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum CloudError {
    /// 401 or a fatal SASL failure (1.4, 3.3).
    #[error("the access token was refused ({detail}): log in again or replace the token file")]
    InvalidToken {
        /// HTTP status or SASL condition.
        detail: String,
    },
    /// 403: the user may not do what a phone does.
    #[error("the cloud refuses this user: {detail}")]
    Forbidden {
        /// Request, status and code.
        detail: String,
    },
    /// The host name does not resolve, nobody listens, or no network.
    #[error(
        "{host} cannot be reached ({detail}): check the network and the configured environment"
    )]
    Unreachable {
        /// Which host.
        host: String,
        /// The cause chain.
        detail: String,
    },
    /// A certificate was not accepted, or no common TLS version.
    #[error("the TLS connection to {host} failed ({detail}): check the clock and cloud.ca_file")]
    Tls {
        /// Which host.
        host: String,
        /// The cause chain.
        detail: String,
    },
    /// A reply that does not fit the protocol.
    #[error("{what} sent something unexpected: {detail}")]
    Protocol {
        /// Which request or stanza.
        what: &'static str,
        /// What was wrong with it.
        detail: String,
    },
    /// The configuration cannot work; nothing was tried.
    #[error("{detail}")]
    Config {
        /// Which key, what is wrong with it, what is allowed.
        detail: String,
    },
    /// There is no access token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A REST request failed.
    #[error(transparent)]
    Rest(#[from] rest::RestError),
    /// Something did not answer in its time.
    #[error("{what} did not answer within {seconds} s")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
}
