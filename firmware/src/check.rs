//! `offhook check`: looks at configuration, board, sound and cloud, and says what to fix.

use crate::device::config::Config;
use crate::device::store;
use crate::genesys::{self, CheckOutcome};
use crate::runtime;
use anyhow::Context as _;
use offhook_board::{Board, BoardError, Machine};
use offhook_hal::audio::{PERIOD_FRAMES, Period};
use offhook_hal::front::{Front, FrontEvent};
use offhook_hal::{HalEvent, HookState, KeyAction};
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Periods exchanged with a sound device to see that it runs: half a second.
const TRIAL_PERIODS: usize = 50;

/// The board the configuration names, or the one the device tree says this is.
pub fn board(config: &Config) -> Result<Board, BoardError> {
    Board::select(&config.board.name, &Machine::this())
}

/// Checks all, prints a line for each; success if nothing has to be fixed.
pub async fn run(config: Result<Config, anyhow::Error>, file: Option<&Path>) -> ExitCode {
    let mut report = Report::default();
    let shown = file.map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
    let config = match config {
        Ok(config) => {
            report.line("configuration", Ok(shown));
            config
        }
        Err(error) => {
            report.line("configuration", Err(error.to_string()));
            return report.end();
        }
    };
    check_state(&config, &mut report);
    match board(&config) {
        Ok(board) => {
            report.line(
                "board",
                Ok(format!("{}: {}", board.name, board.description)),
            );
            check_front(&board, &mut report).await;
            check_sound(&config, &board, &mut report).await;
        }
        Err(error) => report.line("board", Err(error.to_string())),
    }
    // Remembers nothing: a look by another user must not leave files that the phone cannot read.
    let cloud = runtime::cloud_config(&config, genesys::Memory::default());
    match runtime::token_source(&config, &cloud, &*config.state.dir) {
        Ok(token) => {
            for line in genesys::check(&cloud, &token).await {
                report.print(line.outcome, &line.step, &line.detail);
            }
        }
        Err(error) => report.line("cloud", Err(error.to_string())),
    }
    report.end()
}

/// Prints what keys and hook do, a line each, until Ctrl-C or SIGTERM.
///
/// Fails if the board is not known, is for other hardware, or has its keys on the page only. Hardware that is busy or
/// missing is said, and tried again.
pub async fn keys(config: &Config) -> anyhow::Result<()> {
    let board = board(config)?;
    board.check_machine(&Machine::this())?;
    let spec = board.front();
    anyhow::ensure!(
        !spec.is_empty(),
        "the board \"{}\" has no keys of its own: work them on the phone's page",
        board.name
    );
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    // The receiver goes last.
    let _front = Front::start(spec, move |event| drop(sender.send(event)))
        .context("the keys' thread cannot be started")?;
    println!("Press keys, lift the handset; Ctrl-C ends.");
    let mut terminated = signal(SignalKind::terminate()).context("no signals")?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tokio::signal::ctrl_c() => None,
            _ = terminated.recv() => None,
        };
        match event {
            Some(event) => println!("{}", shown(&event)),
            None => return Ok(()),
        }
    }
}

fn shown(event: &FrontEvent) -> String {
    match event {
        FrontEvent::Hal(HalEvent::Key { key, action }) => {
            let action = match action {
                KeyAction::Pressed => "pressed",
                KeyAction::LongPressed => "held",
                KeyAction::Released => "released",
            };
            format!("{key} {action}")
        }
        FrontEvent::Hal(HalEvent::Hook(HookState::Lifted)) => "handset lifted".into(),
        FrontEvent::Hal(HalEvent::Hook(HookState::Resting)) => "handset resting".into(),
        FrontEvent::Hal(HalEvent::HookFlash) => "cradle tapped".into(),
        FrontEvent::Hal(HalEvent::GhostKeys) => {
            "keys held that cannot be told apart; let one go".into()
        }
        FrontEvent::Hal(HalEvent::KeyStuck(key)) => format!("{key} is stuck"),
        FrontEvent::Trouble { part, message } => format!("{part}: {message}"),
        FrontEvent::Recovered { part } => format!("{part}: works again"),
    }
}

fn check_state(config: &Config, report: &mut Report) {
    let dir = &config.state.dir;
    let probe = dir.join(".writable");
    let result = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe));
    let found = match (result, store::room(dir)) {
        (Err(error), _) => Err(format!(
            "{}: {error}; the phone's user must be able to write there",
            dir.display()
        )),
        (Ok(()), Err(error)) => Err(error.to_string()),
        (Ok(()), Ok(())) => Ok(dir.display().to_string()),
    };
    report.line("state folder", found);
}

/// Keys, hook, lamps and display, as far as they are hardware.
async fn check_front(board: &Board, report: &mut Report) {
    if let Err(error) = board.check_machine(&Machine::this()) {
        report.line("hardware", Err(error.to_string()));
        return;
    }
    let (front, screen) = (board.front(), board.screen());
    // Drivers may take their time.
    let looked_at = tokio::task::spawn_blocking(move || {
        let mut lines = Vec::new();
        for (part, result) in offhook_hal::front::probe(&front) {
            let works = || match &front.lines {
                Some(lines) if part == "GPIO lines" => {
                    offhook_hal::gpio::describe(&lines.gpio).map_err(|error| error.to_string())
                }
                _ => Ok("works".to_owned()),
            };
            lines.push((format!("keys, {part}"), result.and_then(|()| works())));
        }
        if let Some(screen) = screen {
            let size = screen.size;
            let result = offhook_hal::screen::probe(&screen).map_err(|error| error.to_string());
            let shown = result.map(|()| format!("{} x {} pixels", size.width, size.height));
            lines.push(("display".to_owned(), shown));
        }
        lines
    })
    .await;
    match looked_at {
        Ok(lines) => {
            for (part, result) in lines {
                report.line(&part, result);
            }
        }
        Err(error) => report.line("keys", Err(error.to_string())),
    }
}

async fn check_sound(config: &Config, board: &Board, report: &mut Report) {
    let mut tried = Vec::new();
    for (name, specs) in runtime::sound_specs(config, board) {
        if tried.contains(&specs) {
            continue;
        }
        tried.push(specs.clone());
        // A driver may take its time.
        let outcome = tokio::task::spawn_blocking(move || {
            let mut device = offhook_hal::audio::open(&specs)?;
            device.start()?;
            let (silence, mut heard): (Period, Period) = ([0; PERIOD_FRAMES], [0; PERIOD_FRAMES]);
            let mut xruns = 0;
            for _ in 0..TRIAL_PERIODS {
                xruns += device.exchange(&silence, &mut heard)?.xruns;
            }
            device.stop();
            let format = device.format();
            Ok::<_, offhook_hal::audio::AudioError>(format!(
                "{} -> {}, {} frames a period, {xruns} xruns",
                format.capture, format.playback, format.period_frames
            ))
        })
        .await;
        let result = match outcome {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        report.line(&format!("sound, {name}"), result);
    }
}

/// What was found, printed as it is found.
#[derive(Default)]
struct Report {
    faults: usize,
}

impl Report {
    fn line(&mut self, what: &str, result: Result<String, String>) {
        match result {
            Ok(found) => self.print(CheckOutcome::Ok, what, &found),
            Err(fault) => self.print(CheckOutcome::Failed, what, &fault),
        }
    }

    fn print(&mut self, outcome: CheckOutcome, what: &str, detail: &str) {
        let mark = match outcome {
            CheckOutcome::Ok => "ok  ",
            CheckOutcome::Warning => "note",
            CheckOutcome::Failed => {
                self.faults += 1;
                "FIX "
            }
            CheckOutcome::Skipped => "-   ",
        };
        println!("{mark}  {what}: {detail}");
    }

    fn end(self) -> ExitCode {
        match self.faults {
            0 => {
                println!("\nThe phone is ready to run.");
                return ExitCode::SUCCESS;
            }
            1 => println!("\nOne thing to fix."),
            many => println!("\n{many} things to fix."),
        }
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, FrontEvent, HalEvent, HookState, KeyAction, keys, shown};
    use offhook_hal::Key;

    #[test]
    fn what_keys_and_hook_do_is_said_in_words() {
        let pressed = |action| {
            FrontEvent::Hal(HalEvent::Key {
                key: Key::Mute,
                action,
            })
        };
        let hook = |state| FrontEvent::Hal(HalEvent::Hook(state));
        for (event, words) in [
            (pressed(KeyAction::Pressed), "mute pressed"),
            (pressed(KeyAction::LongPressed), "mute held"),
            (pressed(KeyAction::Released), "mute released"),
            (hook(HookState::Lifted), "handset lifted"),
            (hook(HookState::Resting), "handset resting"),
            (
                FrontEvent::Hal(HalEvent::KeyStuck(Key::Hold)),
                "hold is stuck",
            ),
        ] {
            assert_eq!(shown(&event), words);
        }
    }

    #[tokio::test]
    async fn a_board_without_keys_is_refused() {
        let mut config = Config::default();
        config.board.name = "desktop".into();
        let error = keys(&config).await.expect_err("it has none");
        assert!(error.to_string().contains("no keys of its own"), "{error}");
    }
}
