//! A series in order whose values still lie where it is kept: read once its geometry is known to be sound.

use super::{Finding, Series, Slice};
use crate::codec::{FrameDescription, StoredPixels};
use crate::error::{ImagingError, Result};
use crate::pixel::{ImageDescription, Modality, Window};
use crate::volume::encoding::{Encoding, FrameValues, seen_range};
use crate::volume::grid::Grid;
use crate::volume::voxels::Volume;
use rayon::prelude::*;

/// What a slice's header says about its values.
#[derive(Debug, Clone)]
pub struct SliceValues {
    frame: FrameDescription,
    modality: Modality,
    padding: Option<f64>,
    window: Option<Window>,
}

impl SliceValues {
    /// Of a frame, counted from 0.
    #[must_use]
    pub fn of(image: &ImageDescription, frame: u64) -> Self {
        let own = image.attributes(frame);
        Self {
            frame: image.frame.clone(),
            modality: own.modality.clone(),
            padding: image.padding.map(|(low, _)| own.modality.apply(low)),
            window: own.voi.windows.first().cloned(),
        }
    }
}

/// The slices of one volume in order, without their values.
#[derive(Debug)]
pub struct Stack {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Volumes in the series; one of them is this.
    pub volumes: usize,
    /// Everything worth knowing.
    pub findings: Vec<Finding>,
    slices: Vec<(Slice, SliceValues)>,
}

/// A volume made of a series.
#[derive(Debug)]
pub struct SeriesVolume {
    /// Its values.
    pub volume: Volume,
    /// Volumes in the series.
    pub volumes: usize,
    /// Everything worth knowing.
    pub findings: Vec<Finding>,
    /// The middle slice's own window: windows that differ from slice to slice suit the picture best there.
    pub window: Option<Window>,
}

impl Stack {
    /// Puts the slices in order. `volume` chooses among several, counted from 1.
    ///
    /// # Errors
    /// As [`Series::arrange`].
    pub fn arrange(found: Vec<(Slice, SliceValues)>, volume: usize) -> Result<Self> {
        let (slices, values): (Vec<Slice>, Vec<SliceValues>) = found.into_iter().unzip();
        let Series {
            order,
            grid,
            volumes,
            findings,
        } = Series::arrange(&slices, volume)?;
        let mut pairs: Vec<Option<(Slice, SliceValues)>> = slices.into_iter().zip(values).map(Some).collect();
        let slices = order
            .iter()
            .filter_map(|i| pairs.get_mut(*i).and_then(Option::take))
            .collect();
        Ok(Self {
            grid,
            volumes,
            findings,
            slices,
        })
    }

    /// Reads the values. `decode` gives the stored pixels of a slice's frame; it is called for several slices at once
    /// on the caller's rayon pool, and twice for a slice whose header does not tell the range of its values. No more
    /// than `bytes_max` are held.
    ///
    /// # Errors
    /// [`ImagingError::VolumeTooLarge`] before anything is decoded, [`ImagingError::NoVolume`] for values that are no
    /// numbers, and whatever `decode` answers.
    pub fn load<E, D>(self, bytes_max: u64, decode: &D) -> Result<SeriesVolume, E>
    where
        E: From<ImagingError> + Send,
        D: Fn(&Slice) -> Result<StoredPixels, E> + Sync,
    {
        let [columns, rows, _] = self.grid.dims();
        let needed_bytes = Volume::bytes_needed(self.grid.dims()).unwrap_or(u64::MAX);
        if needed_bytes > bytes_max {
            return Err(E::from(ImagingError::VolumeTooLarge {
                needed_bytes,
                limit_bytes: bytes_max,
            }));
        }
        let encoding = self.encoding(decode)?;
        let slices = &self.slices;
        let volume = Volume::build(self.grid, encoding.rescale(), bytes_max, &mut |range, out| {
            slices
                .get(range)
                .unwrap_or_default()
                .par_iter()
                .zip(out.par_chunks_exact_mut(columns * rows))
                .try_for_each(|((slice, values), out)| {
                    let pixels = decode(slice)?;
                    encoding
                        .write(&values.modality, &pixels.data, out)
                        .map_err(E::from)
                })
        })?;
        let padding = slices.first().and_then(|s| s.1.padding);
        let window = slices.get(slices.len() / 2).and_then(|s| s.1.window.clone());
        let mut findings = self.findings;
        findings.extend(encoding.step().map(|step| Finding::Coarser { step }));
        Ok(SeriesVolume {
            volume: volume.with_padding(padding),
            volumes: self.volumes,
            findings,
            window,
        })
    }

    fn encoding<E, D>(&self, decode: &D) -> Result<Encoding, E>
    where
        E: From<ImagingError> + Send,
        D: Fn(&Slice) -> Result<StoredPixels, E> + Sync,
    {
        let values: Vec<FrameValues> = self
            .slices
            .par_iter()
            .map(|(slice, values)| {
                let seen = if FrameValues::must_be_seen(&values.frame) {
                    let range = seen_range(&decode(slice)?.data);
                    Some(range.ok_or_else(|| {
                        ImagingError::NoVolume("it holds values that are no numbers (NaN or infinite)".into())
                    })?)
                } else {
                    None
                };
                Ok(FrameValues::new(&values.modality, &values.frame, seen))
            })
            .collect::<Result<_, E>>()?;
        Encoding::of(&values).map_err(E::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frame::test_frame;
    use crate::codec::{DecodedColour, PixelElement, Samples};
    use crate::pixel::VoiFunction;
    use crate::pixel::test_description;
    use crate::volume::series::slice::test_slice;

    const PIXELS: usize = 20 * 30;

    /// Slices of 30 x 20 at these places, in this order; the values of each are ten times its place.
    fn found(places: &[f64], element: PixelElement) -> Vec<(Slice, SliceValues)> {
        let mut frame = test_frame(20, 30, if element == PixelElement::Integer { 16 } else { 32 }, 16);
        frame.element = element;
        let of = |(i, z): (usize, &f64)| {
            let mut image = test_description(frame.clone());
            image.set_window(window(*z));
            (test_slice(i, *z), SliceValues::of(&image, 0))
        };
        places.iter().enumerate().map(of).collect()
    }

    fn window(center: f64) -> Window {
        Window::new(center, 100.0, VoiFunction::Linear).unwrap()
    }

    fn pixels(data: Samples) -> StoredPixels {
        StoredPixels {
            rows: 20,
            columns: 30,
            samples_per_pixel: 1,
            data,
            colour: DecodedColour::AsDeclared,
            reduction: 0,
        }
    }

    #[test]
    fn values_come_in_the_order_of_places_with_the_middle_window() {
        let stack = Stack::arrange(found(&[6.0, 0.0, 4.0, 2.0], PixelElement::Integer), 1).unwrap();
        let decode = |s: &Slice| {
            Ok::<_, ImagingError>(pixels(Samples::U16(vec![s.position_mm[2] as u16 * 10; PIXELS])))
        };
        let loaded = stack.load(1 << 20, &decode).unwrap();
        assert_eq!(loaded.volume.range(), (0.0, 60.0));
        let plane =
            crate::volume::native_plane(&loaded.volume, crate::volume::BodyPlane::Coronal, 3).unwrap();
        let column: Vec<f32> = plane.values.iter().step_by(30).copied().collect();
        assert_eq!(column, [60.0, 40.0, 20.0, 0.0]);
        assert_eq!(loaded.window, Some(window(4.0)));
        assert_eq!(loaded.findings, []);
    }

    #[test]
    fn floats_are_looked_at_first_and_must_be_numbers() {
        let check = |value: f32| {
            let stack = Stack::arrange(found(&[0.0, 2.0, 4.0], PixelElement::Float), 1).unwrap();
            let decode = |s: &Slice| {
                let v = if s.source == 1 { value } else { 0.25 };
                Ok::<_, ImagingError>(pixels(Samples::F32(vec![v; PIXELS])))
            };
            stack.load(1 << 20, &decode)
        };
        let loaded = check(-3.5).unwrap();
        let (low, high) = loaded.volume.range();
        assert!(
            (low + 3.5).abs() < 1e-3 && (high - 0.25).abs() < 1e-3,
            "{low} {high}"
        );
        assert!(matches!(loaded.findings[..], [Finding::Coarser { .. }]));
        assert!(matches!(check(f32::NAN), Err(ImagingError::NoVolume(_))));
    }

    #[test]
    fn nothing_is_decoded_for_a_volume_too_large_and_faults_come_through() {
        let stack = || Stack::arrange(found(&[0.0, 2.0, 4.0], PixelElement::Integer), 1).unwrap();
        let broken = |_: &Slice| Err(ImagingError::Request("no such file".into()));
        assert!(matches!(
            stack().load(1 << 20, &broken),
            Err(ImagingError::Request(_))
        ));
        assert!(matches!(
            stack().load(100, &broken),
            Err(ImagingError::VolumeTooLarge { .. })
        ));
    }
}
