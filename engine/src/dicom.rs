//! Reading DICOM attributes without knowing how the caller keeps them.
//!
//! The caller passes a [`Lookup`]; [`Attributes`] gives typed access to one level (the root or one sequence item).

use std::borrow::Cow;

/// Finds the value of one attribute.
///
/// Arguments: the path from the root as `(sequence tag, item index from 0)` pairs, then the tag, both as
/// `0xggggeeee`. Answer: the value's bytes in little-endian order and without a trailing length, or `None` when the
/// attribute is missing. Looking up a sequence itself answers its item count as a 4-byte little-endian `u32`
/// (see [`item_count_bytes`]).
pub type Lookup<'a> = dyn Fn(&[(u32, usize)], u32) -> Option<Cow<'a, [u8]>> + 'a;

/// What a [`Lookup`] answers for a sequence of `count` items.
#[must_use]
pub fn item_count_bytes(count: usize) -> Cow<'static, [u8]> {
    Cow::Owned(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes().to_vec())
}

/// Largest number of values that a reader of a multi-valued attribute returns.
pub const VALUES_MAX: usize = 1 << 20;

/// The attributes of one level: the root data set or one sequence item.
#[derive(Clone)]
pub struct Attributes<'l, 'a> {
    lookup: &'l Lookup<'a>,
    path: Vec<(u32, usize)>,
}

impl std::fmt::Debug for Attributes<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attributes")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<'l, 'a> Attributes<'l, 'a> {
    /// The root level.
    #[must_use]
    pub fn root(lookup: &'l Lookup<'a>) -> Self {
        Self {
            lookup,
            path: Vec::new(),
        }
    }

    /// The item `index` (from 0) of the sequence `tag` at this level; `None` when there is no such item.
    #[must_use]
    pub fn item(&self, tag: u32, index: usize) -> Option<Self> {
        if index >= self.item_count(tag) {
            return None;
        }
        let mut path = self.path.clone();
        path.push((tag, index));
        Some(Self {
            lookup: self.lookup,
            path,
        })
    }

    /// Number of items of the sequence `tag`; 0 when missing.
    #[must_use]
    pub fn item_count(&self, tag: u32) -> usize {
        self.bytes(tag).map_or(0, |b| match *b {
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => 0,
        })
    }

    /// The items of the sequence `tag`, in order.
    pub fn items(&self, tag: u32) -> impl Iterator<Item = Self> + '_ {
        (0..self.item_count(tag)).filter_map(move |i| self.item(tag, i))
    }

    /// The raw value.
    #[must_use]
    pub fn bytes(&self, tag: u32) -> Option<Cow<'a, [u8]>> {
        (self.lookup)(&self.path, tag)
    }

    /// True when the attribute is present with at least one byte.
    #[must_use]
    pub fn has(&self, tag: u32) -> bool {
        self.bytes(tag).is_some_and(|b| !b.is_empty())
    }

    /// First value of a text attribute, without padding; `None` when missing or empty. Bytes outside ASCII are
    /// replaced: use it for codes, numbers and UIDs, not for names.
    #[must_use]
    pub fn text(&self, tag: u32) -> Option<String> {
        self.texts(tag).into_iter().next().filter(|s| !s.is_empty())
    }

    /// All values of a text attribute, split at the backslash, without padding.
    #[must_use]
    pub fn texts(&self, tag: u32) -> Vec<String> {
        let Some(bytes) = self.bytes(tag) else {
            return Vec::new();
        };
        if bytes.is_empty() {
            return Vec::new();
        }
        bytes.split(|b| *b == b'\\').take(VALUES_MAX).map(clean).collect()
    }

    /// First value of a US attribute.
    #[must_use]
    pub fn us(&self, tag: u32) -> Option<u16> {
        self.uss(tag).into_iter().next()
    }

    /// All values of a US (or OW) attribute.
    #[must_use]
    pub fn uss(&self, tag: u32) -> Vec<u16> {
        self.words(tag, u16::from_le_bytes)
    }

    /// First value of an SS attribute.
    #[must_use]
    pub fn ss(&self, tag: u32) -> Option<i16> {
        self.words(tag, i16::from_le_bytes).into_iter().next()
    }

    /// All values of an SS attribute.
    #[must_use]
    pub fn sss(&self, tag: u32) -> Vec<i16> {
        self.words(tag, i16::from_le_bytes)
    }

    /// First value of a UL attribute.
    #[must_use]
    pub fn ul(&self, tag: u32) -> Option<u32> {
        self.words(tag, u32::from_le_bytes).into_iter().next()
    }

    /// All values of a UL attribute.
    #[must_use]
    pub fn uls(&self, tag: u32) -> Vec<u32> {
        self.words(tag, u32::from_le_bytes)
    }

    /// All values of an OV or UV attribute.
    #[must_use]
    pub fn uvs(&self, tag: u32) -> Vec<u64> {
        self.words(tag, u64::from_le_bytes)
    }

    /// First value of an FL attribute.
    #[must_use]
    pub fn fl(&self, tag: u32) -> Option<f32> {
        self.words(tag, f32::from_le_bytes).into_iter().next()
    }

    /// First value of an FD attribute.
    #[must_use]
    pub fn fd(&self, tag: u32) -> Option<f64> {
        self.fds(tag).into_iter().next()
    }

    /// All values of an FD attribute.
    #[must_use]
    pub fn fds(&self, tag: u32) -> Vec<f64> {
        self.words(tag, f64::from_le_bytes)
    }

    /// First value of a DS attribute; `None` when missing, empty, not a number or not finite.
    #[must_use]
    pub fn ds(&self, tag: u32) -> Option<f64> {
        self.text(tag).and_then(|t| decimal(&t))
    }

    /// All values of a DS attribute; an unreadable value ends the list, so that values keep their places.
    #[must_use]
    pub fn dss(&self, tag: u32) -> Vec<f64> {
        self.texts(tag).iter().map_while(|t| decimal(t)).collect()
    }

    /// First value of an IS attribute. A decimal written where an integer belongs is truncated.
    #[must_use]
    pub fn is(&self, tag: u32) -> Option<i64> {
        self.text(tag).and_then(|t| integer(&t))
    }

    /// All values of an IS attribute; an unreadable value ends the list.
    #[must_use]
    pub fn iss(&self, tag: u32) -> Vec<i64> {
        self.texts(tag).iter().map_while(|t| integer(t)).collect()
    }

    fn words<T, const N: usize>(&self, tag: u32, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        let Some(bytes) = self.bytes(tag) else {
            return Vec::new();
        };
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .take(VALUES_MAX)
            .map(|c| read(*c))
            .collect()
    }
}

fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_matches([' ', '\0', '\t', '\r', '\n'])
        .to_owned()
}

fn decimal(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

fn integer(text: &str) -> Option<i64> {
    text.parse::<i64>()
        .ok()
        .or_else(|| decimal(text).filter(|v| v.abs() < 9e15).map(|v| v as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(path: &[(u32, usize)], tag: u32) -> Option<Cow<'static, [u8]>> {
        let b: &'static [u8] = match (path, tag) {
            ([], 0x0028_0010) => &[0x10, 0x02],
            ([], 0x0028_1050) => b"40\\ -600.5 \\x",
            ([], 0x0028_0008) => b"12 ",
            ([], 0x0028_3010) => return Some(item_count_bytes(2)),
            ([(0x0028_3010, 1)], 0x0028_3002) => &[0, 1, 0xff, 0xff, 16, 0],
            _ => return None,
        };
        Some(Cow::Borrowed(b))
    }

    #[test]
    fn reads_each_kind() {
        let root = Attributes::root(&lookup);
        assert_eq!(root.us(0x0028_0010), Some(528));
        assert_eq!(root.dss(0x0028_1050), [40.0, -600.5]);
        assert_eq!(root.is(0x0028_0008), Some(12));
        assert_eq!(root.is(0x0028_1050), Some(40));
        assert!(root.ds(0x0028_1051).is_none());
        assert_eq!(root.items(0x0028_3010).count(), 2);
        let second = root.item(0x0028_3010, 1).unwrap();
        assert_eq!(second.uss(0x0028_3002), [256, 65535, 16]);
        assert_eq!(second.sss(0x0028_3002), [256, -1, 16]);
        assert!(root.item(0x0028_3010, 2).is_none());
    }
}
