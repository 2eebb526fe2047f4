use super::*;
use crate::DataSet;
use crate::dictionary::tags;

fn sets(terms: &str) -> CharacterSets {
    CharacterSets::from_bytes(terms.as_bytes())
}

#[test]
fn bytes_of_every_set_are_decoded() {
    let check = |terms: &str, bytes: &[u8], expect: &str| {
        let decoded = sets(terms).decode(bytes, Vr::PN);
        assert_eq!(decoded.text, expect, "{terms}");
        assert!(!decoded.damaged, "{terms}");
    };
    // examples of PS3.5 Annexes H to K
    check(
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    );
    check(
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    );
    check(
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    );
    check(
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    );
    check(
        "ISO_IR 192",
        "Wang^XiaoDong=王^小东=".as_bytes(),
        "Wang^XiaoDong=王^小东=",
    );
    check(
        "GB18030",
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    );
    check("GBK", b"\xcd\xf5\xd0\xa1\xc3\xf7", "王小明");
    check("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme");
    check(
        "ISO_IR 144",
        b"\xbb\xee\xda\x63\xd5\xdc\xd1\xe3\xe0\xd3",
        "Люкcембург",
    );
    check("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος");
    check(
        "ISO_IR 138",
        b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4",
        "שרון^דבורה",
    );
    check("ISO 2022 IR 6\\ISO 2022 IR 126", b"\x1b-F\xc4\xe9", "Δι");
    // what devices write instead of the defined terms
    for lax in ["ISO-IR 192", "iso_ir_192", "UTF-8", "ISO_IR192"] {
        check(lax, "王".as_bytes(), "王");
    }
    // IR 58 declared but its escape left away
    check("\\ISO 2022 IR 58", b"\xd5\xc5^\xc8\xfd", "张^三");
}

#[test]
fn a_second_byte_0x5c_is_no_delimiter() {
    let mut set = DataSet::with_charset(CharacterSets::gb18030());
    set.put_text(tags::PATIENT_NAME, Vr::PN, "誠^刓");
    set.put_text(tags::OTHER_PATIENT_NAMES, Vr::PN, "匼\\乗");
    assert!(set.raw(tags::PATIENT_NAME).expect("there").contains(&0x5c));
    assert_eq!(set.texts(tags::PATIENT_NAME), ["誠^刓"]);
    assert_eq!(set.texts(tags::OTHER_PATIENT_NAMES), ["匼", "乗"]);
}

#[test]
fn text_goes_both_ways_where_the_set_has_it() {
    let check = |terms: &str, text: &str, expect: bool| {
        let sets = sets(terms);
        match sets.encode(text) {
            Some(bytes) => {
                assert!(expect, "{terms} should not hold {text}");
                assert_eq!(sets.decode(&bytes, Vr::PN).text, text, "{terms}");
            }
            None => assert!(!expect, "{terms} should hold {text}"),
        }
    };
    check("ISO_IR 192", "李𠮷祥=张", true);
    check("GB18030", "李𠮷祥", true);
    check("GBK", "李𠮷祥", false);
    check("\\ISO 2022 IR 58", "Zhang^San=张^三\\李^四", true);
    check("\\ISO 2022 IR 58", "李𠮷祥", false);
    check("\\ISO 2022 IR 87", "Yamada=山田^太郎", true);
    check("\\ISO 2022 IR 149", "Hong=홍^길동", true);
    check("ISO 2022 IR 100\\ISO 2022 IR 58", "Müller=张", true);
    check("ISO_IR 100", "Jérôme", true);
    check("ISO_IR 100", "张", false);
    check("", "张", false);
    assert_eq!(sets("").encode_lossy("A张"), b"A?");
    assert_eq!(sets("ISO_IR 100").encode_lossy("é张"), b"\xe9?");
}

fn settled(declared: &str, name: &[u8]) -> (CharsetState, String) {
    let mut bytes = Vec::new();
    let mut put = |tag: [u8; 4], vr: &[u8; 2], value: &[u8]| {
        bytes.extend_from_slice(&tag);
        bytes.extend_from_slice(vr);
        bytes.extend_from_slice(&u16::try_from(value.len()).expect("short").to_le_bytes());
        bytes.extend_from_slice(value);
    };
    if !declared.is_empty() {
        put([8, 0, 5, 0], b"CS", declared.as_bytes());
    }
    put([0x10, 0, 0x10, 0], b"PN", name);
    let syntax = crate::TransferSyntaxUid::explicit_le();
    let parsed = crate::stream::parse(&bytes, &syntax, crate::Limits::default()).expect("readable");
    let raw = parsed.data_set.raw(tags::PATIENT_NAME).expect("there");
    assert_eq!(raw, name, "the bytes are kept as sent");
    (
        parsed.charset.state,
        parsed.data_set.text(tags::PATIENT_NAME).unwrap_or_default(),
    )
}

#[test]
fn a_missing_or_wrong_tag_is_found_and_flagged() {
    use CharsetState::{Fits, Missing, Wrong};
    let gb = encoding_rs::GB18030.encode("王小明").0.into_owned();
    let check = |declared: &str, bytes: &[u8], expect: (CharsetState, &str)| {
        let (state, text) = settled(declared, bytes);
        assert_eq!((state, text.as_str()), expect, "{declared:?}");
    };
    check("", b"Smith^Ann", (Fits, "Smith^Ann"));
    check("", &gb, (Missing, "王小明"));
    check("", "王小明".as_bytes(), (Missing, "王小明"));
    check("ISO_IR 6", &gb, (Wrong, "王小明"));
    check("ISO_IR 100", &gb, (Wrong, "王小明"));
    check("ISO_IR 100", "王小明".as_bytes(), (Wrong, "王小明"));
    check("ISO_IR 192", &gb, (Wrong, "王小明"));
    check("GB18030", "王小明".as_bytes(), (Wrong, "王小明"));
    check("GB18030", &gb, (Fits, "王小明"));
    check("ISO_IR 192", "王小明".as_bytes(), (Fits, "王小明"));
    check("ISO_IR 100", b"Buc^J\xe9r\xf4me", (Fits, "Buc^Jérôme"));
    check("ISO_IR 100", b"M\xfcller^J\xf6rg", (Fits, "Müller^Jörg"));
    check("", b"M\xfcller", (Missing, "Müller"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_decode_in_any_set(bytes: Vec<u8>, terms in "[A-Z0-9_ \\\\]{0,40}") {
        for terms in [terms.as_str(), "", "GB18030", "\\ISO 2022 IR 58", "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", "ISO_IR 192"] {
            let _ = sets(terms).decode(&bytes, Vr::PN);
        }
    }

    #[test]
    fn any_text_goes_through_utf8_and_gb18030(text in "[^\u{0}\u{1b}\u{e000}-\u{f8ff}]{0,40}") {
        for terms in ["ISO_IR 192", "GB18030"] {
            let sets = sets(terms);
            if let Some(bytes) = sets.encode(&text) {
                proptest::prop_assert_eq!(sets.decode(&bytes, Vr::LO).text, text.clone());
            }
        }
    }
}
