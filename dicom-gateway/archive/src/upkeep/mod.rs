//! Walks over all objects while an archive is open: every object is read and hashed again within a
//! number of days; with tiers the older ones move to the bucket. Each walk goes by the number of the
//! instance, remembers how far it came, does a bounded amount of work at a time, and goes on where it
//! was after a restart.

mod mover;
mod rewrap;
mod scrub;
#[cfg(test)]
mod tests;

pub use rewrap::RewrapReport;

use crate::Archive;
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use crate::params;
use crate::store::{CopyCheck, FileDigests, FileState, ObjectKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Instances looked at between two notes of how far a walk came.
const PAGE_ROWS: i64 = 32;

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[sql::ALL];

crate::statements! {
    mod sql {
        WALK = "SELECT last_instance, begun_at FROM upkeep_walk WHERE name = $1";
        PUT_WALK = "INSERT INTO upkeep_walk (name, last_instance, begun_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET last_instance = excluded.last_instance, begun_at = excluded.begun_at WHERE upkeep_walk.last_instance = $4";
        PAGE = "SELECT id, sop_instance_uid, object_key, meta_bytes, meta_digest, dataset_digest, size_bytes, medium, received_at FROM instance WHERE id > $1 ORDER BY id LIMIT $2";
        LAST = "SELECT COALESCE(MAX(id), 0) AS last FROM instance";
        MOVED = "UPDATE instance SET medium = 1, object_key = $2 WHERE id = $1 AND object_key = $3";
        LOCAL_BYTES = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes FROM instance WHERE medium = 0";
        NOTE_DAMAGED = "INSERT INTO damaged_object (object_key, sop_instance_uid, why, found_at) VALUES ($1, $2, $3, $4) ON CONFLICT (object_key) DO UPDATE SET why = excluded.why";
        IS_DAMAGED = "SELECT found_at FROM damaged_object WHERE object_key = $1";
        NOTE_SOUND = "DELETE FROM damaged_object WHERE object_key = $1";
        COUNT_DAMAGED = "SELECT COUNT(*) AS count FROM damaged_object";
    }
}

/// What the walks of an open archive remember.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) troubles: Troubles,
    local_bytes: mover::LocalBytes,
}

/// What goes wrong in the upkeep of an open archive.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<&'static str, String>>);

impl Troubles {
    /// Notes how a task ended; a good end clears what it said before.
    pub(crate) fn note(&self, task: &'static str, done: &Result<()>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => all.remove(task),
            Err(error) => all.insert(task, error.to_string()),
        };
    }

    fn list(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(task, why)| format!("{task}: {why}")).collect()
    }
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walk {
    last: i64,
    begun_at: UnixMicros,
}

/// An instance that a walk looks at.
pub(crate) struct Walked {
    pub(crate) id: i64,
    pub(crate) uid: String,
    pub(crate) key: ObjectKey,
    pub(crate) digests: FileDigests,
    pub(crate) bytes: u64,
    /// It lies on the second medium.
    pub(crate) moved: bool,
    pub(crate) received_at: UnixMicros,
}

pub(crate) fn digests_of(row: &Row) -> Result<FileDigests> {
    let digest = |name: &str| {
        Sha256Digest::from_slice(&row.bytes(name)?)
            .ok_or_else(|| ArchiveError::Corrupt(format!("column {name} of an instance")))
    };
    Ok(FileDigests {
        meta_bytes: u64::try_from(row.int("meta_bytes")?).unwrap_or(0),
        meta: digest("meta_digest")?,
        dataset: digest("dataset_digest")?,
    })
}

fn walked(row: &Row) -> Result<Walked> {
    Ok(Walked {
        id: row.int("id")?,
        uid: row.text("sop_instance_uid")?,
        key: ObjectKey::parse(&row.text("object_key")?)?,
        digests: digests_of(row)?,
        bytes: u64::try_from(row.int("size_bytes")?).unwrap_or(0),
        moved: row.bool("medium")?,
        received_at: row.micros("received_at")?,
    })
}

impl Archive {
    /// What an operator must look at: the storage fails, objects are damaged, objects cannot move.
    ///
    /// # Errors
    /// What the index says.
    pub async fn alarms(&self) -> Result<Vec<String>> {
        let mut alarms: Vec<String> = self
            .store()
            .health()
            .failing()
            .map(|why| format!("the storage failed ({why}); check the disk and start this node again"))
            .into_iter()
            .collect();
        let damaged = self.damaged_objects().await?;
        if damaged > 0 {
            alarms.push(format!(
                "{damaged} stored objects are damaged; `gongying admin verify` names them, restore them from a backup"
            ));
        }
        alarms.extend(self.upkeep().troubles.list());
        Ok(alarms)
    }

    /// Objects that the last check of each found damaged.
    ///
    /// # Errors
    /// What the index says.
    pub async fn damaged_objects(&self) -> Result<i64> {
        self.db()
            .fetch_one(sql::COUNT_DAMAGED, Vec::new())
            .await?
            .int("count")
    }

    async fn walk(&self, name: &'static str) -> Result<Option<Walk>> {
        let row = self.db().fetch_optional(sql::WALK, params![name]).await?;
        let read = |row: Row| {
            Ok(Walk {
                last: row.int("last_instance")?,
                begun_at: row.micros("begun_at")?,
            })
        };
        row.map(read).transpose()
    }

    /// Notes how far a walk came from `from`; `false` when another process walked on meanwhile.
    async fn put_walk(&self, name: &'static str, from: i64, walk: Walk) -> Result<bool> {
        let values = params![name, walk.last, walk.begun_at, from];
        Ok(self.execute(sql::PUT_WALK, values).await? == 1)
    }

    async fn page_after(&self, last: i64) -> Result<Vec<Walked>> {
        let rows = self.db().fetch_all(sql::PAGE, params![last, PAGE_ROWS]).await?;
        rows.iter().map(walked).collect()
    }

    async fn execute(&self, sql: &'static str, values: Vec<crate::db::Value>) -> Result<u64> {
        self.db()
            .write(move |tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await
    }

    /// Remembers what a check of an object found.
    pub(crate) async fn note_check(&self, uid: &str, key: &ObjectKey, copies: &[CopyCheck]) -> Result<()> {
        let bad: Vec<String> = copies
            .iter()
            .filter(|copy| copy.state != FileState::Sound)
            .map(|copy| format!("{}: {}", copy.place, copy.why))
            .collect();
        if bad.is_empty() {
            let known = self.db().fetch_optional(sql::IS_DAMAGED, params![key]).await?;
            if known.is_some() {
                tracing::info!(key = key.as_str(), "a damaged object is sound again");
                self.execute(sql::NOTE_SOUND, params![key]).await?;
            }
            return Ok(());
        }
        let why = bad.join("; ");
        tracing::error!(key = key.as_str(), why, "a stored object is damaged");
        metrics::counter!("gongying_store_damage_found_total").increment(1);
        let values = params![key, uid, why, UnixMicros::now()];
        self.execute(sql::NOTE_DAMAGED, values).await.map(|_| ())
    }
}

/// Runs what waits for a medium.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|_| ArchiveError::Closed)?
}
