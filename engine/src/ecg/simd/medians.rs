//! Medians of a few values, without moving or branching.

use super::LANES;

twice! {
    /// The median (the upper one of two) of a few values by counting how many are lower and how many not higher, for
    /// eight of them side by side; zero of none. Nothing is moved and nothing branches, which for some dozens of values
    /// is faster than a selection.
    fn median_of_few(values: &[f32]) -> f32 {
        let middle = (values.len() / 2) as f32;
        let mut asked = [f32::INFINITY; LANES];
        for part in values.chunks(LANES) {
            asked[..part.len()].copy_from_slice(part);
            // Counted as floats, whose sums keep their order: so the lanes stay lanes.
            let (mut lower, mut not_higher) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            for other in values {
                for lane in 0..LANES {
                    lower[lane] += if *other < asked[lane] { 1.0 } else { 0.0 };
                    not_higher[lane] += if *other <= asked[lane] { 1.0 } else { 0.0 };
                }
            }
            let is_middle = |lane: usize| (lower[lane] <= middle) & (middle < not_higher[lane]);
            let mut any = false;
            for lane in 0..LANES {
                any |= is_middle(lane);
            }
            if any && let Some(lane) = (0..part.len()).find(|lane| is_middle(*lane)) {
                return asked[lane];
            }
        }
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }
}

/// For each of eight neighbouring windows of `width` values, the first of which starts at `x[0]`: its median (the upper
/// one of two). `x` holds `width + 7` values; `rows` is for its own use.
pub(crate) fn eight_medians(x: &[f32], width: usize, rows: &mut Vec<[f32; LANES]>) -> [f32; LANES] {
    rows.clear();
    rows.extend(x.array_windows::<LANES>().take(width));
    medians_of_lanes(rows)
}

twice! {
    /// The median (the upper one of two) of each lane by a sorting network over the rows (Batcher's merge exchange, Knuth,
    /// The Art of Computer Programming, 5.2.2); zero of none. The rows are sorted afterwards.
    fn medians_of_lanes(rows: &mut [[f32; LANES]]) -> [f32; LANES] {
        let count = rows.len();
        let top = count.next_power_of_two() / 2;
        let mut phase = top;
        while phase > 0 {
            let (mut next, mut rest, mut far) = (top, 0, phase);
            loop {
                let mut low = rest;
                while low + far < count {
                    exchange(rows, low..(low + phase).min(count - far), far);
                    low += 2 * phase;
                }
                if next == phase {
                    break;
                }
                far = next - phase;
                next /= 2;
                rest = phase;
            }
            phase /= 2;
        }
        rows.get(count / 2).copied().unwrap_or_default()
    }
}

/// Exchanges rows of a network: of the rows `low` and `low + far` the smaller values go to the first.
#[inline(always)]
fn exchange(rows: &mut [[f32; LANES]], lows: std::ops::Range<usize>, far: usize) {
    for low in lows {
        let (a, b) = (rows[low], rows[low + far]);
        let (mut small, mut large) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for lane in 0..LANES {
            // Not a comparison and a choice: that becomes a store under a mask, which some processors do slowly.
            small[lane] = a[lane].min(b[lane]);
            large[lane] = a[lane].max(b[lane]);
        }
        rows[low] = small;
        rows[low + far] = large;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| (((i * 37 % 101) as f32 - 50.0) * 0.08).round())
            .collect()
    }

    #[test]
    fn a_network_finds_the_medians() {
        for width in 1..30 {
            let x = values(width + 7);
            for (lane, got) in eight_medians(&x, width, &mut Vec::new()).into_iter().enumerate() {
                let mut sorted = x[lane..lane + width].to_vec();
                sorted.sort_by(f32::total_cmp);
                assert_eq!(got, sorted[width / 2], "{width} {lane}");
            }
        }
        assert_eq!(medians_of_lanes(&mut []), [0.0; LANES]);
    }

    #[test]
    fn counting_finds_the_median() {
        for n in 0..40 {
            let x = values(n);
            let mut sorted = x.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(
                median_of_few(&x),
                sorted.get(n / 2).copied().unwrap_or(0.0),
                "{n}"
            );
        }
    }
}
