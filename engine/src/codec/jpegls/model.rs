//! Contexts and prediction shared by both directions (T.87 Annex A).

use super::{Preset, damaged};
use crate::error::Result;

/// Run-length orders (T.87 A.7.1.1).
pub(super) const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// Order of the code in run mode at run index `index`.
#[inline]
pub(super) fn order(index: usize) -> u32 {
    J.get(index).copied().unwrap_or(15)
}

/// Numbers that hold for a scan.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    pub(super) max_value: i32,
    pub(super) near: i32,
    /// `2 * near + 1`.
    pub(super) step: i32,
    pub(super) range: i32,
    /// Bits of a value of `range`.
    pub(super) range_bits: u32,
    pub(super) limit: u32,
    pub(super) reset: i32,
    /// Gradient of each difference, at `difference + max_value`.
    quantised: Vec<i8>,
}

impl Parameters {
    pub(super) fn new(bits: u8, near: u8, preset: &Preset) -> Result<Self> {
        let most = (1i32 << bits) - 1;
        let max_value = if preset.max_value == 0 {
            most
        } else {
            i32::from(preset.max_value)
        };
        let near = i32::from(near);
        if max_value > most || near > max_value / 2 {
            return Err(damaged("its coding parameters are impossible"));
        }
        let thresholds = thresholds(max_value, near, preset)?;
        let step = 2 * near + 1;
        let range = (max_value + 2 * near) / step + 1;
        let bpp = (32 - max_value.leading_zeros()).max(2);
        let reset = if preset.reset == 0 {
            64
        } else {
            i32::from(preset.reset)
        };
        if reset < 3 {
            return Err(damaged("its coding parameters are impossible"));
        }
        let quantise = |d: i32| {
            let [t1, t2, t3] = thresholds;
            let a = d.abs();
            let q = if a <= near {
                0
            } else if a < t1 {
                1
            } else if a < t2 {
                2
            } else if a < t3 {
                3
            } else {
                4
            };
            if d < 0 { -q } else { q }
        };
        Ok(Self {
            max_value,
            near,
            step,
            range,
            range_bits: 32 - (range - 1).leading_zeros(),
            limit: 2 * (bpp + bpp.max(8)),
            reset,
            quantised: (-max_value..=max_value).map(quantise).collect(),
        })
    }

    /// Gradient -4 to 4 of a difference of two samples.
    #[inline]
    pub(super) fn quantise(&self, difference: i32) -> i32 {
        self.quantised
            .get((difference + self.max_value) as usize)
            .copied()
            .map_or(0, i32::from)
    }

    /// Context -364 to 364 of the four neighbours.
    #[inline]
    pub(super) fn context(&self, ra: i32, rb: i32, rc: i32, rd: i32) -> i32 {
        (self.quantise(rd - rb) * 9 + self.quantise(rb - rc)) * 9 + self.quantise(rc - ra)
    }

    /// Lossless and the range a power of two: reduction to the range is a mask.
    pub(super) fn is_plain(&self) -> bool {
        self.near == 0 && self.range == self.max_value + 1 && self.range & self.max_value == 0
    }

    /// Prediction plus error, brought back into the sample range (T.87 A.4.5).
    #[inline]
    pub(super) fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
        let mut value = prediction + error * self.step;
        if value < -self.near {
            value += self.range * self.step;
        } else if value > self.max_value + self.near {
            value -= self.range * self.step;
        }
        value.clamp(0, self.max_value)
    }

    /// Error of a prediction, quantised and reduced to the range (T.87 A.4.4, A.4.5).
    #[inline]
    pub(super) fn error(&self, difference: i32) -> i32 {
        let mut e = if self.near == 0 {
            difference
        } else if difference > 0 {
            (difference + self.near) / self.step
        } else {
            -((self.near - difference) / self.step)
        };
        if e < 0 {
            e += self.range;
        }
        if e >= (self.range + 1) / 2 {
            e -= self.range;
        }
        e
    }
}

/// Thresholds, given or default (T.87 C.2.4.1.1.1).
fn thresholds(max_value: i32, near: i32, preset: &Preset) -> Result<[i32; 3]> {
    let clamp = |i: i32, j: i32| if i > max_value || i < j { j } else { i };
    let [t1, t2, t3] = if max_value >= 128 {
        let f = (max_value.min(4095) + 128) >> 8;
        [f + 2 + 3 * near, 4 * f + 3 + 5 * near, 17 * f + 4 + 7 * near]
    } else {
        let f = 256 / (max_value + 1);
        [
            (3 / f + 3 * near).max(2),
            (7 / f + 5 * near).max(3),
            (21 / f + 7 * near).max(4),
        ]
    };
    let t1 = clamp(t1, near + 1);
    let t2 = clamp(t2, t1);
    let defaults = [t1, t2, clamp(t3, t2)];
    let mut given = defaults;
    for (g, p) in given.iter_mut().zip(preset.thresholds) {
        if p != 0 {
            *g = p.into();
        }
    }
    let [a, b, c] = given;
    let ordered = near < a && a <= b && b <= c && c <= max_value.max(near + 1);
    if ordered || given == defaults {
        Ok(given)
    } else {
        Err(damaged("its thresholds are impossible"))
    }
}

/// Median edge detector (T.87 A.4.1).
#[inline]
pub(super) fn predict(ra: i32, rb: i32, rc: i32) -> i32 {
    let (low, high) = (ra.min(rb), ra.max(rb));
    (ra + rb - rc).clamp(low, high)
}

/// Statistics of a regular context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    a: i32,
    b: i32,
    pub(super) c: i32,
    n: i32,
}

/// Golomb order: smallest k with `n << k >= a`.
#[inline]
fn golomb_order(n: i32, a: i32) -> u32 {
    // Both are positive or (a) zero: the lowest bit changes no comparison and spares the case of zero.
    let k = (n | 1).leading_zeros().saturating_sub((a | 1).leading_zeros());
    if n << k < a { k + 1 } else { k }
}

impl Context {
    pub(super) fn new(range: i32) -> Self {
        Self {
            a: ((range + 32) >> 6).max(2),
            b: 0,
            c: 0,
            n: 1,
        }
    }

    #[inline]
    pub(super) fn order(&self) -> u32 {
        golomb_order(self.n, self.a)
    }

    /// All ones when the mapping of errors is turned over (k = 0, lossless, negative bias), else 0.
    #[inline]
    pub(super) fn turned(&self, k: u32, near: i32) -> i32 {
        if k == 0 && near == 0 {
            (2 * self.b + self.n - 1) >> 31
        } else {
            0
        }
    }

    #[inline]
    pub(super) fn update(&mut self, error: i32, step: i32, reset: i32) {
        self.a += error.abs();
        self.b += error * step;
        if self.n == reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        // T.87 A.6.2 without jumps: noise makes them unpredictable.
        let move_by = i32::from(self.b > 0) - i32::from(self.b <= -self.n);
        self.b = (self.b - self.n * move_by).clamp(1 - self.n, 0);
        self.c = (self.c + move_by).clamp(-128, 127);
    }
}

/// Statistics of one of the two run-interruption contexts.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
    kind: i32,
}

impl RunContext {
    pub(super) fn new(range: i32, kind: i32) -> Self {
        Self {
            a: ((range + 32) >> 6).max(2),
            n: 1,
            negative: 0,
            kind,
        }
    }

    #[inline]
    pub(super) fn order(&self) -> u32 {
        golomb_order(self.n, self.a + (self.n >> 1) * self.kind)
    }

    /// Error of a mapped value.
    #[inline]
    pub(super) fn unmap(&self, mapped: i32, k: u32) -> i32 {
        let t = mapped + self.kind;
        let map = t & 1;
        let magnitude = (t + map) >> 1;
        let negative = k != 0 || 2 * self.negative >= self.n;
        if negative == (map == 1) {
            -magnitude
        } else {
            magnitude
        }
    }

    /// Mapped value of an error.
    #[inline]
    pub(super) fn map(&self, error: i32, k: u32) -> i32 {
        let often_negative = 2 * self.negative >= self.n;
        let map = if k == 0 && error > 0 {
            !often_negative
        } else {
            error < 0 && (k != 0 || often_negative)
        };
        2 * error.abs() - self.kind - i32::from(map)
    }

    #[inline]
    pub(super) fn update(&mut self, error: i32, mapped: i32, reset: i32) {
        self.negative += i32::from(error < 0);
        self.a += (mapped + 1 - self.kind) >> 1;
        if self.n == reset {
            self.a >>= 1;
            self.n >>= 1;
            self.negative >>= 1;
        }
        self.n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_thresholds_of_the_standard() {
        // T.87 table C.3 gives 3, 7, 21 for 8 bits; the same formulas for 12 bits give 18, 67, 276
        assert_eq!(thresholds(255, 0, &Preset::default()).unwrap(), [3, 7, 21]);
        assert_eq!(thresholds(4095, 0, &Preset::default()).unwrap(), [18, 67, 276]);
        assert_eq!(thresholds(65535, 0, &Preset::default()).unwrap(), [18, 67, 276]);
    }

    #[test]
    fn golomb_orders() {
        for n in 1..70 {
            for a in 1..5000 {
                let plain = (0..).find(|k| n << k >= a).unwrap();
                assert_eq!(golomb_order(n, a), plain, "{n} {a}");
            }
        }
    }

    #[test]
    fn run_errors_map_both_ways() {
        for kind in [0, 1] {
            for negative in [0, 1] {
                let context = RunContext {
                    a: 4,
                    n: 2,
                    negative,
                    kind,
                };
                for k in [0, 3] {
                    for error in -20..=20 {
                        if kind == 1 && error == 0 {
                            continue;
                        }
                        assert_eq!(context.unmap(context.map(error, k), k), error);
                    }
                }
            }
        }
    }
}
