//! Receiving: equal and other bytes, mismatches, broken objects, orders, recovery.

use super::*;
use crate::order::{NewOrder, OrderState, Priority};
use crate::patient::PatientFacts;
use crate::testing::{ObjectSpec, Postgres, TemporaryFolder, config, hospital, temporary};
use crate::work::JobState;
use crate::{Archive, name::NameParts, params};
use std::net::Ipv4Addr;

struct Site {
    archive: Archive,
    sender: Sender,
}

impl Site {
    async fn new(archive: Archive) -> Self {
        let institution = archive.institutions().create(hospital("HEXI")).await.unwrap();
        let sender = Sender {
            name: "HEXI_CT".to_owned(),
            role: "device".to_owned(),
            device_id: None,
            institution_id: institution.id,
            peer: Some(Ipv4Addr::LOCALHOST.into()),
            source: Source::CStore,
        };
        Self { archive, sender }
    }

    fn context(&self, spec: &ObjectSpec) -> ReceiveContext {
        ReceiveContext {
            sender: self.sender.clone(),
            sop_class: SopClassUid::parse(&spec.sop_class).unwrap(),
            sop_instance_uid: SopInstanceUid::parse(&spec.sop_instance).unwrap(),
            transfer_syntax: TransferSyntaxUid::explicit_le(),
        }
    }

    async fn store_bytes(
        &self,
        spec: &ObjectSpec,
        bytes: &[u8],
        piece: usize,
    ) -> Result<Stored, StoreRefused> {
        let mut incoming = self.archive.begin_receive(self.context(spec)).await?;
        for chunk in bytes.chunks(piece.max(1)) {
            // A refusal on the way is told again at the end.
            let _ = incoming.write(Bytes::copy_from_slice(chunk)).await;
        }
        incoming.finish().await
    }

    async fn store(&self, spec: &ObjectSpec) -> Result<Stored, StoreRefused> {
        self.store_bytes(spec, &spec.dataset_bytes(), 60_000).await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.archive
            .db()
            .fetch_one(sql, vec![])
            .await
            .unwrap()
            .int("n")
            .unwrap()
    }

    async fn file_of(&self, uid: &str) -> Vec<u8> {
        let row = self
            .archive
            .db()
            .fetch_one(
                "SELECT object_key FROM instance WHERE sop_instance_uid = $1",
                params![uid],
            )
            .await
            .unwrap();
        let key = crate::store::ObjectKey::parse(&row.text("object_key").unwrap()).unwrap();
        self.archive.store().read_all(&key).unwrap()
    }
}

async fn kept_exactly_and_known_again(site: &Site) {
    let spec = ObjectSpec::new("1.2.3", 1, 1);
    let bytes = spec.dataset_bytes();
    let stored = site.store(&spec).await.unwrap();
    assert_eq!(
        (stored.outcome, stored.study_uid.as_str()),
        (Outcome::New, "1.2.3")
    );
    let file = site.file_of(&spec.sop_instance).await;
    assert!(file.ends_with(&bytes) && file.len() as u64 == stored.size_bytes);
    assert_eq!(stored.dataset_digest, Sha256Digest::of(&bytes));
    // Again by C-STORE in other pieces, and as a file with another head: the same object.
    for piece in [1, 7, 1 << 20] {
        let again = site.store_bytes(&spec, &bytes, piece).await.unwrap();
        assert_eq!(again.outcome, Outcome::DuplicateEqual, "{piece}");
    }
    let mut other_head = spec.clone();
    other_head.source_ae = Some("ELSEWHERE".to_owned());
    let stow = Sender {
        source: Source::Stow,
        ..site.sender.clone()
    };
    let again = site
        .archive
        .receive_part10(stow, None, other_head.file_bytes().into())
        .await
        .unwrap();
    assert_eq!(again.outcome, Outcome::DuplicateEqual);
    assert_eq!(site.file_of(&spec.sop_instance).await, file);
    assert_eq!(site.count("SELECT COUNT(*) AS n FROM instance").await, 1);
    let keys: usize = site
        .archive
        .store()
        .buckets()
        .unwrap()
        .iter()
        .map(|b| site.archive.store().keys_of(b).unwrap().len())
        .sum();
    assert_eq!(keys, 1, "second files are removed");
}

async fn other_bytes_go_to_quarantine(site: &Site) {
    let mut spec = ObjectSpec::new("1.2.3", 1, 1);
    let first = site.file_of(&spec.sop_instance).await;
    spec.patient_name = "SOMEONE^ELSE".to_owned();
    let refused = site.store(&spec).await.unwrap_err();
    assert_eq!(
        (refused.status, refused.kind),
        (0x0111, RefusedKind::DuplicateOther)
    );
    // The same with a study that does not exist: no row of it appears.
    spec.study = "9.9.9".to_owned();
    assert_eq!(site.store(&spec).await.unwrap_err().status, 0x0111);
    assert_eq!(site.file_of(&spec.sop_instance).await, first);
    assert_eq!(site.count("SELECT COUNT(*) AS n FROM quarantine").await, 2);
    assert_eq!(
        site.count("SELECT COUNT(*) AS n FROM study WHERE study_uid = '9.9.9'")
            .await,
        0
    );
    assert_eq!(
        site.count("SELECT COUNT(*) AS n FROM audit_event WHERE event = '110113'")
            .await,
        2
    );
}

async fn wrong_objects_are_refused_and_leave_nothing(site: &Site) {
    let before = site.count("SELECT COUNT(*) AS n FROM instance").await;
    let spec = ObjectSpec::new("1.2.4", 1, 1);
    let good = spec.dataset_bytes();
    let mut announced = spec.clone();
    announced.sop_instance = "1.2.4.999".to_owned();
    let mut class = spec.clone();
    class.sop_class = "1.2.840.10008.5.1.4.1.1.7".to_owned();
    let mut no_study = spec.clone();
    no_study.study = String::new();
    let cases: [(&str, &ObjectSpec, Vec<u8>, u16); 6] = [
        ("another instance", &announced, good.clone(), 0xA900),
        ("another class", &class, good.clone(), 0xA900),
        ("cut off", &spec, good[..good.len() - 9].to_vec(), 0xC000),
        ("nothing at all", &spec, vec![], 0xC000),
        ("noise", &spec, vec![0xff; 700_000], 0xC000),
        ("no study", &no_study, no_study.dataset_bytes(), 0xC000),
    ];
    for (what, announced, bytes, status) in cases {
        let refused = site.store_bytes(announced, &bytes, 50_000).await.unwrap_err();
        assert_eq!(refused.status, status, "{what}: {refused}");
    }
    let stow = || Sender {
        source: Source::Stow,
        ..site.sender.clone()
    };
    let other = StudyInstanceUid::parse("1.2.5").unwrap();
    let refused = site
        .archive
        .receive_part10(stow(), Some(other), spec.file_bytes().into())
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusedKind::OtherStudy);
    for (what, file) in [
        ("a bare data set", good),
        ("text", b"hello".to_vec()),
        ("an empty file", vec![]),
    ] {
        let refused = site
            .archive
            .receive_part10(stow(), None, file.into())
            .await
            .unwrap_err();
        assert_eq!(refused.kind, RefusedKind::NotUnderstood, "{what}");
    }
    assert_eq!(site.count("SELECT COUNT(*) AS n FROM instance").await, before);
    let mut abandoned = site.archive.begin_receive(site.context(&spec)).await.unwrap();
    abandoned.write(Bytes::from(vec![0u8; 600_000])).await.unwrap();
    drop(abandoned);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let spool = std::fs::read_dir(site.archive.store().root().join(".spool"))
        .unwrap()
        .count();
    assert_eq!(spool, 0);
}

async fn studies_of_orders_belong_to_who_asked(site: &Site) {
    let other = site
        .archive
        .institutions()
        .create(hospital("DONGSHAN"))
        .await
        .unwrap();
    let order = site
        .archive
        .orders()
        .create(NewOrder {
            patient: PatientFacts {
                identifier: "P77".into(),
                name: NameParts::from_text("赵六"),
                ..PatientFacts::default()
            },
            institution_id: other.id,
            modality: "CT".into(),
            body_part: "CHEST".into(),
            item_code: "CT-CHEST".into(),
            item_name: "胸部CT平扫".into(),
            priority: Priority::Stat,
            clinical_history: String::new(),
            scheduled_ae: Some("HEXI_CT".into()),
            scheduled_at: None,
            ordered_by: "clin".into(),
        })
        .await
        .unwrap();
    let mut spec = ObjectSpec::new(&order.study_uid, 1, 1);
    spec.accession = Some(order.accession_number.clone());
    site.store(&spec).await.unwrap();
    // The same accession number with another study is no match.
    let mut stray = ObjectSpec::new("1.2.6", 1, 1);
    stray.accession = Some(order.accession_number.clone());
    site.store(&stray).await.unwrap();
    let owner = |uid: String| async move {
        let row = site
            .archive
            .db()
            .fetch_one(
                "SELECT institution_id, order_id FROM study WHERE study_uid = $1",
                params![uid],
            )
            .await
            .unwrap();
        (
            row.int("institution_id").unwrap(),
            row.opt_int("order_id").unwrap(),
        )
    };
    assert_eq!(
        owner(order.study_uid.clone()).await,
        (other.id.0, Some(order.id.0))
    );
    assert_eq!(owner("1.2.6".into()).await, (site.sender.institution_id.0, None));
    assert_eq!(
        site.archive.orders().by_id(order.id).await.unwrap().state,
        OrderState::Arrived
    );
}

async fn jobs_audit_and_counts_come_with_the_object(site: &Site) {
    let mut news = site.archive.events().listen();
    for n in 1..=5 {
        site.store(&ObjectSpec::new("1.2.7", 1, n)).await.unwrap();
    }
    let ecg = ObjectSpec::waveform("1.2.7", 2, 1);
    site.store(&ecg).await.unwrap();
    let row = site.archive.db().fetch_one("SELECT series_count, instance_count, modalities, has_waveform, state FROM study WHERE study_uid = '1.2.7'", vec![]).await.unwrap();
    assert_eq!(
        (
            row.int("series_count").unwrap(),
            row.int("instance_count").unwrap(),
            row.text("modalities").unwrap().as_str(),
            row.bool("has_waveform").unwrap()
        ),
        (2, 6, "CT\\ECG", true)
    );
    let jobs = site
        .archive
        .db()
        .fetch_all(
            "SELECT id, kind FROM job WHERE subject LIKE '1.2.7%' ORDER BY kind, subject",
            vec![],
        )
        .await
        .unwrap();
    let kinds: Vec<String> = jobs.iter().map(|r| r.text("kind").unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "ecg_analysis",
            "series_metadata",
            "series_metadata",
            "thumbnail",
            "thumbnail"
        ]
    );
    let ecg_job = site
        .archive
        .work()
        .get(crate::JobId(jobs[0].int("id").unwrap()))
        .await
        .unwrap();
    assert_eq!(
        (ecg_job.state, ecg_job.job.subject),
        (JobState::Waiting, ecg.sop_instance)
    );
    assert_eq!(
        site.count("SELECT COUNT(*) AS n FROM audit_event WHERE event = '110104' AND study_uid = '1.2.7'")
            .await,
        6
    );
    let event = news.try_recv().unwrap();
    assert_eq!(
        (event.study_uid.as_deref(), event.institution_ids),
        (Some("1.2.7"), vec![site.sender.institution_id])
    );
    assert!(news.try_recv().is_err(), "told once");
}

async fn one_object_from_many_senders_at_once_is_one(site: &Site) {
    let spec = ObjectSpec::new("1.2.8", 1, 1);
    let tasks: Vec<_> = (0..12).map(|_| site.store(&spec)).collect();
    let results = futures_util::future::join_all(tasks).await;
    let new = results
        .iter()
        .filter(|r| r.as_ref().unwrap().outcome == Outcome::New)
        .count();
    assert_eq!(new, 1);
    assert!(
        site.file_of(&spec.sop_instance)
            .await
            .ends_with(&spec.dataset_bytes())
    );
}

async fn all(archive: Archive) {
    let site = Site::new(archive).await;
    kept_exactly_and_known_again(&site).await;
    other_bytes_go_to_quarantine(&site).await;
    wrong_objects_are_refused_and_leave_nothing(&site).await;
    studies_of_orders_belong_to_who_asked(&site).await;
    jobs_audit_and_counts_come_with_the_object(&site).await;
    one_object_from_many_senders_at_once_is_one(&site).await;
    assert_eq!(
        site.archive.verify_audit().await.unwrap().problems,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    all(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    all(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_as_such() {
    let full = crate::ArchiveError::io(
        "write",
        "/spool".as_ref(),
        std::io::Error::from(std::io::ErrorKind::StorageFull),
    );
    let refused = StoreRefused::from(full);
    assert_eq!((refused.status, refused.kind), (0xA700, RefusedKind::OutOfSpace));
}

#[tokio::test(flavor = "multi_thread")]
async fn placed_files_without_rows_are_taken_in_at_the_next_start() {
    let folder = TemporaryFolder::new().unwrap();
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    let site = Site::new(archive).await;
    let (kept, lost) = (ObjectSpec::new("1.2.9", 1, 1), ObjectSpec::new("1.2.9", 1, 2));
    site.store(&kept).await.unwrap();
    // As a crash between placing and indexing leaves it.
    let mut state = DiskState::new(
        site.archive.store().clone(),
        site.sender.clone(),
        "hexi".to_owned(),
        Head::file(),
        None,
        None,
    );
    state.absorb(&[Bytes::from(lost.file_bytes())]);
    let (placed, _) = Box::new(state).place().unwrap();
    let damaged = site
        .archive
        .store()
        .root()
        .join(placed.key.as_str().replace("hexi", "dead"));
    std::fs::write(&damaged, b"half of an object").unwrap();
    let owner = site.sender.institution_id;
    drop(site);
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    let row = archive
        .db()
        .fetch_one(
            "SELECT st.institution_id, st.instance_count FROM study st WHERE st.study_uid = '1.2.9'",
            vec![],
        )
        .await
        .unwrap();
    assert_eq!(
        (
            row.int("institution_id").unwrap(),
            row.int("instance_count").unwrap()
        ),
        (owner.0, 2)
    );
    assert!(!damaged.exists(), "a damaged file is put away");
    let again = crate::recover::recover(&archive).await.unwrap();
    assert_eq!(again, crate::recover::Recovery::default());
}

fn with_journal(folder: &std::path::Path) -> crate::Config {
    let mut config = config(folder);
    config.store.journal_mib = 8;
    config
}

/// A folder as it was at a moment, as after the end of the power.
fn copied(from: &std::path::Path) -> TemporaryFolder {
    fn copy(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = TemporaryFolder::new().unwrap();
    copy(from, folder.path());
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_by_way_of_the_journal() {
    let folder = TemporaryFolder::new().unwrap();
    let archive = Archive::open(with_journal(folder.path()), &[]).await.unwrap();
    assert!(archive.store().journal().is_some());
    all(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_files_and_the_index_lost_comes_back_from_the_journal() {
    let folder = TemporaryFolder::new().unwrap();
    let archive = Archive::open(with_journal(folder.path()), &[]).await.unwrap();
    let site = Site::new(archive).await;
    site.archive.write_marks().await.unwrap();
    let mut kept = Vec::new();
    for n in 1..=30 {
        let spec = ObjectSpec::new("1.2.77", 1, n);
        site.store(&spec).await.unwrap();
        kept.push((spec.sop_instance.clone(), site.file_of(&spec.sop_instance).await));
    }
    for lose_index in [false, true] {
        let cut = copied(folder.path());
        let files = walk(&cut.path().join("objects"));
        assert!(files.len() >= 30);
        for (n, file) in files.iter().enumerate() {
            match n % 3 {
                0 => std::fs::remove_file(file).unwrap(),
                1 => std::fs::write(file, b"").unwrap(),
                _ => {}
            }
        }
        if lose_index {
            for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
                let _ = std::fs::remove_file(cut.path().join(file));
            }
        }
        let archive = Archive::open(with_journal(cut.path()), &[]).await.unwrap();
        let again = Site {
            archive,
            sender: site.sender.clone(),
        };
        for (uid, bytes) in &kept {
            assert!(again.file_of(uid).await == *bytes, "{uid}");
        }
        assert_eq!(again.count("SELECT COUNT(*) AS n FROM instance").await, 30);
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
