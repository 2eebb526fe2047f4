//! Cubic convolution (Keys 1981, a = -1/2): 64 voxels for each point.

use super::bricks::{EDGE_BITS, LAYER, ROW};
use super::sample::{FRACTION_BITS, Field, ONE};

/// Weights of the voxels at -1, 0, 1 and 2 for a point `t` past voxel 0.
fn weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        -0.5 * t + t2 - 0.5 * t3,
        1.0 - 2.5 * t2 + 1.5 * t3,
        0.5 * t + 2.0 * t2 - 1.5 * t3,
        -0.5 * t2 + 0.5 * t3,
    ]
}

/// Places of the four voxels of one axis, held at the edge, and their weights.
fn taps(place: i32, limit: i32, step: i32, jump: i32) -> ([usize; 4], [f32; 4]) {
    let held = place.max(0).min(limit);
    let (index, last) = (held >> FRACTION_BITS, limit >> FRACTION_BITS);
    let part = (held & (ONE - 1)) as f32 / ONE as f32;
    let places = std::array::from_fn(|k| {
        let i = (index + k as i32 - 1).max(0).min(last);
        (i * step + (i >> EDGE_BITS) * jump) as usize
    });
    (places, weights(part))
}

/// One point at a time.
pub(super) fn kernel(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
    let (limit, jumps, values) = (field.limit(), field.jumps(), field.values());
    for (((x, y), z), out) in x.iter().zip(y).zip(z).zip(out) {
        let (px, wx) = taps(*x, limit[0], 1, jumps[0]);
        let (py, wy) = taps(*y, limit[1], ROW as i32, jumps[1]);
        let (pz, wz) = taps(*z, limit[2], LAYER as i32, jumps[2]);
        let mut sum = 0.0;
        for (pz, wz) in pz.iter().zip(wz) {
            for (py, wy) in py.iter().zip(wy) {
                let at = pz + py;
                let line = px.iter().zip(wx).map(|(px, wx)| {
                    let v = values.get(at + px).copied().unwrap_or_default();
                    f32::from(v) * wx
                });
                sum += line.sum::<f32>() * wy * wz;
            }
        }
        *out = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_constants_lines_and_voxels() {
        for t in [0.0_f32, 0.1, 0.5, 0.9] {
            let w = weights(t);
            assert!((w.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            let place: f32 = w.iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, p)| w * p).sum();
            assert!((place - t).abs() < 1e-6);
        }
        assert_eq!(weights(0.0), [0.0, 1.0, 0.0, 0.0]);
    }
}
