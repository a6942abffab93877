//! Offhook: the firmware of a desk phone that is a Genesys Cloud WebRTC station.
//!
//! From the user's finger to the wire; imports point downwards in this list, never up:
//! `runtime` > `panel` > `phone` > `softphone` > `genesys` > `media` > `audio` > `device`.
// `unsafe` is denied in the whole workspace; `audio::arena` alone is allowed it.

pub mod audio;
pub mod check;
pub mod demo;
pub mod device;
pub mod failure;
#[doc(hidden)]
pub mod fuzz;
pub mod genesys;
#[cfg(test)]
mod layers;
pub mod login;
pub mod media;
pub mod panel;
pub mod phone;
pub mod runtime;
pub mod softphone;
pub mod update;
