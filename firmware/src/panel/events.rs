//! The SDK events as server-sent events, with the last 256 kept for who comes back.

use axum::response::sse::Event as SseEvent;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Events kept for `Last-Event-ID`; when full the oldest is forgotten.
const KEPT: usize = 256;

/// Where the runtime publishes events and the API reads them. Clones share one log.
#[derive(Clone, Debug)]
pub struct EventLog {
    kept: Arc<Mutex<VecDeque<Entry>>>,
    latest: watch::Sender<u64>,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    name: &'static str,
    payload: String,
}

impl std::fmt::Debug for Entry {
    /// The payload may hold names and numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.name)
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            latest: watch::Sender::new(0),
        }
    }
}

impl EventLog {
    /// Adds an event under the next id.
    pub fn publish(&self, name: &'static str, payload: &impl Serialize) {
        let Ok(payload) = serde_json::to_string(payload) else {
            tracing::error!(name, "an event's payload cannot be written as JSON");
            return;
        };
        let mut kept = self.lock();
        let id = *self.latest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Entry { id, name, payload });
        drop(kept);
        self.latest.send_replace(id);
    }

    /// Events after `last_seen` that are still kept, then those to come; without `last_seen` only those to come.
    pub fn follow(
        &self,
        last_seen: Option<u64>,
    ) -> impl Stream<Item = Result<SseEvent, Infallible>> + use<> {
        let latest = self.latest.subscribe();
        // An id from before a restart is ahead of ours: everything we have is new to that client.
        let newest = *latest.borrow();
        let cursor = last_seen.map_or(newest, |seen| if seen > newest { 0 } else { seen });
        stream::unfold(
            (self.clone(), latest, cursor),
            |(log, mut latest, cursor)| async move {
                loop {
                    let next = log.lock().iter().find(|entry| entry.id > cursor).cloned();
                    if let Some(entry) = next {
                        let event = SseEvent::default()
                            .id(entry.id.to_string())
                            .event(entry.name)
                            .data(entry.payload);
                        return Some((Ok(event), (log, latest, entry.id)));
                    }
                    latest.changed().await.ok()?;
                }
            },
        )
    }

    /// A panic of another thread leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    /// How many events a client sees at once, that asks for those after `last_seen`, when `published` have been.
    async fn seen(published: u64, last_seen: Option<u64>) -> usize {
        let log = EventLog::default();
        for n in 0..published {
            log.publish("connected", &n);
        }
        let mut stream = Box::pin(log.follow(last_seen));
        let mut count = 0;
        while futures_util::FutureExt::now_or_never(stream.next()).is_some() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn a_client_resumes_where_it_stopped() {
        for (published, last_seen, expected) in [
            (10, None, 0),
            (10, Some(0), 10),
            (10, Some(7), 3),
            (10, Some(10), 0),
            (300, Some(1), KEPT),
            (10, Some(99), 10),
        ] {
            assert_eq!(
                seen(published, last_seen).await,
                expected,
                "{published} {last_seen:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_waiting_client_is_woken() {
        let log = EventLog::default();
        let mut stream = Box::pin(log.follow(None));
        let waiting = tokio::spawn(async move { stream.next().await.is_some() });
        tokio::task::yield_now().await;
        log.publish("ready", &());
        assert!(waiting.await.unwrap());
    }
}
