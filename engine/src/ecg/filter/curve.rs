//! A smooth line through knots, taken away from a signal.

use crate::ecg::simd;
use crate::ecg::spline::second_derivatives;

/// A point of the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Knot {
    /// Place in samples.
    pub(super) at: f64,
    pub(super) level: f64,
}

/// One piece: a cubic of the share of the way from `at` on, `width` samples long.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    at: f64,
    width: f64,
    cubic: [f32; 4],
}

/// The line; constant before its first knot and after its last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Curve {
    pieces: Vec<Piece>,
}

impl Curve {
    /// The natural cubic spline through knots with rising places.
    pub(super) fn spline(knots: &[Knot]) -> Self {
        let places: Vec<(f64, f64)> = knots.iter().map(|knot| (knot.at, knot.level)).collect();
        let bends = second_derivatives(&places);
        let inner = knots.windows(2).zip(bends.windows(2)).map(|(pair, bends)| {
            let width = pair[1].at - pair[0].at;
            let share = width * width / 6.0;
            let rise = pair[1].level - pair[0].level;
            Piece {
                at: pair[0].at,
                width,
                cubic: [
                    pair[0].level as f32,
                    (rise - (2.0 * bends[0] + bends[1]) * share) as f32,
                    (3.0 * bends[0] * share) as f32,
                    ((bends[1] - bends[0]) * share) as f32,
                ],
            }
        });
        Self::between(knots, inner.collect())
    }

    /// Through knots at even distances, with slopes from the neighbours (Catmull and Rom).
    pub(super) fn even(knots: &[Knot]) -> Self {
        let level = |index: usize| knots[index.min(knots.len() - 1)].level;
        let inner = knots.windows(2).enumerate().map(|(index, pair)| {
            let slope = |at: usize| 0.5 * (level(at + 1) - level(at.saturating_sub(1)));
            let (from, to, rise) = (slope(index), slope(index + 1), pair[1].level - pair[0].level);
            Piece {
                at: pair[0].at,
                width: pair[1].at - pair[0].at,
                cubic: [
                    pair[0].level as f32,
                    from as f32,
                    (3.0 * rise - 2.0 * from - to) as f32,
                    (from + to - 2.0 * rise) as f32,
                ],
            }
        });
        Self::between(knots, inner.collect())
    }

    fn between(knots: &[Knot], inner: Vec<Piece>) -> Self {
        let constant = |at: f64, level: f64| Piece {
            at,
            width: f64::INFINITY,
            cubic: [level as f32, 0.0, 0.0, 0.0],
        };
        let mut pieces = Vec::with_capacity(inner.len() + 2);
        pieces.extend(knots.first().map(|knot| constant(0.0, knot.level)));
        pieces.extend(inner);
        pieces.extend(knots.last().map(|knot| constant(knot.at, knot.level)));
        Self { pieces }
    }

    /// Writes `part`, whose first sample is sample `from` of the signal, without the line to `out`, which is equally long.
    pub(super) fn take_from(&self, part: &[f32], from: usize, out: &mut [f32]) {
        let end = from + part.len().min(out.len());
        let mut index = self
            .pieces
            .partition_point(|piece| piece.at <= from as f64)
            .saturating_sub(1);
        let mut at = from;
        while let Some(piece) = self.pieces.get(index).filter(|_| at < end) {
            let next = self
                .pieces
                .get(index + 1)
                .map_or(end, |next| (next.at.ceil().max(0.0) as usize).min(end));
            if next > at {
                let first = (at as f64 - piece.at) as f32;
                simd::less_cubic(
                    &part[at - from..next - from],
                    piece.cubic,
                    first,
                    (1.0 / piece.width) as f32,
                    &mut out[at - from..next - from],
                );
                at = next;
            }
            index += 1;
        }
        if self.pieces.is_empty() {
            out.copy_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(curve: &Curve, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n];
        curve.take_from(&vec![0.0; n], 0, &mut out);
        out.iter().map(|v| -v).collect()
    }

    #[test]
    fn knots_are_met_and_ends_are_held() {
        let knots: Vec<Knot> = [(10.0, 5.0), (30.0, -2.0), (50.0, 8.0), (70.0, 1.0)]
            .map(|(at, level)| Knot { at, level })
            .to_vec();
        for curve in [Curve::spline(&knots), Curve::even(&knots)] {
            let got = line(&curve, 100);
            for knot in &knots {
                assert!(
                    (f64::from(got[knot.at as usize]) - knot.level).abs() < 1e-4,
                    "{got:?}"
                );
            }
            assert_eq!((got[0], got[99]), (5.0, 1.0));
            let mut tail = vec![0.0; 60];
            curve.take_from(&[0.0; 60], 40, &mut tail);
            assert!(tail.iter().zip(&got[40..]).all(|(a, b)| (a + b).abs() < 1e-4));
        }
    }

    #[test]
    fn a_straight_line_stays_straight() {
        let knots: Vec<Knot> = (0..6)
            .map(|i| Knot {
                at: f64::from(i) * 20.5,
                level: 4.0 * f64::from(i),
            })
            .collect();
        let got = line(&Curve::spline(&knots), 100);
        for (at, value) in got.iter().enumerate() {
            assert!((value - at as f32 * 4.0 / 20.5).abs() < 1e-3);
        }
    }

    #[test]
    fn few_knots_are_a_constant_or_nothing() {
        assert_eq!(line(&Curve::spline(&[]), 5), vec![0.0; 5]);
        assert_eq!(
            line(&Curve::even(&[Knot { at: 2.0, level: 3.0 }]), 5),
            vec![3.0; 5]
        );
    }
}
