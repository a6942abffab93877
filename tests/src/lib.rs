//! The rig of the end-to-end tests: the whole phone in its own thread, worked through its front door (hook and keys by
//! the local API, microphone and ear as WAV files), against the simulator in the same process.
#![forbid(unsafe_code)]

mod api;
pub mod ear;
mod phone;

pub use api::{Api, Event};
pub use phone::{Phone, PhoneOptions};

use offhook_cloudsim::gateway::LegReport;
use offhook_cloudsim::spec::{Options, SimUser, UserSpec};
use offhook_cloudsim::{CallReport, Simulator};
use std::time::Duration;

/// How long anything that is awaited may take. Long, because the machine may be loaded; nothing waits this long unless
/// it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator with one user, and that user's phone, logged in.
pub struct Rig {
    /// The cloud.
    pub sim: Simulator,
    /// The agent.
    pub user: SimUser,
    /// The agent's phone.
    pub phone: Phone,
}

impl Rig {
    /// A healthy cloud, one agent, a phone with that ear and mouth.
    pub async fn start(options: PhoneOptions) -> Self {
        Self::with(Options::default(), UserSpec::named("Agent One"), options).await
    }

    /// As told; waits until the phone is ready.
    pub async fn with(cloud: Options, user: UserSpec, phone: PhoneOptions) -> Self {
        offhook::device::crypto::install();
        let sim = Simulator::start(cloud).await.expect("the simulator starts");
        let user = sim.add_user(user);
        let phone = Phone::start(&sim, &user, phone).await;
        phone
            .api
            .wait_status("ready", |status| status["ready"] == true)
            .await;
        Self { sim, user, phone }
    }

    /// Lifts the handset.
    pub async fn lift(&self) {
        self.phone.api.hook("lifted").await;
    }

    /// Puts it down.
    pub async fn rest(&self) {
        self.phone.api.hook("resting").await;
    }

    /// Taps keys, one after the other.
    pub async fn keys(&self, keys: &str) {
        for key in keys.chars() {
            self.phone.api.tap(&key.to_string()).await;
        }
    }

    /// Waits until the far end's media is as wanted; it changes without an event, so it is looked at again.
    pub async fn wait_media(&self, call: &str, wanted: impl Fn(&LegReport) -> bool) -> CallReport {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = self.sim.call(call).await.expect("the call is known");
            if report.leg.as_ref().is_some_and(&wanted) {
                return report;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "the far end's media is still {:#?}",
                report.leg
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails the test if the phone did anything a real cloud would not expect, and stops both.
    pub async fn end(self) -> ear::Recording {
        let recording = self.phone.stop();
        let violations = self.sim.violations();
        assert!(
            violations.is_empty(),
            "the phone broke the protocol: {violations:#?}"
        );
        recording
    }
}
