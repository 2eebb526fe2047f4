//! Medians of a window that slides over a list.

use crate::ecg::simd;

/// The median (the upper one of two) over `values[at - reach..at + reach]`, cut to what is there, for each `at` in
/// `0..count`; `None` where nothing is there.
pub(super) fn medians(values: &[f32], reach: usize, count: usize) -> Vec<Option<f32>> {
    let mut out = Vec::with_capacity(count);
    let mut rows = Vec::with_capacity(2 * reach);
    while out.len() < count {
        let at = out.len();
        // Eight whole windows side by side, or one at an end.
        let eight = at
            .checked_sub(reach)
            .and_then(|from| values.get(from..at + reach + 7));
        if let Some(part) = eight.filter(|_| at + 8 <= count) {
            out.extend(simd::eight_medians(part, 2 * reach, &mut rows).map(Some));
            continue;
        }
        let window = values.get(at.saturating_sub(reach)..(at + reach).min(values.len()));
        let median = window.filter(|w| !w.is_empty()).map(simd::median_of_few);
        out.push(median);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_median_of_its_window() {
        let values: Vec<f32> = (0..90_u16).map(|i| f32::from(i * 37 % 23)).collect();
        for reach in [1, 3, 6, 8, 12] {
            for (at, got) in medians(&values, reach, 94).into_iter().enumerate() {
                let from = at.saturating_sub(reach).min(90);
                let mut part = values[from..(at + reach).min(90)].to_vec();
                part.sort_by(f32::total_cmp);
                assert_eq!(got, part.get(part.len() / 2).copied(), "{reach} {at}");
            }
        }
        assert_eq!(medians(&[], 4, 2), vec![None, None]);
    }
}
