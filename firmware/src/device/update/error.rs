//! Why an update was not installed. In every case the phone goes on as it is.

use std::path::PathBuf;

/// What is wrong, and what to do. Nothing has been changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// Not started from one of two systems.
    #[error(
        "this machine has no second system to install to ({detail}): only a phone's own card is updated this way"
    )]
    NotSupported {
        /// What RAUC said, or why it could not be asked.
        detail: String,
    },
    /// One at a time.
    #[error("an update is on its way already; GET /api/v1/update tells how far it is")]
    Busy,
    /// The last one has to be settled first, and for that RAUC is needed.
    #[error(
        "it is not known yet what came of the last update: try again in a minute; if that lasts, restart the phone"
    )]
    Unsettled,
    /// Not a web address. It is not quoted: it may hold a key, and this goes into the log.
    #[error("this is no address of an update: it must begin with https:// or http://")]
    Address,
    /// The server does not give it.
    #[error("the update cannot be fetched: {detail}; check the address and try again")]
    Unreachable {
        /// Why.
        detail: String,
    },
    /// It stopped before its end.
    #[error("the update broke off after {received} bytes ({detail}); try again")]
    Broken {
        /// What came.
        received: u64,
        /// Why.
        detail: String,
    },
    /// The state partition.
    #[error("the update needs {needed} bytes and {} has {free} free: make room there", folder.display())]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// Bytes of the update, as far as known.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The state folder cannot be written for another reason.
    #[error("{} cannot be written: {detail}", folder.display())]
    State {
        /// Where.
        folder: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// By somebody else, or changed on its way.
    #[error(
        "the update is not signed by whom this phone trusts ({detail}); get it from the phone's maker"
    )]
    Signature {
        /// RAUC's words.
        detail: String,
    },
    /// Something else, or a part of it.
    #[error("this is no whole update ({detail}); get the file again")]
    NotABundle {
        /// RAUC's words.
        detail: String,
    },
    /// For other hardware.
    #[error(
        "the update is made for \"{made_for}\", and this phone is \"{phone}\"; get the one for this phone"
    )]
    WrongBoard {
        /// Of the bundle.
        made_for: String,
        /// Of the running system.
        phone: String,
    },
    /// While it was being written; the other system is not used then.
    #[error("the update could not be installed ({detail}); the phone goes on with what it has")]
    Install {
        /// RAUC's words.
        detail: String,
    },
    /// RAUC may still be at it: if it comes to its end, the next start is the new system's.
    #[error(
        "the update has not been installed in {minutes} minutes: restart the phone, and try again if it has the old version then"
    )]
    TooLong {
        /// How long it was waited for.
        minutes: u64,
    },
}

impl UpdateError {
    /// For the display.
    pub fn short(&self) -> &'static str {
        match self {
            Self::NotSupported { .. } => "No second system here",
            Self::Busy => "One is on its way",
            Self::Unsettled => "Try again in a minute",
            Self::Address | Self::Unreachable { .. } => "It cannot be fetched",
            Self::Broken { .. } => "It broke off, try again",
            Self::NoSpace { .. } => "Not enough space",
            Self::State { .. } => "Nothing can be kept",
            Self::Signature { .. } => "Not signed for this phone",
            Self::NotABundle { .. } => "Not a whole update file",
            Self::WrongBoard { .. } => "Made for another board",
            Self::Install { .. } | Self::TooLong { .. } => "It could not be written",
        }
    }

    /// Type of the local API's error body.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "conflict",
            Self::Unsettled
            | Self::NotSupported { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. } => "unavailable",
            _ => "bad_request",
        }
    }
}
