//! JPEG 2000 streams of the kind that archives hold most (ITU-T T.800, T.814): one tile, reversible, high-throughput
//! blocks of one pass. Other streams are `None` here, as are damaged ones: a complete decoder looks at them.

mod header;
mod ht;
mod ht_bits;
mod inverse;
mod packets;
mod tree;

#[cfg(test)]
mod tests;

use header::Header;
use ht::HtDecoder;
use inverse::Plane;
use packets::Blocks;

/// Samples of each component, as the stream says them.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) planes: Vec<Vec<i32>>,
}

/// Decodes a code stream with both sides divided by `2^reduce`.
pub(super) fn decode(stream: &[u8], reduce: u8) -> Option<Picture> {
    let header = Header::read(stream)?;
    if !header.high_throughput {
        return None;
    }
    let last = usize::from(header.levels.checked_sub(reduce)?);
    let blocks = Blocks::read(&header, stream, last)?;
    let mut decoder = HtDecoder::new();
    let mut planes = Vec::with_capacity(header.components);
    for component in 0..header.components {
        let mut band = |r: usize, kind: usize| {
            let mut plane = Plane::new(header.band(r, kind));
            let place = if r == 0 { 0 } else { 3 * r - 3 + kind };
            let deepest = *header.planes.get(place)?;
            decode_band(
                &mut decoder,
                stream,
                deepest,
                blocks.band(component, r, kind.saturating_sub(1)),
                &mut plane,
            )?;
            Some(plane)
        };
        let mut image = band(0, 0)?;
        for r in 1..=last {
            let detail = [band(r, 1)?, band(r, 2)?, band(r, 3)?];
            image = inverse::join(&image, &detail);
        }
        planes.push(image);
    }
    finish(&header, &mut planes);
    let (width, height) = header.resolution(last);
    Some(Picture {
        width,
        height,
        planes: planes.into_iter().map(|p| p.data).collect(),
    })
}

fn decode_band<'b>(
    decoder: &mut HtDecoder,
    stream: &[u8],
    planes: u32,
    blocks: impl Iterator<Item = &'b packets::Block>,
    out: &mut Plane,
) -> Option<()> {
    let mut joined = Vec::new();
    let stride = out.width;
    for block in blocks.filter(|b| b.passes > 0) {
        // All planes down to the lowest: the one pass codes them together.
        if block.zero_planes + 1 != planes {
            return None;
        }
        let target = out.data.get_mut(block.y * stride + block.x..)?;
        let bytes = block.bytes(stream, &mut joined);
        decoder.decode(bytes, (block.width, block.height), planes, target, stride)?;
    }
    Some(())
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
