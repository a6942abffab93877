//! The log: lines on standard error for the journal, with private text kept out.

use super::config::LogLevel;
use tracing_subscriber::EnvFilter;

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

/// Starts the log of this process.
pub fn start(level: LogLevel) {
    let filter = filter(level);
    // An error only says that a subscriber is there already (tests in one process).
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::{LogLevel, directives};

    #[test]
    fn libraries_stay_at_warn_even_when_the_phone_traces() {
        let text = directives(LogLevel::Trace);
        assert!(
            text.starts_with("warn,") && text.contains("offhook=trace"),
            "{text}"
        );
    }
}
