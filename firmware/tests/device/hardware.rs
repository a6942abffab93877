//! Hardware that is wrong, missing or taken: the words are on the display, and the phone goes on when the cause goes.

use crate::pi::{Pi, SILENT};
use crate::process::{Process, command, wait_for};
use crate::service::Systemd;
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use offhook::phone::{failure_screen, render};
use offhook_hal::Framebuffer;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// The picture of a 128 x 64 display that says `reason`.
fn says(reason: &str) -> Vec<String> {
    let mut frame = Framebuffer::new(Size::new(128, 64)).expect("a size");
    render::render(&failure_screen(reason), &mut frame);
    let pixels: Vec<Rgb565> = frame.pixels().collect();
    let lit = |pixel: &Rgb565| if *pixel == Rgb565::BLACK { '.' } else { '#' };
    pixels
        .chunks(128)
        .map(|row| row.iter().map(lit).collect())
        .collect()
}

/// Starts a phone that cannot start, and returns why: the words of the journal, which its display shows.
fn cannot_start(pi: &Pi, phone: &mut Command) -> String {
    pi.write("i2c-1", b"");
    let output = phone.stdin(Stdio::null()).output().expect("it runs");
    assert!(!output.status.success(), "{output:?}");
    let journal = String::from_utf8_lossy(&output.stderr).into_owned();
    let reason = journal
        .split_once("offhook: ")
        .unwrap_or_else(|| panic!("no reason: {journal}"))
        .1
        .trim_end()
        .replace('\n', "; ");
    let (picture, expected) = (pi.picture().expect("it is on"), says(&reason));
    assert_eq!(picture, expected, "{reason}\n{}", picture.join("\n"));
    reason
}

/// The reference board's file with another name, whose keys and lamps are on the page: nothing but its display is wired.
fn board_file(pi: &Pi, keys: &str, hook: &str) -> String {
    let text = format!(
        "name = \"bench\"\ndescription = \"of a test\"\ndevice_tree_models = [\"Raspberry Pi 4 Model B\"]\n\
         [gpio]\nchip = \"pinctrl-bcm2711\"\nheader = \"rpi-40\"\nfunctions = [\"i2c1\"]\n\
         [keypad]\n{keys}\ndebounce_ms = 0\nlong_press_ms = 800\n[hook]\n{hook}\ndebounce_ms = 0\n\
         [lamps]\nmute = {{ wiring = \"virtual\" }}\n\
         [display]\ncontroller = \"ssd1306\"\nwidth_px = 128\nheight_px = 64\n\
         bus_device = \"/dev/i2c-1\"\ni2c_address = 0x3c\n\
         [audio.handset]\ncapture = \"silence\"\nplayback = \"discard\"\nperiod_frames = 480\nbuffer_frames = 1920\n\
         [budgets]\nram_mib = 35\nstartup_ms = 2000\n"
    );
    let file = pi.path().join("bench.toml");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

const VIRTUAL: &str = "wiring = \"virtual\"";
const SWITCH: &str = "wiring = \"switch\"\nline = 4\nlifted_level = \"low\"";

/// In the journal only, the words are where nobody who stands before the phone can read them.
#[test]
fn a_phone_that_cannot_start_says_why_on_its_display() {
    let Some(pi) = Pi::new() else { return };
    let mut other = pi.phone("rpi-5", SILENT);
    let reason = cannot_start(&pi, &mut other);
    assert!(
        reason.contains("board rpi-5 is for \"Raspberry Pi 5"),
        "{reason}"
    );
    assert!(
        reason.contains("this is \"Raspberry Pi 4 Model B Rev 1.5\""),
        "{reason}"
    );
    let mut unknown = pi.phone("rpi-9", SILENT);
    assert!(cannot_start(&pi, &mut unknown).contains("there is no board \"rpi-9\""));
    let mut misspelt = pi.phone("auto", "[phone]\ntones = \"klingon\"\n");
    let reason = cannot_start(&pi, &mut misspelt);
    assert!(reason.contains("klingon"), "{reason}");
    // A file where the state's folder belongs.
    std::fs::write(pi.path().join("state"), "").expect("written");
    let mut unkept = pi.phone("auto", SILENT);
    let reason = cannot_start(&pi, &mut unkept);
    assert!(
        reason.contains("state.dir = ") && reason.contains("must be able to write"),
        "{reason}"
    );
}

/// systemd starts it every second (cross/check-units): the next start finds the file corrected.
#[test]
fn a_bad_board_file_is_told_with_its_line_and_a_good_one_heals() {
    let Some(pi) = Pi::new() else { return };
    let file = board_file(&pi, VIRTUAL, VIRTUAL);
    let good = std::fs::read_to_string(&file).expect("it");
    std::fs::write(&file, good.replace("ssd1306", "ssd1307")).expect("written");
    let mut phone = pi.phone(&file, SILENT);
    let reason = cannot_start(&pi, &mut phone);
    assert!(
        reason.contains("bench.toml:18: ") && reason.contains("ssd1307"),
        "{reason}"
    );
    let told = pi.picture();
    std::fs::write(&file, good).expect("written");
    let _phone = Process::start(phone.stderr(Stdio::null()));
    pi.systemd.wait_for("STATUS=No connection");
    wait_for("another picture", || {
        pi.picture().is_some_and(|now| Some(now) != told)
    });
}

/// Tells of the hook's line, as the kernel does: the event, and the level behind it.
fn hook_goes(pi: &Pi, is_high: bool) {
    let levels = if is_high { u64::MAX } else { u64::MAX - 1 };
    pi.write(".gpiochip0.levels", &levels.to_le_bytes());
    // struct gpio_v2_line_event: time, id (1 rising, 2 falling), line, two counters, padding.
    let mut event = [0; 48];
    event[8] = if is_high { 1 } else { 2 };
    event[12] = 4;
    pi.feed(".gpiochip0.edges", &event);
}

fn has_hook(phone: &Process, state: &str) -> bool {
    let expected = format!("\"hook\":\"{state}\"");
    phone
        .request("GET", "/api/v1/status", "")
        .contains(&expected)
}

fn gpio_chip(pi: &Pi) {
    pi.make_pipe(".gpiochip0.edges");
    pi.write(".gpiochip0.levels", &u64::MAX.to_le_bytes());
    pi.write("gpiochip0", b"pinctrl-bcm2711");
}

/// Another program has the hook's line. Without the retry the phone would have to be restarted once it is free.
#[test]
fn a_gpio_line_that_is_taken_is_told_and_works_when_it_is_free() {
    let Some(pi) = Pi::new() else { return };
    gpio_chip(&pi);
    pi.write(".gpiochip0.held", b"4 w1-gpio");
    let file = board_file(&pi, VIRTUAL, SWITCH);
    let mut phone = pi.phone(&file, SILENT);
    let mut phone = Process::start(phone.stderr(Stdio::piped()));
    let journal = lines_of(BufReader::new(phone.take_stderr()));
    wait_for("the reason", || {
        let line = journal.recv().expect("a journal");
        line.contains("GPIO line 4 is in use by") && line.contains("w1-gpio")
    });
    pi.systemd.wait_for("STATUS=Keys do not work");
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(
        status.contains("\"notice\":\"Keys do not work\""),
        "{status}"
    );
    pi.remove(".gpiochip0.held");
    pi.systemd.wait_for("STATUS=No connection");
    hook_goes(&pi, false);
    wait_for("the hook", || has_hook(&phone, "lifted"));
    hook_goes(&pi, true);
    wait_for("the hook", || has_hook(&phone, "resting"));
}

/// The driver comes late, or was forgotten in config.txt.
#[test]
fn a_gpio_chip_that_is_missing_is_told_and_works_when_it_comes() {
    let Some(pi) = Pi::new() else { return };
    let file = board_file(&pi, VIRTUAL, SWITCH);
    let mut phone = pi.phone(&file, SILENT);
    let phone = Process::start(phone.stderr(Stdio::null()));
    pi.systemd.wait_for("STATUS=Keys do not work");
    gpio_chip(&pi);
    pi.systemd.wait_for("STATUS=No connection");
    hook_goes(&pi, false);
    wait_for("the hook", || has_hook(&phone, "lifted"));
}

/// One line for the failure, however often it is tried; then the picture.
#[test]
fn a_display_that_does_not_answer_is_told_once_and_shows_all_when_it_does() {
    let Some(pi) = Pi::new() else { return };
    pi.write(".i2c-1.cut", b"");
    let file = board_file(&pi, VIRTUAL, VIRTUAL);
    let mut phone = pi.phone(&file, SILENT);
    let mut phone = Process::start(phone.stderr(Stdio::piped()));
    let journal = lines_of(BufReader::new(phone.take_stderr()));
    pi.systemd.wait_for("STATUS=No connection");
    let mut of_display = Vec::new();
    let mut until = |words: &str| {
        wait_for(words, || {
            let line = journal.recv().expect("a journal");
            let is_it = line.contains(words);
            of_display.extend(Some(line).filter(|line| line.contains("display")));
            is_it
        });
    };
    until("the display does not answer (/dev/i2c-1: ");
    assert!(pi.picture().is_none());
    // The set-up ends at its first message.
    wait_for("three attempts", || {
        std::fs::metadata(pi.dev(".i2c-1.tries")).is_ok_and(|tries| tries.len() >= 3)
    });
    pi.remove(".i2c-1.cut");
    until("the display works");
    assert_eq!(of_display.len(), 2, "{of_display:?}");
    wait_for("a picture", || {
        pi.picture().is_some_and(|rows| rows.concat().contains('#'))
    });
    drop(phone);
}

/// A USB handset that is plugged in after the phone has started.
#[test]
fn a_sound_card_that_is_missing_is_told_and_heard_when_it_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let alsa = dir.path().join("asound.conf");
    std::fs::write(&alsa, "").expect("written");
    let systemd = Systemd::new(dir.path());
    let sound = "[audio]\ncapture = \"silence\"\nplayback = \"alsa:ear\"\n";
    let mut command = command(dir.path(), sound);
    // A cloud that says nothing: that there is none would matter more than the sound.
    let cloud = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = cloud.local_addr().expect("an address").to_string();
    let file = dir.path().join("offhook.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("127.0.0.1:9", &address)).expect("written");
    command
        .env("ALSA_CONFIG_PATH", &alsa)
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stderr(Stdio::null());
    let phone = Process::start(&mut command);
    systemd.wait_for("STATUS=No sound");
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(status.contains("\"notice\":\"No sound\""), "{status}");
    let ear = dir.path().join("ear");
    let card = format!(
        "pcm.ear {{ type file slave.pcm {{ type null }} file \"{}\" format raw }}\n",
        ear.display()
    );
    // Another file, because ALSA looks at the file's time only to the second.
    let beside = dir.path().join("asound.new");
    std::fs::write(&beside, card).expect("written");
    std::fs::rename(beside, &alsa).expect("renamed");
    phone.request("POST", "/api/v1/board/hook", "{\"state\":\"lifted\"}");
    wait_for("a dial tone", || {
        std::fs::read(&ear).is_ok_and(|heard| heard.iter().any(|byte| *byte != 0))
    });
}

/// What is written, line by line, as it comes.
fn lines_of(mut out: impl BufRead + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|length| length > 0) {
            if to.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    lines
}

/// A program that says what the keys do; killed when dropped.
struct Keys {
    child: Child,
    lines: Receiver<String>,
}

impl Keys {
    fn new(pi: &Pi, file: &str) -> Self {
        // For the configuration.
        pi.phone(file, SILENT);
        let mut child = pi
            .offhook(&["check", "--keys"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let lines = lines_of(BufReader::new(child.stdout.take().expect("piped")));
        let keys = Self { child, lines };
        assert!(keys.next().starts_with("Press keys"));
        keys
    }

    fn next(&self) -> String {
        let line = self.lines.recv_timeout(crate::process::PATIENCE);
        line.expect("it says something").trim_end().to_owned()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const USB: &str = "wiring = \"input_device\"\ndevice = \"Acme Handset\"";

/// EV_KEY events of a keyboard, with the report's end (linux/input.h, struct input_event on a machine of 64 bits).
fn types(pi: &Pi, node: &str, events: &[(u16, i32)]) {
    let mut bytes = Vec::new();
    for (kind, code, value) in events
        .iter()
        .map(|(code, value)| (1_u16, *code, *value))
        .chain([(0, 0, 0)])
    {
        bytes.extend([0; 16]);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(code.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    pi.feed(&format!("input/{node}"), &bytes);
}

fn plug(pi: &Pi, node: &str) {
    pi.write(&format!("input/.{node}.name"), b"Acme Handset");
    pi.make_pipe(&format!("input/{node}"));
}

const KEY_1: u16 = 2;
const KEY_A: u16 = 30;
const KEY_PHONE: u16 = 169;
const KEY_NUMERIC_STAR: u16 = 0x20a;

/// Kept for itself, or its digits would also be typed into a console; pulled out with a key down, the key is let go;
/// plugged in again it has another number, and the handset may have been lifted meanwhile.
#[test]
fn a_usb_handset_is_found_by_its_name_kept_lost_and_found_again() {
    let Some(pi) = Pi::new() else { return };
    let keys = format!("{USB}\nkeys = {{ KEY_1 = \"1\", KEY_NUMERIC_STAR = \"*\" }}");
    let hook = format!("{USB}\ncode = \"KEY_PHONE\"\nlifted_when = \"on\"");
    let file = board_file(&pi, &keys, &hook);
    let heard = Keys::new(&pi, &file);
    assert_eq!(
        heard.next(),
        "input device \"Acme Handset\": there is no input device \"Acme Handset\"; plug it in, or correct device in \
         the board file (/proc/bus/input/devices lists the names)"
    );
    // A mouse is none, nor is it touched.
    pi.write("input/.event0.name", b"Mouse");
    pi.make_pipe("input/event0");
    plug(&pi, "event1");
    assert_eq!(heard.next(), "input device \"Acme Handset\": works again");
    assert!(pi.dev("input/.event1.ours").exists(), "it is kept");
    assert!(!pi.dev("input/.event0.ours").exists(), "the mouse is not");
    types(&pi, "event1", &[(KEY_PHONE, 1)]);
    types(&pi, "event1", &[(KEY_NUMERIC_STAR, 1), (KEY_A, 1)]);
    types(
        &pi,
        "event1",
        &[(KEY_NUMERIC_STAR, 0), (KEY_A, 0), (KEY_1, 1)],
    );
    for expected in ["handset lifted", "* pressed", "* released", "1 pressed"] {
        assert_eq!(heard.next(), expected);
    }
    // Pulled out: whoever waits for it wakes, and finds nothing there.
    let wake = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(pi.dev("input/event1"));
    pi.remove("input/event1");
    std::io::Write::write_all(&mut wake.expect("a pipe"), &[0]).expect("room");
    assert_eq!(heard.next(), "1 released");
    let lost = heard.next();
    assert!(
        lost.contains("the input device is gone") && lost.contains("plug it in again"),
        "{lost}"
    );
    assert!(heard.next().contains("there is no input device"));
    // Back, with the handset at rest.
    plug(&pi, "event2");
    let mut back = [heard.next(), heard.next()];
    back.sort();
    assert_eq!(
        back,
        [
            "handset resting",
            "input device \"Acme Handset\": works again"
        ]
    );
    types(&pi, "event2", &[(KEY_1, 1)]);
    types(&pi, "event2", &[(KEY_1, 0)]);
    assert_eq!([heard.next(), heard.next()], ["1 pressed", "1 released"]);
}

#[test]
fn a_usb_handset_that_another_program_keeps_is_told_and_taken_when_it_is_free() {
    let Some(pi) = Pi::new() else { return };
    let keys = format!("{USB}\nkeys = {{ KEY_1 = \"1\" }}");
    let file = board_file(&pi, &keys, VIRTUAL);
    plug(&pi, "event0");
    pi.write("input/.event0.busy", b"");
    let heard = Keys::new(&pi, &file);
    assert_eq!(
        heard.next(),
        "input device \"Acme Handset\": input device \"Acme Handset\" is in use by another program that keeps it for \
         itself; stop that program"
    );
    pi.remove("input/.event0.busy");
    assert_eq!(heard.next(), "input device \"Acme Handset\": works again");
    types(&pi, "event0", &[(KEY_1, 1)]);
    assert_eq!(heard.next(), "1 pressed");
}
