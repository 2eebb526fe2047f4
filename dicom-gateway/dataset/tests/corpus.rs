//! Every file of the test data: read or refused in words, in any chunks the same, and written back
//! the same.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::path::{Path, PathBuf};

use dataset::{DatasetError, Limits, Tokenizer, file};

fn data() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GONGYING_TEST_DATA") {
        return Some(PathBuf::from(path).join("dicom")).filter(|p| p.is_dir());
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .flat_map(|up| [up.join("shared/data/dicom"), up.join("../shared/data/dicom")])
        .find(|path| path.is_dir())
}

fn files() -> Vec<(String, Vec<u8>)> {
    let Some(root) = data() else {
        println!("skipped: test data not present");
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|e| e != "md") {
                let name = path.strip_prefix(&root).expect("inside").display().to_string();
                found.push((name, std::fs::read(&path).expect("readable file")));
            }
        }
    }
    found.sort();
    found
}

/// Damaged on purpose, or no DICOM.
const REFUSED: [&str; 7] = [
    "dcm4che/3gb-bulk-data-truncated.dcm",
    "dcmqi/x/LICENSE.txt.dcm",
    "made/trunc_raw.dcm",
    "orthanc/2026-05-06-Deeply-Nested-Sequence.dcm",
    "pd/MR_truncated.dcm",
    "pd/no_meta.dcm",
    "pd/rtplan_truncated.dcm",
];

#[test]
fn every_file_is_read_or_refused_in_words() {
    let mut wrong = Vec::new();
    for (name, bytes) in files() {
        let result = file::read(&bytes, Limits::default());
        match (&result, REFUSED.contains(&name.as_str())) {
            (Ok(file), false) => {
                if file.parsed.data_set.is_empty() {
                    wrong.push(format!("{name}: empty"));
                }
            }
            (Err(_), true) => {}
            (Ok(_), true) => wrong.push(format!("{name}: read, though damaged")),
            (Err(error), false) => wrong.push(format!("{name}: {error}")),
        }
        if let Err(error) = &result {
            assert!(
                !matches!(error, DatasetError::Incomplete { .. } | DatasetError::Refused),
                "{name}: {error}"
            );
            let _ = file::read_partial(&bytes, Limits::in_memory());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn chunks_of_any_size_give_the_same() {
    for (name, bytes) in files().into_iter().filter(|(_, bytes)| bytes.len() < 300_000) {
        let Ok(header) = file::read_header(&bytes) else {
            continue;
        };
        let body = &bytes[header.dataset_offset..];
        let whole = run(body, &header, body.len().max(1));
        for size in [1, 7, 4096] {
            let parts = run(body, &header, size);
            match (&whole, &parts) {
                (Ok(a), Ok(b)) => {
                    assert_eq!(a.data_set, b.data_set, "{name} in chunks of {size}");
                    assert_eq!(a.pixel_data, b.pixel_data, "{name} in chunks of {size}");
                    assert_eq!(a.warnings, b.warnings, "{name} in chunks of {size}");
                }
                (Err(_), Err(_)) => {}
                _ => panic!(
                    "{name} in chunks of {size}: {:?} / {:?}",
                    whole.is_ok(),
                    parts.is_ok()
                ),
            }
        }
    }
}

fn run(body: &[u8], header: &file::Part10, size: usize) -> Result<dataset::Parsed, DatasetError> {
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, Limits::default());
    for chunk in body.chunks(size) {
        tokenizer.feed(chunk)?;
    }
    tokenizer.finish()
}

#[test]
fn what_was_read_is_written_and_read_again() {
    use dataset::{Encoding, TransferSyntaxUid, Value, stream};
    for (name, bytes) in files() {
        let Ok(file) = file::read(&bytes, Limits::in_memory()) else {
            continue;
        };
        let mut set = file.parsed.data_set;
        let external: Vec<_> = set
            .elements()
            .iter()
            .filter(|e| matches!(e.value, Value::External { .. }))
            .map(|e| e.tag)
            .collect();
        for tag in external {
            set.remove(tag);
        }
        let Ok(written) = dataset::write::encode(&set, Encoding::ExplicitLe) else {
            continue;
        };
        let again = stream::parse(&written, &TransferSyntaxUid::explicit_le(), Limits::in_memory());
        let again = again.unwrap_or_else(|error| panic!("{name}: {error}")).data_set;
        let third = dataset::write::encode(&again, Encoding::ExplicitLe).expect("writable");
        assert_eq!(written, third, "{name}");
    }
}

#[test]
fn names_read_right_whatever_the_character_set_tag_says() {
    use dataset::charset::CharsetState::{self, Fits, Missing};
    let files = files();
    let check = |name: &str, state: CharsetState, expect: &str| {
        let Some((_, bytes)) = files.iter().find(|(file, _)| file == name) else {
            return;
        };
        let parsed = file::read(bytes, Limits::default()).expect("readable").parsed;
        let text = parsed
            .data_set
            .text(dataset::tags::PATIENT_NAME)
            .unwrap_or_default();
        assert_eq!((parsed.charset.state, text.as_str()), (state, expect), "{name}");
    };
    check("made/cn_utf8.dcm", Fits, "Zhao^Qian=赵^倩");
    check("made/cn_gbk.dcm", Fits, "Li^Rong=李^镕");
    check("made/cn_gb18030.dcm", Fits, "Wang^XiaoDong=王^小东");
    check("made/cn_gb18030_4byte.dcm", Fits, "Zhang^Yan=张^䶮");
    check("made/cn_lie_none.dcm", Missing, "王^秀英");
    check("made/cn_lie_ir6_desc.dcm", Missing, "孙^丽");
    check("fo/chrH31.dcm", Fits, "Yamada^Tarou=山田^太郎=やまだ^たろう");
    check("fo/chrH32.dcm", Fits, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう");
    check("fo/chrI2.dcm", Fits, "Hong^Gildong=洪^吉洞=홍^길동");
    check("fo/chrX2.dcm", Fits, "Wang^XiaoDong=王^小东=");
    check("fo/chrKoreanMulti.dcm", Fits, "김희중");
    check("fo/chrArab.dcm", Fits, "قباني^لنزار");
    check("fo/chrGreek.dcm", Fits, "Διονυσιος");
    check("fo/chrHbrw.dcm", Fits, "שרון^דבורה");
}
