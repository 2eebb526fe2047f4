//! What is attacked, and what every attack may cost at most.

use super::line::{Answer, Line, SECONDARY_CAPTURE, associate_rq, store_command};
use super::object::Object;
use crate::support::http::{self, Client};
use crate::support::objects::{Place, fresh_run};
use crate::support::peer::{EXPLICIT_LE, IMPLICIT_LE, VERIFICATION, command, even};
use crate::support::{self, Product};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const CALLING: &str = "JUDGE";
pub const CALLED: &str = "GONGYING";
/// A healthy peer's echo beside and after an attack.
pub const ECHO_MAX: Duration = Duration::from_millis(200);
pub const STATUS_WAIT: Duration = Duration::from_secs(20);
const ECHO_TRIES: u32 = 3;
const COMMAND_SECONDS_MAX: u64 = 20;
const COMMAND_KIB_MAX: u64 = 400 << 10;

/// The running product, and clients that are logged in.
pub struct Target {
    pub product: Product,
    pub technician: Client,
    pub reader: Client,
    /// Stands in every name that tries to leave the store.
    pub mark: String,
    pub folder: tempfile::TempDir,
    run: u64,
    number: AtomicU32,
    acknowledged: Mutex<Vec<(Place, Vec<u8>)>>,
}

impl Target {
    pub fn start() -> Target {
        let folder = tempfile::tempdir().expect("a folder");
        // the first start makes the synthetic studies, which leaves a heap that would hide what an attack takes
        drop(Product::start(&folder.path().join("data")));
        let product = Product::start(&folder.path().join("data"));
        let run = fresh_run();
        Target {
            technician: product.login("tech.hexi"),
            reader: product.login("rad.writer"),
            mark: format!("evil{run}"),
            run,
            number: AtomicU32::new(1),
            acknowledged: Mutex::default(),
            product,
            folder,
        }
    }

    /// A place that no other attack uses, in a study of its own.
    pub fn place(&self) -> Place {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let study = format!("2.25.{}.{number}", self.run);
        Place {
            series: format!("{study}.1"),
            instance: format!("{study}.1.1"),
            study,
        }
    }

    pub fn object(&self) -> Object {
        Object::new(&self.place())
    }

    /// An accepted association; presentation context ids are 1, 3, 5 ...
    pub fn associate(&self, contexts: &[(&str, &[&str])]) -> Line {
        let (line, answer) = Line::associate(self.product.dicom, &associate_rq(CALLING, CALLED, contexts));
        assert_eq!(answer, Answer::Accepted, "an ordinary association");
        line
    }

    pub fn associate_for_storage(&self) -> Line {
        self.associate(&[(SECONDARY_CAPTURE, &[EXPLICIT_LE])])
    }

    /// C-STORE on an association of its own. What gets Success must be there, equal, at the end.
    pub fn store(&self, place: &Place, data_set: &[u8]) -> Answer {
        self.store_in(EXPLICIT_LE, place, data_set)
    }

    pub fn store_in(&self, syntax: &str, place: &Place, data_set: &[u8]) -> Answer {
        let mut line = self.associate(&[(SECONDARY_CAPTURE, &[syntax])]);
        let answer = line.store(SECONDARY_CAPTURE, &place.instance, data_set, STATUS_WAIT);
        if answer == Answer::Status(0) {
            self.keep(place, data_set);
        }
        answer
    }

    pub fn keep(&self, place: &Place, data_set: &[u8]) {
        self.acknowledged
            .lock()
            .unwrap()
            .push((place.clone(), data_set.to_vec()));
    }

    /// STOW-RS of one file.
    pub fn stow(&self, file: &[u8]) -> http::Answer {
        let kind = "multipart/related; type=\"application/dicom\"; boundary=b0undary";
        let mut body = b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
        body.extend(file);
        body.extend(b"\r\n--b0undary--\r\n");
        let headers = [("Content-Type", kind), ("Accept", "application/dicom+json")];
        self.technician
            .request("POST", "/dicomweb/studies", &headers, &body)
    }

    /// The stored file of an instance, `None` when there is none.
    pub fn fetch(&self, place: &Place) -> Option<http::Answer> {
        let headers = [("Accept", "application/dicom; transfer-syntax=*")];
        let answer = self.reader.request("GET", &instance_path(place), &headers, &[]);
        assert!(answer.status < 500, "{}", answer.text());
        (answer.status == 200).then_some(answer)
    }

    /// What a reader's screen would ask of a stored object: whatever is wrong with it, no answer is a failure of ours.
    pub fn look_at(&self, place: &Place) {
        let instance = instance_path(place);
        let paths = [
            format!("/dicomweb/studies/{}/metadata", place.study),
            format!("{instance}/rendered"),
            format!("{instance}/frames/1"),
            format!("{instance}/thumbnail"),
        ];
        for path in paths {
            let status = self.reader.get(&path).status;
            assert!(status < 500 || status == 501, "{path}: {status}");
        }
    }

    /// Best of a few C-ECHOs, association included.
    pub fn echo(&self) -> Option<Duration> {
        let request = associate_rq(CALLING, CALLED, &[(VERIFICATION, &[IMPLICIT_LE])]);
        let set = command(&[
            (0x0002, even(VERIFICATION)),
            (0x0100, 0x0030_u16.to_le_bytes().to_vec()),
            (0x0110, 1_u16.to_le_bytes().to_vec()),
            (0x0800, 0x0101_u16.to_le_bytes().to_vec()),
        ]);
        let mut best: Option<Duration> = None;
        for _ in 0..ECHO_TRIES {
            let start = Instant::now();
            let (mut line, answer) = Line::associate(self.product.dicom, &request);
            if answer == Answer::Accepted {
                let bytes = line.frames(1, true, &set);
                line.send(&bytes);
                if line.answer(Duration::from_secs(3)) == Answer::Status(0) {
                    best = Some(best.map_or(start.elapsed(), |b| b.min(start.elapsed())));
                }
                line.send(&super::line::RELEASE_RQ);
            }
            if best.is_some_and(|b| b < ECHO_MAX / 2) {
                break;
            }
        }
        best
    }

    /// A healthy peer is served while something else goes on.
    pub fn assert_healthy_beside(&self, what: &str) {
        let echo = self.echo();
        assert!(
            echo.is_some_and(|e| e < ECHO_MAX),
            "C-ECHO beside {what}: {echo:?}"
        );
    }

    /// `gongying image SUB FILE`: a result or one line, in bounded time and memory.
    pub fn image_command(&self, sub: &str, file: &Path) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
        command.args(["image", sub]).arg(file);
        match sub {
            "info" => command.arg("--json"),
            "decode" => command.arg("-o").arg(self.folder.path().join("out.npy")),
            _ => command.arg("-o").arg(self.folder.path().join("out.png")),
        };
        let errors = self.folder.path().join("errors");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&errors).unwrap());
        let start = Instant::now();
        let mut child = command.spawn().expect("the executable starts");
        let mut peak = 0;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            peak = peak.max(peak_kib_of(child.id()));
            if start.elapsed() > Duration::from_secs(COMMAND_SECONDS_MAX) {
                let _ = child.kill();
                let _ = child.wait();
                panic!("image {sub} still runs after {COMMAND_SECONDS_MAX} s");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        assert!(
            matches!(status.code(), Some(0 | 1)),
            "image {sub}: {status} {said}"
        );
        assert!(!said.contains("panicked"), "image {sub}: {said}");
        assert!(peak < COMMAND_KIB_MAX, "image {sub} took {peak} KiB");
    }

    /// The same for a data set, written as a file first.
    pub fn image_command_on(&self, sub: &str, bytes: &[u8]) {
        let path = self.folder.path().join("attack.dcm");
        std::fs::write(&path, bytes).unwrap();
        self.image_command(sub, &path);
    }

    /// Every acknowledged object is there and equal, byte for byte.
    pub fn assert_acknowledged_equal(&self) {
        let all = self.acknowledged.lock().unwrap();
        assert!(
            !all.is_empty(),
            "ordinary objects were stored between the attacks"
        );
        for (place, data_set) in all.iter() {
            let answer = self
                .fetch(place)
                .unwrap_or_else(|| panic!("{} is gone", place.instance));
            assert_eq!(
                data_set_of(&answer.body),
                Some(data_set.as_slice()),
                "{} came back with other bytes",
                place.instance
            );
        }
    }

    /// The highest memory since [`Target::forget_peak`], in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.product.peak_kib()
    }

    /// Sets the peak back to what is in use now.
    pub fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.product.id());
        std::fs::write(path, "5").expect("the peak of one's own process can be set back");
    }

    pub fn is_alive(&self) -> bool {
        peak_kib_of(self.product.id()) > 0
    }

    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.product.id())).map_or(0, Iterator::count)
    }
}

/// `VmHWM` of a process, 0 when it is gone.
fn peak_kib_of(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

pub fn instance_path(place: &Place) -> String {
    format!(
        "/dicomweb/studies/{}/series/{}/instances/{}",
        place.study, place.series, place.instance
    )
}

/// The data set of a Part 10 file, by its group length.
pub fn data_set_of(file: &[u8]) -> Option<&[u8]> {
    if file.get(128..132) != Some(b"DICM") {
        return None;
    }
    let length = u32::from_le_bytes(file.get(140..144)?.try_into().ok()?) as usize;
    file.get(144 + length..)
}

/// A command that is not followed by its data set yet, for peers that stop half way.
pub fn begin_store(line: &mut Line, instance: &str) {
    let bytes = line.frames(1, true, &store_command(SECONDARY_CAPTURE, instance));
    line.send(&bytes);
}

/// Waits until the work of the demonstration's own studies is done: it would blur what an attack costs.
pub fn settle(target: &Target) {
    let mut last = u64::MAX;
    support::eventually(30, || {
        std::thread::sleep(Duration::from_millis(700));
        let now = target.product.resident_kib();
        let still = now.abs_diff(last) < 512;
        last = now;
        still.then_some(())
    });
}
