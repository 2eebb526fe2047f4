//! Data elements in Explicit VR Little Endian (PS3.5 section 7.1), sorted and padded.

use std::collections::BTreeMap;

/// A data set under construction; elements come out in the order of their tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set {
    elements: BTreeMap<u32, Element>,
}

#[derive(Debug, Clone, PartialEq)]
struct Element {
    vr: [u8; 2],
    value: Vec<u8>,
}

/// VRs whose length takes four bytes behind two empty ones.
const LONG: [&[u8; 2]; 7] = [b"OB", b"OL", b"OW", b"SQ", b"UN", b"UC", b"UT"];

impl Set {
    pub(super) fn bytes(&mut self, tag: u32, vr: [u8; 2], value: Vec<u8>) {
        self.elements.insert(tag, Element { vr, value });
    }

    /// Text, padded to even length with a blank, or with zero for UIDs.
    pub(super) fn text(&mut self, tag: u32, vr: [u8; 2], text: &str) {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == *b"UI" { 0 } else { b' ' });
        }
        self.bytes(tag, vr, value);
    }

    /// Text where there is some, else an empty element (type 2).
    pub(super) fn text_or_empty(&mut self, tag: u32, vr: [u8; 2], text: Option<&str>) {
        self.text(tag, vr, text.unwrap_or_default());
    }

    /// Text where there is some, else nothing (type 3).
    pub(super) fn optional(&mut self, tag: u32, vr: [u8; 2], text: Option<&str>) {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            self.text(tag, vr, text);
        }
    }

    pub(super) fn us(&mut self, tag: u32, values: &[u16]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(tag, *b"US", bytes);
    }

    pub(super) fn ul(&mut self, tag: u32, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(tag, *b"UL", bytes);
    }

    /// A decimal string of at most 16 characters.
    pub(super) fn ds(&mut self, tag: u32, value: f64) {
        self.text(tag, *b"DS", &decimal(value));
    }

    /// A sequence of items with defined lengths.
    pub(super) fn sequence(&mut self, tag: u32, items: &[Set]) {
        let mut value = Vec::new();
        for item in items {
            let body = item.encode();
            value.extend(0xfffe_u16.to_le_bytes());
            value.extend(0xe000_u16.to_le_bytes());
            value.extend((body.len() as u32).to_le_bytes());
            value.extend(body);
        }
        self.bytes(tag, *b"SQ", value);
    }

    /// A sequence of one code.
    pub(super) fn code(&mut self, tag: u32, code: &Code<'_>) {
        let mut item = Set::default();
        item.text(0x0008_0100, *b"SH", code.value);
        item.text(0x0008_0102, *b"SH", code.scheme);
        item.text(0x0008_0104, *b"LO", code.meaning);
        self.sequence(tag, &[item]);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, element) in &self.elements {
            out.extend(((tag >> 16) as u16).to_le_bytes());
            out.extend((*tag as u16).to_le_bytes());
            out.extend(element.vr);
            if LONG.contains(&&element.vr) {
                out.extend([0, 0]);
                out.extend((element.value.len() as u32).to_le_bytes());
            } else {
                out.extend((element.value.len() as u16).to_le_bytes());
            }
            out.extend(&element.value);
        }
        out
    }
}

/// A coded concept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Code<'a> {
    pub(super) value: &'a str,
    pub(super) scheme: &'a str,
    pub(super) meaning: &'a str,
}

/// A number in at most 16 characters, as near as they allow.
pub(super) fn decimal(value: f64) -> String {
    const CHARS_MAX: usize = 16;
    let shortest = format!("{value}");
    if shortest.len() <= CHARS_MAX {
        return shortest;
    }
    let tries = (0..=14).flat_map(|digits| [format!("{value:.digits$}"), format!("{value:.digits$e}")]);
    let error = |text: &String| {
        text.parse::<f64>()
            .map_or(f64::INFINITY, |said| (said - value).abs())
    };
    tries
        .filter(|text| text.len() <= CHARS_MAX)
        .min_by(|a, b| error(a).total_cmp(&error(b)))
        .unwrap_or_else(|| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_sorted_and_even() {
        let mut set = Set::default();
        set.us(0x0028_0010, &[3]);
        set.text(0x0008_0060, *b"CS", "ECG");
        set.sequence(0x0040_0555, &[Set::default()]);
        let expect = [
            &[8, 0, 0x60, 0][..],
            b"CS\x04\0ECG ",
            &[0x28, 0, 0x10, 0],
            b"US\x02\0\x03\0",
            &[0x40, 0, 0x55, 5],
            b"SQ\0\0\x08\0\0\0\xfe\xff\0\xe0\0\0\0\0",
        ];
        assert_eq!(set.encode(), expect.concat());
    }

    #[test]
    fn numbers_fit_in_sixteen_characters() {
        let check = |value: f64, exactness: f64| {
            let text = decimal(value);
            let back: f64 = text.parse().unwrap();
            assert!(
                text.len() <= 16 && (back - value).abs() <= exactness * value.abs(),
                "{text}"
            );
        };
        check(4.88, 0.0);
        check(1.0 / 7.247, 1e-13);
        check(-1.0 / 3.0, 1e-12);
        check(123_456_789.123_456_78, 1e-14);
        check(1.0 / 3e9, 1e-8);
        check(0.0, 0.0);
    }
}
