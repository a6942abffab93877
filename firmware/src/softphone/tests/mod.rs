//! The session engine against scripts, and against everything at once.
//!
//! Each case of `cases/*.txt` is a list of inputs (`> ...`) with the outputs each must have below it, in order.
//! `OFFHOOK_BLESS=1` writes what the engine does into the files; read the difference before believing it.
mod inputs;
mod orders;
mod random;
mod script;
mod show;
mod values;

use std::path::Path;

/// Runs one file of cases.
fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/softphone/tests/cases")
        .join(file);
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
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/softphone/tests/cases");
            let mut found: Vec<String> = std::fs::read_dir(folder)
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

files! { inbound outbound in_call ending offers errors streaming clients shared features handling }
