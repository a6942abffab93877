//! Setting the phone up: its error, and starting the parts that run beside the loop.

use super::{Wake, sound};
use crate::device::Private;
use crate::device::config::Config;
use crate::device::key;
use crate::device::store::Folder;
use crate::device::update::Updater;
use crate::genesys::{
    Cloud, CloudConfig, CloudError, Login, LoginConfig, Memory, StationWish, TokenSource,
};
use crate::panel::{Credentials, EventLog, Panel, PanelConfig, PanelError};
use crate::phone::{AudioPath, DialPlan};
use offhook_board::Board;
use offhook_hal::audio::DuplexSpec;
use offhook_hal::virtual_board::VirtualPanel;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Why the phone cannot start, or has to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The local API.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// The cloud's configuration.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The audio pipeline.
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioSetupError),
    /// What fetches updates.
    #[error("updates cannot be fetched: {0}")]
    Update(String),
    /// The board's display.
    #[error("board {board}: {detail}")]
    Board {
        /// Its name.
        board: String,
        /// What is wrong.
        detail: String,
    },
    /// The state folder.
    #[error("state.dir = {}: {error}; the phone's user must be able to write there", dir.display())]
    State {
        /// The folder.
        dir: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
}

pub(super) fn board_error(board: &Board, error: &dyn std::fmt::Display) -> RuntimeError {
    RuntimeError::Board {
        board: board.name.clone(),
        detail: error.to_string(),
    }
}

pub(super) async fn start_panel(
    config: &Config,
    state: &Folder,
    virtual_panel: Option<VirtualPanel>,
    wake: &mpsc::Sender<Wake>,
    events: &EventLog,
    updater: &Updater,
) -> Result<Panel, RuntimeError> {
    let state_error = |error| RuntimeError::State {
        dir: config.state.dir.clone(),
        error,
    };
    let host_name = std::fs::read_to_string("/etc/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned();
    let credentials = if config.api.listen.ip().is_loopback() {
        None
    } else {
        let names = vec![
            host_name.clone(),
            format!("{host_name}.local"),
            config.api.listen.ip().to_string(),
        ];
        let (certificate, certificate_key) =
            key::api_certificate(state, names).map_err(state_error)?;
        let key = key::api_key(state).map_err(state_error)?;
        Some(Credentials {
            key,
            certificate,
            certificate_key,
        })
    };
    let (requests, mut asked) = mpsc::channel(64);
    let wake = wake.clone();
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            if wake.send(Wake::Api(request)).await.is_err() {
                return;
            }
        }
    });
    let panel_config = PanelConfig {
        listen: config.api.listen,
        credentials,
        host_name,
        virtual_panel,
        updater: updater.clone(),
    };
    Ok(Panel::start(panel_config, requests, events.clone()).await?)
}

pub(super) fn start_cloud(
    config: &Config,
    state: &Folder,
    wake: &mpsc::Sender<Wake>,
) -> Result<Cloud, RuntimeError> {
    let (events, mut heard) = mpsc::channel(256);
    let wake = wake.clone();
    tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if wake.send(Wake::Cloud(event)).await.is_err() {
                return;
            }
        }
    });
    let cloud = cloud_config(config, Memory::open(state));
    let token = token_source(config, &cloud, state)?;
    Ok(Cloud::start(&cloud, token, events)?)
}

/// Name and devices of each audio path.
pub fn sound_specs(config: &Config, board: &Board) -> [(&'static str, DuplexSpec); 3] {
    [
        ("handset", AudioPath::Handset),
        ("speaker", AudioPath::Speaker),
        ("headset", AudioPath::Headset),
    ]
    .map(|(name, path)| (name, sound::specs(config, board, path)))
}

/// The cloud's part of the configuration.
pub fn cloud_config(config: &Config, memory: Memory) -> CloudConfig {
    CloudConfig {
        environment: config.cloud.environment.clone(),
        streaming: config.cloud.streaming.clone(),
        ca_file: path(&config.cloud.ca_file),
        login_host: config.cloud.login_host.clone(),
        resource: memory.jid_resource(),
        station: StationWish::parse(&config.cloud.station),
        memory,
        server_pings: config.cloud.server_side_pings,
        alerting_leader: config.cloud.alerting_leader,
        ipv6_candidates: false,
    }
}

/// What the keys call.
pub(super) fn dial_plan(config: &Config) -> DialPlan {
    let voicemail = &config.phone.voicemail;
    DialPlan {
        speed_dials: config.speed_dial.clone(),
        prefixes: config.prefix.clone(),
        voicemail: (!voicemail.is_empty()).then(|| Private::from(voicemail.as_str())),
    }
}

/// Who the phone is to the login host.
pub fn login_config(config: &Config, state: impl Into<Folder>) -> LoginConfig {
    LoginConfig {
        client_id: config.cloud.client_id.clone(),
        client_secret_file: path(&config.cloud.client_secret_file),
        redirect_uri: config.cloud.redirect_uri.clone(),
        state: Some(state.into()),
    }
}

/// Where the access token comes from: the configured file; else a login, if there is a client for it; else a file in
/// the state folder.
pub fn token_source(
    config: &Config,
    cloud: &CloudConfig,
    state: impl Into<Folder>,
) -> Result<TokenSource, CloudError> {
    if let Some(file) = path(&config.cloud.token_file) {
        return Ok(TokenSource::file(file));
    }
    if config.cloud.client_id.is_empty() {
        return Ok(TokenSource::file(config.state.dir.join("access-token")));
    }
    Ok(TokenSource::login(Login::open(
        cloud,
        &login_config(config, state),
    )?))
}

fn path(text: &str) -> Option<PathBuf> {
    Some(text)
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
}

pub(super) fn watch_signals(wake: mpsc::Sender<Wake>) {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            tracing::error!("signals cannot be caught: stop the phone with SIGKILL");
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // The loop has ended already: there is nothing left to stop.
        let _ = wake.send(Wake::Stop).await;
    });
}
