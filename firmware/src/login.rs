//! `offhook login` and `offhook logout`: for an installer at a terminal, beside a running phone or without one.

use crate::device::config::Config;
use crate::genesys::{Login, LoginError, LoginState, Memory};
use crate::runtime;
use anyhow::{Context, bail};
use std::io::BufRead;
use std::time::Duration;
use tokio::sync::mpsc;

/// A login that was begun is good for so long.
const PATIENCE: Duration = Duration::from_mins(15);
/// How often it is looked whether the login was finished on the phone's page.
const LOOK: Duration = Duration::from_secs(1);

/// Logs in: shows where, then waits for what the browser ends at, or for the phone's page to finish it. With `code`
/// finishes a login that was begun before.
pub async fn log_in(config: &Config, code: Option<&str>) -> anyhow::Result<()> {
    let login = open(config)?;
    if let Some(code) = code {
        login.paste(code).await?;
        return done(&login);
    }
    let mut states = login.states();
    states.mark_unchanged();
    let url = login.begin(&page(config))?;
    println!(
        "Open this address in a browser and log in as the agent:\n\n  {url}\n\nThen paste the address the browser ends at, or \
         its code, and press Enter."
    );
    let mut lines = lines();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                if line.trim().is_empty() {
                    continue;
                }
                match login.paste(&line).await {
                    Ok(()) => return done(&login),
                    Err(error) => println!("{error}"),
                }
            }
            () = tokio::time::sleep(LOOK) => {
                login.reread();
                if states.has_changed()? && matches!(login.state(), LoginState::LoggedIn { .. }) {
                    return done(&login);
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                bail!("nobody has logged in within 15 minutes: start again");
            }
        }
    }
}

/// Logs out and gives the station back.
pub async fn log_out(config: &Config) -> anyhow::Result<()> {
    let login = open(config)?;
    if login.state() == LoginState::Needed(crate::genesys::LoginNeed::Nobody) {
        println!("Nobody is logged in.");
        return Ok(());
    }
    login.log_out(&Memory::open(&*config.state.dir)).await?;
    println!("Logged out.");
    Ok(())
}

fn open(config: &Config) -> anyhow::Result<Login> {
    if !config.cloud.token_file.is_empty() {
        return Err(LoginError::TokenFile.into());
    }
    std::fs::create_dir_all(&config.state.dir).with_context(|| {
        format!(
            "state.dir = {}: the phone's user must be able to write there",
            config.state.dir.display()
        )
    })?;
    // The JID resource is the phone's to make.
    let cloud = runtime::cloud_config(config, Memory::default());
    let login = Login::open(&cloud, &runtime::login_config(config, &*config.state.dir))?;
    match login.trouble() {
        Some(trouble) => Err(trouble.into()),
        None => Ok(login),
    }
}

fn done(login: &Login) -> anyhow::Result<()> {
    match login.state() {
        LoginState::LoggedIn { renews: true } => println!("Logged in."),
        LoginState::LoggedIn { renews: false } => println!(
            "Logged in, until the token ends. With a client secret (cloud.client_secret_file) the login renews itself."
        ),
        LoginState::Needed(_) => bail!("the login did not last: try again"),
    }
    Ok(())
}

/// The phone's page, for a browser on this machine or the network.
fn page(config: &Config) -> String {
    let listen = config.api.listen;
    if listen.ip().is_loopback() {
        return format!("http://{listen}");
    }
    if listen.ip().is_unspecified() {
        let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        return format!("https://{}.local:{}", name.trim(), listen.port());
    }
    format!("https://{listen}")
}

/// The lines of standard input, from a thread of its own: reading them cannot be interrupted.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str, dir: &Path) -> Config {
        let mut config = Config::parse(text, Path::new("/x/test.toml")).expect("a configuration");
        config.state.dir = dir.join("state");
        config
    }

    #[tokio::test]
    async fn what_stands_in_the_way_of_a_login_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        for (text, expected) in [
            ("", "cloud.client_id is empty"),
            (
                "[cloud]\ntoken_file = \"t\"\nclient_id = \"c\"",
                "cloud.token_file",
            ),
            (
                "[cloud]\nclient_id = \"c\"\nclient_secret_file = \"missing\"",
                "cloud.client_secret_file = /x/missing",
            ),
            (
                "[cloud]\nclient_id = \"c\"\nenvironment = \"moon\"",
                "no region",
            ),
        ] {
            let config = config(text, dir.path());
            for error in [
                log_in(&config, Some("C")).await.expect_err(expected),
                log_out(&config).await.expect_err(expected),
            ] {
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_code_without_a_login_that_was_begun_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = config("[cloud]\nclient_id = \"c\"", dir.path());
        let error = log_in(&config, Some("C")).await.expect_err("not begun");
        assert!(error.to_string().contains("begin again"), "{error}");
        log_out(&config).await.expect("nobody to log out");
    }

    #[test]
    fn where_the_page_is() {
        for (listen, expected) in [
            ("127.0.0.1:8321", "http://127.0.0.1:8321"),
            ("192.0.2.7:443", "https://192.0.2.7:443"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ] {
            let mut config = Config::default();
            config.api.listen = listen.parse().expect("an address");
            assert_eq!(page(&config), expected);
        }
        let mut config = Config::default();
        config.api.listen = ([0, 0, 0, 0], 443).into();
        assert!(page(&config).ends_with(".local:443"));
    }
}
