//! Removing what has ended: tombstone and list of files, rows, files, word that they are gone.

use super::hold::is_held;
use super::plan::{PersonRows, admitted};
use super::{PersonPlan, Retention, Rules, StudyPlan, Verdict, today};
use crate::Archive;
use crate::audit::{AuditAction, AuditEntry, event};
use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::UnixMicros;
use crate::params;
use crate::store::{ObjectKey, ObjectStore};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Files removed between two words to the index.
const FILES_AT_ONCE: i64 = 500;
/// Days as the index keeps them.
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// A clock so far ahead of the newest audit row is more likely wrong than right.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(400 * 86_400);

crate::statements! {
    mod sql {
        NEWEST = "SELECT MAX(at) AS at FROM audit_event";
        RUN = "INSERT INTO purge_run (started_at, decided_by, approved_by, rules, rules_digest) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        OPEN_RUNS = "SELECT id FROM purge_run WHERE finished_at IS NULL ORDER BY id";
        COUNTS = "SELECT COUNT(*) AS instances, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS size FROM instance WHERE study_id = $1";
        SERIES_COUNT = "SELECT COUNT(*) AS series FROM series WHERE study_id = $1";
        TOMBSTONE = "INSERT INTO purge_study (run_id, study_uid, institution, patient_id, study_date, class, last_visit, kept_until, series_count, instance_count, size_bytes, removed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id";
        FILES_OBJECT = "INSERT INTO purge_file (object_key, purge_study_id, kind, subject, digest, size_bytes) SELECT i.object_key, $2, 'object', i.sop_instance_uid, i.dataset_digest, i.size_bytes FROM instance i WHERE i.study_id = $1";
        FILES_DERIVED = "INSERT INTO purge_file (object_key, purge_study_id, kind, subject, digest, size_bytes) SELECT d.object_key, $3, 'derived', d.subject, d.digest, d.size_bytes FROM derived d WHERE d.object_key IS NOT NULL AND d.subject IN (SELECT $2 UNION SELECT se.series_uid FROM series se WHERE se.study_id = $1 UNION SELECT i.sop_instance_uid FROM instance i WHERE i.study_id = $1)";
        FILES_QUARANTINE = "INSERT INTO purge_file (object_key, purge_study_id, kind, subject, digest, size_bytes) SELECT q.object_key, $2, 'quarantine', q.sop_instance_uid, q.dataset_digest, q.size_bytes FROM quarantine q WHERE q.study_uid = $1 AND q.object_key IS NOT NULL";
        DEL_DERIVED = "DELETE FROM derived WHERE subject IN (SELECT $2 UNION SELECT se.series_uid FROM series se WHERE se.study_id = $1 UNION SELECT i.sop_instance_uid FROM instance i WHERE i.study_id = $1)";
        DEL_DAMAGED = "DELETE FROM damaged_object WHERE object_key IN (SELECT i.object_key FROM instance i WHERE i.study_id = $1)";
        DEL_FORWARDED = "DELETE FROM study_forwarded WHERE study_id = $1";
        DEL_QUARANTINE = "DELETE FROM quarantine WHERE study_uid = $1";
        DEL_MANIFEST = "DELETE FROM edge_manifest WHERE study_uid = $1";
        DEL_DETAIL = "DELETE FROM instance_detail WHERE instance_id IN (SELECT id FROM instance WHERE study_id = $1)";
        DEL_INSTANCE = "DELETE FROM instance WHERE study_id = $1";
        DEL_SERIES = "DELETE FROM series WHERE study_id = $1";
        DEL_STUDY = "DELETE FROM study WHERE id = $1";
        OPEN_STUDIES = "SELECT id FROM purge_study WHERE files_gone_at IS NULL AND id > $1 ORDER BY id LIMIT 1";
        OPEN_FILES = "SELECT object_key FROM purge_file WHERE purge_study_id = $1 AND removed_at IS NULL ORDER BY object_key LIMIT $2";
        FILE_GONE = "UPDATE purge_file SET removed_at = $2 WHERE object_key = $1";
        FILES_GONE = "UPDATE purge_study SET files_gone_at = $2 WHERE id = $1";
        IS_PURGED = "SELECT purge_study_id FROM purge_file WHERE object_key = $1";
        LEFT_OVER = "SELECT p.person_id, MAX(t.last_visit) AS last_visit, MAX(r.decided_by) AS decided_by FROM purge_study t JOIN purge_run r ON r.id = t.run_id JOIN patient p ON p.id = t.patient_id WHERE t.run_id = $1 AND p.person_id > $2 AND NOT EXISTS (SELECT 1 FROM patient q JOIN study s ON s.patient_id = q.id WHERE q.person_id = p.person_id) GROUP BY p.person_id ORDER BY p.person_id LIMIT 1";
        DEL_STEPS = "DELETE FROM performed_step WHERE order_id IN (SELECT o.id FROM patient p JOIN exam_order o ON o.patient_id = p.id WHERE p.person_id = $1)";
        DEL_ORDERS = "DELETE FROM exam_order WHERE patient_id IN (SELECT id FROM patient WHERE person_id = $1)";
        DEL_TERMS = "DELETE FROM patient_term WHERE patient_id IN (SELECT id FROM patient WHERE person_id = $1)";
        DEL_LINKS = "DELETE FROM person_link WHERE patient_id IN (SELECT id FROM patient WHERE person_id = $1)";
        DEL_PATIENTS = "DELETE FROM patient WHERE person_id = $1";
        DEL_PERSON = "DELETE FROM person WHERE id = $1";
    }
}

/// Tables whose rows refer to what a purge removes; a test finds one that is missing here, because
/// the database would refuse the removal.
#[cfg(test)]
pub(super) const REFERRING: &[&str] = &[
    "exam_order",
    "instance",
    "instance_detail",
    "patient",
    "patient_term",
    "performed_step",
    "person_link",
    "series",
    "study",
    "study_forwarded",
];

/// Removes what other parts of the program keep of a study, in the same transaction.
pub type ExtraRows = for<'a> fn(&'a mut Tx, &'a str) -> BoxFuture<'a, Result<()>>;

/// Who wants what removed.
#[derive(Clone)]
pub struct PurgeOrder {
    /// How long records are kept.
    pub rules: Rules,
    /// Who decided.
    pub decided_by: String,
    /// A second person who agreed.
    pub approved_by: String,
    /// Persons whose records are removed at most in this run.
    pub persons_max: u64,
    /// Rows of other parts of the program.
    pub extra: Option<ExtraRows>,
}

/// What a run removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// Row of the run.
    pub run_id: i64,
    /// Persons of whom nothing is left.
    pub persons: u64,
    /// Studies.
    pub studies: u64,
    /// Files.
    pub files: u64,
    /// Files of an earlier run that was interrupted.
    pub resumed_files: u64,
    /// Persons who were spared at the last moment: a visit, a hold or an object came.
    pub spared: u64,
}

/// Whether this file has a tombstone: it never comes back into the index.
pub(crate) async fn is_purged(archive: &Archive, key: &ObjectKey) -> Result<bool> {
    let row = archive
        .db()
        .fetch_optional(sql::IS_PURGED, params![key.as_str()])
        .await?;
    Ok(row.is_some())
}

impl PurgeOrder {
    fn check(&self) -> Result<()> {
        let (one, two) = (self.decided_by.trim(), self.approved_by.trim());
        if one.is_empty() || two.is_empty() || one == two {
            return Err(ArchiveError::invalid(
                "approval",
                "two different persons must decide: one orders, another approves",
            ));
        }
        Ok(())
    }
}

impl Retention {
    /// Removes the records whose time has ended. `each` hears of every study that went. Goes on
    /// first with what an interrupted run left.
    ///
    /// # Errors
    /// Without two persons, with a clock that is far ahead, and what index or store say; what was
    /// begun then is ended by the next run.
    pub async fn purge(
        &self,
        order: PurgeOrder,
        mut each: impl FnMut(&PersonPlan, &StudyPlan) + Send,
    ) -> Result<PurgeReport> {
        order.check()?;
        self.check_clock().await?;
        let mut report = PurgeReport {
            resumed_files: self.resume().await?,
            ..PurgeReport::default()
        };
        report.run_id = self.begin(&order).await?;
        let order = Arc::new(order);
        let mut after = 0;
        'pages: while let Some((plans, last)) = self.plan_page(&order.rules, today(), after).await? {
            after = last;
            for plan in plans {
                if plan.verdict != Verdict::Ended {
                    continue;
                }
                if report.persons + report.spared >= order.persons_max {
                    break 'pages;
                }
                self.purge_person(&order, &plan, &mut report, &mut each).await?;
            }
        }
        Ok(report)
    }

    /// Ends the removal of files that an interrupted run left; gives how many.
    ///
    /// # Errors
    /// What index or store say.
    pub async fn resume(&self) -> Result<u64> {
        let (mut after, mut files) = (0, 0);
        loop {
            let open = self
                .archive
                .db()
                .fetch_optional(sql::OPEN_STUDIES, params![after])
                .await?;
            let Some(row) = open else { break };
            after = row.int("id")?;
            files += self.remove_files(after).await?;
        }
        self.erase_left_over().await?;
        Ok(files)
    }

    /// Runs that have no certificate yet.
    ///
    /// # Errors
    /// What the index says.
    pub async fn open_runs(&self) -> Result<Vec<i64>> {
        let rows = self.archive.db().fetch_all(sql::OPEN_RUNS, Vec::new()).await?;
        rows.iter().map(|row| row.int("id")).collect()
    }

    async fn check_clock(&self) -> Result<()> {
        let row = self.archive.db().fetch_one(sql::NEWEST, Vec::new()).await?;
        let Some(newest) = row.opt_micros("at")? else {
            return Ok(());
        };
        if UnixMicros::now().since(newest) > CLOCK_AHEAD_MAX {
            return Err(ArchiveError::invalid(
                "system clock",
                format!(
                    "it says {}, but the newest audit row is of {}; set the clock right, or use the node once if it is right",
                    today(),
                    super::day_of(newest)
                ),
            ));
        }
        Ok(())
    }

    async fn begin(&self, order: &PurgeOrder) -> Result<i64> {
        let (decided, approved) = (order.decided_by.clone(), order.approved_by.clone());
        let (rules, digest) = (order.rules.text().to_owned(), order.rules.digest());
        let begun = self.archive.db().write(move |tx| {
            Box::pin(async move {
                let values = params![UnixMicros::now(), &decided, &approved, &rules, digest];
                let id = tx.fetch_one(sql::RUN, values).await?.int("id")?;
                tx.audit(
                    AuditEntry::new(event::APPLICATION_ACTIVITY, AuditAction::Execute, &decided)
                        .role("operator")
                        .detail(format!("purge {id} approved by {approved}")),
                );
                Ok(id)
            })
        });
        begun.await
    }

    async fn purge_person(
        &self,
        order: &Arc<PurgeOrder>,
        plan: &PersonPlan,
        report: &mut PurgeReport,
        each: &mut (impl FnMut(&PersonPlan, &StudyPlan) + Send),
    ) -> Result<()> {
        let mut left = false;
        for study in &plan.studies {
            if study.held_by.is_some() {
                left = true;
                continue;
            }
            match self.remove_rows(order, report.run_id, plan, study).await? {
                Some(tombstone) => {
                    report.files += self.remove_files(tombstone).await?;
                    report.studies += 1;
                    each(plan, study);
                }
                None => {
                    report.spared += 1;
                    return Ok(());
                }
            }
        }
        if left {
            return Ok(());
        }
        let one = LastRows {
            person_id: plan.person_id,
            last_visit: plan.last_visit,
            by: order.decided_by.clone(),
        };
        if self.erase_person(one).await? {
            report.persons += 1;
        } else {
            report.spared += 1;
        }
        Ok(())
    }

    /// Looks again and removes the rows of a study; gives its tombstone, `None` when it must stay.
    async fn remove_rows(
        &self,
        order: &Arc<PurgeOrder>,
        run_id: i64,
        plan: &PersonPlan,
        study: &StudyPlan,
    ) -> Result<Option<i64>> {
        let admitted = admitted(self.archive.db(), plan).await?;
        let (order, plan, study) = (order.clone(), plan.clone(), study.clone());
        let removed = self.archive.db().write(move |tx| {
            Box::pin(async move {
                if !may_go(tx, &order.rules, &plan, &study, &admitted).await? {
                    return Ok(None);
                }
                let tombstone = tombstone(tx, run_id, &plan, &study).await?;
                let (id, uid) = (study.study_id, study.study_uid.as_str());
                tx.execute(sql::FILES_OBJECT, params![id, tombstone]).await?;
                tx.execute(sql::FILES_DERIVED, params![id, uid, tombstone])
                    .await?;
                tx.execute(sql::FILES_QUARANTINE, params![uid, tombstone]).await?;
                if let Some(extra) = order.extra {
                    extra(tx, uid).await?;
                }
                tx.execute(sql::DEL_DERIVED, params![id, uid]).await?;
                tx.execute(sql::DEL_QUARANTINE, params![uid]).await?;
                tx.execute(sql::DEL_MANIFEST, params![uid]).await?;
                for text in [
                    sql::DEL_FORWARDED,
                    sql::DEL_DAMAGED,
                    sql::DEL_DETAIL,
                    sql::DEL_INSTANCE,
                    sql::DEL_SERIES,
                    sql::DEL_STUDY,
                ] {
                    tx.execute(text, params![id]).await?;
                }
                tx.audit(
                    AuditEntry::new(event::STUDY_DELETED, AuditAction::Delete, &order.decided_by)
                        .role("operator")
                        .institution(&study.institution)
                        .study(uid)
                        .patient(study.patient_id.to_string())
                        .detail(format!("purge {run_id}: kept until {}", plan.kept_until)),
                );
                Ok(Some(tombstone))
            })
        });
        removed.await
    }

    /// Removes the files of a tombstone and says so; gives how many.
    async fn remove_files(&self, tombstone: i64) -> Result<u64> {
        let mut removed = 0;
        loop {
            let values = params![tombstone, FILES_AT_ONCE];
            let page = self.archive.db().fetch_all(sql::OPEN_FILES, values).await?;
            let keys = page.iter().map(key_of).collect::<Result<Vec<_>>>()?;
            let is_last = (keys.len() as i64) < FILES_AT_ONCE;
            removed += keys.len() as u64;
            let store = self.archive.store().clone();
            let gone = tokio::task::spawn_blocking(move || remove(&store, keys)).await;
            let keys = gone.map_err(|_| ArchiveError::Closed)??;
            let said = self.archive.db().write(move |tx| {
                Box::pin(async move {
                    let now = UnixMicros::now();
                    for key in &keys {
                        tx.execute(sql::FILE_GONE, params![key.as_str(), now]).await?;
                    }
                    if is_last {
                        tx.execute(sql::FILES_GONE, params![tombstone, now]).await?;
                    }
                    Ok::<_, ArchiveError>(())
                })
            });
            said.await?;
            if is_last {
                return Ok(removed);
            }
        }
    }

    /// Removes the rows of a person of whom no study is left and nothing newer than the last visit.
    async fn erase_person(&self, one: LastRows) -> Result<bool> {
        let erased = self.archive.db().write(move |tx| {
            Box::pin(async move {
                let id = one.person_id;
                let rows = PersonRows::read_in(tx, id).await?;
                let patients = rows.patients_of(id);
                if is_held(tx, id, None).await? || !rows.is_past(id, one.last_visit) {
                    return Ok(false);
                }
                for text in [
                    sql::DEL_STEPS,
                    sql::DEL_ORDERS,
                    sql::DEL_TERMS,
                    sql::DEL_LINKS,
                    sql::DEL_PATIENTS,
                    sql::DEL_PERSON,
                ] {
                    tx.execute(text, params![id]).await?;
                }
                for patient in patients {
                    tx.audit(
                        AuditEntry::new(event::PATIENT_RECORD, AuditAction::Delete, &one.by)
                            .role("operator")
                            .patient(patient.to_string())
                            .detail("purge: nothing is left of this patient"),
                    );
                }
                Ok(true)
            })
        });
        erased.await
    }

    /// Persons whose studies went in runs that were interrupted before their last rows.
    async fn erase_left_over(&self) -> Result<()> {
        for run in self.open_runs().await? {
            let mut after = 0;
            loop {
                let values = params![run, after];
                let row = self.archive.db().fetch_optional(sql::LEFT_OVER, values).await?;
                let Some(row) = row else { break };
                after = row.int("person_id")?;
                let last_visit = row.text("last_visit")?;
                let one = LastRows {
                    person_id: after,
                    last_visit: Date::parse(&last_visit, DAY)
                        .map_err(|error| ArchiveError::Corrupt(format!("{last_visit}: {error}")))?,
                    by: row.text("decided_by")?,
                };
                self.erase_person(one).await?;
            }
        }
        Ok(())
    }
}

/// A person of whom nothing should be left.
struct LastRows {
    person_id: i64,
    last_visit: Date,
    by: String,
}

fn key_of(row: &Row) -> Result<ObjectKey> {
    ObjectKey::parse(&row.text("object_key")?)
}

/// Whether nothing came since the plan was made: looked at inside the transaction that removes.
async fn may_go(
    tx: &mut Tx,
    rules: &Rules,
    plan: &PersonPlan,
    study: &StudyPlan,
    admitted: &BTreeSet<i64>,
) -> Result<bool> {
    if is_held(tx, plan.person_id, Some(&study.study_uid)).await? {
        return Ok(false);
    }
    let rows = PersonRows::read_in(tx, plan.person_id).await?;
    let now = rows.judge(rules, &[], today(), admitted).pop();
    // Studies of the same run that went before leave an earlier last visit, never a later one.
    Ok(now.is_some_and(|now| {
        now.verdict == Verdict::Ended
            && now.last_visit <= plan.last_visit
            && now.studies.iter().any(|s| s.study_id == study.study_id)
    }))
}

async fn tombstone(tx: &mut Tx, run_id: i64, plan: &PersonPlan, study: &StudyPlan) -> Result<i64> {
    let id = study.study_id;
    let counts = tx.fetch_one(sql::COUNTS, params![id]).await?;
    let series = tx
        .fetch_one(sql::SERIES_COUNT, params![id])
        .await?
        .int("series")?;
    let values = params![
        run_id,
        &study.study_uid,
        &study.institution,
        study.patient_id,
        study.day.to_string(),
        &plan.class,
        plan.last_visit.to_string(),
        plan.kept_until.to_string(),
        series,
        counts.int("instances")?,
        counts.int("size")?,
        UnixMicros::now()
    ];
    tx.fetch_one(sql::TOMBSTONE, values).await?.int("id")
}

/// Removes files so that a power cut does not bring them back; proves that they are gone.
fn remove(store: &ObjectStore, keys: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for key in &keys {
        store.remove(key)?;
        folders.extend(store.root().join(key.as_str()).parent().map(PathBuf::from));
    }
    for folder in folders {
        // Objects on another medium have no folder here.
        if folder.is_dir() {
            std::fs::File::open(&folder)
                .and_then(|dir| dir.sync_all())
                .map_err(|error| ArchiveError::io("flush", &folder, error))?;
        }
    }
    for key in &keys {
        if store.open_object(key).is_ok() {
            return Err(ArchiveError::Corrupt(format!(
                "{} is still there after its removal",
                key.as_str()
            )));
        }
    }
    Ok(keys)
}
