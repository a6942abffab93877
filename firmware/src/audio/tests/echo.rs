//! The echo canceller in a room of numbers: the loudspeaker's sound comes back by 80 ms of reflections, through the
//! delay of a sound card, to the microphone. Offline, recorded speech on both sides.

use super::measure::{Random, correlation_at_best, rms};
use super::speech::speech;
use crate::audio::capture::CaptureChain;
use crate::audio::ramp::ms;
use crate::audio::reference::Reference;
use crate::audio::{Frame, NoiseSuppression, SoundPath, VoiceConfig};
use offhook_hal::audio::{PERIOD_FRAMES, Period, PeriodReport};

/// What a speakerphone has.
const FULL: VoiceConfig = VoiceConfig {
    echo_cancelling: true,
    noise_suppression: NoiseSuppression::Moderate,
    gain_control: false,
};

/// Reflections: how many samples late, how loud. The first is the way from loudspeaker to microphone.
fn room(seed: u64, loss_db: f32) -> Vec<(usize, f32)> {
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

/// A telephone on a desk whose microphone hears its loudspeaker.
struct Desk {
    chain: CaptureChain,
    reference: Reference,
    room: Vec<(usize, f32)>,
    /// Samples from the thread to the loudspeaker.
    card: usize,
    restarted: bool,
    /// The loudspeaker is driven to its end.
    distortion: bool,
    /// All that the loudspeaker played, with silence before.
    played: Vec<f32>,
    /// What goes to the far end, and the echo in what the microphone heard.
    sent: Vec<f32>,
    echo: Vec<f32>,
}

impl Desk {
    fn new(voice: VoiceConfig) -> Self {
        let mut chain = CaptureChain::new([VoiceConfig::default(), voice, VoiceConfig::default()]);
        chain.take_path(SoundPath::Speaker);
        Self {
            chain,
            reference: Reference::new(),
            room: room(3, 6.0),
            card: 1440,
            restarted: false,
            distortion: false,
            played: vec![0.0; 16_384],
            sent: Vec::new(),
            echo: Vec::new(),
        }
    }

    /// Both speak for as long as `far` is; `near` is as long or empty.
    fn talk(&mut self, far: &[f32], near: &[f32]) {
        for (n, far) in far.chunks_exact(PERIOD_FRAMES).enumerate() {
            // The last sample queued is `card` from the loudspeaker.
            let end = self.played.len() - self.card;
            let captured: Period = std::array::from_fn(|k| {
                let at = end - PERIOD_FRAMES + k;
                let reflections = self.room.iter();
                let echo: f32 = reflections
                    .map(|&(late, gain)| gain * self.played[at - late])
                    .sum();
                self.echo.push(echo);
                let near = near.get(n * PERIOD_FRAMES + k).copied().unwrap_or(0.0);
                ((echo + near) * 32_767.0).clamp(-32_768.0, 32_767.0) as i16
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
            let frame: &Frame = far.try_into().unwrap();
            self.reference.push(frame);
            self.played.extend(frame.map(|sample| {
                if self.distortion {
                    (2.5 * sample).tanh() / 2.5
                } else {
                    sample
                }
            }));
        }
    }

    /// Echo return loss enhancement over the last `milliseconds`, dB: the echo at the microphone against what is left
    /// of it.
    fn erle(&self, milliseconds: usize) -> f32 {
        let last = |all: &[f32]| rms(&all[all.len() - ms(milliseconds)..]);
        20.0 * (last(&self.echo) / last(&self.sent).max(1e-6)).log10()
    }
}

/// Loud enough to be heard across a room; `turn` picks where it begins.
fn talker(turn: usize, milliseconds: usize) -> Vec<f32> {
    let recorded = speech();
    let level = 0.1 / rms(&recorded);
    let mut sound: Vec<f32> = recorded
        .iter()
        .map(|sample| (sample * level).clamp(-0.9, 0.9))
        .collect();
    let length = sound.len();
    sound.rotate_left(turn * length / 3);
    sound
        .iter()
        .copied()
        .cycle()
        .take(ms(milliseconds))
        .collect()
}

#[test]
fn the_far_end_does_not_hear_itself() {
    let mut desk = Desk::new(VoiceConfig {
        noise_suppression: NoiseSuppression::Off,
        ..FULL
    });
    desk.talk(&talker(0, 2000), &[]);
    desk.talk(&talker(1, 4000), &[]);
    let alone = desk.erle(4000);
    let mut desk = Desk::new(FULL);
    desk.talk(&talker(0, 2000), &[]);
    desk.talk(&talker(1, 4000), &[]);
    let full = desk.erle(4000);
    println!("ERLE after 2 s: {alone:.1} dB, with noise suppression {full:.1} dB");
    assert!(alone >= 35.0 && full >= 35.0, "{alone} dB, {full} dB");
}

#[test]
fn a_distorting_loudspeaker_is_cancelled_too() {
    let mut desk = Desk::new(FULL);
    desk.distortion = true;
    let loud: Vec<f32> = talker(0, 6000)
        .iter()
        .map(|s| (s * 2.0).clamp(-1.0, 1.0))
        .collect();
    desk.talk(&loud, &[]);
    let erle = desk.erle(3000);
    println!("ERLE of a distorting loudspeaker: {erle:.1} dB");
    assert!(erle >= 35.0, "{erle} dB");
}

#[test]
fn a_jump_of_the_cards_delay_is_followed() {
    for reported in [true, false] {
        let mut desk = Desk::new(FULL);
        desk.talk(&talker(0, 4000), &[]);
        // An underrun leaves the playback 10 ms further from the thread, or a sound server 40 ms.
        desk.card += ms(50);
        desk.restarted = reported;
        desk.talk(&talker(1, 1000), &[]);
        let at_once = desk.erle(1000);
        desk.talk(&talker(2, 3000), &[]);
        let later = desk.erle(2000);
        println!(
            "50 ms jump, restart reported: {reported}: ERLE in the first second {at_once:.1} dB, after 2 s {later:.1} dB"
        );
        assert!(at_once >= 20.0, "{at_once} dB");
        assert!(later >= 35.0, "{later} dB");
    }
}

#[test]
fn another_echo_path_is_learnt() {
    let mut desk = Desk::new(FULL);
    desk.talk(&talker(0, 4000), &[]);
    // The telephone is turned round.
    desk.room = room(8, 9.0);
    desk.talk(&talker(1, 2000), &[]);
    desk.talk(&talker(2, 3000), &[]);
    let erle = desk.erle(3000);
    println!("another path: ERLE after 2 s {erle:.1} dB");
    assert!(erle >= 35.0, "{erle} dB");
}

#[test]
fn the_near_end_is_kept() {
    let near = talker(2, 4000);
    let alone = {
        let mut desk = Desk::new(FULL);
        desk.talk(&vec![0.0; ms(4000)], &near);
        20.0 * (rms(&desk.sent[ms(1000)..]) / rms(&near[ms(1000)..])).log10()
    };
    println!("near end alone {alone:+.1} dB");
    assert!(alone.abs() <= 3.0, "{alone} dB");
    // Against the far end, once the room is learnt, and as loud as it.
    let mut desk = Desk::new(FULL);
    desk.talk(&talker(0, 4000), &[]);
    let from = desk.sent.len();
    desk.talk(&talker(1, 4000), &near);
    let both = &desk.sent[from..];
    let level = 20.0 * (rms(both) / rms(&near)).log10();
    let likeness = correlation_at_best(&near, both, ms(40));
    println!("double talk {level:+.1} dB, correlation {likeness:.2}");
    assert!((-3.0..1.0).contains(&level), "{level} dB");
    assert!(likeness > 0.5, "{likeness}");
    // And then it has not forgotten the room.
    desk.talk(&talker(1, 3000), &[]);
    let after = desk.erle(2000);
    println!("ERLE after double talk {after:.1} dB");
    assert!(after >= 35.0, "{after} dB");
}

#[test]
fn switched_off_it_is_not_there() {
    let mut desk = Desk::new(VoiceConfig::default());
    desk.room = Vec::new();
    let near = talker(0, 1000);
    desk.talk(&vec![0.0; ms(1000)], &near);
    let error: Vec<f32> = desk.sent.iter().zip(&near).map(|(a, b)| a - b).collect();
    // The high-pass, and 16 bits.
    assert!(rms(&error) < 0.1 * rms(&near));
}

#[test]
fn noise_is_suppressed_and_a_quiet_voice_made_louder() {
    let mut random = Random::new(9);
    let noise: Vec<f32> = (0..ms(6000))
        .map(|_| (random.uniform() as f32 - 0.5) * 0.02)
        .collect();
    let mut desk = Desk::new(VoiceConfig {
        noise_suppression: NoiseSuppression::High,
        ..VoiceConfig::default()
    });
    desk.talk(&vec![0.0; ms(6000)], &noise);
    let less = 20.0 * (rms(&desk.sent[ms(4000)..]) / rms(&noise)).log10();
    let quiet: Vec<f32> = talker(0, 8000).iter().map(|sample| sample * 0.1).collect();
    let mut desk = Desk::new(VoiceConfig {
        gain_control: true,
        ..VoiceConfig::default()
    });
    desk.talk(&vec![0.0; ms(8000)], &quiet);
    let more = 20.0 * (rms(&desk.sent[ms(6000)..]) / rms(&quiet[ms(6000)..])).log10();
    println!("noise {less:+.1} dB, a voice 20 dB too quiet {more:+.1} dB");
    assert!(less < -12.0, "{less} dB");
    assert!((6.0..19.0).contains(&more), "{more} dB");
}
