//! Reading values as what they mean.

use super::{DataSet, Element, Value};
use crate::dictionary::{Tag, is_single_text, is_text, uses_character_set};
use crate::uid::Uid;
use crate::{DatasetError, PersonName};

impl DataSet {
    /// Value bytes; `None` when absent, a sequence, or not kept.
    pub fn raw(&self, tag: Tag) -> Option<&[u8]> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Items of a sequence; empty when absent or no sequence.
    pub fn sequence(&self, tag: Tag) -> &[DataSet] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// All values of a text attribute, decoded, padding taken off. Empty when absent or empty.
    pub fn texts(&self, tag: Tag) -> Vec<String> {
        self.get(tag)
            .map(|element| self.texts_of(element))
            .unwrap_or_default()
    }

    /// The first value of a text attribute; `None` when absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.texts(tag).into_iter().next().filter(|text| !text.is_empty())
    }

    /// All values of an element of this data set as text.
    pub fn texts_of(&self, element: &Element) -> Vec<String> {
        let Value::Bytes(bytes) = &element.value else {
            return Vec::new();
        };
        if bytes.is_empty() || !is_text(element.vr) && !maybe_text(bytes) {
            return Vec::new();
        }
        let decoded = if uses_character_set(element.vr) {
            self.charset().decode(bytes, element.vr).text
        } else {
            plain(bytes)
        };
        if is_single_text(element.vr) {
            let text = decoded.trim_end_matches([' ', '\0']);
            return if text.is_empty() {
                Vec::new()
            } else {
                vec![text.to_owned()]
            };
        }
        let values: Vec<String> = decoded
            .split('\\')
            .map(|value| value.trim_matches([' ', '\0']).to_owned())
            .collect();
        if values.iter().all(String::is_empty) {
            Vec::new()
        } else {
            values
        }
    }

    /// A person name by groups; `None` when absent or empty.
    pub fn person_name(&self, tag: Tag) -> Option<PersonName> {
        let text = self.text(tag)?;
        Some(PersonName::parse(&text)).filter(|name| !name.is_empty())
    }

    /// The first value as a UID.
    ///
    /// # Errors
    /// [`DatasetError::Identifier`] when it is absent or not a UID.
    pub fn uid(&self, tag: Tag) -> Result<Uid, DatasetError> {
        Uid::parse(&self.text(tag).unwrap_or_default())
    }
}

/// UN values of text attributes (after conversion by a node that knew no dictionary) read as text
/// when they look like it.
fn maybe_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|&b| b >= 0x20 || matches!(b, 0 | b'\t' | b'\r' | b'\n'))
}

/// Text outside the character sets: ASCII by the standard; UTF-8 tolerated, else Latin-1.
fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::mem::decode_latin1(bytes).into_owned(),
    }
}
