//! The end of a data set, expected or not.

use super::PixelDataInfo;
use super::core::{Core, Open, State, Target};
use super::pixel;
use crate::object::DataSet;
use crate::{DatasetError, Warning};

impl Core {
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
}
