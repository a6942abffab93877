//! The audio pipeline as it is in the phone, with nothing around it.

#[path = "../../../../firmware/src/audio/mod.rs"]
pub mod audio;
#[path = "../../../../firmware/src/device/choices.rs"]
pub mod choices;

/// What the pipeline needs of the phone's module of this name.
pub mod device {
    pub use crate::choices;
}
