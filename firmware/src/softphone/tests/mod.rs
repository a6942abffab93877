//! The session engine against scripts, and against everything at once.
//!
//! Each case of `tests/softphone/*.txt` is a list of inputs (`> ...`) with the outputs each must have below it, in
//! order; its title cites the rules it shows.
//! `OFFHOOK_BLESS=1` writes what the engine does into the files; read the difference before believing it.
mod inputs;
mod moves;
mod orders;
mod random;
mod script;
mod show;
mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// At the top of the repository, where whoever knows the SDK looks for them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/softphone")
}

/// Runs one file of cases.
fn check(file: &str) {
    let path = folder().join(file);
    let expected = std::fs::read_to_string(&path).unwrap();
    let actual = script::run(&expected);
    if std::env::var_os("OFFHOOK_BLESS").is_some() {
        std::fs::write(&path, &actual).unwrap();
        return;
    }
    let cases = |text: &str| -> Vec<String> { text.split("\n== ").map(str::to_owned).collect() };
    for (expected, actual) in cases(&expected).iter().zip(cases(&actual)) {
        assert!(
            expected.trim_end() == actual.trim_end(),
            "{file}: expected\n{expected}\n---- but it is\n{actual}"
        );
    }
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        })*

        /// No file is left out.
        #[test]
        fn every_file_is_run() {
            let mut found: Vec<String> = std::fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let mut listed = vec![$(concat!(stringify!($name), ".txt").to_owned()),*];
            listed.sort();
            assert_eq!(found, listed);
        }
    };
}

files! { inbound outbound in_call ending offers errors streaming clients shared features handling reinvite quality
bad_input persistent }

/// Every numbered rule of section 6, and 5.7 and 5.8, is shown by a case that cites it.
#[test]
fn every_rule_is_cited_by_a_case() {
    if std::env::var_os("OFFHOOK_BLESS").is_some() {
        return; // The files are being written.
    }
    let mut cited = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for title in text.lines().filter(|line| line.starts_with("== ")) {
            let rules = title.split(|c: char| !c.is_ascii_digit() && c != '.');
            cited.extend(rules.map(|rule| rule.trim_matches('.').to_owned()));
        }
    }
    let numbered = [("6.3", 3), ("6.5", 6), ("6.6", 6), ("6.8", 8), ("6.13", 27)];
    let numbered = numbered
        .iter()
        .flat_map(|(section, last)| (1..=*last).map(move |n| format!("{section}.{n}")));
    let whole = [
        "5.7", "5.8", "6.1", "6.2", "6.4", "6.7", "6.9", "6.10", "6.11", "6.12", "6.14",
    ];
    let uncited: Vec<String> = numbered
        .chain(whole.map(str::to_owned))
        .filter(|rule| !cited.contains(rule))
        .collect();
    assert_eq!(uncited, Vec::<String>::new(), "no case shows these rules");
}
