//! Values: kept, passed over or noted as a place.

use super::core::{Core, Open, State, Target};
use super::header::Header;
use super::pixel;
use crate::object::{Element, Value};
use crate::{DatasetError, Warning};

/// Memory first asked for a value, whatever its length field claims.
const VALUE_CAPACITY_MAX: usize = 64 << 10;

impl Core {
    pub(super) fn open_value(
        &mut self,
        header: Header,
        length: u64,
        is_root: bool,
    ) -> Result<(), DatasetError> {
        let (tag, vr) = (header.tag, header.vr);
        if length % 2 == 1 {
            self.warn(Warning::OddLength { tag, length });
        }
        let pixels = is_root && pixel::is_pixel_data(tag);
        if pixels {
            self.pixel_data
                .get_or_insert_with(|| pixel::native(tag, vr, self.position, length));
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

    pub(super) fn begin_value(&mut self, remaining: u64, target: Target) -> Result<(), DatasetError> {
        if remaining == 0 {
            return self.end_value(target);
        }
        self.state = State::Value { remaining, target };
        Ok(())
    }

    pub(super) fn take_value<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], DatasetError> {
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

    pub(super) fn end_value(&mut self, target: Target) -> Result<(), DatasetError> {
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
}
