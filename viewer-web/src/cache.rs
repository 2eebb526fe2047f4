//! A bounded memory of what was made from immutable bytes: encoded frames, pictures, series metadata.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Keeps values up to a number of bytes; the one asked for longest ago goes first.
///
/// Keys name immutable content (digest and form), so nothing is ever stale.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    inner: Mutex<Inner<V>>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner<V> {
    values: HashMap<String, Entry<V>>,
    by_age: BTreeMap<u64, String>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<V: Clone> Cache<V> {
    /// An empty cache for that many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let inner = Inner {
            values: HashMap::new(),
            by_age: BTreeMap::new(),
            clock: 0,
            bytes: 0,
        };
        Self {
            inner: Mutex::new(inner),
            bytes_max,
        }
    }

    /// The value, which counts as used now.
    pub(crate) fn get(&self, key: &str) -> Option<V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.values.get_mut(key)?;
        let before = std::mem::replace(&mut entry.used, now);
        let value = entry.value.clone();
        if let Some(key) = inner.by_age.remove(&before) {
            inner.by_age.insert(now, key);
        }
        Some(value)
    }

    /// Keeps a value that takes `bytes`. One that would fill more than a quarter of the cache is not kept.
    pub(crate) fn put(&self, key: &str, value: V, bytes: usize) {
        if bytes > self.bytes_max / 4 {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(key);
        inner.clock += 1;
        let used = inner.clock;
        inner.values.insert(key.to_owned(), Entry { value, bytes, used });
        inner.by_age.insert(used, key.to_owned());
        inner.bytes += bytes;
        while inner.bytes > self.bytes_max {
            let Some((_, oldest)) = inner.by_age.pop_first() else {
                return;
            };
            inner.remove(&oldest);
        }
    }
}

impl<V> Inner<V> {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.values.remove(key) {
            self.by_age.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_asked_for_longest_ago_goes_first() {
        let cache = Cache::new(40);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            cache.put(key, value, 10);
        }
        assert_eq!(cache.get("a"), Some(1));
        cache.put("e", 5, 10);
        assert_eq!(
            (cache.get("b"), cache.get("a"), cache.get("e")),
            (None, Some(1), Some(5))
        );
    }

    #[test]
    fn the_bytes_never_exceed_the_limit() {
        let cache = Cache::new(1000);
        for i in 0..5000usize {
            cache.put(&format!("{}", i % 700), i, i % 300);
            let inner = cache.inner.lock().unwrap();
            assert!(inner.bytes <= 1000);
            assert_eq!(inner.bytes, inner.values.values().map(|e| e.bytes).sum::<usize>());
            assert_eq!(inner.values.len(), inner.by_age.len());
        }
    }

    #[test]
    fn what_is_too_big_is_not_kept() {
        let cache = Cache::new(100);
        cache.put("big", 1, 26);
        assert_eq!(cache.get("big"), None);
    }
}
