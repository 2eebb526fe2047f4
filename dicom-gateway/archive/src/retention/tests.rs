//! Records that end, records that stay, and removals that are cut off, on both databases.

use super::*;
use crate::patient::{FactSource, PatientFacts, upsert_in};
use crate::receive::{Sender, Source};
use crate::testing::{ObjectSpec, Postgres, TemporaryFolder, hospital, temporary};
use crate::{InstitutionId, PatientId, params};
use std::collections::BTreeMap;
use std::time::Duration;

struct World {
    archive: Archive,
    _folder: TemporaryFolder,
    hexi: InstitutionId,
    dongshan: InstitutionId,
}

impl World {
    async fn new(archive: Archive, folder: TemporaryFolder) -> Self {
        let make = |code: &'static str| {
            let archive = archive.clone();
            async move { archive.institutions().create(hospital(code)).await.unwrap().id }
        };
        let (hexi, dongshan) = (make("HEXI").await, make("DONGSHAN").await);
        Self {
            hexi,
            dongshan,
            _folder: folder,
            archive,
        }
    }

    /// A study of two pictures; it is quiet when this returns.
    async fn put(&self, at: InstitutionId, study: &str, patient: &str, day: &str) {
        for n in 1..=2 {
            let mut spec = ObjectSpec::new(study, 1, n);
            spec.patient_id = patient.to_owned();
            spec.study_date = day.to_owned();
            let sender = Sender::account("tech", "technician", at, None, Source::Stow);
            self.archive
                .receive_part10(sender, None, spec.file_bytes().into())
                .await
                .unwrap();
        }
        self.archive.studies().settle_quiet(Duration::ZERO).await.unwrap();
    }

    async fn patient(&self, identifier: &str) -> PatientId {
        self.archive.patients().by_identifier(identifier).await.unwrap()[0].id
    }

    /// Verdict of each study, by its UID.
    async fn verdicts(&self, rules: &Rules) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let retention = self.archive.retention();
        let plan = retention.plan(rules, today(), |plan| {
            let word = match &plan.verdict {
                Verdict::Ended => "ended",
                Verdict::Kept => "kept",
                Verdict::Held { .. } => "held",
                Verdict::Arriving => "arriving",
            };
            for study in &plan.studies {
                let word = if study.held_by.is_some() {
                    "study held"
                } else {
                    word
                };
                found.insert(study.study_uid.clone(), word.to_owned());
            }
        });
        plan.await.unwrap();
        found
    }

    async fn purge(&self) -> crate::Result<PurgeReport> {
        self.archive.retention().purge(order(), |_, _| {}).await
    }

    fn files(&self) -> usize {
        let store = self.archive.store();
        let buckets = store.buckets().unwrap();
        buckets
            .iter()
            .map(|bucket| store.keys_of(bucket).unwrap().len())
            .sum()
    }
}

fn order() -> PurgeOrder {
    PurgeOrder {
        rules: Rules::default(),
        decided_by: "admin.county".to_owned(),
        approved_by: "security.county".to_owned(),
        persons_max: u64::MAX,
        extra: None,
    }
}

fn words(found: &BTreeMap<String, String>) -> String {
    let all: Vec<String> = found.iter().map(|(uid, word)| format!("{uid}={word}")).collect();
    all.join(" ")
}

async fn the_clock_runs_from_the_last_visit(world: &World) {
    world.put(world.hexi, "1.1", "OLD", "19800110").await;
    world.put(world.hexi, "1.2", "OLD", "19850110").await;
    // An old and a new study of one person: the new one keeps the old one.
    world.put(world.hexi, "2.1", "BOTH", "19800110").await;
    world.put(world.hexi, "2.2", "BOTH", "20250110").await;
    // The same person elsewhere, linked by hand: a visit there counts too.
    world.put(world.hexi, "3.1", "LINK1", "19800110").await;
    world.put(world.dongshan, "3.2", "LINK2", "20240110").await;
    let (one, two) = (world.patient("LINK1").await, world.patient("LINK2").await);
    world
        .archive
        .patients()
        .link(one, two, "同一人", "admin")
        .await
        .unwrap();
    // A date that no device can mean counts as the day of arrival.
    world.put(world.hexi, "4.1", "CLOCK", "19000101").await;
    world.put(world.hexi, "4.2", "FUTURE", "20990101").await;
    world.put(world.hexi, "5.1", "HELD", "19800110").await;
    world.put(world.hexi, "6.1", "PART", "19800110").await;
    world.put(world.hexi, "6.2", "PART", "19810110").await;
    assert_eq!(
        words(&world.verdicts(&Rules::default()).await),
        "1.1=ended 1.2=ended 2.1=kept 2.2=kept 3.1=kept 3.2=kept 4.1=kept 4.2=kept 5.1=ended 6.1=ended 6.2=ended"
    );
}

async fn holds_keep(world: &World) {
    let retention = world.archive.retention();
    let held = HoldTarget::Patient(world.patient("HELD").await);
    let id = retention
        .hold(held.clone(), "纠纷", "security.county")
        .await
        .unwrap();
    let study = HoldTarget::Study("6.1".to_owned());
    retention.hold(study, "纠纷", "security.county").await.unwrap();
    assert!(
        retention.hold(held.clone(), "  ", "x").await.is_err(),
        "a reason is needed"
    );
    let nobody = HoldTarget::Study("9.9".to_owned());
    assert!(retention.hold(nobody, "x", "x").await.is_err());
    let found = world.verdicts(&Rules::default()).await;
    assert_eq!(
        (
            found["5.1"].as_str(),
            found["6.1"].as_str(),
            found["6.2"].as_str()
        ),
        ("held", "study held", "ended")
    );
    retention.release(id, "结案", "security.county").await.unwrap();
    assert!(retention.release(id, "again", "x").await.is_err());
    assert_eq!(world.verdicts(&Rules::default()).await["5.1"], "ended");
    retention.hold(held, "新的纠纷", "security.county").await.unwrap();
    let history = retention.hold_history(0, 10).await.unwrap();
    assert_eq!((history.len(), retention.holds().await.unwrap().len()), (3, 2));
    assert_eq!(history[0].release_reason.as_deref(), Some("结案"));
}

async fn what_ended_goes_and_the_rest_stays(world: &World) {
    let retention = world.archive.retention();
    let derived = world.archive.derived();
    derived
        .put("1.1", "quality", 1, "application/json", vec![b'x'; 100])
        .await
        .unwrap();
    derived
        .put(
            "1.1.1",
            "series_metadata",
            1,
            "application/json",
            vec![b'x'; 100_000],
        )
        .await
        .unwrap();
    let before = world.files();
    let alone = PurgeOrder {
        approved_by: "admin.county".to_owned(),
        ..order()
    };
    assert!(
        retention.purge(alone, |_, _| {}).await.is_err(),
        "one person is not two"
    );
    let report = world.purge().await.unwrap();
    // 1.1, 1.2 and 6.2; of the first person nothing is left, of PART the held study stays.
    assert_eq!((report.studies, report.persons, report.spared), (3, 1, 0));
    assert_eq!((report.files, before - world.files()), (7, 6));
    assert_eq!(
        words(&world.verdicts(&Rules::default()).await),
        "2.1=kept 2.2=kept 3.1=kept 3.2=kept 4.1=kept 4.2=kept 5.1=held 6.1=study held"
    );
    assert!(
        world
            .archive
            .patients()
            .by_identifier("OLD")
            .await
            .unwrap()
            .is_empty()
    );
    assert!(derived.list("1.1").await.unwrap().is_empty());
    assert!(world.archive.verify_store().await.unwrap().is_intact());
    assert!(world.archive.verify_audit().await.unwrap().is_intact());
    let folder = TemporaryFolder::new().unwrap();
    assert_eq!(retention.open_runs().await.unwrap(), [report.run_id]);
    let files = retention.certify(report.run_id, folder.path()).await.unwrap();
    assert!(retention.open_runs().await.unwrap().is_empty());
    let list = std::fs::read_to_string(&files.csv).unwrap();
    let object = ObjectSpec {
        patient_id: "OLD".to_owned(),
        study_date: "19800110".to_owned(),
        ..ObjectSpec::new("1.1", 1, 1)
    };
    let digest = crate::Sha256Digest::of(&object.dataset_bytes()).to_hex();
    assert!(list.contains(&format!("1.1,object,1.1.1.1,{digest},")), "{list}");
    assert_eq!(list.lines().count(), 1 + 7);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&files.json).unwrap()).unwrap();
    assert_eq!(json["files"], 7);
    assert_eq!(
        json["list_sha256"],
        crate::Sha256Digest::of(list.as_bytes()).to_hex()
    );
    assert_eq!(json["studies"][0]["class"], "inpatient");
}

async fn whole_story(archive: Archive, folder: TemporaryFolder) {
    let world = World::new(archive, folder).await;
    the_clock_runs_from_the_last_visit(&world).await;
    holds_keep(&world).await;
    what_ended_goes_and_the_rest_stays(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_end_and_stay_on_sqlite() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    whole_story(archive, folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_end_and_stay_on_postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, folder) = server.archive(&[]).await.unwrap();
    whole_story(archive, folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_cut_off_is_ended_and_nothing_comes_back() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    let config = archive.config().clone();
    let world = World::new(archive, folder).await;
    world.put(world.hexi, "1.1", "OLD", "19800110").await;
    // Cut off just before the files: their rows are there, the files too.
    let kept: Vec<(std::path::PathBuf, Vec<u8>)> = {
        let store = world.archive.store();
        let keys = store
            .buckets()
            .unwrap()
            .iter()
            .flat_map(|b| store.keys_of(b).unwrap())
            .collect::<Vec<_>>();
        keys.iter()
            .map(|key| (store.root().join(key.as_str()), store.read_all(key).unwrap()))
            .collect()
    };
    assert_eq!(kept.len(), 2);
    world.purge().await.unwrap();
    assert_eq!(world.files(), 0);
    for (path, bytes) in &kept {
        std::fs::write(path, bytes).unwrap();
    }
    let undone = world.archive.db().write(|tx| {
        Box::pin(async move {
            tx.execute("UPDATE purge_file SET removed_at = NULL", params![])
                .await?;
            tx.execute("UPDATE purge_study SET files_gone_at = NULL", params![])
                .await
        })
    });
    undone.await.unwrap();
    let run = world.archive.retention().open_runs().await.unwrap()[0];
    let into = config.data_dir.join("purges");
    assert!(
        world.archive.retention().certify(run, &into).await.is_err(),
        "files are still there"
    );
    world.archive.close().await.unwrap();
    // A node that starts now takes files without rows into the index, but not these.
    let again = Archive::open(config, &[]).await.unwrap();
    assert!(again.studies().by_uid("1.1").await.unwrap().is_none());
    again.reindex().await.unwrap();
    assert!(again.studies().by_uid("1.1").await.unwrap().is_none());
    assert_eq!(again.retention().resume().await.unwrap(), 2);
    assert!(kept.iter().all(|(path, _)| !path.exists()));
    assert!(again.verify_store().await.unwrap().is_intact());
    again.retention().certify(run, &into).await.unwrap();
    assert_eq!(again.retention().resume().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_keeps_longer_than_a_village_clinic_would() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    let world = World::new(archive, folder).await;
    let short = "default_class = \"short\"\n[[class]]\nname = \"short\"\nyears = 15\nlaw = \"x\"\n\
         [[class]]\nname = \"long\"\nyears = 30\nlaw = \"y\"\n[[rule]]\nclass = \"long\"\nadmitted = true\n";
    let rules = Rules::parse(short).unwrap();
    world.put(world.hexi, "1.1", "OUT", "20050110").await;
    // The same with an Admission ID (0038,0010), written in front of the study's UID.
    let spec = ObjectSpec {
        patient_id: "IN".to_owned(),
        study_date: "20050110".to_owned(),
        ..ObjectSpec::new("2.1", 1, 1)
    };
    let file = with_admission(&spec.file_bytes());
    let sender = Sender::account("tech", "technician", world.hexi, None, Source::Stow);
    world
        .archive
        .receive_part10(sender, None, file.into())
        .await
        .unwrap();
    world
        .archive
        .studies()
        .settle_quiet(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(words(&world.verdicts(&rules).await), "1.1=ended 2.1=kept");
}

/// Puts `I77` as Admission ID behind group 0028, which ends with Bits Allocated.
fn with_admission(file: &[u8]) -> Vec<u8> {
    let marker = [0x28, 0x00, 0x00, 0x01, b'U', b'S', 2, 0, 16, 0];
    let at = file.windows(marker.len()).position(|w| w == marker).unwrap() + marker.len();
    let admission = [0x38, 0x00, 0x10, 0x00, b'L', b'O', 4, 0, b'I', b'7', b'7', b' '];
    [&file[..at], &admission, &file[at..]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_kept_under_old_rules_get_new_keys() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    let world = World::new(archive, folder).await;
    let institution = world.hexi;
    let made = world.archive.db().write(move |tx| {
        Box::pin(async move {
            for (n, name) in ["单国强", "曾乐", "王小明"].iter().enumerate() {
                let facts = PatientFacts {
                    identifier: format!("P{n}"),
                    name: crate::name::NameParts::from_text(name),
                    ..PatientFacts::default()
                };
                upsert_in(tx, institution, facts, FactSource::Order).await?;
            }
            tx.execute(
                "UPDATE patient SET pinyin_key = 'DANGUOQIANG', name_key = 'x'",
                params![],
            )
            .await?;
            tx.execute("DELETE FROM patient_term", params![]).await
        })
    });
    made.await.unwrap();
    let patients = world.archive.patients();
    let found = |text: &'static str| {
        let patients = patients.clone();
        async move { patients.search(text, PatientId(0), 10).await.unwrap().len() }
    };
    assert_eq!(found("shan").await, 0);
    assert!(!patients.renew_keys(2).await.unwrap());
    assert!(patients.renew_keys(2).await.unwrap());
    assert!(patients.renew_keys(2).await.unwrap(), "nothing is left to do");
    for text in [
        "shan",
        "單",
        "dgq",
        "zengyue",
        "小明",
        "xiaoming",
        "wang xiao",
        "P1",
        "曾",
    ] {
        assert_eq!(found(text).await, 1, "{text}");
    }
    assert_eq!(found("chan").await, 0);
}

/// A new table that refers to a study must be cleared by a purge, or no study with such a row could
/// ever go.
#[test]
fn every_table_that_refers_to_records_is_cleared() {
    let removed = ["person", "patient", "exam_order", "study", "series", "instance"];
    let mut referring = std::collections::BTreeSet::new();
    for step in crate::MIGRATIONS.steps {
        let mut table = "";
        for line in step.sql.lines() {
            if let Some(rest) = line
                .strip_prefix("CREATE TABLE ")
                .or(line.strip_prefix("ALTER TABLE "))
            {
                table = rest.split([' ', '(']).next().unwrap_or_default();
            }
            let refers = |name: &str| line.contains(&format!("REFERENCES {name} "));
            if removed.iter().any(|name| refers(name)) {
                referring.insert(table);
            }
        }
    }
    let known: std::collections::BTreeSet<&str> = purge::REFERRING.iter().copied().collect();
    assert_eq!(
        referring, known,
        "clear the new table in purge.rs (remove_rows or erase_person) and name it in REFERRING"
    );
}
