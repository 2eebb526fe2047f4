//! One stored object as the engine sees it: its image description and where each frame's bytes are.

use super::holdings::Held;
use crate::App;
use crate::problem::Problem;
use archive::store::ObjectStore;
use axum::http::StatusCode;
use bytes::Bytes;
use dataset::uid::TransferSyntaxUid;
use dataset::{DataSet, Encoding, Limits, Parsed, PixelDataInfo, Tokenizer};
use engine::codec::{
    DecodedColour, Fragments, FrameBytes, FrameLocation, FrameMap, Photometric, StoredPixels, TransferSyntax,
    decode, deflated, htj2k,
};
use engine::error::ImagingError;
use engine::pixel::{ImageDescription, Picture, thumbnail_of};
use std::borrow::Cow;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::sync::Arc;

/// Bytes read from the store at a time while looking for attributes.
const CHUNK_BYTES: u64 = 512 * 1024;
/// Memory that a kept layout is counted as.
const LAYOUT_BYTES: usize = 8 * 1024;
/// Bytes of a fragment that tell whether a stream starts in it.
const PEEK_BYTES: u64 = 16;

/// Image description and frame places of one object. Immutable, as the object is.
#[derive(Debug)]
pub(crate) struct Layout {
    /// What the engine needs to show it.
    pub(crate) image: ImageDescription,
    syntax: TransferSyntax,
    map: FrameMap,
    /// The pixel data are OW.
    words: bool,
    /// The whole data set is deflated: places count in what it inflates to.
    deflated: bool,
}

/// Opens an object's layout, from memory where it was opened before. Runs on the compute pool.
pub(crate) fn open(app: &App, held: &Held) -> Result<Arc<Layout>, Problem> {
    if let Some(layout) = app.layouts().get(&held.digest) {
        return Ok(layout);
    }
    let layout = Arc::new(read(app.archive().store(), held)?);
    app.layouts().put(&held.digest, Arc::clone(&layout), LAYOUT_BYTES);
    Ok(layout)
}

fn read(store: &ObjectStore, held: &Held) -> Result<Layout, Problem> {
    let syntax = TransferSyntax::from_uid(&held.transfer_syntax_uid).ok_or_else(|| no_picture(held))?;
    let uid = uid_of(held)?;
    let deflated = uid.kind() == Encoding::Deflated;
    let parsed = attributes(store, held, Limits::of_object(&uid))?;
    let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let image = ImageDescription::from_lookup(&lookup).map_err(problem)?;
    let info = parsed.pixel_data.as_ref().ok_or_else(|| no_picture(held))?;
    let start = if deflated { 0 } else { held.meta_bytes };
    let mut peek = |at: u64| {
        store
            .read_range(
                &held.object_key,
                at,
                PEEK_BYTES.min(held.size_bytes.saturating_sub(at)),
            )
            .ok()
    };
    let map = frame_map(&image, syntax, info, start, &mut peek).map_err(problem)?;
    Ok(Layout {
        image,
        syntax,
        map,
        words: info.words,
        deflated,
    })
}

fn frame_map(
    image: &ImageDescription,
    syntax: TransferSyntax,
    info: &PixelDataInfo,
    start: u64,
    peek: &mut dyn FnMut(u64) -> Option<Vec<u8>>,
) -> Result<FrameMap, ImagingError> {
    let at = |offset: u64| offset.saturating_add(start);
    if !info.encapsulated {
        return FrameMap::native(&image.frame, syntax, at(info.offset), info.length.unwrap_or(0));
    }
    let parts = Fragments::at(
        start,
        &info.fragments,
        &info.basic_offset_table,
        &info.extended_offset_table,
    );
    FrameMap::encapsulated(&image.frame, syntax, parts, peek)
}

/// Parses the attributes of a stored object; pixel data is walked over, not kept.
pub(crate) fn attributes(store: &ObjectStore, held: &Held, limits: Limits) -> Result<Parsed, Problem> {
    let mut tokenizer = Tokenizer::new(&uid_of(held)?, limits);
    let mut at = held.meta_bytes;
    while at < held.size_bytes {
        let length = CHUNK_BYTES.min(held.size_bytes - at);
        let chunk = store.read_range(&held.object_key, at, length)?;
        tokenizer.feed(&chunk).map_err(|e| Problem::internal(&e))?;
        at += length;
    }
    tokenizer.finish().map_err(|e| Problem::internal(&e))
}

/// Whether the whole data set is deflated.
pub(crate) fn is_deflated(held: &Held) -> Result<bool, Problem> {
    Ok(uid_of(held)?.kind() == Encoding::Deflated)
}

fn uid_of(held: &Held) -> Result<TransferSyntaxUid, Problem> {
    TransferSyntaxUid::parse(&held.transfer_syntax_uid).map_err(|e| Problem::internal(&e))
}

/// Limits for an object whose values are wanted.
pub(crate) fn limits(held: &Held) -> Result<Limits, Problem> {
    uid_of(held).map(|uid| Limits::of_object(&uid))
}

/// A piece of what a deflated object inflates to: what stands before it is passed over, so no more is held than is
/// asked for, whatever the object inflates to.
pub(crate) fn inflated(store: &ObjectStore, held: &Held, offset: u64, length: u64) -> Result<Bytes, Problem> {
    let mut object = store.open_object(&held.object_key)?;
    object
        .seek(SeekFrom::Start(held.meta_bytes))
        .map_err(|e| Problem::internal(&e))?;
    let plain = deflated::inflate_range(BufReader::new(object), offset, length).map_err(problem)?;
    Ok(Bytes::from(plain))
}

impl Layout {
    /// Bytes of a frame as stored, with the number of bits at its start that belong to the frame before.
    fn bytes(&self, store: &ObjectStore, held: &Held, index: u64) -> Result<(Bytes, u32), Problem> {
        let FrameLocation { ranges, skip_bits } = self.map.locate(index).map_err(problem)?;
        let piece = |offset: u64, length: u64| {
            if self.deflated {
                return inflated(store, held, offset, length);
            }
            Ok(Bytes::from(store.read_range(&held.object_key, offset, length)?))
        };
        if let [(offset, length)] = ranges.as_slice() {
            return Ok((piece(*offset, *length)?, skip_bits));
        }
        let mut whole = Vec::new();
        for (offset, length) in ranges {
            whole.extend_from_slice(&piece(offset, length)?);
        }
        Ok((Bytes::from(whole), skip_bits))
    }

    /// The frame in its stored form: the code stream of a compressed image.
    pub(crate) fn stored(&self, store: &ObjectStore, held: &Held, index: u64) -> Result<Bytes, Problem> {
        self.bytes(store, held, index).map(|(bytes, _)| bytes)
    }

    /// The frame as little-endian pixels, in the planar configuration that the attributes state. Uncompressed frames are
    /// given as they lie in the file, but for the order of their bytes.
    pub(crate) fn plain(&self, store: &ObjectStore, held: &Held, index: u64) -> Result<Bytes, Problem> {
        let frame = &self.image.frame;
        if !self.syntax.is_encapsulated() {
            let (bytes, skip_bits) = self.bytes(store, held, index)?;
            if skip_bits == 0 && !self.syntax.is_big_endian() {
                return Ok(bytes);
            }
            let mut bytes = Vec::from(bytes);
            if self.syntax.is_big_endian() {
                let unit = frame.sample_bytes().max(if self.words { 2 } else { 1 });
                bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
            }
            if skip_bits > 0 {
                bytes = shifted(&bytes, skip_bits);
            }
            bytes.truncate(usize::try_from(frame.frame_bytes().map_err(problem)?).unwrap_or(usize::MAX));
            return Ok(Bytes::from(bytes));
        }
        let mut bytes = self.pixels(store, held, index)?.data.to_le_bytes();
        if frame.planar && frame.samples_per_pixel > 1 {
            bytes = planes(&bytes, frame.sample_bytes(), usize::from(frame.samples_per_pixel));
        }
        Ok(Bytes::from(if frame.bits_allocated == 1 {
            packed(&bytes)
        } else {
            bytes
        }))
    }

    /// The frame as a lossless HTJ2K stream, resolution first.
    pub(crate) fn htj2k(&self, store: &ObjectStore, held: &Held, index: u64) -> Result<Bytes, Problem> {
        let pixels = self.pixels(store, held, index)?;
        let mut frame = self.image.frame.clone();
        if pixels.colour == DecodedColour::Rgb {
            frame.photometric = Photometric::Rgb;
        }
        let encoded = htj2k::encode(&frame, &pixels.data).map_err(problem)?;
        Ok(Bytes::from(encoded.stream))
    }

    /// The decoded frame.
    pub(crate) fn pixels(
        &self,
        store: &ObjectStore,
        held: &Held,
        index: u64,
    ) -> Result<StoredPixels, Problem> {
        let (bytes, skip_bits) = self.bytes(store, held, index)?;
        let input = FrameBytes {
            bytes: &bytes,
            skip_bits,
            words: self.words,
        };
        decode(&self.image.frame, self.syntax, input).map_err(problem)
    }

    /// A picture of the frame whose longest side is `side`; no more is decoded than it needs.
    pub(crate) fn thumbnail(
        &self,
        store: &ObjectStore,
        held: &Held,
        index: u64,
        side: u32,
    ) -> Result<Picture, Problem> {
        let (bytes, skip_bits) = self.bytes(store, held, index)?;
        let input = FrameBytes {
            bytes: &bytes,
            skip_bits,
            words: self.words,
        };
        thumbnail_of(&self.image, self.syntax, input, index, side).map_err(problem)
    }
}

/// The decoded frame at its whole size, from memory where it was decoded before: readers change the window often.
pub(crate) fn decoded(
    app: &App,
    held: &Held,
    layout: &Layout,
    index: u64,
) -> Result<Arc<StoredPixels>, Problem> {
    let key = format!("{}-{index}", held.digest);
    if let Some(pixels) = app.decoded().get(&key) {
        return Ok(pixels);
    }
    let pixels = Arc::new(layout.pixels(app.archive().store(), held, index)?);
    let bytes = pixels
        .data
        .len()
        .saturating_mul(layout.image.frame.sample_bytes());
    app.decoded().put(&key, Arc::clone(&pixels), bytes);
    Ok(pixels)
}

/// Bits moved down, so that the first one that counts is bit 0 (PS3.5 annex D: the first pixel is the lowest bit).
fn shifted(bytes: &[u8], skip_bits: u32) -> Vec<u8> {
    let skip = skip_bits % 8;
    let whole = (skip_bits / 8) as usize;
    let rest = bytes.get(whole..).unwrap_or_default();
    let next = rest.iter().skip(1).copied().chain(std::iter::once(0));
    rest.iter()
        .zip(next)
        .map(|(low, high)| ((u16::from(high) << 8 | u16::from(*low)) >> skip) as u8)
        .collect()
}

/// The samples of each kind together, where they stood side by side.
fn planes(pixels: &[u8], sample_bytes: usize, samples: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len());
    for sample in 0..samples {
        for pixel in pixels.chunks_exact(sample_bytes * samples) {
            out.extend_from_slice(&pixel[sample * sample_bytes..(sample + 1) * sample_bytes]);
        }
    }
    out
}

/// One bit a pixel, the first pixel in the lowest bit; decoding gave a byte for each.
fn packed(pixels: &[u8]) -> Vec<u8> {
    let byte = |eight: &[u8]| {
        eight
            .iter()
            .enumerate()
            .fold(0, |byte, (i, pixel)| byte | (pixel & 1) << i)
    };
    pixels.chunks(8).map(byte).collect()
}

/// The value bytes at a path of (sequence, item) and tag, and whether they are kept in memory.
pub(crate) enum Bulk {
    /// In memory.
    Kept(Bytes),
    /// At this place of the data set: offset and length.
    InDataSet(u64, u64),
}

/// Reads a value at a place of the data set.
pub(crate) fn read_bulk(
    store: &ObjectStore,
    held: &Held,
    offset: u64,
    length: u64,
) -> Result<Bytes, Problem> {
    if is_deflated(held)? {
        return inflated(store, held, offset, length);
    }
    let place = held.meta_bytes.saturating_add(offset);
    Ok(Bytes::from(store.read_range(&held.object_key, place, length)?))
}

/// Finds a value by its path, for bulk data.
pub(crate) fn bulk(parsed: &Parsed, path: &[(u32, usize)], tag: u32) -> Option<Bulk> {
    if path.is_empty()
        && let Some(info) = parsed.pixel_data.as_ref().filter(|info| info.tag == tag)
    {
        return info.length.map(|length| Bulk::InDataSet(info.offset, length));
    }
    if let Some(bytes) = parsed.data_set.raw_at(path, tag) {
        return Some(Bulk::Kept(Bytes::copy_from_slice(bytes)));
    }
    let here = item_at(&parsed.data_set, path)?;
    match &here.get(dataset::dictionary::tag_from_u32(tag))?.value {
        dataset::Value::External { offset, length, .. } => Some(Bulk::InDataSet(*offset, *length)),
        _ => None,
    }
}

fn item_at<'d>(root: &'d DataSet, path: &[(u32, usize)]) -> Option<&'d DataSet> {
    let path: Vec<_> = path
        .iter()
        .map(|(tag, item)| (dataset::dictionary::tag_from_u32(*tag), *item))
        .collect();
    root.item_at(&path)
}

fn no_picture(held: &Held) -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        format!("此对象（{}）没有可显示的图像。", held.sop_class_uid),
        format!(
            "This object ({}) has no picture that can be shown.",
            held.sop_class_uid
        ),
    )
}

/// What the engine refuses: a wish that cannot be is 400, a frame that is not there 404, the rest is the object's.
pub(crate) fn problem(error: ImagingError) -> Problem {
    let text = error.to_string();
    match error {
        ImagingError::Request(_) => Problem::bad_request(format!("请求参数有误：{text}"), text),
        ImagingError::NoFrame { .. } => {
            Problem::new(StatusCode::NOT_FOUND, format!("没有这一帧：{text}"), text)
        }
        ImagingError::TransferSyntax(_) | ImagingError::Missing(_) | ImagingError::Unsupported { .. } => {
            Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                format!("此对象不能显示为图像：{text}"),
                text,
            )
        }
        _ => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("图像数据无法使用：{text}"),
            text,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_lowest() {
        assert_eq!(packed(&[1, 0, 0, 0, 0, 0, 0, 1, 1, 1]), [0b1000_0001, 0b11]);
    }

    #[test]
    fn samples_are_gathered_by_kind() {
        assert_eq!(planes(b"rgbRGB", 1, 3), b"rRgGbB");
        assert_eq!(planes(b"aAbBcCdD", 2, 2), b"aAcCbBdD");
    }

    #[test]
    fn bits_of_the_frame_before_are_left_out() {
        assert_eq!(shifted(&[0b1010_0000, 0b0000_0001], 4), [0b0001_1010, 0]);
        assert_eq!(shifted(&[0xff, 0x81, 0x01], 9), [0xc0, 0]);
    }
}
