//! All targets in one program, which saves linking the phone eleven times: `OFFHOOK_FUZZ` names the one to run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<offhook::fuzz::Target> = OnceLock::new();

fuzz_target!(init: {
    let wanted = std::env::var("OFFHOOK_FUZZ").unwrap_or_default();
    let found = offhook::fuzz::TARGETS.iter().find(|(name, _)| *name == wanted);
    let Some((_, target)) = found else {
        let names: Vec<_> = offhook::fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("set OFFHOOK_FUZZ to one of: {}", names.join(" "));
    };
    TARGET.get_or_init(|| *target);
}, |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        target(data);
    }
});
