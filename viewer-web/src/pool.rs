//! A bounded pool for compute: decoding, rendering, reformats.

use crate::problem::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Requests that may wait per running slot before a new one is turned away.
const WAITING_PER_SLOT: usize = 64;

/// Runs closures on blocking threads, at most `slots` at once and a bounded number waiting.
///
/// A closure that has started runs to its end even when its asker has gone; the slot stays taken until then, so
/// the number of busy threads never exceeds the slots.
#[derive(Clone, Debug)]
pub struct Pool {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Pool {
    /// A pool of that many threads at once (at least one).
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(1);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            waiting: Arc::new(AtomicUsize::new(0)),
            waiting_max: slots.saturating_mul(WAITING_PER_SLOT),
        }
    }

    /// Runs `work` and gives its result, or 503 when too many wait, or 500 when it could not run to its end.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let turn = Waiting::enter(&self.waiting, self.waiting_max).ok_or_else(|| Problem::busy(2))?;
        let permit = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|e| Problem::internal(&e))?;
        drop(turn);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(|e| Problem::internal(&e))
    }
}

/// Counts one waiter until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(count);
        (before < max).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_runs_and_its_result_comes_back() {
        assert_eq!(Pool::new(0).run(|| 6 * 7).await.unwrap(), 42);
    }

    #[tokio::test]
    async fn one_too_many_is_turned_away_and_the_others_are_served() {
        let pool = Pool::new(1);
        let (release, gate) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || gate.recv().is_ok()).await }
        });
        while pool.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiters: Vec<_> = (0..WAITING_PER_SLOT)
            .map(|i| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.run(move || i).await })
            })
            .collect();
        while pool.waiting.load(Ordering::Relaxed) < WAITING_PER_SLOT {
            tokio::task::yield_now().await;
        }
        let refused = pool.run(|| ()).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        release.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        for (i, waiter) in waiters.into_iter().enumerate() {
            assert_eq!(waiter.await.unwrap().unwrap(), i);
        }
        assert_eq!(pool.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_panic_inside_is_500_and_frees_the_slot() {
        let pool = Pool::new(1);
        let failed = pool.run(|| panic!("broken image")).await;
        let failed: Problem = match failed {
            Err(problem) => problem,
            Ok(()) => unreachable!(),
        };
        assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(pool.run(|| 1).await.unwrap(), 1);
    }
}
