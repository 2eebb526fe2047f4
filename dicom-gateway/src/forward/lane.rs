//! The lanes of one destination: each an association at a time, and waits that they share.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archive::outbox::Claimed;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::deliver::{Courier, Open};
use super::{Endpoint, Forwarding, outbox_name};

/// How long this process holds claimed letters; renewed while it lives.
const LEASE: Duration = Duration::from_secs(120);
/// How often leases are renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(40);
/// A batch is made to last about this long, so that a STAT letter waits no longer.
const BATCH_TIME: Duration = Duration::from_secs(2);
/// Letters of the first batch, and of any.
const BATCH_FIRST: u32 = 4;
const BATCH_MAX: u32 = 64;
/// An idle association stays open for this long: objects of a study come one by one.
const LINGER: Duration = Duration::from_secs(2);
/// Wait after a destination could not be reached; doubled after each time.
const DOWN_FIRST: Duration = Duration::from_secs(2);
/// Longest of these waits.
const DOWN_MAX: Duration = Duration::from_secs(300);

/// The `count`-th wait: doubled each time, up to `max`, a fifth more or less so that many that
/// failed together do not come back together.
pub(super) fn wait_after(count: i64, first: Duration, max: Duration) -> Duration {
    let doublings = u32::try_from((count - 1).clamp(0, 24)).unwrap_or(0);
    let wait = first.saturating_mul(1 << doublings).min(max);
    let random = RandomState::new().build_hasher().finish() % 401;
    wait.mul_f64(0.8 + random as f64 / 1000.0)
}

#[derive(Debug, Default)]
struct Reach {
    failures: i64,
    down_until: Option<Instant>,
}

/// What the lanes of one destination share.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    reach: Mutex<Reach>,
    running: AtomicUsize,
}

/// A running lane; counts as such until it is dropped.
pub(super) struct Running(Arc<Lanes>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lanes {
    /// Lanes that run now.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Counts one more lane.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    /// The destination is not to be tried yet.
    pub(super) fn is_down(&self) -> bool {
        let reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        reach.down_until.is_some_and(|until| Instant::now() < until)
    }

    fn went_well(&self) {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner) = Reach::default();
    }

    /// Notes that it could not be reached; the wait, unless another lane noted it just now.
    fn went_down(&self) -> Option<Duration> {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if reach.down_until.is_some_and(|until| now < until) {
            return None;
        }
        reach.failures += 1;
        let wait = wait_after(reach.failures, DOWN_FIRST, DOWN_MAX);
        reach.down_until = Some(now + wait);
        Some(wait)
    }
}

/// Letters of the next batch, from how long this one took.
fn next_size(size: u32, took: Duration) -> u32 {
    let wished = f64::from(size) * BATCH_TIME.as_secs_f64() / took.as_secs_f64().max(0.001);
    // not more than twice as many at once: one quick batch proves little
    (wished as u32).clamp(1, (size * 2).min(BATCH_MAX))
}

/// Delivers to one destination until nothing is due, then ends.
pub(super) struct Lane {
    pub(super) forwarding: Forwarding,
    pub(super) name: String,
    pub(super) lanes: Arc<Lanes>,
    pub(super) shutdown: CancellationToken,
}

impl Lane {
    pub(super) async fn run(self) {
        let endpoint = match self.forwarding.endpoint(&self.name).await {
            Ok(endpoint) => endpoint,
            Err(reason) => return self.nowhere(&reason).await,
        };
        let (mut open, mut size) = (None, BATCH_FIRST);
        while !self.shutdown.is_cancelled() {
            let batch = match self.claim(size).await {
                Some(batch) if !batch.is_empty() => batch,
                Some(_) if open.is_some() && self.more_came().await => continue,
                _ => break,
            };
            let start = Instant::now();
            if !self.deliver(&endpoint, &mut open, batch).await {
                break;
            }
            size = next_size(size, start.elapsed());
        }
        if let Some(Open { client, .. }) = open {
            client.release().await;
        }
    }

    async fn claim(&self, size: u32) -> Option<Vec<Claimed>> {
        let outbox = self.forwarding.archive.outbox();
        match outbox.claim(&outbox_name(&self.name), size, LEASE).await {
            Ok(batch) => Some(batch),
            Err(error) => {
                warn!(destination = %self.name, "letters cannot be claimed: {error}");
                None
            }
        }
    }

    /// Waits a moment for new letters to this destination.
    async fn more_came(&self) -> bool {
        let outbox = self.forwarding.archive.outbox();
        let name = outbox_name(&self.name);
        let end = Instant::now() + LINGER;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                came = timeout_at(end, outbox.changed()) => if came.is_err() { return false },
            }
            if outbox.claimable(&name).await.is_ok_and(|count| count > 0) {
                return true;
            }
        }
    }

    /// Delivers a batch and notes its end; false when the destination is to be left alone.
    async fn deliver(&self, endpoint: &Endpoint, open: &mut Option<Open>, batch: Vec<Claimed>) -> bool {
        let _renewing = self.renew(&batch);
        let courier = Courier {
            forwarding: &self.forwarding,
            endpoint,
            shutdown: &self.shutdown,
        };
        let report = courier.deliver(open, batch).await;
        if report.delivered > 0 {
            self.lanes.went_well();
        }
        if let Some(reason) = &report.broken
            && let Some(wait) = self.lanes.went_down()
        {
            info!(destination = %self.name, "next try in {:.0} s: {reason}", wait.as_secs_f64());
        }
        let outbox = self.forwarding.archive.outbox();
        if let Err(error) = outbox.settle(report.settled, report.follow).await {
            // leases end by themselves and the letters go again: twice rather than never
            warn!(destination = %self.name, "deliveries cannot be noted: {error}");
            return false;
        }
        report.broken.is_none()
    }

    /// Keeps the leases of a batch until the handle is dropped.
    fn renew(&self, batch: &[Claimed]) -> AbortOnDropHandle<()> {
        let held: Vec<_> = batch.iter().map(|c| (c.letter.id, c.claim)).collect();
        let outbox = self.forwarding.archive.outbox();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_INTERVAL).await;
                if let Err(error) = outbox.renew(held.clone(), LEASE).await {
                    warn!("leases of the outbox cannot be renewed: {error}");
                }
            }
        }))
    }

    /// The destination is not known (any more): letters keep waiting and say so.
    async fn nowhere(&self, reason: &str) {
        let outbox = self.forwarding.archive.outbox();
        let claimed = outbox.claim(&outbox_name(&self.name), BATCH_MAX, LEASE).await;
        let limits = self.forwarding.limits;
        let settled = claimed.unwrap_or_default().into_iter().map(|claimed| {
            let end = super::deliver::unreachable(&claimed, reason, limits);
            claimed.ended(end)
        });
        if let Err(error) = outbox.settle(settled.collect(), Vec::new()).await {
            warn!(destination = %self.name, "{error}");
        }
        if let Some(wait) = self.lanes.went_down() {
            warn!(destination = %self.name, "next try in {:.0} s: {reason}", wait.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_spread() {
        let seconds = Duration::from_secs;
        for (count, least, most) in [
            (0, 8, 12),
            (1, 8, 12),
            (2, 16, 24),
            (5, 128, 192),
            (30, 2880, 4320),
            (i64::MAX, 2880, 4320),
        ] {
            for _ in 0..50 {
                let wait = wait_after(count, seconds(10), seconds(3600));
                assert!(
                    (seconds(least)..=seconds(most)).contains(&wait),
                    "{count}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn batches_follow_the_line() {
        let check = |size, took_ms, expect| {
            assert_eq!(
                next_size(size, Duration::from_millis(took_ms)),
                expect,
                "{size} in {took_ms} ms"
            );
        };
        check(4, 0, 8);
        check(4, 100, 8);
        check(8, 4000, 4);
        check(4, 60_000, 1);
        check(64, 10, 64);
        check(1, 2000, 1);
    }

    #[test]
    fn lanes_that_fail_together_count_once() {
        let lanes = Lanes::default();
        let first = lanes.went_down().expect("counted");
        assert!(lanes.is_down());
        assert!(lanes.went_down().is_none(), "another lane noted it just now");
        lanes.went_well();
        assert!(!lanes.is_down());
        let again = lanes.went_down().expect("counted anew");
        assert!(first.max(again) < DOWN_FIRST.mul_f64(1.3), "{first:?} {again:?}");
    }
}
