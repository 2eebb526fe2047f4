//! Numbers, whether binary or in text.

use super::{DataSet, Element, Value};
use crate::dictionary::{Tag, Vr};

impl DataSet {
    /// All values as integers. Text that is no integer and floating point values are left out;
    /// `5.0` in text is taken as 5.
    pub fn i64s(&self, tag: Tag) -> Vec<i64> {
        let Some(element) = self.get(tag) else {
            return Vec::new();
        };
        match binary(element) {
            Some(Numbers::Integers(values)) => values,
            Some(Numbers::Floats(_)) => Vec::new(),
            None => self
                .texts_of(element)
                .iter()
                .filter_map(|text| integer(text))
                .collect(),
        }
    }

    /// The first value as an integer.
    pub fn i64(&self, tag: Tag) -> Option<i64> {
        self.i64s(tag).first().copied()
    }

    /// All values as floating point; text that is no number is left out.
    pub fn f64s(&self, tag: Tag) -> Vec<f64> {
        let Some(element) = self.get(tag) else {
            return Vec::new();
        };
        match binary(element) {
            Some(Numbers::Integers(values)) => values.into_iter().map(|v| v as f64).collect(),
            Some(Numbers::Floats(values)) => values,
            None => self
                .texts_of(element)
                .iter()
                .filter_map(|text| decimal(text))
                .collect(),
        }
    }

    /// The first value as floating point.
    pub fn f64(&self, tag: Tag) -> Option<f64> {
        self.f64s(tag).first().copied()
    }
}

pub(crate) enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

/// Numbers of a binary VR; `None` for text.
pub(crate) fn binary(element: &Element) -> Option<Numbers> {
    let bytes: &[u8] = match &element.value {
        Value::Bytes(bytes) => bytes,
        _ => &[],
    };
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| read(*chunk))
            .collect()
    }
    Some(match element.vr {
        Vr::US | Vr::OW => Numbers::Integers(each(bytes, |b| u16::from_le_bytes(b).into())),
        Vr::SS => Numbers::Integers(each(bytes, |b| i16::from_le_bytes(b).into())),
        Vr::UL | Vr::OL => Numbers::Integers(each(bytes, |b| u32::from_le_bytes(b).into())),
        Vr::SL => Numbers::Integers(each(bytes, |b| i32::from_le_bytes(b).into())),
        Vr::SV => Numbers::Integers(each(bytes, i64::from_le_bytes)),
        Vr::UV | Vr::OV => Numbers::Integers(each(bytes, |b| {
            i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX)
        })),
        Vr::FL | Vr::OF => Numbers::Floats(each(bytes, |b| f32::from_le_bytes(b).into())),
        Vr::FD | Vr::OD => Numbers::Floats(each(bytes, f64::from_le_bytes)),
        Vr::AT => Numbers::Integers(each(bytes, |b: [u8; 4]| {
            let [g0, g1, e0, e1] = b;
            i64::from(u16::from_le_bytes([g0, g1])) << 16 | i64::from(u16::from_le_bytes([e0, e1]))
        })),
        _ => return None,
    })
}

pub(crate) fn integer(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('+');
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
    })
}

pub(crate) fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    // `parse` would take "inf" and "nan", which DS cannot hold
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::tags;

    #[test]
    fn numbers_in_text() {
        let check = |text: &str, i: Option<i64>, f: Option<f64>| {
            assert_eq!(integer(text), i, "{text:?}");
            assert_eq!(decimal(text), f, "{text:?}");
        };
        check(" 12 ", Some(12), Some(12.0));
        check("+5", Some(5), Some(5.0));
        check("-1.50E2", Some(-150), Some(-150.0));
        check("0.7", None, Some(0.7));
        check("inf", None, None);
        check("", None, None);
        check("abc", None, None);
    }

    #[test]
    fn numbers_in_bytes() {
        let mut set = DataSet::new();
        set.put_bytes(tags::ROWS, Vr::US, vec![0x02, 0x01, 0xff]);
        assert_eq!(set.i64s(tags::ROWS), [258], "an odd byte at the end is left out");
        set.put_bytes(tags::SMALLEST_IMAGE_PIXEL_VALUE, Vr::SS, vec![0xfe, 0xff]);
        assert_eq!(set.i64(tags::SMALLEST_IMAGE_PIXEL_VALUE), Some(-2));
        set.put_f64s(Tag(0x0018, 0x9073), &[1.5, -2.0]);
        assert_eq!(set.f64s(Tag(0x0018, 0x9073)), [1.5, -2.0]);
    }
}
