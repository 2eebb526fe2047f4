//! A waveform object that is read in place: its attributes in memory, its samples in the store.

use crate::error::Result;
use crate::object::Source;
use archive::store::{ObjectKey, ObjectStore};
use dataset::{DataSet, Encoding, Limits, Parsed, Tokenizer, Value, tags};
use engine::ecg::formats::dicom::stream::{self, Length};
use engine::ecg::formats::stream::{Ranges, Stream};
use std::borrow::Cow;
use std::ops::Range;

/// Bytes fed to the tokenizer at once.
const FED_BYTES: u64 = 1 << 20;
/// Longest value kept: waveform data stay where they are.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// An object and its attributes.
pub(crate) struct Waveform<'s> {
    store: &'s ObjectStore,
    source: &'s Source,
    parsed: Parsed,
}

impl<'s> Waveform<'s> {
    /// Reads the attributes.
    pub(crate) fn open(store: &'s ObjectStore, source: &'s Source) -> Result<Self> {
        let limits = Limits {
            retain_value_bytes: VALUE_BYTES_MAX,
            ..Limits::default()
        };
        let mut tokenizer = Tokenizer::new(&source.uid()?, limits);
        let mut at = source.meta_bytes();
        while at < source.size_bytes() {
            let length = FED_BYTES.min(source.size_bytes() - at);
            tokenizer.feed(&store.read_range(source.key(), at, length)?)?;
            at += length;
        }
        Ok(Self {
            store,
            source,
            parsed: tokenizer.finish()?,
        })
    }

    /// How long the recording is, by its attributes.
    pub(crate) fn length(&self) -> Result<Option<Length>> {
        let set = &self.parsed.data_set;
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        Ok(stream::length(&lookup)?)
    }

    /// The samples from their begin; `None` where they cannot be read in place.
    pub(crate) fn stream(&self) -> Result<Option<Stream>> {
        let in_place = matches!(
            self.source.uid()?.kind(),
            Encoding::ImplicitLe | Encoding::ExplicitLe
        );
        if !in_place {
            return Ok(None);
        }
        let set = &self.parsed.data_set;
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        let start = self.source.meta_bytes();
        let place = |number: usize| samples(set, number, start);
        let ranges = InStore {
            store: self.store.clone(),
            key: self.source.key().clone(),
            size: self.source.size_bytes(),
        };
        Ok(stream::open(&lookup, &place, Box::new(ranges))?)
    }
}

/// Where the samples of a multiplex group stand in the object.
fn samples(set: &DataSet, number: usize, start: u64) -> Option<Range<u64>> {
    let group = set.sequence(tags::WAVEFORM_SEQUENCE).get(number)?;
    match group.get(tags::WAVEFORM_DATA)?.value {
        Value::External {
            offset,
            length,
            encapsulated: false,
        } => Some(start + offset..start + offset + length),
        _ => None,
    }
}

struct InStore {
    store: ObjectStore,
    key: ObjectKey,
    size: u64,
}

impl Ranges for InStore {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, length: usize) -> std::result::Result<Vec<u8>, String> {
        self.store
            .read_range(&self.key, at, length as u64)
            .map_err(|error| error.to_string())
    }
}
