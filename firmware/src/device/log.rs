//! The log: lines on standard error for the journal, with private text kept out.

use super::config::LogLevel;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The filter for `level`. Only the phone's own crates go below `warn`: the libraries below them print whole frames
/// and headers at their finer levels, and with these tokens, names and phone numbers. The WebRTC stack (`rtc*`) warns of
/// what is usual in every call.
pub fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(directives(level))
}

fn directives(level: LogLevel) -> String {
    let own = match level {
        LogLevel::Error => return "error".to_owned(),
        LogLevel::Warn => return "warn".to_owned(),
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    format!("warn,rtc=error,offhook={own},offhook_hal={own},offhook_board={own}")
}

/// Of what the libraries below the phone say, one line a second and level: they have one for each packet that anybody
/// sends to an open port.
#[derive(Clone, Default)]
pub struct Seldom {
    /// When the next warning, and the next error, may be said; milliseconds of the clock.
    next: Arc<[AtomicU64; 2]>,
    /// Milliseconds; `None`: of the process.
    clock: Option<fn() -> u64>,
}

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(1);

    fn now(&self) -> u64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self.clock {
            Some(clock) => clock(),
            None => START.elapsed().as_millis() as u64,
        }
    }
}

impl<S> Filter<S> for Seldom {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // What comes by way of the crate `log` has that for a target.
        if event.metadata().target().starts_with("offhook") {
            return true;
        }
        let next = &self.next[usize::from(*event.metadata().level() == Level::ERROR)];
        let (now, from) = (self.now(), next.load(Relaxed));
        let then = now + Self::PAUSE.as_millis() as u64;
        // Who loses the race says nothing.
        now >= from && next.compare_exchange(from, then, Relaxed, Relaxed).is_ok()
    }
}

/// Starts the log of this process.
pub fn start(level: LogLevel) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(Seldom::default());
    // An error only says that a subscriber is there already (tests in one process).
    let _ = tracing_subscriber::registry()
        .with(filter(level))
        .with(lines)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::Mutex;

    thread_local! {
        static NOW_MS: Cell<u64> = const { Cell::new(0) };
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A library's 1000 lines in one second were 1000 lines in the journal.
    #[test]
    fn libraries_say_one_line_a_second_and_the_phone_all_of_its_own() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_filter(Seldom {
                clock: Some(|| NOW_MS.get()),
                ..Seldom::default()
            });
        let subscriber = tracing_subscriber::registry()
            .with(filter(LogLevel::Trace))
            .with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for packet in 0..3000 {
                NOW_MS.set(packet);
                tracing::error!(target: "rtc::peer_connection", "drop invalid packet");
                tracing::warn!(target: "log", "handle_read got error");
                tracing::info!(target: "webrtc", "never heard of");
                if packet % 1000 == 0 {
                    tracing::info!(target: "offhook::runtime", "own");
                    tracing::info!(target: "offhook::runtime", "own too");
                }
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        for (words, count) in [("drop", 3), ("handle_read", 3), ("own", 6), ("never", 0)] {
            let said = text.lines().filter(|line| line.contains(words)).count();
            assert_eq!(said, count, "{words}");
        }
    }

    #[test]
    fn libraries_stay_at_warn_even_when_the_phone_traces() {
        let text = directives(LogLevel::Trace);
        assert!(
            text.starts_with("warn,") && text.contains("offhook=trace"),
            "{text}"
        );
    }
}
