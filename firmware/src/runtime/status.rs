//! `GET /status`, `GET /calls` and `GET /metrics`, put together from everything.

use super::Runtime;
use crate::panel::status::{
    ApiCall, AudioStatus, CloudStatus, MediaStatus, StationStatus, Status, UserStatus,
};
use std::fmt::Write;
use std::sync::atomic::Ordering;

impl Runtime {
    /// A call can be placed and taken.
    pub(super) fn is_ready(&self) -> bool {
        let identity = self.identity.as_ref();
        let station = identity.and_then(|identity| identity.station.as_ref());
        self.connected && station.is_some_and(crate::genesys::model::Station::is_webrtc)
    }

    pub(super) fn status(&self) -> Status {
        let station = self
            .identity
            .as_ref()
            .and_then(|identity| identity.station.as_ref());
        let settings = self.phone.audio_settings();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            board: self.board.name.clone(),
            ready: self.is_ready(),
            cloud: CloudStatus {
                connected: self.connected,
                environment: self.config.cloud.environment.clone(),
                user: self.identity.as_ref().map(|identity| UserStatus {
                    id: identity.user.id.clone(),
                    name: identity.user.name.clone(),
                }),
                station: station.map(|station| StationStatus {
                    id: station.id.clone(),
                    name: station.name.clone(),
                    web_rtc_call_appearances: station.web_rtc_call_appearances,
                }),
                is_concurrent_softphone_sessions_enabled: station
                    .is_some_and(crate::genesys::model::Station::is_concurrent_sessions),
                is_persistent_connection_enabled: station
                    .is_some_and(crate::genesys::model::Station::is_persistent),
            },
            login: self.login_status(),
            hook: self.phone.hook(),
            audio: AudioStatus {
                path: settings.path.unwrap_or_default(),
                mute: settings.mute.unwrap_or_default(),
            },
            calls: self.calls(),
            active_conversation_id: self.softphone.active_conversation(),
            notice: self.phone.trouble(),
        }
    }

    pub(super) fn calls(&self) -> Vec<ApiCall> {
        let with_media = |view: crate::softphone::event::CallView| {
            let media = view.session_id.as_ref().and_then(|session| {
                let (statistics, stream) = self.peers.statistics(session)?;
                let counters = self.sound.stream(stream);
                Some(MediaStatus::new(&statistics, &counters))
            });
            ApiCall::new(view, media)
        };
        self.softphone.calls().map(with_media).collect()
    }

    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP offhook_{name} {help}\n# TYPE offhook_{name} {kind}\noffhook_{name} {value}"
            );
        };
        let audio = self.sound.counters();
        let dropped = self.hal_events_dropped.load(Ordering::Relaxed);
        let streams = || (0..crate::audio::MAX_STREAMS).map(|stream| self.sound.stream(stream));
        let sum = |of: fn(&crate::audio::StreamCounters) -> u64| {
            streams().map(|s| of(&s)).sum::<u64>() as f64
        };
        metric(
            "connected",
            "gauge",
            "Streaming to Genesys Cloud is up",
            f64::from(u8::from(self.connected)),
        );
        metric(
            "calls",
            "gauge",
            "Calls of this phone",
            self.softphone.calls().count() as f64,
        );
        metric(
            "audio_periods_total",
            "counter",
            "Periods of 10 ms processed",
            audio.periods as f64,
        );
        metric(
            "audio_xruns_total",
            "counter",
            "Under- and overruns recovered",
            audio.xruns as f64,
        );
        metric(
            "audio_frames_dropped_total",
            "counter",
            "Encoded frames that found the queue full",
            audio.frames_dropped as f64,
        );
        metric(
            "rtp_packets_total",
            "counter",
            "Packets taken by the jitter buffers",
            sum(|s| s.packets),
        );
        metric(
            "rtp_late_total",
            "counter",
            "Packets that came after their time",
            sum(|s| s.late),
        );
        metric(
            "rtp_lost_total",
            "counter",
            "Packets that never came",
            sum(|s| s.lost),
        );
        metric(
            "concealed_seconds_total",
            "counter",
            "Sound made up by concealment",
            sum(|s| s.concealed_samples) / 48_000.0,
        );
        metric(
            "stretched_seconds_total",
            "counter",
            "Sound put in or taken out to change the delay",
            sum(|s| s.stretched_samples) / 48_000.0,
        );
        // Of several streams, the user hears the worst.
        let most = |of: fn(&crate::audio::StreamCounters) -> f32| {
            let active = streams().filter(|s| s.active);
            f64::from(active.map(|s| of(&s)).fold(0.0, f32::max)) / 1000.0
        };
        metric(
            "jitter_buffer_seconds",
            "gauge",
            "Delay of the jitter buffer",
            most(|s| s.delay_ms),
        );
        metric(
            "jitter_buffer_mean_seconds",
            "gauge",
            "Mean delay of the jitter buffer since its stream began",
            most(|s| s.mean_delay_ms),
        );
        metric(
            "jitter_buffer_target_seconds",
            "gauge",
            "Delay the jitter buffer aims at",
            most(|s| s.target_ms),
        );
        metric(
            "hal_events_dropped_total",
            "counter",
            "Events of keys and hook lost because the phone was stuck",
            dropped as f64,
        );
        let front = self.front.counters();
        metric(
            "hal_wakes_total",
            "counter",
            "How often keys, hook and lamps woke the processor",
            front.wakes as f64,
        );
        metric(
            "hal_troubles_total",
            "counter",
            "How often keys, hook or lamps could not be reached",
            front.troubles as f64,
        );
        text
    }
}
