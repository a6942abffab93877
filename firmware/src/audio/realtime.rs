//! What the audio thread asks of the kernel before its stream starts: to run before everything else, and never to wait
//! for memory from a disk.

use std::sync::Once;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// SCHED_FIFO, 1 to 99. Below 50, at which the kernel's interrupt threads run that feed this one.
const PRIORITY: u8 = 40;

/// The kernel does not allow it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealtimeError {
    /// No real-time scheduling.
    #[error(
        "the audio thread has no real-time priority ({reason}): sound may stutter while the phone is busy; allow it \
         by LimitRTPRIO={PRIORITY} in its systemd unit"
    )]
    Priority {
        /// The system's own words.
        reason: String,
    },
    /// Memory may be swapped or dropped.
    #[error(
        "the phone's memory is not locked ({reason}): sound may stutter when memory is short; allow it by \
         LimitMEMLOCK=infinity in its systemd unit"
    )]
    Memory {
        /// The system's own words, or ours.
        reason: String,
    },
}

/// For a thread that is about to serve real hardware. What is not allowed is logged, once in a process.
pub fn enter() {
    static SAID: Once = Once::new();
    let results = [raise_priority(), lock_memory()];
    SAID.call_once(|| {
        for result in results {
            if let Err(error) = result {
                tracing::warn!(%error);
            }
        }
    });
}

/// This thread runs before all that are not real-time.
pub fn raise_priority() -> Result<(), RealtimeError> {
    let refused = |error: String| RealtimeError::Priority { reason: error };
    let value = ThreadPriorityValue::try_from(PRIORITY).map_err(refused)?;
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(value),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .map_err(|error| refused(error.to_string()))
}

/// Whatever the process has touched, and will touch, stays in memory. Not all that it has mapped: stacks and libraries
/// would be filled in whole.
pub fn lock_memory() -> Result<(), RealtimeError> {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let refused = |reason: String| RealtimeError::Memory { reason };
    // With a limit, the allocation that passes it would fail: then rather unlocked.
    if let Some(bytes) = getrlimit(Resource::Memlock).current {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        setrlimit(Resource::Memlock, unlimited)
            .map_err(|_| refused(format!("allowed are {} kB", bytes / 1024)))?;
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use thread_priority::{thread_schedule_policy, thread_schedule_policy_param};

    #[test]
    fn it_is_real_time_or_says_why_not() {
        let thread = std::thread::spawn(|| {
            let result = raise_priority();
            let policy = thread_schedule_policy_param(thread_native_id()).unwrap();
            (result, policy)
        });
        match thread.join().unwrap() {
            (Ok(()), (policy, parameters)) => {
                assert_eq!(
                    policy,
                    ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo)
                );
                assert_eq!(parameters.sched_priority, i32::from(PRIORITY));
            }
            (Err(error), (policy, _)) => {
                assert!(error.to_string().contains("LimitRTPRIO=40"), "{error}");
                assert_eq!(policy, thread_schedule_policy().unwrap());
            }
        }
    }

    #[test]
    fn memory_is_locked_or_it_says_why_not() {
        let result = lock_memory();
        // Touched after the lock.
        let touched = std::hint::black_box(vec![1u8; 1 << 20]);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmLck:"))
            .unwrap();
        let locked: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        match result {
            Ok(()) => assert!(locked * 1024 >= touched.len() as u64, "{locked} kB"),
            Err(error) => {
                assert_eq!(locked, 0);
                assert!(
                    error.to_string().contains("LimitMEMLOCK=infinity"),
                    "{error}"
                );
            }
        }
        // Other tests of this process are not to be held to it.
        let _ = rustix::mm::munlockall();
    }
}
