//! Callers that were turned away lately: what an administrator looks at to enrol a new device.
//!
//! Anyone on the network can make such rows, so they are few, short, and written seldom: counts are
//! gathered in memory and each caller is written at most once in [`WRITE_INTERVAL`].

use crate::db::{Db, Row};
use crate::device::Devices;
use crate::error::Result;
use crate::ids::UnixMicros;
use crate::params;
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows that are kept.
const ROWS_MAX: i64 = 500;
/// Callers whose counts are gathered in memory at once; more than these are only logged.
const CALLERS_MAX: usize = 512;
/// The row of a caller is written at most this often.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// Characters of a text that a peer chose.
const TEXT_CHARACTERS_MAX: usize = 64;

crate::statements! {
    mod sql {
        NOTE = "INSERT INTO refused_caller (calling, address, called, reason, certificate, count, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (calling, address) DO UPDATE SET called = excluded.called, reason = excluded.reason, certificate = excluded.certificate, count = refused_caller.count + excluded.count, last_at = excluded.last_at";
        TRIM = "DELETE FROM refused_caller WHERE last_at < (SELECT MIN(newest.last_at) FROM (SELECT last_at FROM refused_caller ORDER BY last_at DESC LIMIT $1) newest)";
        LIST = "SELECT calling, address, called, reason, certificate, count, first_at, last_at FROM refused_caller ORDER BY last_at DESC LIMIT $1";
        FORGET = "DELETE FROM refused_caller WHERE calling = $1 AND address = $2";
    }
}

/// A caller that was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedCaller {
    /// AE title that it called with.
    pub calling: String,
    /// Address that it called from.
    pub address: String,
    /// AE title that it called.
    pub called: String,
    /// Why it was turned away, in words.
    pub reason: String,
    /// SHA-256 of the certificate that it presented, in hexadecimal.
    pub certificate: Option<String>,
    /// How often.
    pub count: i64,
    /// First time.
    pub first_at: UnixMicros,
    /// Last time.
    pub last_at: UnixMicros,
}

/// What is not yet written.
#[derive(Default)]
pub(crate) struct Gathered(Mutex<HashMap<(String, IpAddr), Pending>>);

struct Pending {
    written: Instant,
    count: i64,
}

impl Gathered {
    /// How often the caller came since it was last written, when it is time to write.
    fn due(&self, caller: &(String, IpAddr)) -> Option<i64> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = map.get_mut(caller) {
            pending.count = pending.count.saturating_add(1);
            if pending.written.elapsed() < WRITE_INTERVAL {
                return None;
            }
            pending.written = Instant::now();
            return Some(std::mem::take(&mut pending.count));
        }
        if map.len() >= CALLERS_MAX {
            map.retain(|_, pending| pending.written.elapsed() < WRITE_INTERVAL);
        }
        if map.len() >= CALLERS_MAX {
            return None;
        }
        let pending = Pending {
            written: Instant::now(),
            count: 0,
        };
        map.insert(caller.clone(), pending);
        Some(1)
    }
}

fn read(row: &Row) -> Result<RefusedCaller> {
    Ok(RefusedCaller {
        calling: row.text("calling")?,
        address: row.text("address")?,
        called: row.text("called")?,
        reason: row.text("reason")?,
        certificate: row.opt_text("certificate")?,
        count: row.int("count")?,
        first_at: row.micros("first_at")?,
        last_at: row.micros("last_at")?,
    })
}

fn shortened(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(TEXT_CHARACTERS_MAX).map(printable).collect()
}

async fn write(db: &Db, caller: RefusedCaller) -> Result<()> {
    let values = params![
        caller.calling,
        caller.address,
        caller.called,
        caller.reason,
        caller.certificate,
        caller.count,
        caller.last_at
    ];
    db.write(move |tx| {
        Box::pin(async move {
            tx.execute(sql::NOTE, values).await?;
            tx.execute(sql::TRIM, params![ROWS_MAX]).await
        })
    })
    .await?;
    Ok(())
}

impl Devices {
    /// Notes that a caller was turned away. Returns at once; the row is written later, and not at
    /// all when there are too many callers.
    pub fn note_refused(
        &self,
        calling: &str,
        called: &str,
        address: IpAddr,
        certificate: Option<&str>,
        reason: &str,
    ) {
        let address = address.to_canonical();
        let calling = shortened(calling);
        let Some(count) = self.cache.refused.due(&(calling.clone(), address)) else {
            return;
        };
        let now = UnixMicros::now();
        let caller = RefusedCaller {
            calling,
            address: address.to_string(),
            called: shortened(called),
            reason: reason.to_owned(),
            certificate: certificate.map(str::to_owned),
            count,
            first_at: now,
            last_at: now,
        };
        let db = self.db.clone();
        tokio::spawn(async move {
            if let Err(error) = write(&db, caller).await {
                tracing::warn!(%error, "could not note a caller that was turned away");
            }
        });
    }

    /// Callers that were turned away, newest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn refused(&self) -> Result<Vec<RefusedCaller>> {
        let rows = self.db.fetch_all(sql::LIST, params![ROWS_MAX]).await?;
        rows.iter().map(read).collect()
    }

    /// Takes a caller off the list, when it was enrolled or is of no interest.
    ///
    /// # Errors
    /// What the index says.
    pub async fn forget_refused(&self, calling: &str, address: &str) -> Result<()> {
        let values = params![calling, address];
        self.db
            .write(move |tx| Box::pin(async move { tx.execute(sql::FORGET, values).await }))
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_comes_often_is_written_seldom() {
        let gathered = Gathered::default();
        let caller = ("X".to_owned(), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(gathered.due(&caller), Some(1));
        assert_eq!(gathered.due(&caller), None);
        assert_eq!(gathered.due(&caller), None);
        for n in 0..CALLERS_MAX * 2 {
            gathered.due(&(format!("A{n}"), IpAddr::from([10, 0, 0, 2])));
        }
        assert_eq!(gathered.0.lock().unwrap().len(), CALLERS_MAX);
    }

    #[tokio::test]
    async fn the_list_is_short_and_newest_first() {
        let (archive, _folder) = crate::testing::temporary(&[]).await.unwrap();
        let devices = archive.devices();
        let row = |n: i64| RefusedCaller {
            calling: format!("AE{n}"),
            address: "10.0.0.1".into(),
            called: "GONGYING".into(),
            reason: "unknown".into(),
            certificate: None,
            count: 1,
            first_at: UnixMicros(n),
            last_at: UnixMicros(n),
        };
        for n in 0..ROWS_MAX + 3 {
            write(archive.db(), row(n)).await.unwrap();
        }
        write(
            archive.db(),
            RefusedCaller {
                last_at: UnixMicros(9_000),
                ..row(7)
            },
        )
        .await
        .unwrap();
        let list = devices.refused().await.unwrap();
        assert_eq!(list.len() as i64, ROWS_MAX);
        assert_eq!(
            (&*list[0].calling, list[0].count, list[0].first_at),
            ("AE7", 2, UnixMicros(7))
        );
        devices.forget_refused("AE7", "10.0.0.1").await.unwrap();
        assert_ne!(devices.refused().await.unwrap()[0].calling, "AE7");
    }
}
