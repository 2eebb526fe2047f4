//! Stored objects in other transfer syntaxes, for peers of C-GET and C-MOVE that do not take the stored one. Lossless
//! with respect to what is stored: a lossy image stays as lossy as it was, and keeps saying so.

use crate::cli::image::file::{Bytes, ImageFile, parse};
use crate::cli::image::transcode::{encode, name, settle_colour};
use anyhow::{Context, Result, bail};
use dataset::{DataSet, PixelDataInfo, Tag, TransferSyntaxUid, Vr, dictionary, tags, uids, write};
use dicom_gateway::{StoredObject, Transcoder};
use engine::codec::{StoredPixels, TransferSyntax};
use std::io::Write;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;
/// What everybody takes, then what some want.
const TARGETS: [&str; 5] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEGLS_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
];
/// Pixel data that are in fragments have these beside them; native ones must not.
const OFFSET_TABLES: [Tag; 2] = [tags::EXTENDED_OFFSET_TABLE, tags::EXTENDED_OFFSET_TABLE_LENGTHS];

/// Transcoding by the codecs of the engine.
pub(crate) struct Engine;

impl Transcoder for Engine {
    fn targets(&self, from: &str) -> &[&'static str] {
        let readable = TransferSyntax::from_uid(from).is_some_and(|syntax| syntax.compression().is_some());
        if readable { &TARGETS } else { &[] }
    }

    fn transcode(
        &self,
        object: StoredObject,
        to: &TransferSyntaxUid,
        out: &mut (dyn Write + Send),
    ) -> Result<(), String> {
        convert(object, to, out).map_err(|error| format!("{error:#}"))
    }
}

fn convert(object: StoredObject, to: &TransferSyntaxUid, out: &mut (dyn Write + Send)) -> Result<()> {
    let target = TransferSyntax::from_uid(to.as_str()).context("the transfer syntax asked for is unknown")?;
    let mut bytes = Bytes::File(object.file);
    let (set, info, _, _) = parse(&mut bytes, object.data_set_offset, &object.transfer_syntax)?;
    let Some(info) = info else {
        if target.is_encapsulated() {
            bail!("an object without pixel data cannot be compressed");
        }
        return Ok(out.write_all(&write::encode(&set, to.kind())?)?);
    };
    let from = object.transfer_syntax.as_str();
    let plain = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN].contains(&from);
    if plain && !target.is_encapsulated() && !info.encapsulated {
        return copy(&mut bytes, object.data_set_offset, &set, &info, to, out);
    }
    recode(ImageFile::read(bytes)?, set, to, target, out)
}

/// The attributes before and behind the pixel data.
fn split(set: &DataSet, pixels: Tag) -> (DataSet, DataSet) {
    let (mut before, mut behind) = (DataSet::new(), DataSet::new());
    for element in set.elements().iter().filter(|element| element.tag != pixels) {
        if element.tag < pixels {
            before.put(element.clone());
        } else {
            behind.put(element.clone());
        }
    }
    (before, behind)
}

/// Other attributes' encoding, the same pixels.
fn copy(
    bytes: &mut Bytes,
    start: u64,
    set: &DataSet,
    info: &PixelDataInfo,
    to: &TransferSyntaxUid,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let tag = dictionary::tag_from_u32(info.tag);
    let (before, behind) = split(set, tag);
    let length = info.length.context("the pixel data have no length")?;
    let vr = match tag {
        tags::FLOAT_PIXEL_DATA => Vr::OF,
        tags::DOUBLE_FLOAT_PIXEL_DATA => Vr::OD,
        _ if set.i64(tags::BITS_ALLOCATED) == Some(8) => Vr::OB,
        _ => Vr::OW,
    };
    out.write_all(&write::encode(&before, to.kind())?)?;
    out.write_all(&header(tag, vr, u32::try_from(length)?, to))?;
    let (mut at, end) = (start + info.offset, start + info.offset + length);
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let piece = bytes.read_at(at, wanted)?;
        if piece.is_empty() {
            bail!("the file ends inside its pixel data");
        }
        out.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(out.write_all(&write::encode(&behind, to.kind())?)?)
}

fn header(tag: Tag, vr: Vr, length: u32, to: &TransferSyntaxUid) -> Vec<u8> {
    let mut head = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    if to.as_str() != uids::IMPLICIT_VR_LITTLE_ENDIAN {
        head.extend(vr.to_bytes());
        head.extend([0, 0]);
    }
    head.extend(length.to_le_bytes());
    head
}

/// Frame by frame: one of them is in memory.
fn recode(
    mut file: ImageFile,
    mut set: DataSet,
    to: &TransferSyntaxUid,
    target: TransferSyntax,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    file.map.check_complete()?;
    let frames = file.map.frames();
    let mut frame = file.image.frame.clone();
    let first = file.decode(0)?;
    settle_colour(&mut frame, &first);
    if frame.samples_per_pixel > 1 {
        set.put_u16(tags::PLANAR_CONFIGURATION, 0);
        set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, name(&frame, target));
    }
    for tag in OFFSET_TABLES {
        set.remove(tag);
    }
    let (before, behind) = split(&set, tags::PIXEL_DATA);
    out.write_all(&write::encode(&before, to.kind())?)?;
    let vr = if frame.bits_allocated > 8 && !target.is_encapsulated() {
        Vr::OW
    } else {
        Vr::OB
    };
    let one = encode(&frame, &first, target)?;
    drop(first);
    if target.is_encapsulated() {
        out.write_all(&header(tags::PIXEL_DATA, vr, u32::MAX, to))?;
        // the offset table is left empty: frames leave as soon as they are made
        out.write_all(&item(0)?)?;
    } else {
        let total = (one.len() as u64).saturating_mul(frames);
        let length = u32::try_from(total + total % 2).context("the pixels are too many for one object")?;
        out.write_all(&header(tags::PIXEL_DATA, vr, length, to))?;
    }
    let size = one.len();
    write_frame(&one, target, out)?;
    for index in 1..frames {
        let pixels: StoredPixels = file.decode(index)?;
        let bytes = encode(&frame, &pixels, target)?;
        if !target.is_encapsulated() && bytes.len() != size {
            bail!("frame {} is not as large as the others", index + 1);
        }
        write_frame(&bytes, target, out)?;
    }
    end(target, size as u64 * frames, out)?;
    Ok(out.write_all(&write::encode(&behind, to.kind())?)?)
}

fn item(length: usize) -> Result<[u8; 8]> {
    let [a, b, c, d] = u32::try_from(length)
        .context("a frame is too large")?
        .to_le_bytes();
    Ok([0xfe, 0xff, 0x00, 0xe0, a, b, c, d])
}

fn write_frame(bytes: &[u8], target: TransferSyntax, out: &mut (dyn Write + Send)) -> Result<()> {
    if target.is_encapsulated() {
        out.write_all(&item(bytes.len() + bytes.len() % 2)?)?;
    }
    out.write_all(bytes)?;
    if target.is_encapsulated() && bytes.len() % 2 == 1 {
        out.write_all(&[0])?;
    }
    Ok(())
}

fn end(target: TransferSyntax, total: u64, out: &mut (dyn Write + Send)) -> Result<()> {
    if target.is_encapsulated() {
        out.write_all(&[0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])?;
    } else if total % 2 == 1 {
        out.write_all(&[0])?;
    }
    Ok(())
}
