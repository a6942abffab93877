//! The media gateway: the WebRTC peer the cloud puts on the other side of each call.
//!
//! A [`Leg`] is one call's peer. It always makes the offer (genesys-protocol 0.3), with the
//! shape of offer the cloud makes: one audio section with `a=mid:audio`, Opus first. Behind it
//! is a far end: something that talks to the phone and something that listens to it, described
//! by [`FarEndSource`]. With [`FarEndSource::Browser`] the far end is a web page, and its
//! `RTCPeerConnection` is the peer: the leg then only relays descriptions and candidates.
//!
//! Nothing here knows stanzas, conversations or users; the Jingle form of a description is made
//! by [`jingle`].

mod arrived;
pub mod browser;
mod codec;
mod config;
mod dtmf;
mod events;
mod far_end;
pub(crate) mod g711;
mod interceptor;
pub mod jingle;
mod leg;
mod media;
mod mix;
mod native;
#[path = "../../../audio/traces/network.rs"]
pub mod network;
mod playout;
mod report;
mod sdp;
mod send;

#[cfg(test)]
mod tests;

pub use browser::FAR_END_HTML;
pub use config::{Codec, Direction, FarEndSource, LegConfig, LegEvent, SdpQuirk, Setup};
pub use leg::Leg;
pub(crate) use mix::Patchbay;
pub use mix::{Mix, MixLeg, MixParty, PHONE};
pub use report::{Delivery, DtmfDigit, LegReport, LegState, Level, PartyReport};
