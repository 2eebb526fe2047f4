//! What an operator sees of the outbox, and may do.

use super::{LETTERS_MAX, Letter, Outbox, read, state};
use crate::audit::{AuditAction, AuditEntry, event};
use crate::error::{ArchiveError, Result};
use crate::ids::{OutboxId, UnixMicros};
use crate::params;
use serde::Serialize;

/// Destinations of one answer.
const DESTINATIONS_MAX: i64 = 1000;

crate::statements! {
    mod sql {
        WAITING = "SELECT id, destination, kind, subject, payload, priority, attempts, created_at, state, next_at, lease_until, error FROM outbox WHERE state = 0 AND destination >= $1 AND destination < $2 ORDER BY destination, priority DESC, next_at, id LIMIT $3";
        GIVEN_UP = "SELECT id, destination, kind, subject, payload, priority, attempts, created_at, state, next_at, lease_until, error FROM outbox WHERE state = 2 AND destination >= $1 AND destination < $2 ORDER BY destination, id LIMIT $3";
        COUNT_WAITING = "SELECT destination, COUNT(*) AS n, MIN(created_at) AS oldest FROM outbox WHERE state = 0 AND destination > '' GROUP BY destination ORDER BY destination LIMIT $1";
        COUNT_GIVEN_UP = "SELECT destination, COUNT(*) AS n, MIN(created_at) AS oldest FROM outbox WHERE state = 2 AND destination > '' GROUP BY destination ORDER BY destination LIMIT $1";
        RETRY = "UPDATE outbox SET state = 0, attempts = 0, next_at = $2, tried_since = $2, lease_until = 0, error = NULL WHERE id = $1 AND (state = 2 OR state = 0)";
        RETRY_ALL = "UPDATE outbox SET state = 0, attempts = 0, next_at = $2, tried_since = $2, lease_until = 0, error = NULL WHERE state = 2 AND destination = $1";
        DROP = "UPDATE outbox SET state = 3, delivered_at = $2, lease_until = 0 WHERE id = $1 AND (state = 2 OR state = 0) RETURNING destination, kind, subject";
    }
}

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Waits for its turn or for another try.
    Waiting,
    /// Is being delivered now.
    Delivering,
    /// Arrived.
    Delivered,
    /// Stopped for good; an operator may try again.
    GivenUp,
    /// Dropped by an operator.
    Dropped,
}

/// A letter as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterInfo {
    /// The letter.
    pub letter: Letter,
    /// Where it stands.
    pub state: LetterState,
    /// Not tried before.
    pub next_at: UnixMicros,
    /// Last error.
    pub error: Option<String>,
}

/// How a destination does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationState {
    /// Name.
    pub destination: String,
    /// Letters that wait.
    pub waiting: i64,
    /// Letters that were given up.
    pub given_up: i64,
    /// When the oldest waiting one was put in.
    pub oldest: Option<UnixMicros>,
}

fn read_info(row: &crate::db::Row) -> Result<LetterInfo> {
    let leased = row.micros("lease_until")? > UnixMicros::now();
    let state = match row.int("state")? {
        state::WAITING if leased => LetterState::Delivering,
        state::WAITING => LetterState::Waiting,
        state::DELIVERED => LetterState::Delivered,
        state::GIVEN_UP => LetterState::GivenUp,
        state::DROPPED => LetterState::Dropped,
        other => return Err(ArchiveError::Corrupt(format!("outbox state {other}"))),
    };
    Ok(LetterInfo {
        letter: read(row)?,
        state,
        next_at: row.micros("next_at")?,
        error: row.opt_text("error")?,
    })
}

impl Outbox {
    /// Letters that wait, or that were given up; of all destinations, or of one.
    ///
    /// # Errors
    /// What the index says.
    pub async fn list(
        &self,
        destination: Option<&str>,
        given_up: bool,
        limit: u32,
    ) -> Result<Vec<LetterInfo>> {
        let (from, to) = match destination {
            Some(name) => (name.to_owned(), format!("{name}\u{1}")),
            None => (String::new(), "\u{10FFFF}".to_owned()),
        };
        let text = if given_up { sql::GIVEN_UP } else { sql::WAITING };
        let values = params![from, to, limit.clamp(1, LETTERS_MAX)];
        let rows = self.db.fetch_all(text, values).await?;
        rows.iter().map(read_info).collect()
    }

    /// How each destination does that has letters.
    ///
    /// # Errors
    /// What the index says.
    pub async fn overview(&self) -> Result<Vec<DestinationState>> {
        let mut all = std::collections::BTreeMap::<String, DestinationState>::new();
        for (text, given_up) in [(sql::COUNT_WAITING, false), (sql::COUNT_GIVEN_UP, true)] {
            for row in self.db.fetch_all(text, params![DESTINATIONS_MAX]).await? {
                let name = row.text("destination")?;
                let entry = all.entry(name.clone()).or_insert(DestinationState {
                    destination: name,
                    waiting: 0,
                    given_up: 0,
                    oldest: None,
                });
                if given_up {
                    entry.given_up = row.int("n")?;
                } else {
                    entry.waiting = row.int("n")?;
                    entry.oldest = row.opt_micros("oldest")?;
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// Lets letters be tried again now, with all their attempts.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] for the first that neither waits nor was given up; none is
    /// changed then.
    pub async fn retry(&self, ids: Vec<OutboxId>) -> Result<()> {
        let outbox = self.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let now = UnixMicros::now();
                    for id in ids {
                        if tx.execute(sql::RETRY, params![id, now]).await? == 0 {
                            return Err(unknown(id));
                        }
                    }
                    outbox.wake_on_commit(tx);
                    Ok(())
                })
            })
            .await
    }

    /// Lets all given-up letters of a destination be tried again; gives how many.
    ///
    /// # Errors
    /// What the index says.
    pub async fn retry_all(&self, destination: &str) -> Result<u64> {
        let values = params![destination, UnixMicros::now()];
        let outbox = self.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    outbox.wake_on_commit(tx);
                    tx.execute(sql::RETRY_ALL, values).await
                })
            })
            .await
    }

    /// Drops letters: they are not delivered any more. The audit trail says who did it.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] for the first that neither waits nor was given up; none is
    /// dropped then.
    pub async fn discard(&self, ids: Vec<OutboxId>, user: &str) -> Result<()> {
        let user = user.to_owned();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let now = UnixMicros::now();
                    for id in ids {
                        let row = tx.fetch_optional(sql::DROP, params![id, now]).await?;
                        let row = row.ok_or_else(|| unknown(id))?;
                        let what = (row.text("kind")?, row.text("subject")?, row.text("destination")?);
                        let entry = AuditEntry::new(event::APPLICATION_ACTIVITY, AuditAction::Delete, &user);
                        tx.audit(entry.detail(format!(
                            "outbox {id} dropped: {} {} to {}",
                            what.0, what.1, what.2
                        )));
                    }
                    Ok(())
                })
            })
            .await
    }
}

fn unknown(id: OutboxId) -> ArchiveError {
    ArchiveError::NotFound(format!("a waiting or given-up letter {id} in the outbox"))
}
