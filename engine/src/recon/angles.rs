//! How much of the circle each view stands for, and what a view counts where rays are measured twice.

use super::{ReconError, Scan};
use std::f64::consts::{PI, TAU};

/// A gap of more than so many times the usual step is a part of the circle without views.
const GAP_STEPS_MAX: f64 = 2.5;

/// The views of a scan on the circle of `period` radians.
struct Circle {
    /// Arc that each view stands for, in the order of the scan.
    arc: Vec<f64>,
    /// First angle after the largest gap, and that gap if views are missing there.
    start: f64,
    open: Option<f64>,
    step: f64,
}

/// Half the way to the neighbour on either side. Beside a part without views the arc is that of the other side.
fn circle(angles_rad: &[f64], period: f64) -> Circle {
    let mut order: Vec<(f64, usize)> = angles_rad.iter().map(|a| a.rem_euclid(period)).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = order.len();
    // gap[i] lies before view i.
    let gap: Vec<f64> = (0..n)
        .map(|i| match i {
            0 => order[0].0 + period - order[n - 1].0,
            _ => order[i].0 - order[i - 1].0,
        })
        .collect();
    let mut sorted: Vec<f64> = gap.iter().copied().filter(|g| *g > 1e-9).collect();
    sorted.sort_by(f64::total_cmp);
    let step = sorted.get(sorted.len() / 2).copied().unwrap_or(period);
    let most = GAP_STEPS_MAX * step;
    let capped = |i: usize| if gap[i] > most { step } else { gap[i] };
    let mut arc = vec![0.0; n];
    for (i, (_, view)) in order.iter().enumerate() {
        arc[*view] = (capped(i) + capped((i + 1) % n)) / 2.0;
    }
    let largest = (0..n).max_by(|a, b| gap[*a].total_cmp(&gap[*b])).unwrap_or(0);
    Circle {
        arc,
        start: order[largest].0,
        open: (gap[largest] > most).then_some(gap[largest]),
        step,
    }
}

/// Weight of each view of a parallel scan; the sum is pi when half a turn is covered, however often. Opposite views
/// hold the same rays, so views are compared modulo half a turn.
pub(super) fn parallel(scan: &Scan) -> Vec<f64> {
    circle(scan.angles_rad(), PI).arc
}

/// Weights of a fan or cone: for each view its arc, and what each column counts in it.
pub(super) struct FanWeights {
    arc: Vec<f64>,
    short: Option<ShortScan>,
}

/// Parker's weights for less than a turn (Med. Phys. 9 (1982) 254), in Silver's form for any overscan (Med. Phys. 27
/// (2000) 959): half the excess over half a turn stands in place of the half fan angle.
struct ShortScan {
    angles_rad: Vec<f64>,
    start: f64,
    /// (covered - pi) / 2.
    half_excess: f64,
}

impl FanWeights {
    /// # Errors
    /// [`ReconError::Coverage`] when there are rays that no view holds.
    pub(super) fn new(scan: &Scan, half_fan_rad: f64) -> Result<Self, ReconError> {
        let circle = circle(scan.angles_rad(), TAU);
        let Some(gap) = circle.open else {
            return Ok(Self {
                arc: circle.arc,
                short: None,
            });
        };
        let covered = TAU - gap + circle.step;
        let needed = PI + 2.0 * half_fan_rad;
        // A step short of it is the usual way to count views.
        if covered + circle.step < needed {
            return Err(ReconError::Coverage {
                covered_deg: covered.to_degrees(),
                needed_deg: needed.to_degrees(),
            });
        }
        let start = circle.start - circle.step / 2.0;
        let short = ShortScan {
            angles_rad: scan.angles_rad().to_vec(),
            start,
            half_excess: (covered - PI) / 2.0,
        };
        Ok(Self {
            arc: circle.arc,
            short: Some(short),
        })
    }

    /// Weight of the ray under `fan_rad` in `view`. Every ray counts once over all views that hold it.
    pub(super) fn at(&self, view: usize, fan_rad: f64) -> f64 {
        self.arc[view] * self.short.as_ref().map_or(0.5, |s| s.at(view, fan_rad))
    }
}

impl ShortScan {
    fn at(&self, view: usize, fan_rad: f64) -> f64 {
        let beta = (self.angles_rad[view] - self.start).rem_euclid(TAU);
        // The ray of (t, g) comes again from t + pi - 2g under -g; Parker's fan angle has the other sign.
        let inside = self.half_excess - 1e-6;
        let gamma = (-fan_rad).clamp(-inside, inside);
        let (d, quarter) = (self.half_excess, PI / 4.0);
        if beta < 2.0 * (d - gamma) {
            (quarter * beta / (d - gamma)).sin().powi(2)
        } else if beta <= PI - 2.0 * gamma {
            1.0
        } else if beta <= PI + 2.0 * d {
            (quarter * (PI + 2.0 * d - beta) / (d + gamma)).sin().powi(2)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recon::Beam;

    fn scan(angles_deg: impl Iterator<Item = f64>) -> Scan {
        let angles = angles_deg.map(f64::to_radians).collect();
        Scan::new(Beam::Parallel, angles, 1, 8, 1.0).unwrap()
    }

    #[test]
    fn parallel_views_share_half_a_turn() {
        let check = |angles: Vec<f64>, first_deg: f64, sum_deg: f64| {
            let weights = parallel(&scan(angles.iter().copied()));
            let sum: f64 = weights.iter().sum();
            assert!(
                (weights[0].to_degrees() - first_deg).abs() < 1e-6,
                "{angles:?} {weights:?}"
            );
            assert!((sum.to_degrees() - sum_deg).abs() < 1e-6, "{angles:?} {sum}");
        };
        let even = |n: usize, step: f64| (0..n).map(|i| i as f64 * step).collect::<Vec<_>>();
        check(even(180, 1.0), 1.0, 180.0);
        check(even(360, 1.0), 0.5, 180.0);
        check(even(181, 1.0), 0.5, 180.0);
        check(even(90, 1.0), 1.0, 90.0);
        check(even(60, -3.0), 3.0, 180.0);
        check(vec![0.0, 30.0, 90.0, 120.0, 150.0], 30.0, 180.0);
        check(vec![77.0], 180.0, 180.0);
    }

    #[test]
    fn every_ray_of_a_short_scan_counts_once() {
        for (span, step) in [(200.0, 0.5), (250.0, 0.5), (300.0, 0.5), (200.0, -0.5)] {
            let n = (span / f64::abs(step)) as usize;
            let made = scan((0..n).map(|i| 17.0 + i as f64 * step));
            let weights = FanWeights::new(&made, 9.0_f64.to_radians()).unwrap();
            let find = |t: f64| {
                let same = |a: &f64| {
                    let d = (a - t).rem_euclid(TAU);
                    d.min(TAU - d) < 1e-6
                };
                made.angles_rad().iter().position(same)
            };
            for (view, angle) in made.angles_rad().iter().enumerate() {
                for fan_deg in [-8.0_f64, -3.0, 0.0, 5.0, 8.5] {
                    let fan = fan_deg.to_radians();
                    let own = weights.at(view, fan);
                    let twin = [PI - 2.0 * fan, -PI - 2.0 * fan]
                        .iter()
                        .find_map(|turn| find(angle + turn))
                        .map_or(0.0, |v| weights.at(v, -fan));
                    let sum = (own + twin) / f64::abs(step).to_radians();
                    assert!((sum - 1.0).abs() < 0.02, "{span} {view} {fan_deg}: {sum}");
                }
            }
        }
    }

    #[test]
    fn a_whole_turn_counts_half_and_too_little_is_refused() {
        let weights = FanWeights::new(&scan((0..360).map(f64::from)), 0.2).unwrap();
        assert!((weights.at(10, 0.1).to_degrees() - 0.5).abs() < 1e-9);
        let short = FanWeights::new(&scan((0..190).map(f64::from)), 0.2);
        assert!(matches!(short.err(), Some(ReconError::Coverage { .. })));
    }
}
