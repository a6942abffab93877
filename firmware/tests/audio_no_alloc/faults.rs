//! Functions of alsa-lib that fail where a test says so, and else do what they always do.
//!
//! A program's own function comes before a library's of the same name, so the back end calls these. Each thread has its
//! own faults.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of Linux, alike on every architecture the phone runs on.
pub const EPIPE: c_long = -32;
/// The system slept.
pub const ESTRPIPE: c_long = -86;
/// It is not there any more.
pub const ENODEV: c_long = -19;
/// Not yet.
pub const EAGAIN: c_long = -11;

/// What goes wrong.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Returned instead of reading, so many times.
    pub read: (c_long, u32),
    /// Returned instead of writing, so many times.
    pub write: (c_long, u32),
    /// At most so many frames are moved at once, so many times.
    pub short: (c_ulong, u32),
    /// Waits that end without the device.
    pub deaf_waits: u32,
    /// The device sleeps on after so many tries to wake it.
    pub asleep: u32,
    /// Times that the playback buffer is full.
    pub full: u32,
}

thread_local! {
    static FAULTS: Cell<Faults> = const { Cell::new(Faults {
        read: (0, 0),
        write: (0, 0),
        short: (0, 0),
        deaf_waits: 0,
        asleep: 0,
        full: 0,
    }) };
}

/// From the next call of this thread on.
pub fn set(faults: Faults) {
    FAULTS.set(faults);
}

/// From now on each device of this process is gone.
pub fn unplug() {
    GONE.store(true, Ordering::SeqCst);
}

static GONE: AtomicBool = AtomicBool::new(false);

/// Those that have not come to pass.
pub fn left() -> u32 {
    let f = FAULTS.get();
    f.read.1 + f.write.1 + f.short.1 + f.deaf_waits + f.asleep + f.full
}

/// Takes one fault off the count that `which` finds; false when there are none.
fn due(which: impl FnOnce(&mut Faults) -> &mut u32) -> bool {
    let mut faults = FAULTS.get();
    let count = which(&mut faults);
    let is_due = *count > 0;
    *count = count.saturating_sub(1);
    FAULTS.set(faults);
    is_due
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// alsa-lib's own functions of these names; looked up by [`ready`].
struct Originals {
    readi: unsafe extern "C" fn(*mut c_void, *mut c_void, c_ulong) -> c_long,
    writei: unsafe extern "C" fn(*mut c_void, *const c_void, c_ulong) -> c_long,
    wait: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    resume: unsafe extern "C" fn(*mut c_void) -> c_int,
    avail: unsafe extern "C" fn(*mut c_void) -> c_long,
    state: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static ORIGINALS: OnceLock<Originals> = OnceLock::new();

/// Looks alsa-lib's functions up, which may allocate. By itself it is done at the first call.
pub fn ready() {
    originals();
}

fn originals() -> &'static Originals {
    ORIGINALS.get_or_init(|| {
        // SAFETY: asoundlib.h declares them so.
        unsafe {
            Originals {
                readi: original(c"snd_pcm_readi"),
                writei: original(c"snd_pcm_writei"),
                wait: original(c"snd_pcm_wait"),
                resume: original(c"snd_pcm_resume"),
                avail: original(c"snd_pcm_avail"),
                state: original(c"snd_pcm_state"),
            }
        }
    })
}

/// alsa-lib's function of this name.
///
/// # Safety
/// It must be of the type `F`, a function pointer.
unsafe fn original<F: Copy>(name: &CStr) -> F {
    const RTLD_NEXT: *mut c_void = std::ptr::without_provenance_mut(usize::MAX);
    // SAFETY: the name is a string, and RTLD_NEXT is what glibc calls it.
    let found = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "{name:?}");
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: it is a pointer, to what the caller says it is.
    unsafe { std::mem::transmute_copy(&found) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_readi(pcm: *mut c_void, to: *mut c_void, frames: c_ulong) -> c_long {
    if due(|faults| &mut faults.read.1) {
        return FAULTS.get().read.0;
    }
    let frames = if due(|faults| &mut faults.short.1) {
        frames.min(FAULTS.get().short.0)
    } else {
        frames
    };
    // SAFETY: the caller keeps alsa-lib's contract, and no more frames are moved than it said.
    unsafe { (originals().readi)(pcm, to, frames) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_writei(
    pcm: *mut c_void,
    from: *const c_void,
    frames: c_ulong,
) -> c_long {
    if due(|faults| &mut faults.write.1) {
        return FAULTS.get().write.0;
    }
    let frames = if due(|faults| &mut faults.short.1) {
        frames.min(FAULTS.get().short.0)
    } else {
        frames
    };
    // SAFETY: the caller keeps alsa-lib's contract, and no more frames are moved than it said.
    unsafe { (originals().writei)(pcm, from, frames) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_wait(pcm: *mut c_void, milliseconds: c_int) -> c_int {
    if due(|faults| &mut faults.deaf_waits) {
        return 0;
    }
    // SAFETY: the caller keeps alsa-lib's contract.
    unsafe { (originals().wait)(pcm, milliseconds) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_resume(pcm: *mut c_void) -> c_int {
    if due(|faults| &mut faults.asleep) {
        return EAGAIN as c_int;
    }
    // SAFETY: the caller keeps alsa-lib's contract.
    unsafe { (originals().resume)(pcm) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_avail(pcm: *mut c_void) -> c_long {
    if due(|faults| &mut faults.full) {
        return 0;
    }
    // SAFETY: the caller keeps alsa-lib's contract.
    unsafe { (originals().avail)(pcm) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snd_pcm_state(pcm: *mut c_void) -> c_int {
    const SND_PCM_STATE_DISCONNECTED: c_int = 8;
    if GONE.load(Ordering::SeqCst) {
        return SND_PCM_STATE_DISCONNECTED;
    }
    // SAFETY: the caller keeps alsa-lib's contract.
    unsafe { (originals().state)(pcm) }
}
