//! Waiting for edges, a deadline, or a call: the thread's one system call while nothing happens.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Pause after a wait that failed, so that a broken system is no busy loop.
const BROKEN: Duration = Duration::from_secs(1);

/// Time, and waiting for it to pass.
pub(super) trait Clock {
    fn now(&self) -> Instant;

    /// Waits until one of `fds` can be read (or is broken), `deadline` is over, or somebody wakes. Tells which of
    /// `fds` have something.
    fn wait(&mut self, fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> Vec<bool>;
}

/// Real time.
#[derive(Debug)]
pub(super) struct Poll {
    woken: UnixStream,
}

impl Poll {
    pub(super) const fn new(woken: UnixStream) -> Self {
        Self { woken }
    }
}

impl Clock for Poll {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&mut self, fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> Vec<bool> {
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut all = fds.to_vec();
        all.push(self.woken.as_fd());
        let mut ready = readable(&all, timeout);
        if ready.pop() == Some(true) {
            // Calls are counted by nobody: one look at what was asked for serves them all.
            let _ = self.woken.read(&mut [0; 64]);
        }
        ready
    }
}

/// Which of `fds` can be read, or are broken, within `timeout`.
pub(super) fn readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(rustix::io::Errno::INTR) => vec![false; fds.len()],
        Err(error) => {
            tracing::error!(%error, "the phone's front cannot wait for edges");
            std::thread::sleep(BROKEN);
            vec![true; fds.len()]
        }
    }
}

/// Ends another thread's wait.
#[derive(Debug)]
pub(super) struct Waker(UnixStream);

impl Waker {
    pub(super) fn wake(&self) {
        // A full socket wakes as well as one more byte; a thread that is gone needs no waking.
        let _ = (&self.0).write(&[1]);
    }
}

pub(super) fn waker() -> io::Result<(Waker, UnixStream)> {
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    Ok((Waker(wake), woken))
}
