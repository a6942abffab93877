use super::*;
use CodecKind::{Opus, Pcmu};

const CONFIGURED: Tuning = Tuning {
    bitrate_bps: 40_000,
    expected_loss_percent: 10,
};
const FREE: SendLimits = SendLimits {
    longest_ms: 60,
    bandwidth_bps: 0,
    rtp_bps: 0,
    codec_bps: 0,
};

/// A call with these limits of the far end's, and frames of 20 ms agreed on.
fn call(codec: CodecKind, limits: SendLimits) -> (Adaptation, Feedback) {
    let feedback = Feedback::default();
    feedback.limit(limits);
    let mut adaptation = Adaptation::new(CONFIGURED);
    adaptation.restart(&feedback, codec, 20, 0);
    (adaptation, feedback)
}

/// After these reports, without a limit.
fn tuned(reports: &[f64]) -> Tuning {
    let feedback = Feedback::default();
    let mut adaptation = Adaptation::new(CONFIGURED);
    let mut tuning = CONFIGURED;
    for &report in reports {
        feedback.reported(report);
        tuning = adaptation.follow(&feedback).unwrap();
        assert_eq!(adaptation.follow(&feedback), None, "once per report");
        assert_eq!(adaptation.frame_ms(), 20, "there is no limit");
    }
    tuning
}

#[test]
fn follows_the_reports() {
    let cases: [(&[f64], u32, u8); 6] = [
        (&[], 40_000, 10),
        (&[0.0; 20], 40_000, 3),
        (
            &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0],
            40_000,
            6,
        ),
        (&[0.0, 0.0, 0.0, 20.0], 29_090, 20),
        (&[100.0], 20_000, 30),
        (&[f64::NAN, -5.0], 40_000, 6),
    ];
    for (reports, bitrate_bps, expected_loss_percent) in cases {
        let tuning = tuned(reports);
        // The rest is a rounding of single precision.
        assert!(
            tuning.bitrate_bps.abs_diff(bitrate_bps) <= 1,
            "{reports:?}: {tuning:?}"
        );
        assert_eq!(
            tuning.expected_loss_percent, expected_loss_percent,
            "{reports:?}"
        );
    }
}

/// Before, only the configuration's limit counted, and what the far end wrote in its offer was not read.
#[test]
fn every_limit_is_kept_with_its_headers() {
    let whole = |bandwidth_bps| SendLimits {
        bandwidth_bps,
        ..FREE
    };
    let rtp = |rtp_bps| SendLimits { rtp_bps, ..FREE };
    let voice = |codec_bps| SendLimits { codec_bps, ..FREE };
    let at_most = |longest_ms, bandwidth_bps| SendLimits {
        longest_ms,
        bandwidth_bps,
        ..FREE
    };
    // Of the configuration, agreed on, of the far end; then the frame, and what is left for the codec.
    for (configured, agreed_ms, limits, frame_ms, bitrate_bps) in [
        (0, 10, FREE, 10, 40_000),
        (100_000, 10, FREE, 10, 40_000),
        (64_000, 10, FREE, 10, 24_000),
        (50_000, 10, FREE, 20, 30_000),
        (32_000, 20, FREE, 40, 22_000),
        (24_000, 20, FREE, 60, 17_334),
        (16_000, 20, FREE, 60, 9_334),
        (0, 20, whole(32_000), 40, 22_000),
        (40_000, 20, whole(32_000), 40, 22_000),
        (32_000, 20, whole(40_000), 40, 22_000),
        (0, 60, whole(100_000), 60, 40_000),
        (0, 20, rtp(32_000), 20, 23_200),
        (0, 20, rtp(24_000), 60, 21_067),
        (0, 20, voice(24_000), 20, 24_000),
        // A low bit rate does not get higher by longer frames.
        (0, 20, voice(12_000), 20, 12_000),
        (36_000, 20, voice(12_000), 20, 12_000),
        (0, 20, at_most(20, 32_000), 20, 12_000),
        (0, 20, at_most(40, 16_000), 40, 6_000),
        (0, 20, at_most(0, 16_000), 20, 6_000),
        (0, 40, at_most(20, 16_000), 40, 6_000),
    ] {
        let what = format!("{configured} bit/s, {agreed_ms} ms, {limits:?}");
        let feedback = Feedback::default();
        feedback.limit(limits);
        let mut adaptation = Adaptation::new(CONFIGURED);
        let tuning = adaptation.restart(&feedback, CodecKind::Opus, agreed_ms, configured);
        assert_eq!(adaptation.frame_ms(), frame_ms, "{what}");
        assert_eq!(tuning.bitrate_bps, bitrate_bps, "{what}");
        for lost in [0.0, 30.0, 0.0] {
            feedback.reported(lost);
            let tuning = adaptation.follow(&feedback).unwrap();
            let frame_ms = u32::from(adaptation.frame_ms());
            let least = tuning.bitrate_bps == CODEC_LEAST_BPS;
            for (limit, header_bytes) in [
                (configured, HEADER_BYTES),
                (limits.bandwidth_bps, HEADER_BYTES),
                (limits.rtp_bps, RTP_BYTES),
                (limits.codec_bps, 0),
            ] {
                let sent = tuning.bitrate_bps + header_bytes * 8000 / frame_ms;
                assert!(limit == 0 || sent <= limit || least, "{what}: {sent} bit/s");
            }
        }
    }
}

/// Much is lost once, and nothing after that: 22.5 percent are believed in, 16.9, 12.7, 9.5, 7.1 ...
const RECOVERS: [f64; 10] = [30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

/// It stayed what it was at the call's start, whatever was reported.
#[test]
fn the_frame_follows_what_is_lost_where_there_is_a_limit() {
    let within = |bandwidth_bps| SendLimits {
        bandwidth_bps,
        ..FREE
    };
    // Limits, reports; then the frame after each of them.
    let cases: [(_, _, &[f64], &[u8]); 12] = [
        (Opus, FREE, &[0.0, 30.0, 30.0], &[20, 20, 20]),
        // Half of it still has room for headers of 20 ms.
        (Opus, within(80_000), &[0.0, 30.0, 100.0], &[20, 20, 20]),
        (Opus, within(64_000), &[0.0, 5.0, 30.0], &[20, 20, 40]),
        (Opus, within(50_000), &[0.0, 10.0, 30.0], &[20, 20, 60]),
        (Opus, within(44_000), &[0.0, 10.0, 20.0], &[20, 20, 40]),
        // As long as the far end takes them, and no longer.
        (
            Opus,
            SendLimits {
                longest_ms: 40,
                ..within(50_000)
            },
            &[30.0],
            &[40],
        ),
        (
            Opus,
            SendLimits {
                longest_ms: 20,
                ..within(50_000)
            },
            &[30.0],
            &[20],
        ),
        // Nothing is won by longer frames of a codec that has no other rate.
        (Pcmu, within(90_000), &[0.0, 30.0], &[20, 20]),
        (Pcmu, within(80_000), &[0.0, 30.0], &[40, 40]),
        (Pcmu, within(64_000), &[0.0], &[20]),
        // What was long enough before the loss is so after it.
        (
            Opus,
            within(32_000),
            &RECOVERS,
            &[60, 60, 60, 60, 60, 60, 60, 60, 60, 40],
        ),
        (
            Opus,
            within(44_000),
            &RECOVERS,
            &[60, 60, 60, 60, 60, 60, 20, 20, 20, 20],
        ),
    ];
    for (codec, limits, reports, frames) in cases {
        let (mut adaptation, feedback) = call(codec, limits);
        let seen: Vec<u8> = reports
            .iter()
            .map(|&lost| {
                feedback.reported(lost);
                adaptation.follow(&feedback).unwrap();
                adaptation.frame_ms()
            })
            .collect();
        assert_eq!(seen, frames, "{codec:?} {limits:?} {reports:?}");
    }
}

#[test]
fn the_frame_gets_shorter_only_after_a_while_and_does_not_flap() {
    let limits = SendLimits {
        bandwidth_bps: 64_000,
        ..FREE
    };
    let (mut adaptation, feedback) = call(CodecKind::Opus, limits);
    let mut report = |lost| {
        feedback.reported(lost);
        adaptation.follow(&feedback).unwrap();
        adaptation.frame_ms()
    };
    assert_eq!(report(30.0), 40);
    // The loss is believed in less and less: 22.5, 16.9, 12.7...; from 16.9 on there is room for a quarter more.
    let frames: Vec<u8> = (0..7).map(|_| report(0.0)).collect();
    assert_eq!(frames, [40, 40, 40, 40, 40, 20, 20]);
    // A network that loses something in each other report has one change, not a hundred.
    let mut changes = 0;
    let mut before = report(0.0);
    for n in 0..200 {
        let now = report(if n % 2 == 0 { 28.0 } else { 0.0 });
        changes += u32::from(now != before);
        before = now;
    }
    assert_eq!((changes, before), (1, 40));
}

#[test]
fn other_limits_count_at_once_within_the_call() {
    let (mut adaptation, feedback) = call(CodecKind::Opus, FREE);
    for (bandwidth_bps, frame_ms, bitrate_bps) in
        [(32_000, 40, 22_000), (24_000, 60, 17_334), (0, 20, 40_000)]
    {
        feedback.limit(SendLimits {
            bandwidth_bps,
            ..FREE
        });
        let tuning = adaptation.follow(&feedback).unwrap();
        assert_eq!(
            (adaptation.frame_ms(), tuning.bitrate_bps),
            (frame_ms, bitrate_bps)
        );
        assert_eq!(adaptation.follow(&feedback), None);
    }
}

#[test]
fn another_call_begins_as_configured() {
    let (mut adaptation, feedback) = call(
        CodecKind::Opus,
        SendLimits {
            bandwidth_bps: 50_000,
            ..FREE
        },
    );
    feedback.reported(50.0);
    adaptation.follow(&feedback);
    assert_eq!(adaptation.frame_ms(), 60);
    feedback.reported(50.0);
    feedback.limit(FREE);
    assert_eq!(
        adaptation.restart(&feedback, CodecKind::Opus, 20, 0),
        CONFIGURED
    );
    assert_eq!(adaptation.frame_ms(), 20);
    assert_eq!(adaptation.follow(&feedback), None);
}
