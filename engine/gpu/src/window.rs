//! The VOI window (PS3.3 C.11.2.1.2) on the GPU: twin of `engine::pixel` windowing.

use crate::{Gpu, GpuError};
use engine::pixel::{VoiFunction, Window};

const GROUP: u32 = 256;
const GROUPS_PER_ROW: u32 = 16_384;

/// Stored values of one or many frames.
#[derive(Debug, Clone, Copy)]
pub enum StoredValues<'a> {
    /// Pixel Representation 0.
    Unsigned(&'a [u16]),
    /// Pixel Representation 1, sign-extended at High Bit.
    Signed(&'a [i16]),
}

impl StoredValues<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unsigned(v) => v.len(),
            Self::Signed(v) => v.len(),
        }
    }

    pub(crate) fn words(&self) -> Vec<u8> {
        let mut bytes = match self {
            Self::Unsigned(v) => bytemuck::cast_slice(v).to_vec(),
            Self::Signed(v) => bytemuck::cast_slice(v).to_vec(),
        };
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// Mirrors `Parameters` of the shader.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    slope: f32,
    intercept: f32,
    low: f32,
    high: f32,
    gain: f32,
    offset: f32,
    values: u32,
    signed_values: u32,
    sigmoid: u32,
    invert: u32,
    row_words: u32,
    spare: u32,
}

impl Parameters {
    fn new(values: &StoredValues<'_>, rescale: (f64, f64), window: &Window, invert: bool) -> Self {
        let (c, w) = (window.center, window.width);
        let (low, high, gain, offset) = match window.function {
            VoiFunction::Linear => {
                let (ramp, middle) = (w - 1.0, c - 0.5);
                // A width of 1 is a step at the middle: nothing lies inside the ramp.
                let gain = if ramp > 0.0 { 255.0 / ramp } else { 0.0 };
                (
                    middle - ramp / 2.0,
                    middle + ramp / 2.0,
                    gain,
                    127.5 - middle * gain,
                )
            }
            VoiFunction::LinearExact => (c - w / 2.0, c + w / 2.0, 255.0 / w, 127.5 - c * 255.0 / w),
            VoiFunction::Sigmoid => (0.0, 0.0, -4.0 / w, 4.0 * c / w),
        };
        Parameters {
            slope: rescale.0 as f32,
            intercept: rescale.1 as f32,
            low: low as f32,
            high: high as f32,
            gain: gain as f32,
            offset: offset as f32,
            values: values.len() as u32,
            signed_values: u32::from(matches!(values, StoredValues::Signed(_))),
            sigmoid: u32::from(window.function == VoiFunction::Sigmoid),
            invert: u32::from(invert),
            row_words: GROUP * GROUPS_PER_ROW,
            spare: 0,
        }
    }
}

impl Gpu {
    /// Display values 0 to 255 of stored values: `stored × slope + intercept`, then the window; `invert` for
    /// MONOCHROME1. Arithmetic is 32-bit: a value that falls on a rounding edge may differ from the CPU by one level.
    ///
    /// # Errors
    /// Too many values for one buffer of the device; a device that fails.
    pub fn window(
        &self,
        values: StoredValues<'_>,
        rescale: (f64, f64),
        window: &Window,
        invert: bool,
    ) -> Result<Vec<u8>, GpuError> {
        let count = values.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let parameters = self.uniform(&Parameters::new(&values, rescale, window, invert));
        let stored = self.storage(&values.words())?;
        let words = count.div_ceil(4);
        let display = self.zeros(words)?;
        let kernel = self
            .window
            .get_or_init(|| self.kernel(include_str!("window.wgsl"), "main"));
        let groups = (words as u32).div_ceil(GROUP);
        let groups = [groups.min(GROUPS_PER_ROW), groups.div_ceil(GROUPS_PER_ROW)];
        self.pass(kernel, &[(0, &parameters), (1, &stored), (2, &display)], groups);
        let mut bytes = self.download_bytes(&display)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::on_test_device;

    fn expected(x: f64, window: &Window, invert: bool) -> u8 {
        let level = (window.apply(x) + 0.5).floor().clamp(0.0, 255.0) as u8;
        if invert { 255 - level } else { level }
    }

    /// Every stored value of 16 bits, each function, wide and narrow windows: at most one level from the CPU, and in
    /// all but a few thousandths of the values equal.
    #[test]
    fn every_stored_value_agrees_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        let unsigned: Vec<u16> = (0..=u16::MAX).collect();
        let signed: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for (function, center, width, rescale, invert) in [
            (VoiFunction::Linear, 40.0, 400.0, (1.0, -1024.0), false),
            (VoiFunction::Linear, 2047.5, 4096.0, (1.0, 0.0), true),
            (VoiFunction::Linear, 300.0, 1.0, (1.0, 0.0), false),
            (VoiFunction::LinearExact, -600.0, 1500.0, (1.0, -1024.0), false),
            (VoiFunction::Sigmoid, 500.0, 900.0, (0.5, 10.0), false),
        ] {
            let window = Window::new(center, width, function).unwrap();
            for (values, x) in [
                (
                    StoredValues::Unsigned(&unsigned),
                    unsigned.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
                ),
                (
                    StoredValues::Signed(&signed),
                    signed.iter().map(|v| f64::from(*v)).collect(),
                ),
            ] {
                let got = gpu.window(values, rescale, &window, invert).unwrap();
                let wanted: Vec<u8> = x
                    .iter()
                    .map(|v| expected(v * rescale.0 + rescale.1, &window, invert))
                    .collect();
                assert_eq!(got.len(), wanted.len());
                let worst = got.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
                let differing = got.iter().zip(&wanted).filter(|(a, b)| a != b).count();
                assert!(
                    worst <= Some(1) && differing <= wanted.len() / 200,
                    "{window:?}: {differing} differ, worst {worst:?}"
                );
            }
        }
    }

    #[test]
    fn odd_counts_and_nothing_at_all() {
        let Some(gpu) = on_test_device() else { return };
        let window = Window::new(2.0, 5.0, VoiFunction::Linear).unwrap();
        assert!(
            gpu.window(StoredValues::Unsigned(&[]), (1.0, 0.0), &window, false)
                .unwrap()
                .is_empty()
        );
        let values = [0_u16, 1, 2, 3, 4];
        let wanted: Vec<u8> = values
            .iter()
            .map(|v| expected(f64::from(*v), &window, false))
            .collect();
        assert_eq!(
            gpu.window(StoredValues::Unsigned(&values), (1.0, 0.0), &window, false)
                .unwrap(),
            wanted
        );
    }
}
