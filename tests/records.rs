//! Records come in from disks and media and end one day: `admin import` and `admin purge` by the real executable,
//! also killed in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use fixtures::media::{MediaFile, dicomdir};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::objects::{CT_IMAGE, Place, ct_slice, fresh_run};
use support::{eventually, run};

const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
const SIDE: u16 = 64;

/// A node without a running process: one institution and two accounts who may decide.
struct Centre {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Centre {
    fn new() -> Centre {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        let config = format!(
            "[archive]\nindex = \"sqlite:{0}/data/index.sqlite\"\nobjects = \"file:{0}/data/objects\"\ndata_dir = \"{0}/data/state\"\n",
            root.display()
        );
        std::fs::write(root.join("node.toml"), config).unwrap();
        let centre = Centre {
            _folder: folder,
            root,
        };
        centre.ok(&[
            "institution",
            "create",
            "--code",
            "HEXI",
            "--name",
            "河西镇卫生院",
            "--kind",
            "township_hospital",
        ]);
        for (user, role) in [
            ("admin.county", "county_admin"),
            ("security.county", "security_admin"),
        ] {
            centre.user(user, role);
        }
        centre
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn admin(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let config = self.path("node.toml");
        let mut all = vec!["admin"];
        all.extend(arguments);
        all.extend(["--config", config.to_str().unwrap()]);
        let (code, out, message) = run(&all);
        (code, String::from_utf8(out).unwrap(), message)
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let (code, out, message) = self.admin(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {message}");
        out
    }

    fn user(&self, user: &str, role: &str) {
        let password = self.path("password");
        std::fs::write(&password, format!("{}\n", support::PASSWORD)).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_gongying"))
            .args([
                "admin", "user", "create", "--user", user, "--name", user, "--role", role,
            ])
            .args(["--institution", "HEXI", "--config"])
            .arg(self.path("node.toml"))
            .stdin(std::fs::File::open(&password).unwrap())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn import(&self, source: &Path, more: &[&str]) -> (Option<i32>, Value, String) {
        let mut arguments = vec!["import", source.to_str().unwrap(), "--json"];
        arguments.extend(more);
        let (code, out, message) = self.admin(&arguments);
        let summary = serde_json::from_str(&out).unwrap_or(Value::Null);
        (code, summary, message)
    }

    fn files(&self) -> usize {
        walk(&self.path("data/objects"))
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "dcm"))
            .count()
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// A whole file of one slice; its study is of `day`.
fn slice(place: &Place, seed: u64, day: &str) -> Vec<u8> {
    let mut set = ct_slice(place, SIDE, seed);
    let at = set.windows(8).position(|w| w == b"20261101").unwrap();
    set[at..at + 8].copy_from_slice(day.as_bytes());
    let class = dataset::SopClassUid::parse(CT_IMAGE).unwrap();
    let instance = dataset::SopInstanceUid::parse(&place.instance).unwrap();
    let syntax = dataset::TransferSyntaxUid::explicit_le();
    let mut file = dataset::file::meta_bytes(&class, &instance, &syntax, None).unwrap();
    file.extend(set);
    file
}

#[test]
fn a_folder_with_all_sorts_of_files_is_imported_and_reported() {
    let centre = Centre::new();
    let run = fresh_run();
    let source = centre.path("source");
    std::fs::create_dir_all(source.join("CT")).unwrap();
    for n in 1..=5 {
        std::fs::write(
            source.join(format!("CT/{n}.dcm")),
            slice(&Place::new(run, 1, n), u64::from(n), "20251101"),
        )
        .unwrap();
    }
    std::fs::write(
        source.join("CT/again, \"quoted\".dcm"),
        slice(&Place::new(run, 1, 1), 1, "20251101"),
    )
    .unwrap();
    std::fs::write(
        source.join("other.dcm"),
        slice(&Place::new(run, 1, 2), 99, "20251101"),
    )
    .unwrap();
    std::fs::write(source.join("note.txt"), "hello").unwrap();
    std::fs::write(source.join("ecg.xml"), "<AnnotatedECG xmlns=\"urn:hl7-org:v3\"/>").unwrap();
    let report = centre.path("report.csv");
    let (code, summary, message) =
        centre.import(&source, &["--report", report.to_str().unwrap(), "--jobs", "1"]);
    assert_eq!(code, Some(1), "one object was refused: {message}");
    assert!(message.contains("quarantine"), "{message}");
    let figures = ["stored", "duplicate", "refused", "ecg_other_format", "not_dicom"]
        .map(|n| summary[n].as_u64().unwrap());
    assert_eq!(figures, [5, 1, 1, 1, 1], "{summary}");
    let rows = std::fs::read_to_string(&report).unwrap();
    assert_eq!(rows.lines().count(), 1 + 9);
    assert!(
        rows.contains("\"CT/again, \"\"quoted\"\".dcm\",") || rows.contains("CT/1.dcm,duplicate"),
        "{rows}"
    );
    assert!(rows.contains("ecg.xml,ecg_other_format,"), "{rows}");
    let (code, summary, _) = centre.import(&source, &[]);
    assert_eq!(
        (code, summary["known_from_earlier_run"].as_u64()),
        (Some(1), Some(9))
    );
    assert_eq!(
        centre.files() - walk(&centre.path("data/objects/quarantine")).len(),
        5
    );
    centre.ok(&["verify"]);
    centre.ok(&["audit", "verify"]);
    let (code, _, message) = centre.import(&centre.path("nowhere"), &[]);
    assert!(code == Some(1) && message.contains("nowhere"), "{message}");
}

#[test]
fn a_zip_file_is_imported_and_its_tricks_are_refused() {
    let centre = Centre::new();
    let run = fresh_run();
    let good = |n| slice(&Place::new(run, 1, n), u64::from(n), "20251101");
    let archive = support::zip::zip(&[
        ("DICOM/1", good(1)),
        ("DICOM/2", good(2)),
        ("../../escape.dcm", good(3)),
        ("readme.txt", b"hello".to_vec()),
    ]);
    let path = centre.path("disk.zip");
    std::fs::write(&path, archive).unwrap();
    let (code, summary, message) = centre.import(&path, &[]);
    assert_eq!(
        (code, summary["stored"].as_u64(), summary["refused"].as_u64()),
        (Some(1), Some(2), Some(1))
    );
    assert!(message.contains("leads out of the archive"), "{message}");
    assert!(!centre.root.join("../escape.dcm").exists());
    std::fs::write(&path, b"PK\x03\x04 this is no archive").unwrap();
    let (code, _, message) = centre.import(&path, &[]);
    assert!(code == Some(1) && message.contains("no ZIP file"), "{message}");
}

#[test]
fn a_medium_is_imported_by_its_dicomdir_and_by_nothing_else() {
    let centre = Centre::new();
    let run = fresh_run();
    let medium = centre.path("medium");
    std::fs::create_dir_all(medium.join("DICOM/SERIES1")).unwrap();
    let mut listed = Vec::new();
    for n in 1..=4_u32 {
        let place = Place::new(run, 1, n);
        let name = format!("IM{n:04}");
        std::fs::write(
            medium.join("DICOM/SERIES1").join(&name),
            slice(&place, u64::from(n), "20251101"),
        )
        .unwrap();
        listed.push(MediaFile {
            file_id: vec!["DICOM".into(), "SERIES1".into(), name],
            patient_id: "M1".into(),
            patient_name: "Shan^GuoQiang=单^国强".into(),
            study_uid: place.study.clone(),
            series_uid: place.series.clone(),
            sop_class_uid: CT_IMAGE.into(),
            sop_instance_uid: place.instance.clone(),
            transfer_syntax_uid: EXPLICIT_LE.into(),
        });
    }
    // On the medium, but not in its list.
    std::fs::write(
        medium.join("DICOM/EXTRA"),
        slice(&Place::new(run, 2, 1), 1, "20251101"),
    )
    .unwrap();
    let directory = medium.join("DICOMDIR");
    std::fs::write(&directory, dicomdir(&listed)).unwrap();
    let (code, summary, message) = centre.import(&directory, &[]);
    assert_eq!(
        (code, summary["stored"].as_u64()),
        (Some(0), Some(4)),
        "{message}"
    );
    assert!(
        summary["remarks"].as_array().unwrap().is_empty(),
        "every record is reached by offsets: {summary}"
    );
    // The folder holds the list and the extra file too.
    let (code, summary, _) = centre.import(&medium, &[]);
    let figures = ["stored", "duplicate", "not_dicom"].map(|n| summary[n].as_u64().unwrap());
    assert_eq!((code, figures), (Some(0), [1, 4, 0]));
    listed[1].file_id = vec!["..".into(), "node.toml".into()];
    listed[2].file_id = vec!["DICOM".into(), "GONE".into()];
    std::fs::write(&directory, dicomdir(&listed)).unwrap();
    let (code, summary, message) = centre.import(&directory, &[]);
    assert_eq!(
        (code, summary["refused"].as_u64()),
        (Some(1), Some(1)),
        "{message}"
    );
    assert!(
        summary["remarks"][0].as_str().unwrap().contains("left out"),
        "{summary}"
    );
}

/// Starts a command and ends it by SIGKILL as soon as `when` is true; false when it ended before.
fn kill_when(mut command: Command, when: impl Fn() -> bool) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let killed = eventually(60, || {
        if child.try_wait().unwrap().is_some() {
            return Some(false);
        }
        when().then_some(true)
    });
    let _ = child.kill();
    child.wait().unwrap();
    killed.expect("the moment comes")
}

#[test]
fn an_import_killed_in_the_middle_goes_on_where_it_ended() {
    const FILES: u32 = 600;
    let centre = Centre::new();
    let run = fresh_run();
    let source = centre.path("source");
    std::fs::create_dir_all(&source).unwrap();
    for n in 1..=FILES {
        std::fs::write(
            source.join(format!("{n:04}")),
            slice(&Place::new(run, n % 3, n), u64::from(n), "20251101"),
        )
        .unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
    command
        .args(["admin", "import"])
        .arg(&source)
        .arg("--config")
        .arg(centre.path("node.toml"));
    let killed = kill_when(command, || centre.files() >= 100);
    assert!(killed, "it ended before it could be killed");
    let (code, summary, message) = centre.import(&source, &[]);
    assert_eq!(code, Some(0), "{message}");
    let number = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(number("stored") + number("duplicate"), u64::from(FILES));
    // Of 100 placed files a group may be without its row yet; those are taken again.
    assert!(
        number("duplicate") >= 50 && number("known_from_earlier_run") > 0,
        "{summary}"
    );
    centre.ok(&["reindex"]);
    centre.ok(&["verify"]);
    let (_, summary, _) = centre.import(&source, &[]);
    assert_eq!(summary["duplicate"].as_u64(), Some(u64::from(FILES)));
    println!(
        "killed, then {} of {FILES} were known already",
        number("duplicate")
    );
}

const DECIDED: [&str; 7] = [
    "purge",
    "--execute",
    "--json",
    "--by",
    "admin.county",
    "--approved-by",
    "security.county",
];

/// Three patients: of 1982, 1990 and 2025, 40 pictures each; gives the UIDs of their studies.
fn three_patients(centre: &Centre) -> Vec<String> {
    let run = fresh_run();
    let source = centre.path("source");
    std::fs::create_dir_all(&source).unwrap();
    let mut uids = Vec::new();
    for (index, day) in ["19820301", "19900301", "20250301"].iter().enumerate() {
        // The Patient ID of a slice follows from the length of its study UID.
        let base = 10_u64.pow(index as u32 + 10) * 9 + run % 1_000_000_000;
        for n in 1..=40 {
            let place = Place::new(base, 1, n);
            std::fs::write(
                source.join(format!("{index}-{n}")),
                slice(&place, u64::from(n), day),
            )
            .unwrap();
            if n == 1 {
                uids.push(place.study.clone());
            }
        }
    }
    let (code, _, message) = centre.import(&source, &[]);
    assert_eq!(code, Some(0), "{message}");
    settle(centre);
    uids
}

fn summary(centre: &Centre, arguments: &[&str]) -> Value {
    serde_json::from_str(&centre.ok(arguments)).unwrap()
}

#[test]
fn records_end_by_two_persons_and_a_hold_keeps_them() {
    let centre = Centre::new();
    let uids = three_patients(&centre);
    let plan = summary(&centre, &["purge", "--json"]);
    assert_eq!(
        (plan["ended"].as_u64(), plan["kept"].as_u64()),
        (Some(2), Some(1)),
        "{plan}"
    );
    let shown = centre.ok(&["purge"]);
    assert!(shown.contains(&format!("would go: study {}", uids[0])), "{shown}");
    assert!(shown.contains("nothing was removed"), "{shown}");
    centre.ok(&[
        "hold",
        "set",
        "--study",
        &uids[1],
        "--reason",
        "医疗纠纷",
        "--by",
        "security.county",
    ]);
    assert!(centre.ok(&["hold", "list"]).contains(&uids[1]));
    let one = ["purge", "--execute", "--by", "admin.county", "--approved-by"];
    let (code, _, message) = centre.admin(&[&one[..], &["admin.county"]].concat());
    assert!(
        code == Some(1) && message.contains("two different persons"),
        "{message}"
    );
    assert_eq!(centre.admin(&[&one[..], &["nobody"]].concat()).0, Some(1));
    let done = summary(&centre, &DECIDED);
    assert_eq!(
        (done["studies"].as_u64(), done["files"].as_u64()),
        (Some(1), Some(40)),
        "{done}"
    );
    let list = std::fs::read_to_string(done["list"].as_str().unwrap()).unwrap();
    assert_eq!(list.lines().count(), 41);
    assert_eq!(centre.files(), 80);
    centre.ok(&["verify"]);
    centre.ok(&["audit", "verify"]);
    centre.ok(&["hold", "release", "--study", &uids[1], "--reason", "结案"]);
    killed_removals_are_ended(&centre);
}

/// Killed in the middle of the second one: the next run ends it and certifies both.
fn killed_removals_are_ended(centre: &Centre) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
    command
        .arg("admin")
        .args(DECIDED)
        .arg("--config")
        .arg(centre.path("node.toml"));
    // It may have ended before it could be killed; what follows holds all the same.
    kill_when(command, || centre.files() < 80);
    centre.ok(&["reindex"]);
    let done = summary(centre, &DECIDED);
    assert_eq!(centre.files(), 40, "{done}");
    centre.ok(&["verify"]);
    centre.ok(&["audit", "verify"]);
    let plan = summary(centre, &["purge", "--json"]);
    assert_eq!(
        (plan["ended"].as_u64(), plan["persons"].as_u64()),
        (Some(0), Some(1)),
        "{plan}"
    );
    let certificates = walk(&centre.path("data/state/purges"));
    let lines: usize = certificates
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count() - 1)
        .sum();
    assert_eq!(lines, 80, "every file that went stands in a certificate");
}

/// Runs the node until its studies are quiet.
fn settle(centre: &Centre) {
    let config = centre.path("node.toml");
    let mut child = Command::new(env!("CARGO_BIN_EXE_gongying"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("GONGYING_DICOM__LISTEN", "127.0.0.1:0")
        .env("GONGYING_HTTP__LISTEN", "127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let quiet = eventually(60, || {
        let plan: Value = serde_json::from_str(&centre.ok(&["purge", "--json"])).ok()?;
        (plan["arriving"].as_u64() == Some(0)).then_some(())
    });
    let _ = child.kill();
    child.wait().unwrap();
    quiet.expect("studies become quiet");
    std::thread::sleep(Duration::from_millis(50));
}
