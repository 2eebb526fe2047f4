//! Whether the centre can be reached, and when to try again.

use archive::UnixMicros;
use archive::edge::status::LineState;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Wait after the first failure; doubled after each.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest wait between two tries.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// Wait after the centre said that this node may not.
const SHUT_OUT_WAIT: Duration = Duration::from_secs(60);

struct Facts {
    failures: u32,
    failed_at: Option<Instant>,
    retry_at: Instant,
    error: Option<String>,
    last_contact: Option<UnixMicros>,
    clock_offset_us: Option<i64>,
}

/// The line as all tasks know it.
pub(super) struct Line {
    facts: Mutex<Facts>,
    state: watch::Sender<LineState>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            facts: Mutex::new(Facts {
                failures: 0,
                failed_at: None,
                retry_at: Instant::now(),
                error: None,
                last_contact: None,
                clock_offset_us: None,
            }),
            state: watch::Sender::new(LineState::Down),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> LineState {
        *self.state.borrow()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state() == LineState::Up
    }

    /// Waits until the centre answers.
    pub(super) async fn up(&self) {
        // The sender lives as long as this.
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| *state == LineState::Up)
            .await;
    }

    /// When the next try is due.
    pub(super) fn retry_at(&self) -> Instant {
        self.facts().retry_at
    }

    /// The centre answered.
    pub(super) fn answered(&self) {
        let mut facts = self.facts();
        facts.failures = 0;
        facts.error = None;
        facts.last_contact = Some(UnixMicros::now());
        drop(facts);
        let news = |state: &mut LineState| std::mem::replace(state, LineState::Up) != LineState::Up;
        if self.state.send_if_modified(news) {
            tracing::info!("the centre answers");
        }
    }

    /// The centre told its clock; `asked` is when it was asked, by this clock.
    pub(super) fn clock(&self, asked: UnixMicros, theirs: i64) {
        let now = UnixMicros::now();
        let middle = asked.0 / 2 + now.0 / 2;
        self.facts().clock_offset_us = Some(theirs.saturating_sub(middle));
    }

    /// What has to be added to this clock to have the centre's.
    pub(super) fn clock_offset_us(&self) -> Option<i64> {
        self.facts().clock_offset_us
    }

    pub(super) fn last_contact(&self) -> Option<UnixMicros> {
        self.facts().last_contact
    }

    pub(super) fn error(&self) -> Option<String> {
        self.facts().error.clone()
    }

    /// Something that began at `begun` failed on the line. What failed by the same cut counts once.
    pub(super) fn failed(&self, begun: Instant, error: &str) {
        let now = Instant::now();
        let mut facts = self.facts();
        if facts.failed_at.is_some_and(|at| begun <= at) {
            return;
        }
        facts.failed_at = Some(now);
        let wait = RETRY_FIRST
            .saturating_mul(1 << facts.failures.min(10))
            .min(RETRY_LAST);
        facts.failures += 1;
        facts.retry_at = now + wait;
        facts.error = Some(error.to_owned());
        drop(facts);
        let news = |state: &mut LineState| std::mem::replace(state, LineState::Down) == LineState::Up;
        if self.state.send_if_modified(news) {
            tracing::warn!(error, "the line to the centre is down");
        } else {
            tracing::debug!(error, "the centre still does not answer");
        }
    }

    /// The centre says that this node may not.
    pub(super) fn shut_out(&self, state: LineState, error: &str) {
        let mut facts = self.facts();
        facts.retry_at = Instant::now() + SHUT_OUT_WAIT;
        facts.error = Some(error.to_owned());
        drop(facts);
        if self.state.send_replace(state) != state {
            tracing::error!(error, "the centre does not let this node in");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_cut_counts_once_and_waits_grow_to_a_bound() {
        let line = Line::new();
        line.answered();
        assert!(line.is_up());
        let begun = Instant::now();
        for _ in 0..8 {
            line.failed(begun, "reset");
        }
        assert!(!line.is_up());
        assert!(
            line.retry_at() - Instant::now() <= RETRY_FIRST,
            "eight connections, one cut"
        );
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            line.failed(Instant::now(), "refused");
        }
        let wait = line.retry_at() - Instant::now();
        assert!(wait <= RETRY_LAST && wait > RETRY_LAST / 2, "{wait:?}");
        line.answered();
        assert!(line.is_up() && line.error().is_none());
    }
}
