//! A phone that nobody uses hardly wakes the processor.

use crate::process::{Process, command};
use std::process::Stdio;
use std::time::Duration;

/// Wake-ups in a second that an idle phone may have.
const MOST_WAKES: u64 = 20;
/// After its start the phone runs its sound device for a second, and asks for a cloud that is not there.
const SETTLED: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(5);

/// How often the threads of a process have gone to sleep, by the kernel's count (proc_pid_status(5)); by thread, because
/// one that ends takes its count with it.
fn sleeps(process: u32) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    let count = |task: std::io::Result<std::fs::DirEntry>| {
        let path = task.ok()?.path();
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((path.display().to_string(), line.trim().parse().ok()?))
    };
    tasks.filter_map(count).collect()
}

#[test]
fn an_idle_phone_sleeps() {
    let dir = tempfile::tempdir().expect("a folder");
    let sound = "[audio]\ncapture = \"silence\"\nplayback = \"discard\"\n";
    let phone = Process::start(command(dir.path(), sound).stderr(Stdio::null()));
    // The wake-ups of a stretch of time are what is counted: there is no event to wait for.
    std::thread::sleep(SETTLED);
    let before = sleeps(phone.id());
    std::thread::sleep(WATCHED);
    let after = sleeps(phone.id());
    assert!(after.len() >= 3, "event loop, page and sound: {after:?}");
    let earlier = |thread: &str| {
        let known = before.iter().find(|(name, _)| name == thread);
        known.map_or(0, |(_, count)| *count)
    };
    let wakes: u64 = after
        .iter()
        .map(|(thread, count)| count - earlier(thread))
        .sum();
    assert!(
        wakes <= MOST_WAKES * WATCHED.as_secs(),
        "{wakes} wake-ups in {WATCHED:?}: {before:?} {after:?}"
    );
}
