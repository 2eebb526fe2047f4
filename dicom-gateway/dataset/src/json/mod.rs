//! DICOM JSON (PS3.18 Annex F).

mod read;
mod write;

pub use read::from_json;
pub use write::{BulkPolicy, to_json};

use crate::dictionary::{Tag, parse_tag};

/// Tag as eight upper-case hexadecimal digits.
pub fn tag_text(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

/// The last part of a bulk data URI: `7FE00010`, or `54000100/0/54001010` with item indexes from
/// 0 for values inside sequences.
pub fn bulk_path(path: &[(Tag, usize)], tag: Tag) -> String {
    let mut text = String::new();
    for &(sequence, index) in path {
        text.push_str(&format!("{}/{index}/", tag_text(sequence)));
    }
    text.push_str(&tag_text(tag));
    text
}

/// Reads what [`bulk_path`] writes; `None` when it is none.
pub fn parse_bulk_path(text: &str) -> Option<(Vec<(Tag, usize)>, Tag)> {
    let parts: Vec<&str> = text.split('/').collect();
    let (last, steps) = parts.split_last()?;
    let hex = |part: &str| parse_tag(part).filter(|_| part.len() == 8);
    let (pairs, odd) = steps.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let path = pairs
        .iter()
        .map(|[tag, index]| Some((hex(tag)?, index.parse().ok()?)));
    Some((path.collect::<Option<Vec<_>>>()?, hex(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{Vr, tags};
    use crate::{CharacterSets, DataSet, Element, Value};
    use serde_json::json;

    fn sample() -> DataSet {
        let mut set = DataSet::with_charset(CharacterSets::gb18030());
        set.put_text(tags::PATIENT_NAME, Vr::PN, "Zhang^San=张^三");
        set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
        set.put_text(tags::IMAGE_TYPE, Vr::CS, "ORIGINAL\\\\AXIAL");
        set.put_text(tags::WINDOW_CENTER, Vr::DS, "40.5\\-5");
        set.put_text(tags::INSTANCE_NUMBER, Vr::IS, "7");
        set.put_u16(tags::ROWS, 512);
        set.put_bytes(tags::FRAME_INCREMENT_POINTER, Vr::AT, vec![0x54, 0, 1, 0x31]);
        set.put_bytes(Tag(0x29, 0x1010), Vr::OB, vec![1, 2, 3, 4]);
        let mut item = DataSet::new();
        item.put_text(tags::CODE_VALUE, Vr::SH, "T-1");
        set.put_sequence(tags::PROCEDURE_CODE_SEQUENCE, vec![item, DataSet::new()]);
        set.put(Element {
            tag: tags::PIXEL_DATA,
            vr: Vr::OW,
            value: Value::External {
                offset: 900,
                length: 524_288,
                encapsulated: false,
            },
        });
        set
    }

    #[test]
    fn every_kind_of_value_is_written_as_annex_f_says() {
        let policy = BulkPolicy {
            base_uri: "/bulk".into(),
            inline_max_bytes: 4,
        };
        let expect = json!({
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", null, "AXIAL"]},
            "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-1"]}}, {}]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "00200013": {"vr": "IS", "Value": [7]},
            "00280009": {"vr": "AT", "Value": ["00543101"]},
            "00280010": {"vr": "US", "Value": [512]},
            "00281050": {"vr": "DS", "Value": [40.5, -5]},
            "00291010": {"vr": "OB", "InlineBinary": "AQIDBA=="},
            "7FE00010": {"vr": "OW", "BulkDataURI": "/bulk/7FE00010"},
        });
        assert_eq!(to_json(&sample(), &policy), expect);
    }

    #[test]
    fn names_of_carets_alone_are_empty() {
        let mut set = DataSet::new();
        set.put_text(tags::REFERRING_PHYSICIAN_NAME, Vr::PN, "^^^^");
        let policy = BulkPolicy {
            base_uri: String::new(),
            inline_max_bytes: 0,
        };
        assert_eq!(to_json(&set, &policy), json!({"00080090": {"vr": "PN"}}));
    }

    #[test]
    fn json_is_read_back() {
        let policy = BulkPolicy {
            base_uri: "/bulk".into(),
            inline_max_bytes: 64,
        };
        let json = to_json(&sample(), &policy);
        let again = from_json(&json).expect("readable");
        assert_eq!(to_json(&again, &policy), json);
        assert_eq!(
            again.person_name(tags::PATIENT_NAME).map(|n| n.ideographic),
            Some("张^三".into())
        );
    }

    #[test]
    fn bad_json_is_refused_in_words() {
        let deep = (0..100).fold(
            json!({}),
            |inner, _| json!({"00081032": {"vr": "SQ", "Value": [inner]}}),
        );
        for bad in [
            json!([]),
            json!({"0010001": {"vr": "LO"}}),
            json!({"00100010": {"vr": "XX"}}),
            deep,
            json!({"00100010": 5}),
            json!({"00280010": {"vr": "US", "Value": ["a"]}}),
            json!({"00291010": {"vr": "OB", "InlineBinary": "&&"}}),
        ] {
            assert!(from_json(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bulk_paths_go_both_ways() {
        let path = vec![(tags::WAVEFORM_SEQUENCE, 1)];
        let text = bulk_path(&path, tags::WAVEFORM_DATA);
        assert_eq!(text, "54000100/1/54001010");
        assert_eq!(parse_bulk_path(&text), Some((path, tags::WAVEFORM_DATA)));
        for bad in [
            "",
            "7FE0001",
            "54000100/54001010",
            "54000100/x/54001010",
            "../7FE00010",
            "PixelData",
        ] {
            assert_eq!(parse_bulk_path(bad), None, "{bad}");
        }
    }
}
