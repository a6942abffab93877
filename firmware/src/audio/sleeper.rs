//! An audio thread that has nothing to do stands still until there is something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Where the audio thread sleeps.
#[derive(Debug, Default)]
pub struct Sleeper {
    asleep: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Sleeper {
    /// Sleeps until [`Sleeper::wake`] or, at the latest, for `at_most`; not at all if `needed` says so. What `needed`
    /// looks at must be written before `wake` is called.
    pub fn sleep(&self, at_most: Duration, needed: impl Fn() -> bool) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
        self.asleep.store(true, Ordering::SeqCst);
        // Whoever wrote before the store above is seen here; whoever writes after it sees the flag and wakes us.
        if !needed() {
            std::thread::park_timeout(at_most);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the thread if it sleeps; costs next to nothing if it does not.
    pub fn wake(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner)
        {
            thread.unpark();
        }
    }
}
