//! What one path's microphone goes through: echo cancelling ([`Canceller`]) with what it leaves turned down
//! ([`ResidueGate`]), noise suppression, gain control ([`Leveller`]); by the crates of `sonora` (WebRTC's audio processing
//! in Rust).
//!
//! The instances are made with the pipeline, one per path, because making one allocates; what it allocates while it
//! works comes from [`super::arena`].

use super::canceller::{Canceller, MAKE_UP};
use super::leveller::Leveller;
use super::residue::ResidueGate;
use super::{Frame, NoiseSuppression, VoiceConfig, arena};
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use sonora::config::{MaxProcessingRate, NoiseSuppressionLevel, Pipeline};
use sonora::{AudioProcessing, Config, StreamConfig};

/// Periods of silence that it works through before the audio thread gets it.
const WARM_UP: usize = 10;

/// One path's processing. What is switched off is not there: the sound passes it unchanged and undelayed.
pub struct Voice {
    canceller: Option<(Box<Canceller>, ResidueGate)>,
    noise: Option<Box<AudioProcessing>>,
    leveller: Option<Box<Leveller>>,
}

impl Voice {
    /// Allocates all but what comes from the arena later.
    pub fn new(config: VoiceConfig) -> Self {
        let stream = StreamConfig::new(RATE_HZ, 1);
        let mut voice = Self {
            canceller: config
                .echo_cancelling
                .map(|echo| (Box::new(Canceller::new()), ResidueGate::new(echo.gate_db))),
            noise: suppression(config.noise_suppression).map(|config| {
                Box::new(
                    AudioProcessing::builder()
                        .config(config)
                        .capture_config(stream)
                        .render_config(stream)
                        .build(),
                )
            }),
            leveller: config
                .gain_control
                .map(|config| Box::new(Leveller::new(config))),
        };
        // Some of what it was made with it exchanges when it first works.
        for _ in 0..WARM_UP {
            voice.process(&mut [0.0; PERIOD_FRAMES], &[0.0; PERIOD_FRAMES]);
        }
        voice
    }

    /// A period of the microphone, in place; `reference` is what the loudspeaker played a little before it.
    pub fn process(&mut self, near: &mut Frame, reference: &Frame) {
        if self.canceller.is_none() && self.noise.is_none() && self.leveller.is_none() {
            return;
        }
        arena::with(|| {
            let mut echo = false;
            if let Some((canceller, gate)) = &mut self.canceller {
                let heard = canceller.process(near, reference);
                echo = gate.process(heard, near);
            }
            if let Some(noise) = &mut self.noise {
                let mut out: Frame = [0.0; PERIOD_FRAMES];
                // It refuses only formats other than the one it was made for.
                if noise
                    .process_capture_f32(&[&*near], &mut [&mut out])
                    .is_ok()
                {
                    *near = out.map(|s| s * MAKE_UP);
                }
            }
            if let Some(leveller) = &mut self.leveller {
                leveller.process(near, echo);
            }
        });
    }
}

fn suppression(wanted: NoiseSuppression) -> Option<Config> {
    let level = match wanted {
        NoiseSuppression::Off => return None,
        NoiseSuppression::Low => NoiseSuppressionLevel::Low,
        NoiseSuppression::Moderate => NoiseSuppressionLevel::Moderate,
        NoiseSuppression::High => NoiseSuppressionLevel::High,
    };
    Some(Config {
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            ..Pipeline::default()
        },
        noise_suppression: Some(sonora::config::NoiseSuppression {
            level,
            ..sonora::config::NoiseSuppression::default()
        }),
        ..Config::default()
    })
}
