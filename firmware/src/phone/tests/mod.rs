//! The phone's behaviour as scripts: one line per input, with everything it causes beside it.
//!
//! `A rings -> ring on; line1 fast` reads: call A (Alice) rings, and the outputs are exactly these, in this order.
//! Screens are left out of the outputs; the step `screen` shows the display, `soft` its soft keys.
mod bench;
mod calls;
mod dialing;
mod in_call;
mod paths;
mod privacy;
mod random;
mod screens;
mod trouble;

use bench::Bench;

/// Runs a script and compares what each line causes; on a difference, shows the whole script as it really went.
#[track_caller]
fn check(script: &str) {
    check_with(Bench::default(), script);
}

#[track_caller]
fn check_with(mut bench: Bench, script: &str) {
    let mut wanted = String::new();
    let mut real = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (step, outputs) = line.split_once("->").unwrap_or((line, ""));
        let (step, outputs) = (step.trim(), outputs.trim());
        wanted.push_str(&format!("{step} -> {outputs}\n"));
        real.push_str(&format!("{step} -> {}\n", bench.step(step)));
    }
    assert!(
        wanted == real,
        "it really went like this:\n{real}\nand not like this:\n{wanted}"
    );
}
