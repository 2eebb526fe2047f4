//! Looks again and again for results that are missing: a job may have been lost with its queue, stopped for good
//! before it was mended, or be older than the method that would now do better.

use crate::WorkerConfig;
use crate::jobs::{ECG_ANALYSIS_VERSION, JobKind, SERIES_METADATA_VERSION, THUMBNAIL_VERSION};
use archive::receive::SeriesKind;
use archive::work::NewJob;
use archive::{Archive, ArchiveError};
use tokio::time::MissedTickBehavior;

/// Jobs asked for in one sweep and kind; the rest comes with the next.
const DUE_MAX: u32 = 200;
/// After everything that somebody waits for.
const PRIORITY: i64 = -10;
/// What no attempt could make is not tried for ever; a sweep tries it once more each time.
const ATTEMPTS: u32 = 1;

/// Sweeps until it is aborted.
pub(crate) async fn run(archive: Archive, config: WorkerConfig) {
    let mut ticks = tokio::time::interval(config.sweep_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sweep(&archive, &config.kinds).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "missing results were asked for"),
            Err(error) => tracing::warn!(%error, "missing results could not be looked for"),
        }
        if let Err(error) = gauges(&archive).await {
            tracing::warn!(%error, "the work queue does not answer");
        }
    }
}

/// Asks for what is missing; gives how many jobs.
pub(crate) async fn sweep(archive: &Archive, kinds: &[JobKind]) -> Result<usize, ArchiveError> {
    let derived = archive.derived();
    let mut asked = 0;
    for kind in kinds {
        let word = kind.as_str();
        let due = match kind {
            JobKind::Thumbnail => {
                derived
                    .due_series(word, THUMBNAIL_VERSION, Some(SeriesKind::Image), DUE_MAX)
                    .await?
            }
            JobKind::SeriesMetadata => {
                derived
                    .due_series(word, SERIES_METADATA_VERSION, None, DUE_MAX)
                    .await?
            }
            JobKind::EcgAnalysis => {
                derived
                    .due_instances(word, ECG_ANALYSIS_VERSION, SeriesKind::Waveform, DUE_MAX)
                    .await?
            }
            // Asked for whenever a study grows quiet; it judges what was sent, not what is kept.
            JobKind::Quality => Vec::new(),
        };
        for subject in due {
            let job = NewJob::new(word, subject)
                .priority(PRIORITY)
                .max_attempts(ATTEMPTS);
            archive.work().enqueue_now(job).await?;
            asked += 1;
        }
    }
    Ok(asked)
}

async fn gauges(archive: &Archive) -> Result<(), ArchiveError> {
    let state = archive.work().state().await?;
    metrics::gauge!("gongying_jobs_waiting").set(state.waiting as f64);
    metrics::gauge!("gongying_jobs_running").set(state.running as f64);
    metrics::gauge!("gongying_jobs_dead").set(state.dead as f64);
    let oldest = state
        .oldest_due
        .map_or(0.0, |at| archive::UnixMicros::now().since(at).as_secs_f64());
    metrics::gauge!("gongying_jobs_oldest_due_seconds").set(oldest);
    Ok(())
}
