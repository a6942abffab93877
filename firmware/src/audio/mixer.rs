//! Everything that reaches the ear, added up: far ends, tones, own voice, ring; then limited.

use super::pipeline::EngineConfig;
use super::ramp::{GATE_SAMPLES, Ramp, VOLUME_SAMPLES, from_db};
use super::{Frame, SoundPath};
use offhook_hal::audio::Period;

/// Attenuation at a volume of 1 percent, decibel; 100 percent is 0 dB, and between them it is linear in decibel.
const VOLUME_RANGE_DB: f32 = 40.0;
/// Where the limiter begins: -3 dBFS.
const THRESHOLD: f32 = 0.708;
/// Above this, tops are bent.
const KNEE: f32 = 0.98;
/// It turns down within half a millisecond.
const ATTACK: usize = 24;
/// It recovers to 1/e in 100 ms.
const RELEASE_SAMPLES: f32 = 4800.0;

/// What is to be mixed in one period.
pub struct Sources<'a> {
    /// All far ends, added up.
    pub far: &'a Frame,
    /// Call progress and key tones.
    pub tones: &'a Frame,
    /// Own microphone, after the mute gate.
    pub near: &'a Frame,
    /// Ring.
    pub ring: &'a Frame,
}

/// The mixer.
pub struct Mixer {
    volume: Ramp,
    ring_volume: Ramp,
    listen: Ramp,
    /// Of the own voice, on paths that have it.
    own_voice: f32,
    sidetone: Ramp,
    limiter: Limiter,
}

impl Mixer {
    /// Not listening.
    pub fn new(config: &EngineConfig) -> Self {
        let own_voice = config.sidetone_db.map_or(0.0, |db| from_db(-db.abs()));
        Self {
            volume: Ramp::new(gain(config.volume_percent), VOLUME_SAMPLES),
            ring_volume: Ramp::new(gain(config.ring_volume_percent), VOLUME_SAMPLES),
            listen: Ramp::new(0.0, GATE_SAMPLES),
            own_voice,
            sidetone: Ramp::new(own_voice, GATE_SAMPLES),
            limiter: Limiter::default(),
        }
    }

    /// Volume of all but the ring, percent.
    pub fn set_volume(&mut self, percent: u8) {
        self.volume.to(gain(percent));
    }

    /// Volume of the ring, percent.
    pub fn set_ring_volume(&mut self, percent: u8) {
        self.ring_volume.to(gain(percent));
    }

    /// Whether anything but the ring is heard.
    pub fn set_listen(&mut self, on: bool) {
        self.listen.to(f32::from(on));
    }

    /// No sidetone from a loudspeaker: it would howl.
    pub fn set_path(&mut self, path: SoundPath) {
        self.sidetone.to(match path {
            SoundPath::Handset | SoundPath::Headset => self.own_voice,
            SoundPath::Speaker => 0.0,
        });
    }

    /// Nothing but a ring can be heard.
    pub fn deaf(&self) -> bool {
        self.listen.silent()
    }

    /// One period for the device; `out` as well in `f32`, as the echo canceller's reference.
    pub fn mix(&mut self, from: &Sources<'_>, reference: &mut Frame, out: &mut Period) {
        for (n, sum) in reference.iter_mut().enumerate() {
            let volume = self.volume.next() * self.listen.next();
            let heard =
                (from.far[n] + from.tones[n] + from.near[n] * self.sidetone.next()) * volume;
            *sum = heard + from.ring[n] * self.ring_volume.next();
        }
        self.limiter.apply(reference);
        for (to, sample) in out.iter_mut().zip(reference.iter()) {
            *to = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
        }
    }
}

fn gain(percent: u8) -> f32 {
    match percent.min(100) {
        0 => 0.0,
        percent => from_db(-VOLUME_RANGE_DB * f32::from(100 - percent) / 99.0),
    }
}

/// A soft limiter: turns loud sound down instead of cutting its tops, and looks one period ahead, so that it turns
/// down before the top comes.
#[derive(Debug)]
struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    fn apply(&mut self, frame: &mut Frame) {
        let peak = frame
            .iter()
            .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = if peak > THRESHOLD {
            ceiling(peak) / peak
        } else {
            1.0
        };
        if wanted >= 1.0 && self.gain >= 1.0 {
            return;
        }
        let start = self.gain;
        for (n, sample) in frame.iter_mut().enumerate() {
            if wanted < start && n < ATTACK {
                self.gain = start + (wanted - start) * (n + 1) as f32 / ATTACK as f32;
            } else if wanted > self.gain {
                self.gain += (wanted - self.gain) / RELEASE_SAMPLES;
            }
            // In the attack a top may still be too high.
            *sample = soft(*sample * self.gain);
        }
        if self.gain > 0.9999 {
            self.gain = 1.0;
        }
    }
}

/// The level a peak is brought to: slowly rising from the threshold towards 1.
fn ceiling(peak: f32) -> f32 {
    let above = (peak - THRESHOLD) / (1.0 - THRESHOLD);
    THRESHOLD + (1.0 - THRESHOLD) * 0.9 * above / (1.0 + above)
}

/// Bends what is above `KNEE` so that it never reaches 1.
fn soft(sample: f32) -> f32 {
    let magnitude = sample.abs();
    if magnitude <= KNEE {
        return sample;
    }
    let above = (magnitude - KNEE) / (1.0 - KNEE);
    (KNEE + (1.0 - KNEE) * above / (1.0 + above)).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::measure::{level_db, sine};
    use offhook_hal::audio::PERIOD_FRAMES;

    const SILENCE: Frame = [0.0; PERIOD_FRAMES];

    fn mix(mixer: &mut Mixer, far: &[f32], ring: &[f32]) -> Vec<f32> {
        let mut all = Vec::new();
        for (far, ring) in far
            .chunks_exact(PERIOD_FRAMES)
            .zip(ring.chunks_exact(PERIOD_FRAMES))
        {
            let sources = Sources {
                far: far.try_into().unwrap(),
                tones: &SILENCE,
                near: &SILENCE,
                ring: ring.try_into().unwrap(),
            };
            let (mut reference, mut out) = (SILENCE, [0; PERIOD_FRAMES]);
            mixer.mix(&sources, &mut reference, &mut out);
            all.extend(out.map(|sample| f32::from(sample) / 32_768.0));
        }
        all
    }

    fn listening(config: EngineConfig) -> Mixer {
        let mut mixer = Mixer::new(&config);
        mixer.listen.jump(1.0);
        mixer
    }

    fn biggest_step(x: &[f32]) -> f32 {
        x.windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn only_the_ring_is_heard_while_nobody_listens() {
        let mut mixer = Mixer::new(&EngineConfig::default());
        let tone = sine(1000.0, 48_000.0, 0.5, 4800);
        let silence = vec![0.0; 4800];
        assert!(mix(&mut mixer, &tone, &silence).iter().all(|&s| s == 0.0));
        let ring = mix(&mut mixer, &silence, &tone);
        assert!((level_db(&ring, 48_000.0, 1000.0) + 6.0).abs() < 0.1);
    }

    #[test]
    fn volume_and_gate_do_not_click() {
        let mut mixer = listening(EngineConfig::default());
        let tone = sine(200.0, 48_000.0, 0.5, 4800);
        let silence = vec![0.0; 4800];
        let smooth = biggest_step(&tone);
        for change in 0..6 {
            match change {
                0 => mixer.set_volume(0),
                1 => mixer.set_volume(100),
                2 => mixer.set_listen(false),
                3 => mixer.set_listen(true),
                4 => mixer.set_volume(10),
                _ => mixer.set_volume(90),
            }
            let step = biggest_step(&mix(&mut mixer, &tone, &silence));
            assert!(step < smooth * 1.2, "change {change}: a step of {step}");
        }
    }

    #[test]
    fn volume_is_in_decibel() {
        for (percent, want) in [(100, 0.0), (1, -40.0)] {
            let mut mixer = listening(EngineConfig {
                volume_percent: percent,
                ..EngineConfig::default()
            });
            let tone = sine(1000.0, 48_000.0, 0.5, 4800);
            let out = mix(&mut mixer, &tone, &vec![0.0; 4800]);
            let level = level_db(&out, 48_000.0, 1000.0) - level_db(&tone, 48_000.0, 1000.0);
            assert!((level - want).abs() < 0.1, "{percent} percent: {level} dB");
        }
        assert_eq!(gain(0), 0.0);
        assert_eq!(gain(255), 1.0);
    }

    #[test]
    fn too_loud_is_turned_down_not_cut() {
        let mut mixer = listening(EngineConfig::default());
        let loud = sine(300.0, 48_000.0, 3.0, 48_000);
        let out = mix(&mut mixer, &loud, &vec![0.0; 48_000]);
        assert!(out.iter().all(|s| s.abs() < 1.0));
        let settled = &out[24_000..];
        let fundamental = level_db(settled, 48_000.0, 300.0);
        assert!(fundamental > -1.5, "{fundamental} dB");
        let third = level_db(settled, 48_000.0, 900.0);
        assert!(third < fundamental - 40.0, "third harmonic at {third} dB");
        let quiet = sine(300.0, 48_000.0, 0.5, 48_000);
        let out = mix(&mut mixer, &quiet, &vec![0.0; 48_000]);
        let level = level_db(&out[43_200..], 48_000.0, 300.0);
        assert!((level + 6.0).abs() < 0.1, "recovered to {level} dB");
    }
}
