//! A document for the tests of renditions.

use crate::account::InstitutionView;
use crate::actor::Person;
use crate::report::{Amendment, Document, EvidenceSeries, HrMark, PatientPart, SignedVersion, VersionKind};

pub(super) fn signed(change: impl FnOnce(&mut Document)) -> SignedVersion {
    let person = |user: &str, name: &str| Person {
        user: user.into(),
        display_name: name.into(),
    };
    let place = |code: &str, name: &str| InstitutionView {
        code: code.into(),
        name: name.into(),
    };
    let mut document = Document {
        schema: "gongying-report/1".into(),
        version: 1,
        kind: VersionKind::Original,
        predecessor: None,
        predecessor_sha256: None,
        study_uid: "2.25.1234567890".into(),
        accession_number: Some("GY261121000001".into()),
        priority: "STAT".into(),
        modality: "CT".into(),
        body_part: Some("CHEST".into()),
        item_code: Some("CT-CHEST".into()),
        item_name: "胸部CT平扫".into(),
        clinical_history: Some("咳嗽5天".into()),
        study_at: "2026-11-21T00:30:00.000Z".into(),
        received_at: "2026-11-21T00:31:00.000Z".into(),
        patient: PatientPart {
            id: 7,
            identifier: "JH0001".into(),
            name: "王秀\u{36c3}".into(),
            sex: Some("F".into()),
            birth_date: Some("1949-12-31".into()),
            age_text: Some("76岁".into()),
            national_id: Some("11010519491231002X".into()),
        },
        institution: place("HEXI", "河西镇卫生院"),
        reading_institution: place("QHRM", "青禾县人民医院"),
        technique: None,
        findings: "胸廓对称。右肺上叶尖段见类圆形结节影，直径约8mm，边缘光滑，密度均匀，CT值约35HU；余肺野清晰。编号012345。纵隔淋巴结短径约6mm。".into(),
        impression: "右肺上叶尖段实性结节（8mm），建议3个月后复查。".into(),
        positive: Some(true),
        structured: None,
        text: None,
        reason: None,
        amendments: Vec::new(),
        author: person("rad.writer", "王写作"),
        signer: person("rad.reviewer", "李审核"),
        submitted_at: "2026-11-21T00:50:00.000Z".into(),
        signed_at: "2026-11-21T01:02:03.000Z".into(),
        hr_mark: Some(HrMark { scope: "county".into(), text: "县域 HR".into(), valid_until: None }),
        evidence_instances: 2,
        evidence_sha256: "0".repeat(64),
        verify_code: "23456789ABCDEFGH".into(),
        key_id: "0123456789abcdef".into(),
    };
    change(&mut document);
    let value = serde_json::to_value(&document).unwrap();
    SignedVersion {
        canonical: crate::canonical::to_bytes(&value).unwrap(),
        sha256: "ab".repeat(32),
        signature: "cd".repeat(64),
        evidence: vec![EvidenceSeries {
            series_uid: "2.25.1234567890.1".into(),
            instances: vec![
                ("1.2.840.10008.5.1.4.1.1.2".into(), "2.25.1234567890.1.1".into()),
                ("1.2.840.10008.5.1.4.1.1.2".into(), "2.25.1234567890.1.2".into()),
            ],
        }],
        document,
    }
}

pub(super) fn amendment(kind: VersionKind, text: &str) -> Amendment {
    Amendment {
        version: 2,
        kind,
        text: text.into(),
        reason: Some("复核".into()),
        signer: Person {
            user: "rad.reviewer".into(),
            display_name: "李审核".into(),
        },
        signed_at: "2026-11-21T02:00:00.000Z".into(),
    }
}

/// Runs an outside program on bytes in a file and gives what it prints; `None` when it is not installed.
pub(super) fn outside(program: &str, arguments: &[&str], bytes: &[u8], after: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, bytes).unwrap();
    let mut command = std::process::Command::new(program);
    match command.args(arguments).arg(&file).args(after).output() {
        Ok(done) => {
            Some(String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
        }
        Err(_) if std::env::var("REQUIRE_ALL").is_ok_and(|v| v == "1") => {
            panic!("{program} is not installed")
        }
        Err(_) => {
            println!("skipped: {program} not installed");
            None
        }
    }
}

/// A text without white space, to compare what was wrapped.
pub(super) fn squash(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
