//! The phone's behaviour as scripts: one line per input, with everything it causes beside it.
//!
//! `A rings -> ring on; line1 fast` reads: call A (Alice) rings, and the outputs are exactly these, in this order.
//! Screens are left out of the outputs; the step `screen` shows the display, `soft` its soft keys.
mod bench;
mod calls;
mod dialing;
mod in_call;
mod menu;
mod paths;
mod privacy;
mod random;
pub(super) mod screens;
mod transfer;
mod trouble;
mod words;

use bench::Bench;

/// Runs a script and compares what each line causes; on a difference, shows the whole script as it really went.
#[track_caller]
fn check(script: &str) {
    check_with(Bench::default(), script);
}

#[track_caller]
fn check_with(mut bench: Bench, script: &str) {
    let mut wanted = Vec::new();
    let mut real = Vec::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (step, outputs) = line.split_once("->").unwrap_or((line, ""));
        let (step, outputs) = (step.trim(), outputs.trim());
        wanted.push(format!("{step} -> {outputs}"));
        real.push(format!("{step} -> {}", bench.step(step)));
    }
    let (wanted, real) = (wanted.join("\n"), real.join("\n"));
    assert!(
        wanted == real,
        "it really went like this:\n{real}\n\nand not like this:\n{wanted}\n"
    );
}
