//! Echo cancelling ([`Canceller`]), noise suppression and gain control of one path's microphone, by the crate `sonora`
//! (WebRTC's audio processing in Rust).
//!
//! Its instances are made with the pipeline, one per path, because making one allocates; what it allocates while it
//! works comes from [`super::arena`].

use super::canceller::Canceller;
use super::{Frame, NoiseSuppression, VoiceConfig, arena};
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use sonora::config::{
    AdaptiveDigital, GainController2, MaxProcessingRate, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

/// What gain control may add at most: more would make a shout of a quiet room.
const MAX_GAIN_DB: f32 = 18.0;

/// Periods of silence that it works through before the audio thread gets it.
const WARM_UP: usize = 10;

/// One path's processing. What is switched off is not there: the sound passes it unchanged and undelayed.
pub struct Voice {
    canceller: Option<Box<Canceller>>,
    /// Noise suppression and gain control.
    processing: Option<Box<AudioProcessing>>,
}

impl Voice {
    /// Allocates all but what comes from the arena later.
    pub fn new(config: VoiceConfig) -> Self {
        let stream = StreamConfig::new(RATE_HZ, 1);
        let processes = config.noise_suppression != NoiseSuppression::Off || config.gain_control;
        let mut voice = Self {
            canceller: config.echo_cancelling.then(|| Box::new(Canceller::new())),
            processing: processes.then(|| {
                Box::new(
                    AudioProcessing::builder()
                        .config(settings(config))
                        .capture_config(stream)
                        .render_config(stream)
                        .build(),
                )
            }),
        };
        // Some of what it was made with it exchanges when it first works.
        for _ in 0..WARM_UP {
            voice.process(&mut [0.0; PERIOD_FRAMES], &[0.0; PERIOD_FRAMES]);
        }
        voice
    }

    /// A period of the microphone, in place; `reference` is what the loudspeaker played a little before it.
    pub fn process(&mut self, near: &mut Frame, reference: &Frame) {
        if self.canceller.is_none() && self.processing.is_none() {
            return;
        }
        arena::with(|| {
            if let Some(canceller) = &mut self.canceller {
                canceller.process(near, reference);
            }
            if let Some(processing) = &mut self.processing {
                let mut out: Frame = [0.0; PERIOD_FRAMES];
                // It refuses only formats other than the one it was made for.
                if processing
                    .process_capture_f32(&[&*near], &mut [&mut out])
                    .is_ok()
                {
                    *near = out;
                }
            }
        });
    }
}

fn settings(config: VoiceConfig) -> Config {
    let level = match config.noise_suppression {
        NoiseSuppression::Off => None,
        NoiseSuppression::Low => Some(NoiseSuppressionLevel::Low),
        NoiseSuppression::Moderate => Some(NoiseSuppressionLevel::Moderate),
        NoiseSuppression::High => Some(NoiseSuppressionLevel::High),
    };
    Config {
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            ..Pipeline::default()
        },
        noise_suppression: level.map(|level| sonora::config::NoiseSuppression {
            level,
            ..sonora::config::NoiseSuppression::default()
        }),
        gain_controller2: config.gain_control.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital {
                initial_gain_db: 0.0,
                max_gain_db: MAX_GAIN_DB,
                ..AdaptiveDigital::default()
            }),
            ..GainController2::default()
        }),
        ..Config::default()
    }
}
