//! How fast objects arrive, so that jobs leave the machine to the receivers while many come at once.
//!
//! A scanner waits for each answer of ours; a thumbnail can be made a moment later. **Invariant:**
//! a rush holds jobs back for [`HELD_MAX`] at most; then one runs at a time until it is over.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Objects within [`SPAN`] that are a rush: ten scanners do not send as many, a whole series over a
/// fast line does.
const RUSH_OBJECTS: u32 = 40;
/// Over which the objects are counted.
const SPAN: Duration = Duration::from_millis(500);
/// How long jobs wait for the end of a rush.
const HELD_MAX: Duration = Duration::from_secs(10);

/// What jobs may take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// All slots.
    All,
    /// One at a time.
    One,
    /// None before this has passed.
    Wait(Duration),
}

/// The arrivals of this process.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Beginning of the present span, and the objects in it.
    span: Option<(Instant, u32)>,
    /// The rush that goes on: its beginning and its newest object.
    rush: Option<(Instant, Instant)>,
}

impl Pace {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an object.
    pub(crate) fn arrived(&self) {
        self.arrived_at(Instant::now());
    }

    fn arrived_at(&self, now: Instant) {
        let mut state = self.lock();
        let count = match state.span {
            Some((begun, count)) if now.duration_since(begun) < SPAN => {
                state.span = Some((begun, count + 1));
                count + 1
            }
            _ => {
                state.span = Some((now, 1));
                1
            }
        };
        let goes_on = state
            .rush
            .filter(|(_, newest)| now.duration_since(*newest) < SPAN);
        state.rush = match goes_on {
            Some((begun, _)) if count >= RUSH_OBJECTS => Some((begun, now)),
            Some(rush) => Some(rush),
            None if count >= RUSH_OBJECTS => Some((now, now)),
            None => None,
        };
    }

    /// What jobs may take now.
    pub(crate) fn leave(&self) -> Leave {
        self.leave_at(Instant::now())
    }

    fn leave_at(&self, now: Instant) -> Leave {
        let Some((begun, newest)) = self.lock().rush else {
            return Leave::All;
        };
        if now.duration_since(newest) >= SPAN {
            return Leave::All;
        }
        if now.duration_since(begun) >= HELD_MAX {
            return Leave::One;
        }
        Leave::Wait(SPAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objects each `every_ms` until `end_ms`; what jobs may take then and later.
    fn check(every_ms: u64, end_ms: u64, at_end: Leave, later_ms: u64, later: Leave) {
        let (pace, begin) = (Pace::default(), Instant::now());
        let mut at = 0;
        while at <= end_ms {
            pace.arrived_at(begin + Duration::from_millis(at));
            at += every_ms;
        }
        let end = begin + Duration::from_millis(end_ms);
        assert_eq!(pace.leave_at(end), at_end, "{every_ms} ms apart for {end_ms} ms");
        let then = end + Duration::from_millis(later_ms);
        assert_eq!(pace.leave_at(then), later, "{later_ms} ms after");
    }

    #[test]
    fn jobs_wait_for_a_rush_and_for_nothing_else() {
        // an ECG cart, a slow line, a scanner on a fast line, a migration that never ends
        check(5_000, 60_000, Leave::All, 0, Leave::All);
        check(50, 30_000, Leave::All, 0, Leave::All);
        check(2, 1_000, Leave::Wait(SPAN), 500, Leave::All);
        check(2, 9_000, Leave::Wait(SPAN), 600, Leave::All);
        check(2, 30_000, Leave::One, 600, Leave::All);
    }

    #[test]
    fn a_second_rush_is_held_anew() {
        let (pace, begin) = (Pace::default(), Instant::now());
        for from_ms in [0, 60_000] {
            for n in 0..100 {
                pace.arrived_at(begin + Duration::from_millis(from_ms + n));
            }
            let end = begin + Duration::from_millis(from_ms + 100);
            assert_eq!(pace.leave_at(end), Leave::Wait(SPAN));
        }
    }
}
