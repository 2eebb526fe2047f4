//! VOI windows (PS3.3 C.11.2.1.2 and C.11.2.1.3).

use crate::error::{ImagingError, Result};

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VoiFunction {
    /// The window's middle is at `center - 0.5`, its ramp `width - 1` long.
    #[default]
    Linear,
    /// The window is exactly `center ± width / 2`.
    LinearExact,
    /// Logistic curve.
    Sigmoid,
}

impl VoiFunction {
    /// From the attribute's text or a word of the command line; `None` when it is none of the three.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_uppercase().as_str() {
            "LINEAR" => Some(Self::Linear),
            "LINEAR_EXACT" => Some(Self::LinearExact),
            "SIGMOID" => Some(Self::Sigmoid),
            _ => None,
        }
    }

    /// The attribute's text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "LINEAR",
            Self::LinearExact => "LINEAR_EXACT",
            Self::Sigmoid => "SIGMOID",
        }
    }
}

/// One window: which values after the modality step become black to white.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051).
    pub width: f64,
    /// VOI LUT Function.
    pub function: VoiFunction,
    /// Window Center & Width Explanation (0028,1055).
    pub explanation: Option<String>,
}

impl Window {
    /// A checked window: `width >= 1` for LINEAR, above 0 for the others.
    ///
    /// # Errors
    /// Widths that the standard forbids, values that are not finite.
    pub fn new(center: f64, width: f64, function: VoiFunction) -> Result<Self> {
        let least = if function == VoiFunction::Linear {
            1.0
        } else {
            f64::MIN_POSITIVE
        };
        if !center.is_finite() || !width.is_finite() || width < least {
            let why = format!(
                "window {center},{width} is not possible: the width must be above 0, for linear at least 1"
            );
            return Err(ImagingError::Request(why));
        }
        Ok(Self {
            center,
            width,
            function,
            explanation: None,
        })
    }

    /// From `C,W` or `C,W,FUNCTION`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            ImagingError::Request(format!(
                "window \"{text}\" should be CENTER,WIDTH or CENTER,WIDTH,linear|linear_exact|sigmoid"
            ))
        };
        let mut parts = text.split(',').map(str::trim);
        let center = parts.next().and_then(|t| t.parse().ok()).ok_or_else(wrong)?;
        let width = parts.next().and_then(|t| t.parse().ok()).ok_or_else(wrong)?;
        let function = parts
            .next()
            .map_or(Some(VoiFunction::Linear), VoiFunction::parse)
            .ok_or_else(wrong)?;
        if parts.next().is_some() {
            return Err(wrong());
        }
        Self::new(center, width, function)
    }

    /// Display value 0 to 255, unrounded, of `x` (a value after the modality step).
    #[must_use]
    pub fn apply(&self, x: f64) -> f64 {
        const TOP: f64 = 255.0;
        let (c, w) = (self.center, self.width);
        let (low, high, middle, ramp) = match self.function {
            VoiFunction::Linear => (
                c - 0.5 - (w - 1.0) / 2.0,
                c - 0.5 + (w - 1.0) / 2.0,
                c - 0.5,
                w - 1.0,
            ),
            VoiFunction::LinearExact => (c - w / 2.0, c + w / 2.0, c, w),
            VoiFunction::Sigmoid => return TOP / (1.0 + (-4.0 * (x - c) / w).exp()),
        };
        if x <= low {
            0.0
        } else if x > high {
            TOP
        } else {
            ((x - middle) / ramp + 0.5) * TOP
        }
    }
}

/// Rounds half up to a display value.
#[must_use]
pub(crate) fn round_display(y: f64) -> u8 {
    (y + 0.5).floor().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(window: &str, x: f64, expect: u8) {
        assert_eq!(
            round_display(Window::parse(window).unwrap().apply(x)),
            expect,
            "{window} at {x}"
        );
    }

    #[test]
    fn formulas_of_the_standard() {
        // PS3.3 C.11.2.1.2 note 4: c=2048, w=4096 is the identity of 12 bits; 8 bits likewise
        for (x, y) in [(0.0, 0), (4095.0, 255), (2047.5, 128)] {
            check("2048,4096", x, y);
        }
        for x in 0..=255u8 {
            check("128,256", x.into(), x);
        }
        // w = 1 is a threshold at c - 0.5
        check("40,1", 39.5, 0);
        check("40,1", 39.6, 255);
        check("40,400,linear_exact", -160.0, 0);
        check("40,400,linear_exact", 40.0, 128);
        check("40,400,linear_exact", 240.1, 255);
        check("40,400,sigmoid", 40.0, 128);
        check("40,400,sigmoid", 140.0, 186);
    }

    #[test]
    fn impossible_windows_are_refused() {
        for text in [
            "40",
            "40,0",
            "40,0.5",
            "40,-3",
            "40,nan",
            "40,0,sigmoid",
            "40,400,round",
            "40,400,linear,1",
        ] {
            assert!(Window::parse(text).is_err(), "{text}");
        }
        assert!(Window::parse("40,0.5,linear_exact").is_ok());
    }
}
