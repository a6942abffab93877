//! Gain control of one path's microphone: WebRTC's AGC2, put together from the parts of the crate `sonora-agc2`.
//!
//! `sonora` itself would put it together as well, but would let it learn from what is left of an echo, which is a
//! quiet voice to it: the gain would rise while only the far end speaks. Here it waits meanwhile.

use super::{Frame, GainControl};
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use sonora_agc2::adaptive_digital_gain_controller::{AdaptiveDigitalGainController, FrameInfo};
use sonora_agc2::common::{
    ADJACENT_SPEECH_FRAMES_THRESHOLD, SATURATION_PROTECTOR_INITIAL_HEADROOM_DB,
    VAD_RESET_PERIOD_MS, float_s16_to_dbfs,
};
use sonora_agc2::limiter::Limiter;
use sonora_agc2::noise_level_estimator::NoiseLevelEstimator;
use sonora_agc2::saturation_protector::SaturationProtector;
use sonora_agc2::speech_level_estimator::{AdaptiveDigitalConfig, SpeechLevelEstimator};
use sonora_agc2::vad_wrapper::VoiceActivityDetectorWrapper;

/// AGC2 counts samples as 16-bit numbers do.
const SCALE: f32 = 32_768.0;

/// The gain control.
pub struct Leveller {
    vad: VoiceActivityDetectorWrapper,
    noise: NoiseLevelEstimator,
    speech: SpeechLevelEstimator,
    protector: SaturationProtector,
    controller: AdaptiveDigitalGainController,
    limiter: Limiter,
    /// What it knew when somebody spoke here last.
    known: FrameInfo,
}

impl Leveller {
    /// Passes sound unchanged until it has heard a voice.
    pub fn new(config: GainControl) -> Self {
        let adaptive = AdaptiveDigitalConfig {
            headroom_db: config.headroom_db.into(),
            max_gain_db: config.most_db.into(),
            initial_gain_db: 0.0,
            ..AdaptiveDigitalConfig::default()
        };
        let adjacent = ADJACENT_SPEECH_FRAMES_THRESHOLD;
        let headroom_db = SATURATION_PROTECTOR_INITIAL_HEADROOM_DB;
        let speech = SpeechLevelEstimator::new(&adaptive, adjacent);
        Self {
            vad: VoiceActivityDetectorWrapper::with_reset_period(
                VAD_RESET_PERIOD_MS,
                sonora_simd::detect_backend(),
                RATE_HZ as i32,
            ),
            noise: NoiseLevelEstimator::default(),
            protector: SaturationProtector::new(headroom_db, adjacent),
            controller: AdaptiveDigitalGainController::new(adaptive, adjacent),
            limiter: Limiter::new(PERIOD_FRAMES),
            known: FrameInfo {
                speech_probability: 0.0,
                speech_level_dbfs: speech.level_dbfs(),
                speech_level_reliable: false,
                noise_rms_dbfs: float_s16_to_dbfs(0.0),
                headroom_db,
                limiter_envelope_dbfs: float_s16_to_dbfs(0.0),
            },
            speech,
        }
    }

    /// Brings a period to the level, in place. While `wait`, it learns nothing and raises nothing.
    pub fn process(&mut self, near: &mut Frame, wait: bool) {
        for sample in near.iter_mut() {
            *sample *= SCALE;
        }
        if wait {
            // What was heard of a voice before is not one with what comes after.
            let (known, silence_dbfs) = (&mut self.known, float_s16_to_dbfs(0.0));
            self.speech.update(silence_dbfs, 0.0);
            self.protector
                .analyze(0.0, silence_dbfs, known.speech_level_dbfs);
            known.speech_probability = 0.0;
            known.limiter_envelope_dbfs = silence_dbfs;
        } else {
            self.learn(near);
        }
        self.controller.process(&self.known, &mut [&mut near[..]]);
        self.limiter.process(&mut [&mut near[..]]);
        for sample in near {
            *sample /= SCALE;
        }
    }

    fn learn(&mut self, near: &Frame) {
        let peak = near
            .iter()
            .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let rms = super::residue::power(near).sqrt();
        let speech_probability = self.vad.analyze(near);
        let noise_rms_dbfs = self.noise.analyze(&[near]);
        self.speech
            .update(float_s16_to_dbfs(rms), speech_probability);
        let speech_level_dbfs = self.speech.level_dbfs();
        self.protector.analyze(
            speech_probability,
            float_s16_to_dbfs(peak),
            speech_level_dbfs,
        );
        self.known = FrameInfo {
            speech_probability,
            speech_level_dbfs,
            speech_level_reliable: self.speech.is_confident(),
            noise_rms_dbfs,
            headroom_db: self.protector.headroom_db(),
            limiter_envelope_dbfs: float_s16_to_dbfs(self.limiter.last_audio_level()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::measure::rms;
    use crate::audio::tests::speech::speech;

    /// By how much a voice of this level comes out louder in the end, dB, in 12 s; `wait` all the time or never.
    fn gain_db(config: GainControl, level: f32, wait: bool) -> f32 {
        let mut leveller = Leveller::new(config);
        let recorded = speech();
        let to_level = level / rms(&recorded);
        let spoken: Vec<f32> = recorded.iter().map(|s| s * to_level).collect();
        let whole = spoken.chunks_exact(PERIOD_FRAMES);
        let mut last = 0.0;
        for frame in whole.cycle().take(1200) {
            let mut near: Frame = frame.try_into().unwrap();
            leveller.process(&mut near, wait);
            let before: &Frame = frame.try_into().unwrap();
            if rms(before) > level {
                last = 20.0 * (rms(&near) / rms(before)).log10();
            }
        }
        last
    }

    #[test]
    fn a_quiet_voice_is_made_louder_as_far_as_configured() {
        let usual = GainControl::default();
        // A voice of -50 dBFS would want more than it may get.
        for most_db in [6, 12, 18] {
            let gain = gain_db(GainControl { most_db, ..usual }, 0.003, false);
            assert!(
                (gain - f32::from(most_db)).abs() < 0.5,
                "{most_db}: {gain} dB"
            );
        }
        // 6 dB lower peaks want 6 dB less.
        let high = gain_db(usual, 0.01, false);
        let headroom_db = usual.headroom_db + 6;
        let low = gain_db(
            GainControl {
                headroom_db,
                ..usual
            },
            0.01,
            false,
        );
        assert!((high - low - 6.0).abs() < 0.5, "{high} dB, {low} dB");
        let loud = gain_db(usual, 0.2, false);
        assert!(loud.abs() < 1.0, "a loud voice: {loud} dB");
    }

    /// Without waiting, the 18 dB of the test above: what an echo has left is a quiet voice.
    #[test]
    fn while_it_waits_nothing_gets_louder() {
        let gain = gain_db(GainControl::default(), 0.003, true);
        assert!(gain.abs() < 0.01, "{gain} dB");
    }
}
