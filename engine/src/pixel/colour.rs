//! Colour spaces to RGB (PS3.3 C.7.6.3.1.2; ITU-R BT.601 coefficients).

use crate::codec::{DecodedColour, Photometric};

/// What three samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Rgb,
    YbrFull,
    YbrPartial,
}

impl Space {
    /// The space of decoded samples: the stream's own word beats the header's.
    pub(crate) fn of(photometric: Photometric, decoded: DecodedColour) -> Self {
        match (decoded, photometric) {
            (DecodedColour::Rgb, _) => Self::Rgb,
            (DecodedColour::YbrFull, _)
            | (_, Photometric::YbrFull | Photometric::YbrFull422 | Photometric::YbrIct) => Self::YbrFull,
            (_, Photometric::YbrPartial422 | Photometric::YbrPartial420) => Self::YbrPartial,
            _ => Self::Rgb,
        }
    }

    /// Red, green and blue, 0 to 255, of three samples of 0 to 255.
    pub(crate) fn to_rgb(self, [a, b, c]: [u8; 3]) -> [u8; 3] {
        match self {
            Self::Rgb => [a, b, c],
            Self::YbrFull => matrix(
                65536 * i64::from(a),
                i64::from(b) - 128,
                i64::from(c) - 128,
                [91881, -22553, -46802, 116_130],
            ),
            Self::YbrPartial => matrix(
                76309 * (i64::from(a) - 16),
                i64::from(b) - 128,
                i64::from(c) - 128,
                [104_597, -25675, -53279, 132_201],
            ),
        }
    }
}

/// `luma` and the coefficients (red by Cr, green by Cb, green by Cr, blue by Cb) in 65536ths, rounded half up.
fn matrix(luma: i64, cb: i64, cr: i64, [red, green_b, green_r, blue]: [i64; 4]) -> [u8; 3] {
    let round = |v: i64| ((v + 32768) >> 16).clamp(0, 255) as u8;
    [
        round(luma + red * cr),
        round(luma + green_b * cb + green_r * cr),
        round(luma + blue * cb),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_range_agrees_with_the_formula_within_one() {
        let mut off = 0;
        for (y, cb, cr) in (0..=255u8)
            .step_by(5)
            .flat_map(|y| (0..=255u8).step_by(7).map(move |c| (y, c, c.wrapping_mul(31))))
        {
            let (fy, fb, fr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
            let want = [
                fy + 1.402 * fr,
                fy - 0.344_136 * fb - 0.714_136 * fr,
                fy + 1.772 * fb,
            ];
            let got = Space::YbrFull.to_rgb([y, cb, cr]);
            for (w, g) in want.iter().zip(got) {
                let d = (w.clamp(0.0, 255.0) + 0.5).floor() - f64::from(g);
                assert!(d.abs() <= 1.0);
                off += i32::from(d != 0.0);
            }
        }
        assert!(off < 10, "{off}");
    }

    #[test]
    fn studio_range_ends() {
        assert_eq!(Space::YbrPartial.to_rgb([16, 128, 128]), [0, 0, 0]);
        assert_eq!(Space::YbrPartial.to_rgb([235, 128, 128]), [255, 255, 255]);
    }
}
