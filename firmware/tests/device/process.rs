//! A phone in a process of its own, on the desktop board, without a cloud.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything awaited may take on a loaded machine; nothing waits this long unless it has failed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The phone; killed when dropped.
pub struct Process {
    child: Child,
    url: String,
    _out: BufReader<ChildStdout>,
}

/// A command that runs the phone with the folder's own configuration, plus `more` of it.
pub fn command(dir: &Path, more: &str) -> Command {
    let config = dir.join("offhook.toml");
    let text = format!(
        "[board]\nname = \"desktop\"\n[api]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n\
         [cloud]\nenvironment = \"https://127.0.0.1:9\"\ntoken_file = \"token\"\n{more}"
    );
    std::fs::write(&config, text).expect("a configuration");
    std::fs::write(dir.join("token"), "nobody's").expect("a token");
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("run").arg("--config").arg(config);
    command
}

impl Process {
    /// Starts it and waits for its address. Standard error is as the caller has set it.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the phone starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("text");
        let url = line
            .trim()
            .strip_prefix("Offhook is running: http://")
            .unwrap_or_else(|| panic!("the phone did not start: {line:?}"));
        Self {
            child,
            url: url.to_owned(),
            _out: out,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.url
    }

    pub fn take_stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("piped")
    }

    /// Sends a request without waiting for its answer; `None` if nobody takes it.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Option<TcpStream> {
        let address = self.url.parse().expect("an address");
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.url,
            body.len()
        )
        .expect("sent");
        Some(stream)
    }

    /// The answer, whole.
    pub fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.send(method, path, body).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `seen` says yes.
pub fn wait_for(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !seen() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
