//! Memory that uploads of recordings may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of all uploads at once.
const ALL_BYTES_MAX: u64 = 512 << 20;

/// Counts what uploads hold; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<AtomicU64>);

impl Budget {
    /// A share that grows as its upload does.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }
}

/// What one upload holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: u64,
}

impl Share {
    /// Takes more; false when all uploads together would hold too much.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let before = self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.taken += bytes;
        before.saturating_add(bytes) <= ALL_BYTES_MAX
    }

    /// What it holds.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_given_back() {
        let budget = Budget::default();
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.grow(ALL_BYTES_MAX - 10) && other.grow(10));
        assert!(!other.grow(1));
        drop(one);
        assert!(other.grow(100));
        drop(other);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }
}
