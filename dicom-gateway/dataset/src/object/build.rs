//! Putting values in.

use std::sync::Arc;

use super::{DataSet, Element, Sequence, Value};
use crate::charset::CharacterSets;
use crate::dictionary::{Tag, Vr, is_text, tags, uses_character_set};

impl DataSet {
    /// An empty data set whose text is in `charset`, with (0008,0005) saying so.
    pub fn with_charset(charset: CharacterSets) -> Self {
        let mut set = Self::new();
        set.declare_charset(charset);
        set
    }

    /// Sets the character sets for what is put in from now on and writes (0008,0005). Text that is
    /// in already is not changed.
    pub fn declare_charset(&mut self, charset: CharacterSets) {
        let term = charset.to_dicom();
        if term.is_empty() {
            self.remove(tags::SPECIFIC_CHARACTER_SET);
        } else {
            self.put_bytes(
                tags::SPECIFIC_CHARACTER_SET,
                Vr::CS,
                padded(term.into_bytes(), b' '),
            );
        }
        self.set_charset_shared(Arc::new(charset));
    }

    /// Puts an element in its place; one with the same tag is replaced.
    pub fn put(&mut self, element: Element) {
        let elements = self.elements_mut();
        match elements.binary_search_by_key(&element.tag, |e| e.tag) {
            Ok(at) => {
                if let Some(old) = elements.get_mut(at) {
                    *old = element;
                }
            }
            Err(at) => elements.insert(at, element),
        }
    }

    /// Takes an element out.
    pub fn remove(&mut self, tag: Tag) -> Option<Element> {
        let elements = self.elements_mut();
        let at = elements.binary_search_by_key(&tag, |e| e.tag).ok()?;
        Some(elements.remove(at))
    }

    /// Puts value bytes as they are; the caller answers for VR, order and padding.
    pub fn put_bytes(&mut self, tag: Tag, vr: Vr, bytes: impl Into<Box<[u8]>>) {
        self.put(Element {
            tag,
            vr,
            value: Value::Bytes(bytes.into()),
        });
    }

    /// Puts text in the data set's character set and pads it. Several values are joined with a
    /// backslash by the caller. Characters the set lacks become `?` (ask
    /// [`CharacterSets::encode`] first where that matters).
    pub fn put_text(&mut self, tag: Tag, vr: Vr, text: &str) {
        debug_assert!(is_text(vr), "{vr:?} holds no text");
        let bytes = if uses_character_set(vr) {
            self.charset().encode_lossy(text)
        } else {
            text.chars()
                .map(|c| if c.is_ascii() { c as u8 } else { b'?' })
                .collect()
        };
        let padding = if vr == Vr::UI { 0 } else { b' ' };
        self.put_bytes(tag, vr, padded(bytes, padding));
    }

    /// Puts a UID.
    pub fn put_uid(&mut self, tag: Tag, uid: impl AsRef<str>) {
        self.put_text(tag, Vr::UI, uid.as_ref());
    }

    /// Puts one US value.
    pub fn put_u16(&mut self, tag: Tag, value: u16) {
        self.put_bytes(tag, Vr::US, value.to_le_bytes().to_vec());
    }

    /// Puts one UL value.
    pub fn put_u32(&mut self, tag: Tag, value: u32) {
        self.put_bytes(tag, Vr::UL, value.to_le_bytes().to_vec());
    }

    /// Puts FD values.
    pub fn put_f64s(&mut self, tag: Tag, values: &[f64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.put_bytes(tag, Vr::FD, bytes);
    }

    /// Puts a sequence. Items without their own (0008,0005) are read in this data set's
    /// character set, so build them with the same.
    pub fn put_sequence(&mut self, tag: Tag, items: Vec<DataSet>) {
        self.put(Element {
            tag,
            vr: Vr::SQ,
            value: Value::Items(Sequence::from(items)),
        });
    }

    /// Puts an empty value (a return key of a query, a type 2 attribute).
    pub fn put_empty(&mut self, tag: Tag, vr: Vr) {
        let value = if vr == Vr::SQ {
            Value::Items(Sequence::from(Vec::new()))
        } else {
            Value::Bytes(Box::default())
        };
        self.put(Element { tag, vr, value });
    }
}

pub(crate) fn padded(mut bytes: Vec<u8>, padding: u8) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(padding);
    }
    bytes
}
