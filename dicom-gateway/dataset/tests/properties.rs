//! What is written is read again the same, in any chunks; damaged bytes are refused, never more.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use dataset::{
    DataSet, DatasetError, Encoding, Limits, Tag, Tokenizer, TransferSyntaxUid, Vr, stream, write,
};
use proptest::prelude::*;

fn element() -> impl Strategy<Value = (Tag, Vr, Vec<u8>)> {
    let group = prop_oneof![Just(0x0009_u16), Just(0x0019), Just(0x0029)];
    let vr = prop_oneof![
        Just(Vr::LO),
        Just(Vr::UN),
        Just(Vr::OB),
        Just(Vr::US),
        Just(Vr::FD),
        Just(Vr::UT)
    ];
    (
        group,
        0x1000_u16..0x1100,
        vr,
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(g, e, vr, mut bytes)| {
            bytes.truncate(bytes.len() / 8 * 8);
            (Tag(g, e), vr, bytes)
        })
}

fn data_set() -> impl Strategy<Value = DataSet> {
    let leaf = prop::collection::vec(element(), 0..6).prop_map(|elements| {
        let mut set = DataSet::new();
        for (tag, vr, bytes) in elements {
            set.put_bytes(tag, vr, bytes);
        }
        set
    });
    leaf.prop_recursive(5, 40, 4, |inner| {
        (
            prop::collection::vec(element(), 0..4),
            prop::collection::vec(inner, 0..4),
            0x1000_u16..0x1100,
        )
            .prop_map(|(elements, items, place)| {
                let mut set = DataSet::new();
                for (tag, vr, bytes) in elements {
                    set.put_bytes(tag, vr, bytes);
                }
                // a tag of its own, in the dictionary: implicit VR must know it for a sequence
                let _ = place;
                set.put_sequence(dataset::tags::CONTENT_SEQUENCE, items);
                set
            })
    })
}

fn in_chunks(bytes: &[u8], syntax: &TransferSyntaxUid, sizes: &[usize]) -> Result<DataSet, DatasetError> {
    let mut tokenizer = Tokenizer::new(syntax, Limits::default());
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        tokenizer.feed(now)?;
        rest = later;
    }
    tokenizer.finish().map(|parsed| parsed.data_set)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

proptest! {
    #[test]
    fn written_explicit_is_read_equal(set in data_set(), sizes in prop::collection::vec(1_usize..60, 1..8)) {
        let bytes = write::encode(&set, Encoding::ExplicitLe).expect("writable");
        let whole = stream::parse(&bytes, &TransferSyntaxUid::explicit_le(), Limits::default()).expect("readable");
        prop_assert_eq!(&whole.data_set, &set);
        prop_assert_eq!(whole.length, bytes.len() as u64);
        prop_assert_eq!(&in_chunks(&bytes, &TransferSyntaxUid::explicit_le(), &sizes).expect("readable"), &set);
        let deflated = deflate(&bytes);
        prop_assert_eq!(&in_chunks(&deflated, &TransferSyntaxUid::deflated(), &sizes).expect("readable"), &set);
    }

    #[test]
    fn written_implicit_is_written_again_equal(set in data_set(), sizes in prop::collection::vec(1_usize..60, 1..8)) {
        let bytes = write::encode(&set, Encoding::ImplicitLe).expect("writable");
        let again = in_chunks(&bytes, &TransferSyntaxUid::implicit_le(), &sizes).expect("readable");
        prop_assert_eq!(write::encode(&again, Encoding::ImplicitLe).expect("writable"), bytes);
    }

    #[test]
    fn a_cut_is_an_error_or_a_whole_prefix(set in data_set(), cut in any::<prop::sample::Index>()) {
        let bytes = write::encode(&set, Encoding::ExplicitLe).expect("writable");
        if !bytes.is_empty() {
            let cut = cut.index(bytes.len());
            match stream::parse(&bytes[..cut], &TransferSyntaxUid::explicit_le(), Limits::default()) {
                Ok(parsed) => {
                    let rewritten = write::encode(&parsed.data_set, Encoding::ExplicitLe).expect("writable");
                    prop_assert!(rewritten.len() <= cut);
                }
                Err(error) => prop_assert!(matches!(error, DatasetError::Truncated { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn mutations_never_panic(
        set in data_set(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kind in 0..4_usize,
    ) {
        let syntaxes = [TransferSyntaxUid::explicit_le(), TransferSyntaxUid::implicit_le(), TransferSyntaxUid::explicit_be(), TransferSyntaxUid::deflated()];
        let mut bytes = write::encode(&set, Encoding::ExplicitLe).expect("writable");
        if kind == 3 {
            bytes = deflate(&bytes);
        }
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        let mut tokenizer = Tokenizer::new(&syntaxes[kind], Limits::default());
        let _ = tokenizer.feed(&bytes);
        let parsed = tokenizer.finish_partial();
        let policy = dataset::json::BulkPolicy { base_uri: String::new(), inline_max_bytes: 100 };
        let json = dataset::json::to_json(&parsed.data_set, &policy);
        prop_assert!(dataset::json::from_json(&json).is_ok(), "{json}");
    }

    #[test]
    fn noise_is_no_file_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = dataset::file::read(&bytes, Limits::default());
        let _ = dataset::file::read_partial(&bytes, Limits::default());
    }
}

fn nested(levels: usize) -> Vec<u8> {
    let open = [
        0x40, 0, 0x30, 0xa7, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff,
        0xff,
    ];
    let close = [
        0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0,
    ];
    [open.repeat(levels), close.repeat(levels)].concat()
}

#[test]
fn nesting_is_limited_not_fatal() {
    let syntax = TransferSyntaxUid::explicit_le();
    let check = |levels: usize, expect: bool| {
        let result = stream::parse(&nested(levels), &syntax, Limits::default());
        assert_eq!(result.is_ok(), expect, "{levels}");
        if let Err(error) = result {
            assert!(matches!(error, DatasetError::TooDeep { max: 64, .. }), "{error}");
        }
    };
    check(64, true);
    check(65, false);
    check(200_000, false);
}

#[test]
fn length_claims_cost_no_memory() {
    let mut bytes = vec![0x08, 0, 0x80, 0, b'O', b'B', 0, 0];
    bytes.extend_from_slice(&0xffff_fff0_u32.to_le_bytes());
    bytes.extend_from_slice(&[0; 100]);
    let error =
        stream::parse(&bytes, &TransferSyntaxUid::explicit_le(), Limits::in_memory()).expect_err("cut off");
    assert!(matches!(error, DatasetError::Truncated { .. }), "{error}");
}

#[test]
fn a_deflate_bomb_is_refused() {
    let bomb = deflate(
        &[
            &[0xfc, 0xff, 0xfc, 0xff, b'O', b'B', 0, 0, 0, 0, 0, 0x7f][..],
            &vec![0; 300 << 20],
        ]
        .concat(),
    );
    let error =
        stream::parse(&bomb, &TransferSyntaxUid::deflated(), Limits::default()).expect_err("too large");
    assert!(matches!(error, DatasetError::TooLarge { .. }), "{error}");
}

#[test]
fn too_many_elements_are_left_out_and_said() {
    let mut items = Vec::new();
    for _ in 0..1000 {
        items.extend_from_slice(&[0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]);
    }
    let mut bytes = vec![0x40, 0, 0x30, 0xa7, b'S', b'Q', 0, 0];
    bytes.extend_from_slice(&u32::try_from(items.len()).expect("small").to_le_bytes());
    bytes.extend_from_slice(&items);
    let limits = Limits {
        retain_elements: 100,
        ..Limits::default()
    };
    let parsed = stream::parse(&bytes, &TransferSyntaxUid::explicit_le(), limits).expect("sound");
    assert_eq!(
        parsed.data_set.sequence(dataset::tags::CONTENT_SEQUENCE).len(),
        100
    );
    assert!(matches!(
        parsed.warnings.as_slice(),
        [dataset::Warning::NotRetained { elements: 900 }]
    ));
}

#[test]
fn sequences_sent_as_un_are_read() {
    let mut inner = DataSet::new();
    inner.put_text(dataset::tags::CODE_VALUE, Vr::SH, "T-1");
    let item = write::encode(&inner, Encoding::ImplicitLe).expect("writable");
    let length = u32::try_from(item.len()).expect("small");
    let sequence = [&[0xfe, 0xff, 0, 0xe0][..], &length.to_le_bytes(), &item].concat();
    let total = u32::try_from(sequence.len()).expect("small");
    let defined = [
        &[0x40, 0, 0x30, 0xa7, b'U', b'N', 0, 0][..],
        &total.to_le_bytes(),
        &sequence,
    ]
    .concat();
    let end = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    let undefined = [
        &[0x41, 0, 0x30, 0xa7, b'U', b'N', 0, 0, 0xff, 0xff, 0xff, 0xff][..],
        &sequence,
        &end,
    ]
    .concat();
    for (bytes, tag) in [(defined, Tag(0x40, 0xa730)), (undefined, Tag(0x41, 0xa730))] {
        let parsed =
            stream::parse(&bytes, &TransferSyntaxUid::explicit_le(), Limits::default()).expect("sound");
        let items = parsed.data_set.sequence(tag);
        assert_eq!(
            items
                .first()
                .and_then(|item| item.text(dataset::tags::CODE_VALUE))
                .as_deref(),
            Some("T-1")
        );
    }
}

#[test]
fn big_endian_values_come_out_little() {
    let bytes = [0, 0x28, 0, 0x10, b'U', b'S', 0, 2, 2, 0];
    let parsed = stream::parse(&bytes, &TransferSyntaxUid::explicit_be(), Limits::default()).expect("sound");
    assert_eq!(parsed.data_set.raw_at(&[], 0x0028_0010), Some(&[0, 2][..]));
    assert_eq!(parsed.data_set.i64(dataset::tags::ROWS), Some(512));
}

#[test]
fn fragments_and_offset_tables_are_found() {
    let item = |bytes: &[u8]| {
        [
            &[0xfe, 0xff, 0, 0xe0][..],
            &u32::try_from(bytes.len()).expect("small").to_le_bytes(),
            bytes,
        ]
        .concat()
    };
    let head = [0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff];
    let table = item(&[0, 0, 0, 0, 10, 0, 0, 0]);
    let bytes = [
        &head[..],
        &table,
        &item(&[1, 2]),
        &item(&[3, 4, 5, 6]),
        &[0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0],
    ]
    .concat();
    let syntax = TransferSyntaxUid::parse("1.2.840.10008.1.2.4.50").expect("valid");
    let parsed = stream::parse(&bytes, &syntax, Limits::default()).expect("sound");
    let info = parsed.pixel_data.expect("there");
    assert!(info.encapsulated && info.fragments_complete && info.length.is_none());
    assert_eq!((info.offset, info.fragments_offset), (12, 28));
    assert_eq!(info.basic_offset_table, [0, 10]);
    assert_eq!(info.fragments, [(36, 2), (46, 4)]);
}

/// What is told of an error does not depend on how the bytes were cut.
#[test]
fn bytes_behind_trailing_zeros_are_told_at_their_place() {
    let mut bytes = b"\x08\0\x60\0CS\x02\0CT".to_vec();
    bytes.extend([0; 40]);
    bytes.extend([7, 7]);
    let syntax = TransferSyntaxUid::explicit_le();
    let whole = stream::parse(&bytes, &syntax, Limits::default()).expect_err("rubbish");
    for step in [1, 3, 8, 16, 51] {
        let pieces = in_chunks(&bytes, &syntax, &[step]).expect_err("rubbish");
        assert_eq!(pieces, whole, "in pieces of {step}");
    }
    assert!(
        matches!(whole, DatasetError::UnexpectedTag { offset: 50, .. }),
        "{whole}"
    );
}

/// Small pieces of an upload come in before the preamble has ended; they are no verdict.
#[test]
fn a_file_is_not_judged_before_its_preamble_has_ended() {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0\x08\0\x60\0CS\x02\0CT");
    let whole = dataset::file::read_header(&bytes).expect("a sound file");
    assert_eq!(whole.dataset_offset, 160);
    for cut in 0..bytes.len() {
        match dataset::file::read_header(&bytes[..cut]) {
            Err(DatasetError::Incomplete { given }) => assert_eq!(given, cut),
            Ok(early) => assert_eq!(early.dataset_offset, 160),
            Err(other) => panic!("after {cut} bytes: {other}"),
        }
    }
    // a bare data set may be shorter than a preamble
    let bare = dataset::file::read(&bytes[160..], Limits::default()).expect("a bare data set");
    assert!(!bare.header.has_preamble);
}
