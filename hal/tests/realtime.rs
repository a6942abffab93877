//! An exchange of periods neither allocates nor frees memory, whatever the device.

#![allow(unsafe_code)] // A counting allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use offhook_hal::audio::{
    CaptureSource, CaptureSpec, DuplexAudio, DuplexSpec, PERIOD_FRAMES, PlaybackSink, PlaybackSpec,
    VirtualAudio, open,
};

thread_local! {
    /// Allocations and frees of this thread.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_counter_counts() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new(7)));
    assert_eq!(CALLS.get(), before + 2);
}

fn check(mut device: Box<dyn DuplexAudio>) {
    device.start().unwrap();
    let mut capture = [0; PERIOD_FRAMES];
    let before = CALLS.get();
    for _ in 0..30 {
        device.exchange(&[7; PERIOD_FRAMES], &mut capture).unwrap();
    }
    assert_eq!(CALLS.get(), before, "{:?}", device.format());
    device.stop();
}

fn opened(capture: CaptureSpec, playback: PlaybackSpec) -> Box<dyn DuplexAudio> {
    open(&DuplexSpec::new(capture, playback)).unwrap()
}

#[test]
fn virtual_devices_do_not_allocate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.wav");
    let source = CaptureSource::samples((0..1000).collect());
    check(Box::new(VirtualAudio::new(
        source,
        PlaybackSink::wav(&file).unwrap(),
    )));
    check(opened(CaptureSpec::Silence, PlaybackSpec::Discard));
}

/// What alsa-lib itself allocates with malloc is not seen here; what this crate does around it is.
#[test]
fn alsa_devices_do_not_allocate() {
    let null = || "alsa:null".parse().unwrap();
    check(opened(null(), "alsa:null".parse().unwrap()));
    check(opened(null(), PlaybackSpec::Discard));
}

/// With a resampler at each end. alsa-lib reads its configuration once, so this has a process of its own.
#[test]
fn cards_of_another_rate_do_not_allocate() {
    const CHILD: &str = "OFFHOOK_REALTIME_TEST";
    if std::env::var_os(CHILD).is_some() {
        let plugged = || "alsa:plugged".parse().unwrap();
        check(opened(plugged(), "alsa:plugged".parse().unwrap()));
        check(opened(
            CaptureSpec::Silence,
            "alsa:plugged".parse().unwrap(),
        ));
        return;
    }
    let conf = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alsa/asound.conf");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cards_of_another_rate_do_not_allocate"])
        .env("ALSA_CONFIG_PATH", conf)
        .env(CHILD, "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
