//! Echo cancelling, noise suppression and gain control of one path's microphone, by the crate `sonora` (WebRTC's audio
//! processing in Rust).
//!
//! Its instances are made with the pipeline, one per path, because making one allocates; what it allocates while it
//! works comes from [`super::arena`].

use super::{Frame, NoiseSuppression, VoiceConfig, arena};
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, NoiseSuppressionLevel,
    Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

/// What gain control may add at most: more would make a shout of a quiet room.
const MAX_GAIN_DB: f32 = 18.0;

/// Periods of silence that it works through before the audio thread gets it.
const WARM_UP: usize = 10;

/// One path's processing.
pub struct Voice {
    /// `None`: all is switched off, and the sound passes unchanged and undelayed.
    processing: Option<Box<AudioProcessing>>,
    cancels: bool,
}

impl Voice {
    /// Allocates all but what comes from the arena later.
    pub fn new(config: VoiceConfig) -> Self {
        if config == VoiceConfig::default() {
            return Self {
                processing: None,
                cancels: false,
            };
        }
        let stream = StreamConfig::new(RATE_HZ, 1);
        let processing = AudioProcessing::builder()
            .config(settings(config))
            .capture_config(stream)
            .render_config(stream)
            .build();
        let mut voice = Self {
            processing: Some(Box::new(processing)),
            cancels: config.echo_cancelling,
        };
        // Some of what it was made with it exchanges when it first works.
        for _ in 0..WARM_UP {
            voice.process(&mut [0.0; PERIOD_FRAMES], &[0.0; PERIOD_FRAMES]);
        }
        voice
    }

    /// A period of the microphone, in place; `reference` is what the loudspeaker played a little before it.
    pub fn process(&mut self, near: &mut Frame, reference: &Frame) {
        let Some(processing) = &mut self.processing else {
            return;
        };
        let cancels = self.cancels;
        arena::with(|| {
            let mut out: Frame = [0.0; PERIOD_FRAMES];
            // They refuse only formats other than the one they were made for.
            if cancels {
                let _ = processing.process_render_f32(&[reference], &mut [&mut out]);
                // The reference is aligned already.
                let _ = processing.set_stream_delay_ms(0);
            }
            if processing
                .process_capture_f32(&[&*near], &mut [&mut out])
                .is_ok()
            {
                *near = out;
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
        echo_canceller: config.echo_cancelling.then(EchoCanceller::default),
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
