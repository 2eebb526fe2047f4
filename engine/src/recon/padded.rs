//! Rows of samples with zeros on both sides, so that the kernels need not ask where a row ends.

/// Zeros on each side of a row: what the widest vector load and the widest kernel may touch beyond it.
pub(super) const PAD: usize = 48;

/// Rows of equal width, each between [`PAD`] zeros.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Padded {
    data: Vec<f32>,
    width: usize,
}

impl Padded {
    /// `rows` rows of zeros.
    pub(super) fn zeros(rows: usize, width: usize) -> Self {
        Self {
            data: vec![0.0; rows * (width + 2 * PAD)],
            width,
        }
    }

    /// A copy of rows that lie close together.
    pub(super) fn of(values: &[f32], width: usize) -> Self {
        let mut made = Self::zeros(values.len() / width.max(1), width);
        for (row, values) in values.chunks_exact(width).enumerate() {
            made.row_mut(row).copy_from_slice(values);
        }
        made
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// From the start of one row to that of the next.
    pub(super) fn stride(&self) -> usize {
        self.width + 2 * PAD
    }

    pub(super) fn rows(&self) -> usize {
        self.data.len() / self.stride()
    }

    /// Everything from the zeros before `row` on.
    pub(super) fn starting_at(&self, row: usize) -> &[f32] {
        &self.data[row * self.stride()..]
    }

    /// All rows with their zeros, which have to stay zeros.
    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// One row without its zeros.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        let start = row * self.stride() + PAD;
        &self.data[start..start + self.width]
    }

    /// One row without its zeros.
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let start = row * self.stride() + PAD;
        &mut self.data[start..start + self.width]
    }

    /// The values without the zeros.
    pub(super) fn to_dense(&self) -> Vec<f32> {
        (0..self.rows()).flat_map(|r| self.row(r)).copied().collect()
    }

    /// Rows as columns, for square arrays.
    pub(super) fn transposed(&self) -> Self {
        const BLOCK: usize = 16;
        let rows = self.rows();
        let mut made = Self::zeros(self.width, rows);
        let stride = made.stride();
        for row in (0..rows).step_by(BLOCK) {
            for column in (0..self.width).step_by(BLOCK) {
                for r in row..rows.min(row + BLOCK) {
                    let from = &self.row(r)[column..self.width.min(column + BLOCK)];
                    for (c, value) in from.iter().enumerate() {
                        made.data[(column + c) * stride + PAD + r] = *value;
                    }
                }
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_between_zeros_and_turn_into_columns() {
        let values: Vec<f32> = (0..40 * 23).map(|v| v as f32 + 1.0).collect();
        let padded = Padded::of(&values, 23);
        assert_eq!((padded.rows(), padded.width()), (40, 23));
        assert_eq!(padded.to_dense(), values);
        assert!(padded.starting_at(39)[..PAD].iter().all(|v| *v == 0.0));
        assert!(padded.starting_at(39)[PAD + 23..].iter().all(|v| *v == 0.0));
        let turned = padded.transposed();
        assert_eq!(turned.row(22)[39], values[39 * 23 + 22]);
        assert_eq!(turned.transposed(), padded);
    }
}
