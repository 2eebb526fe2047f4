//! What is to be sent elsewhere, kept until it is delivered, given up or dropped by an operator.
//!
//! **Invariants:** a letter put in inside a transaction exists exactly when the transaction does.
//! It leaves the waiting ones only as delivered (someone said so), as given up (visible to the
//! operator, who can try again) or as dropped (by the operator). Two processes do not deliver the
//! same letter at the same time: a claim is a lease, and a failure is noted only by the claim that
//! is still the newest. A success is always noted. So delivery is at least once.

mod deliver;
mod manage;

pub use deliver::{Claimed, End, Settled};
pub use manage::{DestinationState, LetterInfo, LetterState};

use crate::db::{Db, Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{OutboxId, UnixMicros};
use crate::params;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] =
    &[sql::ALL, deliver::sql::ALL, manage::sql::ALL];

/// Largest payload; larger things are objects, and the payload names them.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Letters of one answer at most.
const LETTERS_MAX: u32 = 1000;
/// Longest error text that is kept.
const ERROR_CHARACTERS_MAX: usize = 1000;

/// `outbox.state`.
pub(crate) mod state {
    pub(crate) const WAITING: i64 = 0;
    pub(crate) const DELIVERED: i64 = 1;
    pub(crate) const GIVEN_UP: i64 = 2;
    pub(crate) const DROPPED: i64 = 3;
}

crate::statements! {
    mod sql {
        PUT = "INSERT INTO outbox (destination, kind, subject, payload, priority, next_at, attempts, created_at, tried_since) VALUES ($1, $2, $3, $4, $5, $7, 0, $6, $7) RETURNING id";
        DUE = "SELECT id, destination, kind, subject, payload, priority, attempts, created_at FROM outbox WHERE destination = $1 AND state = 0 AND next_at <= $2 ORDER BY priority DESC, next_at, id LIMIT $3";
        DELIVERED = "UPDATE outbox SET state = 1, delivered_at = $2, error = NULL WHERE id = $1 AND state = 0";
        POSTPONE = "UPDATE outbox SET attempts = attempts + 1, next_at = $2, error = $3, lease_until = 0 WHERE id = $1 AND state = 0";
        CLAIM_ONE = "UPDATE outbox SET attempts = attempts + 1, next_at = $3 WHERE id = $1 AND attempts = $2 AND state = 0";
        WAITING = "SELECT COUNT(*) AS n FROM outbox WHERE destination = $1 AND state = 0";
        PURGE = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE delivered_at IS NOT NULL AND delivered_at < $1 LIMIT 5000)";
    }
}

/// Something to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    /// Where to: a name that the sender of this kind understands.
    pub destination: String,
    /// What it is.
    pub kind: String,
    /// Identifier it is about.
    pub subject: String,
    /// Content or reference, up to 1 MiB.
    pub payload: Vec<u8>,
    /// Greater is sooner.
    pub priority: i64,
}

/// Something that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Row.
    pub id: OutboxId,
    /// The content.
    pub letter: NewLetter,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was put in.
    pub created_at: UnixMicros,
}

fn read(row: &Row) -> Result<Letter> {
    Ok(Letter {
        id: OutboxId(row.int("id")?),
        letter: NewLetter {
            destination: row.text("destination")?,
            kind: row.text("kind")?,
            subject: row.text("subject")?,
            payload: row.bytes("payload")?,
            priority: row.int("priority")?,
        },
        attempts: row.int("attempts")?,
        created_at: row.micros("created_at")?,
    })
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_CHARACTERS_MAX).collect()
}

/// The outbox of an archive.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) db: Db,
    pub(crate) wake: Arc<Notify>,
}

impl Outbox {
    /// Puts a letter in, inside the caller's transaction.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for a payload above 1 MiB.
    pub async fn put(&self, tx: &mut Tx, letter: NewLetter) -> Result<OutboxId> {
        self.put_later(tx, letter, Duration::ZERO).await
    }

    /// Like [`Outbox::put`], to be delivered not before `wait` is over.
    ///
    /// # Errors
    /// As [`Outbox::put`].
    pub async fn put_later(&self, tx: &mut Tx, letter: NewLetter, wait: Duration) -> Result<OutboxId> {
        if letter.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(ArchiveError::invalid("outbox payload", "use at most 1 MiB"));
        }
        let now = UnixMicros::now();
        let values = params![
            letter.destination,
            letter.kind,
            letter.subject,
            letter.payload,
            letter.priority,
            now,
            now.plus(wait)
        ];
        let id = tx.fetch_one(sql::PUT, values).await?.int("id")?;
        self.wake_on_commit(tx);
        Ok(OutboxId(id))
    }

    pub(crate) fn wake_on_commit(&self, tx: &mut Tx) {
        let wake = self.wake.clone();
        tx.on_commit(move || wake.notify_waiters());
    }

    /// Letters to a destination that are due, most urgent first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn due(&self, destination: &str, limit: u32) -> Result<Vec<Letter>> {
        let values = params![destination, UnixMicros::now(), limit.min(LETTERS_MAX)];
        let rows = self.db.fetch_all(sql::DUE, values).await?;
        rows.iter().map(read).collect()
    }

    /// Notes that a letter arrived; `false` when that was known.
    ///
    /// # Errors
    /// What the index says.
    pub async fn delivered(&self, id: OutboxId) -> Result<bool> {
        let values = params![id, UnixMicros::now()];
        let done = self
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql::DELIVERED, values).await }))
            .await?;
        Ok(done == 1)
    }

    /// Notes a failed delivery; tried again after `wait`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn postpone(&self, id: OutboxId, wait: Duration, error: &str) -> Result<()> {
        let values = params![id, UnixMicros::now().plus(wait), shortened(error)];
        self.db
            .write(move |tx| Box::pin(async move { tx.execute(sql::POSTPONE, values).await }))
            .await?;
        Ok(())
    }

    /// Takes a letter for delivery by this process alone: `false` when another one was faster. When
    /// neither [`Outbox::delivered`] nor [`Outbox::postpone`] follows, it is due again after `lease`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn claim_one(&self, letter: &Letter, lease: Duration) -> Result<bool> {
        let values = params![letter.id, letter.attempts, UnixMicros::now().plus(lease)];
        let done = self
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql::CLAIM_ONE, values).await }))
            .await?;
        Ok(done == 1)
    }

    /// Letters that wait for a destination.
    ///
    /// # Errors
    /// What the index says.
    pub async fn waiting(&self, destination: &str) -> Result<i64> {
        let row = self.db.fetch_one(sql::WAITING, params![destination]).await?;
        row.int("n")
    }

    /// Waits for a new letter of this process.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Removes letters delivered or dropped longer ago than this.
    ///
    /// # Errors
    /// What the index says.
    pub async fn purge_delivered(&self, older_than: Duration) -> Result<u64> {
        let values = params![UnixMicros::now().minus(older_than)];
        self.db
            .write(move |tx| Box::pin(async move { tx.execute(sql::PURGE, values).await }))
            .await
    }
}
