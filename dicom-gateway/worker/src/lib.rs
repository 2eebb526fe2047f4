//! Takes jobs from the archive, runs the engine, stores what was derived.
//!
//! **Invariants:** every job is idempotent and asks the archive anew what it is about, so a job that runs twice
//! or late does no harm. Results carry the version of the method that made them, and an older method never
//! replaces the result of a newer one. Computing happens on blocking threads behind two guards: a number of
//! slots and a budget of memory. A job that panics or runs too long fails; it does not take the worker with it.
//!
//! This crate knows no reports, no access rules and no HTTP.

mod compute;
mod error;
mod jobs;
mod object;
mod sweep;
mod waveform;

pub use compute::Compute;
pub use error::WorkerError;
pub use jobs::JobKind;

use archive::Archive;
use archive::work::{Job, Runner, RunnerOptions};
use engine::ecg::critical::Ruleset;
use jobs::Context;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Jobs at once.
    pub slots: usize,
    /// Kinds of jobs it serves.
    pub kinds: Vec<JobKind>,
    /// Memory that running jobs may use together, in MiB.
    pub memory_mib: u32,
    /// Longest time of one job.
    pub job_time_max: Duration,
    /// Time between looks for results that are missing.
    pub sweep_interval: Duration,
    /// Rules by which an ECG is critical; the national ones when none are given.
    pub critical_rules: Option<Arc<Ruleset>>,
}

impl Default for WorkerConfig {
    /// A slot for each processor, every kind, 1 GiB, 5 minutes a job, a look for missing results each minute.
    fn default() -> Self {
        Self {
            slots: std::thread::available_parallelism().map_or(2, usize::from),
            kinds: JobKind::ALL.to_vec(),
            memory_mib: 1024,
            job_time_max: Duration::from_secs(300),
            sweep_interval: Duration::from_secs(60),
            critical_rules: None,
        }
    }
}

/// Works until `shutdown` ends; jobs that are not done then go back to the queue unharmed.
pub async fn run(archive: Archive, config: WorkerConfig, shutdown: impl Future<Output = ()> + Send) {
    let kinds = config.kinds.iter().map(|kind| kind.as_str()).collect();
    let options = RunnerOptions::new(kinds, config.slots);
    let sweeper = tokio::spawn(sweep::run(archive.clone(), config.clone()));
    let context = Arc::new(Context {
        compute: Compute::new(config.slots, config.memory_mib),
        archive: archive.clone(),
        critical_rules: config.critical_rules.clone(),
    });
    let limit = config.job_time_max;
    let runner = Runner::new(archive.work(), options, move |job| {
        let context = Arc::clone(&context);
        Box::pin(async move { perform(&context, &job, limit).await })
    });
    runner.run(shutdown).await;
    sweeper.abort();
}

/// One job with its time limit, counted.
async fn perform(context: &Context, job: &Job, limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let done = tokio::time::timeout(limit, jobs::perform(context, job)).await;
    let result = match done {
        Ok(result) => result,
        Err(_) => Err(WorkerError::TooLong {
            seconds: limit.as_secs(),
        }),
    };
    let outcome = if result.is_ok() { "done" } else { "failed" };
    metrics::counter!("gongying_jobs_total", "kind" => job.kind.clone(), "outcome" => outcome).increment(1);
    metrics::histogram!("gongying_job_seconds", "kind" => job.kind.clone())
        .record(begun.elapsed().as_secs_f64());
    result.map_err(|error| error.to_string())
}
