//! The data set as an ordered map of elements, values always in little-endian order.

mod access;
mod build;
pub(crate) use build::padded;
pub(crate) mod numbers;

use std::sync::Arc;

use crate::charset::CharacterSets;
use crate::dictionary::{Tag, Vr, tag_from_u32};

/// One attribute with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its tag.
    pub tag: Tag,
    /// Its value representation, from the bytes or from the dictionary.
    pub vr: Vr,
    /// Its value.
    pub value: Value,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The bytes as sent, padding included; binary numbers are turned to little endian.
    Bytes(Box<[u8]>),
    /// A sequence of items.
    Items(Sequence),
    /// A value that was not kept, and where it is.
    External {
        /// Byte offset of the value in the data set (after inflation).
        offset: u64,
        /// Bytes of the value; of encapsulated data from the first item header to the end of the
        /// sequence delimiter.
        length: u64,
        /// Held in fragments.
        encapsulated: bool,
    },
}

impl Value {
    /// Bytes of the value as sent: of a sequence 0.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Items(_) => 0,
            Self::External { length, .. } => *length,
        }
    }
}

/// The items of a sequence; dereferences to a slice of data sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence(Box<SequenceBody>);

#[derive(Debug, Clone, PartialEq)]
struct SequenceBody {
    items: Vec<DataSet>,
    count_le: [u8; 4],
}

impl Sequence {
    /// Items of the sequence for writing.
    pub fn into_items(self) -> Vec<DataSet> {
        self.0.items
    }

    /// Number of items as four little-endian bytes, the form in which [`DataSet::raw_at`] tells
    /// it.
    pub fn count_le(&self) -> &[u8; 4] {
        &self.0.count_le
    }

    pub(crate) fn items_mut(&mut self) -> &mut [DataSet] {
        &mut self.0.items
    }
}

impl From<Vec<DataSet>> for Sequence {
    fn from(items: Vec<DataSet>) -> Self {
        let count_le = u32::try_from(items.len()).unwrap_or(u32::MAX).to_le_bytes();
        Self(Box::new(SequenceBody { items, count_le }))
    }
}

impl std::ops::Deref for Sequence {
    type Target = [DataSet];
    fn deref(&self) -> &[DataSet] {
        &self.0.items
    }
}

impl<'a> IntoIterator for &'a Sequence {
    type Item = &'a DataSet;
    type IntoIter = std::slice::Iter<'a, DataSet>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A DICOM data set: elements in ascending order of their tags, each tag once.
#[derive(Debug, Clone)]
pub struct DataSet {
    elements: Vec<Element>,
    charset: Arc<CharacterSets>,
}

impl Default for DataSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for DataSet {
    fn eq(&self, other: &Self) -> bool {
        self.elements == other.elements
    }
}

impl DataSet {
    /// An empty data set in the default character set (ASCII).
    pub fn new() -> Self {
        Self {
            elements: Vec::new(),
            charset: CharacterSets::ascii(),
        }
    }

    pub(crate) fn inheriting(charset: Arc<CharacterSets>) -> Self {
        Self {
            elements: Vec::new(),
            charset,
        }
    }

    /// Elements in ascending order of tags.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Has no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element of a tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        let at = self
            .elements
            .binary_search_by_key(&tag, |element| element.tag)
            .ok()?;
        self.elements.get(at)
    }

    /// The tag is there, whatever its value.
    pub fn contains(&self, tag: Tag) -> bool {
        self.get(tag).is_some()
    }

    /// The character sets in which its text is read and written.
    pub fn charset(&self) -> &CharacterSets {
        &self.charset
    }

    pub(crate) fn charset_shared(&self) -> &Arc<CharacterSets> {
        &self.charset
    }

    pub(crate) fn set_charset_shared(&mut self, charset: Arc<CharacterSets>) {
        self.charset = charset;
    }

    pub(crate) fn elements_mut(&mut self) -> &mut Vec<Element> {
        &mut self.elements
    }

    /// Walks `path` of (sequence tag, item index) from here.
    pub fn item_at(&self, path: &[(Tag, usize)]) -> Option<&DataSet> {
        let mut here = self;
        for &(tag, index) in path {
            here = here.sequence(tag).get(index)?;
        }
        Some(here)
    }

    /// Value bytes for readers that do not know this crate: `path` is (sequence tag as
    /// `0xggggeeee`, item index) from the root, then the tag. Binary numbers are little endian
    /// whatever the transfer syntax; a sequence gives its item count as four little-endian bytes;
    /// a value that was not kept gives `None`.
    pub fn raw_at(&self, path: &[(u32, usize)], tag: u32) -> Option<&[u8]> {
        let mut here = self;
        for &(sequence, index) in path {
            here = here.sequence(tag_from_u32(sequence)).get(index)?;
        }
        match &here.get(tag_from_u32(tag))?.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(items) => Some(items.count_le()),
            Value::External { .. } => None,
        }
    }

    /// Number of items of the sequence at `path` and `tag`.
    pub fn item_count_at(&self, path: &[(u32, usize)], tag: u32) -> usize {
        let mut here = self;
        for &(sequence, index) in path {
            match here.sequence(tag_from_u32(sequence)).get(index) {
                Some(item) => here = item,
                None => return 0,
            }
        }
        here.sequence(tag_from_u32(tag)).len()
    }
}
