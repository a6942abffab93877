//! Recovery, on scripted ports. Opening and negotiation are tested against ALSA's own plugins in
//! `tests/alsa.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::port::{EPIPE, ESTRPIPE};
use super::*;

type Log = Arc<Mutex<Vec<String>>>;

/// A direction that notes each call, and fails where the script says.
#[derive(Debug)]
struct Scripted {
    direction: Direction,
    log: Log,
    /// Error numbers of the coming reads or writes of sound (not of silence); 0 is a success.
    script: VecDeque<i32>,
}

impl Scripted {
    fn note(&self, what: &str) {
        let way = self.direction;
        self.log.lock().unwrap().push(format!("{way} {what}"));
    }

    fn step(&mut self, what: &'static str) -> Result<(), Fault> {
        match self.script.pop_front() {
            None | Some(0) => Ok(()),
            Some(TIMEOUT) => Err(Fault {
                direction: self.direction,
                what,
                errno: 0,
            }),
            Some(errno) => Err(Fault {
                direction: self.direction,
                what,
                errno,
            }),
        }
    }
}

/// What the phone asks for.
const CARD: Hardware = Hardware {
    rate_hz: RATE_HZ,
    channels: 1,
    encoding: format::Encoding::S16,
    period_frames: PERIOD_FRAMES,
    buffer_frames: BUFFER_FRAMES,
    card: Some(9),
};
const TIMEOUT: i32 = -1;
const ENODEV: i32 = 19;

impl Port for Scripted {
    fn name(&self) -> Arc<str> {
        "hw:9".into()
    }
    fn hardware(&self) -> Hardware {
        CARD
    }
    fn prepare(&self) -> Result<(), Fault> {
        self.note("prepare");
        Ok(())
    }
    fn start(&self) -> Result<(), Fault> {
        self.note("start");
        Ok(())
    }
    fn drop_frames(&self) {
        self.note("drop");
    }
    fn resume(&self, _: Duration) {
        self.note("resume");
    }
    fn gone(&self) -> Option<Fault> {
        None
    }
    fn delay(&self) -> Result<u32, Fault> {
        Ok(match self.direction {
            Direction::Capture => 3,
            Direction::Playback => 960,
        })
    }
    fn queued(&self) -> Result<u32, Fault> {
        Ok(480)
    }
    fn wait_for_room(&self, _: Duration) -> Result<(), Fault> {
        self.note("room");
        Ok(())
    }
    fn read(&mut self, samples: &mut [f32], _: Duration) -> Result<(), Fault> {
        self.note("read");
        self.step("capturing")?;
        samples.fill(0.25);
        Ok(())
    }
    fn write(&mut self, samples: &[f32], _: Duration) -> Result<(), Fault> {
        if samples[0] == 0.0 {
            self.note("silence");
            return Ok(());
        }
        self.note("write");
        self.step("playing")
    }
}

/// A started device with these scripts, and its log from then on.
fn device(capture: Option<&[i32]>, playback: Option<&[i32]>) -> (AlsaDuplex, Log) {
    let log = Log::default();
    let port = |direction, script: &[i32]| -> Box<dyn Port> {
        let script = script.iter().copied().collect();
        Box::new(Scripted {
            direction,
            log: Arc::clone(&log),
            script,
        })
    };
    let mut device = AlsaDuplex::join(
        capture.map(|script| port(Direction::Capture, script)),
        playback.map(|script| port(Direction::Playback, script)),
        capture.map(|_| PERIOD_FRAMES),
        true,
    )
    .unwrap();
    device.start().unwrap();
    log.lock().unwrap().clear();
    (device, log)
}

fn exchange(device: &mut AlsaDuplex) -> Result<PeriodReport, AudioError> {
    device.exchange(&[7; PERIOD_FRAMES], &mut [0; PERIOD_FRAMES])
}

#[test]
fn playback_is_primed_and_started_before_capture() {
    let (mut device, log) = device(Some(&[]), Some(&[]));
    device.start().unwrap();
    assert_eq!(
        *log.lock().unwrap(),
        [
            "playback drop",
            "capture drop",
            "capture prepare",
            "playback prepare",
            "playback silence",
            "playback silence",
            "playback start",
            "capture start"
        ]
    );
}

#[test]
fn a_good_exchange_reads_then_writes() {
    let (mut device, log) = device(Some(&[]), Some(&[]));
    let report = exchange(&mut device).unwrap();
    assert_eq!(
        report,
        PeriodReport {
            xruns: 0,
            capture_delay_frames: 3,
            playback_delay_frames: 960,
            restarted: false
        }
    );
    assert_eq!(*log.lock().unwrap(), ["capture read", "playback write"]);
}

#[test]
fn xruns_of_either_direction_restart_both_and_are_counted() {
    for (capture, playback, expected) in [
        (&[EPIPE, 0][..], &[0][..], 1),
        (&[0, 0], &[EPIPE, 0], 1),
        (&[EPIPE, 0, 0], &[EPIPE, 0], 2),
        (&[EPIPE, EPIPE, EPIPE, 0], &[0], 3),
    ] {
        let (mut device, log) = device(Some(capture), Some(playback));
        let report = exchange(&mut device).unwrap();
        assert_eq!((report.xruns, report.restarted), (expected, true));
        let log = log.lock().unwrap();
        let starts = log.iter().filter(|line| line.ends_with("start")).count();
        assert_eq!(starts, 2 * expected as usize, "{log:?}");
        drop(log);
        assert_eq!(exchange(&mut device).unwrap().xruns, 0, "counted once");
    }
}

/// With 20 ms it failed at each exchange for ever, where a sound server took them all at once.
#[test]
fn more_is_queued_where_xruns_follow_each_other() {
    let queued = |playback: &[i32], exchanges: u32| {
        let (mut device, log) = device(Some(&[]), Some(playback));
        for _ in 0..exchanges {
            exchange(&mut device).unwrap();
        }
        log.lock().unwrap().clear();
        device.start().unwrap();
        let silence = |line: &&String| line.ends_with("silence");
        log.lock().unwrap().iter().filter(silence).count()
    };
    assert_eq!(queued(&[], 1), 2);
    assert_eq!(queued(&[EPIPE], 1), 2, "once");
    assert_eq!(queued(&[EPIPE, 0, EPIPE], 2), 3, "again");
    let mut seldom = [0; 252];
    (seldom[0], seldom[250]) = (EPIPE, EPIPE);
    assert_eq!(queued(&seldom, 251), 2, "not for long");
    assert_eq!(queued(&[EPIPE; 20], 1), 3, "a period must have room");
}

#[test]
fn a_suspended_card_is_resumed_first() {
    let (mut device, log) = device(Some(&[ESTRPIPE, 0]), Some(&[0]));
    let report = exchange(&mut device).unwrap();
    assert_eq!((report.xruns, report.restarted), (1, true));
    let log = log.lock().unwrap();
    assert_eq!(log[1..3], ["playback resume", "capture resume"], "{log:?}");
}

#[test]
fn a_dead_or_unplugged_card_is_an_error_until_started_again() {
    for (capture, playback, direction, errno) in [
        (&[TIMEOUT][..], &[][..], "capture", 0),
        (&[ENODEV], &[], "capture", ENODEV),
        (&[0], &[ENODEV], "playback", ENODEV),
        (&[EPIPE; 60], &[], "capture", EPIPE),
    ] {
        let (mut device, _log) = device(Some(capture), Some(playback));
        let error = exchange(&mut device).unwrap_err();
        let AudioError::Lost {
            errno: got,
            direction: way,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((*got, way.to_string().as_str()), (errno, direction));
        assert!(
            error.to_string().contains("device \"hw:9\" was lost"),
            "{error}"
        );
        assert!(matches!(exchange(&mut device), Err(AudioError::NotStarted)));
        device.start().unwrap();
    }
}

#[test]
fn one_direction_alone_is_paced_by_itself() {
    let (mut capture_only, log) = device(Some(&[]), None);
    assert_eq!(exchange(&mut capture_only).unwrap().capture_delay_frames, 3);
    assert_eq!(*log.lock().unwrap(), ["capture read"]);
    let (mut playback_only, log) = device(None, Some(&[]));
    assert_eq!(
        exchange(&mut playback_only).unwrap().playback_delay_frames,
        960
    );
    assert_eq!(*log.lock().unwrap(), ["playback room", "playback write"]);
}

#[test]
fn as_much_is_queued_as_the_longer_period_needs() {
    let with = |period_frames, buffer_frames| Hardware {
        period_frames,
        buffer_frames,
        ..CARD
    };
    for (playback, captured_at_once, expected) in [
        (CARD, Some(PERIOD_FRAMES), 960),
        (with(240, 1920), Some(480), 960),
        (with(480, 4096), Some(1024), 2048),
        (with(1024, 4096), None, 2048),
        (with(1024, 2048), Some(480), 1568),
        (with(480, 960), Some(480), 480),
    ] {
        assert_eq!(primed(&playback, captured_at_once), expected, "{playback}");
    }
    let slow = Hardware {
        rate_hz: 16_000,
        period_frames: 256,
        buffer_frames: 1024,
        ..CARD
    };
    assert_eq!(primed(&slow, Some(480)), 1536);
}
