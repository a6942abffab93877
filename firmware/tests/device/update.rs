//! Updates with RAUC itself: what is wrong changes nothing, what is right is installed, tried, kept or undone.

use crate::bad_input::tls_server_that;
use crate::process::{Process, wait_for};
use crate::two_systems::TwoSystems;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn waits_for_state(phone: &Process, state: &str) {
    let expected = format!("\"state\":\"{state}\"");
    wait_for(state, || {
        phone
            .request("GET", "/api/v1/update", "")
            .contains(&expected)
    });
}

/// A server that gives each client in turn the next of `answers`.
fn server(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/update.raucb", listener.local_addr().expect("it"));
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            // A client that has heard enough goes away.
            let _ = stream.write_all(&answer);
        }
    });
    url
}

/// `content` as if it were of `length` bytes.
fn answer(status: &str, length: usize, content: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), content].concat()
}

/// Refused in these words, by everything that was given: nothing on the card is another, and nothing is left there.
fn refuses(systems: &TwoSystems, phone: &Process, table: &[(&str, &str)]) {
    for (source, says) in table {
        let output = systems.update(source);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(says),
            "{source}: {said}"
        );
    }
    assert_eq!(systems.other_system(), 0);
    // The running system is good, whenever that is found out.
    let others = systems.changes();
    let others: Vec<_> = (others.iter())
        .filter(|change| *change != "set-state A good")
        .collect();
    assert_eq!((systems.primary().as_str(), others), ("A", vec![]));
    // As the phone sees it.
    let folder = systems.path().join("state").display().to_string();
    let state = format!("/proc/{}/root{folder}", phone.id());
    let state = Path::new(&state);
    assert!(state.exists(), "{folder}");
    for left in ["update.raucb", "trial.json"] {
        assert!(!state.join(left).exists(), "{left} is left on the card");
    }
}

#[test]
fn what_is_wrong_is_refused_in_words_and_changes_nothing() {
    let Some(systems) = TwoSystems::new() else {
        return;
    };
    let phone = systems.phone();
    let good = systems.bundle("maker", "offhook-desktop", 7);
    let content = std::fs::read(&good).expect("a bundle");
    let damaged = |name: &str, content: &[u8]| {
        let path = systems.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    };
    let flipped = |name: &str, content: &[u8], place: usize| {
        let mut content = content.to_vec();
        content[place] ^= 0x01;
        damaged(name, &content)
    };
    let cut = damaged("cut.raucb", &content[..content.len() / 2]);
    let none = damaged("none.raucb", b"hello");
    let empty = damaged("empty.raucb", b"");
    // What is signed comes first; the signature is at the end of the file, before its length in eight bytes.
    let payload = flipped("payload.raucb", &content, content.len() / 4);
    let signature = flipped("signature.raucb", &content, content.len() - 200);
    let verity = systems.bundle_as("verity", "maker", "offhook-desktop", 7);
    let verity = std::fs::read(verity).expect("a bundle");
    let verity_signature = flipped("verity.raucb", &verity, verity.len() - 200);
    let stranger = systems.bundle("stranger", "offhook-desktop", 8);
    let verity_stranger = systems.bundle_as("verity", "stranger", "offhook-desktop", 8);
    let verity_other = systems.bundle_as("verity", "maker", "toaster", 9);
    let lapsed = systems.bundle("lapsed", "offhook-desktop", 8);
    let no_signer = systems.bundle("server", "offhook-desktop", 8);
    let other_board = systems.bundle("maker", "toaster", 9);
    let untrusted = "not signed by whom this phone trusts";
    let toaster = "made for \"toaster\", and this phone is \"offhook-desktop\"";
    let table = [
        (text(&stranger), untrusted),
        (text(&verity_stranger), untrusted),
        (text(&lapsed), "certificate has expired"),
        (text(&no_signer), "unsuitable certificate purpose"),
        (text(&payload), untrusted),
        (text(&signature), "offhook: "),
        (text(&verity_signature), "offhook: "),
        (text(&other_board), toaster),
        (text(&verity_other), toaster),
        (text(&cut), "no whole update"),
        (text(&none), "no whole update"),
        (text(&empty), "no whole update"),
        ("ftp://example.com/update.raucb", "cannot be read"),
        ("/nowhere.raucb", "/nowhere.raucb cannot be read"),
    ];
    refuses(&systems, &phone, &table);
    // The display says so, and the phone is what it was.
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(status.contains("200 OK"), "{status}");
}

/// A bundle half fetched, or a page of an error fetched in its place, must not come as far as RAUC.
#[test]
fn what_cannot_be_fetched_is_refused_in_words_and_changes_nothing() {
    let Some(systems) = TwoSystems::new() else {
        return;
    };
    let redirecting = tls_server_that(systems.path(), |stream| {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/update.raucb\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let phone = systems.phone_trusting("ca.pem");
    let good = systems.bundle("maker", "offhook-desktop", 7);
    let content = std::fs::read(&good).expect("a bundle");
    let half = &content[..content.len() / 2];
    let early = server(vec![answer("200 OK", content.len(), half)]);
    let gone = server(vec![answer("404 Not Found", content.len(), &content)]);
    let broken = server(vec![answer("500 Internal Server Error", 0, b"")]);
    let table = [
        (early.as_str(), "broke off after"),
        (gone.as_str(), "the server says 404 Not Found"),
        (broken.as_str(), "the server says 500 Internal Server Error"),
        (redirecting.as_str(), "sends it on over plain http"),
        ("http://127.0.0.1:9/update.raucb", "cannot be fetched"),
    ];
    refuses(&systems, &phone, &table);
}

/// A server that does not say how much there is: the card fills up while it is fetched.
#[test]
fn a_card_that_is_full_in_the_middle_of_an_update_is_told_and_emptied() {
    let Some(systems) = TwoSystems::new() else {
        return;
    };
    let phone = systems.phone_with_room_for(3 << 20);
    let endless = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(),
        vec![0x5a; 8 << 20],
    ];
    let url = server(vec![endless.concat()]);
    refuses(&systems, &phone, &[(url.as_str(), "free: make room there")]);
}

#[test]
fn an_update_is_installed_while_the_phone_works_and_undone_if_it_is_no_good() {
    let Some(mut systems) = TwoSystems::new() else {
        return;
    };
    let restart = systems.path().join("restart");
    let trial = systems.path().join("state/trial.json");
    let phone = systems.phone();
    let bundle = systems.bundle("maker", "offhook-desktop", 7);
    // In the middle of a call, or about to make one.
    phone.request("POST", "/api/v1/board/hook", "{\"state\":\"lifted\"}");
    let output = systems.update(text(&bundle));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("Version 9.7 is installed"), "{said}");
    assert_eq!(
        (systems.other_system(), systems.primary().as_str()),
        (7, "B")
    );
    assert!(trial.exists());
    let again = systems.update(text(&bundle));
    assert!(String::from_utf8_lossy(&again.stderr).contains("on its way already"));
    waits_for_state(&phone, "waiting");
    assert!(!restart.exists(), "the phone is in use");

    // Without the boot's name in the record, a phone that was restarted meanwhile took this for a new system undone,
    // and forgot that the next start is a trial.
    drop(phone);
    let phone = systems.phone();
    waits_for_state(&phone, "waiting");
    assert!(trial.exists());
    phone.request("POST", "/api/v1/board/hook", "{\"state\":\"resting\"}");
    wait_for("the wish to restart", || restart.exists());
    waits_for_state(&phone, "restarting");
    drop(phone);
    std::fs::remove_file(&restart).expect("systemd takes it away");

    // The new system never becomes ready: it stays on trial, and is judged so.
    systems.boot("B");
    let phone = systems.phone();
    waits_for_state(&phone, "proving");
    assert!(!systems.update("--judge").status.success());
    // Nothing is installed over the old system before.
    let again = systems.update(text(&bundle));
    assert!(String::from_utf8_lossy(&again.stderr).contains("on its way already"));
    drop(phone);

    // The boot loader has counted its attempts, and is back.
    systems.boot("A");
    let phone = systems.phone();
    waits_for_state(&phone, "undone");
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(!trial.exists(), "{status}");
    assert!(systems.update("--judge").status.success());
    // Without this it stays the first to be tried: three short starts of this one lead back to it.
    let changes = systems.changes();
    assert!(
        changes.iter().any(|change| change == "set-state B bad"),
        "{changes:?}"
    );
}

/// The judge took a configuration that is no good for a new system that is none, and restarted the device for ever.
#[test]
fn a_configuration_that_is_no_good_is_not_judged() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("offhook.toml");
    std::fs::write(&config, "[cloud\n").expect("written");
    let judged = std::process::Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["update", "--judge", "--config", text(&config)])
        .output()
        .expect("the program runs");
    assert!(judged.status.success(), "{judged:?}");
}

/// Nobody was logged in on the old one, so there is no cloud to reach: its own parts have to do.
#[test]
fn a_new_system_that_works_is_marked_good() {
    let Some(mut systems) = TwoSystems::new() else {
        return;
    };
    let trial = systems.path().join("state/trial.json");
    std::fs::create_dir(systems.path().join("state")).expect("a folder");
    let text =
        "{\"from\":\"A\",\"version\":\"9.7\",\"is_installed\":true,\"could\":{\"cloud\":false}}";
    std::fs::write(&trial, text).expect("written");
    systems.boot("B");
    let phone = systems.phone_logged_out();
    waits_for_state(&phone, "proving");
    assert!(systems.changes().is_empty(), "not yet");
    waits_for_state(&phone, "done");
    assert_eq!(systems.changes(), ["set-state B good"]);
    assert!(!trial.exists());
}

/// RAUC is started when it is first asked, which is long on a busy phone. Without a word of its own whoever started an
/// update then was told that one is on its way, and heard no more of it.
#[test]
fn an_update_has_to_wait_until_the_last_one_is_settled() {
    let Some(systems) = TwoSystems::new() else {
        return;
    };
    let trial = systems.path().join("state/trial.json");
    std::fs::create_dir(systems.path().join("state")).expect("a folder");
    let kept = "{\"from\":\"A\",\"version\":\"9.6\",\"boot\":\"before\"}";
    std::fs::write(&trial, kept).expect("written");
    let bundle = systems.bundle("maker", "offhook-desktop", 7);
    systems.is_slow("status");
    let phone = systems.phone();
    let early = systems.update(text(&bundle));
    let said = String::from_utf8_lossy(&early.stderr);
    assert!(said.contains("not known yet what came of"), "{said}");
    systems.answers("status");
    waits_for_state(&phone, "failed");
    assert!(!trial.exists());
    let output = systems.update(text(&bundle));
    assert!(output.status.success(), "{output:?}");
}

/// The late answer was held against the update that was begun meanwhile: "the phone was restarted before the update
/// was installed".
#[test]
fn an_update_that_overtakes_the_judgement_of_the_start_is_not_judged() {
    let Some(systems) = TwoSystems::new() else {
        return;
    };
    let bundle = systems.bundle("maker", "offhook-desktop", 7);
    systems.is_slow("status");
    systems.is_slow("install");
    let phone = systems.phone();
    systems.is_asked("status");
    std::thread::scope(|scope| {
        let update = scope.spawn(|| systems.update(text(&bundle)));
        systems.is_asked("install");
        systems.answers("status");
        // That it is good comes after that it is no new one.
        wait_for("the judgement", || {
            systems.changes() == ["set-state A good"]
        });
        let state = phone.request("GET", "/api/v1/update", "");
        systems.answers("install");
        assert!(state.contains("\"state\":\"checking\""), "{state}");
        let output = update.join().expect("the program runs");
        assert!(output.status.success(), "{output:?}");
    });
}
