//! Where edges come from, as something that can be waited for.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use gpiocdev::Request;

use super::PinError;

/// Reads of one drain. Beyond, the line changes faster than it is read, and the rest waits.
const READS: usize = 16;

/// The edges of some lines. What they were is of no interest: the lines are read after each.
#[derive(Debug)]
pub struct Edges(Vec<Source>);

#[derive(Debug)]
enum Source {
    /// The kernel queues the edges of a request's lines; it drops the oldest when the queue is full.
    Chip(Arc<Request>),
    /// Another thread writes a byte per edge, and nothing when the socket is full.
    Pipe(UnixStream),
}

impl Edges {
    pub(super) fn of_requests(requests: impl IntoIterator<Item = Arc<Request>>) -> Self {
        Self(requests.into_iter().map(Source::Chip).collect())
    }

    /// Edges that come as bytes. The socket must not block.
    pub fn of_pipe(pipe: UnixStream) -> Self {
        Self(vec![Source::Pipe(pipe)])
    }

    /// Readable while there are edges.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|source| match source {
            Source::Chip(request) => request.as_fd(),
            Source::Pipe(pipe) => pipe.as_fd(),
        })
    }

    /// Forgets the edges there are.
    pub fn drain(&mut self) -> Result<(), PinError> {
        self.0.iter_mut().try_for_each(Source::drain)
    }
}

impl Source {
    fn drain(&mut self) -> Result<(), PinError> {
        match self {
            Self::Chip(request) => {
                let mut events = vec![0_u64; request.edge_event_u64_size() * 16];
                for _ in 0..READS {
                    if !request.has_edge_event().map_err(|e| lost(&e))? {
                        break;
                    }
                    request
                        .read_edge_events_into_slice(&mut events)
                        .map_err(|e| lost(&e))?;
                }
            }
            Self::Pipe(pipe) => {
                let mut bytes = [0; 64];
                // An end of file, and a socket that would block, have no more edges.
                for _ in 0..READS {
                    if !pipe
                        .read(&mut bytes)
                        .is_ok_and(|count| count == bytes.len())
                    {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

fn lost(error: &gpiocdev::Error) -> PinError {
    PinError(format!("edges cannot be read: {error}"))
}
