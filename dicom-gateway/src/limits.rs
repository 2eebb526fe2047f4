//! How many connections and associations there are, and of whom.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::Config;

/// Counts shared by all tasks of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By age.
    half_open: BTreeMap<u64, CancellationToken>,
    associations: usize,
    by_address: HashMap<IpAddr, usize>,
    by_device: HashMap<i64, usize>,
}

/// A connection before its association; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    counts: Arc<Counts>,
    number: u64,
    /// Cancelled when the place is needed for a newer connection.
    pub(crate) evicted: CancellationToken,
}

/// An association; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Admitted {
    counts: Arc<Counts>,
    address: IpAddr,
    device: i64,
}

/// Which cap refused an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("the gateway holds as many associations as it may")]
    All,
    #[error("this address holds as many associations as it may")]
    Address,
    #[error("this device holds as many associations as it may")]
    Device,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // plain counts: a panic elsewhere leaves them right
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; over the cap the oldest half-open one loses its own.
    pub(crate) fn connect(self: &Arc<Self>, config: &Config) -> HalfOpen {
        let mut inner = self.lock();
        if inner.half_open.len() >= config.half_open_max
            && let Some((_, oldest)) = inner.half_open.pop_first()
        {
            oldest.cancel();
        }
        inner.next += 1;
        let (number, evicted) = (inner.next, CancellationToken::new());
        inner.half_open.insert(number, evicted.clone());
        HalfOpen {
            counts: Arc::clone(self),
            number,
            evicted,
        }
    }

    /// Gives up the oldest half-open connection, for when the system has no more descriptors.
    pub(crate) fn evict_oldest(&self) {
        if let Some((_, oldest)) = self.lock().half_open.pop_first() {
            oldest.cancel();
        }
    }

    /// A place for an association.
    pub(crate) fn admit(
        self: &Arc<Self>,
        config: &Config,
        address: IpAddr,
        device: i64,
    ) -> Result<Admitted, Full> {
        let mut inner = self.lock();
        let of = |count: Option<&usize>| count.copied().unwrap_or(0);
        if inner.associations >= config.associations_max {
            return Err(Full::All);
        }
        if of(inner.by_address.get(&address)) >= config.associations_per_address_max {
            return Err(Full::Address);
        }
        if of(inner.by_device.get(&device)) >= config.associations_per_device_max {
            return Err(Full::Device);
        }
        inner.associations += 1;
        *inner.by_address.entry(address).or_default() += 1;
        *inner.by_device.entry(device).or_default() += 1;
        metrics::gauge!("gongying_dicom_associations").set(inner.associations as f64);
        Ok(Admitted {
            counts: Arc::clone(self),
            address,
            device,
        })
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.counts.lock().half_open.remove(&self.number);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        fn less<K: std::hash::Hash + Eq>(map: &mut HashMap<K, usize>, key: &K) {
            if let Some(count) = map.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    map.remove(key);
                }
            }
        }
        let mut inner = self.counts.lock();
        inner.associations -= 1;
        less(&mut inner.by_address, &self.address);
        less(&mut inner.by_device, &self.device);
        metrics::gauge!("gongying_dicom_associations").set(inner.associations as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::AeTitle;

    fn config() -> Config {
        Config {
            half_open_max: 2,
            associations_max: 3,
            associations_per_address_max: 2,
            associations_per_device_max: 1,
            ..Config::new(AeTitle::parse("GONGYING").expect("valid"))
        }
    }

    #[test]
    fn the_oldest_half_open_connection_gives_way() {
        let (counts, config) = (Arc::new(Counts::default()), config());
        let connections: Vec<HalfOpen> = (0..3).map(|_| counts.connect(&config)).collect();
        let evicted: Vec<bool> = connections.iter().map(|c| c.evicted.is_cancelled()).collect();
        assert_eq!(evicted, [true, false, false]);
        drop(connections);
        assert!(!counts.connect(&config).evicted.is_cancelled());
        assert!(counts.lock().half_open.is_empty());
    }

    #[test]
    fn caps_hold_and_places_come_back() {
        let (counts, config) = (Arc::new(Counts::default()), config());
        let [a, b, c] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]].map(IpAddr::from);
        let first = counts.admit(&config, a, 1).expect("room");
        assert_eq!(counts.admit(&config, b, 1).err(), Some(Full::Device));
        let _second = counts.admit(&config, a, 2).expect("room");
        assert_eq!(counts.admit(&config, a, 3).err(), Some(Full::Address));
        let _third = counts.admit(&config, b, 3).expect("room");
        assert_eq!(counts.admit(&config, c, 4).err(), Some(Full::All));
        drop(first);
        assert!(counts.admit(&config, c, 1).is_ok());
    }
}
