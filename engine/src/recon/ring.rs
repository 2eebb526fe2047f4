//! Rings: a detector that always answers a little too much draws a circle around the axis.

/// Takes constant errors of single detectors out of projections: what a detector's mean over all views has beyond the
/// median of its neighbours' means within `reach` on either side (M. Rivers' method, with a median in place of the
/// moving average, which would smear a bad detector over its neighbours). Layout (angles, rows, columns).
pub fn remove(projections: &mut [f32], angles: usize, columns: usize, reach: usize) {
    let view = projections.len() / angles.max(1);
    if view == 0 || columns == 0 || reach == 0 {
        return;
    }
    let mut mean = vec![0.0_f64; view];
    for values in projections.chunks_exact(view) {
        for (sum, value) in mean.iter_mut().zip(values) {
            *sum += f64::from(*value) / angles as f64;
        }
    }
    let mut excess = Vec::with_capacity(view);
    for row in mean.chunks(columns) {
        excess.extend((0..row.len()).map(|k| (row[k] - median_around(row, k, reach)) as f32));
    }
    for values in projections.chunks_exact_mut(view) {
        for (value, excess) in values.iter_mut().zip(&excess) {
            *value -= excess;
        }
    }
}

/// Median of as many neighbours on the left as on the right, so that a slope stays a slope.
fn median_around(row: &[f64], at: usize, reach: usize) -> f64 {
    let reach = reach.min(at).min(row.len() - 1 - at);
    let mut near = row[at - reach..=at + reach].to_vec();
    near.sort_by(f64::total_cmp);
    near[reach]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_detector_is_corrected_and_a_smooth_object_left_alone() {
        let smooth = |k: usize| (1.0 - ((k as f32 - 31.5) / 32.0).powi(2)).sqrt();
        let clean: Vec<f32> = (0..10 * 64).map(|i| smooth(i % 64)).collect();
        let mut spoilt = clean.clone();
        spoilt.iter_mut().skip(20).step_by(64).for_each(|v| *v += 0.5);
        for mut values in [clean.clone(), spoilt] {
            remove(&mut values, 10, 64, 4);
            let worst = values
                .iter()
                .zip(&clean)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.03, "{worst}");
        }
        let mut short = [1.0_f32, 2.0];
        remove(&mut short, 0, 0, 3);
        remove(&mut short, 3, 2, 3);
        assert_eq!(short, [1.0, 2.0]);
    }
}
