//! Finding where a sound repeats itself.

/// Where in `search` the window `reference` fits best, and how well: normalised correlation, -1 to 1.
///
/// `search` is at least as long as `reference`; otherwise nothing fits: `(0, 0.0)`.
pub fn best_match(reference: &[f32], search: &[f32]) -> (usize, f32) {
    let length = reference.len();
    let Some(last) = search.len().checked_sub(length) else {
        return (0, 0.0);
    };
    let own = power(reference);
    let mut theirs = power(&search[..length]);
    let (mut best, mut best_fit) = (0, f32::MIN);
    for at in 0..=last {
        let window = &search[at..at + length];
        let product: f32 = reference.iter().zip(window).map(|(a, b)| a * b).sum();
        // The running sum loses digits when the sound gets much quieter; such a window fits nothing anyway.
        let fit = product / (own * theirs.max(own * 1e-3)).sqrt().max(1e-9);
        if fit > best_fit {
            (best, best_fit) = (at, fit);
        }
        if at < last {
            theirs += search[at + length].powi(2) - search[at].powi(2);
        }
    }
    (best, best_fit.clamp(-1.0, 1.0))
}

/// Sum of squares.
pub fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum()
}

/// How much coarser the first look is.
const COARSE: usize = 6;
/// The longest stretch [`best_match_wide`] looks at, samples: 30 ms at 48 kHz.
const WIDEST: usize = 1440;

/// [`best_match`] at 48 kHz in two steps: at a sixth of the rate, then around the place found.
///
/// Neither slice is longer than 30 ms; what is beyond is not looked at.
pub fn best_match_wide(reference: &[f32], search: &[f32]) -> (usize, f32) {
    let reference = &reference[..reference.len().min(WIDEST)];
    let search = &search[..search.len().min(WIDEST)];
    let (mut small_reference, mut small_search) = ([0.0; WIDEST / COARSE], [0.0; WIDEST / COARSE]);
    let small_reference = coarse(reference, &mut small_reference);
    let small_search = coarse(search, &mut small_search);
    let (near, _) = best_match(small_reference, small_search);
    let from = (near * COARSE)
        .saturating_sub(COARSE)
        .min(search.len().saturating_sub(reference.len()));
    let to = ((near + 1) * COARSE + reference.len()).min(search.len());
    let (at, fit) = best_match(reference, &search[from..to]);
    (from + at, fit)
}

fn coarse<'a>(samples: &[f32], out: &'a mut [f32]) -> &'a [f32] {
    let mut length = 0;
    for (six, to) in samples.chunks_exact(COARSE).zip(out.iter_mut()) {
        *to = six.iter().sum();
        length += 1;
    }
    &out[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> f32 {
        let mut x = (n as u32).wrapping_mul(0x9e37_79b9) ^ 0x1234_5678;
        x ^= x >> 15;
        x = x.wrapping_mul(0x85eb_ca6b);
        x ^= x >> 13;
        (x as i32 as f32) / i32::MAX as f32
    }

    #[test]
    fn finds_a_window_where_it_was_cut_out() {
        let sound: Vec<f32> = (0..1200).map(|n| noise(n / 9)).collect();
        for at in [0, 1, 333, 800, 960] {
            let (found, fit) = best_match(&sound[at..at + 240], &sound);
            assert_eq!(found, at);
            assert!(fit > 0.999);
            let (found, fit) = best_match_wide(&sound[at..at + 240], &sound);
            assert_eq!(found, at);
            assert!(fit > 0.999);
        }
    }

    #[test]
    fn odd_lengths_and_silence_do_no_harm() {
        assert_eq!(best_match(&[1.0; 4], &[1.0; 3]), (0, 0.0));
        assert_eq!(best_match_wide(&[1.0; 4], &[]).1, 0.0);
        assert_eq!(best_match_wide(&[], &[]).0, 0);
        assert!(best_match_wide(&[0.0; 240], &[0.0; 960]).1.abs() < 0.01);
        let long = vec![0.5; 5000];
        best_match_wide(&long, &long);
    }
}
