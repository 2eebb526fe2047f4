//! The state machine.

use std::sync::Arc;

use super::PixelDataInfo;
use super::header::{self, Coding, HEADER_BYTES_MAX, Header, Read};
use super::pixel::{self, Fragments};
use crate::charset::CharacterSets;
use crate::dictionary::{ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Tag, Vr};
use crate::object::{DataSet, Element};
use crate::uid::Encoding;
use crate::{DatasetError, Limits, Warning};

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
pub(super) enum Target {
    /// Kept as an element.
    Keep { tag: Tag, vr: Vr, bytes: Vec<u8> },
    /// Passed over.
    Skip,
    /// The basic offset table.
    Table(Vec<u8>),
}

pub(super) enum State {
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
pub(super) struct Kept {
    pub(super) bytes: u64,
    pub(super) elements: usize,
    pub(super) dropped: u64,
}

pub(super) struct Core {
    pub(super) limits: Limits,
    pub(super) stack: Vec<Open>,
    pub(super) pixel_data: Option<PixelDataInfo>,
    pub(super) position: u64,
    pub(super) buffer: [u8; HEADER_BYTES_MAX],
    pub(super) buffered: usize,
    pub(super) state: State,
    pub(super) kept: [Kept; 2],
    pub(super) warnings: Vec<Warning>,
    pub(super) sequences: usize,
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
                    if let Some(zeros) = input.iter().position(|&b| b != 0) {
                        let offset = self.position + zeros as u64;
                        return Err(self.unexpected(Tag(0, 0), offset, "the end of the data set"));
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
}
