//! Figures of this process for Prometheus.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Upper ends of the classes in which times are counted, in seconds: from an index read to a long job.
const TIME_CLASSES_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Measured times are put into their classes so often: they gather in memory until then, also when nobody asks.
const GATHER_INTERVAL: Duration = Duration::from_secs(5);

/// Begins to count; the handle gives the text.
pub(crate) fn start(tasks: &mut JoinSet<Result<()>>, stop: &CancellationToken) -> Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), TIME_CLASSES_S)
        .and_then(PrometheusBuilder::install_recorder)
        .context("metrics")?;
    let (gathering, stop) = (handle.clone(), stop.clone());
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(GATHER_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => gathering.run_upkeep(),
            }
        }
    });
    Ok(handle)
}
