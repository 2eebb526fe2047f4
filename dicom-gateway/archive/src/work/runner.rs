//! A worker process's side of the queue: claims, renews, settles.

use super::{Job, Leave, Work};
use crate::error::Result;
use crate::ids::{JobId, UnixMicros};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Results settled in one transaction at most.
const SETTLE_MAX: usize = 256;
/// Wait after the database did not answer.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// A due time this near is not slept for.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// How a runner works.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Kinds of jobs it serves.
    pub kinds: Vec<&'static str>,
    /// Jobs at once.
    pub slots: usize,
    /// Time after which a silent worker counts as dead. Renewed at a third of it.
    pub lease: Duration,
    /// Longest time between looks at the queue without news.
    pub poll: Duration,
}

impl RunnerOptions {
    /// A lease of 30 s, a look each second.
    pub fn new(kinds: Vec<&'static str>, slots: usize) -> Self {
        Self {
            kinds,
            slots: slots.max(1),
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
        }
    }
}

type Handler = Arc<dyn Fn(Job) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

struct Running {
    attempt: i64,
    task: AbortHandle,
}

/// Runs jobs with a handler until told to stop.
pub struct Runner {
    work: Work,
    options: RunnerOptions,
    worker: String,
    handler: Handler,
    running: HashMap<JobId, Running>,
    ended: mpsc::UnboundedSender<(Job, Result<(), String>)>,
    results: mpsc::UnboundedReceiver<(Job, Result<(), String>)>,
    drain: bool,
}

impl Runner {
    /// A runner; `handler` must do its computing on other threads, and must be idempotent.
    pub fn new<F>(work: Work, options: RunnerOptions, handler: F) -> Self
    where
        F: Fn(Job) -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        // Bounded by the slots: each running job sends one result.
        let (ended, results) = mpsc::unbounded_channel();
        Self {
            work,
            options,
            // One name for one start: a worker that comes back is another one.
            worker: format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()),
            handler: Arc::new(handler),
            running: HashMap::new(),
            ended,
            results,
            drain: false,
        }
    }

    /// Works until `stop` ends, then puts back what it holds.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut renewal = tokio::time::interval(self.options.lease / 3);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let wake = self.work.wake.clone();
        loop {
            // Listen before looking, so that no news fall between.
            let news = wake.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            let wait = self.take_more().await;
            tokio::select! {
                () = &mut stop => break,
                () = news, if self.wants_more() => {}
                () = tokio::time::sleep(wait) => {}
                _ = renewal.tick() => self.renew().await,
                Some(first) = self.results.recv() => self.settle(first).await,
            }
        }
        self.give_back().await;
    }

    fn wants_more(&self) -> bool {
        let may = !self.drain || self.running.is_empty();
        may && self.running.len() < self.options.slots
    }

    /// Claims for the free slots; gives how long to wait for the next look.
    async fn take_more(&mut self) -> Duration {
        if !self.wants_more() {
            return self.options.poll;
        }
        let busy = !self.running.is_empty();
        let free = match self.work.pace.leave() {
            Leave::All => self.options.slots - self.running.len(),
            Leave::One if !busy => 1,
            Leave::One => return self.options.poll,
            Leave::Wait(wait) => return wait,
        };
        let claim = self
            .work
            .claim(&self.worker, &self.options.kinds, free, busy, self.options.lease);
        match claim.await {
            Ok(claimed) => {
                self.drain = claimed.drain;
                let got = claimed.jobs.len();
                claimed.jobs.into_iter().for_each(|job| self.start(job));
                if got == 0 && !self.drain {
                    return self.until_due().await;
                }
                self.options.poll
            }
            Err(error) => {
                tracing::warn!(%error, "the work queue does not answer");
                RETRY_WAIT
            }
        }
    }

    async fn until_due(&self) -> Duration {
        match self.work.next_due().await {
            // A job of another kind may be due all the time: never look in a hurry for ever.
            Ok(Some(at)) if at > UnixMicros::now() => {
                at.since(UnixMicros::now()).clamp(WAIT_MIN, self.options.poll)
            }
            _ => self.options.poll,
        }
    }

    fn start(&mut self, job: Job) {
        let (ended, handler, name) = (self.ended.clone(), self.handler.clone(), job.clone());
        let inner = tokio::spawn(handler(job.clone()));
        let task = inner.abort_handle();
        tokio::spawn(async move {
            let result = match inner.await {
                Ok(result) => result,
                Err(error) if error.is_cancelled() => return,
                Err(_) => Err("the job ended unexpectedly".to_owned()),
            };
            // The runner has gone: the lease runs out.
            let _ = ended.send((name, result));
        });
        let running = Running {
            attempt: job.attempt,
            task,
        };
        self.running.insert(job.id, running);
    }

    async fn settle(&mut self, first: (Job, Result<(), String>)) {
        let mut ended = vec![first];
        while ended.len() < SETTLE_MAX
            && let Ok(more) = self.results.try_recv()
        {
            ended.push(more);
        }
        // Only results of the attempt that runs here now.
        ended.retain(|(job, _)| {
            self.running
                .get(&job.id)
                .is_some_and(|r| r.attempt == job.attempt)
        });
        for (job, result) in &ended {
            self.running.remove(&job.id);
            if let Err(error) = result {
                tracing::warn!(job = job.id.0, kind = %job.kind, attempt = job.attempt, %error, "a job failed");
            }
        }
        if ended.is_empty() {
            return;
        }
        // Done work is not thrown away because the database is away for a moment. After a lease
        // somebody else has the jobs.
        let end = tokio::time::Instant::now() + self.options.lease;
        loop {
            match self.work.settle(ended.clone()).await {
                Ok(held) => {
                    let lost = held.iter().filter(|held| !**held).count();
                    if lost > 0 {
                        tracing::warn!(lost, "results came after their lease and were dropped");
                    }
                    return;
                }
                Err(error) if tokio::time::Instant::now() < end => {
                    tracing::warn!(%error, "results could not be written yet");
                    tokio::time::sleep(RETRY_WAIT).await;
                }
                Err(error) => {
                    tracing::error!(%error, "results could not be written");
                    return;
                }
            }
        }
    }

    async fn renew(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let held = self.running.iter().map(|(id, r)| (*id, r.attempt)).collect();
        match self.work.renew(held, self.options.lease).await {
            Ok(lost) => {
                for id in lost {
                    if let Some(running) = self.running.remove(&id) {
                        tracing::warn!(job = id.0, "the lease of a job was lost; it is ended here");
                        running.task.abort();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "leases could not be renewed"),
        }
    }

    async fn give_back(&mut self) {
        let held: Vec<_> = self.running.iter().map(|(id, r)| (*id, r.attempt)).collect();
        self.running.values().for_each(|running| running.task.abort());
        if !held.is_empty()
            && let Err(error) = self.work.give_back(held).await
        {
            tracing::warn!(%error, "jobs could not be put back; their leases run out");
        }
    }
}

/// Listens for news of other machines until the handle is gone.
pub(crate) fn listen(work: &Work) {
    let Some(pool) = work.db.postgres().cloned() else {
        return;
    };
    let wake = Arc::downgrade(&work.wake);
    tokio::spawn(async move {
        while wake.strong_count() > 0 {
            let Ok(mut listener) = sqlx::postgres::PgListener::connect_with(&pool).await else {
                tokio::time::sleep(RETRY_WAIT).await;
                continue;
            };
            if listener.listen("gongying_job").await.is_err() {
                tokio::time::sleep(RETRY_WAIT).await;
                continue;
            }
            loop {
                let heard = tokio::time::timeout(Duration::from_secs(5), listener.recv()).await;
                let Some(wake) = wake.upgrade() else { return };
                match heard {
                    Ok(Ok(_)) => wake.notify_waiters(),
                    Ok(Err(_)) => break,
                    Err(_) => {}
                }
            }
        }
    });
}
