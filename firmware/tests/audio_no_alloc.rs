//! Invariant 3: after it was made, the audio engine neither allocates nor makes a system call, whatever it is told and
//! whatever comes from the network.
//!
//! Two traps, each with a test that it catches something:
//! - `malloc` and its kin are replaced by counting ones in this binary. Rust's allocator and the C code of libopus end
//!   there alike, so both are seen. Each thread has its own count.
//! - A forked child installs a seccomp filter, by which the kernel kills it at its first system call but `exit`, and
//!   does the same work. (Not the strict mode: that one takes the time stamp counter away, too, which `Instant::now`
//!   reads without a system call.)
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    unsafe_code,
    reason = "replaces malloc and enters seccomp; both are C interfaces, and only this test binary uses them"
)]

use offhook::audio::{
    AudioCommand, Content, Control, EchoCancelling, Engine, EngineConfig, GainControl, KeyTone,
    MAX_STREAMS, NoiseSuppression, RtpPacket, SoundPath, StreamPort, Tone, TonePlan, VoiceConfig,
    pipeline,
};
use offhook::media::CodecKind;
use offhook_hal::audio::PeriodReport;
use std::cell::Cell;
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::time::{Duration, Instant};

thread_local! {
    /// Allocations and releases of this thread, if they are counted.
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

fn note() {
    // A thread that is ending has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get().map(|count| count + 1)));
}

/// Allocations and releases of this thread during `work`.
fn count_allocations(work: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    work();
    COUNT.take().unwrap()
}

/// glibc's own functions behind the names replaced here, and what the second trap needs.
mod libc {
    use super::{c_int, c_long, c_void};

    unsafe extern "C" {
        pub fn __libc_malloc(size: usize) -> *mut c_void;
        pub fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        pub fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
        pub fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
        pub fn __libc_free(old: *mut c_void);
        pub fn fork() -> c_int;
        pub fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
        pub fn prctl(option: c_int, ...) -> c_int;
        pub fn syscall(number: c_long, ...) -> c_long;
        pub fn getppid() -> c_int;
    }
}

/// The one-to-one replacements. glibc allows a program to bring its own (manual, "Replacing malloc").
mod replaced {
    use super::{c_int, c_void, libc, note};

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut c_void {
        note();
        // SAFETY: glibc's malloc takes any size.
        unsafe { libc::__libc_malloc(size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        note();
        // SAFETY: glibc's calloc takes any sizes.
        unsafe { libc::__libc_calloc(count, size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
        note();
        // SAFETY: the caller keeps realloc's contract, and all memory comes from glibc.
        unsafe { libc::__libc_realloc(old, size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
        note();
        // SAFETY: glibc's memalign refuses what it cannot do.
        unsafe { libc::__libc_memalign(alignment, size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        memalign(alignment, size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(
        to: *mut *mut c_void,
        alignment: usize,
        size: usize,
    ) -> c_int {
        const ENOMEM: c_int = 12;
        let memory = memalign(alignment, size);
        if memory.is_null() {
            return ENOMEM;
        }
        // SAFETY: the caller gives a place for the pointer.
        unsafe { *to = memory };
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(old: *mut c_void) {
        note();
        // SAFETY: the caller keeps free's contract, and all memory comes from glibc.
        unsafe { libc::__libc_free(old) }
    }
}

/// `exit`, not `exit_group`: ends the child's only thread.
const SYS_EXIT: c_long = if cfg!(target_arch = "x86_64") {
    60
} else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
    93
} else {
    1
};

/// `struct sock_filter`: one instruction of a classic BPF program.
#[repr(C)]
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    operand: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

const fn instruction(code: u16, jump_false: u8, operand: u32) -> Instruction {
    Instruction {
        code,
        jump_true: 0,
        jump_false,
        operand,
    }
}

/// Kills at any system call but `exit` (linux/filter.h, linux/seccomp.h).
const ONLY_EXIT: [Instruction; 4] = [
    instruction(0x20, 0, 0),               // load word: the call's number
    instruction(0x15, 1, SYS_EXIT as u32), // equal? else skip one
    instruction(0x06, 0, 0x7fff_0000),     // return SECCOMP_RET_ALLOW
    instruction(0x06, 0, 0x8000_0000),     // return SECCOMP_RET_KILL_PROCESS
];

/// Runs `work` in a child that the kernel kills at its first system call; whether it came to its end.
fn survives_without_system_calls(work: impl FnOnce()) -> bool {
    const PR_SET_NO_NEW_PRIVS: c_int = 38;
    const PR_SET_SECCOMP: c_int = 22;
    const SECCOMP_MODE_FILTER: c_ulong = 2;
    const NO: c_ulong = 0;
    const YES: c_ulong = 1;
    let program = Program {
        length: ONLY_EXIT.len() as u16,
        instructions: ONLY_EXIT.as_ptr(),
    };
    // SAFETY: the child runs `work` only, which by this very test neither allocates nor takes a lock that another
    // thread may have held at the fork; then it ends without running anything of the parent's. The program lives
    // through the call that reads it.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "cannot fork");
        if child == 0 {
            let refused = libc::prctl(PR_SET_NO_NEW_PRIVS, YES, NO, NO, NO) != 0
                || libc::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const program) != 0;
            if !refused {
                work();
            }
            libc::syscall(SYS_EXIT, c_long::from(refused));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        let killed_by = status & 0x7f;
        assert!(
            killed_by != 0 || status == 0,
            "this kernel has no seccomp filters"
        );
        // SIGSYS, and nothing else.
        assert!(
            [0, 31].contains(&killed_by),
            "the child died of signal {killed_by}"
        );
        killed_by == 0
    }
}

/// Everything the engine can be made to do, in virtual time, without an allocation of its own.
struct Script {
    engine: Engine,
    control: Control,
    ports: [StreamPort; MAX_STREAMS],
    base: Instant,
    random: u64,
    sequences: [u16; MAX_STREAMS],
    timestamps: [u32; MAX_STREAMS],
    /// Held back, to come after its successor.
    held: [Option<RtpPacket>; MAX_STREAMS],
}

const PERIODS: u32 = 4000;
const CODECS: [CodecKind; 3] = [CodecKind::Opus, CodecKind::Pcmu, CodecKind::Pcma];
const FRAMES_MS: [u8; 4] = [20, 10, 40, 60];

impl Script {
    fn new() -> Self {
        let config = EngineConfig {
            sidetone_db: Some(20.0),
            voices: [
                VoiceConfig {
                    noise_suppression: NoiseSuppression::Low,
                    ..VoiceConfig::default()
                },
                VoiceConfig {
                    echo_cancelling: Some(EchoCancelling::default()),
                    noise_suppression: NoiseSuppression::High,
                    gain_control: Some(GainControl::default()),
                },
                VoiceConfig::default(),
            ],
            ..EngineConfig::default()
        };
        let (engine, control, ports) = pipeline(config).unwrap();
        Self {
            engine,
            control,
            ports,
            base: Instant::now(),
            random: 0x9e37_79b9_7f4a_7c15,
            sequences: [65_000, 1, 2, 3],
            timestamps: [u32::MAX - 100_000, 1, 2, 3],
            held: [const { None }; MAX_STREAMS],
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }

    fn run(&mut self) {
        let mut playback = [0; 480];
        for period in 0..PERIODS {
            self.command(period);
            // A voice: loud and quiet, with a pitch.
            let microphone = std::array::from_fn(|n| {
                let t = (period * 480 + n as u32) % 48_000;
                let loudness = if t < 30_000 { 6000 } else { 60 };
                ((t % 320) as i32 - 160).signum() as i16 * loudness
            });
            let now = self.base + Duration::from_millis(10) * period;
            self.loop_back(now);
            self.engine.note_device(&PeriodReport {
                playback_delay_frames: 960,
                capture_delay_frames: if period % 1000 == 0 { 1920 } else { 0 },
                xruns: u32::from(period % 1000 == 0),
                restarted: period % 1000 == 0,
            });
            self.engine.process_at(now, &microphone, &mut playback);
        }
        // With the real clock as well.
        for _ in 0..10 {
            self.engine.process(&[0; 480], &mut playback);
        }
    }

    fn command(&mut self, period: u32) {
        let stream = (period / 4) as usize % MAX_STREAMS;
        let turn = period as usize / 400;
        let key = ['1', '5', '#', 'x'][period as usize % 4];
        let tones = [
            Tone::Dial,
            Tone::Ringback,
            Tone::Busy,
            Tone::Reorder,
            Tone::CallWaiting,
        ];
        let plans = [
            TonePlan::NorthAmerica,
            TonePlan::UnitedKingdom,
            TonePlan::ContinentalEurope,
        ];
        let paths = [SoundPath::Speaker, SoundPath::Handset, SoundPath::Headset];
        let command = match period % 400 {
            0 | 4 | 8 | 12 => AudioCommand::StartStream {
                stream,
                codec: CODECS[(turn + stream) % 3],
                frame_ms: FRAMES_MS[turn % 4],
            },
            20 => AudioCommand::Microphone {
                stream: Some(turn % MAX_STREAMS),
            },
            30 | 260 => AudioCommand::Listen(true),
            40 => AudioCommand::Tone(Some(tones[turn % 5])),
            60 => AudioCommand::KeyTone(Some(KeyTone(key))),
            62 => AudioCommand::KeyTone(None),
            70 => AudioCommand::Ring(true),
            100 => AudioCommand::Plan(plans[turn % 3]),
            150 => AudioCommand::Ring(false),
            160 => AudioCommand::Tone(None),
            170 => AudioCommand::Volume((turn * 10) as u8),
            180 => AudioCommand::RingVolume(50),
            200 => AudioCommand::Mute(true),
            220 => AudioCommand::Mute(false),
            240 => AudioCommand::Listen(false),
            110 | 310 => AudioCommand::Path(paths[(turn + period as usize / 200) % 3]),
            300 => AudioCommand::Microphone { stream: None },
            340 => AudioCommand::StopStream {
                stream: turn % MAX_STREAMS,
            },
            _ => return,
        };
        // One command per period is never too many.
        assert!(self.control.send(command).is_ok());
    }

    /// What each stream sends comes back on the next one, by a bad network.
    fn loop_back(&mut self, now: Instant) {
        for from in 0..MAX_STREAMS {
            let to = (from + 1) % MAX_STREAMS;
            while let Some(frame) = self.ports[from].outbound.dequeue() {
                let ticks = if frame.payload.len() * 6 == frame.samples as usize {
                    6
                } else {
                    1
                };
                let mut packet = RtpPacket {
                    content: Content::Audio,
                    sequence: self.sequences[from],
                    timestamp: self.timestamps[from],
                    ssrc: from as u32,
                    marker: frame.talk_spurt,
                    arrival: now,
                    payload: frame.payload,
                };
                self.sequences[from] = self.sequences[from].wrapping_add(1);
                self.timestamps[from] = self.timestamps[from].wrapping_add(frame.samples / ticks);
                match self.dice(100) {
                    0..5 => continue,                                              // lost
                    5 => packet.payload.clear(),                                   // empty
                    6 => packet.payload.iter_mut().for_each(|byte| *byte ^= 0xa5), // garbage
                    7 => {
                        packet.content =
                            [Content::Nothing, Content::ComfortNoise][self.dice(2) as usize];
                    }
                    8 => packet.ssrc = 77, // stray source
                    9 => self.timestamps[from] = self.timestamps[from].wrapping_add(1 << 24),
                    10 => self.sequences[from] = self.sequences[from].wrapping_add(20_000),
                    11 => self.give(to, packet.clone()), // twice
                    12..16 => {
                        self.held[from] = Some(packet); // overtaken, or far too late
                        continue;
                    }
                    _ => {}
                }
                self.give(to, packet);
                if self.dice(3) == 0
                    && let Some(late) = self.held[from].take()
                {
                    self.give(to, late);
                }
            }
        }
    }

    fn give(&mut self, to: usize, packet: RtpPacket) {
        // A full queue drops; that is the network's affair here.
        let _ = self.ports[to].inbound.enqueue(packet);
    }
}

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
    // SAFETY: getppid has no condition.
    assert!(!survives_without_system_calls(|| unsafe {
        libc::getppid();
    }));
    assert!(survives_without_system_calls(|| {}));
}
