//! Cards of every rate, format and period, and two cards on two crystals, in virtual time.

use std::sync::{Arc, Mutex};

use super::port::EPIPE;
use super::*;
use format::Encoding;

/// The world both cards are in: seconds, and what was played (at the playback card's own rate).
#[derive(Debug, Default)]
struct World {
    now: f64,
    heard: Vec<f32>,
}

/// A card with a crystal of its own. Reads wait by letting time go by; interrupts come once per period.
#[derive(Debug)]
struct Card {
    direction: Direction,
    hardware: Hardware,
    /// How much faster its crystal is, parts of one.
    fast: f64,
    world: Arc<Mutex<World>>,
    /// When it began to move; not before.
    started: Option<f64>,
    /// From its start until it moves, seconds.
    wakes_after: f64,
    /// Frames read or written since then.
    moved: u64,
    tone_hz: f64,
    /// Stops when its buffer is full of what nobody has read.
    overruns: bool,
}

impl Card {
    /// Frames its crystal has counted, as of the last interrupt.
    fn counted(&self, now: f64) -> u64 {
        let Some(started) = self.started else {
            return 0;
        };
        let rate = f64::from(self.hardware.rate_hz) * (1.0 + self.fast);
        let frames = ((now - started) * rate + 1e-6).max(0.0) as u64;
        match self.direction {
            Direction::Capture => frames - frames % self.hardware.period_frames as u64,
            Direction::Playback => frames,
        }
    }

    fn fault(&self) -> Fault {
        Fault {
            direction: self.direction,
            what: "moving",
            errno: EPIPE,
        }
    }
}

/// Both cards behind one lock each, because starting takes `&self`.
#[derive(Debug)]
struct Shared(Mutex<Card>);

impl Port for Shared {
    fn name(&self) -> Arc<str> {
        "virtual".into()
    }
    fn hardware(&self) -> Hardware {
        self.0.lock().unwrap().hardware
    }
    fn prepare(&self) -> Result<(), Fault> {
        let mut card = self.0.lock().unwrap();
        card.started = None;
        card.moved = 0;
        Ok(())
    }
    fn start(&self) -> Result<(), Fault> {
        let mut card = self.0.lock().unwrap();
        let now = card.world.lock().unwrap().now;
        card.started = Some(now + card.wakes_after);
        Ok(())
    }
    fn drop_frames(&self) {}
    fn resume(&self, _: Duration) {}
    fn gone(&self) -> Option<Fault> {
        None
    }
    fn delay(&self) -> Result<u32, Fault> {
        let card = self.0.lock().unwrap();
        let counted = card.counted(card.world.lock().unwrap().now);
        let frames = match card.direction {
            Direction::Capture => counted.saturating_sub(card.moved),
            Direction::Playback => card.moved.checked_sub(counted).ok_or(card.fault())?,
        };
        Ok(frames as u32)
    }
    fn queued(&self) -> Result<u32, Fault> {
        self.delay()
    }
    fn wait_for_room(&self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }
    fn read(&mut self, samples: &mut [f32], _: Duration) -> Result<(), Fault> {
        let card = self.0.get_mut().unwrap();
        let need = card.moved + samples.len() as u64;
        let mut world = card.world.lock().unwrap();
        let waiting = card.counted(world.now).saturating_sub(card.moved);
        if card.overruns && waiting > card.hardware.buffer_frames as u64 {
            return Err(card.fault());
        }
        while card.counted(world.now) < need {
            world.now += 0.000_25;
        }
        drop(world);
        for (n, sample) in samples.iter_mut().enumerate() {
            let seconds = (card.moved + n as u64) as f64 / f64::from(card.hardware.rate_hz);
            *sample = (0.25 * (card.tone_hz * seconds * std::f64::consts::TAU).sin()) as f32;
        }
        card.moved = need;
        Ok(())
    }
    fn write(&mut self, samples: &[f32], _: Duration) -> Result<(), Fault> {
        let card = self.0.get_mut().unwrap();
        let mut world = card.world.lock().unwrap();
        if card.counted(world.now) > card.moved {
            return Err(card.fault());
        }
        world.heard.extend(samples);
        card.moved += samples.len() as u64;
        let queued = |now| card.moved - card.counted(now);
        assert!(
            card.wakes_after > 0.0 || queued(world.now) <= card.hardware.buffer_frames as u64,
            "{} do not fit",
            queued(world.now)
        );
        while queued(world.now) > card.hardware.buffer_frames as u64 {
            world.now += 0.000_25;
        }
        Ok(())
    }
}

/// What a capture and a playback card hand to each other for `seconds`.
struct Outcome {
    xruns: u32,
    /// The sum of both delays, frames at 48 kHz: the least and the most in the second half.
    least: u32,
    most: u32,
    /// What was played in the last 0.2 s, at the playback card's rate.
    heard: Vec<f32>,
}

fn run(capture: (Hardware, f64), playback: (Hardware, f64), seconds: usize) -> Outcome {
    run_waking(capture, playback, 0.0, seconds)
}

/// The playback card moves only `wakes_after` seconds after its start.
fn run_waking(
    capture: (Hardware, f64),
    playback: (Hardware, f64),
    wakes_after: f64,
    seconds: usize,
) -> Outcome {
    let (mut device, world) = started(capture, playback, wakes_after);
    let (mut captured, mut outcome) = (
        [0; PERIOD_FRAMES],
        Outcome {
            xruns: 0,
            least: u32::MAX,
            most: 0,
            heard: Vec::new(),
        },
    );
    for n in 0..seconds * 100 {
        // What was captured is played at once.
        let play = captured;
        let report = device.exchange(&play, &mut captured).unwrap();
        outcome.xruns += report.xruns;
        let waiting = report.capture_delay_frames + report.playback_delay_frames;
        if n > seconds * 50 {
            outcome.least = outcome.least.min(waiting);
            outcome.most = outcome.most.max(waiting);
        }
    }
    let world = world.lock().unwrap();
    let last = world.heard.len() - playback.0.rate_hz as usize / 5;
    outcome.heard = world.heard[last..].to_vec();
    outcome
}

/// A device of these cards, started, and the world it is in. With a playback that wakes late, the microphone's buffer has
/// no end.
fn started(
    capture: (Hardware, f64),
    playback: (Hardware, f64),
    wakes_after: f64,
) -> (AlsaDuplex, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(World::default()));
    let card = |direction, (hardware, fast)| -> Box<dyn Port> {
        Box::new(Shared(Mutex::new(Card {
            direction,
            hardware,
            fast,
            world: Arc::clone(&world),
            started: None,
            wakes_after: match direction {
                Direction::Capture => 0.0,
                Direction::Playback => wakes_after,
            },
            moved: 0,
            tone_hz: 1000.0,
            overruns: wakes_after == 0.0,
        })))
    };
    let at_once = burst(&capture.0);
    let mut device = AlsaDuplex::join(
        Some(card(Direction::Capture, capture)),
        Some(card(Direction::Playback, playback)),
        Some(at_once),
        false,
    )
    .unwrap();
    device.start().unwrap();
    (device, world)
}

/// What is not the tone that fits best near `hz`, as a part of the whole.
fn residual(sound: &[f32], rate_hz: u32, hz: f64) -> f64 {
    // Least squares: sine and cosine are not quite orthogonal over a part of a turn.
    let rest = |hz: f64| {
        let (mut ss, mut sc, mut cc, mut sx, mut cx, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, &sample) in sound.iter().enumerate() {
            let turn = n as f64 / f64::from(rate_hz) * hz * std::f64::consts::TAU;
            let (sine, cosine) = turn.sin_cos();
            let sample = f64::from(sample);
            ss += sine * sine;
            sc += sine * cosine;
            cc += cosine * cosine;
            sx += sine * sample;
            cx += cosine * sample;
            xx += sample * sample;
        }
        let determinant = ss * cc - sc * sc;
        let a = (sx * cc - cx * sc) / determinant;
        let b = (cx * ss - sx * sc) / determinant;
        ((xx - a * sx - b * cx) / xx).max(0.0).sqrt()
    };
    // The bend of the rate moves the tone by a few hundredths of a hertz.
    (-20..=20)
        .map(|step| rest(hz + f64::from(step) * 0.02))
        .fold(1.0, f64::min)
}

const CARD: Hardware = Hardware {
    rate_hz: RATE_HZ,
    channels: 1,
    encoding: Encoding::S16,
    period_frames: 480,
    buffer_frames: 1920,
    card: Some(0),
};

fn card(rate_hz: u32, period_frames: usize, buffer_frames: usize, number: u32) -> Hardware {
    Hardware {
        rate_hz,
        period_frames,
        buffer_frames,
        card: Some(number),
        ..CARD
    }
}

#[test]
fn two_crystals_are_kept_in_step() {
    // Five minutes at 300 ppm are 90 ms: without correction the 40 ms buffer runs out or over.
    for ppm in [300.0, -300.0] {
        let usb = card(48_000, 480, 1920, 1);
        let outcome = run((CARD, 0.0), (usb, ppm * 1e-6), 300);
        assert_eq!(outcome.xruns, 0, "{ppm} ppm");
        assert!(
            outcome.most - outcome.least < 96,
            "{ppm} ppm: {} to {}",
            outcome.least,
            outcome.most
        );
        let percent = 100.0 * residual(&outcome.heard, 48_000, 1000.0 / (1.0 + ppm * 1e-6));
        assert!(percent < 0.5, "{ppm} ppm: {percent} %");
    }
}

#[test]
fn every_rate_and_period_sounds_the_same() {
    for (rate_hz, period, buffer) in [
        (44_100, 441, 1764),
        (44_100, 1024, 4096),
        (48_000, 96, 1920),
        (48_000, 240, 1920),
        (48_000, 960, 3840),
        (48_000, 1024, 4096),
        (48_000, 2400, 9600),
        (16_000, 160, 640),
        (16_000, 256, 1024),
        (8_000, 80, 320),
        (96_000, 960, 3840),
        (192_000, 1920, 7680),
    ] {
        let hardware = card(rate_hz, period, buffer, 0);
        let outcome = run((hardware, 0.0), (hardware, 0.0), 10);
        assert_eq!(outcome.xruns, 0, "{hardware}");
        let percent = 100.0 * residual(&outcome.heard, rate_hz, 1000.0);
        assert!(percent < 0.2, "{hardware}: THD+N {percent} %");
        // What waits is what was primed, a burst, and what the resamplers hold.
        let most = 2 * burst(&hardware) + burst(&hardware) + 2000 * 480 / rate_hz as usize * 4;
        assert!(
            (outcome.most as usize) < most + 480,
            "{hardware}: {} wait",
            outcome.most
        );
    }
}

#[test]
fn a_card_of_44_1_khz_and_one_of_16_khz_go_together() {
    for ppm in [0.0, 150.0] {
        let (microphone, ear) = (card(16_000, 160, 640, 0), card(44_100, 441, 1764, 1));
        let outcome = run((microphone, 0.0), (ear, ppm * 1e-6), 120);
        assert_eq!(outcome.xruns, 0, "{ppm} ppm");
        let percent = 100.0 * residual(&outcome.heard, 44_100, 1000.0 / (1.0 + ppm * 1e-6));
        assert!(percent < 0.5, "{ppm} ppm: {percent} %");
    }
}

/// Otherwise what the microphone heard meanwhile waits for the whole call: 400 ms were seen on a sound server, and left
/// behind unheard with the device at the next change of the path.
#[test]
fn a_card_that_wakes_late_does_not_delay_the_call() {
    let prompt = run((CARD, 0.0), (CARD, 0.0), 10);
    for (wakes_after, playback) in [
        (0.025, CARD),
        (0.4, CARD),
        (0.4, card(48_000, 1024, 4096, 0)),
        (0.4, card(44_100, 441, 1764, 1)),
    ] {
        let outcome = run_waking((CARD, 0.0), (playback, 0.0), wakes_after, 10);
        assert_eq!(outcome.xruns, 0, "{playback} after {wakes_after} s");
        // A period of either card's, what is primed for the longer one, and what a resampler holds.
        let more = 2 * PERIOD_FRAMES + 3 * (burst(&playback) - PERIOD_FRAMES) + 100;
        assert!(
            outcome.most <= prompt.most + more as u32,
            "{playback} after {wakes_after} s: {} wait, else {}",
            outcome.most,
            prompt.most
        );
    }
}

fn exchange(device: &mut AlsaDuplex) -> PeriodReport {
    let (playback, mut capture) = ([1000; PERIOD_FRAMES], [0; PERIOD_FRAMES]);
    device.exchange(&playback, &mut capture).unwrap()
}

/// Of so many exchanges without an xrun, both ways together, frames at 48 kHz.
fn longest_delay(device: &mut AlsaDuplex, exchanges: usize) -> u32 {
    let delays = (0..exchanges).map(|_| {
        let report = exchange(device);
        assert_eq!(report.xruns, 0);
        report.capture_delay_frames + report.playback_delay_frames
    });
    delays.max().unwrap()
}

/// The thread comes too late for its cards: after the xrun both move again at once, the exchange takes no longer than the
/// period that it waits for anyway, and the call has the delay that it had.
#[test]
fn an_xrun_is_over_within_a_period() {
    for (hardware, late) in [
        (CARD, 0.025), // what is queued has been played
        (CARD, 0.060), // and the microphone's buffer is full
        (CARD, 1.000),
        (card(48_000, 240, 1920, 0), 0.060),
        (card(48_000, 960, 3840, 0), 0.120),
        (card(48_000, 1024, 4096, 0), 0.120),
        (card(44_100, 441, 1764, 0), 0.060),
        (card(16_000, 256, 1024, 0), 0.120),
    ] {
        let (mut device, world) = started((hardware, 0.0), (hardware, 0.0), 0.0);
        let before = longest_delay(&mut device, 200);
        world.lock().unwrap().now += late;
        let begun = world.lock().unwrap().now;
        let report = exchange(&mut device);
        assert_eq!((report.xruns, report.restarted), (1, true), "{hardware}");
        let took = world.lock().unwrap().now - begun;
        let period = burst(&hardware) as f64 / f64::from(RATE_HZ);
        // The card looks at the clock every quarter of a millisecond.
        assert!(took < period + 0.001, "{hardware}: {took} s");
        let after = longest_delay(&mut device, 200);
        assert!(after <= before + 48, "{hardware}: {before}, then {after}");
    }
}
