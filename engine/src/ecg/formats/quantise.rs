//! From microvolts back to whole numbers, without loss where the recorder's steps are known.

/// Whole numbers of one lead and what they mean: microvolts are `value x step_uv + offset_uv`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantised {
    /// `None` where there was no signal.
    pub(super) values: Vec<Option<i16>>,
    pub(super) step_uv: f64,
    pub(super) offset_uv: f64,
}

/// Largest absolute value used: the lowest number of 16 bits stands for a gap.
pub(super) const VALUE_MAX: i32 = 32_767;
/// Steps in which samples off the grid are spread over their range.
const STEPS: f64 = 64_000.0;
/// Finest step used for samples off the grid.
const STEP_UV_MIN: f64 = 1e-3;
/// How far off the grid a sample may lie, in steps: `f32` holds 24 bits.
const GRID_TOLERANCE: f64 = 0.02;

/// Quantises; `resolution_uv` is the recorder's step, or 0 where there is none.
pub(super) fn quantise(samples_uv: &[f32], resolution_uv: f64) -> Quantised {
    let finite = || {
        samples_uv
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .map(f64::from)
    };
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        let step_uv = if resolution_uv > 0.0 { resolution_uv } else { 1.0 };
        return Quantised {
            values: vec![None; samples_uv.len()],
            step_uv,
            offset_uv: 0.0,
        };
    }
    let on_grid = (resolution_uv > 0.0 && resolution_uv.is_finite())
        .then(|| grid(samples_uv, resolution_uv, low, high))
        .flatten();
    let (step_uv, offset_uv) = on_grid.unwrap_or_else(|| spread(low, high));
    let value = |v: &f32| {
        v.is_finite().then(|| {
            let steps = ((f64::from(*v) - offset_uv) / step_uv).round();
            steps.clamp(-f64::from(VALUE_MAX), f64::from(VALUE_MAX)) as i16
        })
    };
    Quantised {
        values: samples_uv.iter().map(value).collect(),
        step_uv,
        offset_uv,
    }
}

/// The recorder's own grid, if all samples lie on it and the range fits: step and offset.
fn grid(samples_uv: &[f32], step_uv: f64, low: f64, high: f64) -> Option<(f64, f64)> {
    let first = f64::from(*samples_uv.iter().find(|v| v.is_finite())?);
    let residue = first - (first / step_uv).round() * step_uv;
    let fits = |offset: f64| {
        samples_uv.iter().filter(|v| v.is_finite()).all(|v| {
            let steps = (f64::from(*v) - offset) / step_uv;
            (steps - steps.round()).abs() < GRID_TOLERANCE
        })
    };
    let offset = [0.0, residue].into_iter().find(|offset| fits(*offset))?;
    let limit = f64::from(VALUE_MAX);
    if high - low > (2.0 * limit - 2.0) * step_uv {
        return None;
    }
    let within = |v: f64| ((v - offset) / step_uv).abs() <= limit;
    if within(low) && within(high) {
        return Some((step_uv, offset));
    }
    // The signal rides on a constant: it is moved by whole steps.
    let centre = (((low + high) / 2.0 - offset) / step_uv).round();
    Some((step_uv, offset + centre * step_uv))
}

/// A step that spreads the range over the numbers, short enough to be written exactly in a header.
fn spread(low: f64, high: f64) -> (f64, f64) {
    let largest = low.abs().max(high.abs());
    let centred = 2.0 * largest <= 1.1 * (high - low);
    let (range, offset) = if centred {
        (2.0 * largest, 0.0)
    } else {
        (high - low, ((low + high) / 2.0).round())
    };
    // A little more for the rounding of the offset and of the step.
    let wanted = ((range * 1.001 + 1.0) / STEPS).max(STEP_UV_MIN);
    let digits = 10_f64.powf(wanted.log10().floor() - 4.0);
    ((wanted / digits).ceil() * digits, offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(made: &Quantised) -> Vec<f64> {
        made.values
            .iter()
            .map(|v| v.map_or(f64::NAN, |v| f64::from(v) * made.step_uv + made.offset_uv))
            .collect()
    }

    #[test]
    fn samples_on_the_grid_keep_its_step() {
        let check = |samples: &[f32], step: f64, expect: (f64, f64)| {
            let made = quantise(samples, step);
            assert!((made.step_uv - expect.0).abs() < 1e-12 && (made.offset_uv - expect.1).abs() < 1e-4);
            for (got, want) in back(&made).iter().zip(samples) {
                assert!(
                    (got - f64::from(*want)).abs() < 0.02 * step,
                    "{samples:?}: {got} {want}"
                );
            }
        };
        check(&[4.88, -9.76, 0.0], 4.88, (4.88, 0.0));
        check(&[1.25, 3.75, -3.75], 2.5, (2.5, -1.25));
        check(&[100_000.0, 100_001.0], 1.0, (1.0, 100_001.0));
        check(&[2.44, -2.44], 2.44, (2.44, 0.0));
    }

    #[test]
    fn gaps_stay_gaps() {
        let made = quantise(&[f32::NAN, 5.0], 5.0);
        assert_eq!(made.values, [None, Some(1)]);
        assert_eq!(quantise(&[f32::NAN], 0.0).values, [None]);
    }

    proptest! {
        #[test]
        fn no_sample_is_off_by_more_than_a_step(samples in proptest::collection::vec(-9e5_f32..9e5, 1..50), step in prop_oneof![Just(0.0), 1e-6_f64..100.0], shift in -1e6_f32..1e6) {
            let samples: Vec<f32> = samples.iter().map(|v| v + shift).collect();
            let made = quantise(&samples, step);
            let (low, high) = samples.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            prop_assert!(made.step_uv <= step.max(f64::from(high - low) / 65_000.0 * 1.2 + 1e-3));
            for (got, want) in back(&made).iter().zip(&samples) {
                prop_assert!((got - f64::from(*want)).abs() <= made.step_uv * 0.75 + 0.1, "{got} {want} {}", made.step_uv);
            }
        }
    }
}
