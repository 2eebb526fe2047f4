//! Inverse reversible 5/3 transform (ITU-T T.800 Annex F.3): rows first, then columns.

use super::super::room;

/// A plane of samples.
#[derive(Debug, Default)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) data: Vec<i32>,
}

impl Plane {
    pub(super) fn new((width, height): (usize, usize)) -> Self {
        Self {
            width,
            height,
            data: room::zeros(width * height),
        }
    }

    fn row(&self, y: usize) -> &[i32] {
        let start = y * self.width;
        self.data.get(start..start + self.width).unwrap_or_default()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        room::give(std::mem::take(&mut self.data));
    }
}

/// Joins the image at half the size and the three bands of detail (horizontal, vertical, both).
pub(super) fn join(low: &Plane, [across, down, both]: &[Plane; 3]) -> Plane {
    let (w, h) = (low.width + across.width, low.height + down.height);
    let mut out = Plane {
        width: w,
        height: h,
        data: room::take(w * h),
    };
    if h == 1 {
        out.data.resize(w, 0);
        join_row(low.row(0), across.row(0), &mut out.data);
        return out;
    }
    // Rows of the high half that stand above and below the even row at work; mirrored beyond the edges.
    let (mut before, mut after) = (vec![0; w], vec![0; w]);
    let (mut even_before, mut even) = (vec![0; w], vec![0; w]);
    for k in 0..low.height {
        join_row(low.row(k), across.row(k), &mut even);
        if k < down.height {
            join_row(down.row(k), both.row(k), &mut after);
        }
        let above: &[i32] = if k == 0 { &after } else { &before };
        let below: &[i32] = if k < down.height { &after } else { &before };
        for ((x, a), b) in even.iter_mut().zip(above).zip(below) {
            *x -= (a + b + 2) >> 2;
        }
        if k > 0 {
            odd_row(&before, &even_before, &even, &mut out.data);
        }
        out.data.extend_from_slice(&even);
        std::mem::swap(&mut before, &mut after);
        std::mem::swap(&mut even_before, &mut even);
    }
    if down.height == low.height {
        odd_row(&before, &even_before, &even_before, &mut out.data);
    }
    out
}

fn odd_row(high: &[i32], above: &[i32], below: &[i32], out: &mut Vec<i32>) {
    out.extend(
        high.iter()
            .zip(above)
            .zip(below)
            .map(|((d, a), b)| d + ((a + b) >> 1)),
    );
}

/// Joins the halves of a row.
fn join_row(low: &[i32], high: &[i32], out: &mut [i32]) {
    let (Some(first), Some(last)) = (high.first(), high.last()) else {
        out.copy_from_slice(low);
        return;
    };
    // Even places lie between two high samples each, odd ones between two even places; both mirror at the edges.
    let (pairs, end) = out.as_chunks_mut::<2>();
    let mut even = low.first().map_or(0, |l| l - ((2 * first + 2) >> 2));
    let (inner, final_pair) = pairs.split_at_mut(high.len() - 1);
    let lows = low.iter().skip(1);
    for (((pair, h), next_h), l) in inner.iter_mut().zip(high).zip(high.iter().skip(1)).zip(lows) {
        let next = l - ((h + next_h + 2) >> 2);
        *pair = [even, h + ((even + next) >> 1)];
        even = next;
    }
    let mut next = even;
    if let ([x], Some(l)) = (end, low.last()) {
        next = l - ((2 * last + 2) >> 2);
        *x = next;
    }
    if let [pair] = final_pair {
        *pair = [even, last + ((even + next) >> 1)];
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::htj2k::wavelet::{Band, Step, step};
    use super::*;

    /// What the forward transform takes apart comes together again.
    #[test]
    fn joins_what_was_split() {
        for (width, height) in [
            (1, 1),
            (2, 1),
            (1, 2),
            (2, 2),
            (3, 3),
            (7, 4),
            (4, 7),
            (16, 1),
            (1, 9),
            (33, 18),
        ] {
            let data: Vec<i32> = (0..width * height)
                .map(|i| (i * i * 7919 % 511) as i32 - 200)
                .collect();
            let Step { low, detail } = step(&Band {
                width,
                height,
                data: data.clone(),
            });
            let plane = |mut b: Band| Plane {
                width: b.width,
                height: b.height,
                data: std::mem::take(&mut b.data),
            };
            let back = join(&plane(low), &detail.map(plane));
            assert_eq!((back.width, back.height), (width, height));
            assert_eq!(back.data, data, "{width} x {height}");
        }
    }
}
