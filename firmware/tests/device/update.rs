//! Updates with RAUC itself: what is wrong changes nothing, what is right is installed, tried, kept or undone.

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

/// Serves the first half of `bundle` as if it were the whole.
fn half_a_server(bundle: &Path) -> String {
    let content = std::fs::read(bundle).expect("a bundle");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/update.raucb", listener.local_addr().expect("it"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            content.len()
        )
        .expect("sent");
        stream
            .write_all(&content[..content.len() / 2])
            .expect("sent");
    });
    url
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
    let cut = damaged("cut.raucb", &content[..content.len() / 2]);
    let none = damaged("none.raucb", b"hello");
    let mut flipped = content.clone();
    // In the signature at the end of the file (before its length).
    let place = flipped.len() - 200;
    flipped[place] ^= 0x55;
    let flipped = damaged("flipped.raucb", &flipped);
    let stranger = systems.bundle("stranger", "offhook-desktop", 8);
    let other_board = systems.bundle("maker", "toaster", 9);
    let half = half_a_server(&good);
    for (source, says) in [
        (text(&stranger), "not signed by whom this phone trusts"),
        (
            text(&other_board),
            "made for \"toaster\", and this phone is \"offhook-desktop\"",
        ),
        (text(&cut), "no whole update"),
        (text(&none), "no whole update"),
        (text(&flipped), "offhook: "),
        (half.as_str(), "broke off after"),
        ("http://127.0.0.1:9/update.raucb", "cannot be fetched"),
        ("ftp://example.com/update.raucb", "cannot be read"),
        ("/nowhere.raucb", "/nowhere.raucb cannot be read"),
    ] {
        let output = systems.update(source);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(says),
            "{source}: {said}"
        );
    }
    assert_eq!(systems.other_system(), 0);
    assert_eq!(
        (systems.primary().as_str(), systems.changes()),
        ("A", vec![])
    );
    let left = systems.path().join("state/update.raucb");
    assert!(!left.exists(), "a bundle is left on the card");
    // The display says so, and the phone is what it was.
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(status.contains("200 OK"), "{status}");
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
    drop(phone);

    // The boot loader has counted its attempts, and is back.
    systems.boot("A");
    let phone = systems.phone();
    waits_for_state(&phone, "undone");
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(!trial.exists(), "{status}");
    assert!(systems.update("--judge").status.success());
}

/// Nobody is logged in on it, so there is no cloud to reach: its own parts have to do.
#[test]
fn a_new_system_that_works_is_marked_good() {
    let Some(mut systems) = TwoSystems::new() else {
        return;
    };
    let trial = systems.path().join("state/trial.json");
    std::fs::create_dir(systems.path().join("state")).expect("a folder");
    let text = "{\"from\":\"A\",\"version\":\"9.7\",\"is_installed\":true}";
    std::fs::write(&trial, text).expect("written");
    systems.boot("B");
    let phone = systems.phone_logged_out();
    waits_for_state(&phone, "proving");
    assert!(systems.changes().is_empty(), "not yet");
    waits_for_state(&phone, "done");
    assert_eq!(systems.changes(), ["set-state B good"]);
    assert!(!trial.exists());
}
