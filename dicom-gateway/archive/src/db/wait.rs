//! Runs a future on a thread of its own, outside any async runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end; `None` when it is not done in time. What only runs statements of this
/// thread never waits at all.
pub(super) fn wait<F: Future>(future: F, time_max: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let end = Instant::now() + time_max;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_runs_to_its_end_or_to_its_deadline() {
        assert_eq!(wait(async { 7 }, Duration::from_secs(1)), Some(7));
        let never = std::future::pending::<()>();
        assert_eq!(wait(never, Duration::from_millis(5)), None);
        let (send, receive) = tokio::sync::oneshot::channel();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            send.send(3)
        });
        assert_eq!(wait(receive, Duration::from_secs(5)), Some(Ok(3)));
        assert!(other.join().is_ok());
    }
}
