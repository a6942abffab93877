//! The engine alone: no allocation, and no system call at all.

use crate::script::{PERIODS, Script};
use crate::trap::{self, count_allocations, survives_without_system_calls};
use offhook::audio::MAX_STREAMS;

#[test]
fn the_engine_does_not_allocate() {
    let mut script = Script::new();
    let allocations = count_allocations(|| script.run());
    assert_eq!(allocations, 0);
    // It has done what it was to be watched doing.
    let mut sum = [0; 8];
    for stream in 0..MAX_STREAMS {
        let counters = script.control.stream(stream);
        let seen = [
            counters.packets,
            counters.lost,
            counters.late,
            counters.duplicate,
            counters.refused,
            counters.restarts,
            counters.concealed_samples,
            counters.frames_sent,
        ];
        sum.iter_mut()
            .zip(seen)
            .for_each(|(sum, seen)| *sum += seen);
    }
    assert!(sum.iter().all(|&seen| seen > 0), "{sum:?}");
    assert_eq!(script.control.counters().periods, u64::from(PERIODS) + 10);
}

#[test]
fn the_engine_makes_no_system_call() {
    let mut script = Script::new();
    assert!(
        survives_without_system_calls(|| script.run()),
        "killed at a system call"
    );
}

#[test]
fn the_traps_catch() {
    let rust = count_allocations(|| drop(std::hint::black_box(Box::new([0u8; 100]))));
    assert_eq!(rust, 2, "one allocation, one release");
    let c = count_allocations(|| {
        let decoder = opus::Decoder::new(48_000, opus::Channels::Mono);
        drop(std::hint::black_box(decoder));
    });
    assert_eq!(c, 2, "one allocation, one release in libopus");
    assert!(!survives_without_system_calls(trap::make_a_system_call));
    assert!(survives_without_system_calls(|| {}));
}
