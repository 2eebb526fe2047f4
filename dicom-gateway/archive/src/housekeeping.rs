//! What must happen from time to time while an archive is open.

use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::{audit, recover};
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
/// How long done jobs and delivered letters are kept.
const DONE_KEPT: Duration = Duration::from_secs(24 * 3600);

impl Archive {
    /// Looks after the archive until `stop` ends: quiet studies become ready, anchors are written,
    /// done jobs are removed. Run it once in each process that keeps an archive open.
    pub async fn housekeeping(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let ticks = [SETTLE_INTERVAL, MARK_INTERVAL, PURGE_INTERVAL].map(|period| {
            let mut tick = interval(period);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        });
        let [mut settle, mut mark, mut purge] = ticks;
        loop {
            let (what, done) = tokio::select! {
                () = &mut stop => break,
                _ = settle.tick() => ("quiet studies", self.studies().settle_quiet(STUDY_QUIET).await.map(|_| ())),
                _ = mark.tick() => ("anchors", self.write_marks().await),
                _ = purge.tick() => ("done jobs", self.purge_done().await),
            };
            if let Err(error) = done {
                tracing::warn!(%error, what, "housekeeping failed and is tried again");
            }
        }
        if let Err(error) = self.write_marks().await {
            tracing::warn!(%error, "anchors could not be written at the end");
        }
    }

    pub(crate) async fn write_marks(&self) -> Result<()> {
        let archive = self.clone();
        let written = tokio::task::spawn_blocking(move || recover::write_watermark(&archive)).await;
        written.map_err(|_| ArchiveError::Closed)??;
        audit::write_anchor(self.db(), &self.config().data_dir).await
    }

    async fn purge_done(&self) -> Result<()> {
        self.work().purge_done(DONE_KEPT).await?;
        self.outbox().purge_delivered(DONE_KEPT).await?;
        Ok(())
    }
}
