//! How this node is: for its page, for the centre, and as metrics.

use super::clerk::path_of;
use super::{Edge, Shared, lock};
use archive::ArchiveError;
use archive::UnixMicros;
use archive::edge::status::{KeptReport, NodeStatus};
use archive::edge::wire::Heartbeat;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often metrics are set.
const MEASURE_INTERVAL: Duration = Duration::from_millis(500);
/// Refused objects that are shown.
const REFUSED_SHOWN: u32 = 50;

pub(super) async fn heartbeat(shared: &Shared) -> Result<Heartbeat, ArchiveError> {
    let counts = shared.spool.counts().await?;
    let (spool_bytes, spool_bytes_max) = shared.spool.bytes();
    let (_, refused) = shared.spool.refused_objects(1).await?;
    Ok(Heartbeat {
        version: shared.config.version.clone(),
        now: UnixMicros::now().0,
        waiting: counts.map(|count| count.objects),
        waiting_bytes: counts.iter().map(|count| count.bytes).sum(),
        spool_bytes,
        spool_bytes_max,
        refused,
    })
}

/// Sets the gauges, for ever.
pub(super) async fn measure(shared: Arc<Shared>) {
    loop {
        match shared.spool.counts().await {
            Ok(counts) => {
                let all: u64 = counts.iter().map(|count| count.objects).sum();
                metrics::gauge!("gongying_edge_queue_objects").set(all as f64);
                for count in counts {
                    let class = count.class.number().to_string();
                    metrics::gauge!("gongying_edge_queue_class_bytes", "class" => class)
                        .set(count.bytes as f64);
                }
            }
            Err(error) => tracing::warn!(%error, "the queue cannot be read"),
        }
        let (bytes, bytes_max) = shared.spool.bytes();
        metrics::gauge!("gongying_edge_spool_bytes").set(bytes as f64);
        metrics::gauge!("gongying_edge_spool_full").set(f64::from(u8::from(bytes >= bytes_max)));
        metrics::gauge!("gongying_edge_line_up").set(f64::from(u8::from(shared.line.is_up())));
        tokio::time::sleep(MEASURE_INTERVAL).await;
    }
}

impl Edge {
    /// How this node is.
    ///
    /// # Errors
    /// What the index says.
    pub async fn status(&self) -> Result<NodeStatus, ArchiveError> {
        let shared = &self.shared;
        let (spool_bytes, spool_bytes_max) = shared.spool.bytes();
        let (refused, _) = shared.spool.refused_objects(REFUSED_SHOWN).await?;
        let queue = shared.spool.counts().await?;
        let (rejects, reports) = {
            let lists = lock(&shared.lists);
            (lists.rejects.clone(), lists.reports.clone())
        };
        let folder = shared.config.reports_dir.clone();
        let look = move || {
            let kept = reports.into_iter().map(|report| KeptReport {
                is_here: path_of(&folder, &report.study_uid, report.version).exists(),
                report,
            });
            kept.collect()
        };
        let reports = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| ArchiveError::Closed)?;
        let identity = shared.identity.borrow().clone();
        let counters = &shared.counters;
        Ok(NodeStatus {
            version: shared.config.version.clone(),
            node: identity.as_ref().map(|identity| identity.node.clone()),
            institution: identity.map(|identity| identity.institution_name),
            centre_url: shared.config.centre_url.clone(),
            line: shared.line.state(),
            line_error: shared.line.error(),
            last_contact_at: shared.line.last_contact(),
            clock_offset_us: shared.line.clock_offset_us(),
            limit_kbps: shared.pacer.limit_kbps(),
            queue,
            spool_bytes,
            spool_bytes_max,
            sent_objects: counters.objects.load(Ordering::Relaxed),
            sent_bytes: counters.bytes.load(Ordering::Relaxed),
            travelled_bytes: counters.travelled.load(Ordering::Relaxed),
            refused,
            rejects,
            reports,
            ecgs: lock(&shared.gate_words).iter().cloned().collect(),
        })
    }

    /// PDF of a report that is kept here; only of one that is listed.
    pub async fn report(&self, study_uid: &str, version: i64) -> Option<Vec<u8>> {
        let is_listed = lock(&self.shared.lists)
            .reports
            .iter()
            .any(|report| report.study_uid == study_uid && report.version == version);
        let path = path_of(&self.shared.config.reports_dir, study_uid, version);
        match is_listed {
            true => tokio::fs::read(path).await.ok(),
            false => None,
        }
    }

    /// Whether this node can take objects: it was let in, its index answers, its spool has room.
    pub async fn is_ready(&self) -> bool {
        let (bytes, bytes_max) = self.shared.spool.bytes();
        let known = self.shared.identity.borrow().is_some();
        known && bytes < bytes_max && self.shared.spool.counts().await.is_ok()
    }
}
