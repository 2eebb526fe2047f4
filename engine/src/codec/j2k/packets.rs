//! From packets to the bytes of each block (ITU-T T.800 Annex B).

use super::header::{Header, Progression, u16_at, u32_at};
use super::tree::{Bits, Tree};

/// Blocks and packets of an image.
const PARTS_MAX: usize = 1 << 20;

/// A block: where it is in its band and what was coded of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Highest bit planes that are all 0.
    pub(super) zero_planes: u32,
    pub(super) passes: u32,
    length_bits: u32,
    /// Start and length in the stream.
    first: (usize, usize),
    more: Vec<(usize, usize)>,
}

impl Block {
    /// The coded bytes, joined in `joined` where they stand in several places.
    pub(super) fn bytes<'s>(&self, stream: &'s [u8], joined: &'s mut Vec<u8>) -> &'s [u8] {
        let piece = |(start, length): (usize, usize)| stream.get(start..start + length).unwrap_or_default();
        if self.more.is_empty() {
            return piece(self.first);
        }
        joined.clear();
        joined.extend_from_slice(piece(self.first));
        self.more.iter().for_each(|p| joined.extend_from_slice(piece(*p)));
        joined
    }
}

/// Blocks of one band in a precinct.
#[derive(Debug)]
struct Part {
    across: usize,
    blocks: Vec<Block>,
    inclusion: Tree,
    planes: Tree,
}

/// A resolution of a component.
#[derive(Debug)]
struct Resolution {
    /// Precincts across and down.
    size: (usize, usize),
    /// Precincts, each with its one or three bands.
    precincts: Vec<Vec<Part>>,
}

/// All blocks of an image, once its packets are read.
#[derive(Debug)]
pub(super) struct Blocks {
    components: Vec<Vec<Resolution>>,
}

/// One packet: what its place in the order is, and what it belongs to.
#[derive(Debug, Clone, Copy)]
struct Packet {
    layer: u32,
    resolution: usize,
    component: usize,
    precinct: usize,
    /// Row and column of the precinct in the image.
    place: (usize, usize),
}

impl Blocks {
    /// Reads the packets that resolutions up to `last` need.
    pub(super) fn read(header: &Header, stream: &[u8], last: usize) -> Option<Self> {
        let mut blocks = Self::lay_out(header)?;
        let order = blocks.order(header)?;
        let needed = order.iter().rposition(|p| p.resolution <= last)? + 1;
        let mut bodies = TileParts {
            stream,
            at: header.tile_parts,
        };
        let (mut at, mut end) = bodies.next()?;
        for packet in order.get(..needed)? {
            while at >= end {
                (at, end) = bodies.next()?;
            }
            let part = stream.get(..end)?;
            let resolution = blocks
                .components
                .get_mut(packet.component)?
                .get_mut(packet.resolution)?;
            let precinct = resolution.precincts.get_mut(packet.precinct)?;
            at = read_packet(header, part, at, packet.layer, precinct)?;
        }
        Some(blocks)
    }

    fn lay_out(header: &Header) -> Option<Self> {
        let mut parts = 0usize;
        let mut component = || -> Option<Vec<Resolution>> {
            (0..=usize::from(header.levels))
                .map(|r| {
                    let resolution = lay_out_resolution(header, r, &mut parts)?;
                    (parts <= PARTS_MAX).then_some(resolution)
                })
                .collect()
        };
        let components = (0..header.components)
            .map(|_| component())
            .collect::<Option<_>>()?;
        Some(Self { components })
    }

    fn order(&self, header: &Header) -> Option<Vec<Packet>> {
        let mut packets = Vec::new();
        for (component, resolutions) in self.components.iter().enumerate() {
            for (resolution, at) in resolutions.iter().enumerate() {
                let shift = usize::from(header.levels) - resolution;
                let (pw, ph) = *header.precincts.get(resolution)?;
                for precinct in 0..at.precincts.len() {
                    let (px, py) = (precinct % at.size.0, precinct / at.size.0);
                    let place = ((py << ph) << shift, (px << pw) << shift);
                    packets.extend((0..header.layers).map(|layer| Packet {
                        layer: layer.into(),
                        resolution,
                        component,
                        precinct,
                        place,
                    }));
                    if packets.len() > PARTS_MAX {
                        return None;
                    }
                }
            }
        }
        let none = (0, 0);
        packets.sort_by_key(|p| {
            let (l, r, c, k) = (p.layer as usize, p.resolution, p.component, p.precinct);
            match header.progression {
                Progression::LayerResolution => (l, none, r, c, k, 0),
                Progression::ResolutionLayer => (r, none, l, c, k, 0),
                Progression::ResolutionPosition => (r, p.place, c, k, l, 0),
                Progression::PositionComponent => (0, p.place, c, r, k, l),
                Progression::ComponentPosition => (c, p.place, r, k, l, 0),
            }
        });
        Some(packets)
    }

    /// The blocks of one band: of resolution `r`, the `kind`-th of its bands.
    pub(super) fn band(&self, component: usize, r: usize, kind: usize) -> impl Iterator<Item = &Block> {
        let resolution = self.components.get(component).and_then(|c| c.get(r));
        let precincts = resolution.map_or(&[][..], |r| r.precincts.as_slice());
        precincts
            .iter()
            .filter_map(move |bands| bands.get(kind))
            .flat_map(|part| part.blocks.iter())
    }
}

fn lay_out_resolution(header: &Header, r: usize, parts: &mut usize) -> Option<Resolution> {
    let (width, height) = header.resolution(r);
    let (pw, ph) = *header.precincts.get(r)?;
    let size = (width.div_ceil(1 << pw), height.div_ceil(1 << ph));
    let on_band = u8::from(r > 0);
    let (bw, bh) = (pw - on_band, ph - on_band);
    let block = (header.block.0.min(bw), header.block.1.min(bh));
    *parts = parts.saturating_add(size.0.saturating_mul(size.1));
    if *parts > PARTS_MAX {
        return None;
    }
    let kinds = if r == 0 { 0..1 } else { 1..4 };
    let mut precincts = Vec::with_capacity(size.0 * size.1);
    for (py, px) in (0..size.1).flat_map(|y| (0..size.0).map(move |x| (y, x))) {
        let mut bands = Vec::with_capacity(kinds.len());
        for kind in kinds.clone() {
            let (w, h) = header.band(r, kind);
            let columns = ((px << bw).min(w), ((px + 1) << bw).min(w));
            let rows = ((py << bh).min(h), ((py + 1) << bh).min(h));
            let part = lay_out_part(columns, rows, block);
            *parts = parts.saturating_add(part.blocks.len());
            if *parts > PARTS_MAX {
                return None;
            }
            bands.push(part);
        }
        precincts.push(bands);
    }
    Some(Resolution { size, precincts })
}

fn lay_out_part((x0, x1): (usize, usize), (y0, y1): (usize, usize), block: (u8, u8)) -> Part {
    // A precinct begins where a block begins: both are powers of two from the origin, the block the smaller.
    let (across, down) = ((x1 - x0).div_ceil(1 << block.0), (y1 - y0).div_ceil(1 << block.1));
    let (across, down) = if across * down == 0 {
        (0, 0)
    } else {
        (across, down)
    };
    let blocks = (0..across * down)
        .map(|i| {
            let (x, y) = (x0 + ((i % across) << block.0), y0 + ((i / across) << block.1));
            Block {
                x,
                y,
                width: (x1 - x).min(1 << block.0),
                height: (y1 - y).min(1 << block.1),
                length_bits: 3,
                ..Block::default()
            }
        })
        .collect();
    Part {
        across,
        blocks,
        inclusion: Tree::new(across, down),
        planes: Tree::new(across, down),
    }
}

/// Bodies of the tile-parts in the order in which they stand.
struct TileParts<'a> {
    stream: &'a [u8],
    at: usize,
}

impl TileParts<'_> {
    /// Start and end of the next one's packets.
    fn next(&mut self) -> Option<(usize, usize)> {
        if u16_at(self.stream, self.at)? != 0xff90 || u16_at(self.stream, self.at + 4)? != 0 {
            return None;
        }
        let length = u32_at(self.stream, self.at + 6)?;
        let end = if length == 0 {
            self.stream.len()
        } else {
            self.at.checked_add(length)?
        };
        let mut at = self.at + 12;
        loop {
            match u16_at(self.stream, at)? {
                0xff93 => break,
                // Packet lengths, comment.
                0xff58 | 0xff64 => at += 2 + usize::from(u16_at(self.stream, at + 2)?),
                _ => return None,
            }
        }
        self.at = end;
        (at + 2 <= end && end <= self.stream.len()).then_some((at + 2, end))
    }
}

/// Reads one packet; answers where the next begins.
fn read_packet(header: &Header, part: &[u8], at: usize, layer: u32, bands: &mut [Part]) -> Option<usize> {
    let at = if header.sop && u16_at(part, at) == Some(0xff91) {
        at + 6
    } else {
        at
    };
    let mut bits = Bits::new(part, at);
    // Block by band and number, and its bytes.
    let mut bodies = Vec::new();
    if bits.bit()? {
        for (k, band) in bands.iter_mut().enumerate() {
            read_band(header, layer, band, &mut bits, |i, length| {
                bodies.push((k, i, length))
            })?;
        }
    }
    let mut at = bits.end();
    if header.eph {
        if u16_at(part, at)? != 0xff92 {
            return None;
        }
        at += 2;
    }
    for (k, i, length) in bodies {
        let block = bands.get_mut(k)?.blocks.get_mut(i)?;
        let end = at.checked_add(length)?;
        if end > part.len() {
            return None;
        }
        if block.first.1 == 0 {
            block.first = (at, length);
        } else {
            block.more.push((at, length));
        }
        at = end;
    }
    Some(at)
}

fn read_band(
    header: &Header,
    layer: u32,
    band: &mut Part,
    bits: &mut Bits<'_>,
    mut body: impl FnMut(usize, usize),
) -> Option<()> {
    for (i, block) in band.blocks.iter_mut().enumerate() {
        let place = (i % band.across, i / band.across);
        let known = block.passes > 0;
        let included = if known {
            bits.bit()?
        } else {
            band.inclusion.below(place, layer + 1, bits)?
        };
        if !included {
            continue;
        }
        if !known {
            let mut planes = 1;
            while !band.planes.below(place, planes, bits)? {
                planes += 1;
                if planes > 40 {
                    return None;
                }
            }
            block.zero_planes = planes - 1;
        }
        let passes = bits.passes()?;
        while bits.bit()? {
            block.length_bits += 1;
        }
        // High-throughput blocks have more than one segment when they have more than one pass.
        if header.high_throughput && (passes > 1 || known) {
            return None;
        }
        let count = block.length_bits + passes.ilog2();
        if count > 31 {
            return None;
        }
        let length = bits.number(count)?;
        block.passes += passes;
        body(i, usize::try_from(length).ok()?);
    }
    Some(())
}
