//! Starts the real executable and talks to it as its users do.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

pub mod county;
pub mod http;
pub mod objects;
pub mod peer;
pub mod people;
pub mod zip;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Password of every account of the demonstration in tests.
pub const PASSWORD: &str = "Pruefung-2026-x7";
const READY_SECONDS_MAX: u64 = 180;

/// A running node; ended by SIGKILL when dropped.
pub struct Product {
    child: Child,
    pub data: PathBuf,
    pub http: SocketAddr,
    pub dicom: SocketAddr,
    /// DICOM by TLS, where the demonstration offers it.
    pub tls: Option<SocketAddr>,
}

impl Product {
    /// Starts the demonstration with `data` as its folder and waits until it says READY.
    pub fn start(data: &Path) -> Product {
        let ports = "--http 127.0.0.1:0 --dicom 127.0.0.1:0 --no-browser --data";
        let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
        command.arg("demo").args(ports.split(' ')).arg(data);
        Product::launch(command.env("GONGYING_DEMO_PASSWORD", PASSWORD), data)
    }

    /// Starts a node by its configuration file, which keeps everything below `data`.
    pub fn serve(config: &Path, data: &Path) -> Product {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
        Product::launch(command.args(["serve", "--config"]).arg(config), data)
    }

    fn launch(command: &mut Command, data: &Path) -> Product {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the executable starts");
        let (ready, wait) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines
                .map_while(Result::ok)
                .filter(|line| line.starts_with("READY "))
            {
                let _ = ready.send(line);
            }
        });
        let line = wait.recv_timeout(Duration::from_secs(READY_SECONDS_MAX));
        let Ok(line) = line else {
            let _ = child.kill();
            panic!("no READY line; the process said {:?}", child.wait());
        };
        let address = |name: &str| -> Option<SocketAddr> {
            let value = line.split_whitespace().find_map(|word| word.strip_prefix(name))?;
            Some(value.parse().expect("an address"))
        };
        let field = |name: &str| address(name).expect("address in READY");
        Product {
            data: data.to_path_buf(),
            http: field("http="),
            dicom: field("dicom="),
            tls: address("tls="),
            child,
        }
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory of the process that is its own and in RAM, in KiB (`VmRSS`).
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The highest `VmRSS` so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let text =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("process status");
        let line = text
            .lines()
            .find(|l| l.starts_with(field))
            .expect("field of process status");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// A client that is logged in as a demo account.
    pub fn login(&self, user: &str) -> http::Client {
        http::Client::login(self.http, user, PASSWORD)
    }

    /// A client without a session.
    pub fn anonymous(&self) -> http::Client {
        http::Client::new(self.http)
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls `what` until it gives something, for at most `seconds`.
pub fn eventually<T>(seconds: u64, mut what: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = what() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The executable with these arguments: exit code, standard output, standard error.
pub fn run(arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    run_with(arguments, "")
}

/// The same with something to read on standard input.
pub fn run_with(arguments: &[&str], input: &str) -> (Option<i32>, Vec<u8>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gongying"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().expect("runs");
    (
        out.status.code(),
        out.stdout,
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

/// The folder of real test data, or none; `REQUIRE_DATA=1` turns its absence into a failure.
pub fn test_data(sub: &str) -> Option<PathBuf> {
    let named = std::env::var_os("GONGYING_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(|p| p.join("shared/data"));
    let found = [named, beside]
        .into_iter()
        .flatten()
        .map(|p| p.join(sub))
        .find(|p| p.is_dir());
    if found.is_none() {
        eprintln!("skipped: test data {sub} is not present (set GONGYING_TEST_DATA)");
    }
    found
}
