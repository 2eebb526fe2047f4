//! How the archive does: what is wrong, since when, and how to mend it.
//!
//! Looked at every few seconds by housekeeping, which also gives the figures to `/metrics`; a page
//! that asks gets the last look at once.

use crate::Archive;
use crate::error::Result;
use crate::ids::UnixMicros;
use crate::params;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An index that answers later is busy.
const INDEX_SLOW: Duration = Duration::from_secs(2);
/// With less free space nothing more should be taken in.
const DISK_FREE_BYTES_MIN: u64 = 1 << 30;
/// With less free space, in percent, somebody should look.
const DISK_FREE_PERCENT_LOW: u64 = 10;
/// A job that is due so long finds no worker.
const JOB_DUE_MAX: Duration = Duration::from_secs(600);
/// Free-standing test of the index: written every time, read by nobody.
const PROBE: &str = "health_probe";

crate::statements! {
    mod sql {
        WRITE = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        READ = "SELECT value FROM setting WHERE name = $1";
        AUDIT_ROWS = "SELECT CAST(COALESCE(SUM(rows), 0) AS BIGINT) AS rows FROM audit_head";
        OPEN_PURGE = "SELECT id FROM purge_study WHERE files_gone_at IS NULL ORDER BY id LIMIT 1";
    }
}

/// How well a part does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// As it should be.
    Ok,
    /// It works; somebody should look.
    Warning,
    /// It does not work.
    Failing,
}

/// One part of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartHealth {
    /// `index`, `storage`, `disk`, `jobs`, `purge`.
    pub part: &'static str,
    /// How well it does.
    pub state: PartState,
    /// Since when it is in this state, as far as this process knows.
    pub since: UnixMicros,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

/// The last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// When.
    pub looked_at: UnixMicros,
    /// All parts.
    pub parts: Vec<PartHealth>,
}

impl Health {
    /// The worst state of all.
    pub fn state(&self) -> PartState {
        self.parts
            .iter()
            .map(|part| part.state)
            .max()
            .unwrap_or(PartState::Ok)
    }
}

/// What this process remembers of earlier looks.
#[derive(Default)]
pub(crate) struct HealthMemory {
    since: Mutex<HashMap<&'static str, (PartState, UnixMicros)>>,
    last: Mutex<Option<Health>>,
}

/// A finding before its time is known.
struct Finding {
    part: &'static str,
    state: PartState,
    problem: Option<String>,
    mend: Option<&'static str>,
}

fn ok(part: &'static str) -> Finding {
    Finding {
        part,
        state: PartState::Ok,
        problem: None,
        mend: None,
    }
}

fn bad(part: &'static str, state: PartState, problem: String, mend: &'static str) -> Finding {
    Finding {
        part,
        state,
        problem: Some(problem),
        mend: Some(mend),
    }
}

/// Free and whole space of the file system of a folder, in bytes.
#[cfg(unix)]
fn space(folder: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    let unit = stat.f_frsize;
    Some((
        stat.f_bavail.saturating_mul(unit),
        stat.f_blocks.saturating_mul(unit),
    ))
}

#[cfg(not(unix))]
fn space(_: &Path) -> Option<(u64, u64)> {
    None
}

impl Archive {
    /// The last look at all parts; looks now when it is older than `age_max`.
    pub async fn health(&self, age_max: Duration) -> Health {
        let last = self
            .health_memory()
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match last {
            Some(health) if UnixMicros::now().since(health.looked_at) <= age_max => health,
            _ => self.look().await,
        }
    }

    /// Looks at all parts now and gives the figures to `/metrics`.
    pub async fn look(&self) -> Health {
        let mut findings = vec![self.look_at_index().await, self.look_at_storage().await];
        findings.extend(self.look_at_disk());
        match self.look_at_work().await {
            Ok(more) => findings.extend(more),
            Err(error) => tracing::debug!(%error, "figures of the index are not to be had"),
        }
        let now = UnixMicros::now();
        let mut since = self
            .health_memory()
            .since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let parts = findings.into_iter().map(|finding| {
            let known = since.entry(finding.part).or_insert((finding.state, now));
            if known.0 != finding.state {
                *known = (finding.state, now);
            }
            metrics::gauge!("gongying_part_state", "part" => finding.part).set(match finding.state {
                PartState::Ok => 0.0,
                PartState::Warning => 1.0,
                PartState::Failing => 2.0,
            });
            PartHealth {
                part: finding.part,
                state: finding.state,
                since: known.1,
                problem: finding.problem,
                mend: finding.mend,
            }
        });
        let health = Health {
            looked_at: now,
            parts: parts.collect(),
        };
        drop(since);
        let mut last = self
            .health_memory()
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(health.clone());
        health
    }

    /// Writes and reads: an index that only answers questions takes nothing in.
    async fn look_at_index(&self) -> Finding {
        let begun = Instant::now();
        let value = UnixMicros::now().0.to_string();
        let written = value.clone();
        let write = self
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(sql::WRITE, params![PROBE, written]).await }));
        let done = write.await;
        let write_time = begun.elapsed();
        let begun = Instant::now();
        let read = self.db().fetch_optional(sql::READ, params![PROBE]).await;
        let read_time = begun.elapsed();
        metrics::histogram!("gongying_index_write_seconds").record(write_time.as_secs_f64());
        metrics::histogram!("gongying_index_read_seconds").record(read_time.as_secs_f64());
        if let Some(error) = done.err().or_else(|| read.err()) {
            let mend =
                "see that the database runs and its disk has room; objects are refused until it answers";
            return bad("index", PartState::Failing, error.to_string(), mend);
        }
        let slow = write_time.max(read_time);
        if slow > INDEX_SLOW {
            let problem = format!("it answers after {:.1} s", slow.as_secs_f64());
            let mend = "see what else loads its disk; put the index on a faster one";
            return bad("index", PartState::Warning, problem, mend);
        }
        ok("index")
    }

    async fn look_at_storage(&self) -> Finding {
        let archive = self.clone();
        let probe = tokio::task::spawn_blocking(move || {
            archive.store().begin().map(drop)?;
            archive.store().prove()
        });
        let probe = probe.await;
        match probe {
            Ok(Ok(())) => ok("storage"),
            Ok(Err(error)) => bad(
                "storage",
                PartState::Failing,
                error.to_string(),
                "see that the disk of the objects is mounted, writable and sound; then start the node again",
            ),
            Err(_) => bad(
                "storage",
                PartState::Failing,
                "the test of the storage ended abnormally".to_owned(),
                "see the log",
            ),
        }
    }

    fn look_at_disk(&self) -> Option<Finding> {
        let mut worst: Option<Finding> = None;
        let config = self.config();
        for (name, folder) in [("objects", &config.objects), ("data", &config.data_dir)] {
            let (free, size) = space(folder)?;
            metrics::gauge!("gongying_disk_free_bytes", "folder" => name).set(free as f64);
            metrics::gauge!("gongying_disk_size_bytes", "folder" => name).set(size as f64);
            let gib = free as f64 / (1_u64 << 30) as f64;
            let problem = || format!("{gib:.1} GiB are free on the disk of {name}");
            let finding = if free < DISK_FREE_BYTES_MIN {
                let mend = "free or add space now: objects are refused when it is used up";
                bad("disk", PartState::Failing, problem(), mend)
            } else if free < size / 100 * DISK_FREE_PERCENT_LOW {
                let mend = "plan more space, or see what gongying admin purge would remove";
                bad("disk", PartState::Warning, problem(), mend)
            } else {
                ok("disk")
            };
            if worst.as_ref().is_none_or(|known| known.state < finding.state) {
                worst = Some(finding);
            }
        }
        worst
    }

    async fn look_at_work(&self) -> Result<Vec<Finding>> {
        let state = self.work().state().await?;
        metrics::gauge!("gongying_jobs_waiting").set(state.waiting as f64);
        metrics::gauge!("gongying_jobs_running").set(state.running as f64);
        metrics::gauge!("gongying_jobs_dead").set(state.dead as f64);
        let age = state
            .oldest_due
            .map_or(Duration::ZERO, |at| UnixMicros::now().since(at));
        metrics::gauge!("gongying_jobs_oldest_due_seconds").set(age.as_secs_f64());
        let rows = self
            .db()
            .fetch_one(sql::AUDIT_ROWS, Vec::new())
            .await?
            .int("rows")?;
        metrics::gauge!("gongying_audit_rows").set(rows as f64);
        let jobs = if age > JOB_DUE_MAX {
            let problem = format!("the oldest job waits for {} min", age.as_secs() / 60);
            bad(
                "jobs",
                PartState::Warning,
                problem,
                "start a node with the role worker, or give it more slots",
            )
        } else if state.dead > 0 {
            let problem = format!("{} jobs stopped for good", state.dead);
            bad(
                "jobs",
                PartState::Warning,
                problem,
                "see the log of the worker for their reason",
            )
        } else {
            ok("jobs")
        };
        let open = self.db().fetch_optional(sql::OPEN_PURGE, Vec::new()).await?;
        let purge = match open {
            Some(_) => bad(
                "purge",
                PartState::Warning,
                "a removal of records was interrupted before its files were gone".to_owned(),
                "run gongying admin purge --execute again; it goes on there",
            ),
            None => ok("purge"),
        };
        Ok(vec![jobs, purge])
    }

    /// Gives to `/metrics` when each enrolled device was seen last, and what it did.
    pub(crate) async fn device_figures(&self) -> Result<()> {
        let activity = self.device_activity().await?;
        for device in self.devices().list().await? {
            if device.revoked_at.is_some() {
                continue;
            }
            let ae = device.ae_title;
            if let Some(seen) = device.last_seen_at {
                let seconds = seen.0 as f64 / 1e6;
                metrics::gauge!("gongying_device_last_seen_timestamp_seconds", "ae" => ae.clone())
                    .set(seconds);
            }
            let Some(did) = activity.get(&device.id) else {
                continue;
            };
            metrics::counter!("gongying_device_objects_total", "ae" => ae.clone()).absolute(did.stored);
            metrics::counter!("gongying_device_bytes_total", "ae" => ae.clone()).absolute(did.stored_bytes);
            metrics::counter!("gongying_device_refused_total", "ae" => ae).absolute(did.refused_total());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;
    use crate::work::NewJob;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sound_archive_says_so_and_a_broken_part_is_named() {
        let (archive, _folder) = temporary(&[]).await.unwrap();
        let health = archive.health(Duration::ZERO).await;
        let names: Vec<_> = health.parts.iter().map(|part| part.part).collect();
        assert_eq!(names, ["index", "storage", "disk", "jobs", "purge"]);
        let state = |health: &Health, name: &str| {
            let part = health.parts.iter().find(|part| part.part == name).unwrap();
            (
                part.state,
                part.since,
                part.problem.is_some() == part.mend.is_some(),
            )
        };
        assert_eq!(state(&health, "index").0, PartState::Ok);
        let mut job = NewJob::new("thumbnail", "1.2");
        job.run_at = UnixMicros::now().minus(JOB_DUE_MAX * 2);
        archive.work().enqueue_now(job).await.unwrap();
        let late = archive.look().await;
        assert_eq!(state(&late, "jobs").0, PartState::Warning);
        assert_eq!(
            state(&late, "index").1,
            state(&health, "index").1,
            "in this state since the first look"
        );
        assert!(late.parts.iter().all(|part| state(&late, part.part).2));
        let again = archive.look().await;
        assert_eq!(state(&again, "jobs").1, state(&late, "jobs").1);
        // Without its spool folder the storage takes nothing in.
        std::fs::remove_dir_all(archive.config().objects.join(".spool")).unwrap();
        let broken = archive.look().await;
        assert_eq!(
            (broken.state(), state(&broken, "storage").0),
            (PartState::Failing, PartState::Failing)
        );
        assert_eq!(
            archive.health(Duration::from_secs(60)).await,
            broken,
            "asked between two looks: the last one"
        );
    }
}
