//! JPEG 2000 streams of the kinds that archives hold most (ITU-T T.800, T.814): one tile, reversible, every plane there,
//! without block styles, or high-throughput blocks of one pass. Other streams are `None` here, as are damaged ones: a
//! complete decoder looks at them.

mod header;
mod ht;
mod ht_bits;
mod inverse;
mod mq;
mod packets;
mod planes;
mod simd;
mod tree;

#[cfg(test)]
mod tests;

use super::room;
use header::Header;
use ht::HtDecoder;
use inverse::Plane;
use packets::Blocks;
use planes::{Kind, PlaneDecoder};

/// Samples of each component, as the stream says them.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) planes: Vec<Vec<i32>>,
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.planes.drain(..).for_each(room::give);
    }
}

/// How exact a decoded image is to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    /// Resolutions left out: both sides are divided by `2^reduce`.
    pub(super) reduce: u8,
    /// Lowest bit planes of the finest details that may be left out.
    pub(super) planes_less: u32,
}

/// Decodes a code stream.
pub(super) fn decode(stream: &[u8], wish: Wish) -> Option<Picture> {
    let header = Header::read(stream)?;
    let last = usize::from(header.levels.checked_sub(wish.reduce)?);
    let blocks = Blocks::read(&header, stream, last)?;
    let mut bands = Bands {
        header: &header,
        stream,
        blocks: &blocks,
        decoder: if header.high_throughput {
            Decoder::HighThroughput(Box::new(HtDecoder::new()))
        } else {
            Decoder::Planes(PlaneDecoder::new())
        },
    };
    let mut planes = Vec::with_capacity(header.components);
    for component in 0..header.components {
        let mut image = bands.decode(component, 0, 0, 0)?;
        for r in 1..=last {
            // An error in a level below weighs somewhat more in an average over two by two pixels, one in the band of both
            // directions less than half as much.
            let less = wish.planes_less.saturating_sub((last - r) as u32);
            let both = less + u32::from(less > 0);
            let detail = [
                bands.decode(component, r, 1, less)?,
                bands.decode(component, r, 2, less)?,
                bands.decode(component, r, 3, both)?,
            ];
            image = inverse::join(&image, &detail);
        }
        planes.push(image);
    }
    finish(&header, &mut planes);
    let (width, height) = header.resolution(last);
    Some(Picture {
        width,
        height,
        planes: planes.iter_mut().map(|p| std::mem::take(&mut p.data)).collect(),
    })
}

enum Decoder {
    HighThroughput(Box<HtDecoder>),
    Planes(PlaneDecoder),
}

/// Bands of an image as they are asked for.
struct Bands<'a> {
    header: &'a Header,
    stream: &'a [u8],
    blocks: &'a Blocks,
    decoder: Decoder,
}

impl Bands<'_> {
    /// The `kind`-th band of resolution `r`, without its `less` lowest planes where those can be left out.
    fn decode(&mut self, component: usize, r: usize, kind: usize, less: u32) -> Option<Plane> {
        let mut out = Plane::new(self.header.band(r, kind));
        let place = if r == 0 { 0 } else { 3 * r - 3 + kind };
        let planes = *self.header.planes.get(place)?;
        let contexts = match kind {
            1 => Kind::Across,
            3 => Kind::Both,
            _ => Kind::Upright,
        };
        let mut joined = Vec::new();
        let stride = out.width;
        for block in self.blocks.band(component, r, kind.saturating_sub(1)) {
            if block.passes == 0 {
                continue;
            }
            let top = planes.checked_sub(block.zero_planes + 1)?;
            let target = out.data.get_mut(block.y * stride + block.x..)?;
            let bytes = block.bytes(self.stream, &mut joined);
            let size = (block.width, block.height);
            match &mut self.decoder {
                // The one pass codes all planes down to its own: here the lowest.
                Decoder::HighThroughput(_) if top != 0 => return None,
                Decoder::HighThroughput(decoder) => decoder.decode(bytes, size, planes, target, stride)?,
                Decoder::Planes(_) if block.passes != 3 * top + 1 => return None,
                Decoder::Planes(decoder) => {
                    decoder.decode(bytes, contexts, size, (top, less), target, stride)?;
                }
            }
        }
        Some(out)
    }
}

/// Colours as they were, and the middle of the range back where unsigned samples have it.
fn finish(header: &Header, planes: &mut [Plane]) {
    if header.transformed
        && let [luma, blue, red, ..] = planes
    {
        for ((y, u), v) in luma.data.iter_mut().zip(&mut blue.data).zip(&mut red.data) {
            let green = *y - ((*u + *v) >> 2);
            (*y, *u, *v) = (*v + green, green, *u + green);
        }
    }
    let half = 1i32 << (header.bits - 1);
    let (middle, low, high) = if header.signed {
        (0, -half, half - 1)
    } else {
        (half, 0, 2 * half - 1)
    };
    for plane in planes {
        plane
            .data
            .iter_mut()
            .for_each(|v| *v = (*v + middle).clamp(low, high));
    }
}
