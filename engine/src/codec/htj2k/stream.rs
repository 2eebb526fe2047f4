//! The code stream around the blocks (ITU-T T.800 Annexes A and B, T.814 Annex A): one tile, resolution by resolution,
//! each in a tile-part of its own whose length stands in the main header.

use super::block::{BLOCK, BlockEncoder};
use super::packet::{self, PrecinctBand};
use super::wavelet::Band;

/// Side of a precinct on its resolution, as a power of two: the largest there is.
const PRECINCT_EXPONENT: usize = 15;

/// What the markers say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) components: u16,
    /// Bits of a sample.
    pub(super) bits: u8,
    pub(super) signed: bool,
    pub(super) levels: u8,
    /// Colours are decorrelated by the reversible component transform.
    pub(super) transformed: bool,
}

impl Shape {
    /// Bit planes of a band, sign apart. `band` counts as [`super::wavelet::decompose`] gives them.
    ///
    /// The low filter of the 5/3 transform enlarges a sample at most 1.72 times in all levels together, the high one 2
    /// times and what an earlier low one has done: that is less than the bits added here.
    fn planes(self, band: usize) -> u32 {
        let added = match (self.levels, band) {
            (0, _) => 0,
            (_, 0) => 2,
            (levels, band) if band > 3 * (usize::from(levels) - 1) => 2,
            _ => 3,
        };
        u32::from(self.bits) + u32::from(self.transformed) + added
    }

    fn bands(self) -> usize {
        1 + 3 * usize::from(self.levels)
    }

    /// Sides of a resolution, the lowest being 0.
    fn resolution(self, r: usize) -> (usize, usize) {
        let part = |side: u32| (side as usize).div_ceil(1 << (usize::from(self.levels) - r));
        (part(self.columns), part(self.rows))
    }

    /// The main header up to where the lengths of tile-parts stand.
    fn header(self) -> Vec<u8> {
        let mut out = vec![0xff, 0x4f];
        let mut siz = vec![0x40, 0];
        for v in [self.columns, self.rows, 0, 0, self.columns, self.rows, 0, 0] {
            siz.extend(v.to_be_bytes());
        }
        siz.extend(self.components.to_be_bytes());
        for _ in 0..self.components {
            siz.extend([(self.bits - 1) | u8::from(self.signed) << 7, 1, 1]);
        }
        segment(&mut out, 0x51, &siz);
        // Part 15 in use; every block is of the high-throughput kind, in one set, of one pass, reversible.
        let planes = (0..self.bands()).map(|b| self.planes(b)).max().unwrap_or(0);
        let magnitude = planes.saturating_sub(8) as u8;
        segment(&mut out, 0x50, &[0, 2, 0, 0, 0, magnitude]);
        // Resolution, position, component, layer; one layer; blocks of 64 x 64.
        let transform = u8::from(self.transformed);
        segment(
            &mut out,
            0x52,
            &[0, 2, 0, 1, transform, self.levels, 4, 4, 0x40, 1],
        );
        // One guard bit, no quantisation.
        let mut qcd = vec![1 << 5];
        qcd.extend((0..self.bands()).map(|b| (self.planes(b) << 3) as u8));
        segment(&mut out, 0x5c, &qcd);
        out
    }
}

fn segment(out: &mut Vec<u8>, code: u8, body: &[u8]) {
    out.extend([0xff, code]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}

/// Coded blocks of one band of a component, row by row.
#[derive(Debug)]
pub(super) struct Blocks {
    across: usize,
    down: usize,
    /// Bytes of each block; 0 for one that is not coded.
    lengths: Vec<usize>,
    starts: Vec<usize>,
    bytes: Vec<u8>,
}

impl Blocks {
    #[inline(always)]
    pub(super) fn encode(encoder: &mut BlockEncoder, band: &Band) -> Self {
        let (across, down) = (band.width.div_ceil(BLOCK), band.height.div_ceil(BLOCK));
        let mut blocks = Self {
            across: if down == 0 { 0 } else { across },
            down: if across == 0 { 0 } else { down },
            lengths: Vec::new(),
            starts: Vec::new(),
            bytes: Vec::with_capacity(band.data.len()),
        };
        for y in (0..band.height).step_by(BLOCK) {
            for x in (0..band.width).step_by(BLOCK) {
                let size = (BLOCK.min(band.width - x), BLOCK.min(band.height - y));
                let samples = band.data.get(y * band.width + x..).unwrap_or_default();
                blocks.starts.push(blocks.bytes.len());
                let length = encoder.encode(samples, band.width, size, &mut blocks.bytes);
                blocks.lengths.push(length);
            }
        }
        blocks
    }

    /// Blocks of the precinct at `(px, py)` whose sides have `side` blocks, row by row.
    fn places(&self, (px, py): (usize, usize), side: usize) -> (usize, impl Iterator<Item = usize>) {
        let part = |p: usize, all: usize| (p * side).min(all)..((p + 1) * side).min(all);
        let (columns, rows, across) = (part(px, self.across), part(py, self.down), self.across);
        let wide = columns.len();
        let all = rows.flat_map(move |y| columns.clone().map(move |x| y * across + x));
        (wide, all)
    }

    fn precinct(&self, place: (usize, usize), side: usize, zero_planes: u32) -> PrecinctBand {
        let (across, blocks) = self.places(place, side);
        PrecinctBand {
            across,
            lengths: blocks.map(|i| self.lengths[i]).collect(),
            zero_planes,
        }
    }

    /// Appends the bytes of a precinct.
    fn write(&self, place: (usize, usize), side: usize, out: &mut Vec<u8>) {
        for i in self.places(place, side).1 {
            let (start, length) = (self.starts[i], self.lengths[i]);
            out.extend_from_slice(self.bytes.get(start..start + length).unwrap_or_default());
        }
    }
}

/// Puts the coded bands of each component together. Answers the stream and where in it each resolution ends, lowest
/// first.
pub(super) fn write(shape: Shape, components: &[Vec<Blocks>]) -> (Vec<u8>, Vec<usize>) {
    let blocks = || components.iter().flatten();
    let coded: usize = blocks().map(|b| b.bytes.len()).sum();
    // Headers of packets take a few bytes a block.
    let headers: usize = blocks().map(|b| 8 * b.lengths.len() + 64).sum();
    let mut out = Vec::with_capacity(coded + headers + 1024);
    out.extend(shape.header());
    let parts = usize::from(shape.levels) + 1;
    let tlm = out.len() + 6;
    // Two bytes of tile number and four of length each, which is written when it is known.
    let mut body = vec![0, 0x60];
    body.resize(2 + 6 * parts, 0);
    segment(&mut out, 0x55, &body);
    let mut ends = Vec::with_capacity(parts);
    for r in 0..parts {
        let start = out.len();
        tile_part(shape, r, components, &mut out);
        let length = ((out.len() - start) as u32).to_be_bytes();
        for at in [tlm + 6 * r + 2, start + 6] {
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&length);
            }
        }
        ends.push(out.len());
    }
    out.extend([0xff, 0xd9]);
    (out, ends)
}

/// All packets of a resolution; the tile-part's length is left open.
fn tile_part(shape: Shape, r: usize, components: &[Vec<Blocks>], out: &mut Vec<u8>) {
    let bands = if r == 0 { 0..1 } else { 3 * r - 2..3 * r + 1 };
    let (width, height) = shape.resolution(r);
    let on_band = if r == 0 {
        PRECINCT_EXPONENT
    } else {
        PRECINCT_EXPONENT - 1
    };
    let side = (1 << on_band) / BLOCK;
    out.extend([0xff, 0x90, 0, 10, 0, 0]);
    out.extend([0; 4]);
    out.extend([r as u8, shape.levels + 1, 0xff, 0x93]);
    for py in 0..height.div_ceil(1 << PRECINCT_EXPONENT) {
        for px in 0..width.div_ceil(1 << PRECINCT_EXPONENT) {
            for component in components {
                let own = || bands.clone().filter_map(|b| Some((b, component.get(b)?)));
                let precinct: Vec<PrecinctBand> = own()
                    .map(|(b, blocks)| blocks.precinct((px, py), side, shape.planes(b) - 1))
                    .collect();
                out.extend(packet::header(&precinct));
                own().for_each(|(_, blocks)| blocks.write((px, py), side, out));
            }
        }
    }
}
