//! The whole real-time thread: `audio::thread`'s loop with the engine or the ringer, and the ALSA back end below it with
//! its resamplers, through calls, changes of the path, loss, xruns and all ways a device can be lost.
//!
//! What is watched: everything on that thread from before the device's first start to the call that hands device and
//! engine back, for allocations also while the device stands still. Exempt are
//! - opening a device, which another thread does, beside a running stream or when there is none;
//! - the thread's birth, with what it asks of the kernel before its stream starts (`audio::realtime`);
//! - the end: the message that hands device and engine back, of a stream that is over;
//! - for system calls also the start of the device, which prepares it, and the sleep of a thread whose device stands still.
//!
//! There is no card in a test: devices are alsa-lib's own plugins, which never wait, so that sound goes by as fast as it
//! is made. A child process has them, because alsa-lib reads its configuration once in a process.

use crate::faults::{self, EAGAIN, ENODEV, EPIPE, ESTRPIPE, Faults};
use crate::script::Script;
use crate::trap::{self, Allowed};
use offhook::audio::thread::{Ended, Worker, spawn};
use offhook::audio::{
    AudioCommand, EngineConfig, Ringer, RingerControl, Sleeper, TonePlan, pipeline, ringer,
};
use offhook_hal::audio::{
    AudioError, DuplexAudio, DuplexSpec, Period, PeriodReport, StreamFormat, open,
};
use std::ffi::c_long;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

const CHILD: &str = "OFFHOOK_THREAD_TEST";
const CASE: &str = "OFFHOOK_THREAD_CASE";
/// Ends a child whose device goes on although it should have failed.
const TOO_LONG: i32 = 71;
/// Ends a child that has allocated, or has not done what it was to do.
const ALLOCATED: i32 = 72;

/// Capture, playback.
type Devices = (&'static str, &'static str);

/// Of this rate and period; of another rate, format and number of channels; one without a microphone; files. Playback
/// beside a capture goes through a resampler in any case, because plugins have no clock in common.
const DEVICES: [Devices; 5] = [
    ("alsa:null", "alsa:null"),
    ("alsa:plugged", "alsa:plugged"),
    ("silence", "alsa:null"),
    ("silence", "alsa:studio"),
    ("alsa:recorder", "alsa:player"),
];
const SHORT: u32 = 30;
const LONG: u32 = 820;

/// How a device is lost.
#[derive(Clone, Copy, Debug)]
enum End {
    Unplugged,
    /// It does not move any more.
    Deaf,
    /// It fails whenever it is started.
    Restless,
    /// It is unplugged while it is repaired.
    Irreparable,
}

const ENDS: [End; 4] = [End::Unplugged, End::Deaf, End::Restless, End::Irreparable];

/// Every device for long, and every end on those of both sorts.
fn cases() -> Vec<(Devices, End, u32)> {
    let long = DEVICES.map(|devices| (devices, End::Unplugged, LONG));
    let short = [DEVICES[0], DEVICES[2]]
        .into_iter()
        .flat_map(|devices| ENDS.map(|end| (devices, end, SHORT)));
    long.into_iter().chain(short).collect()
}

/// In the first transfer of an exchange.
fn moving(captures: bool, fault: (c_long, u32)) -> Faults {
    let (read, write) = if captures {
        (fault, (0, 0))
    } else {
        ((0, 0), fault)
    };
    Faults {
        read,
        write,
        ..Faults::default()
    }
}

/// What is to go wrong in the exchange after this period.
fn faults(period: u32, captures: bool) -> Option<Faults> {
    let none = Faults::default();
    let moving = |fault| moving(captures, fault);
    Some(match period % 400 {
        // The last three follow each other: more is queued.
        10 | 90 | 94 | 98 => moving((EPIPE, 1)),
        50 => Faults {
            write: (EPIPE, 1),
            ..none
        },
        // A playback's silence would not be queued.
        110 if captures => moving((EPIPE, 3)),
        130 => Faults {
            asleep: 3,
            ..moving((ESTRPIPE, 1))
        },
        170 => Faults {
            short: (100, 6),
            ..none
        },
        210 => moving((EAGAIN, 2)),
        250 => Faults {
            write: (EAGAIN, 2),
            ..none
        },
        // A playback that has begun late: captured periods are left out.
        290 if captures => Faults { full: 20, ..none },
        _ => return None,
    })
}

fn last_fault(end: End, captures: bool) -> Faults {
    let none = Faults::default();
    let moving = |fault| moving(captures, fault);
    match end {
        End::Unplugged => moving((ENODEV, 1)),
        End::Deaf => Faults {
            deaf_waits: 1,
            ..moving((EAGAIN, 1))
        },
        End::Restless if captures => moving((EPIPE, 51)),
        // Its silence cannot be queued either.
        End::Restless => moving((EPIPE, 2)),
        End::Irreparable if captures => Faults {
            write: (ENODEV, 1),
            ..moving((EPIPE, 1))
        },
        End::Irreparable => Faults {
            write: (ESTRPIPE, 1),
            deaf_waits: 1,
            asleep: 1,
            ..none
        },
    }
}

/// A script that works on a device, and lets it fail.
struct Scripted {
    script: Script,
    captures: bool,
    period: u32,
    periods: u32,
    end: End,
    /// Faults that have not come to pass.
    unused: u32,
    misdeed: fn(),
}

impl Worker for Scripted {
    fn note_device(&mut self, report: &PeriodReport) {
        self.script.engine.note_device(report);
    }

    fn process(&mut self, _: &Period, playback: &mut Period) {
        self.script.step(self.period, playback);
        self.period += 1;
        if self.period == SHORT / 2 {
            (self.misdeed)();
        }
        if let Some(next) = faults(self.period, self.captures) {
            self.unused += faults::left();
            faults::set(next);
        }
        if self.period == self.periods {
            self.unused += faults::left();
            faults::set(last_fault(self.end, self.captures));
        }
        if self.period > self.periods + 5 {
            trap::say(b"the device has not failed\n");
            trap::end_process(TOO_LONG);
        }
    }

    fn is_idle(&self) -> bool {
        false
    }

    fn obey(&mut self) {
        self.script.engine.obey();
    }

    fn sleeper(&self) -> Arc<Sleeper> {
        Worker::sleeper(&self.script.engine)
    }

    fn beat(&self) {
        Worker::beat(&self.script.engine);
    }
}

/// A device on whose thread everything is watched from its first start on.
struct Watched {
    device: Box<dyn DuplexAudio>,
    /// Once it is started.
    forbidden: Option<Allowed>,
    started: bool,
    stops: Arc<AtomicUsize>,
}

impl Watched {
    fn open((capture, playback): Devices, forbidden: Option<Allowed>) -> Self {
        let spec = DuplexSpec::new(capture.parse().unwrap(), playback.parse().unwrap());
        // Looked up here, because that may allocate.
        faults::ready();
        Self {
            device: open(&spec).unwrap(),
            forbidden,
            started: false,
            stops: Arc::default(),
        }
    }
}

impl DuplexAudio for Watched {
    fn start(&mut self) -> Result<(), AudioError> {
        if !std::mem::replace(&mut self.started, true) {
            trap::start_counting();
        }
        self.device.start()?;
        if let Some(allowed) = self.forbidden.take() {
            // Its program is allocated.
            let before = trap::stop_counting();
            trap::forbid_system_calls(allowed);
            assert_eq!(before, 0, "starting allocates");
            trap::start_counting();
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        self.device.exchange(playback, capture)
    }

    fn stop(&mut self) {
        self.device.stop();
        self.stops.fetch_add(1, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), AudioError> {
        self.device.check()
    }

    fn format(&self) -> &StreamFormat {
        self.device.format()
    }
}

fn scripted((devices, end, periods): (Devices, End, u32), misdeed: fn()) -> Scripted {
    Scripted {
        script: Script::new(),
        captures: devices.0 != "silence",
        period: 0,
        periods,
        end,
        unused: 0,
        misdeed,
    }
}

/// Runs `worker` until its device fails; what it has allocated, and what is left.
fn run<W: Worker>(device: Watched, worker: W) -> (usize, Ended<W>) {
    let (tell, told) = channel();
    let thread = spawn(Box::new(device), worker, move |ended| {
        let allocations = trap::stop_counting();
        tell.send((allocations, ended)).unwrap();
    })
    .unwrap();
    let result = told.recv().unwrap();
    drop(thread);
    result
}

/// Runs the test again in a child, in a folder of its own with the plugins of `hal`'s tests.
fn child(test: &str, case: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    // More than is ever captured.
    let captured = std::fs::File::create(folder.path().join("captured.raw")).unwrap();
    captured.set_len(8 << 20).unwrap();
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hal/tests/alsa/asound.conf");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("thread::{test}"), "--nocapture"])
        .env("ALSA_CONFIG_PATH", plugins)
        .env(CHILD, test)
        .env(CASE, case)
        .current_dir(folder.path())
        .output()
        .unwrap()
}

/// Runs `body` in such a child.
fn with_plugins(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let output = child(test, "");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}",
        output.status
    );
}

#[test]
fn the_thread_does_not_allocate() {
    with_plugins("the_thread_does_not_allocate", || {
        for case in cases() {
            let device = Watched::open(case.0, None);
            let (allocations, ended) = run(device, scripted(case, || {}));
            assert_eq!(allocations, 0, "{case:?}");
            // It has done what it was to be watched doing.
            assert!(
                matches!(ended.error, Some(AudioError::Lost { .. })),
                "{case:?}: {:?}",
                ended.error
            );
            assert_eq!(ended.engine.unused, 0, "{case:?}");
            let counters = ended.engine.script.control.counters();
            assert!(
                counters.periods >= u64::from(case.2) && counters.xruns > 0,
                "{case:?}: {counters:?}"
            );
        }
    });
}

/// Each case has a process of its own: there is no way back from the filter.
#[test]
fn the_thread_makes_no_system_call_but_on_its_device() {
    const TEST: &str = "the_thread_makes_no_system_call_but_on_its_device";
    if let Ok(case) = std::env::var(CASE) {
        run_forbidden(cases()[case.parse::<usize>().unwrap()], || {});
    }
    for (n, case) in cases().into_iter().enumerate() {
        let output = child(TEST, &n.to_string());
        assert!(
            output.status.success(),
            "{case:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Ends the process.
fn run_forbidden(case: (Devices, End, u32), misdeed: fn()) -> ! {
    let allowed = match case.0.1 {
        "alsa:player" | "alsa:studio" => Allowed::FileDevice,
        _ => Allowed::Device,
    };
    let device = Watched::open(case.0, Some(allowed));
    let _thread = spawn(Box::new(device), scripted(case, misdeed), |ended| {
        let as_expected = trap::stop_counting() == 0
            && ended.engine.period >= ended.engine.periods
            && ended.engine.unused == 0
            && matches!(ended.error, Some(AudioError::Lost { .. }));
        // This thread cannot tell anybody any more but by this.
        trap::end_process(if as_expected { 0 } else { ALLOCATED });
    });
    loop {
        std::thread::park();
    }
}

/// Otherwise the two tests above could not fail.
#[test]
fn the_thread_is_watched() {
    const TEST: &str = "the_thread_is_watched";
    let case = (DEVICES[0], End::Unplugged, SHORT);
    match std::env::var(CASE).as_deref() {
        Ok("system call") => run_forbidden(case, trap::make_a_system_call),
        Ok("allocation") => run_forbidden(case, || drop(std::hint::black_box(Box::new(7)))),
        _ => {}
    }
    for (what, status) in [("system call", trap::CAUGHT), ("allocation", ALLOCATED)] {
        let output = child(TEST, what);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{what}: {text}");
    }
}

/// A device that is stopped, looked after, started again, and unplugged while it stands still.
#[test]
fn a_thread_that_stands_still_does_not_allocate() {
    with_plugins("a_thread_that_stands_still_does_not_allocate", || {
        let (engine, mut control, _ports) = pipeline(EngineConfig::default()).unwrap();
        let device = Watched::open(DEVICES[0], None);
        let stops = Arc::clone(&device.stops);
        let (tell, told) = channel();
        let _thread = spawn(Box::new(device), engine, move |ended| {
            tell.send((trap::stop_counting(), ended.error)).unwrap();
        })
        .unwrap();
        for still in 1..4 {
            while stops.load(Ordering::SeqCst) < still {
                std::thread::yield_now();
            }
            let before = control.counters().periods;
            control.send(AudioCommand::Ring(true)).unwrap();
            while control.counters().periods < before + 20 {
                std::thread::yield_now();
            }
            control.send(AudioCommand::Ring(false)).unwrap();
        }
        while stops.load(Ordering::SeqCst) < 4 {
            std::thread::yield_now();
        }
        faults::unplug();
        control.send(AudioCommand::Mute(false)).unwrap();
        let (allocations, error) = told.recv().unwrap();
        assert_eq!(allocations, 0);
        assert!(matches!(error, Some(AudioError::Lost { .. })), "{error:?}");
    });
}

/// A ringer that is given something to do in each period.
struct Ringing {
    ringer: Ringer,
    control: RingerControl,
    period: u32,
}

impl Worker for Ringing {
    fn note_device(&mut self, report: &PeriodReport) {
        self.ringer.note_device(report);
    }

    fn process(&mut self, capture: &Period, playback: &mut Period) {
        let command = match self.period % 100 {
            0 => Some(AudioCommand::Ring(true)),
            20 => Some(AudioCommand::RingVolume(30)),
            40 => Some(AudioCommand::Plan(TonePlan::UnitedKingdom)),
            80 => Some(AudioCommand::Ring(false)),
            _ => None,
        };
        if let Some(command) = command {
            let _ = self.control.send(command);
        }
        self.ringer.process(capture, playback);
        self.period += 1;
        if let Some(next) = faults(self.period, false) {
            faults::set(next);
        }
        if self.period == LONG {
            faults::set(last_fault(End::Unplugged, false));
        }
    }

    fn is_idle(&self) -> bool {
        false
    }

    fn obey(&mut self) {
        self.ringer.obey();
    }

    fn sleeper(&self) -> Arc<Sleeper> {
        self.ringer.sleeper()
    }
}

#[test]
fn the_ringers_thread_does_not_allocate() {
    with_plugins("the_ringers_thread_does_not_allocate", || {
        for devices in [DEVICES[2], DEVICES[3], ("silence", "alsa:plugged")] {
            let (ringer, control) = ringer(&EngineConfig::default());
            let ringing = Ringing {
                ringer,
                control,
                period: 0,
            };
            let (allocations, ended) = run(Watched::open(devices, None), ringing);
            assert_eq!(allocations, 0, "{devices:?}");
            assert!(ended.error.is_some() && ended.engine.period >= LONG);
        }
    });
}
