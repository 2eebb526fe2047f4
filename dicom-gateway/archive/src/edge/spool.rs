//! The queue of a township node: what its archive took and the centre does not have yet.

use crate::Archive;
use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use crate::params;
use crate::receive::{Indexing, InstanceFacts, SeriesKind};
use crate::store::{FileDigests, ObjectKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Objects up to this size go before bulk.
const SMALL_BYTES_MAX: u64 = 256 << 10;
/// Job priority from which on an order is STAT ([`crate::order::Priority::job_priority`]).
const STAT_PRIORITY: i64 = 100;
/// Rows of one answer.
const ROWS_MAX: u32 = 1000;
/// Objects removed in one transaction.
const PRUNED_MAX: u32 = 200;

crate::statements! {
    mod sql {
        PUT = "INSERT INTO edge_object (sop_instance_uid, study_uid, object_key, size_bytes, meta_bytes, meta_digest, dataset_digest, class, sender, source, peer, received_at, state, attempts, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'waiting', 0, 0) ON CONFLICT (sop_instance_uid) DO NOTHING";
        STUDY_CHANGED = "INSERT INTO edge_study (study_uid, revision, closed, told_revision, told_closed, dirty) VALUES ($1, 1, 0, 0, 0, 1) ON CONFLICT (study_uid) DO UPDATE SET revision = edge_study.revision + 1, closed = 0, dirty = 1";
        STUDY_CLOSED = "UPDATE edge_study SET closed = 1, dirty = 1 WHERE study_uid = $1";
        WAITING = "SELECT id, sop_instance_uid, study_uid, object_key, size_bytes, meta_bytes, meta_digest, dataset_digest, class, sender, source, peer, received_at, attempts FROM edge_object WHERE state = 'waiting' AND class <= $1 AND next_at <= $2 ORDER BY class, id LIMIT $3";
        COUNTS = "SELECT class, COUNT(*) AS n, CAST(SUM(size_bytes) AS BIGINT) AS bytes, MIN(received_at) AS oldest FROM edge_object WHERE state = 'waiting' GROUP BY class";
        BYTES = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes FROM edge_object";
        DONE = "UPDATE edge_object SET state = $2, error = $3, done_at = $4 WHERE id = $1 AND state = 'waiting'";
        POSTPONE = "UPDATE edge_object SET attempts = attempts + 1, next_at = $2, error = $3 WHERE id = $1 AND state = 'waiting'";
        REFUSED = "SELECT sop_instance_uid, study_uid, sender, error, done_at FROM edge_object WHERE state = 'refused' ORDER BY done_at DESC LIMIT $1";
        REFUSED_COUNT = "SELECT COUNT(*) AS n FROM edge_object WHERE state = 'refused'";
        SETTING = "SELECT value FROM setting WHERE name = $1";
        SET = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        UNTOLD = "SELECT study_uid, revision, closed FROM edge_study WHERE dirty = 1 AND (closed = 1 OR told_revision = 0) LIMIT $1";
        OF_STUDY = "SELECT sop_instance_uid, dataset_digest, received_at FROM edge_object WHERE study_uid = $1 AND state <> 'refused' ORDER BY id LIMIT $2";
        TOLD = "UPDATE edge_study SET told_revision = $2, told_closed = $3, dirty = CASE WHEN revision = $2 AND closed = $3 THEN 0 ELSE dirty END WHERE study_uid = $1";
        CHANGED = "UPDATE edge_study SET revision = revision + 1, dirty = 1 WHERE study_uid = $1";
    }
}
crate::statements! {
    mod prune_sql {
        // A study leaves only after the centre was told what belongs to it.
        OLD = "SELECT o.id, o.sop_instance_uid, o.object_key, o.size_bytes FROM edge_object o WHERE o.state = 'sent' AND o.done_at < $1 AND NOT EXISTS (SELECT 1 FROM edge_study e WHERE e.study_uid = o.study_uid AND e.dirty = 1) ORDER BY o.done_at, o.id LIMIT $2";
        PLACE = "SELECT id, series_id, study_id, frames FROM instance WHERE sop_instance_uid = $1";
        DETAIL = "DELETE FROM instance_detail WHERE instance_id = $1";
        INSTANCE = "DELETE FROM instance WHERE id = $1";
        SERIES_LESS = "UPDATE series SET instance_count = instance_count - 1, frame_count = frame_count - $2 WHERE id = $1";
        SERIES = "DELETE FROM series WHERE id = $1 AND instance_count <= 0";
        STUDY_LESS = "UPDATE study SET instance_count = instance_count - 1, series_count = (SELECT COUNT(*) FROM series se WHERE se.study_id = study.id) WHERE id = $1";
        STUDY_NOTES = "DELETE FROM edge_study WHERE study_uid IN (SELECT st.study_uid FROM study st WHERE st.id = $1 AND st.instance_count <= 0)";
        STUDY = "DELETE FROM study WHERE id = $1 AND instance_count <= 0";
        ROW = "DELETE FROM edge_object WHERE id = $1";
    }
}

/// How soon an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueClass {
    /// Its order is STAT.
    Stat,
    /// An ECG or another signal.
    Ecg,
    /// Key objects, documents, small pictures.
    Small,
    /// Everything else.
    Bulk,
}

impl QueueClass {
    /// All, most urgent first.
    pub const ALL: [Self; 4] = [Self::Stat, Self::Ecg, Self::Small, Self::Bulk];

    /// Number in the index: smaller goes first.
    pub fn number(self) -> i64 {
        match self {
            Self::Stat => 0,
            Self::Ecg => 1,
            Self::Small => 2,
            Self::Bulk => 3,
        }
    }

    fn of_number(number: i64) -> Self {
        Self::ALL
            .into_iter()
            .find(|class| class.number() == number)
            .unwrap_or(Self::Bulk)
    }

    /// Whether it overtakes what is being sent.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Stat | Self::Ecg)
    }

    fn of(facts: &InstanceFacts, priority: i64) -> Self {
        if priority >= STAT_PRIORITY {
            return Self::Stat;
        }
        match facts.kind {
            Some(SeriesKind::Waveform) => Self::Ecg,
            Some(SeriesKind::Document) => Self::Small,
            _ if facts.size_bytes <= SMALL_BYTES_MAX => Self::Small,
            _ => Self::Bulk,
        }
    }
}

/// What all handles of a spool share.
pub(crate) struct SpoolState {
    bytes: AtomicI64,
    bytes_max: i64,
    /// Counts changes, so that nobody misses one.
    changes: watch::Sender<u64>,
}

impl SpoolState {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes: AtomicI64::new(0),
            bytes_max: i64::try_from(bytes_max).unwrap_or(i64::MAX),
            changes: watch::Sender::new(0),
        }
    }

    fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether nothing more is taken: what waits is never dropped to make room.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }
}

/// Row of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolId(pub i64);

impl From<SpoolId> for crate::db::Value {
    fn from(id: SpoolId) -> Self {
        Self::Int(Some(id.0))
    }
}

/// An object that waits for its way to the centre.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Row.
    pub id: SpoolId,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Its study.
    pub study_uid: String,
    /// Place in the store.
    pub key: ObjectKey,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Its digests.
    pub digests: FileDigests,
    /// How soon it goes.
    pub class: QueueClass,
    /// AE title or name of the sender.
    pub sender: String,
    /// By which way it came.
    pub source: String,
    /// Address of the sender.
    pub peer: Option<String>,
    /// When it came, by this machine's clock.
    pub received_at: UnixMicros,
    /// Tries so far.
    pub attempts: i64,
}

/// How much of a class waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueCount {
    /// The class.
    pub class: QueueClass,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest of them.
    pub oldest: Option<UnixMicros>,
}

/// An object that the centre refused for good.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedObject {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Its study.
    pub study_uid: String,
    /// Who sent it.
    pub sender: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: UnixMicros,
}

/// A study of which the centre has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// Study Instance UID.
    pub study_uid: String,
    /// Grows with each change.
    pub revision: i64,
    /// It went quiet.
    pub closed: bool,
}

/// An object of a study: SOP Instance UID, digest of its data set, when it came.
pub type StudyObject = (String, Sha256Digest, UnixMicros);

fn read(row: &Row) -> Result<Waiting> {
    let digest = |name: &str| {
        let bytes = row.bytes(name)?;
        Sha256Digest::from_slice(&bytes).ok_or_else(|| ArchiveError::Corrupt(format!("{name} of the queue")))
    };
    Ok(Waiting {
        id: SpoolId(row.int("id")?),
        sop_instance_uid: row.text("sop_instance_uid")?,
        study_uid: row.text("study_uid")?,
        key: ObjectKey::parse(&row.text("object_key")?)?,
        size_bytes: unsigned(row.int("size_bytes")?),
        digests: FileDigests {
            meta_bytes: unsigned(row.int("meta_bytes")?),
            meta: digest("meta_digest")?,
            dataset: digest("dataset_digest")?,
        },
        class: QueueClass::of_number(row.int("class")?),
        sender: row.text("sender")?,
        source: row.text("source")?,
        peer: row.opt_text("peer")?,
        received_at: row.micros("received_at")?,
        attempts: row.int("attempts")?,
    })
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Puts an object into the queue, in the transaction that acknowledges it.
pub(crate) async fn enqueue(
    state: &Arc<SpoolState>,
    tx: &mut Tx,
    from: &Indexing,
    priority: i64,
) -> Result<()> {
    let (object, facts) = (&from.object, &from.object.facts);
    let values = params![
        &facts.sop_instance_uid,
        &facts.study_uid,
        &object.key,
        facts.size_bytes,
        object.digests.meta_bytes,
        object.digests.meta,
        object.digests.dataset,
        QueueClass::of(facts, priority).number(),
        &object.sender.name,
        object.sender.source.as_str(),
        object.sender.peer.map(|ip| ip.to_string()),
        from.received_at
    ];
    tx.execute(sql::PUT, values).await?;
    tx.execute(sql::STUDY_CHANGED, params![&facts.study_uid]).await?;
    let (state, bytes) = (state.clone(), i64::try_from(facts.size_bytes).unwrap_or(i64::MAX));
    tx.on_commit(move || {
        state.bytes.fetch_add(bytes, Ordering::Relaxed);
        state.wake();
    });
    Ok(())
}

/// Notes that a study went quiet.
pub(crate) async fn close_study(state: &Arc<SpoolState>, tx: &mut Tx, study_uid: &str) -> Result<()> {
    tx.execute(sql::STUDY_CLOSED, params![study_uid]).await?;
    let state = state.clone();
    tx.on_commit(move || state.wake());
    Ok(())
}

/// The queue of this node.
#[derive(Clone)]
pub struct Spool {
    pub(super) archive: Archive,
    pub(super) state: Arc<SpoolState>,
}

impl Spool {
    /// Reads how much there is; once, before anything is received.
    pub(crate) async fn load(&self) -> Result<()> {
        let row = self.archive.db().fetch_one(sql::BYTES, Vec::new()).await?;
        self.state.bytes.store(row.int("bytes")?, Ordering::Relaxed);
        Ok(())
    }

    /// Hears of new objects and of studies that went quiet.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.changes.subscribe()
    }

    /// Bytes of all objects here, and how many there may be.
    pub fn bytes(&self) -> (u64, u64) {
        let now = self.state.bytes.load(Ordering::Relaxed);
        (unsigned(now), unsigned(self.state.bytes_max))
    }

    /// Objects to be sent, most urgent first, of this class or a more urgent one.
    ///
    /// # Errors
    /// What the index says.
    pub async fn waiting(&self, least: QueueClass, limit: u32) -> Result<Vec<Waiting>> {
        let values = params![least.number(), UnixMicros::now(), limit.min(ROWS_MAX)];
        let rows = self.archive.db().fetch_all(sql::WAITING, values).await?;
        rows.iter().map(read).collect()
    }

    /// How much waits, by class.
    ///
    /// # Errors
    /// What the index says.
    pub async fn counts(&self) -> Result<[QueueCount; 4]> {
        let mut counts = QueueClass::ALL.map(|class| QueueCount {
            class,
            objects: 0,
            bytes: 0,
            oldest: None,
        });
        for row in self.archive.db().fetch_all(sql::COUNTS, Vec::new()).await? {
            let class = QueueClass::of_number(row.int("class")?);
            for count in counts.iter_mut().filter(|count| count.class == class) {
                count.objects = unsigned(row.int("n")?);
                count.bytes = unsigned(row.int("bytes")?);
                count.oldest = row.opt_micros("oldest")?;
            }
        }
        Ok(counts)
    }

    async fn execute(&self, text: &'static str, values: Vec<crate::db::Value>) -> Result<u64> {
        self.archive
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(text, values).await }))
            .await
    }

    /// Notes that the centre has an object on stable storage.
    ///
    /// # Errors
    /// What the index says.
    pub async fn sent(&self, id: SpoolId) -> Result<()> {
        let values = params![id, "sent", None::<String>, UnixMicros::now()];
        self.execute(sql::DONE, values).await.map(drop)
    }

    /// Notes that the centre refused an object for good; it stays here and is shown to the operator.
    ///
    /// # Errors
    /// What the index says.
    pub async fn refused(&self, waiting: &Waiting, reason: &str) -> Result<()> {
        let reason: String = reason.chars().take(500).collect();
        let (id, study) = (waiting.id, waiting.study_uid.clone());
        self.archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    let values = params![id, "refused", reason, UnixMicros::now()];
                    tx.execute(sql::DONE, values).await?;
                    tx.execute(sql::CHANGED, params![study]).await.map(drop)
                })
            })
            .await
    }

    /// Leaves an object alone for a while.
    ///
    /// # Errors
    /// What the index says.
    pub async fn postpone(&self, id: SpoolId, wait: Duration, error: &str) -> Result<()> {
        let error: String = error.chars().take(500).collect();
        let values = params![id, UnixMicros::now().plus(wait), error];
        self.execute(sql::POSTPONE, values).await.map(drop)
    }

    /// The newest objects that the centre refused, and how many there are.
    ///
    /// # Errors
    /// What the index says.
    pub async fn refused_objects(&self, limit: u32) -> Result<(Vec<RefusedObject>, u64)> {
        let db = self.archive.db();
        let mut list = Vec::new();
        for row in db.fetch_all(sql::REFUSED, params![limit.min(ROWS_MAX)]).await? {
            list.push(RefusedObject {
                sop_instance_uid: row.text("sop_instance_uid")?,
                study_uid: row.text("study_uid")?,
                sender: row.text("sender")?,
                reason: row.opt_text("error")?.unwrap_or_default(),
                at: row.micros("done_at")?,
            });
        }
        let count = db.fetch_one(sql::REFUSED_COUNT, Vec::new()).await?;
        Ok((list, unsigned(count.int("n")?)))
    }

    /// A small fact that this node keeps.
    ///
    /// # Errors
    /// What the index says.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::SETTING, params![name])
            .await?;
        row.map(|row| row.text("value")).transpose()
    }

    /// Keeps a small fact, durably.
    ///
    /// # Errors
    /// What the index says.
    pub async fn set(&self, name: &str, value: &str) -> Result<()> {
        self.execute(sql::SET, params![name, value]).await.map(drop)
    }

    /// Studies of which the centre has to be told: new ones, and those that went quiet since.
    ///
    /// # Errors
    /// What the index says.
    pub async fn untold(&self, limit: u32) -> Result<Vec<Untold>> {
        let rows = self
            .archive
            .db()
            .fetch_all(sql::UNTOLD, params![limit.min(ROWS_MAX)])
            .await?;
        let read = |row: &Row| {
            Ok(Untold {
                study_uid: row.text("study_uid")?,
                revision: row.int("revision")?,
                closed: row.bool("closed")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The objects of a study.
    ///
    /// # Errors
    /// What the index says.
    pub async fn objects_of(&self, study_uid: &str) -> Result<Vec<StudyObject>> {
        let values = params![study_uid, super::wire::MANIFEST_OBJECTS_MAX];
        let rows = self.archive.db().fetch_all(sql::OF_STUDY, values).await?;
        let read = |row: &Row| {
            let digest = Sha256Digest::from_slice(&row.bytes("dataset_digest")?);
            let digest = digest.ok_or_else(|| ArchiveError::Corrupt("digest of the queue".to_owned()))?;
            Ok((row.text("sop_instance_uid")?, digest, row.micros("received_at")?))
        };
        rows.iter().map(read).collect()
    }

    /// Notes that the centre knows a study as it was at `untold`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn told(&self, untold: &Untold) -> Result<()> {
        let values = params![&untold.study_uid, untold.revision, untold.closed];
        self.execute(sql::TOLD, values).await.map(drop)
    }

    /// Removes objects that the centre has had for longer than this; gives how many.
    ///
    /// # Errors
    /// What the index says.
    pub async fn prune(&self, kept: Duration) -> Result<usize> {
        let before = UnixMicros::now().minus(kept);
        let values = params![before, PRUNED_MAX];
        let rows = self.archive.db().fetch_all(prune_sql::OLD, values).await?;
        let mut gone = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, uid) = (row.int("id")?, row.text("sop_instance_uid")?);
            gone.push((
                id,
                uid,
                ObjectKey::parse(&row.text("object_key")?)?,
                row.int("size_bytes")?,
            ));
        }
        let list: Vec<(i64, String)> = gone.iter().map(|g| (g.0, g.1.clone())).collect();
        self.archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    for (id, uid) in list {
                        remove_rows(tx, id, &uid).await?;
                    }
                    Ok::<_, ArchiveError>(())
                })
            })
            .await?;
        let (store, state, count) = (self.archive.store().clone(), self.state.clone(), gone.len());
        let removed = tokio::task::spawn_blocking(move || {
            for (_, _, key, bytes) in gone {
                // Without its row nobody looks for the file; one that stays is taken in again and goes next time.
                if let Err(error) = store.remove(&key) {
                    tracing::warn!(%error, "an object that the centre has could not be removed here");
                }
                state.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        });
        removed.await.map_err(|_| ArchiveError::Closed)?;
        Ok(count)
    }
}

async fn remove_rows(tx: &mut Tx, id: i64, sop_instance_uid: &str) -> Result<()> {
    if let Some(place) = tx
        .fetch_optional(prune_sql::PLACE, params![sop_instance_uid])
        .await?
    {
        let (instance, series, study) = (place.int("id")?, place.int("series_id")?, place.int("study_id")?);
        tx.execute(prune_sql::DETAIL, params![instance]).await?;
        tx.execute(prune_sql::INSTANCE, params![instance]).await?;
        tx.execute(prune_sql::SERIES_LESS, params![series, place.int("frames")?])
            .await?;
        tx.execute(prune_sql::SERIES, params![series]).await?;
        tx.execute(prune_sql::STUDY_LESS, params![study]).await?;
        tx.execute(prune_sql::STUDY_NOTES, params![study]).await?;
        tx.execute(prune_sql::STUDY, params![study]).await?;
    }
    tx.execute(prune_sql::ROW, params![id]).await.map(drop)
}
