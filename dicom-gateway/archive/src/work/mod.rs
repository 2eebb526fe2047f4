//! The work queue: one table, a lease and the attempt's number as fence.
//!
//! **Invariants:** a job enqueued in a transaction exists exactly when the transaction does. A
//! result is taken only from the attempt that holds the lease. A job that fails or whose worker
//! dies too often stops for good. A job whose worker died is tried again **alone**, so that one
//! that kills its process takes no innocent job with it.

mod claim;
mod maintain;
mod pace;
mod runner;
#[cfg(test)]
mod tests;

pub use claim::Claimed;
pub(crate) use pace::{Leave, Pace};
pub(crate) use runner::listen;
pub use runner::{Runner, RunnerOptions};

/// Every statement of the queue, for the conformance test.
#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] =
    &[sql::ALL, claim::sql::ALL, maintain::sql::ALL];
#[cfg(test)]
pub(crate) use claim::{claim_sql, sql_postgres as claim_postgres, sql_sqlite as claim_sqlite};

use crate::db::{Db, Dialect, Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{JobId, UnixMicros};
use crate::params;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Attempts of a job when nothing else is said.
pub const ATTEMPTS_DEFAULT: u32 = 5;
/// Longest subject.
const SUBJECT_BYTES_MAX: usize = 512;
/// Longest error text that is kept.
const ERROR_CHARACTERS_MAX: usize = 2000;
/// Wait after the first failure; doubled after each.
const BACKOFF_FIRST: Duration = Duration::from_millis(400);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// `job.state`.
pub(crate) mod state {
    pub(crate) const WAITING: i64 = 0;
    pub(crate) const RUNNING: i64 = 1;
    pub(crate) const DONE: i64 = 2;
    pub(crate) const DEAD: i64 = 3;
}

crate::statements! {
    mod sql {
        ENQUEUE = "INSERT INTO job (kind, subject, priority, run_at, state, attempt, failures, crashes, max_attempts, created_at) SELECT $1, $2, $3, $4, 0, 0, 0, 0, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM job WHERE kind = $1 AND subject = $2 AND state = 0)";
        HURRY = "UPDATE job SET run_at = CASE WHEN run_at < $3 THEN run_at ELSE $3 END, priority = CASE WHEN priority > $4 THEN priority ELSE $4 END WHERE kind = $1 AND subject = $2 AND state = 0";
        COMPLETE = "UPDATE job SET state = 2, finished_at = $3, lease_until = NULL, error = NULL WHERE id = $1 AND attempt = $2 AND state = 1";
        RETRY = "UPDATE job SET state = 0, failures = failures + 1, run_at = $3, lease_until = NULL, worker = NULL, error = $4 WHERE id = $1 AND attempt = $2 AND state = 1";
        BURY = "UPDATE job SET state = 3, failures = failures + 1, finished_at = $3, lease_until = NULL, error = $4 WHERE id = $1 AND attempt = $2 AND state = 1";
        GIVE_BACK = "UPDATE job SET state = 0, lease_until = NULL, worker = NULL WHERE id = $1 AND attempt = $2 AND state = 1";
        RENEW = "UPDATE job SET lease_until = $3 WHERE id = $1 AND attempt = $2 AND state = 1";
        GET = "SELECT id, kind, subject, priority, run_at, state, attempt, failures, crashes, max_attempts, error FROM job WHERE id = $1";
        DEAD = "SELECT id, kind, subject, priority, run_at, state, attempt, failures, crashes, max_attempts, error FROM job WHERE finished_at IS NOT NULL AND state = 3 ORDER BY finished_at DESC LIMIT $1";
        REVIVE = "UPDATE job SET state = 0, failures = 0, crashes = 0, run_at = $2, finished_at = NULL, error = NULL WHERE id = $1 AND state = 3";
    }
}
crate::statements! {
    mod sql_postgres {
        NOTIFY = "SELECT pg_notify('gongying_job', '')";
    }
}

/// Work to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Which worker function.
    pub kind: String,
    /// Identifier it is about (a UID or key); data stay in the archive.
    pub subject: String,
    /// Greater is sooner.
    pub priority: i64,
    /// Not before.
    pub run_at: UnixMicros,
    /// Failures, and deaths of its worker, after which it stops for good.
    pub max_attempts: u32,
}

impl NewJob {
    /// A job of ordinary priority, due now.
    pub fn new(kind: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            subject: subject.into(),
            priority: 0,
            run_at: UnixMicros::now(),
            max_attempts: ATTEMPTS_DEFAULT,
        }
    }

    /// Sets the priority.
    pub fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// Due only after a while.
    pub fn after(mut self, wait: Duration) -> Self {
        self.run_at = UnixMicros::now().plus(wait);
        self
    }

    /// Sets the number of attempts.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }
}

/// A job that this process holds the lease of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Row.
    pub id: JobId,
    /// Which worker function.
    pub kind: String,
    /// Identifier it is about.
    pub subject: String,
    /// Number of this attempt, from 1: the fence.
    pub attempt: i64,
    /// Times that it failed.
    pub failures: i64,
    /// Times that its worker died.
    pub crashes: i64,
    /// When it stops for good.
    pub max_attempts: i64,
    /// Greater is sooner.
    pub priority: i64,
    /// When it was due.
    pub run_at: UnixMicros,
}

impl Job {
    /// Whether a worker died over it: it runs alone.
    pub fn is_suspect(&self) -> bool {
        self.crashes > 0
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waiting.
    Waiting,
    /// Running.
    Running,
    /// Done.
    Done,
    /// Stopped for good.
    Dead,
}

/// A job as the queue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    /// The job.
    pub job: Job,
    /// Where it stands.
    pub state: JobState,
    /// Last error.
    pub error: Option<String>,
}

/// How the queue does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Jobs waiting.
    pub waiting: i64,
    /// Jobs running.
    pub running: i64,
    /// Jobs stopped for good.
    pub dead: i64,
    /// When the oldest waiting job that is due was due.
    pub oldest_due: Option<UnixMicros>,
}

pub(crate) fn read(row: &Row) -> Result<Job> {
    Ok(Job {
        id: JobId(row.int("id")?),
        kind: row.text("kind")?,
        subject: row.text("subject")?,
        attempt: row.int("attempt")?,
        failures: row.int("failures")?,
        crashes: row.int("crashes")?,
        max_attempts: row.int("max_attempts")?,
        priority: row.int("priority")?,
        run_at: row.micros("run_at")?,
    })
}

fn read_info(row: &Row) -> Result<JobInfo> {
    let state = match row.int("state")? {
        state::WAITING => JobState::Waiting,
        state::RUNNING => JobState::Running,
        state::DONE => JobState::Done,
        state::DEAD => JobState::Dead,
        other => return Err(ArchiveError::Corrupt(format!("job state {other}"))),
    };
    Ok(JobInfo {
        job: read(row)?,
        state,
        error: row.opt_text("error")?,
    })
}

/// How long to wait after the `failures`-th failure.
fn backoff(failures: i64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 20)).unwrap_or(0);
    BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX)
}

/// The work queue of an archive.
#[derive(Clone)]
pub struct Work {
    pub(crate) db: Db,
    pub(crate) wake: Arc<Notify>,
    pub(crate) pace: Arc<Pace>,
}

impl Work {
    /// Adds a job inside the caller's transaction. One that waits for the same subject already is
    /// enough; it is hurried when the new one is sooner or more urgent.
    ///
    /// # Errors
    /// What the index says.
    pub async fn enqueue(&self, tx: &mut Tx, job: NewJob) -> Result<()> {
        if job.kind.is_empty() || job.subject.len() > SUBJECT_BYTES_MAX {
            return Err(ArchiveError::invalid(
                "job",
                "give a kind and a subject of at most 512 bytes",
            ));
        }
        let values = params![
            &job.kind,
            &job.subject,
            job.priority,
            job.run_at,
            job.max_attempts,
            UnixMicros::now()
        ];
        if tx.execute(sql::ENQUEUE, values).await? == 0 {
            let values = params![&job.kind, &job.subject, job.run_at, job.priority];
            tx.execute(sql::HURRY, values).await?;
        }
        if tx.dialect() == Dialect::Postgres {
            tx.fetch_one(sql_postgres::NOTIFY, Vec::new()).await?;
        }
        let wake = self.wake.clone();
        tx.on_commit(move || wake.notify_waiters());
        Ok(())
    }

    /// Adds a job in a transaction of its own.
    ///
    /// # Errors
    /// What the index says.
    pub async fn enqueue_now(&self, job: NewJob) -> Result<()> {
        let work = self.clone();
        self.db
            .write(move |tx| Box::pin(async move { work.enqueue(tx, job).await }))
            .await
    }

    /// Takes the results of finished attempts together. Gives for each whether it still held its
    /// lease; a result without a lease is dropped.
    ///
    /// # Errors
    /// What the index says; nothing is taken then and the call may be repeated.
    pub async fn settle(&self, mut ended: Vec<(Job, Result<(), String>)>) -> Result<Vec<bool>> {
        // One order of rows in all transactions, so that they cannot wait for each other in a ring.
        ended.sort_by_key(|(job, _)| job.id);
        let done = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let mut held = Vec::with_capacity(ended.len());
                    for (job, result) in ended {
                        held.push(settle_one(tx, &job, result).await? == 1);
                    }
                    Ok::<_, ArchiveError>(held)
                })
            })
            .await?;
        self.wake.notify_waiters();
        Ok(done)
    }

    /// Takes the result of one attempt; `false` when its lease was lost.
    ///
    /// # Errors
    /// What the index says.
    pub async fn complete(&self, job: &Job) -> Result<bool> {
        let held = self.settle(vec![(job.clone(), Ok(()))]).await?;
        Ok(held.first().copied().unwrap_or(false))
    }

    /// Notes a failed attempt: tried again after a while, or stopped for good.
    ///
    /// # Errors
    /// What the index says.
    pub async fn fail(&self, job: &Job, error: &str) -> Result<bool> {
        let held = self.settle(vec![(job.clone(), Err(error.to_owned()))]).await?;
        Ok(held.first().copied().unwrap_or(false))
    }

    /// Lengthens leases; gives the ids of those that were lost.
    ///
    /// # Errors
    /// What the index says.
    pub async fn renew(&self, mut held: Vec<(JobId, i64)>, lease: Duration) -> Result<Vec<JobId>> {
        held.sort();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let until = UnixMicros::now().plus(lease);
                    let mut lost = Vec::new();
                    for (id, attempt) in held {
                        if tx.execute(sql::RENEW, params![id, attempt, until]).await? == 0 {
                            lost.push(id);
                        }
                    }
                    Ok(lost)
                })
            })
            .await
    }

    /// Puts jobs back unharmed, at an orderly end.
    ///
    /// # Errors
    /// What the index says.
    pub async fn give_back(&self, mut held: Vec<(JobId, i64)>) -> Result<()> {
        held.sort();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    for (id, attempt) in held {
                        tx.execute(sql::GIVE_BACK, params![id, attempt]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// A job by row.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn get(&self, id: JobId) -> Result<JobInfo> {
        let row = self.db.fetch_optional(sql::GET, params![id]).await?;
        read_info(&row.ok_or_else(|| ArchiveError::NotFound(format!("job {id}")))?)
    }

    /// Jobs that stopped for good, newest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn dead(&self, limit: u32) -> Result<Vec<JobInfo>> {
        let rows = self.db.fetch_all(sql::DEAD, params![limit.min(1000)]).await?;
        rows.iter().map(read_info).collect()
    }

    /// Lets a job that stopped for good begin again.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn revive(&self, id: JobId) -> Result<()> {
        let values = params![id, UnixMicros::now()];
        let done = self
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql::REVIVE, values).await }))
            .await?;
        self.wake.notify_waiters();
        if done == 0 {
            return Err(ArchiveError::NotFound(format!("dead job {id}")));
        }
        Ok(())
    }
}

async fn settle_one(tx: &mut Tx, job: &Job, result: Result<(), String>) -> Result<u64> {
    let now = UnixMicros::now();
    let Err(error) = result else {
        return tx.execute(sql::COMPLETE, params![job.id, job.attempt, now]).await;
    };
    let error: String = error.chars().take(ERROR_CHARACTERS_MAX).collect();
    let failures = job.failures + 1;
    if failures >= job.max_attempts {
        return tx
            .execute(sql::BURY, params![job.id, job.attempt, now, error])
            .await;
    }
    let run_at = now.plus(backoff(failures));
    tx.execute(sql::RETRY, params![job.id, job.attempt, run_at, error])
        .await
}
