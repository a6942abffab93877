//! A Genesys Cloud simulator for softphone sessions: REST, notifications, XMPP streaming and the
//! WebRTC gateway, close enough to the real thing that Genesys's own JavaScript SDK takes it for
//! one, and strict enough to find what a phone does wrong.
//!
//! Start one with [`Simulator::start`], make users with [`Handle::add_user`], ring them with
//! [`Handle::call_user`], and look at [`Handle::call`], [`Handle::violations`] and
//! [`Handle::log`]. The binary `offhook-cloudsim` does the same behind a control API.
//!
//! Inside: [`engine`] is a pure state machine of conversations and sessions; `world` holds it
//! with users, channels and sockets behind one lock, still without I/O; `cloud` is the async
//! shell; `rest`, `streaming` and `control` are the doors; [`gateway`] is the media.

pub mod channels;
pub mod clock;
mod cloud;
mod control;
pub mod directory;
pub mod engine;
pub mod faults;
pub mod gateway;
pub mod journal;
pub mod measure;
mod oauth;
mod rest;
mod server;
mod simulator;
pub mod spec;
mod streaming;
pub mod stun;
pub mod tls;
mod world;
pub mod xml;

pub use engine::{CallReport, CallState, PersistentState, RecordingState};
pub use faults::{Fault, IqFault, RestFault};
pub use journal::{LogEntry, LogKind, Violation, ViolationKind};
pub use oauth::{CLIENT_SECRET, LoginScript, OAuthClient, PKCE_CLIENT, SECRET_CLIENT};
pub use simulator::{Handle, SessionReport, Simulator, UserStatus};
pub use spec::{
    Contact, Form, InboundOrder, InboundPurpose, InboundSpec, Options, OutboundSpec, OutboundStep,
    SimUser, TurnServer, UserSpec,
};
pub use tls::TlsFault;
