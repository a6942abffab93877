//! `offhook-cloudsim`: the simulator as a process of its own.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use offhook_cloudsim::gateway::{FarEndSource, LegConfig};
use offhook_cloudsim::measure::{self, Band};
use offhook_cloudsim::{Form, Options, OutboundSpec, SimUser, Simulator, UserSpec};
use serde_json::json;
use tracing_subscriber::EnvFilter;

/// A Genesys Cloud simulator for softphone sessions.
///
/// When it is ready it prints one line of JSON with its addresses, the file of the CA certificate
/// to trust, and for each user the file with an access token. It runs until Ctrl-C.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    tool: Option<Tool>,

    /// Where the cloud listens: HTTPS, WSS, and the control API under /sim.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The address under which phones reach this one's loopback, such as 10.0.2.2 for a phone
    /// that QEMU emulates.
    #[arg(long, value_name = "ADDRESS")]
    reached_at: Option<IpAddr>,

    /// Where the control API and its page listen as plain HTTP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    control: SocketAddr,

    /// Folder for the CA and the token files; the CA in it is used again.
    #[arg(long, value_name = "DIR", default_value = "offhook-cloudsim-state")]
    state: PathBuf,

    /// A user to make, by name; repeat for more.
    #[arg(long = "user", value_name = "NAME", default_value = "Agent One")]
    users: Vec<String>,

    /// Line appearances of each user's station.
    #[arg(long, value_name = "N", default_value_t = 100)]
    line_appearances: u32,

    /// Calls the far end takes part in when nothing else is asked for: tone:HZ[,DBFS], wav:FILE,
    /// echo, silence, or browser.
    #[arg(long, value_name = "SOURCE", default_value = "tone:440")]
    far_end: FarEndSource,

    /// Answer the calls that phones place after this many milliseconds of ringing; without it
    /// they ring until answered by the control API.
    #[arg(long, value_name = "MS")]
    answer_after: Option<u64>,

    /// Speak Jingle on the calls that phones place, instead of SDP over XMPP.
    #[arg(long)]
    jingle: bool,

    /// Do not count a missing metadata request as a violation (older streaming clients send none).
    #[arg(long)]
    no_metadata: bool,

    /// What to log to standard error, e.g. "info" or "offhook_cloudsim=debug".
    #[arg(long, value_name = "FILTER", default_value = "warn,rtc=error")]
    log: EnvFilter,
}

/// What else this program can do.
#[derive(Debug, Subcommand)]
enum Tool {
    /// Write about eleven seconds of recorded speech as a WAV file
    Speech {
        /// The file to write.
        file: PathBuf,
    },
    /// Say, as JSON, how faithfully what was heard is what was said
    Compare {
        /// WAV file of what was said, looped if the other is longer.
        said: PathBuf,
        /// WAV file of what was heard.
        heard: PathBuf,
    },
}

impl Tool {
    fn run(self) -> Result<()> {
        match self {
            Self::Speech { file } => measure::write_wav(&file, &measure::speech()?)?,
            Self::Compare { said, heard } => {
                let (said, heard) = (measure::read_wav(&said)?, measure::read_wav(&heard)?);
                let comparison =
                    measure::compare_looped(&said, measure::trim_silence(&heard), Band::WIDE)?;
                println!("{}", serde_json::to_string(&comparison)?);
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if let Some(tool) = arguments.tool.take() {
        return match tool.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("offhook-cloudsim: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("offhook-cloudsim: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offhook-cloudsim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(arguments.log)
        .with_writer(std::io::stderr)
        .init();
    let leg = LegConfig {
        far_end: arguments.far_end,
        reached_at: arguments.reached_at,
        ..LegConfig::default()
    };
    let options = Options {
        listen: arguments.listen,
        reached_at: arguments.reached_at,
        control: Some(arguments.control),
        state_dir: Some(arguments.state.clone()),
        outbound: OutboundSpec {
            answer_after: arguments.answer_after.map(Duration::from_millis),
            form: if arguments.jingle {
                Form::Jingle
            } else {
                Form::SdpOverXmpp
            },
            leg: leg.clone(),
            ..OutboundSpec::default()
        },
        default_leg: leg,
        ..Options::default()
    };
    let simulator = Simulator::start(options).await?;
    let mut users = Vec::new();
    for name in arguments.users {
        let user = simulator.add_user(UserSpec {
            name,
            line_appearances: arguments.line_appearances,
            expects_metadata: !arguments.no_metadata,
            ..UserSpec::default()
        });
        let file = write_token(&arguments.state, users.len() + 1, &user)?;
        users.push(json!({
            "name": user.name,
            "userId": user.user_id,
            "bareJid": user.bare_jid,
            "stationId": user.station_id,
            "tokenFile": file,
        }));
    }
    let ready = json!({
        "restUrl": simulator.rest_url(),
        "streamingUrl": simulator.streaming_url(),
        "controlUrl": simulator.control_url(),
        "caFile": simulator.ca_pem_path(),
        "users": users,
    });
    println!("{ready}");
    stop_asked().await?;
    simulator.stop().await;
    Ok(())
}

/// Writes a user's token where a phone can read it, readable by its owner only.
fn write_token(state: &Path, number: usize, user: &SimUser) -> Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = state.join(format!("token-{number}"));
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{}", user.token))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Ctrl-C, or the signal a service manager sends.
async fn stop_asked() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listen for SIGTERM")?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked.context("listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
