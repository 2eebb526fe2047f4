//! Slows password guessing from one address, whatever accounts it tries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failed tries that one address may make within the window.
const FAILURES_MAX: u32 = 30;
/// The window.
const WINDOW: Duration = Duration::from_secs(300);
/// Addresses remembered; beyond, the oldest are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// Failed tries by address.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    by_address: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Tries {
    /// Seconds to wait when the address has failed too often; none when it may try.
    pub(crate) fn wait_s(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let tries = self
            .by_address
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (failures, since) = tries.get(&address)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(*since))?;
        (*failures >= FAILURES_MAX).then(|| left.as_secs().max(1))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) {
        let mut tries = self
            .by_address
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if tries.len() >= ADDRESSES_MAX {
            tries.retain(|_, (_, since)| now.saturating_duration_since(*since) < WINDOW);
            if tries.len() >= ADDRESSES_MAX {
                tries.clear();
            }
        }
        let entry = tries.entry(address).or_insert((0, now));
        if now.saturating_duration_since(entry.1) >= WINDOW {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }

    /// A right password clears the address.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        self.by_address
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_failures_close_the_door_for_the_rest_of_the_window() {
        let (tries, now) = (Tries::default(), Instant::now());
        let here: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..FAILURES_MAX {
            assert_eq!(tries.wait_s(here, now), None);
            tries.failed(here, now);
        }
        assert_eq!(tries.wait_s(here, now), Some(300));
        assert_eq!(tries.wait_s("10.0.0.2".parse().unwrap(), now), None);
        assert_eq!(tries.wait_s(here, now + Duration::from_secs(301)), None);
        tries.succeeded(here);
        assert_eq!(tries.wait_s(here, now), None);
    }
}
