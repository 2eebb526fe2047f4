//! A DICOM image file: its attributes in memory, its pixels read frame by frame.

use crate::gpu::{self, Device};
use anyhow::{Context, Result, bail};
use dataset::{DataSet, Limits, PixelDataInfo, Tokenizer, TransferSyntaxUid, Vr, Warning};
use dicom_gateway::ReadSeek;
use engine::ImagingError;
use engine::codec::{self, Compression, Fragments, FrameBytes, FrameMap, StoredPixels, TransferSyntax};
use engine::pixel::{GreySteps, ImageDescription, Note, Overlay, Picture, Presentation, RenderOptions};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

const CHUNK_BYTES: usize = 1 << 20;
const HEADER_BYTES_MAX: usize = 4 << 20;
/// One frame as it stands in the file.
const ENCODED_BYTES_MAX: u64 = 512 << 20;
const PEEK_BYTES: usize = 16;

/// Where the bytes are.
pub(crate) enum Bytes {
    File(Box<dyn ReadSeek>),
    Memory(Arc<[u8]>),
    /// What a deflated data set inflates to; its place in the packed bytes is the second field.
    Inflated(Box<Bytes>, u64),
}

impl Bytes {
    pub(crate) fn read_at(&mut self, offset: u64, length: usize) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                let mut out = Vec::new();
                file.by_ref().take(length as u64).read_to_end(&mut out)?;
                Ok(Cow::Owned(out))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(length).min(bytes.len());
                Ok(Cow::Borrowed(bytes.get(start..end).unwrap_or_default()))
            }
            // what stands before is passed over, so no more is held than is asked for
            Self::Inflated(packed, start) => {
                let length = length as u64;
                let plain = match packed.as_mut() {
                    Self::File(file) => {
                        file.seek(SeekFrom::Start(*start))?;
                        codec::deflated::inflate_range(BufReader::new(file), offset, length)?
                    }
                    Self::Memory(all) => {
                        let rest = all.get(usize::try_from(*start)?..).unwrap_or_default();
                        codec::deflated::inflate_range(rest, offset, length)?
                    }
                    Self::Inflated(..) => bail!("a data set is deflated once"),
                };
                Ok(Cow::Owned(plain))
            }
        }
    }
}

/// An opened image.
pub(crate) struct ImageFile {
    bytes: Bytes,
    pub(crate) data_set: DataSet,
    pub(crate) image: ImageDescription,
    pub(super) syntax: TransferSyntax,
    pub(crate) map: FrameMap,
    pub(super) warnings: Vec<String>,
    words: bool,
}

impl ImageFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::read(Bytes::File(Box::new(
            File::open(path).context("cannot be opened")?,
        )))
    }

    /// Reads attributes and the places of the frames.
    pub(crate) fn read(mut bytes: Bytes) -> Result<Self> {
        let head = dataset::file::read_header(&bytes.read_at(0, CHUNK_BYTES)?);
        let header = match head {
            Err(dataset::DatasetError::Incomplete { given }) if given == CHUNK_BYTES => {
                dataset::file::read_header(&bytes.read_at(0, HEADER_BYTES_MAX)?)?
            }
            other => other?,
        };
        let start = header.dataset_offset as u64;
        let uid = header.transfer_syntax.as_str();
        let (data_set, info, warnings, explicit) = parse(&mut bytes, start, &header.transfer_syntax)?;
        let Some(info) = info else {
            let kind = data_set
                .text(dataset::tags::MODALITY)
                .unwrap_or_else(|| "unknown".into());
            bail!("no pixel data: this object (modality {kind}) is not an image");
        };
        let syntax = TransferSyntax::from_uid(uid).with_context(|| {
            format!("transfer syntax {uid} holds no still image that this program can decode")
        })?;
        let image = describe(&data_set)?;
        let deflated = syntax.uid() == "1.2.840.10008.1.2.1.99";
        let offset = if deflated { 0 } else { start };
        if deflated {
            bytes = Bytes::Inflated(Box::new(bytes), start);
        }
        let map = map(&mut bytes, &image, syntax, &info, offset)?;
        Ok(Self {
            bytes,
            data_set,
            image,
            syntax,
            map,
            warnings,
            words: explicit && info.words,
        })
    }

    /// The stored values of a frame, counted from 0.
    pub(crate) fn decode(&mut self, index: u64) -> Result<StoredPixels> {
        self.with_frame(index, |image, syntax, input| {
            codec::decode(&image.frame, syntax, input)
        })
    }

    /// Reads a frame as it stands in the file and works on it.
    fn with_frame<T>(
        &mut self,
        index: u64,
        work: impl FnOnce(&ImageDescription, TransferSyntax, FrameBytes<'_>) -> Result<T, ImagingError>,
    ) -> Result<T> {
        let place = self.map.locate(index)?;
        if place.bytes() > ENCODED_BYTES_MAX {
            bail!(
                "frame {} has {} bytes, the limit is {ENCODED_BYTES_MAX}",
                index + 1,
                place.bytes()
            );
        }
        let bytes = match place.ranges.as_slice() {
            [(offset, length)] => self.bytes.read_at(*offset, *length as usize)?,
            ranges => {
                let mut all = Vec::new();
                for (offset, length) in ranges {
                    all.extend_from_slice(&self.bytes.read_at(*offset, *length as usize)?);
                }
                Cow::Owned(all)
            }
        };
        let input = FrameBytes {
            bytes: &bytes,
            skip_bits: place.skip_bits,
            words: self.words,
        };
        work(&self.image, self.syntax, input).with_context(|| format!("frame {}", index + 1))
    }

    /// Where the resolutions of a frame end in its stream, lowest first, if its header says it.
    pub(super) fn resolutions(&mut self, index: u64) -> Option<Vec<usize>> {
        let read = self.with_frame(index, |_, syntax, input| {
            let wavelets = syntax.compression() == Some(Compression::Jpeg2000);
            Ok(wavelets.then(|| codec::htj2k::resolutions(input.bytes)).flatten())
        });
        read.ok().flatten()
    }

    /// A frame's picture as a presentation state, the data set `state`, says, and the texts on it, which are not yet
    /// written.
    pub(super) fn present(
        &mut self,
        options: &RenderOptions,
        state: &DataSet,
    ) -> Result<(Picture, Vec<(String, Note)>)> {
        self.take_embedded(options.frame)?;
        let pixels = self.decode(options.frame)?;
        let uid = self
            .data_set
            .text(dataset::tags::SOP_INSTANCE_UID)
            .unwrap_or_default();
        let lookup = |path: &[(u32, usize)], tag: u32| state.raw_at(path, tag).map(Cow::Borrowed);
        let presentation = Presentation::from_lookup(&lookup, &self.image, &uid)?;
        let picture = engine::pixel::present(&self.image, &pixels, &presentation, options)?;
        let notes = presentation.notes(&self.image, options.frame, &picture);
        let text = |note: &Note| state.charset().decode(&note.raw, Vr::ST).text;
        let notes = notes.into_iter().map(|note| (text(&note), note)).collect();
        Ok((picture, notes))
    }

    /// Fills in overlay planes that stand in the pixel data of a frame.
    fn take_embedded(&mut self, index: u64) -> Result<()> {
        self.image.overlays = self.with_frame(index, |image, syntax, input| {
            Overlay::take_embedded(&image.overlays, &image.frame, syntax, input)
        })?;
        Ok(())
    }

    /// A frame's picture, on `device` where its steps allow.
    pub(super) fn render(&mut self, options: &RenderOptions, device: Option<&Device>) -> Result<Picture> {
        if options.overlays {
            self.take_embedded(options.frame)?;
        }
        let pixels = self.decode(options.frame)?;
        let on_device = device.and_then(|device| {
            let steps = GreySteps::of(&self.image, &pixels, options)?;
            device.window(&pixels.data, &steps)
        });
        let on_device = on_device.map(|grey| {
            Ok(engine::pixel::render_shaded(
                &self.image,
                &pixels,
                options,
                grey?,
            )?)
        });
        gpu::or_cpu(on_device, || {
            Ok(engine::pixel::render(&self.image, &pixels, options)?)
        })
    }

    /// A thumbnail of a frame, counted from 0, whose stored values are averaged on `device`.
    pub(super) fn thumbnail_on(&mut self, index: u64, size: u32, device: &Device) -> Result<Picture> {
        let mut failed = None;
        let picture = self.with_frame(index, |image, syntax, input| {
            let reduction = engine::pixel::reduction(&image.frame, size);
            let pixels = codec::decode_reduced(&image.frame, syntax, input, reduction)?;
            engine::pixel::thumbnail_by(image, &pixels, index, size, |grid, to| {
                device
                    .area_average(&pixels.data, grid, to)?
                    .map_err(|error| failed = Some(error))
                    .ok()
            })
        })?;
        let on_device = match failed {
            Some(error) => Err(error),
            None => Ok(picture),
        };
        gpu::or_cpu(Some(on_device), || self.thumbnail(index, size))
    }

    /// A thumbnail of a frame, counted from 0.
    pub(super) fn thumbnail(&mut self, index: u64, size: u32) -> Result<Picture> {
        self.with_frame(index, |image, syntax, input| {
            engine::pixel::thumbnail_of(image, syntax, input, index, size)
        })
    }
}

/// The attributes of a DICOM file that need not be an image.
pub(super) fn data_set(path: &Path) -> Result<DataSet> {
    let file = File::open(path).context("cannot be opened")?;
    let mut bytes = Bytes::File(Box::new(file));
    let header = dataset::file::read_header(&bytes.read_at(0, CHUNK_BYTES)?)?;
    let start = header.dataset_offset as u64;
    Ok(parse(&mut bytes, start, &header.transfer_syntax)?.0)
}

pub(crate) type Head = (DataSet, Option<PixelDataInfo>, Vec<String>, bool);

/// Tokenises the data set. An object that breaks behind its pixel data is still an image.
pub(crate) fn parse(bytes: &mut Bytes, start: u64, syntax: &TransferSyntaxUid) -> Result<Head> {
    let known = Limits::of_object(syntax);
    let limits = Limits {
        retain_value_bytes: known.retain_value_bytes.min(64 << 20),
        retain_total_bytes: known.retain_total_bytes.min(256 << 20),
        retain_elements: known.retain_elements.min(2_000_000),
        ..known
    };
    let mut tokenizer = Tokenizer::new(syntax, limits);
    let mut at = start;
    let mut fault = None;
    loop {
        let chunk = bytes.read_at(at, CHUNK_BYTES)?;
        if chunk.is_empty() {
            break;
        }
        at += chunk.len() as u64;
        if let Err(e) = tokenizer.feed(&chunk) {
            fault = Some(e);
            break;
        }
    }
    let end = tokenizer.position();
    let parsed = match fault {
        None => tokenizer.finish()?,
        Some(fault) => {
            let parsed = tokenizer.finish_partial();
            let native_end = parsed
                .pixel_data
                .as_ref()
                .and_then(|p| p.offset.checked_add(p.length?));
            if native_end.is_none_or(|e| e > end) {
                return Err(fault.into());
            }
            parsed
        }
    };
    let cut = |w: &Warning| matches!((w, &parsed.pixel_data), (Warning::MissingDelimiter { offset }, Some(p)) if *offset > p.offset && p.length.is_none());
    if parsed.warnings.iter().any(cut) {
        bail!("the file ends inside its pixel data: it was cut off, send it again");
    }
    let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
    Ok((parsed.data_set, parsed.pixel_data, warnings, parsed.explicit_vr))
}

fn describe(data_set: &DataSet) -> Result<ImageDescription> {
    let lookup = |path: &[(u32, usize)], tag: u32| data_set.raw_at(path, tag).map(Cow::Borrowed);
    Ok(ImageDescription::from_lookup(&lookup)?)
}

/// Where the frames are. `start` is the data set's place in `bytes`.
fn map(
    bytes: &mut Bytes,
    image: &ImageDescription,
    syntax: TransferSyntax,
    info: &PixelDataInfo,
    start: u64,
) -> Result<FrameMap> {
    let frame = &image.frame;
    if !info.encapsulated {
        if syntax.is_encapsulated() {
            bail!(
                "transfer syntax {} needs pixel data in fragments, these are not: the header is wrong",
                syntax.name()
            );
        }
        let length = info.length.context("the pixel data has no length")?;
        return Ok(FrameMap::native(frame, syntax, start + info.offset, length)?);
    }
    if !syntax.is_encapsulated() {
        bail!(
            "transfer syntax {} cannot have pixel data in fragments: the header is wrong",
            syntax.name()
        );
    }
    let parts = Fragments::at(
        start,
        &info.fragments,
        &info.basic_offset_table,
        &info.extended_offset_table,
    );
    let mut peek = |offset: u64| bytes.read_at(offset, PEEK_BYTES).ok().map(Cow::into_owned);
    Ok(FrameMap::encapsulated(frame, syntax, parts, &mut peek)?)
}
