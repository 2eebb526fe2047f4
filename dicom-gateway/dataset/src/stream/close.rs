//! Ending values, items and sequences, and putting them in their place.

use std::sync::Arc;

use super::core::{Core, Open};
use super::header::Coding;
use crate::charset::CharacterSets;
use crate::dictionary::{Tag, Vr, tags, unit_bytes, vr_of};
use crate::object::{DataSet, Element, Sequence, Value};
use crate::{DatasetError, Warning};

impl Core {
    /// Character sets and coding that an item opened now takes over.
    pub(super) fn inherited(&self) -> (Arc<CharacterSets>, Coding) {
        let charset = self
            .stack
            .iter()
            .rev()
            .find_map(|open| match open {
                Open::Item(item) => Some(Arc::clone(item.set.charset_shared())),
                _ => None,
            })
            .unwrap_or_else(CharacterSets::ascii);
        let coding = match self.stack.last() {
            Some(Open::Sequence(sequence)) => sequence.coding,
            _ => Coding::IMPLICIT,
        };
        (charset, coding)
    }

    /// Stores a value that was read whole.
    pub(super) fn keep(&mut self, tag: Tag, vr: Vr, mut bytes: Vec<u8>) {
        let coding = match self.stack.last() {
            Some(Open::Item(item)) => item.coding,
            _ => Coding::IMPLICIT,
        };
        if coding.big_endian
            && let Some(unit) = unit_bytes(vr)
        {
            bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        if tag == tags::SPECIFIC_CHARACTER_SET
            && let Some(Open::Item(item)) = self.stack.last_mut()
        {
            item.set
                .set_charset_shared(Arc::new(CharacterSets::from_bytes(&bytes)));
        }
        let value = self.value_of(tag, vr, bytes);
        let vr = if matches!(value, Value::Items(_)) {
            Vr::SQ
        } else {
            vr
        };
        self.store(Element { tag, vr, value });
    }

    /// The value as it came, or the sequence that was sent as UN (PS3.5 6.2.2: implicit VR little
    /// endian). The inner parser cannot meet another one: it has no explicit VR.
    fn value_of(&mut self, tag: Tag, vr: Vr, bytes: Vec<u8>) -> Value {
        let hidden = vr == Vr::UN && !bytes.is_empty() && vr_of(tag) == Some(Vr::SQ);
        if !hidden {
            return Value::Bytes(bytes.into_boxed_slice());
        }
        let (charset, _) = self.inherited();
        match read_items(&bytes, self, charset) {
            Ok(items) => Value::Items(items.into()),
            Err(_) => {
                self.warn(Warning::UnreadableSequence { tag });
                Value::Bytes(bytes.into_boxed_slice())
            }
        }
    }

    /// Puts an element into the innermost item.
    pub(super) fn store(&mut self, element: Element) {
        let tag = element.tag;
        let mut late = false;
        if let Some(Open::Item(item)) = self.stack.last_mut() {
            let elements = item.set.elements_mut();
            late = elements.last().is_some_and(|last| last.tag >= tag);
            item.sorted &= !late;
            elements.push(element);
        }
        if late {
            self.warn(Warning::OutOfOrder { tag });
        }
    }

    /// Brings the elements of the innermost item in order, each tag once.
    pub(super) fn sort_top(&mut self) {
        let mut duplicate = None;
        if let Some(Open::Item(item)) = self.stack.last_mut()
            && !item.sorted
        {
            let elements = item.set.elements_mut();
            elements.sort_by_key(|element| element.tag);
            elements.dedup_by(|later, first| {
                let same = later.tag == first.tag;
                if same {
                    duplicate = Some(first.tag);
                }
                same
            });
            item.sorted = true;
        }
        if let Some(tag) = duplicate {
            self.warn(Warning::Duplicate { tag });
        }
    }

    /// Closes every level of defined length that ends here.
    pub(super) fn close_ended(&mut self) -> Result<(), DatasetError> {
        loop {
            match self.stack.last() {
                Some(Open::Item(item)) if item.end.is_some_and(|end| self.at(end)) => self.close_item()?,
                Some(Open::Sequence(sequence)) if sequence.end.is_some_and(|end| self.at(end)) => {
                    self.close_sequence()?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// A level that ends at `end` is over: nothing of a value is outstanding.
    fn at(&self, end: u64) -> bool {
        self.idle() && self.position() >= end
    }

    pub(super) fn close_item(&mut self) -> Result<(), DatasetError> {
        self.sort_top();
        if self.stack.len() > 1
            && let Some(Open::Item(item)) = self.stack.pop()
            && item.keep
            && let Some(Open::Sequence(sequence)) = self.stack.last_mut()
        {
            let mut set = item.set;
            set.elements_mut().shrink_to_fit();
            sequence.items.push(set);
        }
        Ok(())
    }

    pub(super) fn close_sequence(&mut self) -> Result<(), DatasetError> {
        if let Some(Open::Sequence(sequence)) = self.stack.pop() {
            self.sequence_closed();
            if self.budget(0) {
                let value = Value::Items(Sequence::from(sequence.items));
                self.store(Element {
                    tag: sequence.tag,
                    vr: Vr::SQ,
                    value,
                });
            }
        }
        Ok(())
    }

    pub(super) fn close_fragments(&mut self) -> Result<(), DatasetError> {
        if let Some(Open::Fragments(fragments)) = self.stack.pop() {
            if fragments.dropped > 0 {
                self.warn(Warning::FragmentsNotRetained {
                    fragments: fragments.dropped,
                });
            }
            let length = self.position() - fragments.start;
            let value = Value::External {
                offset: fragments.start,
                length,
                encapsulated: true,
            };
            self.store(Element {
                tag: fragments.tag,
                vr: fragments.vr,
                value,
            });
            if let Some(info) = fragments.info {
                self.pixel_data.get_or_insert(info);
            }
        }
        Ok(())
    }
}

/// Items of a sequence whose bytes are in memory.
fn read_items(bytes: &[u8], outer: &Core, charset: Arc<CharacterSets>) -> Result<Vec<DataSet>, DatasetError> {
    let mut inner = Core::for_items(
        outer.depth_left(),
        outer.limits.clone(),
        charset,
        bytes.len() as u64,
    );
    inner.feed(bytes)?;
    inner.end()?;
    let (root, _, _) = inner.into_parts();
    let items = root.elements().first().map(|element| element.value.clone());
    match items {
        Some(Value::Items(items)) => Ok(items.into_items()),
        _ => Err(DatasetError::Refused),
    }
}
