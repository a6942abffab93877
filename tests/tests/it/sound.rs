//! Sound is right: recorded speech, both ways at once, on Opus and G.711.

use offhook::device::config::Config;
use offhook_cloudsim::gateway::{Codec, FarEndSource, LegConfig};
use offhook_cloudsim::measure::{self, Band, Comparison};
use offhook_cloudsim::spec::InboundSpec;
use offhook_tests::{PhoneOptions, Rig};
use serde_json::json;
use std::time::Duration;

/// How long both talk.
const TALK: Duration = Duration::from_secs(12);

/// Bounds: likeness of the spectrum, level within dB, no gap longer than ms.
fn is_right(direction: &str, codec: Codec, heard: &Comparison, likeness: f32) {
    println!(
        "{codec:?} {direction}: likeness {:.3}, level {:+.2} dB, longest gap {:.0} ms over {:.1} s",
        heard.spectral_correlation, heard.level_difference_db, heard.longest_gap_ms, heard.seconds
    );
    assert!(
        heard.spectral_correlation > likeness,
        "{codec:?} {direction}: {heard:?}"
    );
    assert!(
        heard.level_difference_db.abs() < 1.5,
        "{codec:?} {direction}: {heard:?}"
    );
    assert!(
        heard.longest_gap_ms <= 20.0,
        "{codec:?} {direction}: {heard:?}"
    );
    assert!(heard.seconds > 8.0, "{codec:?} {direction}: {heard:?}");
}

async fn speech_both_ways(codec: Codec, band: Band, likeness: f32) {
    let dir = tempfile::tempdir().unwrap();
    let speech = measure::speech().unwrap();
    let file = measure::speech_wav(dir.path()).unwrap();
    let rig = Rig::start(PhoneOptions {
        microphone: Some(file.clone()),
        ..PhoneOptions::default()
    })
    .await;
    // As loud as it came, so that levels can be compared.
    let body = json!({ "volume": { "handset": 100 } });
    assert_eq!(
        rig.phone
            .api
            .request("PATCH", "/api/v1/audio", Some(body))
            .await
            .0,
        200
    );
    let leg = LegConfig {
        codecs: vec![codec],
        far_end: FarEndSource::Wav(file),
        ..LegConfig::default()
    };
    let call = rig
        .answered(&InboundSpec {
            leg,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    // Sound takes its time.
    tokio::time::sleep(TALK).await;
    let status = rig.phone.api.status().await;
    let media = &status["calls"][0]["media"];
    rig.hang_up(&call).await;
    let far_end = rig.sim.recording(&call).await;
    let ear = rig.end().await;
    println!("{media}");
    is_right(
        "to the far end",
        codec,
        &measure::compare_looped(&speech, measure::trim_silence(&far_end), band).unwrap(),
        likeness,
    );
    is_right(
        "to the ear",
        codec,
        &measure::compare_looped(&speech, measure::trim_silence(&ear.0), band).unwrap(),
        likeness,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_on_opus() {
    speech_both_ways(Codec::Opus, Band::WIDE, 0.95).await;
}

/// The phone sent frames of 20 ms and 60 kbit/s whatever the offer's `b=` said.
#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_with_little_room_gets_longer_frames() {
    let fixed: fn(&mut Config) = |config| config.audio.longest_frame_ms = 20;
    for (bandwidth_kbps, max_ptime_ms, change, frame_ms, bitrate_bps) in [
        (None, None, None, 20.0, 40_000.0),
        (Some(32), None, None, 40.0, 22_000.0),
        (Some(32), Some(20), None, 20.0, 12_000.0),
        (Some(32), None, Some(fixed), 20.0, 12_000.0),
        // Enough for 20 ms, as long as nothing gets lost.
        (Some(50), None, None, 20.0, 30_000.0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(PhoneOptions {
            microphone: Some(measure::speech_wav(dir.path()).unwrap()),
            change,
            ..PhoneOptions::default()
        })
        .await;
        let leg = LegConfig {
            codecs: vec![Codec::Opus],
            bandwidth_kbps,
            max_ptime_ms,
            ..LegConfig::default()
        };
        let call = rig
            .answered(&InboundSpec {
                leg,
                ..InboundSpec::to(&rig.user)
            })
            .await;
        let report = rig.wait_media(&call, |leg| leg.packets_in >= 100).await;
        let leg = report.leg.unwrap();
        let what = format!("{bandwidth_kbps:?} kbit/s, {max_ptime_ms:?} ms");
        println!("{what}: {leg:?}");
        assert!((leg.frame_in_ms - frame_ms).abs() < 0.1, "{what}: {leg:?}");
        // Opus's rate is one over time, of speech with its pauses.
        let sent_bps = leg.bytes_in as f64 / leg.packets_in as f64 * 8_000.0 / frame_ms;
        assert!(sent_bps < 1.15 * bitrate_bps, "{what}: {sent_bps} bit/s");
        rig.hang_up(&call).await;
        rig.end().await;
    }
}

/// The receiver reports reached the encoder's bit rate, not its frames: half of what the far end has room for was headers.
#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_reports_loss_gets_longer_frames() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let leg = LegConfig {
        codecs: vec![Codec::Opus],
        bandwidth_kbps: Some(50),
        lost_in_percent: 33.0,
        ..LegConfig::default()
    };
    let call = rig
        .answered(&InboundSpec {
            leg,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    let report = rig
        .wait_media(&call, |leg| (leg.frame_in_ms - 60.0).abs() < 0.1)
        .await;
    let leg = report.leg.unwrap();
    println!("{leg:?}");
    assert!(leg.lost > 0, "{leg:?}");
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_on_pcmu() {
    speech_both_ways(Codec::Pcmu, Band::TELEPHONE, 0.95).await;
}
