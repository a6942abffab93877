//! The rig of the end-to-end tests: the whole phone in its own thread, worked through its front door (hook and keys by
//! the local API, microphone and ear as WAV files), against the simulator in the same process.
#![forbid(unsafe_code)]

mod api;
pub mod ear;
pub mod emulated;
mod phone;

pub use api::{Api, Event};
pub use phone::{Phone, PhoneOptions};

use offhook_cloudsim::gateway::LegReport;
use offhook_cloudsim::spec::{InboundSpec, Options, SimUser, UserSpec};
use offhook_cloudsim::{CallReport, CallState, Simulator};
use serde_json::Value;
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

    /// Lets a call ring; waits until the phone has it pending. The conversation's id.
    pub async fn ring(&self, spec: &InboundSpec) -> String {
        let call = self.sim.call_user(spec).expect("the cloud can ring");
        self.phone
            .api
            .wait_event("pendingSession", |data| {
                data["conversationId"] == call.as_str()
            })
            .await;
        call
    }

    /// Lets a call ring, lifts the handset, and waits until they talk. The conversation's id.
    pub async fn answered(&self, spec: &InboundSpec) -> String {
        let call = self.ring(spec).await;
        self.lift().await;
        self.connected(&call).await;
        call
    }

    /// Lifts the handset, dials and ends with `#`. The conversation's id, which the cloud gave.
    pub async fn dial(&self, digits: &str) -> String {
        let known: Vec<String> = self
            .sim
            .calls()
            .into_iter()
            .map(|c| c.conversation_id)
            .collect();
        self.lift().await;
        self.keys(digits).await;
        self.keys("#").await;
        let call = self.sim.wait_for_new_call(&known, PATIENCE).await;
        call.expect("the call reaches the cloud")
    }

    /// Waits until a call is connected at the cloud, and the phone has been told so.
    pub async fn connected(&self, call: &str) {
        let state = CallState::Connected;
        let done = self.sim.wait_for_state(call, state, PATIENCE).await;
        done.expect("the call is connected");
        self.phone
            .api
            .wait_status("connected", |status| {
                calls(status).any(|c| c["conversationId"] == call && c["state"] == "connected")
            })
            .await;
    }

    /// Waits until a call is over at the cloud.
    pub async fn ended(&self, call: &str) {
        let state = CallState::Terminated;
        let done = self.sim.wait_for_state(call, state, PATIENCE).await;
        done.expect("the call is over");
    }

    /// Puts the handset down, and waits until the call is over at the cloud.
    pub async fn hang_up(&self, call: &str) {
        self.rest().await;
        self.ended(call).await;
    }

    /// Waits until the phone has no call.
    pub async fn no_call(&self) {
        self.phone
            .api
            .wait_status("no call", |status| calls(status).next().is_none())
            .await;
    }

    /// Waits until the phone has received so many more packets of a call than now: its sound goes on.
    pub async fn sound_goes_on(&self, call: &str) {
        let received = |status: &Value| {
            calls(status)
                .find(|c| c["conversationId"] == call)
                .and_then(|c| c["media"]["packetsReceived"].as_u64())
        };
        let before = received(&self.phone.api.status().await).unwrap_or(0);
        self.phone
            .api
            .wait_status("receiving", |s| received(s) > Some(before + 25))
            .await;
    }

    /// Waits until the phone shows a call held, or not.
    pub async fn held(&self, call: &str, held: bool) {
        self.phone
            .api
            .wait_status(if held { "held" } else { "talking" }, |status| {
                calls(status).any(|c| c["conversationId"] == call && c["held"] == held)
            })
            .await;
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

/// The calls of a status.
pub fn calls(status: &Value) -> impl Iterator<Item = &Value> {
    status["calls"].as_array().into_iter().flatten()
}
