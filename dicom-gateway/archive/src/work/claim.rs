//! Taking jobs: the only statements that differ between the two databases.

use super::{Job, Work, read};
use crate::db::{Dialect, Tx, Value};
use crate::error::{ArchiveError, Result};
use crate::ids::UnixMicros;
use crate::params;
use std::time::Duration;

/// Kinds that one worker serves at most.
const KINDS_MAX: usize = 32;
/// Jobs taken at once at most.
const CLAIM_MAX: usize = 256;

crate::statements! {
    mod sql {
        ANY_DUE = "SELECT crashes FROM job WHERE state = 0 AND run_at <= $1 LIMIT 1";
        ANY_EXPIRED = "SELECT id FROM job WHERE state = 1 AND lease_until < $1 LIMIT 1";
        ANY_SUSPECT = "SELECT id FROM job WHERE state = 0 AND crashes > 0 AND run_at <= $1 LIMIT 1";
        NEXT_DUE = "SELECT MIN(run_at) AS at FROM job WHERE state = 0";
        NEXT_EXPIRY = "SELECT MIN(lease_until) AS at FROM job WHERE state = 1";
        BURY_CRASHED = "UPDATE job SET state = 3, crashes = crashes + 1, finished_at = $2, lease_until = NULL, error = 'the worker died while it ran' WHERE id = $1 AND state = 1";
        // run_at stays: an orphan keeps its place before the backlog.
        ORPHAN = "UPDATE job SET state = 0, crashes = crashes + 1, lease_until = NULL, worker = NULL WHERE id = $1 AND state = 1";
    }
}
crate::statements! {
    mod sql_sqlite {
        EXPIRED = "SELECT id, crashes, max_attempts FROM job WHERE state = 1 AND lease_until < $1 ORDER BY lease_until, id LIMIT 256";
    }
}
crate::statements! {
    mod sql_postgres {
        EXPIRED = "SELECT id, crashes, max_attempts FROM job WHERE state = 1 AND lease_until < $1 ORDER BY lease_until, id LIMIT 256 FOR UPDATE SKIP LOCKED";
    }
}

/// What a worker got.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Jobs whose lease this worker holds now.
    pub jobs: Vec<Job>,
    /// A job whose worker died waits for a worker that has nothing else to do: take no more jobs
    /// until idle, then ask again.
    pub drain: bool,
}

/// The claim for one database, one number of kinds.
pub(crate) fn claim_sql(dialect: Dialect, kinds: usize, suspects: bool) -> String {
    let marks: Vec<String> = (0..kinds).map(|n| format!("${}", n + 6)).collect();
    let crashes = if suspects { "crashes > 0" } else { "crashes = 0" };
    let due = format!(
        "SELECT id FROM job WHERE state = 0 AND {crashes} AND run_at <= $1 AND kind IN ({}) ORDER BY priority DESC, run_at, id LIMIT $2",
        marks.join(", ")
    );
    let which = match dialect {
        Dialect::Sqlite => format!("id IN ({due})"),
        Dialect::Postgres => format!("id = ANY(ARRAY({due} FOR UPDATE SKIP LOCKED))"),
    };
    format!(
        "UPDATE job SET state = 1, attempt = attempt + 1, lease_until = $3, worker = $4 WHERE {which} AND state = $5 \
         RETURNING id, kind, subject, priority, run_at, attempt, failures, crashes, max_attempts"
    )
}

impl Work {
    /// Takes at most `free_slots` due jobs of these kinds. `busy` says that the worker runs other
    /// jobs: then it gets none whose worker died before.
    ///
    /// # Errors
    /// What the index says.
    pub async fn claim(
        &self,
        worker: &str,
        kinds: &[&str],
        free_slots: usize,
        busy: bool,
        lease: Duration,
    ) -> Result<Claimed> {
        if kinds.is_empty() || kinds.len() > KINDS_MAX {
            return Err(ArchiveError::invalid("job kinds", "name 1 to 32 kinds"));
        }
        let now = UnixMicros::now();
        // Looking costs no write transaction; nearly always there is nothing.
        let due = self.db.fetch_optional(sql::ANY_DUE, params![now]).await?;
        let expired = self.db.fetch_optional(sql::ANY_EXPIRED, params![now]).await?;
        if free_slots == 0 || (due.is_none() && expired.is_none()) {
            return Ok(Claimed::default());
        }
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let worker = worker.to_owned();
        let slots = free_slots.min(CLAIM_MAX);
        self.db
            .write(move |tx| Box::pin(async move { claim_in(tx, worker, kinds, slots, busy, lease).await }))
            .await
    }

    /// When there may be something to do next, without news.
    ///
    /// # Errors
    /// What the index says.
    pub async fn next_due(&self) -> Result<Option<UnixMicros>> {
        let due = self
            .db
            .fetch_one(sql::NEXT_DUE, Vec::new())
            .await?
            .opt_micros("at")?;
        let expiry = self
            .db
            .fetch_one(sql::NEXT_EXPIRY, Vec::new())
            .await?
            .opt_micros("at")?;
        Ok(due.into_iter().chain(expiry).min())
    }
}

async fn claim_in(
    tx: &mut Tx,
    worker: String,
    kinds: Vec<String>,
    slots: usize,
    busy: bool,
    lease: Duration,
) -> Result<Claimed> {
    let now = UnixMicros::now();
    reclaim(tx, now).await?;
    let take = |count: usize| -> Vec<Value> {
        let mut values = params![now, count, now.plus(lease), &worker, super::state::WAITING];
        values.extend(kinds.iter().map(Value::from));
        values
    };
    let mut claimed = Claimed::default();
    if tx.fetch_optional(sql::ANY_SUSPECT, params![now]).await?.is_some() {
        if busy {
            claimed.drain = true;
            return Ok(claimed);
        }
        let text = claim_sql(tx.dialect(), kinds.len(), true);
        claimed.jobs = read_sorted(tx.fetch_dynamic(text, take(1)).await?)?;
        if !claimed.jobs.is_empty() {
            claimed.drain = true;
            return Ok(claimed);
        }
    }
    let text = claim_sql(tx.dialect(), kinds.len(), false);
    claimed.jobs = read_sorted(tx.fetch_dynamic(text, take(slots)).await?)?;
    Ok(claimed)
}

/// RETURNING promises no order.
fn read_sorted(rows: Vec<crate::db::Row>) -> Result<Vec<Job>> {
    let mut jobs = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    jobs.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.run_at, job.id));
    Ok(jobs)
}

/// Takes back jobs whose worker did not renew its lease.
async fn reclaim(tx: &mut Tx, now: UnixMicros) -> Result<()> {
    let text = match tx.dialect() {
        Dialect::Sqlite => sql_sqlite::EXPIRED,
        Dialect::Postgres => sql_postgres::EXPIRED,
    };
    for row in tx.fetch_all(text, params![now]).await? {
        let id = row.int("id")?;
        if row.int("crashes")? + 1 >= row.int("max_attempts")? {
            tx.execute(sql::BURY_CRASHED, params![id, now]).await?;
        } else {
            tx.execute(sql::ORPHAN, params![id]).await?;
        }
    }
    Ok(())
}
