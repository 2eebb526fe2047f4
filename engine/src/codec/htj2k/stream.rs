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
struct Blocks {
    across: usize,
    down: usize,
    /// Bytes of each block; 0 for one that is not coded.
    lengths: Vec<usize>,
    starts: Vec<usize>,
    bytes: Vec<u8>,
}

impl Blocks {
    fn encode(encoder: &mut BlockEncoder, band: &Band) -> Self {
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

    /// Blocks of the precinct at `(px, py)` whose sides have `side` blocks; their bytes go behind `body`.
    fn precinct(
        &self,
        (px, py): (usize, usize),
        side: usize,
        zero_planes: u32,
        body: &mut Vec<u8>,
    ) -> PrecinctBand {
        let part = |p: usize, all: usize| (p * side).min(all)..((p + 1) * side).min(all);
        let (columns, rows) = (part(px, self.across), part(py, self.down));
        let mut lengths = Vec::with_capacity(columns.len() * rows.len());
        for y in rows {
            for i in columns.clone().map(|x| y * self.across + x) {
                let (start, length) = (self.starts[i], self.lengths[i]);
                body.extend_from_slice(self.bytes.get(start..start + length).unwrap_or_default());
                lengths.push(length);
            }
        }
        PrecinctBand {
            across: columns.len(),
            lengths,
            zero_planes,
        }
    }
}

/// Encodes the bands of each component. Answers the stream and where in it each resolution ends, lowest first.
pub(super) fn write(shape: Shape, components: &[Vec<Band>]) -> (Vec<u8>, Vec<usize>) {
    let mut encoder = BlockEncoder::new();
    let coded: Vec<Vec<Blocks>> = components
        .iter()
        .map(|bands| bands.iter().map(|b| Blocks::encode(&mut encoder, b)).collect())
        .collect();
    let parts: Vec<Vec<u8>> = (0..=usize::from(shape.levels))
        .map(|r| tile_part(shape, r, &coded))
        .collect();
    let mut out = shape.header();
    // Two bytes of tile number and four of length each.
    let mut tlm = vec![0, 0x60];
    for part in &parts {
        tlm.extend([0, 0]);
        tlm.extend((part.len() as u32).to_be_bytes());
    }
    segment(&mut out, 0x55, &tlm);
    let mut ends = Vec::with_capacity(parts.len());
    for part in parts {
        out.extend(part);
        ends.push(out.len());
    }
    out.extend([0xff, 0xd9]);
    (out, ends)
}

/// All packets of a resolution.
fn tile_part(shape: Shape, r: usize, components: &[Vec<Blocks>]) -> Vec<u8> {
    let bands = if r == 0 { 0..1 } else { 3 * r - 2..3 * r + 1 };
    let (width, height) = shape.resolution(r);
    let on_band = if r == 0 {
        PRECINCT_EXPONENT
    } else {
        PRECINCT_EXPONENT - 1
    };
    let side = (1 << on_band) / BLOCK;
    let mut packets = Vec::new();
    for py in 0..height.div_ceil(1 << PRECINCT_EXPONENT) {
        for px in 0..width.div_ceil(1 << PRECINCT_EXPONENT) {
            for component in components {
                let mut body = Vec::new();
                let precinct: Vec<PrecinctBand> = bands
                    .clone()
                    .filter_map(|b| Some((b, component.get(b)?)))
                    .map(|(b, blocks)| blocks.precinct((px, py), side, shape.planes(b) - 1, &mut body))
                    .collect();
                packets.extend(packet::header(&precinct));
                packets.append(&mut body);
            }
        }
    }
    let mut out = vec![0xff, 0x90, 0, 10, 0, 0];
    out.extend((packets.len() as u32 + 14).to_be_bytes());
    out.extend([r as u8, shape.levels + 1, 0xff, 0x93]);
    out.append(&mut packets);
    out
}
