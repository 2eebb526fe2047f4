//! Lossless processes (ITU-T T.81 Annex H): seven predictors, point transform, restart intervals.

use super::CODEC;
use super::bits::BitReader;
use super::huffman::Huffman;
use super::markers::{Frame, Parser, Scan, Segment};
use crate::error::{ImagingError, Result};

/// Samples, interleaved.
pub(super) fn decode(parser: &mut Parser<'_>, frame: &Frame) -> Result<Vec<u16>> {
    let count = frame.components.len();
    let samples = frame.rows * frame.columns * count;
    // A sample takes at least one bit: a lie about the size is found before memory is taken.
    if samples / 8 > parser.data.len() {
        return Err(ImagingError::damaged(CODEC, "it is too short for the image"));
    }
    let mut out = vec![0u16; samples];
    let mut seen = vec![false; count];
    while let Some(segment) = parser.next_segment()? {
        let Segment::Scan(scan) = segment else {
            return Err(ImagingError::damaged(CODEC, "a second frame header"));
        };
        for c in &scan.components {
            if let Some(s) = seen.get_mut(c.index) {
                *s = true;
            }
        }
        let end = Lines::new(parser, frame, &scan)?.decode(&mut out)?;
        parser.resume(end);
        if seen.iter().all(|s| *s) {
            return Ok(out);
        }
    }
    Err(ImagingError::damaged(CODEC, "a component is missing"))
}

struct Lines<'a> {
    reader: BitReader<'a>,
    /// Index in a pixel and table, for each component of the scan.
    tables: Vec<(usize, Huffman)>,
    columns: usize,
    rows: usize,
    stride: usize,
    predictor: usize,
    point: u32,
    initial: i32,
    restart_rows: usize,
}

impl<'a> Lines<'a> {
    fn new(parser: &Parser<'a>, frame: &Frame, scan: &Scan) -> Result<Self> {
        if !(1..=7).contains(&scan.spectral_start) || scan.low >= u32::from(frame.precision) {
            return Err(ImagingError::damaged(
                CODEC,
                format!("predictor {}", scan.spectral_start),
            ));
        }
        let columns = frame.columns;
        if columns == 0 || !parser.restart_interval.is_multiple_of(columns) {
            return Err(ImagingError::unsupported(
                CODEC,
                "a restart interval that ends inside a line",
            ));
        }
        let tables = scan
            .components
            .iter()
            .map(|c| Ok((c.index, parser.dc_table(c.dc)?.clone())))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            reader: BitReader::new(parser.data, scan.data),
            tables,
            columns,
            rows: frame.rows,
            stride: frame.components.len(),
            predictor: scan.spectral_start,
            point: scan.low,
            initial: 1 << (u32::from(frame.precision) - scan.low - 1),
            restart_rows: parser.restart_interval / columns,
        })
    }

    fn decode(mut self, out: &mut [u16]) -> Result<usize> {
        let line = self.columns * self.stride;
        for row in 0..self.rows {
            let restarted = self.restart_rows > 0 && row % self.restart_rows == 0;
            if restarted && row > 0 && !self.reader.restart() {
                return Err(ImagingError::damaged(CODEC, "a restart marker is missing"));
            }
            let (before, rest) = out.split_at_mut(row * line);
            let above = if row == 0 || restarted {
                None
            } else {
                before.get((row - 1) * line..)
            };
            let current = rest.get_mut(..line).unwrap_or_default();
            let sound = match self.tables.as_slice() {
                [(0, _)] if self.stride == 1 => self.single(current, above),
                _ => self.interleaved(current, above),
            };
            if sound.is_none() || self.reader.overrun() {
                let why = format!("it ends or breaks in line {} of {}", row + 1, self.rows);
                return Err(ImagingError::damaged(CODEC, why));
            }
        }
        if self.point > 0 {
            for (index, _) in &self.tables {
                out.iter_mut()
                    .skip(*index)
                    .step_by(self.stride)
                    .for_each(|v| *v <<= self.point);
            }
        }
        Ok(self.reader.next_marker())
    }

    /// One line of the only component.
    fn single(&mut self, current: &mut [u16], above: Option<&[u16]>) -> Option<()> {
        let (_, table) = self.tables.first()?;
        let reader = &mut self.reader;
        let Some(above) = above else {
            return line(table, reader, current, self.initial, |left, _, _| left, &[]);
        };
        let start = i32::from(*above.first()?);
        match self.predictor {
            1 => line(table, reader, current, start, |a, _, _| a, above),
            2 => line(table, reader, current, start, |_, b, _| b, above),
            3 => line(table, reader, current, start, |_, _, c| c, above),
            4 => line(table, reader, current, start, |a, b, c| a + b - c, above),
            5 => line(table, reader, current, start, |a, b, c| a + ((b - c) >> 1), above),
            6 => line(table, reader, current, start, |a, b, c| b + ((a - c) >> 1), above),
            _ => line(table, reader, current, start, |a, b, _| (a + b) >> 1, above),
        }
    }

    fn interleaved(&mut self, current: &mut [u16], above: Option<&[u16]>) -> Option<()> {
        let at = |line: &[u16], i: usize| line.get(i).map_or(0, |v| i32::from(*v));
        for x in 0..self.columns {
            for (index, table) in &self.tables {
                let i = x * self.stride + index;
                let left = i.checked_sub(self.stride);
                let prediction = match (above, left) {
                    (None, None) => self.initial,
                    (None, Some(l)) => at(current, l),
                    (Some(above), None) => at(above, i),
                    (Some(above), Some(l)) => {
                        predict(self.predictor, at(current, l), at(above, i), at(above, l))
                    }
                };
                *current.get_mut(i)? = (prediction + difference(table, &mut self.reader)?) as u16;
            }
        }
        Some(())
    }
}

fn predict(predictor: usize, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

/// One line with one predictor; `first` predicts its first sample.
#[inline]
fn line(
    table: &Huffman,
    reader: &mut BitReader<'_>,
    current: &mut [u16],
    first: i32,
    predict: impl Fn(i32, i32, i32) -> i32,
    above: &[u16],
) -> Option<()> {
    let (head, rest) = current.split_first_mut()?;
    *head = (first + difference(table, reader)?) as u16;
    let mut left = i32::from(*head);
    if above.is_empty() {
        for v in rest {
            *v = (predict(left, 0, 0) + difference(table, reader)?) as u16;
            left = i32::from(*v);
        }
        return Some(());
    }
    for (v, pair) in rest.iter_mut().zip(above.windows(2)) {
        let &[c, b] = pair else { return None };
        *v = (predict(left, b.into(), c.into()) + difference(table, reader)?) as u16;
        left = i32::from(*v);
    }
    Some(())
}

/// The next difference: its category by Huffman code, then its bits (T.81 H.1.2.2).
#[inline]
fn difference(table: &Huffman, reader: &mut BitReader<'_>) -> Option<i32> {
    reader.refill();
    match table.decode(reader)? {
        n @ 0..=15 => Some(reader.extend(n.into())),
        16 => Some(32768),
        _ => None,
    }
}
