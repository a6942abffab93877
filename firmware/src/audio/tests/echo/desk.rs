//! A telephone on a desk, in numbers: the loudspeaker's sound comes back by 80 ms of reflections, through the delay of a
//! sound card, to the microphone.

use crate::audio::capture::CaptureChain;
use crate::audio::ramp::ms;
use crate::audio::reference::Reference;
use crate::audio::tests::measure::{Random, rms};
use crate::audio::tests::speech::recording;
use crate::audio::{Frame, SoundPath, VoiceConfig};
use offhook_hal::audio::{PERIOD_FRAMES, Period, PeriodReport};
use std::ops::Range;

/// Reflections: how many samples late, how loud. The first is the way from loudspeaker to microphone.
pub fn room(seed: u64, loss_db: f32) -> Vec<(usize, f32)> {
    let mut random = Random::new(seed);
    let mut taps = vec![(ms(1), 1.0)];
    taps.extend((0..120).map(|_| {
        let late = (random.uniform() * ms(80) as f64) as usize;
        let tail = (-(late as f32) / ms(15) as f32).exp();
        (ms(1) + late, (random.uniform() as f32 - 0.5) * tail)
    }));
    let power: f32 = taps.iter().map(|(_, gain)| gain * gain).sum();
    let gain = 10f32.powf(-loss_db / 20.0) / power.sqrt();
    taps.iter().map(|&(late, tap)| (late, tap * gain)).collect()
}

/// What becomes of a sample in a loudspeaker.
pub type Loudspeaker = fn(f32) -> f32;

/// A telephone on a desk whose microphone hears its loudspeaker.
pub struct Desk {
    chain: CaptureChain,
    reference: Reference,
    pub room: Vec<(usize, f32)>,
    /// Samples from the thread to the loudspeaker.
    pub card: usize,
    /// What a loudspeaker's amplifier adds and the device knows nothing of, samples.
    pub unknown: usize,
    pub restarted: bool,
    /// What the loudspeaker makes of a sample.
    pub loudspeaker: Loudspeaker,
    /// The room's own noise, RMS.
    pub noise: f32,
    random: Random,
    /// How much of what it hears the far end's microphone hears again, and after how many samples.
    pub far_loop: (f32, usize),
    /// All that the loudspeaker played, with silence before.
    played: Vec<f32>,
    /// What goes to the far end, and the echo in what the microphone heard.
    pub sent: Vec<f32>,
    pub echo: Vec<f32>,
}

/// Silence before the first sound: longer than any delay here.
const BEFORE: usize = 16_384;

impl Desk {
    pub fn new(voice: VoiceConfig) -> Self {
        let mut chain = CaptureChain::new([VoiceConfig::default(), voice, VoiceConfig::default()]);
        chain.take_path(SoundPath::Speaker);
        let mut reference = Reference::new();
        reference.take_path(voice.echo_cancelling.map_or(0, |echo| echo.extra_delay_ms));
        Self {
            chain,
            reference,
            room: room(3, 6.0),
            card: 1440,
            unknown: 0,
            restarted: false,
            loudspeaker: |sample| sample,
            noise: 0.0,
            random: Random::new(1),
            far_loop: (0.0, 0),
            played: vec![0.0; BEFORE],
            sent: Vec::new(),
            echo: Vec::new(),
        }
    }

    /// Both speak for as long as `far` is; `near` is as long or empty. Says when that was.
    pub fn talk(&mut self, far: &[f32], near: &[f32]) -> Range<usize> {
        let start = self.sent.len();
        for (n, far) in far.chunks_exact(PERIOD_FRAMES).enumerate() {
            // The last sample queued is `card` from the loudspeaker.
            let end = self.played.len() - self.card - self.unknown;
            let captured: Period = std::array::from_fn(|k| {
                let at = end - PERIOD_FRAMES + k;
                let reflections = self.room.iter();
                let echo: f32 = reflections
                    .map(|&(late, gain)| gain * self.played[at - late])
                    .sum();
                self.echo.push(echo);
                let near = near.get(n * PERIOD_FRAMES + k).copied().unwrap_or(0.0);
                // Uniform noise of this RMS.
                let noise = (self.random.uniform() as f32 - 0.5) * self.noise * 12f32.sqrt();
                ((echo + near + noise) * 32_767.0).clamp(-32_768.0, 32_767.0) as i16
            });
            self.reference.report(&PeriodReport {
                playback_delay_frames: self.card as u32,
                restarted: std::mem::take(&mut self.restarted),
                ..PeriodReport::default()
            });
            let mut out: Frame = [0.0; PERIOD_FRAMES];
            self.chain
                .process(&captured, &self.reference.heard(), &mut out);
            self.sent.extend(out);
            let (again, late) = self.far_loop;
            let frame: Frame = std::array::from_fn(|k| {
                let heard = (self.sent.len() - PERIOD_FRAMES + k).checked_sub(late);
                let loud = far[k] + again * heard.map_or(0.0, |at| self.sent[at]);
                loud.clamp(-1.0, 1.0)
            });
            self.reference.push(&frame);
            self.played.extend(frame.map(self.loudspeaker));
        }
        start..self.sent.len()
    }

    /// What the loudspeaker was given in that time.
    pub fn played(&self, when: Range<usize>) -> &[f32] {
        &self.played[BEFORE + when.start..BEFORE + when.end]
    }
}

/// A voice naming loudspeakers, at this RMS; `turn` picks where it begins.
fn voice(names: [&str; 4], level: f32, turn: usize, milliseconds: usize) -> Vec<f32> {
    let recorded: Vec<f32> = names.into_iter().flat_map(recording).collect();
    let gain = level / rms(&recorded);
    let length = recorded.len();
    recorded
        .iter()
        .map(|sample| (sample * gain).clamp(-0.9, 0.9))
        .cycle()
        .skip(turn * length / 3)
        .take(ms(milliseconds))
        .collect()
}

/// The far end, loud enough to be heard across a room: -20 dBFS.
pub fn far_end(turn: usize, milliseconds: usize) -> Vec<f32> {
    let names = ["Front_Center", "Rear_Left", "Side_Right", "Front_Right"];
    voice(names, 0.1, turn, milliseconds)
}

/// The near end, which says something else, at -20 dBFS.
pub fn near_end(turn: usize, milliseconds: usize) -> Vec<f32> {
    let names = ["Side_Left", "Rear_Center", "Front_Left", "Rear_Right"];
    voice(names, 0.1, turn, milliseconds)
}

pub fn silence(milliseconds: usize) -> Vec<f32> {
    vec![0.0; ms(milliseconds)]
}

pub fn db(ratio: f32) -> f32 {
    20.0 * ratio.max(1e-6).log10()
}
