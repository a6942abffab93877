//! What the user has to know: which trouble of cloud, station and sound is which notice.

use crate::genesys::model::Station;
use crate::genesys::{CloudError, StationTrouble};
use crate::phone::Notice;
use offhook_hal::audio::AudioError;
use std::time::{Duration, SystemTime};

/// A clock before 2026 has not been set since the power came: no phone is older than this. (A Raspberry Pi has no clock
/// of its own.)
const CLOCK_FLOOR: Duration = Duration::from_hours(20_454 * 24);

/// `now` by the wall clock; whether there `is_network`.
pub(super) fn of_cloud(error: &CloudError, now: SystemTime, is_network: bool) -> Notice {
    match error {
        CloudError::InvalidToken { .. } | CloudError::Token(_) => Notice::LoginNeeded,
        CloudError::Tls { .. } if now < SystemTime::UNIX_EPOCH + CLOCK_FLOOR => Notice::ClockUnset,
        CloudError::Tls { .. } => Notice::TlsTrouble,
        _ if !is_network => Notice::NoNetwork,
        _ => Notice::CloudUnreachable,
    }
}

/// `trouble`: why there is none, if that is known.
pub(super) fn of_station(station: Option<&Station>, trouble: Option<Notice>) -> Option<Notice> {
    match station {
        None => Some(trouble.unwrap_or(Notice::NoStation)),
        Some(station) if !station.is_webrtc() => Some(Notice::StationNotWebRtc),
        Some(_) => None,
    }
}

pub(super) fn of_trouble(trouble: &StationTrouble) -> Notice {
    match trouble {
        StationTrouble::NoUser => Notice::NoStation,
        StationTrouble::Missing => Notice::StationMissing,
        StationTrouble::Unknown => Notice::StationUnknown,
        StationTrouble::Taken { .. } | StationTrouble::TakenAway { .. } => Notice::StationTaken,
        StationTrouble::Rest(_) => Notice::StationsUnread,
    }
}

pub(super) fn of_sound(error: &AudioError) -> Notice {
    let name = |device: &std::sync::Arc<str>| device.to_string();
    match error {
        AudioError::Missing { device, .. } => Notice::SoundMissing {
            device: name(device),
        },
        AudioError::Busy { device, .. } => Notice::SoundBusy {
            device: name(device),
        },
        AudioError::Denied { device, .. }
        | AudioError::Unsupported { device, .. }
        | AudioError::Lost { device, .. } => Notice::SoundTrouble {
            device: name(device),
        },
        _ => Notice::SoundTrouble {
            device: String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_learns_what_keeps_the_cloud_away() {
        let tls = || CloudError::Tls {
            host: "h".into(),
            detail: "not valid yet".into(),
        };
        let unreachable = || CloudError::Config { detail: "d".into() };
        let (long_ago, today) = (Duration::from_hours(30), Duration::from_hours(21_000 * 24));
        for (error, clock, is_network, expected) in [
            (tls(), long_ago, true, Notice::ClockUnset),
            (tls(), CLOCK_FLOOR, true, Notice::TlsTrouble),
            (tls(), today, true, Notice::TlsTrouble),
            (unreachable(), today, true, Notice::CloudUnreachable),
            (unreachable(), today, false, Notice::NoNetwork),
            (unreachable(), long_ago, true, Notice::CloudUnreachable),
        ] {
            let now = SystemTime::UNIX_EPOCH + clock;
            assert_eq!(of_cloud(&error, now, is_network), expected, "{error}");
        }
    }
}
