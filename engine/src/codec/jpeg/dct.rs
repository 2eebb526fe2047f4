//! Sequential DCT processes (ITU-T T.81 Annex F), 8 and 12 bits, interleaved or one component a scan.

use super::CODEC;
use super::bits::BitReader;
use super::huffman::Huffman;
use super::idct::idct;
use super::markers::{Frame, Parser, Scan, Segment};
use super::upsample::{Plane, interleave};
use crate::error::{ImagingError, Result};

/// Natural position of the k-th coefficient of the zigzag.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Blocks of one component: how many there are and how many belong to the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// With the padding to whole MCUs.
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Those that a scan of this component alone holds.
    pub(super) own_columns: usize,
    pub(super) own_rows: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The block grid of each component.
pub(super) fn grids(frame: &Frame) -> Vec<Grid> {
    let mcu_columns = frame.columns.div_ceil(8 * frame.h_max);
    let mcu_rows = frame.rows.div_ceil(8 * frame.v_max);
    let grid = |c: &super::markers::Component| {
        let width = (frame.columns * c.h).div_ceil(frame.h_max);
        let height = (frame.rows * c.v).div_ceil(frame.v_max);
        Grid {
            columns: mcu_columns * c.h,
            rows: mcu_rows * c.v,
            own_columns: width.div_ceil(8),
            own_rows: height.div_ceil(8),
            width,
            height,
        }
    };
    frame.components.iter().map(grid).collect()
}

/// What [`walk`] drives.
pub(super) trait Blocks<'d> {
    /// The block at column `x`, row `y` of the scan's `k`-th component.
    fn block(&mut self, k: usize, x: usize, y: usize) -> Result<()>;
    /// Where the bits come from.
    fn reader(&mut self) -> &mut BitReader<'d>;
    /// What starts anew before each restart interval but the first.
    fn forget(&mut self);
}

/// Visits the blocks of a scan in coded order.
pub(super) fn walk<'d>(
    state: &mut impl Blocks<'d>,
    frame: &Frame,
    grids: &[Grid],
    scan: &Scan,
    interval: usize,
) -> Result<()> {
    let part =
        |c: &super::markers::ScanComponent| Some((frame.components.get(c.index)?, grids.get(c.index)?));
    let parts: Vec<_> = scan.components.iter().filter_map(part).collect();
    let alone = parts.len() == 1;
    let (columns, rows) = match parts.first() {
        Some((_, g)) if alone => (g.own_columns, g.own_rows),
        _ => (
            frame.columns.div_ceil(8 * frame.h_max),
            frame.rows.div_ceil(8 * frame.v_max),
        ),
    };
    let mut count = 0;
    for y in 0..rows {
        for x in 0..columns {
            if interval > 0 && count > 0 && count % interval == 0 {
                state.forget();
                if !state.reader().restart() {
                    return Err(ImagingError::damaged(CODEC, "a restart marker is missing"));
                }
            }
            count += 1;
            for (k, (c, _)) in parts.iter().enumerate() {
                let (h, v) = if alone { (1, 1) } else { (c.h, c.v) };
                for j in 0..v {
                    for i in 0..h {
                        state.block(k, x * h + i, y * v + j)?;
                    }
                }
            }
        }
        if state.reader().overrun() {
            let why = format!("it ends in line {} of blocks", y + 1);
            return Err(ImagingError::damaged(CODEC, why));
        }
    }
    Ok(())
}

/// Empty planes for the frame.
pub(super) fn planes(grids: &[Grid]) -> Vec<Plane> {
    let plane = |g: &Grid| Plane {
        stride: g.columns * 8,
        columns: g.width,
        rows: g.height,
        data: vec![0; g.columns * g.rows * 64],
    };
    grids.iter().map(plane).collect()
}

/// Writes a block's samples into its plane.
pub(super) fn place(plane: &mut Plane, x: usize, y: usize, samples: &[u16; 64]) {
    let start = y * 8 * plane.stride + x * 8;
    for (k, row) in samples.as_chunks::<8>().0.iter().enumerate() {
        let at = start + k * plane.stride;
        if let Some(target) = plane.data.get_mut(at..at + 8) {
            target.copy_from_slice(row);
        }
    }
}

/// The quantisation table of a component.
pub(super) fn quantisation(parser: &Parser<'_>, frame: &Frame, index: usize) -> Result<[u16; 64]> {
    let number = frame.components.get(index).map_or(usize::MAX, |c| c.quantisation);
    parser
        .quantisation
        .get(number)
        .copied()
        .flatten()
        .ok_or_else(|| ImagingError::damaged(CODEC, "a quantisation table is missing"))
}

struct Decoder<'a> {
    reader: BitReader<'a>,
    tables: Vec<(Huffman, Huffman, [u16; 64], usize)>,
    predictions: [i32; 4],
    planes: Vec<Plane>,
    precision: u8,
}

/// Samples, interleaved.
pub(super) fn decode(parser: &mut Parser<'_>, frame: &Frame) -> Result<Vec<u16>> {
    let grids = grids(frame);
    // A block takes at least two bits: a lie about the size is found before memory is taken.
    let blocks: usize = grids.iter().map(|g| g.own_columns * g.own_rows).sum();
    if blocks / 4 > parser.data.len() {
        return Err(ImagingError::damaged(CODEC, "it is too short for the image"));
    }
    let mut planes = planes(&grids);
    let mut seen = vec![false; frame.components.len()];
    while let Some(segment) = parser.next_segment()? {
        let Segment::Scan(scan) = segment else {
            return Err(ImagingError::damaged(CODEC, "a second frame header"));
        };
        let mut tables = Vec::new();
        for c in &scan.components {
            let quantisation = quantisation(parser, frame, c.index)?;
            tables.push((
                parser.dc_table(c.dc)?.clone(),
                parser.ac_table(c.ac)?.clone(),
                quantisation,
                c.index,
            ));
            if let Some(s) = seen.get_mut(c.index) {
                *s = true;
            }
        }
        let reader = BitReader::new(parser.data, scan.data);
        let mut decoder = Decoder {
            reader,
            tables,
            predictions: [0; 4],
            planes,
            precision: frame.precision,
        };
        walk(&mut decoder, frame, &grids, &scan, parser.restart_interval)?;
        planes = decoder.planes;
        parser.resume(decoder.reader.next_marker());
        if seen.iter().all(|s| *s) {
            return Ok(interleave(frame, &planes));
        }
    }
    Err(ImagingError::damaged(CODEC, "a component is missing"))
}

impl<'d> Blocks<'d> for Decoder<'d> {
    fn block(&mut self, k: usize, x: usize, y: usize) -> Result<()> {
        let wrong = || ImagingError::damaged(CODEC, "an impossible code");
        let (dc, ac, quantisation, index) = self.tables.get(k).ok_or_else(wrong)?;
        let prediction = self.predictions.get_mut(k).ok_or_else(wrong)?;
        let mut coefficients = [0i32; 64];
        fill(
            &mut self.reader,
            dc,
            ac,
            quantisation,
            prediction,
            &mut coefficients,
        )
        .ok_or_else(wrong)?;
        let mut samples = [0u16; 64];
        idct(&coefficients, self.precision, &mut samples);
        place(self.planes.get_mut(*index).ok_or_else(wrong)?, x, y, &samples);
        Ok(())
    }

    fn reader(&mut self) -> &mut BitReader<'d> {
        &mut self.reader
    }

    fn forget(&mut self) {
        self.predictions = [0; 4];
    }
}

/// Reads the coefficients of a block, dequantised, in natural order.
#[inline]
fn fill(
    reader: &mut BitReader<'_>,
    dc: &Huffman,
    ac: &Huffman,
    quantisation: &[u16; 64],
    prediction: &mut i32,
    out: &mut [i32; 64],
) -> Option<()> {
    reader.refill();
    let bits = dc.decode(reader)?;
    if bits > 15 {
        return None;
    }
    *prediction = prediction.wrapping_add(reader.extend(bits.into()));
    out[0] = prediction.wrapping_mul(quantisation[0].into());
    let mut k = 1;
    while k < 64 {
        reader.refill();
        let symbol = ac.decode(reader)?;
        let (run, bits) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if bits == 0 {
            if run < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += run;
        let value = reader.extend(bits);
        *out.get_mut(*ZIGZAG.get(k)?)? = value.wrapping_mul((*quantisation.get(k)?).into());
        k += 1;
    }
    Some(())
}
