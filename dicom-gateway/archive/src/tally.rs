//! What each device did, counted: gathered in memory, written together from time to time.
//!
//! A crash loses the counts of the last moment, never an object.

use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::ids::{DeviceId, UnixMicros};
use crate::params;
use crate::receive::{Outcome, StoreRefused, Stored};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Counts waiting to be written; more are left out until then.
const WAITING_MAX: usize = 50_000;
/// Counts read at once.
const ROWS_MAX: i64 = 1_000_000;
/// An object was kept.
const STORED: &str = "stored";
/// An equal object was there.
const DUPLICATE: &str = "duplicate";
/// An object was refused for a reason, which follows.
const REFUSED: &str = "refused:";
/// An association was rejected for a reason, which follows.
const REJECTED: &str = "rejected:";

crate::statements! {
    mod sql {
        ADD = "INSERT INTO device_tally (device_id, what, total, size_bytes, last_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (device_id, what) DO UPDATE SET total = device_tally.total + excluded.total, size_bytes = device_tally.size_bytes + excluded.size_bytes, last_at = excluded.last_at";
        READ = "SELECT device_id, what, total, size_bytes, last_at FROM device_tally ORDER BY device_id, what LIMIT $1";
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    total: u64,
    size_bytes: u64,
    last_at: UnixMicros,
}

/// Counts that are not written yet.
#[derive(Default)]
pub(crate) struct Tallies {
    waiting: Mutex<HashMap<(DeviceId, String), Count>>,
}

impl Tallies {
    fn add(&self, device: DeviceId, what: String, size_bytes: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&(device, what.clone())) {
            return;
        }
        let now = UnixMicros::now();
        let count = waiting.entry((device, what)).or_insert(Count {
            total: 0,
            size_bytes: 0,
            last_at: now,
        });
        count.total += 1;
        count.size_bytes += size_bytes;
        count.last_at = now;
    }

    fn put_back(&self, counts: Vec<((DeviceId, String), Count)>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in counts {
            let known = waiting.entry(key).or_insert(Count {
                total: 0,
                size_bytes: 0,
                last_at: count.last_at,
            });
            known.total += count.total;
            known.size_bytes += count.size_bytes;
        }
    }
}

/// What a device did since it was enrolled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeviceActivity {
    /// Objects kept.
    pub stored: u64,
    /// Bytes of them.
    pub stored_bytes: u64,
    /// Objects that were there already.
    pub duplicate: u64,
    /// Objects refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Associations rejected, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// When the last object was kept.
    pub last_stored_at: Option<UnixMicros>,
    /// When the last object or association was refused.
    pub last_refused_at: Option<UnixMicros>,
    /// Why.
    pub last_refused: Option<String>,
}

impl DeviceActivity {
    fn take(&mut self, what: &str, total: u64, size_bytes: u64, last_at: UnixMicros) {
        match what {
            STORED => {
                self.stored = total;
                self.stored_bytes = size_bytes;
                self.last_stored_at = Some(last_at);
            }
            DUPLICATE => self.duplicate = total,
            other => {
                let (by, reason) = if let Some(reason) = other.strip_prefix(REFUSED) {
                    (&mut self.refused, reason)
                } else if let Some(reason) = other.strip_prefix(REJECTED) {
                    (&mut self.rejected, reason)
                } else {
                    return;
                };
                by.insert(reason.to_owned(), total);
                if self.last_refused_at.is_none_or(|known| known < last_at) {
                    self.last_refused_at = Some(last_at);
                    self.last_refused = Some(reason.to_owned());
                }
            }
        }
    }

    /// Objects refused for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Archive {
    /// Counts an association of a known device that was rejected; `reason` is one of few fixed
    /// words.
    pub fn note_rejected(&self, device: DeviceId, reason: &'static str) {
        self.tallies().add(device, format!("{REJECTED}{reason}"), 0);
    }

    /// Counts the end of an object, for the device and for `/metrics`.
    pub(crate) fn note_received(
        &self,
        device: Option<DeviceId>,
        source: &'static str,
        done: &std::result::Result<Stored, StoreRefused>,
    ) {
        let (what, size) = match done {
            Ok(stored) if stored.outcome == Outcome::New => (STORED.to_owned(), stored.size_bytes),
            Ok(_) => (DUPLICATE.to_owned(), 0),
            Err(refused) => (format!("{REFUSED}{}", refused.kind.as_str()), 0),
        };
        match done {
            Ok(stored) => {
                let outcome = if stored.outcome == Outcome::New {
                    STORED
                } else {
                    DUPLICATE
                };
                metrics::counter!("gongying_received_objects_total", "source" => source, "outcome" => outcome)
                    .increment(1);
                metrics::counter!("gongying_received_bytes_total", "source" => source).increment(size);
            }
            Err(refused) => {
                let reason = refused.kind.as_str();
                metrics::counter!("gongying_received_refused_total", "source" => source, "reason" => reason)
                    .increment(1);
            }
        }
        if let Some(device) = device {
            self.tallies().add(device, what, size);
        }
    }

    /// Writes what was counted.
    ///
    /// # Errors
    /// What the index says; the counts stay for the next try.
    pub(crate) async fn write_tallies(&self) -> Result<()> {
        let counts: Vec<_> = {
            let mut waiting = self
                .tallies()
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.drain().collect()
        };
        if counts.is_empty() {
            return Ok(());
        }
        let rows = counts.clone();
        let written = self.db().write(move |tx| {
            Box::pin(async move {
                for ((device, what), count) in &rows {
                    let values = params![*device, what, count.total, count.size_bytes, count.last_at];
                    tx.execute(sql::ADD, values).await?;
                }
                Ok::<_, ArchiveError>(())
            })
        });
        let written = written.await;
        if written.is_err() {
            self.tallies().put_back(counts);
        }
        written
    }

    /// What each device did; devices that did nothing are left out. Behind by a few seconds.
    ///
    /// # Errors
    /// What the index says.
    pub async fn device_activity(&self) -> Result<HashMap<DeviceId, DeviceActivity>> {
        let mut all: HashMap<DeviceId, DeviceActivity> = HashMap::new();
        for row in self.db().fetch_all(sql::READ, params![ROWS_MAX]).await? {
            let number = |name: &str| row.int(name).map(|n| u64::try_from(n).unwrap_or(0));
            let of = all.entry(DeviceId(row.int("device_id")?)).or_default();
            of.take(
                &row.text("what")?,
                number("total")?,
                number("size_bytes")?,
                row.micros("last_at")?,
            );
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use crate::device::NewDevice;
    use crate::receive::{Sender, Source};
    use crate::testing::{ObjectSpec, hospital, temporary};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_device_is_counted_by_what_became_of_its_objects() {
        let (archive, _folder) = temporary(&[]).await.unwrap();
        let institution = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
        let new = NewDevice {
            name: "CT".into(),
            ae_title: "CT".into(),
            institution_id: institution,
            from_addr: None,
            may_store: true,
            may_query: false,
            may_retrieve: false,
            listener: None,
            expires_at: None,
        };
        let device = archive.devices().create(new).await.unwrap();
        let sender = Sender::device(&device, "127.0.0.1".parse().unwrap(), Source::CStore);
        let put = |spec: ObjectSpec| archive.receive_part10(sender.clone(), None, spec.file_bytes().into());
        let first = put(ObjectSpec::new("1.1", 1, 1)).await.unwrap();
        put(ObjectSpec::new("1.1", 1, 2)).await.unwrap();
        put(ObjectSpec::new("1.1", 1, 2)).await.unwrap();
        let mut other = ObjectSpec::new("1.1", 1, 1);
        other.patient_name = "X".into();
        put(other).await.unwrap_err();
        archive.note_rejected(device.id, "wrong_address");
        archive.write_tallies().await.unwrap();
        archive.write_tallies().await.unwrap();
        put(ObjectSpec::new("1.1", 1, 3)).await.unwrap();
        archive.write_tallies().await.unwrap();
        let activity = archive
            .device_activity()
            .await
            .unwrap()
            .remove(&device.id)
            .unwrap();
        assert_eq!(
            (activity.stored, activity.duplicate, activity.refused_total()),
            (3, 1, 1)
        );
        assert_eq!(activity.stored_bytes, first.size_bytes * 3);
        assert_eq!(activity.refused["duplicate_other"], 1);
        assert_eq!(activity.rejected["wrong_address"], 1);
        assert_eq!(activity.last_refused.as_deref(), Some("wrong_address"));
        assert!(activity.last_stored_at > activity.last_refused_at);
    }
}
