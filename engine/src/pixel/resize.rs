//! Resizing: exact area average for smaller pictures, bilinear for larger ones.

/// Source lines under each output line.
struct Coverage {
    from: usize,
    scale: f64,
    shift: f64,
}

/// Source lines `first..=last` under one output line; the two ends weigh `head` and `tail`, all between 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// First source line.
    pub first: usize,
    /// Last source line.
    pub last: usize,
    /// Weight of the first.
    pub head: f32,
    /// Weight of the last, when it is another one.
    pub tail: f32,
    /// One over the sum of the weights.
    pub norm: f32,
}

impl Coverage {
    fn span(&self, k: usize) -> Span {
        let end = self.from as f64;
        let a = (k as f64 * self.scale + self.shift).clamp(0.0, end - 1e-3);
        let b = ((k + 1) as f64 * self.scale + self.shift).clamp(a + 1e-3, end);
        let first = (a as usize).min(self.from - 1);
        let last = ((b - 1e-9).ceil() as usize).clamp(first + 1, self.from) - 1;
        let norm = (1.0 / (b - a)) as f32;
        if first == last {
            return Span {
                first,
                last,
                head: (b - a) as f32,
                tail: 0.0,
                norm,
            };
        }
        Span {
            first,
            last,
            head: (first as f64 + 1.0 - a) as f32,
            tail: (b - last as f64) as f32,
            norm,
        }
    }
}

/// How a source lies under the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Rows, columns and channels of the source.
    pub shape: (usize, usize, usize),
    /// Source rows and columns in one output row and column.
    pub scale: (f64, f64),
    /// Where the output begins, in source rows and columns alike; 0 unless the source is a reduced resolution.
    pub shift: f64,
}

impl Grid {
    /// Source rows under each output row, and source columns under each output column.
    #[must_use]
    pub fn spans(&self, (to_rows, to_columns): (usize, usize)) -> [Vec<Span>; 2] {
        let spans = |from, scale, to| {
            let coverage = Coverage {
                from,
                scale,
                shift: self.shift,
            };
            (0..to).map(|k| coverage.span(k)).collect()
        };
        [
            spans(self.shape.0, self.scale.0, to_rows),
            spans(self.shape.1, self.scale.1, to_columns),
        ]
    }

    /// The whole source over the whole output.
    #[must_use]
    pub fn whole(shape: (usize, usize, usize), (to_rows, to_columns): (usize, usize)) -> Self {
        Self {
            shape,
            scale: (
                shape.0 as f64 / to_rows as f64,
                shape.1 as f64 / to_columns as f64,
            ),
            shift: 0.0,
        }
    }
}

/// Area average: each output sample is the mean of the source over exactly its own area.
///
/// `source` is rows x columns x channels values, row by row; the answer `to_rows * to_columns * channels`. Meant for
/// outputs smaller than the source. Wrong lengths or zero sizes give an empty answer.
#[must_use]
pub fn area_average<T: Copy>(
    source: &[T],
    grid: Grid,
    (to_rows, to_columns): (usize, usize),
    value: impl Fn(T) -> f32,
) -> Vec<f32> {
    let (rows, columns, channels) = grid.shape;
    let line = columns * channels;
    if source.len() != rows * line || source.is_empty() || to_rows == 0 || to_columns == 0 {
        return Vec::new();
    }
    let down = Coverage {
        from: rows,
        scale: grid.scale.0,
        shift: grid.shift,
    };
    let across = Coverage {
        from: columns,
        scale: grid.scale.1,
        shift: grid.shift,
    };
    let spans: Vec<Span> = (0..to_columns).map(|k| across.span(k)).collect();
    let mut sums = vec![0f32; line];
    let mut out = Vec::with_capacity(to_rows * to_columns * channels);
    for k in 0..to_rows {
        let span = down.span(k);
        sums.fill(0.0);
        let lines = source
            .get(span.first * line..(span.last + 1) * line)
            .unwrap_or_default();
        for (r, row) in lines.chunks_exact(line).enumerate() {
            let weight = match r {
                0 => span.head,
                r if r == span.last - span.first => span.tail,
                _ => 1.0,
            };
            if weight == 1.0 {
                sums.iter_mut().zip(row).for_each(|(s, v)| *s += value(*v));
            } else {
                sums.iter_mut()
                    .zip(row)
                    .for_each(|(s, v)| *s += weight * value(*v));
            }
        }
        match whole_step(&grid, to_columns) {
            Some(n) => whole_steps(&sums, n, span.norm / n as f32, &mut out),
            None => spans
                .iter()
                .for_each(|s| across_line(&sums, s, channels, span.norm * s.norm, &mut out)),
        }
    }
    out
}

/// The number of source columns in each output column, where that is a whole number.
fn whole_step(grid: &Grid, to_columns: usize) -> Option<usize> {
    let (_, columns, channels) = grid.shape;
    let whole = channels == 1 && grid.shift == 0.0 && columns.is_multiple_of(to_columns);
    whole.then(|| columns / to_columns)
}

/// Sums of each `n` values, times `norm`.
fn whole_steps(sums: &[f32], n: usize, norm: f32, out: &mut Vec<f32>) {
    match n {
        1 => out.extend(sums.iter().map(|v| v * norm)),
        2 => out.extend(sums.as_chunks::<2>().0.iter().map(|[a, b]| (a + b) * norm)),
        _ => out.extend(sums.chunks_exact(n).map(|c| c.iter().sum::<f32>() * norm)),
    }
}

/// The channels of one output pixel from the column sums.
#[inline]
fn across_line(sums: &[f32], s: &Span, channels: usize, norm: f32, out: &mut Vec<f32>) {
    let part = sums
        .get(s.first * channels..(s.last + 1) * channels)
        .unwrap_or_default();
    if channels == 1 {
        let total = match part {
            [one] => one * s.head,
            [head, middle @ .., tail] => head * s.head + middle.iter().sum::<f32>() + tail * s.tail,
            [] => 0.0,
        };
        out.push(total * norm);
        return;
    }
    let count = part.len() / channels;
    for c in 0..channels {
        let mut total = 0.0;
        for (i, v) in part.iter().skip(c).step_by(channels).enumerate() {
            let weight = if i == 0 {
                s.head
            } else if i + 1 == count {
                s.tail
            } else {
                1.0
            };
            total += weight * v;
        }
        out.push(total * norm);
    }
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
            let got = area_average(&source, Grid::whole((rows, columns, 1), (to_rows, to_columns)), (to_rows, to_columns), |v| v);
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
