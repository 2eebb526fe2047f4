//! The state machine.

use std::sync::Arc;

use super::PixelDataInfo;
use super::header::{self, Coding, HEADER_BYTES_MAX, Header, Read};
use super::pixel::{self, Fragments};
use crate::charset::CharacterSets;
use crate::dictionary::{self, ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Tag, Vr, tags};
use crate::object::{DataSet, Element, Value};
use crate::uid::Encoding;
use crate::{DatasetError, Limits, Warning};

/// Memory first asked for a value, whatever its length field claims.
const VALUE_CAPACITY_MAX: usize = 64 << 10;

/// A level of nesting.
pub(super) enum Open {
    /// The root or an item.
    Item(OpenItem),
    /// A sequence between its items.
    Sequence(OpenSequence),
    /// A value in fragments between them.
    Fragments(Box<Fragments>),
}

pub(super) struct OpenItem {
    /// Where a defined length ends.
    pub(super) end: Option<u64>,
    pub(super) set: DataSet,
    pub(super) coding: Coding,
    /// Tags have ascended so far.
    pub(super) sorted: bool,
    /// No element has been read yet.
    pub(super) fresh: bool,
    /// Kept when it closes.
    pub(super) keep: bool,
}

pub(super) struct OpenSequence {
    pub(super) tag: Tag,
    pub(super) end: Option<u64>,
    pub(super) items: Vec<DataSet>,
    pub(super) coding: Coding,
}

/// What is done with the bytes of a value.
enum Target {
    /// Kept as an element.
    Keep { tag: Tag, vr: Vr, bytes: Vec<u8> },
    /// Passed over.
    Skip,
    /// The basic offset table.
    Table(Vec<u8>),
}

enum State {
    Header,
    Value {
        remaining: u64,
        target: Target,
    },
    /// Zero bytes after the last element.
    Zeros,
}

/// What has been kept, of the root or of everything nested.
#[derive(Default)]
struct Kept {
    bytes: u64,
    elements: usize,
    dropped: u64,
}

pub(super) struct Core {
    pub(super) limits: Limits,
    pub(super) stack: Vec<Open>,
    pub(super) pixel_data: Option<PixelDataInfo>,
    position: u64,
    buffer: [u8; HEADER_BYTES_MAX],
    buffered: usize,
    state: State,
    kept: [Kept; 2],
    warnings: Vec<Warning>,
    sequences: usize,
}

impl Core {
    pub(super) fn new(kind: Encoding, limits: Limits) -> Self {
        let coding = match kind {
            Encoding::ImplicitLe => Coding::IMPLICIT,
            Encoding::ExplicitBe => Coding {
                explicit: true,
                big_endian: true,
            },
            _ => Coding {
                explicit: true,
                big_endian: false,
            },
        };
        let root = OpenItem {
            end: None,
            set: DataSet::new(),
            coding,
            sorted: true,
            fresh: true,
            keep: true,
        };
        Self {
            limits,
            stack: vec![Open::Item(root)],
            pixel_data: None,
            position: 0,
            buffer: [0; HEADER_BYTES_MAX],
            buffered: 0,
            state: State::Header,
            kept: Default::default(),
            warnings: Vec::new(),
            sequences: 0,
        }
    }

    /// A parser of the bytes of one sequence: it stands inside that sequence already.
    pub(super) fn for_items(depth: usize, limits: Limits, charset: Arc<CharacterSets>, length: u64) -> Self {
        let mut core = Self::new(
            Encoding::ImplicitLe,
            Limits {
                depth_max: depth,
                ..limits
            },
        );
        core.stack = vec![
            Open::Item(OpenItem {
                end: None,
                set: DataSet::inheriting(charset),
                coding: Coding::IMPLICIT,
                sorted: true,
                fresh: false,
                keep: true,
            }),
            Open::Sequence(OpenSequence {
                tag: ITEM,
                end: Some(length),
                items: Vec::new(),
                coding: Coding::IMPLICIT,
            }),
        ];
        core.sequences = 1;
        core
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Between two elements.
    pub(super) fn idle(&self) -> bool {
        self.buffered == 0 && matches!(self.state, State::Header)
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < self.limits.warnings_max {
            self.warnings.push(warning);
        }
    }

    pub(super) fn seen(&self, tag: Tag) -> Option<&Element> {
        match self.stack.first() {
            Some(Open::Item(root)) => root.set.elements().iter().find(|element| element.tag == tag),
            _ => None,
        }
    }

    pub(super) fn explicit_vr(&self) -> bool {
        matches!(self.stack.first(), Some(Open::Item(root)) if root.coding.explicit)
    }

    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), DatasetError> {
        while !input.is_empty() {
            input = match &mut self.state {
                State::Header => self.take_header(input)?,
                State::Value { .. } => self.take_value(input)?,
                State::Zeros => {
                    if input.iter().any(|&b| b != 0) {
                        return Err(self.unexpected(Tag(0, 0), self.position, "the end of the data set"));
                    }
                    self.position += input.len() as u64;
                    &[]
                }
            };
        }
        Ok(())
    }

    pub(super) fn unexpected(&self, tag: Tag, offset: u64, expected: &'static str) -> DatasetError {
        DatasetError::UnexpectedTag {
            tag,
            offset,
            expected,
        }
    }

    fn take_header<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], DatasetError> {
        let want = if self.buffered < 8 { 8 } else { HEADER_BYTES_MAX };
        let count = (want - self.buffered).min(input.len());
        let (now, rest) = input.split_at(count);
        if let Some(room) = self.buffer.get_mut(self.buffered..self.buffered + count) {
            room.copy_from_slice(now);
        }
        self.buffered += count;
        self.position += count as u64;
        if self.buffered < want {
            return Ok(rest);
        }
        let coding = self.coding_in_force();
        match header::read(&self.buffer, self.buffered, coding) {
            Read::More => {}
            Read::Header(header) => {
                let start = self.position - self.buffered as u64;
                self.buffered = 0;
                self.act(header, start)?;
                self.close_ended()?;
            }
        }
        Ok(rest)
    }

    /// Coding of the level, corrected by its first header where the declaration is wrong.
    fn coding_in_force(&mut self) -> Coding {
        let (mut found, is_root) = (None, self.stack.len() == 1);
        let coding = match self.stack.last_mut() {
            Some(Open::Item(item)) => {
                if item.fresh && !item.coding.big_endian && self.buffer.get(..2) != Some(&[0xfe, 0xff]) {
                    item.fresh = false;
                    match header::looks_explicit(&self.buffer) {
                        Some(explicit) if explicit != item.coding.explicit => {
                            item.coding.explicit = explicit;
                            found = Some(if explicit { "explicit VR" } else { "implicit VR" });
                        }
                        _ => {}
                    }
                }
                item.coding
            }
            Some(Open::Sequence(sequence)) => sequence.coding,
            _ => self.root_coding(),
        };
        if let Some(found) = found
            && is_root
        {
            self.warn(Warning::OtherCoding { found });
        }
        coding
    }

    fn root_coding(&self) -> Coding {
        match self.stack.first() {
            Some(Open::Item(root)) => root.coding,
            _ => Coding::IMPLICIT,
        }
    }

    /// End of the innermost level of defined length.
    pub(super) fn bound(&self) -> Option<u64> {
        self.stack.iter().rev().find_map(|open| match open {
            Open::Item(item) => item.end,
            Open::Sequence(sequence) => sequence.end,
            Open::Fragments(_) => None,
        })
    }

    fn act(&mut self, header: Header, start: u64) -> Result<(), DatasetError> {
        if let Some(end) = self.bound() {
            let length = header.length.map_or(0, u64::from);
            if self.position > end || length > end - self.position {
                let available = end.saturating_sub(self.position);
                return Err(DatasetError::LengthBeyondParent {
                    tag: header.tag,
                    offset: start,
                    length,
                    available,
                });
            }
        }
        match self.stack.last() {
            Some(Open::Sequence(_)) => self.act_in_sequence(header, start),
            Some(Open::Fragments(_)) => self.act_in_fragments(header, start),
            _ => self.act_in_item(header, start),
        }
    }

    fn act_in_sequence(&mut self, header: Header, start: u64) -> Result<(), DatasetError> {
        match header.tag {
            ITEM => {
                let (charset, coding) = self.inherited();
                let keep = self.budget(0);
                self.stack.push(Open::Item(OpenItem {
                    end: header.length.map(|length| self.position + u64::from(length)),
                    set: DataSet::inheriting(charset),
                    coding,
                    sorted: true,
                    fresh: true,
                    keep,
                }));
                Ok(())
            }
            SEQUENCE_DELIMITER => {
                if matches!(
                    self.stack.last(),
                    Some(Open::Sequence(OpenSequence { end: Some(_), .. }))
                ) {
                    self.warn(Warning::StrayDelimiter {
                        tag: header.tag,
                        offset: start,
                    });
                    return Ok(());
                }
                self.close_sequence()
            }
            ITEM_DELIMITER => {
                self.warn(Warning::StrayDelimiter {
                    tag: header.tag,
                    offset: start,
                });
                Ok(())
            }
            tag => Err(self.unexpected(tag, start, "an item of a sequence")),
        }
    }

    fn act_in_fragments(&mut self, header: Header, start: u64) -> Result<(), DatasetError> {
        match (header.tag, header.length) {
            (ITEM, Some(length)) => {
                let length = u64::from(length);
                let position = self.position;
                let (max, table_max) = (self.limits.fragments_max, self.limits.offset_table_bytes_max);
                let Some(Open::Fragments(fragments)) = self.stack.last_mut() else {
                    return Ok(());
                };
                fragments.items += 1;
                let target = if fragments.items == 1 {
                    if let Some(info) = &mut fragments.info {
                        info.fragments_offset = position + length;
                    }
                    if fragments.info.is_some() && length <= table_max {
                        Target::Table(Vec::new())
                    } else {
                        Target::Skip
                    }
                } else {
                    fragments.note(position, length, max);
                    Target::Skip
                };
                self.begin_value(length, target)
            }
            (ITEM, None) => Err(DatasetError::UndefinedLength {
                tag: ITEM,
                offset: start,
                vr: "OB fragment",
            }),
            (SEQUENCE_DELIMITER, _) => self.close_fragments(),
            (tag, _) => Err(self.unexpected(tag, start, "a fragment of pixel data")),
        }
    }

    fn act_in_item(&mut self, header: Header, start: u64) -> Result<(), DatasetError> {
        let is_root = self.stack.len() == 1;
        match header.tag {
            ITEM_DELIMITER | SEQUENCE_DELIMITER => return self.delimiter_in_item(header.tag, start, is_root),
            ITEM => return Err(self.unexpected(ITEM, start, "an element")),
            Tag(0, 0) if is_root && self.is_blank() => {
                self.state = State::Zeros;
                self.warn(Warning::TrailingZeros { offset: start });
                return Ok(());
            }
            _ => {}
        }
        if let Some([a, b]) = header.unknown_vr {
            let vr = format!("{}{}", char::from(a), char::from(b));
            self.warn(Warning::UnknownVr { tag: header.tag, vr });
        }
        if header.lacks_vr {
            self.warn(Warning::ImplicitElement { tag: header.tag });
        }
        match header.length {
            None => self.open_undefined(header, start, is_root),
            Some(length) if header.vr == Vr::SQ => self.open_sequence(
                header.tag,
                Some(self.position + u64::from(length)),
                self.coding_of_items(header),
                start,
            ),
            Some(length) => self.open_value(header, u64::from(length), is_root),
        }
    }

    /// The eight or twelve bytes just read were all zero.
    fn is_blank(&self) -> bool {
        self.buffer
            .get(..8)
            .is_some_and(|bytes| bytes.iter().all(|&b| b == 0))
    }

    fn delimiter_in_item(&mut self, tag: Tag, start: u64, is_root: bool) -> Result<(), DatasetError> {
        let undefined = matches!(self.stack.last(), Some(Open::Item(OpenItem { end: None, .. })));
        if is_root || !undefined {
            self.warn(Warning::StrayDelimiter { tag, offset: start });
            return Ok(());
        }
        self.close_item()?;
        if tag == SEQUENCE_DELIMITER {
            self.warn(Warning::MissingDelimiter { offset: start });
            self.close_sequence()?;
        }
        Ok(())
    }

    /// PS3.5 6.2.2: the content of a UN of undefined length is implicit VR little endian.
    fn coding_of_items(&self, header: Header) -> Coding {
        if header.vr == Vr::UN || header.lacks_vr {
            return Coding::IMPLICIT;
        }
        match self.stack.last() {
            Some(Open::Item(item)) => item.coding,
            _ => Coding::IMPLICIT,
        }
    }

    fn open_undefined(&mut self, header: Header, start: u64, is_root: bool) -> Result<(), DatasetError> {
        let tag = header.tag;
        let implicit = !matches!(self.stack.last(), Some(Open::Item(item)) if item.coding.explicit);
        match header.vr {
            Vr::SQ | Vr::UN => self.open_sequence(tag, None, self.coding_of_items(header), start),
            Vr::OB | Vr::OW | Vr::OF | Vr::OD | Vr::OL | Vr::OV if pixel::is_pixel_data(tag) || !implicit => {
                let root_pixels = is_root && pixel::is_pixel_data(tag);
                self.stack.push(Open::Fragments(Box::new(Fragments::new(
                    tag,
                    header.vr,
                    self.position,
                    root_pixels,
                ))));
                Ok(())
            }
            _ if implicit => self.open_sequence(tag, None, Coding::IMPLICIT, start),
            vr => Err(DatasetError::UndefinedLength {
                tag,
                offset: start,
                vr: vr.to_string(),
            }),
        }
    }

    fn open_sequence(
        &mut self,
        tag: Tag,
        end: Option<u64>,
        coding: Coding,
        start: u64,
    ) -> Result<(), DatasetError> {
        if self.sequences >= self.limits.depth_max {
            return Err(DatasetError::TooDeep {
                offset: start,
                max: self.limits.depth_max,
            });
        }
        self.sequences += 1;
        self.stack.push(Open::Sequence(OpenSequence {
            tag,
            end,
            items: Vec::new(),
            coding,
        }));
        Ok(())
    }

    pub(super) fn sequence_closed(&mut self) {
        self.sequences = self.sequences.saturating_sub(1);
    }

    pub(super) fn depth_left(&self) -> usize {
        self.limits.depth_max.saturating_sub(self.sequences)
    }

    fn open_value(&mut self, header: Header, length: u64, is_root: bool) -> Result<(), DatasetError> {
        let (tag, vr) = (header.tag, header.vr);
        if length % 2 == 1 {
            self.warn(Warning::OddLength { tag, length });
        }
        let pixels = is_root && pixel::is_pixel_data(tag);
        if pixels {
            self.pixel_data
                .get_or_insert_with(|| pixel::native(tag, self.position, length));
        }
        let value_max = if is_root && pixel::is_offset_table(tag) {
            self.limits.offset_table_bytes_max
        } else {
            self.limits.retain_value_bytes
        };
        let level = usize::from(!is_root);
        let used = self.kept.get(level).map_or(0, |kept| kept.bytes);
        let fits = length <= value_max && used + length <= self.limits.retain_total_bytes;
        if pixels || !fits {
            let value = Value::External {
                offset: self.position,
                length,
                encapsulated: false,
            };
            self.store(Element { tag, vr, value });
            return self.begin_value(length, Target::Skip);
        }
        if !self.budget(length) {
            return self.begin_value(length, Target::Skip);
        }
        let capacity = usize::try_from(length)
            .unwrap_or(VALUE_CAPACITY_MAX)
            .min(VALUE_CAPACITY_MAX);
        self.begin_value(
            length,
            Target::Keep {
                tag,
                vr,
                bytes: Vec::with_capacity(capacity),
            },
        )
    }

    /// Counts an element or item against the limits; false when it is one too many.
    pub(super) fn budget(&mut self, bytes: u64) -> bool {
        let level = usize::from(self.stack.len() > 1);
        let max = self.limits.retain_elements;
        let Some(kept) = self.kept.get_mut(level) else {
            return false;
        };
        if kept.elements >= max {
            kept.dropped += 1;
            return false;
        }
        kept.elements += 1;
        kept.bytes += bytes;
        true
    }

    fn begin_value(&mut self, remaining: u64, target: Target) -> Result<(), DatasetError> {
        if remaining == 0 {
            return self.end_value(target);
        }
        self.state = State::Value { remaining, target };
        Ok(())
    }

    fn take_value<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], DatasetError> {
        let State::Value { remaining, target } = &mut self.state else {
            return Ok(input);
        };
        let count = usize::try_from(*remaining).unwrap_or(usize::MAX).min(input.len());
        let (now, rest) = input.split_at(count);
        match target {
            Target::Keep { bytes, .. } | Target::Table(bytes) => bytes.extend_from_slice(now),
            Target::Skip => {}
        }
        *remaining -= count as u64;
        self.position += count as u64;
        if *remaining == 0
            && let State::Value { target, .. } = std::mem::replace(&mut self.state, State::Header)
        {
            self.end_value(target)?;
            self.close_ended()?;
        }
        Ok(rest)
    }

    fn end_value(&mut self, target: Target) -> Result<(), DatasetError> {
        match target {
            Target::Skip => {}
            Target::Table(bytes) => {
                if let Some(Open::Fragments(fragments)) = self.stack.last_mut() {
                    fragments.set_table(&bytes);
                }
            }
            Target::Keep { tag, vr, bytes } => self.keep(tag, vr, bytes),
        }
        Ok(())
    }

    /// Inside a value or a header.
    fn inside(&self) -> Option<String> {
        match &self.state {
            State::Value {
                target: Target::Keep { tag, .. },
                ..
            } => Some(format!("the value of {tag}")),
            State::Value { .. } => Some("a long value".into()),
            State::Header if self.buffered > 0 => Some("an element header".into()),
            _ => None,
        }
    }

    pub(super) fn end(&mut self) -> Result<(), DatasetError> {
        // up to seven zero bytes after an even end are padding, not a header
        if matches!(self.state, State::Header)
            && self.stack.len() == 1
            && self.buffered > 0
            && self
                .buffer
                .get(..self.buffered)
                .is_some_and(|rest| rest.iter().all(|&b| b == 0))
        {
            self.buffered = 0;
            self.warn(Warning::TrailingZeros {
                offset: self.position,
            });
        }
        if let Some(inside) = self.inside() {
            return Err(DatasetError::Truncated {
                offset: self.position,
                inside,
            });
        }
        // encapsulated pixel data without the last delimiter are common and unambiguous
        if self.stack.len() == 2 && matches!(self.stack.last(), Some(Open::Fragments(f)) if f.items > 1) {
            self.warn(Warning::MissingDelimiter {
                offset: self.position,
            });
            self.close_fragments()?;
        }
        match self.stack.last() {
            Some(Open::Item(_)) if self.stack.len() == 1 => {}
            Some(Open::Fragments(fragments)) => {
                let inside = format!("the fragments of {}", fragments.tag);
                return Err(DatasetError::Truncated {
                    offset: self.position,
                    inside,
                });
            }
            Some(Open::Sequence(sequence)) => {
                let inside = format!("sequence {}", sequence.tag);
                return Err(DatasetError::Truncated {
                    offset: self.position,
                    inside,
                });
            }
            _ => {
                return Err(DatasetError::Truncated {
                    offset: self.position,
                    inside: "an item".into(),
                });
            }
        }
        self.note_dropped();
        Ok(())
    }

    fn note_dropped(&mut self) {
        let elements = self.kept.iter().map(|kept| kept.dropped).sum();
        if elements > 0 {
            self.warnings.truncate(self.limits.warnings_max.saturating_sub(1));
            self.warn(Warning::NotRetained { elements });
        }
    }

    /// Drops the unfinished value and closes all levels.
    pub(super) fn abandon(&mut self) {
        self.state = State::Header;
        self.buffered = 0;
        while self.stack.len() > 1 {
            let closed = match self.stack.last() {
                Some(Open::Sequence(_)) => self.close_sequence(),
                Some(Open::Fragments(_)) => self.close_fragments(),
                _ => self.close_item(),
            };
            if closed.is_err() {
                self.stack.truncate(1);
            }
        }
        self.note_dropped();
    }

    pub(super) fn into_parts(mut self) -> (DataSet, Option<PixelDataInfo>, Vec<Warning>) {
        self.sort_top();
        let root = match self.stack.pop() {
            Some(Open::Item(item)) => item.set,
            _ => DataSet::new(),
        };
        if let Some(info) = &mut self.pixel_data {
            info.extended_offset_table = pixel::extended_offset_table(&root);
        }
        (root, self.pixel_data, self.warnings)
    }

    pub(super) fn is_charset(tag: Tag) -> bool {
        tag == tags::SPECIFIC_CHARACTER_SET
    }

    pub(super) fn unit_of(vr: Vr) -> Option<usize> {
        dictionary::unit_bytes(vr)
    }
}
