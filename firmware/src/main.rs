//! The command line: `offhook run`, `demo`, `login`, `logout`, `check`, `config`, `update`, `version`.
#![forbid(unsafe_code)]

use anyhow::Context;
use clap::{Parser, Subcommand};
use offhook::device::config::{Config, DEFAULT_PATH, EXPLAINED, LogLevel};
use offhook::device::{crypto, log};
use offhook::{audio, check, demo, failure, login, runtime, update};
use offhook_board::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Offhook: a desk phone that is a Genesys Cloud WebRTC station.
#[derive(Parser)]
#[command(name = "offhook", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the phone until it is told to stop
    Run {
        #[command(flatten)]
        config: ConfigArgument,
        /// Work keys, hook, lamps and display from the page, whatever the board has
        #[arg(long)]
        virtual_panel: bool,
    },
    /// Run the phone on this computer against a simulated cloud, to try it out
    Demo {
        /// Play one whole inbound call without anybody's help and print what was heard
        #[arg(long)]
        call: bool,
        /// The simulator's program; by default the one beside this program
        #[arg(long, value_name = "FILE")]
        cloudsim: Option<PathBuf>,
    },
    /// Log an agent in, beside a running phone or without one
    Login {
        #[command(flatten)]
        config: ConfigArgument,
        /// Finish a login that was begun before: the address the browser ended at, or the code in it
        #[arg(long, value_name = "TEXT")]
        code: Option<String>,
    },
    /// Log the agent out, forget the tokens and give the station back
    Logout {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Look at configuration, board, sound and cloud, and say what to fix
    Check {
        #[command(flatten)]
        config: ConfigArgument,
        /// Show what keys and hook do, until Ctrl-C; the phone itself must be stopped
        #[arg(long)]
        keys: bool,
    },
    /// Show the configuration in use
    Config {
        #[command(flatten)]
        config: ConfigArgument,
        /// Show every key with its default and what it is for
        #[arg(long)]
        explain: bool,
    },
    /// Install a signed update to the other system; the running phone does it and goes on working
    Update {
        #[command(flatten)]
        config: ConfigArgument,
        /// The bundle: a file, or an address it is fetched from
        #[arg(value_name = "FILE|URL", required_unless_present = "judge")]
        source: Option<String>,
        /// Fail if an update has not become good in its time (for the system's own use)
        #[arg(long, conflicts_with = "source")]
        judge: bool,
    },
    /// Print the version
    Version,
}

#[derive(clap::Args)]
struct ConfigArgument {
    /// Configuration file; without it the default file is read if it is there
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigArgument {
    fn read(&self) -> anyhow::Result<Config> {
        match &self.file {
            Some(file) => Ok(Config::read(file)?),
            None if Path::new(DEFAULT_PATH).exists() => Ok(Config::read(Path::new(DEFAULT_PATH))?),
            None => Ok(Config::default()),
        }
    }
}

fn main() -> ExitCode {
    crypto::install();
    match run(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("offhook: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run {
            config,
            virtual_panel,
        } => run_phone(&config, virtual_panel).inspect_err(failure::show),
        Verb::Demo { call, cloudsim } => executor()?.block_on(demo::run(call, cloudsim)),
        Verb::Login { config, code } => {
            let config = config.read()?;
            log::start(LogLevel::Error);
            executor()?.block_on(login::log_in(&config, code.as_deref()))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Logout { config } => {
            let config = config.read()?;
            log::start(LogLevel::Warn);
            executor()?.block_on(login::log_out(&config))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Check { config, keys: true } => {
            executor()?.block_on(check::keys(&config.read()?))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Check { config, .. } => {
            let file = config.file.clone();
            executor()?.block_on(async { Ok(check::run(config.read(), file.as_deref()).await) })
        }
        Verb::Config { explain: true, .. } => {
            print!("{EXPLAINED}");
            Ok(ExitCode::SUCCESS)
        }
        Verb::Config { config, .. } => {
            print!(
                "{}",
                toml::to_string(&config.read()?).context("the configuration cannot be shown")?
            );
            Ok(ExitCode::SUCCESS)
        }
        Verb::Update {
            config,
            source: Some(source),
            judge: false,
        } => {
            let config = config.read()?;
            log::start(LogLevel::Error);
            executor()?.block_on(update::run(&config, &source))?;
            Ok(ExitCode::SUCCESS)
        }
        // A configuration that is no good is not the new system's fault; the old one runs with it, too.
        Verb::Update { config, .. } => Ok(update::judge(&config.read().unwrap_or_default())),
        Verb::Version => {
            println!("offhook {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_phone(config: &ConfigArgument, virtual_panel: bool) -> anyhow::Result<ExitCode> {
    let config = config.read()?;
    log::start(config.log.level);
    audio::thread::run_ahead();
    let board = check::board(&config)?;
    let board = if virtual_panel {
        board.into_virtual()
    } else {
        board.check_machine(&Machine::this())?;
        board
    };
    executor()?.block_on(async {
        let phone = runtime::Runtime::start(config, board).await?;
        println!("Offhook is running: {}", phone.url());
        phone.run().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// One thread runs the phone; sound has its own, and slow system calls go to a few more.
fn executor() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .context("the event loop cannot be made")
}
