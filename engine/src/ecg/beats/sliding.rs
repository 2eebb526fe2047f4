//! Medians of a window that slides over a list.

/// The median (the upper one of two) over `values[at - reach..at + reach]`, cut to what is there, for each `at` in
/// `0..count`; `None` where nothing is there.
///
/// The window is kept sorted, so each step costs one removal and one insertion.
pub(super) fn medians(values: &[f64], reach: usize, count: usize) -> Vec<Option<f64>> {
    let mut sorted: Vec<f64> = Vec::with_capacity(2 * reach + 1);
    let mut out = Vec::with_capacity(count);
    for value in values.iter().take(reach.saturating_sub(1)) {
        insert(&mut sorted, *value);
    }
    for at in 0..count {
        if let Some(value) = (at + reach).checked_sub(1).and_then(|last| values.get(last)) {
            insert(&mut sorted, *value);
        }
        if let Some(value) = at.checked_sub(reach + 1).and_then(|first| values.get(first)) {
            remove(&mut sorted, *value);
        }
        out.push(sorted.get(sorted.len() / 2).copied());
    }
    out
}

fn insert(sorted: &mut Vec<f64>, value: f64) {
    let place = sorted.partition_point(|have| *have <= value);
    sorted.insert(place, value);
}

fn remove(sorted: &mut Vec<f64>, value: f64) {
    let place = sorted.partition_point(|have| *have < value);
    if place < sorted.len() {
        sorted.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_median_of_its_window() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * 37 % 23)).collect();
        for reach in [1, 3, 8] {
            for (at, got) in medians(&values, reach, 44).into_iter().enumerate() {
                let from = at.saturating_sub(reach).min(40);
                let mut part = values[from..(at + reach).min(40)].to_vec();
                part.sort_by(f64::total_cmp);
                assert_eq!(got, part.get(part.len() / 2).copied(), "{reach} {at}");
            }
        }
        assert_eq!(medians(&[], 4, 2), vec![None, None]);
    }
}
