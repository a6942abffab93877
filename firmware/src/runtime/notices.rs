//! What the user has to know: which trouble of cloud, station and sound is which notice.

use crate::genesys::model::Station;
use crate::genesys::{CloudError, StationTrouble};
use crate::phone::Notice;
use offhook_hal::audio::AudioError;

pub(super) fn of_cloud(error: &CloudError) -> Notice {
    match error {
        CloudError::InvalidToken { .. } | CloudError::Token(_) => Notice::LoginNeeded,
        CloudError::Tls { .. } => Notice::TlsTrouble,
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
