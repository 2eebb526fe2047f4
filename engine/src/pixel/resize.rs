//! Resizing: exact area average for smaller pictures, bilinear for larger ones.

/// Output rows or columns that one source line touches, with the share of its length in each.
struct Coverage {
    scale: f64,
}

impl Coverage {
    fn new(from: usize, to: usize) -> Self {
        Self {
            scale: from as f64 / to as f64,
        }
    }

    /// Source range `[first, last]` and the weights of its two ends for output line `k`; all between weigh 1.
    fn span(&self, k: usize, from: usize) -> (usize, usize, f32, f32) {
        let (a, b) = (k as f64 * self.scale, (k + 1) as f64 * self.scale);
        let first = (a.floor() as usize).min(from - 1);
        let last = ((b - 1e-9).ceil() as usize).clamp(first + 1, from) - 1;
        if first == last {
            return (first, last, (b - a) as f32, 0.0);
        }
        (
            first,
            last,
            (first as f64 + 1.0 - a) as f32,
            (b - last as f64) as f32,
        )
    }
}

/// Area average: each output sample is the mean of the source over exactly its own area.
///
/// `source` is `rows * columns * channels` values, row by row; the answer `to_rows * to_columns * channels`. Meant for
/// `to_rows <= rows` and `to_columns <= columns`. Wrong lengths or zero sizes give an empty answer.
#[must_use]
pub fn area_average<T: Copy>(
    source: &[T],
    (rows, columns, channels): (usize, usize, usize),
    (to_rows, to_columns): (usize, usize),
    value: impl Fn(T) -> f32,
) -> Vec<f32> {
    let line = columns * channels;
    if source.len() != rows * line || source.is_empty() || to_rows == 0 || to_columns == 0 {
        return Vec::new();
    }
    let (down, across) = (Coverage::new(rows, to_rows), Coverage::new(columns, to_columns));
    let spans: Vec<_> = (0..to_columns).map(|k| across.span(k, columns)).collect();
    let norm = (1.0 / (down.scale * across.scale)) as f32;
    let mut sums = vec![0f32; line];
    let mut out = Vec::with_capacity(to_rows * to_columns * channels);
    for k in 0..to_rows {
        let (first, last, head, tail) = down.span(k, rows);
        sums.fill(0.0);
        for (r, row) in source.chunks_exact(line).enumerate().take(last + 1).skip(first) {
            let weight = if r == first {
                head
            } else if r == last {
                tail
            } else {
                1.0
            };
            for (s, v) in sums.iter_mut().zip(row) {
                *s += weight * value(*v);
            }
        }
        for (first, last, head, tail) in &spans {
            for c in 0..channels {
                let at = |i: usize| sums.get(i * channels + c).copied().unwrap_or(0.0);
                let middle: f32 = (first + 1..*last).map(at).sum();
                out.push(
                    (middle + head * at(*first) + if last > first { tail * at(*last) } else { 0.0 }) * norm,
                );
            }
        }
    }
    out
}

/// Bilinear interpolation with pixel centres aligned to the picture's edges (the usual half-pixel convention).
///
/// Shapes as in [`area_average`].
#[must_use]
pub fn bilinear<T: Copy>(
    source: &[T],
    (rows, columns, channels): (usize, usize, usize),
    (to_rows, to_columns): (usize, usize),
    value: impl Fn(T) -> f32,
) -> Vec<f32> {
    if source.len() != rows * columns * channels || source.is_empty() || to_rows == 0 || to_columns == 0 {
        return Vec::new();
    }
    let place = |k: usize, from: usize, to: usize| {
        let x = ((k as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
        let i = (x as usize).min(from.saturating_sub(2));
        (i, (i + 1).min(from - 1), (x - i as f64) as f32)
    };
    let columns_at: Vec<_> = (0..to_columns).map(|k| place(k, columns, to_columns)).collect();
    let mut out = Vec::with_capacity(to_rows * to_columns * channels);
    for k in 0..to_rows {
        let (r0, r1, fy) = place(k, rows, to_rows);
        for (c0, c1, fx) in &columns_at {
            for c in 0..channels {
                let at = |r: usize, x: usize| {
                    source
                        .get((r * columns + x) * channels + c)
                        .map_or(0.0, |v| value(*v))
                };
                let top = at(r0, *c0) + (at(r0, *c1) - at(r0, *c0)) * fx;
                let bottom = at(r1, *c0) + (at(r1, *c1) - at(r1, *c0)) * fx;
                out.push(top + (bottom - top) * fy);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plain definition: every source pixel shared out by the area it covers.
    fn plain(source: &[f32], rows: usize, columns: usize, to_rows: usize, to_columns: usize) -> Vec<f64> {
        let share = |k: usize, i: usize, from: usize, to: usize| {
            let s = from as f64 / to as f64;
            (((k + 1) as f64 * s).min(i as f64 + 1.0) - (k as f64 * s).max(i as f64)).max(0.0) / s
        };
        let mut out = Vec::new();
        for y in 0..to_rows {
            for x in 0..to_columns {
                let mut sum = 0.0;
                for r in 0..rows {
                    for c in 0..columns {
                        sum += share(y, r, rows, to_rows)
                            * share(x, c, columns, to_columns)
                            * f64::from(source[r * columns + c]);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn area_average_is_the_mean_over_the_area(rows in 1usize..20, columns in 1usize..20, a in 1usize..20, b in 1usize..20, seed: u32) {
            let (to_rows, to_columns) = (a.min(rows), b.min(columns));
            let source: Vec<f32> = (0..rows * columns).map(|i| ((i as u32).wrapping_mul(2654435761) ^ seed) as f32 / 1e7).collect();
            let got = area_average(&source, (rows, columns, 1), (to_rows, to_columns), |v| v);
            for (g, w) in got.iter().zip(plain(&source, rows, columns, to_rows, to_columns)) {
                prop_assert!((f64::from(*g) - w).abs() < 0.02, "{g} {w}");
            }
            prop_assert_eq!(got.len(), to_rows * to_columns);
        }
    }

    #[test]
    fn bilinear_keeps_constants_and_ramps() {
        let out = bilinear(&[0u8, 100], (1, 2, 1), (1, 4), f32::from);
        assert_eq!(out, [0.0, 25.0, 75.0, 100.0]);
        assert!(
            bilinear(&[9u8; 6], (2, 3, 1), (5, 7), f32::from)
                .iter()
                .all(|v| (*v - 9.0).abs() < 1e-6)
        );
        assert!(bilinear(&[9u8; 6], (2, 4, 1), (5, 7), f32::from).is_empty());
    }
}
