//! Taking out or putting in a pitch period, without a click (the idea of WSOLA).

use super::pcm::MAX_STRETCH;
use crate::audio::pitch::{best_match_wide, power};
use crate::audio::ramp::ms;

/// What is faded from one place to the other.
const OVERLAP: usize = ms(5);
/// The shortest piece: 2.5 ms, a voice of 400 Hz.
pub const MIN_PIECE: usize = ms(5) / 2;
/// Mean power below which anything may be joined to anything: -65 dBFS.
const QUIET: f32 = 3.2e-7;

/// Takes a piece of at most `most` samples out of the start of `sound`, if it repeats itself with a correlation of
/// `fit` or is quiet; how long the piece is, 0 if none fits. What remains is moved to the start.
pub fn shorten(sound: &mut [f32], most: usize, fit: f32) -> usize {
    let most = most
        .min(MAX_STRETCH)
        .min(sound.len().saturating_sub(OVERLAP));
    if most < MIN_PIECE {
        return 0;
    }
    let start = &sound[..OVERLAP];
    let (at, found) = best_match_wide(start, &sound[MIN_PIECE..most + OVERLAP]);
    let piece = MIN_PIECE + at;
    if found < fit && !quiet(&sound[..piece + OVERLAP]) {
        return 0;
    }
    for n in 0..OVERLAP {
        let weight = (n + 1) as f32 / (OVERLAP + 1) as f32;
        sound[n] = sound[n] * (1.0 - weight) + sound[n + piece] * weight;
    }
    sound.copy_within(OVERLAP + piece.., OVERLAP);
    piece
}

/// Puts a piece of at most `most` samples (and [`MAX_STRETCH`]) in before `sound[start..end]`, a repetition of what lies before
/// `start`, under the same condition; how long the piece is. The sound then ends that much later; `sound` must have the
/// room.
pub fn lengthen(sound: &mut [f32], start: usize, end: usize, most: usize, fit: f32) -> usize {
    let room = sound
        .len()
        .saturating_sub(end)
        .min(start)
        .min(most)
        .min(MAX_STRETCH);
    if room < MIN_PIECE || end - start < OVERLAP {
        return 0;
    }
    let next = &sound[start..start + OVERLAP];
    let before = &sound[start - room..start - MIN_PIECE + OVERLAP];
    let (at, found) = best_match_wide(next, before);
    let piece = room - at;
    if found < fit && !quiet(&sound[start - piece..start + OVERLAP]) {
        return 0;
    }
    sound.copy_within(start..end, start + piece);
    sound.copy_within(start - piece..start, start);
    // What would have come now is faded into what came a piece earlier.
    for n in 0..OVERLAP {
        let weight = (n + 1) as f32 / (OVERLAP + 1) as f32;
        let (went_on, goes_back) = (sound[start + piece + n], sound[start + n]);
        sound[start + n] = went_on * (1.0 - weight) + goes_back * weight;
    }
    piece
}

fn quiet(sound: &[f32]) -> bool {
    power(sound) < QUIET * sound.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn voice(n: usize) -> f32 {
        let t = n as f32 / 48_000.0;
        (1..6)
            .map(|k| (TAU * 131.0 * k as f32 * t).sin() / k as f32)
            .sum::<f32>()
            * 0.2
    }

    fn biggest_step(x: &[f32]) -> f32 {
        x.windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn one_pitch_period_goes_without_a_trace() {
        let original: Vec<f32> = (0..960).map(voice).collect();
        let mut sound = original.clone();
        let piece = shorten(&mut sound, MAX_STRETCH, 0.9);
        assert!(
            (364..=369).contains(&piece),
            "131 Hz is 366 samples, not {piece}"
        );
        let sound = &sound[..960 - piece];
        assert!(biggest_step(sound) < 1.1 * biggest_step(&original));
        assert_eq!(sound[OVERLAP..], original[OVERLAP + piece..]);
    }

    #[test]
    fn one_pitch_period_comes_without_a_trace() {
        let original: Vec<f32> = (0..1440 + 960).map(voice).collect();
        let mut sound = original.clone();
        sound.resize(original.len() + MAX_STRETCH, 0.0);
        let piece = lengthen(&mut sound, 1440, 2400, MAX_STRETCH, 0.9);
        assert!(
            (364..=369).contains(&piece),
            "131 Hz is 366 samples, not {piece}"
        );
        let sound = &sound[..2400 + piece];
        assert!(biggest_step(sound) < 1.1 * biggest_step(&original));
        assert_eq!(
            sound[..1440],
            original[..1440],
            "what was played is not changed"
        );
        assert_eq!(
            sound[1440 + piece..],
            original[1440..],
            "all that comes is kept"
        );
    }

    #[test]
    fn what_does_not_repeat_is_left_alone_unless_quiet() {
        let mut x = 1u32;
        let mut noise = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let loud: Vec<f32> = (0..960).map(|_| noise() * 0.3).collect();
        let mut sound = loud.clone();
        assert_eq!(shorten(&mut sound, MAX_STRETCH, 0.9), 0);
        assert_eq!(sound, loud);
        let mut hiss: Vec<f32> = (0..960).map(|_| noise() * 0.0003).collect();
        assert!(shorten(&mut hiss, MAX_STRETCH, 0.9) >= MIN_PIECE);
        assert!(shorten(&mut [0.0; 960], 300, 0.9) <= 300);
    }

    #[test]
    fn short_sounds_are_left_alone() {
        for length in [0, 1, OVERLAP, OVERLAP + MIN_PIECE - 1] {
            assert_eq!(shorten(&mut vec![0.0; length], MAX_STRETCH, 0.0), 0);
        }
        assert_eq!(lengthen(&mut [0.0; 100], 0, 100, MAX_STRETCH, 0.0), 0);
    }
}
