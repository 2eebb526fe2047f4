//! Where each resolution of a stream ends, from its main header alone: a reader can ask for the first bytes only.

/// Most resolutions of a stream (ITU-T T.800 A.6.1: 32 levels).
const RESOLUTIONS_MAX: usize = 33;
const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const TLM: u8 = 0x55;
const SOT: u8 = 0x90;
const RESOLUTION_POSITION_COMPONENT_LAYER: u8 = 2;

/// Bytes from the start of `stream` that hold each resolution, the lowest first, as
/// [`super::Encoded::resolutions`]. `stream` needs no more than the main header. `None` where the header does not say
/// it: other orders than resolution first, several tiles, no lengths (TLM), or not one tile-part for each resolution.
#[must_use]
pub fn resolutions(stream: &[u8]) -> Option<Vec<usize>> {
    let mut at = 2;
    let (mut levels, mut lengths) = (None, Vec::new());
    stream.strip_prefix(&[0xff, 0x4f])?;
    loop {
        let [0xff, marker] = *stream.get(at..)?.first_chunk::<2>()? else {
            return None;
        };
        if marker == SOT {
            break;
        }
        let length = usize::from(u16::from_be_bytes(*stream.get(at + 2..)?.first_chunk::<2>()?));
        let body = stream.get(at + 4..at + 2 + length)?;
        match marker {
            SIZ => one_tile(body).then_some(())?,
            COD => {
                (*body.get(1)? == RESOLUTION_POSITION_COMPONENT_LAYER).then_some(())?;
                levels = Some(usize::from(*body.get(5)?));
            }
            TLM => lengths.extend(tile_parts(body)?),
            _ => {}
        }
        at += 2 + length;
    }
    let count = levels? + 1;
    if lengths.len() != count || count > RESOLUTIONS_MAX {
        return None;
    }
    let mut end = at;
    let add = |length: &usize| {
        end = end.checked_add(*length)?;
        Some(end)
    };
    lengths.iter().map(add).collect()
}

/// Whether the first tile covers the image: sizes and corners of SIZ, four bytes each behind the capabilities.
fn one_tile(siz: &[u8]) -> bool {
    let words = siz.get(2..).unwrap_or_default().as_chunks::<4>().0;
    let word = |i: usize| words.get(i).map(|w| u64::from(u32::from_be_bytes(*w)));
    let covers = |side: usize| Some(word(6 + side)? + word(4 + side)? >= word(side)?);
    covers(0) == Some(true) && covers(1) == Some(true)
}

/// Lengths of a TLM segment.
fn tile_parts(body: &[u8]) -> Option<Vec<usize>> {
    let form = *body.get(1)?;
    let (tile_bytes, wide) = (usize::from(form >> 4 & 3), form & 0x40 != 0);
    let each = tile_bytes + if wide { 4 } else { 2 };
    let length = |entry: &[u8]| {
        let bytes = entry.get(tile_bytes..).unwrap_or_default();
        bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))
    };
    let entries = body.get(2..)?;
    (entries.len().is_multiple_of(each) && entries.len() / each <= RESOLUTIONS_MAX)
        .then(|| entries.chunks_exact(each).map(length).collect())
}
