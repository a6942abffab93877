//! The real-time thread: one device, one engine, a loop.
//!
//! When there is nothing to hear, say or ring for a while, the device stands still, open and set up, and the thread
//! sleeps; a command wakes it and the device starts again within its primed periods.

use super::realtime;
use super::sleeper::Sleeper;
use offhook_hal::audio::{AudioError, DuplexAudio, PERIOD_FRAMES, Period, PeriodReport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The device runs on for so many periods after the last sound: until that has left its buffer.
const LINGER: u32 = 100;
/// A device that stands still is looked after this often, so that one that was unplugged is noticed.
pub const LOOK_AFTER: Duration = Duration::from_secs(2);

/// What works on a device's periods. None of it may allocate, lock, log or make a system call.
pub trait Worker: Send + 'static {
    /// Takes what the device said of the exchange that captured the next period.
    fn note_device(&mut self, report: &PeriodReport);

    /// One period, every 10 ms by the device's clock.
    fn process(&mut self, capture: &Period, playback: &mut Period);

    /// There is nothing to play or capture, and no command waits: the device may stand still.
    fn is_idle(&self) -> bool;

    /// Carries out the commands that wait, without a period.
    fn obey(&mut self);

    /// How another thread wakes the one that idles on this.
    fn sleeper(&self) -> Arc<Sleeper>;

    /// Takes back a period that was made and not played, because the device is left before the next exchange.
    fn keep(&mut self, _unplayed: &Period) {}

    /// What is to be played first on the next device: the period that was kept, once; else silence.
    fn kept(&mut self) -> Period {
        [0; PERIOD_FRAMES]
    }

    /// A sign of life of the thread that works on this.
    fn beat(&self) {}
}

/// What is left when the thread has ended.
pub struct Ended<W> {
    /// To be used again with the same or another device.
    pub engine: W,
    /// Stopped if it has failed; else it still plays what is queued, some ten milliseconds.
    pub device: Box<dyn DuplexAudio>,
    /// Why; `None`: it was asked to.
    pub error: Option<AudioError>,
}

/// A running audio thread. Dropping it stops it.
pub struct AudioThread {
    stop: Arc<AtomicBool>,
    sleeper: Arc<Sleeper>,
    handle: Option<JoinHandle<()>>,
}

impl AudioThread {
    /// Asks the thread to end after the present period; `on_end` is called by it then.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.sleeper.wake();
    }
}

impl Drop for AudioThread {
    /// Waits for the thread: a period at most, unless the device hangs or `on_end` is slow. When `on_end` itself drops
    /// this, it is not waited for.
    fn drop(&mut self) {
        self.stop();
        if let Some(handle) = self.handle.take()
            && handle.thread().id() != std::thread::current().id()
        {
            // A panic of the thread has been reported by the panic hook.
            let _ = handle.join();
        }
    }
}

/// Lets this process's audio thread run ahead of everything else, in locked memory ([`realtime`]), from its next start
/// on hardware on. For the phone's
/// own program: tests run many phones in one process, and must not starve each other.
pub fn run_ahead() {
    RUNS_AHEAD.store(true, Ordering::Relaxed);
}

static RUNS_AHEAD: AtomicBool = AtomicBool::new(false);

/// Starts the device and the thread "audio". `on_end` is called on that thread, once, when the device fails (also if it
/// cannot be started) or [`AudioThread::stop`] was called; it gets engine and device back.
///
/// # Errors
/// If the system has no thread to give; engine and device are lost then.
pub fn spawn<W: Worker>(
    device: Box<dyn DuplexAudio>,
    engine: W,
    on_end: impl FnOnce(Ended<W>) + Send + 'static,
) -> std::io::Result<AudioThread> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let sleeper = engine.sleeper();
    let handle = std::thread::Builder::new()
        .name("audio".into())
        .spawn(move || on_end(run(device, engine, &asked)))?;
    Ok(AudioThread {
        stop,
        sleeper,
        handle: Some(handle),
    })
}

fn run<W: Worker>(mut device: Box<dyn DuplexAudio>, mut engine: W, stop: &AtomicBool) -> Ended<W> {
    if RUNS_AHEAD.load(Ordering::Relaxed) && device.is_hardware() {
        realtime::enter();
    }
    let error = serve(device.as_mut(), &mut engine, stop).err();
    if error.is_some() {
        device.stop();
    }
    Ended {
        engine,
        device,
        error,
    }
}

fn serve(
    device: &mut dyn DuplexAudio,
    engine: &mut impl Worker,
    stop: &AtomicBool,
) -> Result<(), AudioError> {
    let sleeper = engine.sleeper();
    let asked = || stop.load(Ordering::SeqCst);
    while !asked() {
        device.start()?;
        exchange(device, engine, stop)?;
        if asked() {
            break;
        }
        device.stop();
        while engine.is_idle() && !asked() {
            sleeper.sleep(LOOK_AFTER, || asked() || !engine.is_idle());
            device.check()?;
            engine.obey();
            engine.beat();
        }
    }
    Ok(())
}

/// Until it is asked to stop, or there is nothing to do.
fn exchange(
    device: &mut dyn DuplexAudio,
    engine: &mut impl Worker,
    stop: &AtomicBool,
) -> Result<(), AudioError> {
    let mut capture = [0; PERIOD_FRAMES];
    let mut playback = engine.kept();
    let mut idle = 0;
    while !stop.load(Ordering::Relaxed) && idle < LINGER {
        let report = device.exchange(&playback, &mut capture)?;
        engine.note_device(&report);
        engine.process(&capture, &mut playback);
        engine.beat();
        idle = if engine.is_idle() { idle + 1 } else { 0 };
    }
    engine.keep(&playback);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{AudioCommand, EngineConfig, pipeline};
    use offhook_hal::audio::{ManualAudio, PeriodReport};
    use std::sync::mpsc::channel;

    #[test]
    fn the_engine_comes_back_from_a_lost_device_and_runs_again() {
        let (engine, mut control, _ports) = pipeline(EngineConfig::default()).unwrap();
        let (device, tape) = ManualAudio::new();
        control.send(AudioCommand::Listen(true)).unwrap();
        let (ended, end) = channel();
        tape.set_next(Ok(PeriodReport {
            xruns: 3,
            ..PeriodReport::default()
        }));
        let tell = ended.clone();
        let thread = spawn(Box::new(device), engine, move |end| tell.send(end).unwrap()).unwrap();
        while control.counters().xruns == 0 || control.beats() == 0 {
            std::thread::yield_now();
        }
        tape.set_next(Err(AudioError::NotStarted));
        let first = end.recv().unwrap();
        assert!(first.error.is_some() && !tape.is_started());
        assert_eq!(control.counters().xruns, 3);
        drop(thread);

        control.send(AudioCommand::Listen(true)).unwrap();
        control
            .send(AudioCommand::Tone(Some(crate::audio::Tone::Dial)))
            .unwrap();
        tape.take_played();
        let before = control.counters().periods;
        let thread = spawn(first.device, first.engine, move |end| {
            ended.send(end).unwrap();
        })
        .unwrap();
        while control.counters().periods < before + 10 {
            std::thread::yield_now();
        }
        thread.stop();
        let mut second = end.recv().unwrap();
        assert!(second.error.is_none());
        assert!(tape.is_started(), "what is queued is not thrown away");
        second.device.finish();
        assert!(!tape.is_started());
        assert!(
            tape.take_played().iter().any(|&sample| sample > 1000),
            "the dial tone is heard"
        );
        assert!(control.levels().ear_dbfs > -20.0);
    }

    #[test]
    fn an_idle_phone_stands_still_and_a_command_wakes_it() {
        let (engine, mut control, _ports) = pipeline(EngineConfig::default()).unwrap();
        let (device, tape) = ManualAudio::new();
        let (ended, end) = channel();
        let thread = spawn(Box::new(device), engine, move |end| {
            ended.send(end).unwrap();
        })
        .unwrap();
        let still = |control: &crate::audio::Control, after: u64| {
            while tape.is_started() || control.counters().periods < after {
                std::thread::yield_now();
            }
        };
        still(&control, u64::from(LINGER));
        assert_eq!(control.counters().periods, u64::from(LINGER));
        tape.take_played();
        for _ in 0..3 {
            let before = control.counters().periods;
            control.send(AudioCommand::Ring(true)).unwrap();
            while control.counters().periods < before + 20 {
                std::thread::yield_now();
            }
            assert!(tape.take_played().iter().any(|&s| s > 1000), "it rings");
            control.send(AudioCommand::Ring(false)).unwrap();
            still(&control, before + u64::from(LINGER));
        }
        tape.unplug(AudioError::NotStarted);
        control.send(AudioCommand::Mute(false)).unwrap();
        assert!(end.recv().unwrap().error.is_some(), "it is missed");
        drop(thread);
    }

    #[test]
    fn a_device_that_cannot_start_is_reported() {
        struct Broken(ManualAudio);
        impl DuplexAudio for Broken {
            fn start(&mut self) -> Result<(), AudioError> {
                Err(AudioError::NotStarted)
            }
            fn exchange(
                &mut self,
                playback: &offhook_hal::audio::Period,
                capture: &mut offhook_hal::audio::Period,
            ) -> Result<PeriodReport, AudioError> {
                self.0.exchange(playback, capture)
            }
            fn stop(&mut self) {}
            fn format(&self) -> &offhook_hal::audio::StreamFormat {
                self.0.format()
            }
        }
        let (engine, _control, _ports) = pipeline(EngineConfig::default()).unwrap();
        let (ended, end) = channel();
        let device = Box::new(Broken(ManualAudio::new().0));
        let _thread = spawn(device, engine, move |end| ended.send(end).unwrap()).unwrap();
        assert!(matches!(
            end.recv().unwrap().error,
            Some(AudioError::NotStarted)
        ));
    }
}
