//! Who may put bytes on the line next: the most urgent, at the pace that is allowed.

use super::schedule::Schedule;
use archive::UnixMicros;
use archive::edge::QueueClass;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes that were not used are given later, up to this much time.
const SLACK: Duration = Duration::from_millis(40);
/// Bulk stands back for urgent bytes at most so long at a time: a line that stalls must not stall all.
const STAND_BACK_MAX: Duration = Duration::from_secs(3);
/// Looked at again at least this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    free_at: Option<Instant>,
    waiting: BTreeSet<(QueueClass, u64)>,
    next: u64,
    urgent: usize,
}

/// The gate in front of the line.
pub(super) struct Pacer {
    schedule: Schedule,
    state: Mutex<State>,
    changed: Notify,
}

/// A place in the queue; given back when dropped.
struct Ticket<'a> {
    pacer: &'a Pacer,
    place: (QueueClass, u64),
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pacer.state().waiting.remove(&self.place);
        self.pacer.changed.notify_waiters();
    }
}

/// Urgent bytes are on their way to the line.
pub(super) struct Urgent(Arc<Pacer>);

impl Drop for Urgent {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.urgent = state.urgent.saturating_sub(1);
        drop(state);
        self.0.changed.notify_waiters();
    }
}

impl Pacer {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kilobits a second that may be sent now.
    pub(super) fn limit_kbps(&self) -> Option<u64> {
        self.schedule.limit(UnixMicros::now())
    }

    /// While this is held, what is not urgent stands back.
    pub(super) fn urgent(self: &Arc<Self>) -> Urgent {
        self.state().urgent += 1;
        Urgent(self.clone())
    }

    /// Waits until `bytes` may go. A limit of 0 lets nothing through.
    pub(super) async fn take(&self, bytes: usize, class: QueueClass) {
        let ticket = self.enter(class);
        let stood_back = Instant::now() + STAND_BACK_MAX;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let again = match self.try_take(bytes, ticket.place, stood_back) {
                Ok(()) => return,
                Err(again) => again,
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(again) => {}
            }
        }
    }

    fn enter(&self, class: QueueClass) -> Ticket<'_> {
        let mut state = self.state();
        state.next += 1;
        let place = (class, state.next);
        state.waiting.insert(place);
        Ticket { pacer: self, place }
    }

    /// Takes now, or says when to look again.
    fn try_take(&self, bytes: usize, place: (QueueClass, u64), stood_back: Instant) -> Result<(), Instant> {
        let now = Instant::now();
        let mut state = self.state();
        if state.waiting.first() != Some(&place) {
            return Err(now + LOOK_AGAIN);
        }
        if state.urgent > 0 && !place.0.is_urgent() && now < stood_back {
            return Err((now + LOOK_AGAIN).min(stood_back));
        }
        let Some(kbps) = self.limit_kbps() else {
            return Ok(());
        };
        let free_at = state.free_at.unwrap_or(now);
        if kbps == 0 {
            return Err(now + LOOK_AGAIN);
        }
        if free_at > now {
            return Err(free_at);
        }
        let time = Duration::from_secs_f64(bytes as f64 * 8.0 / (kbps as f64 * 1000.0));
        let start = now
            .checked_sub(SLACK)
            .map_or(free_at, |oldest| free_at.max(oldest));
        state.free_at = Some(start + time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(kbps: Option<u64>) -> Arc<Pacer> {
        Arc::new(Pacer::new(Schedule {
            kbps,
            rules: Vec::new(),
        }))
    }

    #[tokio::test]
    async fn the_pace_is_kept() {
        let pacer = pacer(Some(8000));
        let start = Instant::now();
        for _ in 0..100 {
            pacer.take(10_000, QueueClass::Bulk).await;
        }
        // 1 MB at 1 MB/s; a busy machine may be late, but never early.
        let took = start.elapsed().as_secs_f64();
        assert!(took > 0.9, "{took}");
    }

    #[tokio::test]
    async fn urgent_bytes_overtake_those_that_wait() {
        let pacer = pacer(Some(400));
        pacer.take(10_000, QueueClass::Bulk).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for class in [
            QueueClass::Bulk,
            QueueClass::Small,
            QueueClass::Ecg,
            QueueClass::Stat,
        ] {
            let (pacer, order) = (pacer.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                pacer.take(10_000, class).await;
                order.lock().unwrap().push(class);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), QueueClass::ALL);
    }

    #[tokio::test]
    async fn bulk_stands_back_but_not_for_ever() {
        let pacer = pacer(None);
        let urgent = pacer.urgent();
        let start = Instant::now();
        pacer.take(1, QueueClass::Ecg).await;
        assert!(start.elapsed() < STAND_BACK_MAX / 2);
        pacer.take(1, QueueClass::Bulk).await;
        assert!(start.elapsed() >= STAND_BACK_MAX);
        drop(urgent);
        let start = Instant::now();
        pacer.take(1, QueueClass::Bulk).await;
        assert!(start.elapsed() < STAND_BACK_MAX / 2);
    }
}
