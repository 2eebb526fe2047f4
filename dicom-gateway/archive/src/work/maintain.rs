//! Looking after the queue: how it does, and removing what is done.

use super::{QueueState, Work};
use crate::error::Result;
use crate::ids::UnixMicros;
use crate::params;
use std::time::Duration;

/// Rows removed in one transaction.
const PURGE_ROWS: i64 = 5000;

crate::statements! {
    mod sql {
        COUNTS = "SELECT (SELECT COUNT(*) FROM job WHERE state = 0) AS waiting, (SELECT COUNT(*) FROM job WHERE state = 1) AS running, (SELECT COUNT(*) FROM job WHERE finished_at IS NOT NULL AND state = 3) AS dead, (SELECT MIN(run_at) FROM job WHERE state = 0 AND run_at <= $1) AS oldest_due";
        PURGE = "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished_at IS NOT NULL AND finished_at < $1 AND state = 2 LIMIT $2)";
    }
}

impl Work {
    /// How the queue does.
    ///
    /// # Errors
    /// What the index says.
    pub async fn state(&self) -> Result<QueueState> {
        let row = self.db.fetch_one(sql::COUNTS, params![UnixMicros::now()]).await?;
        Ok(QueueState {
            waiting: row.int("waiting")?,
            running: row.int("running")?,
            dead: row.int("dead")?,
            oldest_due: row.opt_micros("oldest_due")?,
        })
    }

    /// Removes jobs done longer ago than this; gives how many.
    ///
    /// # Errors
    /// What the index says.
    pub async fn purge_done(&self, older_than: Duration) -> Result<u64> {
        let before = UnixMicros::now().minus(older_than);
        let mut removed = 0;
        loop {
            let values = params![before, PURGE_ROWS];
            let count = self
                .db
                .write(move |tx| Box::pin(async move { tx.execute(sql::PURGE, values).await }))
                .await?;
            removed += count;
            if count < PURGE_ROWS.unsigned_abs() {
                return Ok(removed);
            }
        }
    }
}
