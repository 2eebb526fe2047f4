//! One stored object as the engine sees it.

use crate::error::Result;
use archive::store::{ObjectKey, ObjectStore};
use archive::study::Instance;
use dataset::uid::TransferSyntaxUid;
use dataset::{Encoding, Limits, Parsed, PixelDataInfo, Tokenizer};
use engine::codec::frame::FRAME_BYTES_MAX;
use engine::codec::{Fragments, FrameBytes, FrameMap, StoredPixels, TransferSyntax, decode, deflated};
use engine::error::ImagingError;
use engine::pixel::{ImageDescription, Picture, thumbnail_of};
use std::borrow::Cow;
use std::io::{BufReader, Seek as _, SeekFrom};

/// Largest object that is read into memory as a whole (signals and deflated pictures).
pub(crate) const WHOLE_BYTES_MAX: u64 = 512 << 20;
/// Largest head of an object, before its pixels.
const HEAD_BYTES_MAX: u64 = 64 << 20;
/// First bytes of a fragment that tell whether a stream starts in it.
const PEEK_BYTES: u64 = 16;

/// Memory of a picture beside its samples: attributes, averages, output.
const PICTURE_OVERHEAD_BYTES: u64 = 8 << 20;
/// A frame stands in memory as stored and as decoded, and once more while it is put together.
const FRAME_COPIES: u64 = 3;

/// Memory to decode one frame, by what the index knows of it. The engine refuses frames above its own limit before
/// it takes memory, so the word of a header counts up to there only.
pub(crate) fn frame_memory_bytes(instance: &Instance) -> u64 {
    let side = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0).min(1 << 16);
    // Colour has three samples a pixel; a grey picture is guarded a little too well.
    let samples = side(instance.rows) * side(instance.columns) * 3;
    let frame = samples.saturating_mul(side(instance.bits_allocated).div_ceil(8).max(1));
    frame.min(FRAME_BYTES_MAX) * FRAME_COPIES + PICTURE_OVERHEAD_BYTES
}

/// Where an object is and how it is written.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) sop_instance_uid: String,
    key: ObjectKey,
    meta_bytes: u64,
    size_bytes: u64,
    syntax: String,
}

impl Source {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            sop_instance_uid: instance.sop_instance_uid.clone(),
            key: instance.object_key.clone(),
            meta_bytes: instance.digests.meta_bytes,
            size_bytes: instance.size_bytes,
            syntax: instance.transfer_syntax_uid.clone(),
        }
    }

    /// Bytes of the file.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes before the data set.
    pub(crate) fn meta_bytes(&self) -> u64 {
        self.meta_bytes
    }

    /// Where it is kept.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// How it is written.
    pub(crate) fn uid(&self) -> Result<TransferSyntaxUid> {
        Ok(TransferSyntaxUid::parse(&self.syntax)?)
    }

    /// Reads and parses the whole data set.
    pub(crate) fn parse_whole(&self, store: &ObjectStore) -> Result<Parsed> {
        let length = self.size_bytes.saturating_sub(self.meta_bytes);
        if length > WHOLE_BYTES_MAX {
            let limit_bytes = WHOLE_BYTES_MAX;
            return Err(ImagingError::TooLarge {
                needed_bytes: length,
                limit_bytes,
            }
            .into());
        }
        let bytes = store.read_range(&self.key, self.meta_bytes, length)?;
        Ok(dataset::stream::parse(
            &bytes,
            &self.uid()?,
            Limits::of_object(&self.uid()?),
        )?)
    }

    /// Parses what stands before the pixels; `info` from the index says where they begin.
    fn parse_head(&self, store: &ObjectStore, info: &PixelDataInfo) -> Result<Parsed> {
        let length = info.offset.min(HEAD_BYTES_MAX);
        let bytes = store.read_range(&self.key, self.meta_bytes, length)?;
        let mut tokenizer = Tokenizer::new(&self.uid()?, Limits::in_memory());
        tokenizer.feed(&bytes)?;
        // It ends inside the header of Pixel Data: partial by intent.
        Ok(tokenizer.finish_partial())
    }

    /// A piece of what a deflated object inflates to; no more is held than is asked for.
    fn inflated(&self, store: &ObjectStore, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut object = store.open_object(&self.key)?;
        object
            .seek(SeekFrom::Start(self.meta_bytes))
            .map_err(|error| ImagingError::Damaged {
                codec: "Deflated Explicit VR Little Endian",
                why: error.to_string(),
            })?;
        Ok(deflated::inflate_range(BufReader::new(object), offset, length)?)
    }
}

/// A picture that can be decoded frame by frame.
pub(crate) struct Image {
    source: Source,
    /// What the engine needs to show it.
    pub(crate) description: ImageDescription,
    syntax: TransferSyntax,
    map: FrameMap,
    words: bool,
    deflated: bool,
}

impl Image {
    /// Opens a picture; `info` is what the index knows of its pixel data.
    pub(crate) fn open(store: &ObjectStore, source: Source, info: &PixelDataInfo) -> Result<Self> {
        let unknown = || ImagingError::TransferSyntax(source.syntax.clone());
        let syntax = TransferSyntax::from_uid(&source.syntax).ok_or_else(unknown)?;
        let deflated = source.uid()?.kind() == Encoding::Deflated;
        let parsed = if deflated {
            source.parse_whole(store)?
        } else {
            source.parse_head(store, info)?
        };
        let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
        let description = ImageDescription::from_lookup(&lookup)?;
        let start = if deflated { 0 } else { source.meta_bytes };
        let at = |offset: u64| offset.saturating_add(start);
        let map = if info.encapsulated {
            let parts = Fragments::at(
                start,
                &info.fragments,
                &info.basic_offset_table,
                &info.extended_offset_table,
            );
            let mut peek = |at: u64| store.read_range(&source.key, at, PEEK_BYTES).ok();
            FrameMap::encapsulated(&description.frame, syntax, parts, &mut peek)?
        } else {
            FrameMap::native(
                &description.frame,
                syntax,
                at(info.offset),
                info.length.unwrap_or(0),
            )?
        };
        Ok(Self {
            source,
            description,
            syntax,
            map,
            words: info.words,
            deflated,
        })
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> u64 {
        self.map.frames()
    }

    /// Whether every frame's bytes are there.
    pub(crate) fn check_complete(&self) -> Result<()> {
        Ok(self.map.check_complete()?)
    }

    /// Decodes frame `index` (from 0).
    pub(crate) fn decode(&self, store: &ObjectStore, index: u64) -> Result<StoredPixels> {
        self.with_frame(store, index, |input| {
            decode(&self.description.frame, self.syntax, input)
        })
    }

    /// A picture of frame `index` (from 0) whose longest side is `size`; no more is decoded than it needs.
    pub(crate) fn thumbnail(&self, store: &ObjectStore, index: u64, size: u32) -> Result<Picture> {
        self.with_frame(store, index, |input| {
            thumbnail_of(&self.description, self.syntax, input, index, size)
        })
    }

    fn with_frame<T>(
        &self,
        store: &ObjectStore,
        index: u64,
        work: impl FnOnce(FrameBytes<'_>) -> Result<T, ImagingError>,
    ) -> Result<T> {
        let location = self.map.locate(index)?;
        let mut bytes = Vec::new();
        for (offset, length) in &location.ranges {
            if self.deflated {
                bytes.extend_from_slice(&self.source.inflated(store, *offset, *length)?);
            } else {
                bytes.extend_from_slice(&store.read_range(&self.source.key, *offset, *length)?);
            }
        }
        Ok(work(FrameBytes {
            bytes: &bytes,
            skip_bits: location.skip_bits,
            words: self.words,
        })?)
    }
}
