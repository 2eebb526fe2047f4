//! Reading every object again, at a pace that ends within the days that are set.

use super::{Walk, blocking, sql};
use crate::Archive;
use crate::error::Result;
use crate::ids::UnixMicros;
use std::time::{Duration, Instant};

/// Name of the walk.
const WALK: &str = "scrub";
/// Longest work at a time.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The instance up to which objects should have been read by now.
fn due(last_instance: i64, walk: Walk, now: UnixMicros, period: Duration) -> i64 {
    let elapsed = i128::from((now.0 - walk.begun_at.0).max(0));
    let period = i128::try_from(period.as_micros()).unwrap_or(i128::MAX).max(1);
    let share = i128::from(last_instance) * elapsed / period;
    i64::try_from(share).unwrap_or(i64::MAX).min(last_instance)
}

impl Archive {
    /// Reads the objects that are due. Call it every few seconds.
    ///
    /// # Errors
    /// When the index or a bucket cannot be asked; the walk stays where it is.
    pub(crate) async fn scrub_turn(&self) -> Result<()> {
        let days = self.config().store.scrub_days;
        if days == 0 {
            return Ok(());
        }
        let end = Instant::now() + TURN_TIME_MAX;
        self.scrub(DAY * days, UnixMicros::now(), || Instant::now() < end)
            .await?;
        let damaged = self.damaged_objects().await?;
        metrics::gauge!("gongying_store_damaged_objects").set(damaged as f64);
        Ok(())
    }

    /// Reads what is due at a moment of a walk that takes `period`, while `go_on` says so.
    ///
    /// # Errors
    /// When the index or a bucket cannot be asked; the walk stays where it is.
    pub async fn scrub(
        &self,
        period: Duration,
        now: UnixMicros,
        go_on: impl Fn() -> bool + Send,
    ) -> Result<()> {
        let fresh = Walk {
            last: 0,
            begun_at: now,
        };
        let mut walk = match self.walk(WALK).await? {
            Some(walk) => walk,
            None => {
                self.put_walk(WALK, 0, fresh).await?;
                fresh
            }
        };
        let last_instance = self.db().fetch_one(sql::LAST, Vec::new()).await?.int("last")?;
        let until = due(last_instance, walk, now, period);
        while walk.last < until && go_on() {
            let from = walk.last;
            let page = self.page_after(walk.last).await?;
            if page.is_empty() {
                walk.last = until;
            }
            for object in page {
                if object.id > until || !go_on() {
                    return self.put_walk(WALK, from, walk).await.map(|_| ());
                }
                let (store, key) = (self.store().clone(), object.key.clone());
                let (digests, moved) = (object.digests, object.moved);
                let copies = blocking(move || store.check(&key, &digests, moved)).await?;
                self.note_check(&object.uid, &object.key, &copies).await?;
                metrics::counter!("gongying_scrubbed_objects_total").increment(1);
                metrics::counter!("gongying_scrubbed_bytes_total").increment(object.bytes);
                walk.last = object.id;
            }
            if !self.put_walk(WALK, from, walk).await? {
                return Ok(());
            }
        }
        if walk.last >= last_instance && walk.begun_at.plus(period) <= now {
            tracing::info!(
                objects_up_to = last_instance,
                "every stored object was read again"
            );
            self.put_walk(WALK, walk.last, fresh).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_clock() {
        let walk = Walk {
            last: 0,
            begun_at: UnixMicros(1_000_000_000),
        };
        let check = |last: i64, seconds: i64, expect: i64| {
            let now = UnixMicros(walk.begun_at.0 + seconds * 1_000_000);
            assert_eq!(
                due(last, walk, now, Duration::from_secs(100)),
                expect,
                "{last} {seconds}"
            );
        };
        check(1000, 0, 0);
        check(1000, 1, 10);
        check(1000, 50, 500);
        check(1000, 100, 1000);
        check(1000, 5000, 1000);
        check(1000, -7, 0);
        check(3, 33, 0);
        check(3, 34, 1);
        check(0, 50, 0);
        check(i64::MAX, 200, i64::MAX);
    }
}
