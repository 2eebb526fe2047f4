//! Area average of stored values on the GPU: twin of `engine::pixel::area_average`, for thumbnails.

use crate::{Gpu, GpuError, StoredValues};
use engine::pixel::{Grid, Span};

const SQUARE: u32 = 16;

/// Mirrors `Parameters` of area.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    columns: u32,
    to_columns: u32,
    to_rows: u32,
    signed_values: u32,
}

/// Mirrors `Span` of area.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Lines {
    first: u32,
    last: u32,
    head: f32,
    tail: f32,
    norm: f32,
}

impl Lines {
    fn of(span: &Span) -> Self {
        Self {
            first: span.first as u32,
            last: span.last as u32,
            head: span.head,
            tail: span.tail,
            norm: span.norm,
        }
    }
}

impl Gpu {
    /// The mean of each of `to` (rows, columns) areas over the source grid, one channel; it differs from the CPU's by
    /// rounding alone. `None` when the values are not as many as the grid says.
    ///
    /// # Errors
    /// Too many values for one buffer of the device; a device that fails.
    pub fn area_average(
        &self,
        values: StoredValues<'_>,
        grid: &Grid,
        to: (usize, usize),
    ) -> Result<Option<Vec<f32>>, GpuError> {
        let (rows, columns, channels) = grid.shape;
        if channels != 1 || values.len() != rows * columns || values.len() == 0 || to.0 == 0 || to.1 == 0 {
            return Ok(None);
        }
        let parameters = self.uniform(&Parameters {
            columns: columns as u32,
            to_columns: to.1 as u32,
            to_rows: to.0 as u32,
            signed_values: u32::from(matches!(values, StoredValues::Signed(_))),
        });
        let stored = self.storage(&values.words())?;
        let spans: Vec<Lines> = grid.spans(to).iter().flatten().map(Lines::of).collect();
        let spans = self.storage(&spans)?;
        let mean = self.zeros(to.0 * to.1)?;
        let kernel = self
            .area
            .get_or_init(|| self.kernel(include_str!("area.wgsl"), "average"));
        let buffers = [(0, &parameters), (1, &stored), (2, &spans), (3, &mean)];
        let groups = [to.1, to.0].map(|side| (side as u32).div_ceil(SQUARE));
        self.pass(kernel, &buffers, groups);
        self.download(&mean).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use crate::StoredValues;
    use crate::device::on_test_device;
    use engine::pixel::{Grid, area_average};

    #[test]
    fn averages_agree_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        let (rows, columns) = (61, 83);
        let signed: Vec<i16> = (0..rows * columns).map(|i| (i * i * 31) as i16).collect();
        let unsigned: Vec<u16> = signed.iter().map(|v| *v as u16).collect();
        for to in [(20, 27), (61, 83), (1, 1), (60, 2)] {
            let grid = Grid::whole((rows, columns, 1), to);
            for (values, expect) in [
                (
                    StoredValues::Signed(&signed),
                    area_average(&signed, grid, to, f32::from),
                ),
                (
                    StoredValues::Unsigned(&unsigned),
                    area_average(&unsigned, grid, to, f32::from),
                ),
            ] {
                let got = gpu.area_average(values, &grid, to).unwrap().unwrap();
                assert_eq!(got.len(), expect.len());
                let worst = got
                    .iter()
                    .zip(&expect)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(worst < 0.1, "{to:?}: {worst}");
            }
        }
        let grid = Grid::whole((2, 2, 1), (1, 1));
        assert!(
            gpu.area_average(StoredValues::Signed(&signed), &grid, (1, 1))
                .unwrap()
                .is_none()
        );
    }
}
