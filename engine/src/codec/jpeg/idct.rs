//! Inverse DCT in integers: Loeffler, Ligtenberg and Moschytz, "Practical Fast 1-D DCT Algorithms with 11
//! Multiplications" (ICASSP 1989), two passes of 13-bit constants, which the usual decoders agree with to the bit.

use std::num::Wrapping;

type W = Wrapping<i32>;

const CONST_BITS: usize = 13;
const fn fixed(value: i32) -> W {
    Wrapping(value)
}
const F_0_298: W = fixed(2446);
const F_0_390: W = fixed(3196);
const F_0_541: W = fixed(4433);
const F_0_765: W = fixed(6270);
const F_0_899: W = fixed(7373);
const F_1_175: W = fixed(9633);
const F_1_501: W = fixed(12299);
const F_1_847: W = fixed(15137);
const F_1_961: W = fixed(16069);
const F_2_053: W = fixed(16819);
const F_2_562: W = fixed(20995);
const F_3_072: W = fixed(25172);

/// The eight outputs of one line, scaled up by `2^CONST_BITS`.
#[inline]
fn line(s: [W; 8]) -> [W; 8] {
    let z1 = (s[2] + s[6]) * F_0_541;
    let (t2, t3) = (z1 - s[6] * F_1_847, z1 + s[2] * F_0_765);
    let (t0, t1) = ((s[0] + s[4]) << CONST_BITS, (s[0] - s[4]) << CONST_BITS);
    let (e0, e3, e1, e2) = (t0 + t3, t0 - t3, t1 + t2, t1 - t2);
    let z5 = (s[7] + s[3] + s[5] + s[1]) * F_1_175;
    let z1 = (s[7] + s[1]) * F_0_899;
    let z2 = (s[5] + s[3]) * F_2_562;
    let z3 = z5 - (s[7] + s[3]) * F_1_961;
    let z4 = z5 - (s[5] + s[1]) * F_0_390;
    let o0 = s[7] * F_0_298 - z1 + z3;
    let o1 = s[5] * F_2_053 - z2 + z4;
    let o2 = s[3] * F_3_072 - z2 + z3;
    let o3 = s[1] * F_1_501 - z1 + z4;
    [
        e0 + o3,
        e1 + o2,
        e2 + o1,
        e3 + o0,
        e3 - o0,
        e2 - o1,
        e1 - o2,
        e0 - o3,
    ]
}

fn descale(v: W, bits: usize) -> W {
    (v + Wrapping(1 << (bits - 1))) >> bits
}

/// Samples of a block from its dequantised coefficients in natural order; `precision` is 8 or 12.
pub(super) fn idct(coefficients: &[i32; 64], precision: u8, out: &mut [u16; 64]) {
    let pass_bits = if precision > 8 { 1 } else { 2 };
    let (middle, top) = (1i32 << (precision - 1), (1i32 << precision) - 1);
    if coefficients.iter().skip(1).all(|c| *c == 0) {
        let dc = descale(Wrapping(coefficients[0]) << pass_bits, pass_bits + 3)
            .0
            .wrapping_add(middle);
        out.fill(dc.clamp(0, top) as u16);
        return;
    }
    let mut work = [Wrapping(0i32); 64];
    for x in 0..8 {
        let s = std::array::from_fn(|y| Wrapping(coefficients[y * 8 + x]));
        for (y, v) in line(s).into_iter().enumerate() {
            work[y * 8 + x] = descale(v, CONST_BITS - pass_bits);
        }
    }
    for (row, out) in work.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
        for (v, o) in line(*row).into_iter().zip(out) {
            *o = descale(v, CONST_BITS + pass_bits + 3)
                .0
                .wrapping_add(middle)
                .clamp(0, top) as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition (T.81 A.3.3).
    fn plain(c: &[i32; 64], x: usize, y: usize) -> f64 {
        let mut sum = 0.0;
        for v in 0..8 {
            for u in 0..8 {
                let scale = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
                let cos =
                    |p: usize, k: usize| ((2 * p + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
                sum += scale(u) * scale(v) * f64::from(c[v * 8 + u]) * cos(x, u) * cos(y, v);
            }
        }
        sum / 4.0
    }

    #[test]
    fn agrees_with_the_definition() {
        for (precision, size) in [(8u8, 300), (12, 4000)] {
            let mut seed = 7u32;
            for _ in 0..50 {
                let mut c = [0i32; 64];
                for v in c.iter_mut().take(20) {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *v = (seed >> 8) as i32 % size - size / 2;
                }
                let mut out = [0u16; 64];
                idct(&c, precision, &mut out);
                let (middle, top) = (
                    f64::from(1u32 << (precision - 1)),
                    f64::from((1u32 << precision) - 1),
                );
                for y in 0..8 {
                    for x in 0..8 {
                        let want = (plain(&c, x, y) + middle).clamp(0.0, top);
                        assert!(
                            (want - f64::from(out[y * 8 + x])).abs() < 0.9,
                            "{want} {}",
                            out[y * 8 + x]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_coefficients_do_not_overflow() {
        let mut out = [0u16; 64];
        idct(&[i32::MAX; 64], 12, &mut out);
        idct(&[i32::MIN; 64], 8, &mut out);
    }
}
