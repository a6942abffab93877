//! RAUC, which checks, installs and books the two systems, as a child process: its commands and their output have been
//! the same for years, it needs no D-Bus library in the phone, and its own daemon does what needs root.

use super::UpdateError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// The state of the systems: boot loader variables on a slow card.
const STATUS: Duration = Duration::from_secs(30);
/// Reads a whole bundle from the card where its format wants that.
const INFO: Duration = Duration::from_mins(3);
/// Writes half a gigabyte to a slow card.
const INSTALL: Duration = Duration::from_mins(30);

/// The program.
#[derive(Clone, Debug)]
pub struct Rauc {
    program: PathBuf,
}

/// Which system runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Systems {
    /// What bundles must be made for.
    pub compatible: String,
    /// The slot that was booted, `A` or `B`.
    pub booted: String,
}

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bundle {
    /// What it is made for.
    pub compatible: String,
    /// Of the system in it.
    #[serde(default)]
    pub version: Option<String>,
}

/// What a system is worth, to the boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The running one gets all its attempts back.
    RunningGood,
    /// The running one is started no more, until an update is installed to it.
    RunningBad,
    /// The same, of the one that does not run.
    OtherBad,
}

impl Rauc {
    /// `program`: a name or a path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// What runs. [`UpdateError::NotSupported`] where there are no two systems.
    pub async fn status(&self) -> Result<Systems, UpdateError> {
        let unsupported = |detail| UpdateError::NotSupported { detail };
        let output = self
            .run(
                &["status".as_ref(), "--output-format=json".as_ref()],
                STATUS,
            )
            .await
            .map_err(unsupported)?;
        if !output.status.success() {
            return Err(unsupported(last_words(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| unsupported(error.to_string()))
    }

    /// Checks the signature, and reads what the bundle is.
    pub async fn info(&self, bundle: &Path) -> Result<Bundle, UpdateError> {
        let not_one = |detail| UpdateError::NotABundle { detail };
        let arguments = ["info".as_ref(), "--output-format=json".as_ref(), bundle];
        let output = self
            .run(&arguments, INFO)
            .await
            .map_err(|detail| UpdateError::NotSupported { detail })?;
        if !output.status.success() {
            let detail = last_words(&output.stderr);
            return Err(if detail.to_lowercase().contains("signature verif") {
                UpdateError::Signature { detail }
            } else {
                not_one(detail)
            });
        }
        serde_json::from_slice(&output.stdout).map_err(|error| not_one(error.to_string()))
    }

    /// Installs to the system that does not run; `progress` hears percents.
    pub async fn install(
        &self,
        bundle: &Path,
        progress: impl FnMut(u8),
    ) -> Result<(), UpdateError> {
        let failed = |detail| UpdateError::Install { detail };
        match tokio::time::timeout(INSTALL, self.work(bundle, progress)).await {
            Ok(result) => result.map_err(failed),
            Err(_) => Err(UpdateError::TooLong {
                minutes: INSTALL.as_secs() / 60,
            }),
        }
    }

    async fn work(&self, bundle: &Path, mut progress: impl FnMut(u8)) -> Result<(), String> {
        let mut child = Command::new(&self.program)
            .arg("install")
            .arg(bundle)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let read = async {
            let mut failure = None;
            if let Some(out) = out {
                let mut lines = BufReader::new(out).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Some(percent) = percent(&line) {
                        progress(percent);
                    }
                    if let Some(error) = line.strip_prefix("LastError:") {
                        failure = Some(error.trim().to_owned());
                    }
                }
            }
            failure
        };
        let complaints = async {
            let mut last = String::new();
            if let Some(err) = err {
                let mut lines = BufReader::new(err).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if !line.trim().is_empty() {
                        last = line;
                    }
                }
            }
            last
        };
        let (failure, complaint) = tokio::join!(read, complaints);
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(failure.unwrap_or(if complaint.is_empty() {
            status.to_string()
        } else {
            complaint
        }))
    }

    /// Tells the boot loader what a system is worth.
    pub async fn mark(&self, mark: Mark) -> Result<(), String> {
        let (verb, slot) = match mark {
            Mark::RunningGood => ("mark-good", "booted"),
            Mark::RunningBad => ("mark-bad", "booted"),
            Mark::OtherBad => ("mark-bad", "other"),
        };
        let arguments = ["status", verb, slot].map(Path::new);
        let output = self.run(&arguments, STATUS).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(last_words(&output.stderr))
    }

    async fn run(&self, arguments: &[&Path], timeout: Duration) -> Result<Output, String> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(timeout, command.output()).await {
            Ok(output) => output.map_err(|error| format!("{}: {error}", self.program.display())),
            Err(_) => Err(format!("{} did not answer", self.program.display())),
        }
    }
}

/// ` 40% Verifying signature done.`
fn percent(line: &str) -> Option<u8> {
    let (number, _) = line.split_once('%')?;
    number.trim().parse().ok().filter(|percent| *percent <= 100)
}

/// The last line that says something; RAUC's log comes before it.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("no reason given")
        .chars()
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_and_anything_else_is_not() {
        for (line, expected) in [
            (" 40% Verifying signature done.", Some(40)),
            ("  0% Installing", Some(0)),
            ("100% Installing done.", Some(100)),
            ("200% Installing", None),
            ("installing", None),
            ("LastError: 40% of it", None),
            ("%", None),
        ] {
            assert_eq!(percent(line), expected, "{line}");
        }
    }

    #[test]
    fn the_reason_is_the_last_line() {
        assert_eq!(last_words(b"rauc-Message: x\nno key\n\n"), "no key");
        assert_eq!(last_words(b"\n"), "no reason given");
    }

    #[tokio::test]
    async fn a_machine_without_rauc_has_no_second_system() {
        for program in ["/nowhere/rauc", "false", "true"] {
            let status = Rauc::new(program).status().await;
            assert!(
                matches!(status, Err(UpdateError::NotSupported { .. })),
                "{program}: {status:?}"
            );
        }
    }
}
