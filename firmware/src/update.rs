//! `offhook update`: gives the running phone an update, and shows how far it is.

use crate::device::config::Config;
use crate::device::update::trial::Record;
use anyhow::{Context, bail};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// A phone on this machine that does not answer for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// `GET /api/v1/update`, as far as it is shown.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Progress {
    state: String,
    percent: Option<u8>,
    version: String,
    message: String,
}

/// Has the running phone install `source`, an address or a file, and waits for the outcome.
pub async fn run(config: &Config, source: &str) -> anyhow::Result<()> {
    let api = Api::of(config)?;
    if source.starts_with("https://") || source.starts_with("http://") {
        let body = serde_json::json!({ "url": source });
        let begun = api.request(reqwest::Method::POST).json(&body);
        accepted(api.send(begun.timeout(PATIENCE)).await?).await?;
        return api.follow().await;
    }
    let file = tokio::fs::File::open(source)
        .await
        .with_context(|| format!("{source} cannot be read"))?;
    let length = file.metadata().await?.len();
    let sent = api
        .request(reqwest::Method::PUT)
        .header("content-length", length)
        .body(file);
    let sending = async { accepted(api.send(sent).await?).await };
    // The answer comes when it is installed; until then the progress is shown.
    tokio::pin!(sending);
    let mut shown = Progress::default();
    loop {
        tokio::select! {
            outcome = &mut sending => {
                outcome?;
                return api.follow().await;
            }
            () = tokio::time::sleep(LOOK) => {
                let progress = api.progress().await?;
                if progress.state != "idle" && progress.state != "failed" {
                    show(&mut shown, progress);
                }
            }
        }
    }
}

/// For `offhook-judge.service`: fails if the running system is one that should have been good by now.
pub fn judge(config: &Config) -> ExitCode {
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    match Record::open(&*config.state.dir).trial() {
        None => ExitCode::SUCCESS,
        // It is still being installed, or waits until nobody calls.
        Some(trial) if booted_slot(&command_line) == Some(&trial.from) => ExitCode::SUCCESS,
        Some(trial) => {
            eprintln!(
                "offhook: version {} has not become ready in its time: the device restarts",
                trial.version
            );
            ExitCode::FAILURE
        }
    }
}

/// The slot of the running system, as U-Boot names it on the kernel's command line.
fn booted_slot(command_line: &str) -> Option<&str> {
    let mut words = command_line.split_whitespace();
    words.find_map(|word| word.strip_prefix("rauc.slot="))
}

/// The running phone's local API.
struct Api {
    http: Client,
    url: String,
    key: Option<String>,
}

impl Api {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let listen = config.api.listen;
        if listen.ip().is_loopback() {
            return Ok(Self {
                http: Client::builder().no_proxy().build()?,
                url: format!("http://{listen}/api/v1/update"),
                key: None,
            });
        }
        // On the network it speaks HTTPS, with a certificate of its own making.
        let dir = &config.state.dir;
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).with_context(|| {
                format!(
                    "{}: run this as root or as the phone's user",
                    path.display()
                )
            })
        };
        let certificate = reqwest::Certificate::from_pem(read("api-certificate.pem")?.as_bytes())?;
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let (host, ip) = if listen.ip().is_unspecified() {
            (host.trim().to_owned(), [127, 0, 0, 1].into())
        } else {
            (listen.ip().to_string(), listen.ip())
        };
        Ok(Self {
            http: Client::builder()
                .no_proxy()
                .tls_certs_only([certificate])
                .resolve(&host, SocketAddr::new(ip, listen.port()))
                .build()?,
            url: format!("https://{host}:{}/api/v1/update", listen.port()),
            key: Some(read("api-key")?.trim().to_owned()),
        })
    }

    fn request(&self, method: reqwest::Method) -> RequestBuilder {
        let request = self.http.request(method, &self.url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        request.send().await.map_err(|error| {
            if error.is_connect() {
                anyhow::anyhow!("no phone answers at {}: start it first", self.url)
            } else {
                anyhow::Error::from(error).context("the phone does not answer as it should")
            }
        })
    }

    async fn progress(&self) -> anyhow::Result<Progress> {
        let request = self.request(reqwest::Method::GET).timeout(PATIENCE);
        Ok(self.send(request).await?.json().await?)
    }

    /// Until there is an outcome.
    async fn follow(&self) -> anyhow::Result<()> {
        let mut shown = Progress::default();
        loop {
            let progress = self.progress().await?;
            match progress.state.as_str() {
                "failed" => bail!("{}", progress.message),
                "waiting" | "restarting" => {
                    println!(
                        "Version {} is installed. The device restarts by itself as soon as nobody uses the phone.",
                        progress.version
                    );
                    return Ok(());
                }
                _ => show(&mut shown, progress),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn accepted(response: Response) -> anyhow::Result<()> {
    if response.status() == StatusCode::ACCEPTED {
        return Ok(());
    }
    let refused: Progress = response.json().await.unwrap_or_default();
    bail!("{}", refused.message)
}

/// Prints what is new.
fn show(shown: &mut Progress, progress: Progress) {
    if *shown == progress {
        return;
    }
    match progress.percent {
        Some(percent) => println!("{}: {percent} %", progress.state),
        None => println!("{}", progress.state),
    }
    *shown = progress;
}

#[cfg(test)]
mod tests {
    use super::booted_slot;

    /// Whatever was on its way was judged: an old, good system was restarted while the new one was being installed.
    #[test]
    fn the_slot_is_what_u_boot_says() {
        let line = "root=PARTLABEL=root-b ro quiet rauc.slot=B fsck.repair=yes\n";
        assert_eq!(booted_slot(line), Some("B"));
        assert_eq!(booted_slot("root=/dev/vda1 ro\n"), None);
    }
}
