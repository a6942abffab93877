//! Counts allocations, and stops at system calls.

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_ulong, c_void};

thread_local! {
    /// Allocations and releases of this thread, if they are counted.
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

fn note() {
    // A thread that is ending has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get().map(|count| count + 1)));
}

/// From now on this thread's are counted, from 0.
pub fn start_counting() {
    COUNT.set(Some(0));
}

/// Allocations and releases since [`start_counting`]; they are not counted any more.
pub fn stop_counting() -> usize {
    COUNT.take().unwrap_or(0)
}

/// Allocations and releases of this thread during `work`.
pub fn count_allocations(work: impl FnOnce()) -> usize {
    start_counting();
    work();
    stop_counting()
}

/// glibc's own functions behind the names replaced here, and what the second trap needs.
mod libc {
    use super::{Action, c_int, c_long, c_void};

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
        pub fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int;
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

/// `struct sigaction` of glibc.
#[repr(C)]
struct Action {
    handler: extern "C" fn(c_int, *const SignalInfo, *mut c_void),
    mask: [u8; 128],
    flags: c_int,
    restorer: usize,
}

/// The beginning of `siginfo_t`, as it is for SIGSYS.
#[repr(C)]
struct SignalInfo {
    signal: c_int,
    errno: c_int,
    code: c_int,
    address: *const c_void,
    number: c_int,
}

const SIGSYS: c_int = 31;

/// Linux's numbers of the system calls that are allowed somewhere here.
struct Numbers {
    read: u32,
    write: u32,
    ioctl: u32,
    /// There is none on newer architectures.
    poll: Option<u32>,
    ppoll: u32,
    exit: u32,
    exit_group: u32,
}

const NUMBERS: Numbers = if cfg!(target_arch = "x86_64") {
    Numbers {
        read: 0,
        write: 1,
        ioctl: 16,
        poll: Some(7),
        ppoll: 271,
        exit: 60,
        exit_group: 231,
    }
} else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
    Numbers {
        read: 63,
        write: 64,
        ioctl: 29,
        poll: None,
        ppoll: 73,
        exit: 93,
        exit_group: 94,
    }
} else {
    Numbers {
        read: 3,
        write: 4,
        ioctl: 54,
        poll: Some(168),
        ppoll: 336,
        exit: 1,
        exit_group: 248,
    }
};

/// What a thread may ask of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// To end: `exit`, not `exit_group`, ends a forked child's only thread.
    Nothing,
    /// To wait for a sound device and work it, to complain on standard error, and to end the process.
    Device,
    /// And to read and write, because the device is a file.
    FileDevice,
}

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

/// linux/filter.h, linux/seccomp.h.
const LOAD: u16 = 0x20;
const EQUALS: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
/// SIGSYS, which can be handled.
const TRAP: u32 = 0x0003_0000;
/// `struct seccomp_data`: the number, and the first argument's lower half.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") {
    16
} else {
    20
};

fn filter(allowed: Allowed) -> Vec<Instruction> {
    let n = NUMBERS;
    let mut program = vec![instruction(LOAD, 0, NUMBER)];
    let mut allow = |number| {
        program.push(instruction(EQUALS, 1, number));
        program.push(instruction(RETURN, 0, ALLOW));
    };
    allow(n.exit);
    if allowed != Allowed::Nothing {
        let device = [n.ioctl, n.ppoll, n.exit_group];
        device.into_iter().chain(n.poll).for_each(&mut allow);
    }
    if allowed == Allowed::FileDevice {
        [n.read, n.write].into_iter().for_each(&mut allow);
    }
    if allowed == Allowed::Device {
        program.push(instruction(EQUALS, 3, n.write));
        program.push(instruction(LOAD, 0, FIRST_ARGUMENT));
        program.push(instruction(EQUALS, 1, 2));
        program.push(instruction(RETURN, 0, ALLOW));
    }
    let refused = match allowed {
        Allowed::Nothing => KILL,
        Allowed::Device | Allowed::FileDevice => TRAP,
    };
    program.push(instruction(RETURN, 0, refused));
    program
}

/// Puts the filter on this thread; false if the kernel has none. It never goes away.
fn enter(program: &[Instruction]) -> bool {
    const PR_SET_NO_NEW_PRIVS: c_int = 38;
    const PR_SET_SECCOMP: c_int = 22;
    const SECCOMP_MODE_FILTER: c_ulong = 2;
    const NO: c_ulong = 0;
    const YES: c_ulong = 1;
    let program = Program {
        length: program.len() as u16,
        instructions: program.as_ptr(),
    };
    // SAFETY: the program lives through the call that reads it.
    unsafe {
        libc::prctl(PR_SET_NO_NEW_PRIVS, YES, NO, NO, NO) == 0
            && libc::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

/// From now on this thread may make no other system call. The process ends with [`CAUGHT`] if it does, having named it.
pub fn forbid_system_calls(allowed: Allowed) {
    let action = Action {
        handler: caught,
        mask: [0; 128],
        flags: 4, // SA_SIGINFO
        restorer: 0,
    };
    // SAFETY: the handler does what is allowed in one: it writes and exits.
    let handled = unsafe { libc::sigaction(SIGSYS, &raw const action, std::ptr::null_mut()) };
    assert_eq!(handled, 0);
    assert!(
        enter(&filter(allowed)),
        "this kernel has no seccomp filters"
    );
}

/// What the process ends with at a system call that is not allowed.
pub const CAUGHT: i32 = 70;

extern "C" fn caught(_: c_int, info: *const SignalInfo, _: *mut c_void) {
    // SAFETY: the kernel hands a valid one over.
    let number = unsafe { (*info).number };
    let mut text = *b"system call ....\n";
    for (n, place) in text[12..16].iter_mut().rev().enumerate() {
        *place = b'0' + (number / 10i32.pow(n as u32) % 10) as u8;
    }
    say(&text);
    end_process(CAUGHT);
}

/// To standard error, without allocating.
pub fn say(text: &[u8]) {
    let standard_error: c_long = 2;
    // SAFETY: the text lives through the call.
    unsafe {
        libc::syscall(
            NUMBERS.write as c_long,
            standard_error,
            text.as_ptr(),
            text.len(),
        );
    }
}

/// Ends the whole process, as a thread that may do nothing else can.
pub fn end_process(status: i32) -> ! {
    loop {
        // SAFETY: it has no condition.
        unsafe {
            libc::syscall(NUMBERS.exit_group as c_long, c_long::from(status));
        }
    }
}

/// One that does nothing.
pub fn make_a_system_call() {
    // SAFETY: getppid has no condition.
    unsafe {
        libc::getppid();
    }
}

/// Runs `work` in a child that the kernel kills at its first system call; whether it came to its end.
pub fn survives_without_system_calls(work: impl FnOnce()) -> bool {
    let program = filter(Allowed::Nothing);
    // SAFETY: the child runs `work` only, which by this very test neither allocates nor takes a lock that another
    // thread may have held at the fork; then it ends without running anything of the parent's.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "cannot fork");
        if child == 0 {
            let entered = enter(&program);
            if entered {
                work();
            }
            libc::syscall(NUMBERS.exit as c_long, c_long::from(!entered));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        let killed_by = status & 0x7f;
        assert!(
            killed_by != 0 || status == 0,
            "this kernel has no seccomp filters"
        );
        assert!(
            [0, SIGSYS].contains(&killed_by),
            "the child died of signal {killed_by}"
        );
        killed_by == 0
    }
}
