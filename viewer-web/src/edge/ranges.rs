//! Which bytes of an upload are there.

/// Byte ranges in order, not touching each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `from..to`; what was there already stays.
    pub(super) fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        self.0.retain(|(a, b)| {
            let apart = *b < from || *a > to;
            if !apart {
                from = from.min(*a);
                to = to.max(*b);
            }
            apart
        });
        let place = self.0.partition_point(|(a, _)| *a < from);
        self.0.insert(place, (from, to));
    }

    pub(super) fn is_whole(&self, size: u64) -> bool {
        self.0.as_slice() == [(0, size)]
    }

    pub(super) fn has(&self, from: u64, to: u64) -> bool {
        self.0.iter().any(|(a, b)| *a <= from && *b >= to)
    }

    pub(super) fn list(&self) -> Vec<(u64, u64)> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However ranges come, the list says of each byte whether it came.
        #[test]
        fn they_are_the_bytes_that_came(pieces in prop::collection::vec((0u64..60, 0u64..12), 0..30)) {
            let (mut ranges, mut bytes) = (Ranges::default(), vec![false; 80]);
            for (from, length) in pieces {
                ranges.add(from, from + length);
                bytes.iter_mut().skip(from as usize).take(length as usize).for_each(|b| *b = true);
            }
            let told: Vec<bool> = (0..80).map(|k| ranges.has(k, k + 1)).collect();
            prop_assert_eq!(told, bytes);
            let list = ranges.list();
            prop_assert!(list.windows(2).all(|w| w[0].1 < w[1].0), "{:?}", list);
        }
    }
}
