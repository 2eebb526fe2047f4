//! Memory that decoders keep from frame to frame: fresh pages cost a quarter of the time of a CT picture.

use std::cell::RefCell;

/// Kept by each thread at most; larger frames get fresh memory.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Buffers kept by each thread at most.
const KEPT_MAX: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<Vec<i32>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for `count` values, a kept one where there is any that is large enough.
pub(super) fn take(count: usize) -> Vec<i32> {
    let kept = KEPT.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        let fits = |(_, a): &(usize, &Vec<i32>)| a.capacity() >= count;
        let (place, _) = kept
            .iter()
            .enumerate()
            .filter(fits)
            .min_by_key(|(_, a)| a.capacity())?;
        Some(kept.swap_remove(place))
    });
    kept.ok().flatten().unwrap_or_else(|| Vec::with_capacity(count))
}

/// The same with `count` zeros in it.
pub(super) fn zeros(count: usize) -> Vec<i32> {
    let mut buffer = take(count);
    buffer.resize(count, 0);
    buffer
}

/// Keeps a buffer for later, as far as the limits allow.
pub(super) fn give(mut buffer: Vec<i32>) {
    if buffer.capacity() == 0 {
        return;
    }
    buffer.clear();
    // A thread that ends keeps nothing.
    let _ = KEPT.try_with(|kept| {
        let Ok(mut kept) = kept.try_borrow_mut() else {
            return;
        };
        let bytes = |b: &Vec<i32>| b.capacity() * size_of::<i32>();
        let all: usize = kept.iter().map(bytes).sum();
        if kept.len() < KEPT_MAX && all + bytes(&buffer) <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_clean_and_within_limits() {
        let mut first = zeros(1000);
        first.fill(7);
        let place = first.as_ptr();
        give(first);
        let larger = take(2000);
        assert!(larger.as_ptr() != place && larger.capacity() >= 2000);
        let again = zeros(900);
        assert_eq!(again.as_ptr(), place);
        assert!(again.len() == 900 && again.iter().all(|v| *v == 0));
        give(vec![1; KEPT_BYTES_MAX / 4 + 1]);
        for _ in 0..2 * KEPT_MAX {
            give(vec![1; 10]);
        }
        KEPT.with_borrow(|kept| {
            assert!(kept.len() == KEPT_MAX);
            assert!(kept.iter().map(Vec::capacity).sum::<usize>() * 4 <= KEPT_BYTES_MAX);
        });
    }
}
