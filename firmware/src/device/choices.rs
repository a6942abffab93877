//! What the configuration lets choose, and the layers above go by.

use serde::{Deserialize, Serialize};

/// Tone plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TonePlan {
    /// Precise tone plan.
    #[default]
    NorthAmerica,
    /// BT.
    UnitedKingdom,
    /// ETSI, as in Germany.
    ContinentalEurope,
}

/// What to do with a propose that sets up the persistent connection ahead of the first call (6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EagerMode {
    /// Take it silently.
    #[default]
    Auto,
    /// Only tell (`pendingSession`).
    Event,
    /// Ignore it.
    None,
}
