//! A leg against a plain answering peer of the same stack: what is said is heard, both ways.

mod answerer;

use std::time::Duration;

use tokio::sync::mpsc;

use self::answerer::Answerer;
use super::*;
use crate::measure::{self, Band};

/// A tone of the answerer, far from the far end's 440 Hz.
const PHONE_HZ: f32 = 1_000.0;

/// A connected call.
struct Call {
    leg: Leg,
    events: mpsc::UnboundedReceiver<LegEvent>,
    phone: Answerer,
}

impl Call {
    async fn up(config: LegConfig) -> Self {
        Self::up_with(config, &[]).await
    }

    /// With an answerer that lacks some of the offered payload types.
    async fn up_with(config: LegConfig, lacking: &[u8]) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel();
        let leg = Leg::new(config, sender).await.unwrap();
        let offer = leg.offer().await.unwrap();
        let mut phone = Answerer::new(&offer, lacking).await;
        leg.answer(phone.answer()).await.unwrap();
        // Trickle in both directions until the connection stands.
        loop {
            tokio::select! {
                event = events.recv() => match event.expect("the leg ended") {
                    LegEvent::Candidate(candidate) => phone.candidate(&candidate).await,
                    LegEvent::Connected => break,
                    LegEvent::EndOfCandidates => {}
                    other => panic!("{other:?} before the connection"),
                },
                Some(candidate) = phone.candidates.recv() => {
                    leg.candidate(&candidate, "audio").await.unwrap();
                }
            }
        }
        Self { leg, events, phone }
    }

    async fn event(&mut self) -> LegEvent {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv());
            match event
                .await
                .expect("no event within 20 s")
                .expect("the leg ended")
            {
                LegEvent::Candidate(_) | LegEvent::EndOfCandidates => {}
                event => return event,
            }
        }
    }

    /// Waits until the report satisfies a condition.
    async fn until(&self, what: &str, condition: impl Fn(&LegReport) -> bool) -> LegReport {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let report = self.leg.report().await;
                if condition(&report) {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let Ok(report) = waited.await else {
            panic!("{what}: not within 20 s: {:#?}", self.leg.report().await)
        };
        report
    }
}

fn hears(level: &Level, hz: f32) -> bool {
    (level.dominant_hz - hz).abs() < 3.0 && level.purity > 0.97 && (level.dbfs + 20.0).abs() < 1.0
}

async fn tones_both_ways(codec: Codec) {
    let config = LegConfig {
        codecs: vec![codec],
        ..LegConfig::default()
    };
    let mut call = Call::up(config).await;
    call.phone.say_tone(codec, PHONE_HZ);
    assert_eq!(call.event().await, LegEvent::FirstMedia);
    let report = call
        .until("the phone's tone", |r| hears(&r.level_in, PHONE_HZ))
        .await;
    assert_eq!(report.state, LegState::Connected);
    assert_eq!(report.codec.as_deref(), Some(codec.name()));
    assert!(hears(&report.level_out, 440.0), "{report:#?}");
    assert_eq!(
        (report.lost, report.duplicates, report.error.as_deref()),
        (0, 0, None)
    );
    let times = [
        report.offered_at,
        report.answered_at,
        report.connected_at,
        report.first_packet_in_at,
        report.first_sound_in_at,
    ];
    assert!(
        times.is_sorted() && times.iter().all(Option::is_some),
        "{times:?}"
    );
    assert!(
        report.first_packet_out_at >= report.connected_at,
        "{report:#?}"
    );
    let heard = call.phone.heard(codec, 1.0).await;
    let figures = measure::tone(&heard[9_600..]).unwrap();
    assert!((figures.dominant_hz - 440.0).abs() < 3.0, "{figures:?}");
    assert!(
        (figures.dbfs + 20.0).abs() < 0.5 && figures.purity > 0.97,
        "{figures:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_are_heard_both_ways_in_opus() {
    tones_both_ways(Codec::Opus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_are_heard_both_ways_in_pcmu() {
    tones_both_ways(Codec::Pcmu).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_are_heard_both_ways_in_pcma() {
    tones_both_ways(Codec::Pcma).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_without_opus_is_spoken_to_in_what_it_has() {
    let mut call = Call::up_with(LegConfig::default(), &[111, 0, 110]).await;
    call.phone.say_tone(Codec::Pcma, PHONE_HZ);
    let report = call
        .until("the phone's tone", |r| hears(&r.level_in, PHONE_HZ))
        .await;
    assert_eq!(report.codec.as_deref(), Some("PCMA"));
    let heard = call.phone.heard(Codec::Pcma, 0.5).await;
    assert!((measure::tone(&heard[4_800..]).unwrap().dominant_hz - 440.0).abs() < 5.0);
    assert_eq!(call.leg.report().await.error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_returns_what_was_said() {
    let config = LegConfig {
        far_end: FarEndSource::Echo,
        ..LegConfig::default()
    };
    let mut call = Call::up(config).await;
    call.phone.say_tone(Codec::Opus, PHONE_HZ);
    call.until("the echo", |r| hears(&r.level_out, PHONE_HZ))
        .await;
    let heard = call.phone.heard(Codec::Opus, 1.0).await;
    assert!(measure::level_dbfs(&heard) > -40.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_speech_arrives_faithfully() {
    let folder = tempfile::tempdir().unwrap();
    let speech = measure::speech().unwrap();
    let far_end = FarEndSource::Wav(measure::speech_wav(folder.path()).unwrap());
    for (codec, band) in [(Codec::Opus, Band::WIDE), (Codec::Pcmu, Band::TELEPHONE)] {
        let config = LegConfig {
            codecs: vec![codec],
            far_end: far_end.clone(),
            ..LegConfig::default()
        };
        let mut call = Call::up(config).await;
        call.phone.say(codec, speech.clone());
        let heard = call.phone.heard(codec, 5.0).await;
        let to_phone = measure::compare_looped(&speech, &heard, band).unwrap();
        let recording = call.leg.recording().await;
        let to_far_end = measure::compare_looped(&speech, &recording, band).unwrap();
        for comparison in [to_phone, to_far_end] {
            assert!(
                comparison.spectral_correlation > 0.93,
                "{codec:?} {comparison:?}"
            );
            assert!(
                comparison.level_difference_db.abs() < 1.0,
                "{codec:?} {comparison:?}"
            );
            assert!(comparison.longest_gap_ms < 20.0, "{codec:?} {comparison:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digits_are_heard_once_each() {
    for (codecs, payload_type, rate) in [
        (vec![Codec::Opus, Codec::Pcmu], 110, 48_000),
        (vec![Codec::Pcmu], 101, 8_000),
    ] {
        let codec = codecs[0];
        let mut call = Call::up(LegConfig {
            codecs,
            ..LegConfig::default()
        })
        .await;
        call.phone.dial("12#", codec, payload_type);
        let mut digits = String::new();
        while digits.len() < 3 {
            match call.event().await {
                LegEvent::Dtmf(digit) => digits.push(digit),
                LegEvent::FirstMedia => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(digits, "12#", "{rate}");
        let report = call.leg.report().await;
        assert_eq!(report.dtmf.len(), 3);
        assert!(
            report
                .dtmf
                .iter()
                .all(|d| (d.duration_ms - 100.0).abs() < 1.0),
            "{:?}",
            report.dtmf
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_silences_both_sides_and_mute_one() {
    let call = Call::up(LegConfig::default()).await;
    call.phone.say_tone(Codec::Opus, PHONE_HZ);
    call.until("the tone", |r| hears(&r.level_in, PHONE_HZ))
        .await;
    call.leg.set_muted(true).await;
    let muted = call
        .until("silence by mute", |r| r.level_in.dbfs < -90.0)
        .await;
    assert!(muted.muted && hears(&muted.level_out, 440.0), "{muted:#?}");
    call.leg.set_muted(false).await;
    call.until("the tone again", |r| hears(&r.level_in, PHONE_HZ))
        .await;
    call.leg.set_held(true).await;
    let held = call
        .until("silence by hold", |r| {
            r.level_in.dbfs < -90.0 && r.level_out.dbfs < -90.0
        })
        .await;
    assert!(held.held && held.concealed_frames == 0, "{held:#?}");
    call.leg.set_held(false).await;
    call.until("both tones", |r| {
        hears(&r.level_in, PHONE_HZ) && hears(&r.level_out, 440.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_offer_changes_direction_and_back() {
    let mut call = Call::up(LegConfig::default()).await;
    call.phone.say_tone(Codec::Opus, PHONE_HZ);
    call.until("the tone", |r| hears(&r.level_in, PHONE_HZ))
        .await;
    let offer = call.leg.reoffer(false, Direction::RecvOnly).await.unwrap();
    assert!(offer.contains("a=recvonly"), "{offer}");
    let answer = call.phone.renegotiate(&offer).await;
    call.leg.answer(&answer).await.unwrap();
    let quiet = call.leg.report().await.packets_out;
    call.until("some packets in", |r| r.packets_in > 100).await;
    assert!(call.leg.report().await.packets_out <= quiet + 3);
    let offer = call.leg.reoffer(false, Direction::SendRecv).await.unwrap();
    let answer = call.phone.renegotiate(&offer).await;
    call.leg.answer(&answer).await.unwrap();
    call.until("packets out again", |r| r.packets_out > quiet + 20)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_far_end_can_change_its_words() {
    let call = Call::up(LegConfig::default()).await;
    call.until("440 Hz", |r| hears(&r.level_out, 440.0)).await;
    call.leg
        .set_far_end("tone:660".parse().unwrap())
        .await
        .unwrap();
    call.until("660 Hz", |r| hears(&r.level_out, 660.0)).await;
    let error = call
        .leg
        .set_far_end(FarEndSource::Wav("/nonexistent.wav".into()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nonexistent.wav"));
    assert!(call.leg.set_far_end(FarEndSource::Browser).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_trip_and_loss_come_from_rtcp() {
    let call = Call::up(LegConfig::default()).await;
    call.phone.say_tone(Codec::Opus, PHONE_HZ);
    let report = call.until("a round trip", |r| r.rtt_ms.is_some()).await;
    assert!(report.rtt_ms.unwrap() < 1_000.0, "{report:#?}");
    assert_eq!(report.remote_lost, Some(0));
    assert!(report.rtcp_in > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_leg_says_so_last() {
    let mut call = Call::up(LegConfig::default()).await;
    call.leg.close().await;
    loop {
        if call.event().await == LegEvent::Closed {
            break;
        }
    }
    assert!(call.events.try_recv().is_err());
    assert_eq!(call.leg.report().await.state, LegState::Closed);
}

#[tokio::test]
async fn the_offer_is_the_clouds() {
    let (sender, _events) = mpsc::unbounded_channel();
    let leg = Leg::new(LegConfig::default(), sender).await.unwrap();
    let offer = leg.offer().await.unwrap();
    for line in [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 110",
        "a=mid:audio",
        "a=group:BUNDLE audio",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=sendrecv",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:110 telephone-event/48000",
    ] {
        assert!(
            offer.contains(&format!("{line}\r\n")),
            "{line} is not in\n{offer}"
        );
    }
    assert_eq!(offer.matches("telephone-event").count(), 1);
    assert_eq!(offer.matches("m=").count(), 1);
    assert!(
        !offer.contains("a=candidate") && !offer.contains("sdes:mid"),
        "{offer}"
    );
}

async fn candidates(config: LegConfig) -> Vec<String> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let leg = Leg::new(config, sender).await.unwrap();
    leg.offer().await.unwrap();
    let mut candidates = Vec::new();
    loop {
        match events.recv().await.unwrap() {
            LegEvent::Candidate(candidate) => candidates.push(candidate),
            LegEvent::EndOfCandidates => return candidates,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn candidates_cover_loopback_and_end() {
    let candidates = candidates(LegConfig::default()).await;
    assert!(
        candidates.iter().any(|c| c.contains(" 127.0.0.1 ")),
        "{candidates:?}"
    );
    assert!(
        candidates
            .iter()
            .all(|c| c.starts_with("candidate:") && !c.contains(" 0.0.0.0 "))
    );
}

#[tokio::test]
async fn candidates_say_where_an_emulated_phone_reaches_loopback() {
    let config = LegConfig {
        reached_at: Some([10, 0, 2, 2].into()),
        ..LegConfig::default()
    };
    let candidates = candidates(config).await;
    // Another address of the host beside it, and calls of the emulated phone fail now and then.
    assert!(!candidates.is_empty());
    assert!(
        candidates.iter().all(|c| c.contains(" 10.0.2.2 ")),
        "{candidates:?}"
    );
}

#[tokio::test]
async fn wrong_answers_and_configurations_are_refused() {
    let (sender, _events) = mpsc::unbounded_channel();
    let none = LegConfig {
        codecs: Vec::new(),
        ..LegConfig::default()
    };
    assert!(Leg::new(none, sender.clone()).await.is_err());
    let leg = Leg::new(LegConfig::default(), sender).await.unwrap();
    assert!(
        leg.answer("v=0\r\n")
            .await
            .unwrap_err()
            .to_string()
            .contains("without an offer")
    );
    let offer = leg.offer().await.unwrap();
    // An offer is no answer to itself: its setup is actpass.
    assert!(
        leg.answer(&offer)
            .await
            .unwrap_err()
            .to_string()
            .contains("actpass")
    );
    assert!(leg.candidate("candidate:x", "audio").await.is_err());
}

#[test]
fn far_ends_are_read_and_written_as_text() {
    for text in ["tone:440,-20", "wav:/a b.wav", "echo", "silence", "browser"] {
        let source: FarEndSource = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(serde_json::from_str::<FarEndSource>(&json).unwrap(), source);
    }
    assert_eq!(
        "tone:440".parse::<FarEndSource>().unwrap(),
        FarEndSource::default()
    );
    for wrong in [
        "",
        "tone",
        "tone:x",
        "tone:5",
        "tone:440,3",
        "wav:",
        "echo:1",
        "music",
    ] {
        assert!(wrong.parse::<FarEndSource>().is_err(), "{wrong}");
    }
    let config: LegConfig = serde_json::from_str(r#"{"codecs":["pcmu"],"farEnd":"echo"}"#).unwrap();
    assert_eq!(
        (config.codecs, config.far_end),
        (vec![Codec::Pcmu], FarEndSource::Echo)
    );
    assert!(serde_json::from_str::<LegConfig>(r#"{"codec":"pcmu"}"#).is_err());
}
