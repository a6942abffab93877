//! Invariant 3: the real-time thread neither allocates nor makes a system call but on its sound device, whatever it is
//! told, whatever comes from the network and whatever its device does.
//!
//! Two traps (`trap.rs`), each with a test that it catches something:
//! - `malloc` and its kin are replaced by counting ones in this binary. Rust's allocator and the C code of libopus and
//!   alsa-lib end there alike, so all are seen. Each thread has its own count.
//! - A seccomp filter, by which the kernel stops the process at a system call that is not allowed. (Not the strict mode:
//!   that one takes the time stamp counter away, too, which `Instant::now` reads without a system call.)
//!
//! `engine.rs` puts the engine alone in them, `thread.rs` the whole thread: its loop, and the ALSA back end with devices
//! made of alsa-lib's own plugins, whose functions fail where the test says so (`faults.rs`).
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    unsafe_code,
    reason = "replaces malloc and functions of alsa-lib and enters seccomp; all are C interfaces, and only this test \
              binary uses them"
)]

mod engine;
mod faults;
mod script;
mod thread;
mod trap;
