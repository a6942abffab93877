use super::*;

const OWN: u32 = 7;
const FAR: u32 = 9;

fn meter() -> Meter {
    Meter::new(OWN, "cname".into())
}

fn at(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

/// Feeds sequence numbers, 20 ms apart; returns received, lost and the fraction reported.
fn check(sequences: &[u16], received: u64, lost: i64) {
    let mut meter = meter();
    let start = Instant::now();
    for (index, sequence) in sequences.iter().enumerate() {
        let now = at(start, 20 * index as u64);
        meter.received(now, FAR, *sequence, 960 * index as u32, true);
    }
    let statistics = meter.statistics();
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost),
        (received, lost),
        "{sequences:?}"
    );
}

#[test]
fn loss_is_expected_minus_received() {
    check(&[1, 2, 3], 3, 0);
    check(&[1, 2, 4, 5], 4, 1);
    check(&[1, 3, 2, 4], 4, 0); // reordered
    check(&[1, 2, 2, 3], 4, -1); // doubled: A.3 lets the loss be negative
    check(&[0, 1, 2], 3, 0);
    check(&[65_534, 65_535, 0, 1], 4, 0); // wrapped
    check(&[65_534, 1, 2], 3, 2); // lost over the wrap
    check(&[0, 65_535, 1], 3, -1); // one from before the first
    check(&[10, 11, 30_000, 30_001, 30_002], 4, 0); // the sender began anew; its first packet is not counted
    check(&[10, 30_000, 11, 12], 3, 0); // a stray packet does not restart
}

#[test]
fn a_changed_source_goes_on_counting() {
    let mut meter = meter();
    let start = Instant::now();
    meter.received(start, FAR, 1, 0, true);
    meter.received(start, FAR, 3, 0, true);
    meter.received(start, FAR + 1, 500, 0, true);
    let statistics = meter.statistics();
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost),
        (3, 1)
    );
}

#[test]
fn jitter_follows_the_standard() {
    let mut meter = meter();
    meter.answered(Instant::now(), 8_000);
    let start = Instant::now();
    // Every second packet is 10 ms late: |D| is 10 ms each time, and J goes towards it by sixteenths.
    let mut expected = 0.0;
    for index in 0..100u16 {
        let late = u64::from(index % 2) * 10;
        meter.received(
            at(start, 20 * u64::from(index) + late),
            FAR,
            index,
            160 * u32::from(index),
            true,
        );
        if index > 0 {
            expected += (10.0 - expected) / 16.0;
        }
    }
    let jitter = meter.statistics().jitter_ms;
    assert!(
        (jitter - expected).abs() < 0.01,
        "{jitter} is not {expected}"
    );
}

#[test]
fn key_tones_do_not_count_as_jitter() {
    let mut meter = meter();
    let start = Instant::now();
    for index in 0..50u16 {
        // The timestamp of a key tone stands still.
        let (timestamp, timed) = if index < 10 {
            (960 * u32::from(index), true)
        } else {
            (9_600, false)
        };
        meter.received(
            at(start, 20 * u64::from(index)),
            FAR,
            index,
            timestamp,
            timed,
        );
    }
    let statistics = meter.statistics();
    assert_eq!(statistics.packets_received, 50);
    assert!(statistics.jitter_ms < 0.001, "{}", statistics.jitter_ms);
}

#[test]
fn the_round_trip_is_read_from_sender_reports_too() {
    for from_sender_report in [true, false] {
        let mut meter = meter();
        let start = Instant::now();
        meter.sent(start, 960, 80);
        let report = meter.report(start, SystemTime::now());
        let own = report[0]
            .as_any()
            .downcast_ref::<SenderReport>()
            .expect("we have sent");
        let block = ReceptionReport {
            ssrc: OWN,
            fraction_lost: 64,
            last_sender_report: middle_bits(own.ntp_time),
            delay: 65_536 / 2, // the far end waited half a second
            ..Default::default()
        };
        let reports = vec![block];
        let packet: Box<dyn RtcpPacket> = if from_sender_report {
            Box::new(SenderReport {
                ssrc: FAR,
                reports,
                ..Default::default()
            })
        } else {
            Box::new(ReceiverReport {
                ssrc: FAR,
                reports,
                ..Default::default()
            })
        };
        meter.control(at(start, 580), &[packet]);
        let statistics = meter.statistics();
        let rtt = statistics.rtt_ms.expect("measured");
        assert!((rtt - 80.0).abs() < 0.1, "{rtt}");
        assert_eq!(statistics.rtt_count, 1);
        assert_eq!(statistics.remote_loss_percent, Some(25.0));
    }
}

#[test]
fn reports_that_are_not_about_us_or_not_in_answer_to_us_are_ignored() {
    let mut meter = meter();
    let start = Instant::now();
    meter.sent(start, 960, 80);
    let _ = meter.report(start, SystemTime::now());
    let blocks =
        [(OWN + 1, 0), (OWN, 0), (OWN, 12_345)].map(|(ssrc, last_sender_report)| ReceptionReport {
            ssrc,
            last_sender_report,
            delay: u32::MAX,
            ..Default::default()
        });
    let packet = ReceiverReport {
        ssrc: FAR,
        reports: blocks.to_vec(),
        ..Default::default()
    };
    meter.control(at(start, 100), &[Box::new(packet)]);
    assert_eq!(meter.statistics().rtt_ms, None);
}

#[test]
fn a_report_says_what_was_heard() {
    let mut meter = meter();
    let start = Instant::now();
    for sequence in [1u16, 2, 4] {
        meter.received(at(start, 20), FAR, sequence, 0, false);
    }
    let far = SenderReport {
        ssrc: FAR,
        ntp_time: 0x1111_2222_3333_4444,
        ..Default::default()
    };
    meter.control(at(start, 100), &[Box::new(far)]);
    let compound = meter.report(at(start, 350), SystemTime::now());
    let report = compound[0]
        .as_any()
        .downcast_ref::<ReceiverReport>()
        .expect("we have sent nothing");
    let block = &report.reports[0];
    assert_eq!(block.ssrc, FAR);
    assert_eq!(block.total_lost, 1);
    assert_eq!(block.fraction_lost, 64); // one of four
    assert_eq!(block.last_sequence_number, 4);
    assert_eq!(block.last_sender_report, 0x2222_3333);
    assert_eq!(block.delay, 65_536 / 4);
    let name = compound[1]
        .as_any()
        .downcast_ref::<SourceDescription>()
        .expect("a compound packet names its source");
    assert_eq!(name.chunks[0].source, OWN);
    // The next interval has lost nothing.
    let again = meter.report(at(start, 400), SystemTime::now());
    let report = again[0]
        .as_any()
        .downcast_ref::<ReceiverReport>()
        .expect("still nothing sent");
    assert_eq!(report.reports[0].fraction_lost, 0);
}

#[test]
fn the_connect_time_is_measured_once() {
    let mut meter = meter();
    let start = Instant::now();
    meter.answered(start, 48_000);
    assert!(meter.connection(at(start, 5), ConnectionState::Connecting));
    assert!(meter.connection(at(start, 15), ConnectionState::Connected));
    assert!(!meter.connection(at(start, 16), ConnectionState::Connected));
    assert!(meter.connection(at(start, 5000), ConnectionState::Disconnected));
    assert!(meter.connection(at(start, 6000), ConnectionState::Connected));
    assert_eq!(
        meter.statistics().connect_time,
        Some(Duration::from_millis(15))
    );
    assert!(meter.connection(at(start, 7000), ConnectionState::Closed));
    assert!(
        !meter.connection(at(start, 7001), ConnectionState::Disconnected),
        "closed is for good"
    );
}
