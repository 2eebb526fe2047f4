//! Claiming letters and noting what became of them.

use super::{Letter, NewLetter, Outbox, read, shortened};
use crate::error::{ArchiveError, Result};
use crate::ids::{OutboxId, UnixMicros};
use crate::params;
use std::time::Duration;

/// Letters of one claim at most.
const CLAIM_MAX: u32 = 256;
/// Destinations looked at.
const DESTINATIONS_MAX: usize = 10_000;
/// Due letters counted for one destination.
const COUNTED_MAX: i64 = 64;

crate::statements! {
    mod sql {
        CLAIM = "UPDATE outbox SET lease_until = $3, claims = claims + 1 WHERE state = 0 AND lease_until <= $2 AND id IN (SELECT id FROM outbox WHERE destination = $1 AND state = 0 AND next_at <= $2 AND lease_until <= $2 ORDER BY priority DESC, next_at, id LIMIT $4) RETURNING id, destination, kind, subject, payload, priority, attempts, created_at, claims, tried_since, next_at";
        NEXT_DESTINATION = "SELECT MIN(destination) AS destination FROM outbox WHERE state = 0 AND destination > $1 AND destination < $2";
        CLAIMABLE = "SELECT id FROM outbox WHERE destination = $1 AND state = 0 AND next_at <= $2 AND lease_until <= $2 LIMIT $3";
        RENEW = "UPDATE outbox SET lease_until = $3 WHERE id = $1 AND claims = $2 AND state = 0";
        RELEASE = "UPDATE outbox SET lease_until = 0, next_at = $3, error = COALESCE($4, error) WHERE id = $1 AND claims = $2 AND state = 0";
        FAILED = "UPDATE outbox SET lease_until = 0, next_at = $3, error = $4, attempts = attempts + 1 WHERE id = $1 AND claims = $2 AND state = 0";
        GIVE_UP = "UPDATE outbox SET state = 2, lease_until = 0, error = $3, attempts = attempts + 1 WHERE id = $1 AND claims = $2 AND state = 0";
        FREE_ALL = "UPDATE outbox SET lease_until = 0 WHERE id IN (SELECT id FROM outbox WHERE destination = $1 AND state = 0 AND lease_until > 0)";
        BY_SUBJECT = "SELECT id, destination, kind, subject, payload, priority, attempts, created_at, claims, tried_since, next_at FROM outbox WHERE subject = $1 AND kind = $2 AND state = 0 ORDER BY id DESC LIMIT 1";
    }
}

/// A letter that this process is delivering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The letter.
    pub letter: Letter,
    /// Number of this claim: the fence.
    pub claim: i64,
    /// From when on its age counts.
    pub tried_since: UnixMicros,
    next_at: UnixMicros,
}

/// What became of a claimed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The other side has it.
    Delivered,
    /// It failed and is tried again after a while; counts as an attempt.
    Retry {
        /// How long to wait.
        wait: Duration,
        /// Why it failed.
        error: String,
    },
    /// It was not tried, e.g. because the destination cannot be reached; does not count.
    Untried {
        /// How long to wait.
        wait: Duration,
        /// Why.
        error: Option<String>,
    },
    /// It failed for good: kept for the operator.
    GivenUp {
        /// Why.
        error: String,
    },
}

/// The end of one claimed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Row.
    pub id: OutboxId,
    /// Number of the claim.
    pub claim: i64,
    /// What became of it.
    pub end: End,
}

impl Claimed {
    /// Its end.
    pub fn ended(&self, end: End) -> Settled {
        Settled {
            id: self.letter.id,
            claim: self.claim,
            end,
        }
    }
}

fn read_claimed(row: &crate::db::Row) -> Result<Claimed> {
    Ok(Claimed {
        letter: read(row)?,
        claim: row.int("claims")?,
        tried_since: row.micros("tried_since")?,
        next_at: row.micros("next_at")?,
    })
}

impl Outbox {
    /// Takes up to `limit` due letters of a destination, most urgent first, for `lease`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn claim(&self, destination: &str, limit: u32, lease: Duration) -> Result<Vec<Claimed>> {
        let now = UnixMicros::now();
        let values = params![destination, now, now.plus(lease), limit.clamp(1, CLAIM_MAX)];
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let rows = tx.fetch_all(sql::CLAIM, values).await?;
                    let mut claimed = rows.iter().map(read_claimed).collect::<Result<Vec<_>>>()?;
                    // the order of returned rows is not promised
                    claimed.sort_by_key(|c| (-c.letter.letter.priority, c.next_at, c.letter.id));
                    Ok::<_, ArchiveError>(claimed)
                })
            })
            .await
    }

    /// Destinations from `prefix` on that have waiting letters.
    ///
    /// # Errors
    /// What the index says.
    pub async fn destinations(&self, prefix: &str) -> Result<Vec<String>> {
        let end = format!("{prefix}\u{10FFFF}");
        let (mut found, mut after) = (Vec::new(), prefix.to_owned());
        while found.len() < DESTINATIONS_MAX {
            let row = self
                .db
                .fetch_one(sql::NEXT_DESTINATION, params![&after, &end])
                .await?;
            let Some(next) = row.opt_text("destination")? else {
                break;
            };
            after.clone_from(&next);
            found.push(next);
        }
        Ok(found)
    }

    /// Letters of a destination that could be claimed now, counted up to 64.
    ///
    /// # Errors
    /// What the index says.
    pub async fn claimable(&self, destination: &str) -> Result<usize> {
        let values = params![destination, UnixMicros::now(), COUNTED_MAX];
        Ok(self.db.fetch_all(sql::CLAIMABLE, values).await?.len())
    }

    /// Lengthens the lease of claimed letters.
    ///
    /// # Errors
    /// What the index says.
    pub async fn renew(&self, mut held: Vec<(OutboxId, i64)>, lease: Duration) -> Result<()> {
        held.sort();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let until = UnixMicros::now().plus(lease);
                    for (id, claim) in held {
                        tx.execute(sql::RENEW, params![id, claim, until]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Notes what became of claimed letters, and puts `follow` in, in one transaction.
    ///
    /// # Errors
    /// What the index says; nothing is noted then and the call may be repeated.
    pub async fn settle(&self, mut ended: Vec<Settled>, follow: Vec<(NewLetter, Duration)>) -> Result<()> {
        if ended.is_empty() && follow.is_empty() {
            return Ok(());
        }
        // one order of rows in all transactions, so that they cannot wait for each other in a ring
        ended.sort_by_key(|settled| settled.id);
        let outbox = self.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    for settled in ended {
                        settle_one(tx, settled).await?;
                    }
                    for (letter, wait) in follow {
                        outbox.put_later(tx, letter, wait).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Takes back the leases of a process that is gone; only where no other can hold one.
    ///
    /// # Errors
    /// What the index says.
    pub async fn free_leases(&self, prefix: &str) -> Result<()> {
        for destination in self.destinations(prefix).await? {
            self.db
                .write(move |tx| {
                    Box::pin(async move { tx.execute(sql::FREE_ALL, params![destination]).await })
                })
                .await?;
        }
        Ok(())
    }

    /// The newest waiting letter of a kind about a subject, whoever holds it.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_subject(&self, kind: &str, subject: &str) -> Result<Option<Claimed>> {
        let row = self
            .db
            .fetch_optional(sql::BY_SUBJECT, params![subject, kind])
            .await?;
        row.as_ref().map(read_claimed).transpose()
    }
}

async fn settle_one(tx: &mut crate::db::Tx, settled: Settled) -> Result<()> {
    let now = UnixMicros::now();
    let (id, claim) = (settled.id, settled.claim);
    match settled.end {
        // true whoever holds the lease now
        End::Delivered => tx.execute(super::sql::DELIVERED, params![id, now]).await?,
        End::Retry { wait, error } => {
            let values = params![id, claim, now.plus(wait), shortened(&error)];
            tx.execute(sql::FAILED, values).await?
        }
        End::Untried { wait, error } => {
            let error = error.as_deref().map(shortened);
            tx.execute(sql::RELEASE, params![id, claim, now.plus(wait), error])
                .await?
        }
        End::GivenUp { error } => {
            tx.execute(sql::GIVE_UP, params![id, claim, shortened(&error)])
                .await?
        }
    };
    Ok(())
}
