//! Whole imports into a real archive.

use super::*;
use crate::testing::{ObjectSpec, TemporaryFolder, hospital, temporary};
use std::collections::BTreeMap;

async fn ready() -> (Archive, TemporaryFolder, InstitutionId) {
    let (archive, folder) = temporary(&[]).await.unwrap();
    let id = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    (archive, folder, id)
}

fn options(source: &Path, institution_id: InstitutionId) -> ImportOptions {
    ImportOptions {
        source: source.to_path_buf(),
        institution_id,
        user: "import".to_owned(),
        workers: 4,
        retry_refused: false,
    }
}

/// Runs an import; gives the word of each file.
async fn run(archive: &Archive, options: ImportOptions) -> (ImportSummary, BTreeMap<String, ImportedFile>) {
    let mut files = BTreeMap::new();
    let mut found = 0;
    let done = archive.import(options, |news| match news {
        ImportNews::Found(count) => found += count,
        ImportNews::File(file) => {
            assert!(files.insert(file.name.clone(), file).is_none());
        }
    });
    let summary = done.await.unwrap();
    assert_eq!(found, files.len() as u64);
    (summary, files)
}

fn words(files: &BTreeMap<String, ImportedFile>) -> String {
    let all: Vec<String> = files
        .iter()
        .map(|(name, f)| format!("{name}={}", f.status.as_str()))
        .collect();
    all.join(" ")
}

/// Objects, one without preamble, a damaged one, other files, a folder within.
fn mixture(at: &Path) {
    std::fs::create_dir_all(at.join("sub")).unwrap();
    std::fs::write(at.join("a.dcm"), ObjectSpec::new("1.1", 1, 1).file_bytes()).unwrap();
    std::fs::write(at.join("sub/b"), ObjectSpec::new("1.1", 1, 2).file_bytes()).unwrap();
    std::fs::write(at.join("sub/bare"), ObjectSpec::new("1.1", 1, 3).dataset_bytes()).unwrap();
    std::fs::write(at.join("same.dcm"), ObjectSpec::new("1.1", 1, 1).file_bytes()).unwrap();
    let mut other = ObjectSpec::new("1.1", 1, 1);
    other.patient_name = "Other^One".to_owned();
    std::fs::write(at.join("zz.dcm"), other.file_bytes()).unwrap();
    let cut = ObjectSpec::new("1.1", 1, 9).file_bytes();
    std::fs::write(at.join("cut.dcm"), &cut[..cut.len() / 2]).unwrap();
    std::fs::write(at.join("readme.txt"), b"hello").unwrap();
    std::fs::write(at.join("ecg.hea"), b"100 2 360").unwrap();
    std::fs::write(at.join("empty"), b"").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_imported_and_the_second_run_is_short() {
    let (archive, folder, institution) = ready().await;
    let source = folder.path().join("source");
    mixture(&source);
    let mut one_by_one = options(&source, institution);
    one_by_one.workers = 1;
    let (summary, files) = run(&archive, one_by_one).await;
    assert_eq!(
        words(&files),
        "a.dcm=stored cut.dcm=refused ecg.hea=ecg_other_format empty=not_dicom readme.txt=not_dicom \
         same.dcm=duplicate sub/b=stored sub/bare=stored zz.dcm=refused"
    );
    assert_eq!(
        (summary.stored, summary.duplicate, summary.refused, summary.known),
        (3, 1, 2, 0)
    );
    assert!(files["zz.dcm"].reason.as_ref().unwrap().contains("quarantine"));
    let study = archive.studies().by_uid("1.1").await.unwrap().unwrap();
    assert_eq!((study.instance_count, study.institution_id), (3, institution));
    assert!(archive.verify_store().await.unwrap().is_intact());

    let (summary, files) = run(&archive, options(&source, institution)).await;
    assert_eq!((summary.stored, summary.duplicate, summary.known), (0, 4, 9));
    assert_eq!(files["zz.dcm"].status, ImportStatus::Refused);
    assert_eq!(
        files["a.dcm"].reason.as_deref(),
        Some("known from an earlier run")
    );
    let mut again = options(&source, institution);
    again.retry_refused = true;
    assert_eq!(run(&archive, again).await.0.known, 7);
    // A lost journal costs reading, nothing else.
    std::fs::remove_dir_all(archive.config().data_dir.join("imports")).unwrap();
    let (summary, _) = run(&archive, options(&source, institution)).await;
    assert_eq!((summary.stored, summary.duplicate, summary.known), (0, 4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_believed_only_when_the_index_agrees() {
    let (archive, folder, institution) = ready().await;
    let source = folder.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("a"), ObjectSpec::new("1.1", 1, 1).file_bytes()).unwrap();
    run(&archive, options(&source, institution)).await;
    let (other, _folder, _) = ready().await;
    let journals = archive.config().data_dir.join("imports");
    let into = other.config().data_dir.join("imports");
    std::fs::create_dir_all(&into).unwrap();
    for entry in std::fs::read_dir(journals).unwrap().flatten() {
        std::fs::copy(entry.path(), into.join(entry.file_name())).unwrap();
    }
    let (summary, _) = run(&other, options(&source, institution)).await;
    assert_eq!((summary.stored, summary.known), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_one_source_do_not_meet() {
    let (archive, folder, institution) = ready().await;
    let source = folder.path().join("source");
    mixture(&source);
    let held = Journal::open(&archive, &options(&source, institution)).unwrap();
    let error = archive
        .import(options(&source, institution), |_| {})
        .await
        .unwrap_err();
    assert!(error.to_string().contains("being imported already"), "{error}");
    drop(held);
    assert_eq!(run(&archive, options(&source, institution)).await.0.stored, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_not_followed_and_a_missing_source_is_an_error() {
    let (archive, folder, institution) = ready().await;
    let source = folder.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc", source.join("out")).unwrap();
        let (summary, files) = run(&archive, options(&source, institution)).await;
        assert!(files.is_empty());
        assert_eq!(summary.remarks, ["out: a link or a device, left out"]);
    }
    let missing = archive
        .import(options(&folder.path().join("none"), institution), |_| {})
        .await;
    assert!(missing.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_leaves_audit_rows_as_such() {
    let (archive, folder, institution) = ready().await;
    let file = folder.path().join("one.dcm");
    std::fs::write(&file, ObjectSpec::new("1.1", 1, 1).file_bytes()).unwrap();
    assert_eq!(source_kind(&file).unwrap(), SourceKind::File);
    run(&archive, options(&file, institution)).await;
    let filter = crate::audit::AuditFilter {
        event: Some(crate::audit::event::IMPORT.to_owned()),
        ..Default::default()
    };
    let rows = archive.audit().search(&filter, 10, None).await.unwrap().rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].role, "operator");
}
