//! What must happen from time to time while an archive is open.

use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::{audit, recover};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// A study without a new object for this long is ready to be read.
pub const STUDY_QUIET: Duration = Duration::from_secs(5);
/// How often quiet studies are looked for.
const SETTLE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the anchor of the audit trail and the store's watermark are written.
const MARK_INTERVAL: Duration = Duration::from_secs(15);
/// How often done jobs and delivered letters are removed.
const PURGE_INTERVAL: Duration = Duration::from_secs(1800);
/// How often objects that are due are read again.
const SCRUB_INTERVAL: Duration = Duration::from_secs(10);
/// How often objects that are due move to the bucket.
const TIER_INTERVAL: Duration = Duration::from_secs(30);
/// Names that get new keys in one go after the rules for names changed.
const NAMES_AT_ONCE: u32 = 200;
/// How long done jobs and delivered letters are kept.
const DONE_KEPT: Duration = Duration::from_secs(24 * 3600);

impl Archive {
    /// Looks after the archive until `stop` ends: quiet studies become ready, anchors are written,
    /// done jobs are removed, stored objects are read again and moved. Run it once in each process that keeps an archive open.
    pub async fn housekeeping(&self, stop: impl Future<Output = ()> + Send) {
        let stop = stop.shared();
        // Walks over all objects take long turns; the others must not wait for them.
        let walks = async {
            tokio::select! {
                () = stop.clone() => {}
                () = self.walks() => {}
            }
        };
        tokio::join!(self.short_turns(stop.clone()), walks);
    }

    async fn walks(&self) {
        let mut scrub = interval(SCRUB_INTERVAL);
        let mut tier = interval(TIER_INTERVAL);
        for tick in [&mut scrub, &mut tier] {
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let (what, done) = tokio::select! {
                _ = scrub.tick() => ("reading stored objects again", self.scrub_turn().await),
                _ = tier.tick() => ("moving objects to the bucket", self.tier_turn().await),
            };
            self.upkeep().troubles.note(what, &done);
            if let Err(error) = done {
                tracing::warn!(%error, what, "a walk over the objects failed and is tried again");
            }
        }
    }

    async fn short_turns(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let ticks = [SETTLE_INTERVAL, MARK_INTERVAL, PURGE_INTERVAL].map(|period| {
            let mut tick = interval(period);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        });
        let [mut settle, mut mark, mut purge] = ticks;
        let mut names_done = false;
        loop {
            let (what, done) = tokio::select! {
                () = &mut stop => break,
                _ = settle.tick() => ("quiet studies", self.settle(&mut names_done).await),
                _ = mark.tick() => {
                    self.look().await;
                    ("anchors", self.write_marks().await.and(self.device_figures().await))
                }
                _ = purge.tick() => ("done jobs", self.purge_done().await),
            };
            if let Err(error) = done {
                tracing::warn!(%error, what, "housekeeping failed and is tried again");
            }
        }
        let ended = self.write_tallies().await.and(self.write_marks().await);
        if let Err(error) = ended {
            tracing::warn!(%error, "anchors could not be written at the end");
        }
    }

    async fn settle(&self, names_done: &mut bool) -> Result<()> {
        self.studies().settle_quiet(STUDY_QUIET).await?;
        self.write_tallies().await?;
        if !*names_done {
            *names_done = self.patients().renew_keys(NAMES_AT_ONCE).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_marks(&self) -> Result<()> {
        // What came before this moment is made durable first; then the mark may say so.
        let mark = self.placements().watermark();
        if let Some(journal) = self.store().journal() {
            journal.rotate();
        }
        self.db().flush().await?;
        let archive = self.clone();
        let written = tokio::task::spawn_blocking(move || recover::write_watermark(&archive, mark)).await;
        written.map_err(|_| ArchiveError::Closed)??;
        audit::write_anchor(self.db(), &self.config().data_dir).await
    }

    async fn purge_done(&self) -> Result<()> {
        self.work().purge_done(DONE_KEPT).await?;
        self.outbox().purge_delivered(DONE_KEPT).await?;
        Ok(())
    }
}
