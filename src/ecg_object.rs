//! DICOM objects made of recordings in other formats, for the command line and for the watched folder of a township node.

use engine::ecg::formats::dicom::write::{self as dicom, Additions, Identity, Original};
use engine::ecg::formats::{self, Format, ReadOptions};
use engine::ecg::{EcgError, Record};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

/// UIDs made of the file, of what was read from it and of this program's version: the same file converted again gives
/// the same object, and study and series stay together. `changed` is used where the recording has no date.
pub(crate) fn identity(file: &[u8; 32], record: &Record, changed: OffsetDateTime) -> Identity {
    let mut hash = Sha256::new().chain_update(file);
    for lead in &record.leads {
        hash.update(lead.name.as_str().as_bytes());
        lead.samples_uv.iter().for_each(|v| hash.update(v.to_le_bytes()));
    }
    let digest = hash.finalize();
    let uid = |what: &str| {
        let made = Sha256::new()
            .chain_update(digest)
            .chain_update(what)
            .chain_update(env!("CARGO_PKG_VERSION"))
            .finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&made[..16]);
        format!("2.25.{}", u128::from_be_bytes(first))
    };
    let stamp = format_description!("[year][month][day][hour][minute][second]");
    Identity {
        sop_instance_uid: uid("instance"),
        series_instance_uid: uid("series"),
        study_instance_uid: uid("study"),
        accession_number: None,
        now: changed.format(stamp).unwrap_or_default(),
    }
}

/// The object of a recording that stands on its own bytes, with the file kept in it. `None`: the file is of no kind that
/// is read here without help; `Err`: why it is not taken, in words for the technician.
pub(crate) fn import(name: &str, file: &[u8]) -> Option<Result<Vec<u8>, String>> {
    match formats::detect(file, name)? {
        Format::Wfdb | Format::Npy | Format::Dicom => return None,
        _ => {}
    }
    Some(object(name, file))
}

fn object(name: &str, file: &[u8]) -> Result<Vec<u8>, String> {
    let nothing_beside = |_: &str| None;
    let read = formats::read(file, name, &nothing_beside, &ReadOptions::default());
    let record = read.map_err(|error| refusal(&error))?;
    let patient = &record.patient;
    if patient.identifier.is_none() && patient.name.is_none() {
        return Err("文件中没有患者姓名和编号，无法归档；请在心电图机上录入患者信息后重新导出。\n\
             The file holds neither a patient's name nor a number, so it cannot be filed: enter them at the cart and \
             export again."
            .to_owned());
    }
    let digest: [u8; 32] = Sha256::digest(file).into();
    let identity = identity(&digest, &record, OffsetDateTime::now_utc());
    let additions = Additions {
        analysis: None,
        original: Some(Original { name, bytes: file }),
    };
    dicom::write(&record, &identity, &additions).map_err(|error| refusal(&error))
}

fn refusal(error: &EcgError) -> String {
    let hint = match error {
        EcgError::Cut { .. } => "文件不完整，请重新导出。",
        EcgError::NotMeasurable { .. } => {
            "这是报告文档，不含可测量的心电波形；请导出 DICOM、SCP-ECG 或 HL7 aECG。"
        }
        EcgError::CannotHold { .. } => "采样率或导联数超出 DICOM 心电对象的范围。",
        _ => "心电文件无法读取。",
    };
    format!("{hint}\n{error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::Limits;
    use engine::ecg::formats::edf;
    use engine::ecg::{Lead, LeadName};
    use std::borrow::Cow;

    fn recording(identifier: Option<&str>) -> Vec<u8> {
        let lead = |name: &str| Lead {
            name: LeadName::new(name),
            samples_uv: (0..1_000).map(|n| (n % 50) as f32 * 5.0).collect(),
            resolution_uv: 5.0,
            derived: false,
        };
        let mut record = Record::new("edf", vec![lead("I"), lead("II")], 500.0).unwrap();
        record.patient.identifier = identifier.map(str::to_owned);
        edf::write::write(&record).unwrap()
    }

    #[test]
    fn a_recording_becomes_the_same_object_each_time_with_the_file_in_it() {
        let file = recording(Some("P1"));
        let object = import("a.edf", &file).unwrap().unwrap();
        let read = dataset::file::read(&object, Limits::in_memory()).unwrap();
        let set = &read.parsed.data_set;
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        let record = formats::dicom::read(&lookup).unwrap();
        assert_eq!((record.leads.len(), record.len()), (2, 1_000));
        assert_eq!(record.patient.identifier.as_deref(), Some("P1"));
        assert_eq!(dicom::original(&lookup), Some(("a.edf".to_owned(), file.clone())));
        let again =
            dataset::file::read(&import("b.edf", &file).unwrap().unwrap(), Limits::in_memory()).unwrap();
        assert_eq!(
            again.header.sop_instance().unwrap(),
            read.header.sop_instance().unwrap()
        );
    }

    #[test]
    fn what_cannot_be_filed_is_refused_with_the_reason() {
        let check = |name: &str, file: &[u8], expect: &str| {
            let reason = import(name, file).unwrap().unwrap_err();
            assert!(reason.contains(expect), "{reason}");
        };
        check("a.edf", &recording(None), "患者");
        let whole = recording(Some("P1"));
        check("a.edf", &whole[..300], "不完整");
        check("a.pdf", b"%PDF-1.4", "报告");
        check("a.xml", b"<Vendor/>", "报告");
        assert!(import("a.txt", b"hello").is_none());
        assert!(import("100.hea", b"100 2 360 1000\n").is_none());
    }
}
