//! No secret, number or name reaches the log, at any level.

use offhook_cloudsim::CallState;
use offhook_cloudsim::spec::InboundSpec;
use offhook_tests::{PATIENCE, PhoneOptions, Rig};
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Without `Private`, `Jid` and the log's filter, the token, the dialed number and the caller's name stand in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_call_at_trace_shows_nothing_private() {
    let log = Captured::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter(offhook::device::log::filter(
            offhook::device::config::LogLevel::Trace,
        ))
        .with_writer(move || writer.clone())
        .with_ansi(false)
        // Digits of a time are no digits of a call.
        .without_time()
        .init();
    let rig = Rig::start(PhoneOptions::default()).await;
    let spec = InboundSpec {
        from_name: "Ottilie Quux".into(),
        from_address: "tel:+13175550187".into(),
        ..InboundSpec::to(&rig.user)
    };
    let call = rig.answered(&spec).await;
    rig.keys("739146280").await;
    rig.hang_up(&call).await;
    let out = rig.dial("5550164").await;
    rig.sim
        .wait_for_state(&out, CallState::Dialing, PATIENCE)
        .await
        .unwrap();
    rig.hang_up(&out).await;
    let token = rig.user.token.clone();
    rig.end().await;
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        text.contains("TRACE") && text.contains(&call),
        "the log is not there"
    );
    for private in [
        token.as_str(),
        "Ottilie",
        "Quux",
        "5550187",
        "5550164",
        // Long enough to be in no identifier by chance.
        "739146280",
        "Agent One",
        "authKey",
        "Digit(",
    ] {
        let line = text.lines().find(|line| line.contains(private));
        assert!(
            line.is_none(),
            "{private:?} is in the log: {}",
            line.unwrap_or_default()
        );
    }
}
