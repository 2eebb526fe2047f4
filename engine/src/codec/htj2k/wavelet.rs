//! Forward reversible 5/3 transform (ITU-T T.800 Annex F.4): columns first, then rows, as the inverse needs it.

use super::super::room;

/// A sub-band.
#[derive(Debug, Default)]
pub(in crate::codec) struct Band {
    pub(in crate::codec) width: usize,
    pub(in crate::codec) height: usize,
    pub(in crate::codec) data: Vec<i32>,
}

impl Band {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: room::take(width * height),
        }
    }

    fn row(&self, y: usize) -> &[i32] {
        let start = y * self.width;
        self.data.get(start..start + self.width).unwrap_or_default()
    }
}

impl Drop for Band {
    fn drop(&mut self) {
        room::give(std::mem::take(&mut self.data));
    }
}

/// One step: the image at half the size and the three bands of detail (horizontal, vertical, both).
#[derive(Debug)]
pub(in crate::codec) struct Step {
    pub(in crate::codec) low: Band,
    pub(in crate::codec) detail: [Band; 3],
}

/// Rows of an image that is to be split, as they are asked for: one after the other from the first on.
pub(super) trait Rows {
    fn read(&self, y: usize, out: &mut [i32]);
}

impl Rows for Band {
    #[inline(always)]
    fn read(&self, y: usize, out: &mut [i32]) {
        out.copy_from_slice(self.row(y));
    }
}

/// Splits an image of `w` x `h` whose upper left is at an even place.
#[inline(always)]
pub(super) fn split(image: &impl Rows, (w, h): (usize, usize)) -> Step {
    let (wl, hl, wh, hh) = (w.div_ceil(2), h.div_ceil(2), w / 2, h / 2);
    let mut low = Band::new(wl, hl);
    let mut detail = [Band::new(wh, hl), Band::new(wl, hh), Band::new(wh, hh)];
    let [across, down, both] = &mut detail;
    let row = || vec![0; w];
    let (mut even, mut odd, mut next) = (row(), row(), row());
    let (mut smooth, mut rough, mut rough_before) = (row(), row(), row());
    image.read(0, &mut even);
    for k in 0..hl {
        if 2 * k + 1 < h {
            image.read(2 * k + 1, &mut odd);
            // The image goes on mirrored at its last row.
            if 2 * k + 2 < h {
                image.read(2 * k + 2, &mut next);
            } else {
                next.copy_from_slice(&even);
            }
            lift(
                [&even, &odd, &next],
                (k > 0).then_some(&rough_before),
                &mut rough,
                &mut smooth,
            );
            split_row(&rough, &mut down.data, &mut both.data);
            std::mem::swap(&mut rough, &mut rough_before);
            std::mem::swap(&mut even, &mut next);
        } else if h == 1 {
            smooth.copy_from_slice(&even);
        } else {
            for ((s, x), d) in smooth.iter_mut().zip(&even).zip(&rough_before) {
                *s = x + ((2 * d + 2) >> 2);
            }
        }
        split_row(&smooth, &mut low.data, &mut across.data);
    }
    Step { low, detail }
}

/// The high row between two even ones, and the low row of the upper one; `before` is the high row above that.
#[inline(always)]
fn lift([even, odd, next]: [&[i32]; 3], before: Option<&Vec<i32>>, rough: &mut [i32], smooth: &mut [i32]) {
    let n = even.len();
    let (odd, next, rough, smooth) = (&odd[..n], &next[..n], &mut rough[..n], &mut smooth[..n]);
    match before {
        Some(before) => {
            let before = &before[..n];
            for i in 0..n {
                let d = odd[i] - ((even[i] + next[i]) >> 1);
                rough[i] = d;
                smooth[i] = even[i] + ((before[i] + d + 2) >> 2);
            }
        }
        None => {
            for i in 0..n {
                let d = odd[i] - ((even[i] + next[i]) >> 1);
                rough[i] = d;
                smooth[i] = even[i] + ((2 * d + 2) >> 2);
            }
        }
    }
}

/// Appends the low and high half of a row.
#[inline(always)]
fn split_row(row: &[i32], low: &mut Vec<i32>, high: &mut Vec<i32>) {
    let (start, highs) = (high.len(), row.len() / 2);
    let (pairs, last) = row.as_chunks::<2>();
    let Some((end, [_, final_odd])) = pairs.last().map(|p| (p[0], p)) else {
        // One column only: nothing to split.
        low.extend_from_slice(row);
        return;
    };
    let inner = pairs.iter().zip(pairs.iter().skip(1));
    high.extend(inner.map(|([a, odd], [b, _])| odd - ((a + b) >> 1)));
    let mirrored = last.first().copied().unwrap_or(end);
    high.push(final_odd - ((end + mirrored) >> 1));
    let high = high.get(start..start + highs).unwrap_or_default();
    let (Some(first), Some(final_high)) = (high.first(), high.last()) else {
        return;
    };
    low.push(row[0] + ((2 * first + 2) >> 2));
    let inner = pairs.iter().skip(1).zip(high).zip(high.iter().skip(1));
    low.extend(inner.map(|(([x, _], a), b)| x + ((a + b + 2) >> 2)));
    low.extend(last.iter().map(|x| x + ((2 * final_high + 2) >> 2)));
}

/// Splits a plane.
#[cfg(test)]
pub(in crate::codec) fn step(image: &Band) -> Step {
    split(image, (image.width, image.height))
}

/// Bands of a whole decomposition: the lowest first, then three of each level, coarsest first.
#[inline(always)]
pub(super) fn decompose(image: &impl Rows, (width, height): (usize, usize), levels: u8) -> Vec<Band> {
    let mut steps = Vec::new();
    let mut lowest = None;
    for _ in 0..levels {
        let Step { low, detail } = match &lowest {
            None => split(image, (width, height)),
            Some(band @ Band { width, height, .. }) => split(band, (*width, *height)),
        };
        steps.push(detail);
        lowest = Some(low);
    }
    let lowest = lowest.unwrap_or_else(|| whole(image, (width, height)));
    std::iter::once(lowest)
        .chain(steps.into_iter().rev().flatten())
        .collect()
}

/// The image as it is.
fn whole(image: &impl Rows, (width, height): (usize, usize)) -> Band {
    let mut band = Band {
        width,
        height,
        data: room::zeros(width * height),
    };
    for (y, row) in band.data.chunks_mut(width.max(1)).enumerate() {
        image.read(y, row);
    }
    band
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known results by hand from the equations of T.800 F.4.8.
    #[test]
    fn small_rows() {
        for (row, low, high) in [
            (vec![5], vec![5], vec![]),
            (vec![5, 9], vec![7], vec![4]),
            (vec![1, 2, 3], vec![1, 3], vec![0]),
            (vec![10, 0, 10, 0], vec![5, 5], vec![-10, -10]),
            (vec![0, 0, 100, 0, 0], vec![-25, 75, -25], vec![-50, -50]),
        ] {
            let (mut l, mut h) = (Vec::new(), Vec::new());
            split_row(&row, &mut l, &mut h);
            assert_eq!((l, h), (low, high), "{row:?}");
        }
    }

    #[test]
    fn sizes_of_the_bands() {
        let image = Band {
            width: 7,
            height: 5,
            data: vec![3; 35],
        };
        let bands = decompose(&image, (7, 5), 2);
        let sizes: Vec<_> = bands.iter().map(|b| (b.width, b.height)).collect();
        assert_eq!(sizes, [(2, 2), (2, 2), (2, 1), (2, 1), (3, 3), (4, 2), (3, 2)]);
        for band in &bands {
            assert_eq!(band.data.len(), band.width * band.height);
        }
    }
}
