//! Tags, value representations and the standard's names for them (PS3.6).

pub use dicom_core::Tag;
pub use dicom_core::VR as Vr;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
/// Tags by keyword, `PATIENT_NAME` and so on.
pub use dicom_dictionary_std::tags;
/// Well-known UIDs by keyword.
pub use dicom_dictionary_std::uids;

/// Item start.
pub const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// End of an item of undefined length.
pub const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
/// End of a sequence of undefined length.
pub const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);

/// VR by the dictionary; where it depends on context the unsigned or word form is given.
/// `None` for tags the dictionary lacks (private ones among them, but for private creators).
pub fn vr_of(tag: Tag) -> Option<Vr> {
    StandardDataDictionary
        .by_tag(tag)
        .map(|entry| entry.vr().relaxed())
}

/// Keyword such as `PatientName`.
pub fn keyword_of(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.alias)
}

/// Tag of a keyword such as `PatientName`.
pub fn tag_of_keyword(keyword: &str) -> Option<Tag> {
    StandardDataDictionary
        .by_name(keyword)
        .map(DataDictionaryEntry::tag)
}

/// Reads `00100010`, `(0010,0010)`, `0010,0010` or a keyword.
pub fn parse_tag(text: &str) -> Option<Tag> {
    let hex: String = text.chars().filter(|c| !matches!(c, '(' | ')' | ',')).collect();
    if hex.len() == 8
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
        && let Ok(number) = u32::from_str_radix(&hex, 16)
    {
        return Some(tag_from_u32(number));
    }
    tag_of_keyword(text)
}

/// `0xggggeeee` to a tag.
pub const fn tag_from_u32(number: u32) -> Tag {
    Tag((number >> 16) as u16, number as u16)
}

/// A tag as `0xggggeeee`.
pub const fn tag_to_u32(tag: Tag) -> u32 {
    (tag.0 as u32) << 16 | tag.1 as u32
}

/// Odd group: defined by a manufacturer.
pub const fn is_private(tag: Tag) -> bool {
    tag.0 & 1 == 1
}

/// Explicit VR with a 32-bit length after two reserved bytes (PS3.5 7.1.2).
pub const fn has_long_length(vr: Vr) -> bool {
    matches!(
        vr,
        Vr::OB
            | Vr::OD
            | Vr::OF
            | Vr::OL
            | Vr::OV
            | Vr::OW
            | Vr::SQ
            | Vr::SV
            | Vr::UC
            | Vr::UN
            | Vr::UR
            | Vr::UT
            | Vr::UV
    )
}

/// Text whose bytes follow Specific Character Set (PS3.5 6.1.2.2).
pub const fn uses_character_set(vr: Vr) -> bool {
    matches!(vr, Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::ST | Vr::UC | Vr::UT)
}

/// Text of any kind, identifiers and numbers in text among them.
pub const fn is_text(vr: Vr) -> bool {
    uses_character_set(vr)
        || matches!(
            vr,
            Vr::AE | Vr::AS | Vr::CS | Vr::DA | Vr::DS | Vr::DT | Vr::IS | Vr::TM | Vr::UI | Vr::UR
        )
}

/// Text in which a backslash is only a backslash.
pub const fn is_single_text(vr: Vr) -> bool {
    matches!(vr, Vr::LT | Vr::ST | Vr::UR | Vr::UT)
}

/// Bytes of one binary number, `None` for text, sequences and plain bytes. This is also the unit
/// in which big-endian values are turned round.
pub const fn unit_bytes(vr: Vr) -> Option<usize> {
    match vr {
        Vr::AT | Vr::OW | Vr::SS | Vr::US => Some(2),
        Vr::FL | Vr::OF | Vr::OL | Vr::SL | Vr::UL => Some(4),
        Vr::FD | Vr::OD | Vr::OV | Vr::SV | Vr::UV => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_in_every_form() {
        let check = |text: &str, expect: Option<Tag>| assert_eq!(parse_tag(text), expect, "{text}");
        check("00100010", Some(Tag(0x10, 0x10)));
        check("(0010,0010)", Some(Tag(0x10, 0x10)));
        check("7fe00010", Some(Tag(0x7fe0, 0x10)));
        check("PatientName", Some(tags::PATIENT_NAME));
        check("patientname", None);
        check("0010001", None);
        check("", None);
    }

    #[test]
    fn dictionary_knows_usual_tags() {
        assert_eq!(vr_of(tags::PATIENT_NAME), Some(Vr::PN));
        assert_eq!(vr_of(tags::WAVEFORM_SEQUENCE), Some(Vr::SQ));
        assert_eq!(vr_of(Tag(0x0029, 0x1010)), None);
        assert_eq!(vr_of(Tag(0x0029, 0x0010)), Some(Vr::LO));
        assert_eq!(keyword_of(tags::STUDY_DATE), Some("StudyDate"));
        assert_eq!(tag_to_u32(tag_from_u32(0x7fe0_0010)), 0x7fe0_0010);
    }
}
