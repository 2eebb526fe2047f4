//! Progressive DCT processes (ITU-T T.81 Annex G): spectral selection and successive approximation.

use super::CODEC;
use super::bits::BitReader;
use super::dct::{Blocks, Grid, ZIGZAG, grids, place, planes, quantisation, walk};
use super::huffman::Huffman;
use super::idct::idct;
use super::markers::{Frame, Parser, Scan, Segment};
use super::upsample::interleave;
use crate::error::{ImagingError, Result};

type Block = [i16; 64];

/// Samples, interleaved.
pub(super) fn decode(parser: &mut Parser<'_>, frame: &Frame) -> Result<Vec<u16>> {
    let grids = grids(frame);
    let blocks: usize = grids.iter().map(|g| g.own_columns * g.own_rows).sum();
    if blocks / 8 > parser.data.len() {
        return Err(ImagingError::damaged(CODEC, "it is too short for the image"));
    }
    let mut coefficients: Vec<Vec<Block>> = grids.iter().map(|g| vec![[0; 64]; g.columns * g.rows]).collect();
    let mut seen = vec![false; frame.components.len()];
    while let Some(segment) = parser.next_segment()? {
        let Segment::Scan(scan) = segment else {
            return Err(ImagingError::damaged(CODEC, "a second frame header"));
        };
        let mut decoder = Decoder::new(parser, &scan, &grids, coefficients)?;
        walk(&mut decoder, frame, &grids, &scan, parser.restart_interval)?;
        coefficients = decoder.coefficients;
        parser.resume(decoder.reader.next_marker());
        for c in scan.components.iter().filter(|_| scan.spectral_start == 0) {
            if let Some(s) = seen.get_mut(c.index) {
                *s = true;
            }
        }
    }
    if !seen.iter().all(|s| *s) {
        return Err(ImagingError::damaged(CODEC, "a component is missing"));
    }
    let mut planes = planes(&grids);
    for (index, (plane, (grid, blocks))) in planes.iter_mut().zip(grids.iter().zip(coefficients)).enumerate()
    {
        let table = quantisation(parser, frame, index)?;
        for (n, block) in blocks.iter().enumerate() {
            let mut natural = [0i32; 64];
            for ((value, scale), place) in block.iter().zip(&table).zip(&ZIGZAG) {
                natural[*place] = i32::from(*value) * i32::from(*scale);
            }
            let mut samples = [0u16; 64];
            idct(&natural, frame.precision, &mut samples);
            place_block(plane, grid, n, &samples);
        }
    }
    Ok(interleave(frame, &planes))
}

fn place_block(plane: &mut super::upsample::Plane, grid: &Grid, n: usize, samples: &[u16; 64]) {
    place(plane, n % grid.columns, n / grid.columns, samples);
}

struct Decoder<'a> {
    reader: BitReader<'a>,
    /// Table (DC or AC), component and blocks a line for each component of the scan.
    parts: Vec<(Option<Huffman>, usize, usize)>,
    coefficients: Vec<Vec<Block>>,
    predictions: [i32; 4],
    end_of_band_run: u32,
    start: usize,
    end: usize,
    low: u32,
    refine: bool,
}

impl<'a> Decoder<'a> {
    fn new(parser: &Parser<'a>, scan: &Scan, grids: &[Grid], coefficients: Vec<Vec<Block>>) -> Result<Self> {
        let (start, end) = (scan.spectral_start, scan.spectral_end);
        let sound = end < 64 && start <= end && (start > 0 || end == 0) && scan.low < 14;
        if !sound || (start > 0 && scan.components.len() != 1) {
            return Err(ImagingError::damaged(
                CODEC,
                "a scan with an impossible spectral band",
            ));
        }
        let refine = scan.high > 0;
        let mut parts = Vec::new();
        for c in &scan.components {
            let table = match (start, refine) {
                (0, true) => None,
                (0, false) => Some(parser.dc_table(c.dc)?.clone()),
                _ => Some(parser.ac_table(c.ac)?.clone()),
            };
            parts.push((table, c.index, grids.get(c.index).map_or(0, |g| g.columns)));
        }
        let reader = BitReader::new(parser.data, scan.data);
        Ok(Self {
            reader,
            parts,
            coefficients,
            predictions: [0; 4],
            end_of_band_run: 0,
            start,
            end,
            low: scan.low,
            refine,
        })
    }

    fn step(&mut self, k: usize, x: usize, y: usize) -> Option<()> {
        let (table, index, columns) = self.parts.get(k)?;
        let block = self.coefficients.get_mut(*index)?.get_mut(y * columns + x)?;
        let band = Band {
            start: self.start,
            end: self.end,
            low: self.low,
        };
        match (table, self.start, self.refine) {
            (_, 0, true) => {
                if self.reader.take(1) == 1 {
                    block[0] |= 1 << self.low;
                }
                Some(())
            }
            (Some(table), 0, false) => {
                self.reader.refill();
                let bits = table.decode(&mut self.reader).filter(|b| *b <= 15)?;
                let prediction = self.predictions.get_mut(k)?;
                *prediction = prediction.wrapping_add(self.reader.extend(bits.into()));
                block[0] = (*prediction << self.low) as i16;
                Some(())
            }
            (Some(table), _, false) => {
                first_ac(&mut self.reader, table, &mut self.end_of_band_run, &band, block)
            }
            (Some(table), _, true) => {
                refine_ac(&mut self.reader, table, &mut self.end_of_band_run, &band, block)
            }
            (None, ..) => None,
        }
    }
}

impl<'d> Blocks<'d> for Decoder<'d> {
    fn block(&mut self, k: usize, x: usize, y: usize) -> Result<()> {
        self.step(k, x, y)
            .ok_or_else(|| ImagingError::damaged(CODEC, "an impossible code"))
    }

    fn reader(&mut self) -> &mut BitReader<'d> {
        &mut self.reader
    }

    fn forget(&mut self) {
        self.predictions = [0; 4];
        self.end_of_band_run = 0;
    }
}

struct Band {
    start: usize,
    end: usize,
    low: u32,
}

/// First scan of an AC band (T.81 G.1.2.2). Coefficients are kept in zigzag order.
fn first_ac(
    reader: &mut BitReader<'_>,
    table: &Huffman,
    run: &mut u32,
    band: &Band,
    block: &mut Block,
) -> Option<()> {
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    let mut k = band.start;
    while k <= band.end {
        reader.refill();
        let symbol = table.decode(reader)?;
        let (zeros, bits) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if bits == 0 {
            if zeros < 15 {
                *run = (1 << zeros) - 1 + reader.take(zeros as u32);
                break;
            }
            k += 16;
            continue;
        }
        k += zeros;
        let value = reader.extend(bits) << band.low;
        *block.get_mut(k)? = value as i16;
        k += 1;
    }
    Some(())
}

/// Later scans of an AC band (T.81 G.1.2.3): one more bit of each coefficient.
fn refine_ac(
    reader: &mut BitReader<'_>,
    table: &Huffman,
    run: &mut u32,
    band: &Band,
    block: &mut Block,
) -> Option<()> {
    let bit = 1i16 << band.low;
    let mut k = band.start;
    if *run == 0 {
        while k <= band.end {
            reader.refill();
            let symbol = table.decode(reader)?;
            let (mut zeros, bits) = (usize::from(symbol >> 4), symbol & 15);
            let mut value = 0;
            if bits == 0 {
                if zeros < 15 {
                    *run = (1 << zeros) + reader.take(zeros as u32);
                    break;
                }
            } else if bits == 1 {
                value = if reader.take(1) == 1 { bit } else { -bit };
            } else {
                return None;
            }
            while k <= band.end {
                let c = block.get_mut(k)?;
                if *c != 0 {
                    correct(reader, c, bit);
                } else if zeros == 0 {
                    *c = value;
                    k += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
        }
    }
    if *run > 0 {
        for c in block.get_mut(k..=band.end).unwrap_or_default() {
            if *c != 0 {
                correct(reader, c, bit);
            }
        }
        *run -= 1;
    }
    Some(())
}

fn correct(reader: &mut BitReader<'_>, value: &mut i16, bit: i16) {
    if reader.take(1) == 1 && *value & bit == 0 {
        *value = value.wrapping_add(if *value > 0 { bit } else { -bit });
    }
}
