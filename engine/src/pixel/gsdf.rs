//! The Grayscale Standard Display Function (PS3.14) and the curve that makes a measured display follow it.

use crate::error::{ImagingError, Result};

/// Just-noticeable differences that the function spans.
pub const JND_MAX: f64 = 1023.0;
/// Luminances that the function spans, candela per square metre.
pub const LUMINANCE_CD_M2: [f64; 2] = [0.05, 3993.404];
const LEVELS_MAX: usize = 1 << 16;
const HALVINGS: usize = 60;

/// Luminance in candela per square metre of a JND index from 1 to 1023 (PS3.14 7.1); indices beyond are held there.
#[must_use]
pub fn luminance(jnd: f64) -> f64 {
    const TOP: [f64; 5] = [
        -1.301_187_7,
        8.024_263_6e-2,
        1.364_669_9e-1,
        -2.546_840_4e-2,
        1.363_533_4e-3,
    ];
    const BOTTOM: [f64; 6] = [
        1.0,
        -2.584_019_1e-2,
        -1.032_022_9e-1,
        2.874_562_0e-2,
        -3.197_897_7e-3,
        1.299_263_4e-4,
    ];
    let x = jnd.clamp(1.0, JND_MAX).ln();
    let value = |of: &[f64]| of.iter().rev().fold(0.0, |sum, c| sum * x + c);
    10_f64.powf(value(&TOP) / value(&BOTTOM))
}

/// JND index of a luminance: the inverse of [`luminance`], held to 1 and 1023 beyond its ends.
#[must_use]
pub fn jnd(luminance_cd_m2: f64) -> f64 {
    let (mut low, mut high) = (1.0, JND_MAX);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if luminance(middle) < luminance_cd_m2 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// A display as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    /// Driving levels, rising, and the luminance of each without ambient light, rising too.
    points: Vec<(f64, f64)>,
    ambient_cd_m2: f64,
}

/// How near the display comes to the function (the contrast test of PS3.14 annex C).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conformance {
    /// JNDs between one P-value and the next, on average.
    pub jnd_per_step: f64,
    /// Largest difference of a step from that.
    pub deviation_jnd: f64,
    /// JND indices of the darkest and the brightest level, ambient light included.
    pub jnd_range: [f64; 2],
}

impl Display {
    /// From measurements `(driving level, candela per square metre)` in any order, and the ambient light that the
    /// display reflects.
    ///
    /// # Errors
    /// Less than two levels, a level twice, luminances that do not rise with the level or leave the function's range.
    pub fn new(mut measured: Vec<(f64, f64)>, ambient_cd_m2: f64) -> Result<Self> {
        let wrong = |why: String| Err(ImagingError::Request(format!("measured luminances: {why}")));
        measured.sort_by(|a, b| a.0.total_cmp(&b.0));
        if measured.len() < 2 || measured.len() > LEVELS_MAX {
            return wrong(format!("{} levels; 2 to {LEVELS_MAX} are needed", measured.len()));
        }
        let sound = |v: f64| v.is_finite() && v >= 0.0;
        if !sound(ambient_cd_m2) || !measured.iter().all(|(d, l)| sound(*d) && sound(*l)) {
            return wrong("levels, luminances and ambient light are numbers from 0".to_owned());
        }
        for pair in measured.windows(2) {
            if let [(d0, l0), (d1, l1)] = pair
                && (d0 == d1 || l0 >= l1)
            {
                return wrong(format!(
                    "level {d1} ({l1} cd/m2) is not brighter than level {d0} ({l0} cd/m2)"
                ));
            }
        }
        let ends = [measured.first(), measured.last()].map(|p| p.map_or(0.0, |p| p.1 + ambient_cd_m2));
        if ends[0] < LUMINANCE_CD_M2[0] || ends[1] > LUMINANCE_CD_M2[1] {
            return wrong(format!(
                "{} to {} cd/m2 with ambient light; the function goes from {} to {}",
                ends[0], ends[1], LUMINANCE_CD_M2[0], LUMINANCE_CD_M2[1]
            ));
        }
        Ok(Self {
            points: measured,
            ambient_cd_m2,
        })
    }

    /// Luminance of a driving level with ambient light; straight between measured levels.
    #[must_use]
    pub fn luminance(&self, level: f64) -> f64 {
        let i = self
            .points
            .partition_point(|p| p.0 <= level)
            .clamp(1, self.points.len() - 1);
        let ((d0, l0), (d1, l1)) = (self.points[i - 1], self.points[i]);
        let part = ((level - d0) / (d1 - d0)).clamp(0.0, 1.0);
        l0 + (l1 - l0) * part + self.ambient_cd_m2
    }

    fn jnd_range(&self) -> [f64; 2] {
        [self.points.first(), self.points.last()].map(|p| jnd(p.map_or(0.0, |p| p.1) + self.ambient_cd_m2))
    }

    /// Luminance that P-value `p` of `p_values` should have, with ambient light.
    #[must_use]
    pub fn wanted(&self, p: usize, p_values: usize) -> f64 {
        let [low, high] = self.jnd_range();
        luminance(low + (high - low) * p as f64 / (p_values.max(2) - 1) as f64)
    }

    /// The driving level, a whole number, whose luminance is nearest to that of each P-value.
    ///
    /// # Errors
    /// Less than 2 or more than 65536 P-values.
    pub fn curve(&self, p_values: usize) -> Result<Vec<u32>> {
        if !(2..=LEVELS_MAX).contains(&p_values) {
            let why = format!("{p_values} P-values: 2 to {LEVELS_MAX} are possible");
            return Err(ImagingError::Request(why));
        }
        Ok((0..p_values)
            .map(|p| self.level(self.wanted(p, p_values)))
            .collect())
    }

    fn level(&self, luminance: f64) -> u32 {
        let own = luminance - self.ambient_cd_m2;
        let i = self
            .points
            .partition_point(|p| p.1 <= own)
            .clamp(1, self.points.len() - 1);
        let ((d0, l0), (d1, l1)) = (self.points[i - 1], self.points[i]);
        (d0 + (d1 - d0) * ((own - l0) / (l1 - l0)).clamp(0.0, 1.0)).round() as u32
    }

    /// How even the steps between P-values are when `curve` drives the display; `None` for less than two levels.
    #[must_use]
    pub fn conformance(&self, curve: &[u32]) -> Option<Conformance> {
        let jnds: Vec<f64> = curve
            .iter()
            .map(|level| jnd(self.luminance(f64::from(*level))))
            .collect();
        let (first, last) = (*jnds.first()?, *jnds.last()?);
        if jnds.len() < 2 {
            return None;
        }
        let jnd_per_step = (last - first) / (jnds.len() - 1) as f64;
        let deviations = jnds.windows(2).map(|w| (w[1] - w[0] - jnd_per_step).abs());
        Some(Conformance {
            jnd_per_step,
            deviation_jnd: deviations.fold(0.0, f64::max),
            jnd_range: self.jnd_range(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// PS3.14 table B-1.
    #[test]
    fn luminances_of_the_standard_table() {
        for (index, expect) in [(1.0, 0.0500), (2.0, 0.0547), (3.0, 0.0594), (1023.0, 3993.4040)] {
            let got = luminance(index);
            assert!(
                (got - expect).abs() <= 0.00006_f64.max(expect * 1e-4),
                "{index}: {got}"
            );
        }
        assert_eq!(luminance(0.0), luminance(1.0));
    }

    /// The standard's own polynomial for the inverse (PS3.14 7.1) is near this one.
    #[test]
    fn the_inverse_is_that_of_the_standard() {
        const OF_THE_STANDARD: [f64; 9] = [
            71.498_068,
            94.593_053,
            41.912_053,
            9.824_700_4,
            0.281_754_07,
            -1.187_845_5,
            -0.180_143_49,
            0.147_108_99,
            -0.017_046_845,
        ];
        for luminance in [0.06, 0.5, 1.0, 20.0, 350.0, 3900.0_f64] {
            let x = luminance.log10();
            let wanted = OF_THE_STANDARD.iter().rev().fold(0.0, |sum, c| sum * x + c);
            assert!(
                (jnd(luminance) - wanted).abs() < 0.1,
                "{luminance}: {} {wanted}",
                jnd(luminance)
            );
        }
    }

    proptest! {
        #[test]
        fn there_and_back(index in 1.0..1023.0_f64) {
            prop_assert!((jnd(luminance(index)) - index).abs() < 1e-6);
            prop_assert!(luminance(index + 0.1) >= luminance(index));
        }
    }

    /// A display of gamma 2.2 with 1024 driving levels.
    fn display(ambient: f64) -> Display {
        let point = |k: u32| (f64::from(k), 0.4 + 399.6 * (f64::from(k) / 1023.0).powf(2.2));
        Display::new((0..1024).map(point).collect(), ambient).unwrap()
    }

    #[test]
    fn a_curve_makes_steps_even() {
        let display = display(0.6);
        let curve = display.curve(256).unwrap();
        assert_eq!((curve[0], curve[255]), (0, 1023));
        assert!(curve.windows(2).all(|w| w[0] <= w[1]));
        let done = display.conformance(&curve).unwrap();
        let plain: Vec<u32> = (0..256).map(|p| p * 1023 / 255).collect();
        let before = display.conformance(&plain).unwrap();
        assert!(
            done.deviation_jnd < 0.8 && before.deviation_jnd > 2.0,
            "{done:?} {before:?}"
        );
        assert!((done.jnd_per_step * 255.0 - (done.jnd_range[1] - done.jnd_range[0])).abs() < 1e-9);
        let off = (0..256).map(|p| {
            let wanted = display.wanted(p, 256);
            (display.luminance(f64::from(curve[p])) - wanted).abs() / wanted
        });
        assert!(off.fold(0.0, f64::max) < 0.02);
    }

    #[test]
    fn measurements_that_cannot_be_are_refused() {
        for (points, ambient) in [
            (vec![(0.0, 1.0)], 0.0),
            (vec![(0.0, 1.0), (0.0, 2.0)], 0.0),
            (vec![(0.0, 2.0), (255.0, 1.0)], 0.0),
            (vec![(0.0, 0.01), (255.0, 1.0)], 0.0),
            (vec![(0.0, 1.0), (255.0, 5000.0)], 0.0),
            (vec![(0.0, 1.0), (255.0, f64::NAN)], 0.0),
            (vec![(0.0, 1.0), (255.0, 300.0)], -1.0),
        ] {
            assert!(Display::new(points.clone(), ambient).is_err(), "{points:?}");
        }
        assert!(display(0.0).curve(1).is_err());
        assert!(display(0.0).conformance(&[3]).is_none());
    }
}
