//! The echo canceller of one path's microphone: WebRTC's AEC3, from the crate `sonora-aec3`.
//!
//! `sonora` itself would drive it as well, but only with AEC3's own tuning, whose suppressor takes 4 dB off the near end
//! while both speak; here it is tuned for a telephone ([`tuning`]).

use super::Frame;
use super::residue::power;
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use sonora::high_pass_filter::HighPassFilter;
use sonora::three_band_filter_bank::{NUM_BANDS, SPLIT_BAND_SIZE, ThreeBandFilterBank};
use sonora_aec3::block::Block;
use sonora_aec3::block_framer::BlockFramer;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::common::SUB_FRAME_LENGTH;
use sonora_aec3::config::EchoCanceller3Config;
use sonora_aec3::frame_blocker::FrameBlocker;

/// AEC3 counts samples as 16-bit numbers do.
const SCALE: f32 = 32_768.0;
/// From here on the microphone is overdriven: nothing can be learnt of the room then.
const SATURATED: f32 = 32_700.0;
/// Of the lowest band.
const BAND_RATE_HZ: i32 = 16_000;

/// What high-pass and filter bank together take off a voice, 0.46 dB from 250 Hz to 6 kHz, made up for. The noise
/// suppression has the same two once more.
pub const MAKE_UP: f32 = 1.054;

/// A period in three bands of 8 kHz.
type Bands = [[f32; SPLIT_BAND_SIZE]; NUM_BANDS];

/// The canceller; its memory is taken when it is made, but for what AEC3 allocates while it works.
pub struct Canceller {
    processor: BlockProcessor,
    reference: Splitter,
    near: Splitter,
    framer: BlockFramer,
    high_pass: HighPassFilter,
    /// The lowest band, as the high-pass wants it.
    low: [Vec<f32>; 1],
    /// Half a period, as the framer gives it.
    part: Vec<Vec<Vec<f32>>>,
}

impl Canceller {
    /// Has learnt nothing yet.
    pub fn new() -> Self {
        Self {
            processor: BlockProcessor::new(&tuning(), RATE_HZ as usize, 1, 1),
            reference: Splitter::new(),
            near: Splitter::new(),
            framer: BlockFramer::new(NUM_BANDS, 1),
            high_pass: HighPassFilter::new(BAND_RATE_HZ, 1),
            low: [vec![0.0; SPLIT_BAND_SIZE]],
            part: vec![vec![vec![0.0; SUB_FRAME_LENGTH]; 1]; NUM_BANDS],
        }
    }

    /// Takes the echo of `reference` out of a period of the microphone, in place. Says how loud that was before, behind
    /// the same filters as what is left: mean power, 1 is a full-scale square.
    pub fn process(&mut self, near: &mut Frame, reference: &Frame) -> f32 {
        let processor = &mut self.processor;
        let bands = self.reference.split(&reference.map(|s| s * SCALE));
        self.reference
            .blocks(&bands, |_, block| processor.buffer_render(block));

        let loud = near.map(|s| s * SCALE);
        let saturated = loud.iter().any(|s| s.abs() >= SATURATED);
        let mut bands = self.near.split(&loud);
        self.low[0].copy_from_slice(&bands[0]);
        self.high_pass.process_channels(&mut self.low);
        bands[0].copy_from_slice(&self.low[0]);
        let heard = bands.iter().map(|band| power(band)).sum::<f32>() / (SCALE * SCALE);
        let (framer, part) = (&mut self.framer, &mut self.part);
        let mut clean: Bands = [[0.0; SPLIT_BAND_SIZE]; NUM_BANDS];
        self.near.blocks(&bands, |half, block| {
            processor.process_capture(false, saturated, None, block);
            let Some(half) = half else {
                framer.insert_block(block);
                return;
            };
            framer.insert_block_and_extract_sub_frame(block, part);
            for (band, from) in clean.iter_mut().zip(part.iter()) {
                band[half * SUB_FRAME_LENGTH..][..SUB_FRAME_LENGTH].copy_from_slice(&from[0]);
            }
        });
        let mut out = [0.0; PERIOD_FRAMES];
        self.near.bank.synthesis(&clean, &mut out);
        *near = out.map(|s| s * MAKE_UP / SCALE);
        heard * MAKE_UP * MAKE_UP
    }
}

/// One signal on its way into AEC3's blocks.
struct Splitter {
    bank: ThreeBandFilterBank,
    blocker: FrameBlocker,
    block: Block,
}

impl Splitter {
    fn new() -> Self {
        Self {
            bank: ThreeBandFilterBank::new(),
            blocker: FrameBlocker::new(NUM_BANDS, 1),
            block: Block::new(NUM_BANDS, 1),
        }
    }

    fn split(&mut self, sound: &Frame) -> Bands {
        let mut bands = [[0.0; SPLIT_BAND_SIZE]; NUM_BANDS];
        self.bank.analysis(sound, &mut bands);
        bands
    }

    /// Each block that is full now: one with either half of the period, whose number it gets, and every other period one
    /// more.
    fn blocks(&mut self, bands: &Bands, mut each: impl FnMut(Option<usize>, &mut Block)) {
        for half in 0..2 {
            let part = bands
                .each_ref()
                .map(|band| vec![&band[half * SUB_FRAME_LENGTH..][..SUB_FRAME_LENGTH]]);
            self.blocker
                .insert_sub_frame_and_extract_block(&part, &mut self.block);
            each(Some(half), &mut self.block);
        }
        if self.blocker.is_block_available() {
            self.blocker.extract_block(&mut self.block);
            each(None, &mut self.block);
        }
    }
}

/// AEC3's own, but gentler with the near end. What that leaves of the echo while nobody speaks here, another stage takes
/// away ([`super::residue`]); while both speak it is 10 to 20 dB below the near end and behind it.
///
/// - How quickly the suppressor lets a band go when there is no echo in it any more: by 24 dB every 4 ms while the far end
///   speaks, and by 30 dB while both do, instead of 6. That is where the near end's beginnings went.
/// - From which part of the echo in a band it is turned down while both speak: twice the near end below 1 kHz instead of
///   1.1 times, and 1.1 times instead of a tenth above 2 kHz.
/// - By how much the filter is trusted to have taken out: 9 dB and 6 dB instead of 6 and 2.
/// - While it has not seen yet that both speak, all above 2 kHz is turned down as far as the band at 2 kHz is: not here.
///   That took 5 dB more of the near end above 3 kHz.
/// - In return each band is turned down from a smaller part of the echo on while only the far end speaks: a twentieth
///   instead of a third below 1 kHz, and a hundredth instead of a fourteenth above. So a loud loudspeaker is gone within
///   the first second, before the filter has learnt the room.
/// - For how long it must have looked as if both spoke: 56 ms instead of 48, which costs 0.1 dB. What a clipping
///   loudspeaker adds looks like that for nearly as long.
///
/// Together they keep up to 5 dB more of an octave of the near end, by the voice; most of it above 3 kHz, and where the
/// echo is as loud.
fn tuning() -> EchoCanceller3Config {
    let mut config = EchoCanceller3Config::default();
    config.erle.max_l = 8.0;
    config.erle.max_h = 4.0;
    let suppressor = &mut config.suppressor;
    suppressor.high_frequency_suppression.bands_in_limiting_gain = 0;
    suppressor.dominant_nearend_detection.trigger_threshold = 14;
    let far_end_only = &mut suppressor.normal_tuning;
    far_end_only.max_inc_factor = 16.0;
    far_end_only.mask_lf.enr_transparent = 0.05;
    far_end_only.mask_lf.enr_suppress = 0.1;
    far_end_only.mask_hf.enr_transparent = 0.01;
    far_end_only.mask_hf.enr_suppress = 0.02;
    let both_speak = &mut suppressor.nearend_tuning;
    both_speak.max_inc_factor = 30.0;
    both_speak.mask_lf.enr_transparent = 2.0;
    both_speak.mask_lf.enr_suppress = 2.2;
    both_speak.mask_hf.enr_transparent = 1.09;
    both_speak.mask_hf.enr_suppress = 1.1;
    config
}
