//! How the stored values of a series' frames become the 16-bit values of a volume.

use super::voxels::Rescale;
use crate::codec::Sample as _;
use crate::codec::{FrameDescription, PixelElement, Samples, with_samples};
use crate::error::{ImagingError, Result};
use crate::pixel::Modality;

/// Steps of 16 bits.
const STEPS: f64 = 65_535.0;

/// The one scale of a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    rescale: Rescale,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// `stored - offset`, its bits turned over where the slope was negative: nothing is lost.
    Exact { offset: i32, turned: bool },
    /// Steps of the rescale's slope.
    Stepped,
}

/// Values that a frame may have.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameValues {
    modality: Modality,
    stored: (f64, f64),
    integer: bool,
}

impl FrameValues {
    /// By the frame's header; `seen` is the range of the decoded values where the header tells too little
    /// ([`FrameValues::must_be_seen`]).
    #[must_use]
    pub fn new(modality: &Modality, frame: &FrameDescription, seen: Option<(f64, f64)>) -> Self {
        Self {
            modality: modality.clone(),
            stored: seen.unwrap_or_else(|| frame.value_range()),
            integer: frame.element == PixelElement::Integer,
        }
    }

    /// Whether the range has to be taken from the values: floats, and integers of more than 16 bits.
    #[must_use]
    pub fn must_be_seen(frame: &FrameDescription) -> bool {
        frame.element != PixelElement::Integer || frame.bits_allocated > 16
    }

    /// Least and greatest value in the modality's units.
    fn range(&self) -> (f64, f64) {
        let (a, b) = match &self.modality {
            Modality::Rescale { .. } => (
                self.modality.apply(self.stored.0),
                self.modality.apply(self.stored.1),
            ),
            Modality::Table(lut) => lut
                .values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| {
                    (r.0.min(f64::from(*v)), r.1.max(f64::from(*v)))
                }),
        };
        (a.min(b), a.max(b))
    }
}

/// Range of decoded values; `None` when one of them is no number.
#[must_use]
pub fn seen_range(samples: &Samples) -> Option<(f64, f64)> {
    with_samples!(samples, v => v.iter().try_fold((f64::INFINITY, f64::NEG_INFINITY), |r, x| {
        let x = x.to_f64();
        x.is_finite().then(|| (r.0.min(x), r.1.max(x)))
    }))
}

impl Encoding {
    /// The scale that loses least over all frames: nothing where they share one rescale and fit 16 bits.
    ///
    /// # Errors
    /// [`ImagingError::NoVolume`] for scales that are no numbers.
    pub fn of(frames: &[FrameValues]) -> Result<Self> {
        let Some(first) = frames.first() else {
            return Err(ImagingError::NoVolume("there is no frame".into()));
        };
        let stored = frames
            .iter()
            .fold(first.stored, |r, f| (r.0.min(f.stored.0), r.1.max(f.stored.1)));
        let alike = frames.iter().all(|f| f.integer && f.modality == first.modality);
        if let (true, Modality::Rescale { slope, intercept }) = (alike, &first.modality)
            && stored.1 - stored.0 <= STEPS
            && slope.is_finite()
            && intercept.is_finite()
        {
            return Ok(Self::exact(stored, *slope, *intercept));
        }
        let (low, high) = frames
            .iter()
            .map(FrameValues::range)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |r, f| {
                (r.0.min(f.0), r.1.max(f.1))
            });
        if !low.is_finite() || !high.is_finite() {
            return Err(ImagingError::NoVolume("its values are no numbers".into()));
        }
        let slope = if high > low { (high - low) / STEPS } else { 1.0 };
        let rescale = Rescale {
            slope,
            intercept: low - slope * f64::from(i16::MIN),
        };
        Ok(Self {
            rescale,
            kind: Kind::Stepped,
        })
    }

    fn exact(stored: (f64, f64), slope: f64, intercept: f64) -> Self {
        let fits = stored.0 >= f64::from(i16::MIN) && stored.1 <= f64::from(i16::MAX);
        let offset = if fits {
            0
        } else {
            (stored.0 - f64::from(i16::MIN)) as i32
        };
        let base = slope * f64::from(offset) + intercept;
        let turned = slope < 0.0;
        let rescale = if turned {
            // !v is -1 - v
            Rescale {
                slope: -slope,
                intercept: base - slope,
            }
        } else {
            Rescale {
                slope,
                intercept: base,
            }
        };
        Self {
            rescale,
            kind: Kind::Exact { offset, turned },
        }
    }

    /// What the volume's values mean.
    #[must_use]
    pub fn rescale(&self) -> Rescale {
        self.rescale
    }

    /// The step between values where they were rounded; `None` where nothing was lost.
    #[must_use]
    pub fn step(&self) -> Option<f64> {
        (self.kind == Kind::Stepped).then_some(self.rescale.slope)
    }

    /// Writes a frame's values.
    ///
    /// # Errors
    /// [`ImagingError::Short`] when the frame has fewer values than the slice.
    pub fn write(&self, modality: &Modality, samples: &Samples, out: &mut [i16]) -> Result<()> {
        if samples.len() < out.len() {
            return Err(ImagingError::Short {
                needed_bytes: out.len() as u64 * 2,
                found_bytes: samples.len() as u64 * 2,
            });
        }
        match (&self.kind, samples) {
            (
                Kind::Exact {
                    offset: 0,
                    turned: false,
                },
                Samples::I16(v),
            ) => {
                let n = out.len();
                out.copy_from_slice(&v[..n]);
            }
            (Kind::Exact { offset, turned }, _) => {
                let place = |v: f64| {
                    let v = (v as i32 - offset).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                    if *turned { !v } else { v }
                };
                with_samples!(samples, v => out.iter_mut().zip(v).for_each(|(o, v)| *o = place(v.to_f64())));
            }
            (Kind::Stepped, _) => {
                let place = |v: f64| self.rescale.stored(modality.apply(v)).round() as i16;
                with_samples!(samples, v => out.iter_mut().zip(v).for_each(|(o, v)| *o = place(v.to_f64())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frame::test_frame;

    fn linear(slope: f64, intercept: f64) -> Modality {
        Modality::Rescale { slope, intercept }
    }

    fn check(modalities: &[Modality], signed: bool, bits: u16, samples: &Samples, exact: bool) {
        let mut frame = test_frame(1, 1, 16, bits);
        frame.signed = signed;
        let values: Vec<FrameValues> = modalities
            .iter()
            .map(|m| FrameValues::new(m, &frame, None))
            .collect();
        let encoding = Encoding::of(&values).unwrap();
        assert_eq!(encoding.step().is_none(), exact);
        assert!(encoding.rescale().slope > 0.0);
        let mut out = vec![0; samples.len()];
        encoding.write(&modalities[0], samples, &mut out).unwrap();
        for (i, v) in out.iter().enumerate() {
            let expect = modalities[0].apply(samples.value(i));
            let got = encoding.rescale().apply((*v).into());
            let slack = encoding.step().map_or(1e-9, |s| s * 0.5001);
            assert!((got - expect).abs() <= slack, "{i}: {got} {expect}");
        }
    }

    #[test]
    fn values_keep_their_meaning() {
        let signed = Samples::I16(vec![-32768, -1000, 0, 32767]);
        let unsigned = Samples::U16(vec![0, 1, 4095, 65535]);
        check(&[linear(1.0, 0.0)], true, 16, &signed, true);
        check(&[linear(0.1, -1024.0)], true, 16, &signed, true);
        check(&[linear(-2.0, 7.0)], true, 16, &signed, true);
        check(&[linear(1.0, -1024.0)], false, 16, &unsigned, true);
        check(
            &[linear(-1.0, 4095.0)],
            false,
            12,
            &Samples::U16(vec![0, 4095]),
            true,
        );
        // PET: each slice has its own slope
        check(&[linear(0.5, 0.0), linear(2.0, 0.0)], false, 16, &unsigned, false);
    }

    #[test]
    fn floats_are_stepped_over_what_is_seen() {
        let samples = Samples::F32(vec![0.0, 0.25, 1.0]);
        let mut frame = test_frame(1, 3, 32, 32);
        frame.element = PixelElement::Float;
        assert!(FrameValues::must_be_seen(&frame));
        let seen = seen_range(&samples);
        let encoding = Encoding::of(&[FrameValues::new(&linear(1.0, 0.0), &frame, seen)]).unwrap();
        let mut out = [0; 3];
        encoding.write(&linear(1.0, 0.0), &samples, &mut out).unwrap();
        assert!((encoding.rescale().apply(out[1].into()) - 0.25).abs() < 1e-5);
        assert_eq!(seen_range(&Samples::F32(vec![0.0, f32::NAN])), None);
        assert!(encoding.write(&linear(1.0, 0.0), &samples, &mut [0; 4]).is_err());
    }
}
