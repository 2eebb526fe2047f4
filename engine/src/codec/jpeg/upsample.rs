//! Subsampled components to full size: triangle filter for factors of two (as the usual decoders do), repetition
//! for all others; then components beside each other.

use super::markers::Frame;

/// Decoded samples of one component.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    /// Samples of a line of `data` (whole blocks).
    pub(super) stride: usize,
    /// True width and height.
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) data: Vec<u16>,
}

impl Plane {
    fn row(&self, y: usize) -> &[u16] {
        let start = y.min(self.rows.saturating_sub(1)) * self.stride;
        self.data.get(start..start + self.columns).unwrap_or_default()
    }
}

/// All components at full size, interleaved.
pub(super) fn interleave(frame: &Frame, planes: &[Plane]) -> Vec<u16> {
    let count = planes.len();
    let mut out = vec![0u16; frame.rows * frame.columns * count];
    let mut line = vec![0u16; frame.columns + 2 * frame.h_max];
    for (index, (plane, component)) in planes.iter().zip(&frame.components).enumerate() {
        let (across, down) = (frame.h_max / component.h, frame.v_max / component.v);
        for (y, target) in out.chunks_exact_mut(frame.columns * count).enumerate() {
            upsample_row(plane, y, across, down, &mut line);
            for (o, v) in target.iter_mut().skip(index).step_by(count).zip(&line) {
                *o = *v;
            }
        }
    }
    out
}

fn upsample_row(plane: &Plane, y: usize, across: usize, down: usize, line: &mut [u16]) {
    let near = plane.row(y / down);
    if across == 2 && down <= 2 && plane.columns > 2 {
        let far = if down == 1 {
            near
        } else if y.is_multiple_of(2) {
            plane.row((y / 2).saturating_sub(1))
        } else {
            plane.row(y / 2 + 1)
        };
        triangle(near, far, down == 2, line);
        return;
    }
    for (i, v) in line.iter_mut().enumerate() {
        *v = near.get(i / across).or(near.last()).copied().unwrap_or(0);
    }
}

/// Doubles a line: three quarters of the nearer sample, one quarter of the farther, in both directions when `both`.
fn triangle(near: &[u16], far: &[u16], both: bool, line: &mut [u16]) {
    let (unit, shift, bias_left, bias_right) = if both { (4, 4, 8, 7) } else { (1, 2, 1, 2) };
    let sum = |i: usize| {
        let n = near.get(i).map_or(0, |v| u32::from(*v));
        if both {
            3 * n + far.get(i).map_or(0, |v| u32::from(*v))
        } else {
            n
        }
    };
    let last = near.len().saturating_sub(1);
    for (i, pair) in line
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .enumerate()
        .take(near.len())
    {
        let this = sum(i);
        let left = if i == 0 {
            (this * unit + if both { 8 } else { 0 }) >> if both { 4 } else { 0 }
        } else {
            (3 * this + sum(i - 1) + bias_left) >> shift
        };
        let right = if i == last {
            (this * unit + if both { 7 } else { 0 }) >> if both { 4 } else { 0 }
        } else {
            (3 * this + sum(i + 1) + bias_right) >> shift
        };
        *pair = [left as u16, right as u16];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(near: &[u16], far: &[u16], both: bool, expect: &[u16]) {
        let mut line = vec![0; near.len() * 2];
        triangle(near, far, both, &mut line);
        assert_eq!(line, expect);
    }

    #[test]
    fn triangle_filter() {
        check(&[0, 100, 200], &[], false, &[0, 25, 75, 125, 175, 200]);
        check(&[10, 10, 10], &[10, 10, 10], true, &[10; 6]);
        check(&[16, 16, 16], &[0, 0, 0], true, &[12; 6]);
    }
}
