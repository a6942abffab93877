//! One call for hours, in virtual time, over one network after another: clocks that drift both ways, loss, jitter,
//! another route and another path (handset, speaker, headset) again and again. Nothing may be left behind by any of it.
//!
//! The ordinary test run has ten parts of half a minute for either codec; `tests/audio/endurance` has ten hours.

use super::measure::{clicks, gap_ms, rms, sine};
use super::rig::{Call, Network};
use crate::audio::CodecKind::{self, Opus, Pcmu};
use crate::audio::ramp::ms;
use crate::audio::{AudioCommand, EngineConfig, SoundPath};

/// Parts of the call. Each third and each fifth is alike in loss or in drift, and the last in all with the first.
const PARTS: usize = 10;
/// Sound looked at in one piece, ms.
const PIECE_MS: usize = 10_000;
/// What one piece has in common with the next, so that a click between them is found, samples.
const SEAM: usize = ms(10);

/// Two tones without a common period below a second: a piece of it that is left out or heard twice does not join the
/// rest. (The packets' 10 or 20 ms of 300 Hz do.)
struct Tones {
    second: Vec<f32>,
    period: usize,
}

impl Tones {
    fn new() -> Self {
        let tone = |hz, peak| sine(hz, 48_000.0, peak, ms(1000));
        let both = tone(293.0, 0.2).into_iter().zip(tone(709.0, 0.05));
        Self {
            second: both.map(|(a, b)| a + b).collect(),
            period: 0,
        }
    }

    /// The next 10 ms.
    fn next(&mut self) -> &[f32] {
        let at = self.period % 100 * ms(10);
        self.period += 1;
        &self.second[at..at + ms(10)]
    }
}

/// What a part of the call was like.
#[derive(Debug)]
struct Part {
    /// Of the jitter buffer, ms.
    mean_delay: f32,
    /// Memory of the whole process at its end, kB.
    resident_kb: u64,
    clicks: Vec<f64>,
    longest_gap_ms: usize,
    quietest: f32,
}

fn endure(kind: CodecKind, part_ms: usize) -> Vec<Part> {
    let mut call = Call::with(EngineConfig::default(), kind, 20, Network::CLEAN, 0.0);
    let (mut tones, mut parts) = (Tones::new(), Vec::new());
    // The beginning of the call is not judged: there is silence until the first packet.
    (0..200).for_each(|_| call.speak(tones.next()));
    call.far.heard.drain(..call.far.heard.len() - SEAM);
    for part in 0..PARTS {
        // The last is the first again.
        let like = part % (PARTS - 1);
        call.far
            .drift([150.0, -150.0, 200.0, -200.0, 0.0][like % 5]);
        call.wire.network.loss = [0.0, 0.01, 0.05][like % 3];
        call.wire.network.jitter_ms = [0.5, 4.0][like % 2];
        let (mut delays, mut judged) = (Vec::new(), Part::new());
        for period in 0..part_ms / 10 {
            // Three times in a part each.
            let third = period * 3 * 10 / part_ms;
            call.wire.network.delay_ms = [1.0, 31.0, 11.0][third];
            if period % (part_ms / 30) == part_ms / 60 {
                let path = [SoundPath::Speaker, SoundPath::Headset, SoundPath::Handset][third];
                call.near.send(AudioCommand::Path(path));
                call.far.send(AudioCommand::Path(path));
            }
            call.speak(tones.next());
            delays.push(call.far.control.stream(0).delay_ms);
            call.wire.sent.clear();
            if call.far.heard.len() >= ms(PIECE_MS) || period + 1 == part_ms / 10 {
                judged.judge(&call.far.heard, call.far.now.as_secs_f64());
                call.far.heard.drain(..call.far.heard.len() - SEAM);
                call.near.heard.clear();
            }
        }
        judged.mean_delay = delays.iter().sum::<f32>() / delays.len() as f32;
        judged.resident_kb = resident_kb();
        println!("{kind:?}, part {part}: {judged:.1?}");
        parts.push(judged);
    }
    println!("{kind:?}: {:?}", call.far.control.stream(0));
    parts
}

impl Part {
    fn new() -> Self {
        Self {
            mean_delay: 0.0,
            resident_kb: 0,
            clicks: Vec::new(),
            longest_gap_ms: 0,
            quietest: f32::INFINITY,
        }
    }

    /// Takes in what was heard until `end`, seconds.
    fn judge(&mut self, heard: &[f32], end: f64) {
        let begin = end - heard.len() as f64 / 48_000.0;
        let found = clicks(heard).into_iter();
        self.clicks
            .extend(found.map(|at| begin + at as f64 / 48_000.0));
        self.longest_gap_ms = self.longest_gap_ms.max(gap_ms(heard));
        for part in heard.chunks_exact(ms(100)) {
            self.quietest = self.quietest.min(rms(part));
        }
    }
}

/// What the process has in memory.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap()
}

/// The sound may be 20 dB quieter than it is for up to `gap_ms`.
fn nothing_is_left_behind(parts: &[Part], gap_ms: usize) {
    let usual = rms(&Tones::new().second);
    for (n, part) in parts.iter().enumerate() {
        assert_eq!(
            part.clicks.len(),
            0,
            "clicks in part {n}: {:?}",
            part.clicks
        );
        assert!(part.mean_delay < 60.0, "part {n}: {} ms", part.mean_delay);
        assert!(
            part.longest_gap_ms <= gap_ms,
            "part {n}: a gap of {} ms",
            part.longest_gap_ms
        );
        assert!(
            part.quietest > 0.1 * usual,
            "a gap in part {n}: {}",
            part.quietest
        );
    }
    let (first, last) = (&parts[0], &parts[PARTS - 1]);
    let growth = last.mean_delay - first.mean_delay;
    assert!(growth < 5.0, "the delay has grown by {growth} ms");
}

/// The tones of 300 and 700 Hz that were here before repeat every 10 ms: a packet left out, or heard twice, could not be
/// seen.
#[test]
fn a_piece_left_out_or_heard_twice_is_seen() {
    let mut tones = Tones::new();
    let sound: Vec<f32> = (0..500).flat_map(|_| tones.next().to_vec()).collect();
    assert_eq!((clicks(&sound).len(), gap_ms(&sound)), (0, 0));
    for piece in [ms(10), ms(20), ms(30), ms(60)] {
        let mut seen = 0;
        // At 100 places of the tones' phases.
        for place in 0..100 {
            let at = ms(500) + place * (ms(20) + 7);
            let left_out = [&sound[..at], &sound[at + piece..]].concat();
            let twice = [&sound[..at + piece], &sound[at..]].concat();
            seen += usize::from(clicks(&left_out).len() == 1);
            seen += usize::from(clicks(&twice).len() == 1);
            let mut silent = sound.clone();
            silent[at..at + piece].fill(0.0);
            assert!(gap_ms(&silent) + 4 > piece / ms(1), "{piece} samples");
        }
        println!("{piece} samples: {seen} of 200 seen");
        assert!(seen > 180, "{piece} samples: {seen} of 200 seen");
    }
}

#[test]
fn five_minutes_leave_nothing_behind_and_do_not_click() {
    for kind in [Opus, Pcmu] {
        // What G.711 repeats for three lost packets in a row fades out 5 ms before their end.
        nothing_is_left_behind(&endure(kind, 30_000), 10);
    }
}

/// As long as `OFFHOOK_SECONDS` says, in a process of its own: no other test takes memory meanwhile.
fn hours(kind: CodecKind) {
    let seconds: usize = std::env::var("OFFHOOK_SECONDS").unwrap().parse().unwrap();
    let parts = endure(kind, seconds * 1000 / PARTS);
    // In hours the network loses five in a row, too.
    nothing_is_left_behind(&parts, 50);
    let growth = parts[PARTS - 1]
        .resident_kb
        .saturating_sub(parts[0].resident_kb);
    assert!(growth < 256, "memory has grown by {growth} kB");
}

#[test]
#[ignore = "minutes; tests/audio/endurance runs it"]
fn hours_of_opus() {
    hours(Opus);
}

#[test]
#[ignore = "minutes; tests/audio/endurance runs it"]
fn hours_of_pcmu() {
    hours(Pcmu);
}
