//! What can be set: by the configuration at start, by `PATCH /audio` and the keys later.

use super::digit_map::DigitMap;
use super::plan::DialPlan;
use crate::audio::TonePlan;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the phone behaves. Fixed at start.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// Which country's tones.
    pub tone_plan: TonePlan,
    /// After the last digit, dial by itself when this has passed.
    pub inter_digit_timeout: Duration,
    /// Numbers that are complete without waiting, e.g. `112`, `[2-9]xxx`. Empty: only `#` and the time-out dial.
    pub digit_map: DigitMap,
    /// Prefixes, speed dials, voicemail.
    pub plan: DialPlan,
    /// What the menu's "About" shows, line by line: version, address of the page.
    pub about: Vec<String>,
    /// First id of the phone's own commands; each further one is 2 higher, so that one who counts the odd numbers
    /// never meets it.
    pub first_command: u64,
    /// Volumes and path to start with; what is absent has a default.
    pub audio: AudioSettings,
    /// The phone rings on a sound device of its own: also while somebody talks at handset or headset.
    pub own_ringer: bool,
}

impl Default for PhoneConfig {
    fn default() -> Self {
        Self {
            tone_plan: TonePlan::default(),
            // ITU-T E.161 leaves it open; 4 s is what North American switches use for partial dialing, and short
            // enough that nobody lays the handset down again.
            inter_digit_timeout: Duration::from_secs(4),
            digit_map: DigitMap::default(),
            plan: DialPlan::default(),
            about: Vec::new(),
            first_command: 0,
            audio: AudioSettings::default(),
            own_ringer: false,
        }
    }
}

/// `PATCH /audio` and `GET /audio` (local-api).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AudioSettings {
    /// Path in use; at rest the one used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<AudioPath>,
    /// Percent per path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<PathVolumes>,
    /// Ring volume, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u8>,
    /// Microphone mute of the call in front; without a call it cannot be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<bool>,
}

/// Percent per path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "named after the paths")]
pub struct PathVolumes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handset: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headset: Option<u8>,
}

/// Where the sound goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "plain words")]
pub enum AudioPath {
    #[default]
    Handset,
    Speaker,
    Headset,
}

/// Volumes in percent, 0..=100, changed by keys in steps of a tenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Volumes {
    pub handset: u8,
    pub speaker: u8,
    pub headset: u8,
    pub ring: u8,
}

/// One press of a volume key, percent: ten steps in all.
const VOLUME_STEP: u8 = 10;
/// The keys go no lower for the ear, so that nobody silences the far end and wonders why. The ring may be off.
const LOWEST_EAR_VOLUME: u8 = 10;

impl Volumes {
    pub fn new(settings: &AudioSettings) -> Self {
        let mut volumes = Self {
            handset: 70,
            speaker: 60,
            headset: 70,
            ring: 60,
        };
        volumes.apply(settings);
        volumes
    }

    /// Takes what `settings` says; more than 100 percent is 100.
    pub fn apply(&mut self, settings: &AudioSettings) {
        let wanted = settings.volume.unwrap_or_default();
        for (volume, wanted) in [
            (&mut self.handset, wanted.handset),
            (&mut self.speaker, wanted.speaker),
            (&mut self.headset, wanted.headset),
            (&mut self.ring, settings.ring),
        ] {
            if let Some(percent) = wanted {
                *volume = percent.min(100);
            }
        }
    }

    pub fn of(self, path: AudioPath) -> u8 {
        match path {
            AudioPath::Handset => self.handset,
            AudioPath::Speaker => self.speaker,
            AudioPath::Headset => self.headset,
        }
    }

    /// A volume key: the ear's volume of `path`, or the ring's. Returns the new percentage.
    pub fn step(&mut self, path: Option<AudioPath>, up: bool) -> u8 {
        let (volume, lowest) = match path {
            Some(AudioPath::Handset) => (&mut self.handset, LOWEST_EAR_VOLUME),
            Some(AudioPath::Speaker) => (&mut self.speaker, LOWEST_EAR_VOLUME),
            Some(AudioPath::Headset) => (&mut self.headset, LOWEST_EAR_VOLUME),
            None => (&mut self.ring, 0),
        };
        let tenth = *volume / VOLUME_STEP;
        *volume = if up {
            ((tenth + 1) * VOLUME_STEP).min(100)
        } else {
            // From 75 the first step down is 70.
            (volume.div_ceil(VOLUME_STEP).saturating_sub(1) * VOLUME_STEP).max(lowest)
        };
        *volume
    }

    pub fn settings(self) -> (PathVolumes, u8) {
        let volumes = PathVolumes {
            handset: Some(self.handset),
            speaker: Some(self.speaker),
            headset: Some(self.headset),
        };
        (volumes, self.ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_steps_between_quiet_and_full() {
        let mut volumes = Volumes::new(&AudioSettings {
            ring: Some(200),
            ..AudioSettings::default()
        });
        assert_eq!(volumes.ring, 100);
        let down: Vec<u8> = (0..12).map(|_| volumes.step(None, false)).collect();
        assert_eq!(down, [90, 80, 70, 60, 50, 40, 30, 20, 10, 0, 0, 0]);
        volumes.handset = 15;
        assert_eq!(volumes.step(Some(AudioPath::Handset), true), 20);
        volumes.handset = 15;
        assert_eq!(volumes.step(Some(AudioPath::Handset), false), 10);
        assert_eq!(volumes.step(Some(AudioPath::Handset), false), 10);
        volumes.handset = 100;
        assert_eq!(volumes.step(Some(AudioPath::Handset), true), 100);
    }
}
