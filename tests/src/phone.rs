//! The phone under test, in a thread of its own with its own event loop, as `main` runs it.

use crate::api::Api;
use crate::ear::Recording;
use offhook::device::config::{Config, LogLevel};
use offhook::runtime::{Runtime, Stopper};
use offhook_board::Board;
use offhook_cloudsim::Simulator;
use offhook_cloudsim::spec::SimUser;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// What a test decides about the phone.
#[derive(Clone, Debug, Default)]
pub struct PhoneOptions {
    /// What the microphone hears: a WAV file, looped; silence without.
    pub microphone: Option<PathBuf>,
    /// Changes to the configuration.
    pub change: Option<fn(&mut Config)>,
    /// Trust anchors beside the simulator's, PEM.
    pub trust: String,
}

/// A running phone.
pub struct Phone {
    /// Its local API.
    pub api: Api,
    dir: TempDir,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Phone {
    /// Starts a phone for `user`; does not wait for the cloud.
    pub async fn start(sim: &Simulator, user: &SimUser, options: PhoneOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = Self::config(dir.path(), sim, user, &options);
        Self::run(dir, config).await
    }

    /// The configuration of a phone for `user` that keeps its files in `dir`.
    pub fn config(dir: &Path, sim: &Simulator, user: &SimUser, options: &PhoneOptions) -> Config {
        let token_file = dir.join("token");
        std::fs::write(&token_file, &user.token).expect("the token can be written");
        let ca_file = dir.join("ca.pem");
        let trust = format!("{}{}", sim.ca_pem(), options.trust);
        std::fs::write(&ca_file, trust).expect("the CA can be written");
        let mut config = Config::default();
        config.cloud.environment = sim.rest_url();
        config.cloud.streaming = sim.streaming_url();
        config.cloud.ca_file = text(&ca_file);
        config.cloud.token_file = text(&token_file);
        config.board.name = "desktop".into();
        config.audio.capture = options
            .microphone
            .as_ref()
            .map_or("silence".into(), |file| format!("wav:{}", file.display()));
        config.audio.playback = format!("wav:{}", ear_file(dir).display());
        config.api.listen = ([127, 0, 0, 1], 0).into();
        config.state.dir = dir.join("state");
        config.log.level = LogLevel::Trace;
        if let Some(change) = options.change {
            change(&mut config);
        }
        config
    }

    async fn run(dir: TempDir, config: Config) -> Self {
        offhook::device::log::start(config.log.level);
        let (started, starting) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let executor = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("an event loop");
            executor.block_on(async move {
                let board = Board::select(&config.board.name, &offhook_board::Machine::default())
                    .expect("the board is known");
                let runtime = Runtime::start(config, board)
                    .await
                    .expect("the phone starts");
                started
                    .send((runtime.url(), runtime.stopper()))
                    .expect("the test waits");
                runtime.run().await;
            });
        });
        let (url, stopper) = starting.await.expect("the phone starts");
        Self {
            api: Api::new(url),
            dir,
            stopper,
            thread: Some(thread),
        }
    }

    /// Where its files are: `token`, `ca.pem`, `state/`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Stops it and gives back what its ear heard.
    pub fn stop(mut self) -> Recording {
        self.join();
        Recording::read(&ear_file(self.dir.path()))
    }

    fn join(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the phone did not panic");
            }
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.join();
    }
}

fn ear_file(dir: &Path) -> PathBuf {
    dir.join("ear.wav")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
