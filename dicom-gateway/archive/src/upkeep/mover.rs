//! The older objects move from the disk of this machine to the bucket.
//!
//! **Order:** copy, read the copy back and compare its digests, say so in the index, remove the file
//! here. Whatever ends this process in between, the object is whole in at least one place, and the
//! next turn goes on from there.

use super::{Walk, Walked, blocking, sql};
use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::ids::UnixMicros;
use crate::params;
use crate::store::{CopyCheck, FileState, Tier};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Name of the walk.
const WALK: &str = "tier";
/// Longest work at a time.
const TURN_TIME_MAX: Duration = Duration::from_secs(20);
/// Objects younger than this stay: their study is still arriving or about to be read.
const YOUNG: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const GB: u64 = 1_000_000_000;

/// What lies on this machine, counted once and then kept by what comes and goes.
#[derive(Default)]
pub(crate) struct LocalBytes(Mutex<Option<Counted>>);

#[derive(Clone, Copy)]
struct Counted {
    bytes: u64,
    /// What had been placed when it was counted.
    placed: u64,
    moved: u64,
}

impl LocalBytes {
    fn now(&self, placed: u64) -> Option<u64> {
        let counted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.map(|c| (c.bytes + placed.saturating_sub(c.placed)).saturating_sub(c.moved))
    }

    fn moved(&self, bytes: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = &mut *counted {
            counted.moved += bytes;
        }
    }
}

impl Archive {
    /// Moves what is due. Call it every few seconds.
    ///
    /// # Errors
    /// When index, disk or bucket refuse; the walk stays where it is.
    pub(crate) async fn tier_turn(&self) -> Result<()> {
        let Some(tier) = self.store().tier() else {
            return Ok(());
        };
        let end = Instant::now() + TURN_TIME_MAX;
        self.move_due(tier, UnixMicros::now(), || Instant::now() < end)
            .await
            .map(|_| ())
    }

    /// Moves what is due at a moment while `go_on` says so; gives how many objects.
    ///
    /// # Errors
    /// When index, disk or bucket refuse; the walk stays where it is.
    pub async fn move_due(
        &self,
        tier: Tier,
        now: UnixMicros,
        go_on: impl Fn() -> bool + Send,
    ) -> Result<u64> {
        if tier.keep_local_gb > 0 {
            self.count_local().await?;
        }
        let mut walk = self.walk(WALK).await?.unwrap_or(Walk {
            last: 0,
            begun_at: now,
        });
        let mut moved = 0;
        while go_on() {
            let from = walk.last;
            let page = self.page_after(walk.last).await?;
            if page.is_empty() {
                break;
            }
            for object in page {
                if !go_on() || !self.is_due(tier, &object, now) {
                    self.put_walk(WALK, from, walk).await?;
                    return Ok(moved);
                }
                moved += u64::from(self.move_away(&object).await?);
                walk.last = object.id;
            }
            if !self.put_walk(WALK, from, walk).await? {
                break;
            }
        }
        Ok(moved)
    }

    async fn count_local(&self) -> Result<()> {
        let local = &self.upkeep().local_bytes;
        if local.now(0).is_some() {
            return Ok(());
        }
        let placed = self.store().placed_bytes();
        let row = self.db().fetch_one(sql::LOCAL_BYTES, Vec::new()).await?;
        let bytes = u64::try_from(row.int("bytes")?).unwrap_or(0);
        *local.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Counted {
            bytes,
            placed,
            moved: 0,
        });
        Ok(())
    }

    fn is_due(&self, tier: Tier, object: &Walked, now: UnixMicros) -> bool {
        if object.moved {
            return true;
        }
        if object.received_at > now.minus(YOUNG) {
            return false;
        }
        let old = tier.after_days > 0 && object.received_at <= now.minus(DAY * tier.after_days);
        let local = self.upkeep().local_bytes.now(self.store().placed_bytes());
        let full = tier.keep_local_gb > 0 && local.is_some_and(|local| local > tier.keep_local_gb * GB);
        old || full
    }

    /// `false` when there is nothing to move, or the object is damaged and stays.
    async fn move_away(&self, object: &Walked) -> Result<bool> {
        let (store, key, digests) = (self.store().clone(), object.key.clone(), object.digests);
        if object.moved {
            // Its file here goes only when the copy there is sound: a crash may have come between.
            let name = key.clone();
            let copies = blocking(move || {
                if !store.is_on_first(&name)? {
                    return Ok(None);
                }
                let copies = store.check(&name, &digests, true)?;
                if copies.iter().all(|copy| copy.state == FileState::Sound) {
                    store.forget_first(&name)?;
                }
                Ok(Some(copies))
            });
            if let Some(copies) = copies.await? {
                self.note_check(&object.uid, &key, &copies).await?;
            }
            return Ok(false);
        }
        let copied = blocking(move || store.copy_away(&key, &digests)).await;
        let target = match copied {
            Ok(target) => target,
            Err(ArchiveError::Corrupt(why)) => {
                let found = CopyCheck {
                    place: "this machine".to_owned(),
                    state: FileState::Changed,
                    why,
                };
                self.note_check(&object.uid, &object.key, &[found]).await?;
                return Ok(false);
            }
            // Purged a moment ago, or lost: the check of all objects tells.
            Err(ArchiveError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let values = params![object.id, &target, &object.key];
        let is_known = self.execute(sql::MOVED, values).await? == 1;
        let (store, key) = (self.store().clone(), object.key.clone());
        blocking(move || match is_known {
            true => store.forget_first(&key),
            // Its row is gone: so is the object.
            false => store.remove(&target),
        })
        .await?;
        self.upkeep().local_bytes.moved(object.bytes);
        metrics::counter!("gongying_tier_moved_objects_total").increment(u64::from(is_known));
        metrics::counter!("gongying_tier_moved_bytes_total").increment(object.bytes);
        Ok(is_known)
    }
}
