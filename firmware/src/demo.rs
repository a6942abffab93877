//! `offhook demo`: the phone on this computer against the simulator, by hand or by itself.

use crate::device::config::{Config, LogLevel};
use crate::device::log;
use crate::runtime::Runtime;
use anyhow::{Context, bail, ensure};
use offhook_board::Board;
use offhook_hal::audio::{CaptureSpec, DuplexSpec, PlaybackSpec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a called party rings before it answers.
const FAR_END_RINGS: Duration = Duration::from_secs(4);
/// How long `--call` lets both ends talk: the recorded voice once through.
const TALK: Duration = Duration::from_secs(12);
/// How long any step of `--call` may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a step's state is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demo; `call` plays one call by itself.
pub async fn run(call: bool, cloudsim: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    log::start(LogLevel::Warn);
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let program = cloudsim.map_or_else(beside_us, Ok)?;
    let voice = dir.path().join("voice.wav");
    tool(&program, &["speech", &text(&voice)]).await?;
    let cloud = Cloud::start(&program, dir.path(), &voice).await?;
    let (config, sound) = config(&cloud, dir.path(), &voice, call);
    let ear = dir.path().join("ear.wav");
    let phone = Runtime::start(config, Board::builtin("desktop")?).await?;
    let (url, stopper) = (phone.url(), phone.stopper());
    if !call {
        print_welcome(&url, &cloud.ready.control_url, sound);
        phone.run().await;
        return Ok(ExitCode::SUCCESS);
    }
    let director = async {
        let heard = Director {
            phone: url,
            cloud: cloud.ready.control_url.clone(),
            http: reqwest::Client::new(),
        }
        .one_call(&dir.path().join("far-end.wav"))
        .await;
        stopper.stop();
        heard
    };
    let (heard, ()) = tokio::join!(director, phone.run());
    let heard = heard?;
    println!("\nThe call: {}", heard.summary);
    let ok = report(
        "The far end heard the phone",
        &program,
        &voice,
        &dir.path().join("far-end.wav"),
    )
    .await?
        & report("The handset heard the far end", &program, &voice, &ear).await?;
    ensure!(
        heard.violations == 0,
        "the phone broke the protocol {} times",
        heard.violations
    );
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Built together with us, so it is where we are.
fn beside_us() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("offhook-cloudsim");
    ensure!(
        program.exists(),
        "the simulator is not at {}: build it with `cargo build -p offhook-cloudsim`, or run cross/demo",
        program.display()
    );
    Ok(program)
}

/// The phone's configuration; and whether a real sound card is used.
fn config(cloud: &Cloud, dir: &Path, voice: &Path, recorded: bool) -> (Config, bool) {
    let mut config = Config::default();
    config.cloud.environment.clone_from(&cloud.ready.rest_url);
    config
        .cloud
        .streaming
        .clone_from(&cloud.ready.streaming_url);
    config.cloud.ca_file = text(&cloud.ready.ca_file);
    config.cloud.token_file = text(&cloud.ready.users[0].token_file);
    config.api.listen = ([127, 0, 0, 1], 0).into();
    config.state.dir = dir.join("phone");
    let card = DuplexSpec::new(
        CaptureSpec::Alsa("default".into()),
        PlaybackSpec::Alsa("default".into()),
    );
    let sound = !recorded && offhook_hal::audio::open(&card).is_ok();
    if sound {
        config.audio.capture = "alsa:default".into();
        config.audio.playback = "alsa:default".into();
    } else {
        config.audio.capture = format!("wav:{}", voice.display());
        config.audio.playback = if recorded {
            format!("wav:{}", dir.join("ear.wav").display())
        } else {
            "discard".into()
        };
    }
    (config, sound)
}

fn print_welcome(phone: &str, cloud: &str, sound: bool) {
    println!("\nThe phone:     {phone}");
    println!("The simulator: {cloud}\n");
    println!("Try this on the phone's page:");
    println!(
        "  1. Lift the handset, dial 5550100 and #: it rings, answers after a few seconds, and talks."
    );
    println!(
        "  2. Put the handset down. On the simulator's page press \"Call the phone\", then lift the handset."
    );
    println!(
        "  3. In the call press Mute and Hold, watch the lamps; then hang up on either side.\n"
    );
    if sound {
        println!("Sound: this computer's microphone and loudspeaker.");
    } else {
        println!(
            "Sound: no sound card to be had here, so a recorded voice speaks into the handset."
        );
    }
    println!("Ctrl-C stops both.");
}

/// What the simulator prints when it is ready.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    rest_url: String,
    streaming_url: String,
    control_url: String,
    ca_file: PathBuf,
    users: Vec<ReadyUser>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadyUser {
    token_file: PathBuf,
}

/// The simulator as a child; it ends when this is dropped.
struct Cloud {
    _child: Child,
    ready: Ready,
}

impl Cloud {
    async fn start(program: &Path, dir: &Path, voice: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("--state")
            .arg(dir.join("cloud"))
            .arg("--far-end")
            .arg(format!("wav:{}", voice.display()))
            .arg("--answer-after")
            .arg(FAR_END_RINGS.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = child.stdout.take().context("the simulator's output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.context("the simulator ended before it was ready")?;
        let ready: Ready = serde_json::from_str(&line).context("the simulator's first line")?;
        ensure!(!ready.users.is_empty(), "the simulator has no user");
        Ok(Self {
            _child: child,
            ready,
        })
    }
}

/// Runs one of the simulator's tools.
async fn tool(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Works phone and cloud through their APIs, as two people would.
struct Director {
    phone: String,
    cloud: String,
    http: reqwest::Client,
}

/// What came of the call.
struct Heard {
    summary: String,
    violations: usize,
}

impl Director {
    /// Rings the phone, lifts, talks, hangs up; writes what the far end heard to `recording`.
    async fn one_call(&self, recording: &Path) -> anyhow::Result<Heard> {
        let (phone, cloud) = (self.phone.as_str(), self.cloud.as_str());
        self.until(
            "the phone is logged in",
            || self.json(phone, "/api/v1/status"),
            |s| s["ready"] == true,
        )
        .await?;
        println!("The phone is logged in.");
        // As loud as it came, so that the levels can be compared.
        self.http
            .patch(format!("{phone}/api/v1/audio"))
            .json(&json!({ "volume": { "handset": 100 } }))
            .send()
            .await?
            .error_for_status()?;
        let call = self.post(cloud, "/sim/calls", json!({})).await?;
        let call = call["conversationId"]
            .as_str()
            .context("no conversation id from the simulator")?
            .to_owned();
        let ringing = |status: &Value| status["calls"][0]["state"] == "alerting";
        let status = self
            .until(
                "the phone rings",
                || self.json(phone, "/api/v1/status"),
                ringing,
            )
            .await?;
        println!(
            "It rings: {}.",
            status["calls"][0]["remote"]["name"]
                .as_str()
                .unwrap_or("somebody")
        );
        self.post(phone, "/api/v1/board/hook", json!({ "state": "lifted" }))
            .await?;
        let talking = |status: &Value| {
            status["calls"][0]["state"] == "connected"
                && status["calls"][0]["media"]["packetsReceived"]
                    .as_u64()
                    .unwrap_or(0)
                    > 0
        };
        self.until(
            "both can hear each other",
            || self.json(phone, "/api/v1/status"),
            talking,
        )
        .await?;
        println!("The handset is lifted; both talk for {} s.", TALK.as_secs());
        tokio::time::sleep(TALK).await;
        let status = self.json(phone, "/api/v1/status").await?;
        self.post(phone, "/api/v1/board/hook", json!({ "state": "resting" }))
            .await?;
        let path = format!("/sim/calls/{call}");
        let ended =
            |report: &Value| report["state"] == "terminated" || report["state"] == "disconnected";
        let report = self
            .until("the call is over", || self.json(cloud, &path), ended)
            .await?;
        println!("The handset is down; the call is over.");
        let sound = self
            .http
            .get(format!("{cloud}/sim/calls/{call}/recording.wav"))
            .send()
            .await?;
        std::fs::write(recording, sound.error_for_status()?.bytes().await?)?;
        let violations = self.json(cloud, "/sim/violations").await?;
        let media = &status["calls"][0]["media"];
        Ok(Heard {
            summary: format!(
                "{}, round trip {} ms, {} packets received, {} sent, loss {} %, MOS {}, connected in {} ms",
                report["leg"]["codec"].as_str().unwrap_or("no codec"),
                media["rttMs"],
                media["packetsReceived"],
                media["packetsSent"],
                media["lossPercent"],
                media["mos"],
                media["connectMs"],
            ),
            violations: violations.as_array().map_or(0, Vec::len),
        })
    }

    /// Looks until it is as wanted.
    async fn until<F: Future<Output = anyhow::Result<Value>>>(
        &self,
        what: &str,
        look: impl Fn() -> F,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let seen = async {
            loop {
                let value = look().await?;
                if wanted(&value) {
                    return anyhow::Ok(value);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen)
            .await
            .with_context(|| format!("waited {} s until {what}", PATIENCE.as_secs()))?
    }

    async fn json(&self, host: &str, path: &str) -> anyhow::Result<Value> {
        Ok(self
            .http
            .get(format!("{host}{path}"))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    async fn post(&self, host: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self
            .http
            .post(format!("{host}{path}"))
            .json(&body)
            .send()
            .await?;
        Ok(answer
            .error_for_status()?
            .json()
            .await
            .unwrap_or(Value::Null))
    }
}

/// Compares what was said with what was heard, prints it, and says whether it is good.
async fn report(title: &str, program: &Path, said: &Path, heard: &Path) -> anyhow::Result<bool> {
    let figures = tool(program, &["compare", &text(said), &text(heard)]).await?;
    let figures: Value = serde_json::from_str(&figures).context("the comparison")?;
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let (likeness, level, gap) = (
        number("spectralCorrelation"),
        number("levelDifferenceDb"),
        number("longestGapMs"),
    );
    let good = likeness > 0.9 && level.abs() < 3.0 && gap <= 20.0;
    println!(
        "{title}: {} (likeness {likeness:.3} of 1, level {level:+.1} dB, longest gap {gap:.0} ms)",
        if good { "well" } else { "BADLY" },
    );
    Ok(good)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
