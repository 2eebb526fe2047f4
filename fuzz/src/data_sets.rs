//! Data sets, files, texts and DICOM JSON.

use dataset::json::{BulkPolicy, from_json, to_json};
use dataset::{
    CharacterSets, DataSet, DatasetError, Encoding, Limits, Parsed, PersonName, Tokenizer, TransferSyntaxUid,
    Value, Vr, file, stream, write,
};

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for set in [sample(0), sample(1), sample(3)] {
        for (kind, encoding) in [(0, Encoding::ExplicitLe), (1, Encoding::ImplicitLe)] {
            let bytes = write::encode(&set, encoding).expect("a sound data set");
            seeds.push(("data_set", [&[kind, 7][..], &bytes].concat()));
            let mut file = vec![0; 128];
            file.extend(b"DICM\x02\0\x10\0UI");
            file.extend(match kind {
                0 => b"\x14\x001.2.840.10008.1.2.1\0".to_vec(),
                _ => b"\x12\x001.2.840.10008.1.2\0".to_vec(),
            });
            file.extend(&bytes);
            seeds.push(("file_header", [&[200][..], &file].concat()));
        }
        seeds.push(("json", to_json(&set, &policy()).to_string().into_bytes()));
    }
    let undefined = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x50\x11UI\x04\x001.2\0\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0";
    let fragments = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\x04\0\0\0\0\0\0\0\xfe\xff\0\xe0\x02\0\0\0ab\xfe\xff\xdd\xe0\0\0\0\0";
    seeds.push(("data_set", [&[0, 3][..], undefined].concat()));
    seeds.push(("data_set", [&[4, 9][..], undefined, fragments].concat()));
    for text in [
        &b"ISO_IR 192|\xe5\xbc\xa0^\xe4\xb8\x89=\xe5\xbc\xa0"[..],
        b"GB18030|Zhang^San=\xd5\xc5^\xc8\xfd\x95\x32\x82\x36",
        b"GBK|\xd5\x5c\\a",
        b"\\ISO 2022 IR 58|Wang=\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1",
        b"ISO 2022 IR 13\\ISO 2022 IR 87|\xd4\xcf\xc0=\x1b$B;3ED\x1b(J",
        b"\\ISO 2022 IR 149|Hong=\x1b$)C\xfb\xf3",
        b"ISO_IR 100|B\xfcc",
        b"ISO_IR 144|\xbb\xee",
    ] {
        seeds.push(("charset", text.to_vec()));
    }
    seeds
}

/// Texts, numbers, bytes and `depth` sequences inside one another.
fn sample(depth: usize) -> DataSet {
    use dataset::tags;
    let mut set = DataSet::with_charset(CharacterSets::gb18030());
    set.declare_charset(CharacterSets::gb18030());
    set.put_text(tags::PATIENT_NAME, Vr::PN, "Zhang^San=张^三");
    set.put_text(tags::WINDOW_CENTER, Vr::DS, "40.5\\-5");
    set.put_u16(tags::ROWS, 512);
    set.put_f64s(dataset::Tag(0x0018, 0x9073), &[1.5]);
    set.put_bytes(dataset::Tag(0x0029, 0x1010), Vr::OB, vec![1, 2, 3, 4]);
    if depth > 0 {
        set.put_sequence(tags::CONTENT_SEQUENCE, vec![sample(depth - 1), sample(0)]);
    }
    set
}

/// Bounds small enough that each of them is met.
fn limits() -> Limits {
    Limits {
        depth_max: 8,
        retain_value_bytes: 4096,
        retain_total_bytes: 64 << 10,
        retain_elements: 2_000,
        dataset_bytes_max: 1 << 20,
        inflated_bytes_max: 4 << 20,
        fragments_max: 64,
        offset_table_bytes_max: 1024,
        warnings_max: 16,
    }
}

fn syntax(kind: u8) -> TransferSyntaxUid {
    match kind % 5 {
        0 => TransferSyntaxUid::explicit_le(),
        1 => TransferSyntaxUid::implicit_le(),
        2 => TransferSyntaxUid::explicit_be(),
        3 => TransferSyntaxUid::deflated(),
        _ => TransferSyntaxUid::parse("1.2.840.10008.1.2.4.50").expect("a known syntax"),
    }
}

fn in_pieces(bytes: &[u8], syntax: &TransferSyntaxUid, step: usize) -> Result<Parsed, DatasetError> {
    let mut tokenizer = Tokenizer::new(syntax, limits());
    for piece in bytes.chunks(step.max(1)) {
        tokenizer.feed(piece)?;
    }
    tokenizer.finish()
}

/// The tokenizer: whole equals piecewise; what was read is written, read and written again the same.
pub fn data_set(bytes: &[u8]) {
    let Some((&[kind, step], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let syntax = syntax(kind);
    let whole = stream::parse(rest, &syntax, limits());
    let pieces = in_pieces(rest, &syntax, usize::from(step));
    match (&whole, &pieces) {
        (Ok(a), Ok(b)) => {
            assert_eq!(a.data_set, b.data_set);
            assert_eq!(a.pixel_data, b.pixel_data);
            assert_eq!(a.warnings, b.warnings);
            assert_eq!((a.length, a.explicit_vr), (b.length, b.explicit_vr));
        }
        // how far the inflater had come is its own affair
        (Err(_), Err(_)) if kind % 5 == 3 => {}
        (Err(a), Err(b)) => assert_eq!(a, b),
        _ => panic!("whole {whole:?}, in pieces {pieces:?}"),
    }
    let mut partial = Tokenizer::new(&syntax, limits());
    let _ = partial.feed(rest);
    let partial = partial.finish_partial();
    read_everything(&partial.data_set);
    if let Ok(parsed) = &whole {
        assert_eq!(parsed.data_set, partial.data_set);
        written_again(&parsed.data_set);
    }
}

fn was_kept(set: &DataSet) -> bool {
    set.elements().iter().all(|element| match &element.value {
        Value::Bytes(_) => true,
        Value::External { .. } => false,
        Value::Items(items) => items.iter().all(was_kept),
    })
}

/// Paddings may be added by the first writing; from then on nothing changes any more.
fn written_again(set: &DataSet) {
    if !was_kept(set) {
        return;
    }
    let Ok(first) = write::encode(set, Encoding::ExplicitLe) else {
        return;
    };
    // nothing that was kept before is too much now
    let read = stream::parse(&first, &TransferSyntaxUid::explicit_le(), Limits::in_memory())
        .expect("what was written can be read");
    if !was_kept(&read.data_set) {
        return;
    }
    let second = write::encode(&read.data_set, Encoding::ExplicitLe).expect("and written");
    assert_eq!(first, second);
}

/// Every kind of access to every element.
fn read_everything(set: &DataSet) {
    for element in set.elements() {
        let tag = element.tag;
        let _ = set.text(tag);
        let _ = set.texts(tag);
        let _ = set.i64s(tag);
        let _ = set.f64s(tag);
        let _ = set.uid(tag);
        let _ = set.person_name(tag).map(|name| (name.display(), name.to_dicom()));
        let _ = set.raw_at(&[], (u32::from(tag.0) << 16) | u32::from(tag.1));
        if let Value::Items(items) = &element.value {
            items.iter().for_each(read_everything);
        }
    }
    let _ = to_json(set, &policy());
}

fn policy() -> BulkPolicy {
    BulkPolicy {
        base_uri: "http://x/bulkdata".into(),
        inline_max_bytes: 64,
    }
}

/// Part 10 files: a verdict on a prefix is the verdict on the whole.
pub fn file_header(bytes: &[u8]) {
    let Some((&[at], rest)) = bytes.split_first_chunk::<1>() else {
        return;
    };
    let whole = file::read_header(rest);
    let cut = rest.len() * usize::from(at) / 256;
    match file::read_header(&rest[..cut]) {
        Ok(early) => {
            let late = whole.as_ref().expect("a prefix was enough");
            assert_eq!(early.dataset_offset, late.dataset_offset);
            assert_eq!(early.transfer_syntax, late.transfer_syntax);
            assert_eq!(early.meta, late.meta);
        }
        Err(DatasetError::Incomplete { given }) => assert!(given <= cut),
        Err(_) => assert!(whole.is_err(), "a prefix was refused, the whole was not"),
    }
    if let Ok(header) = whole {
        assert!(header.dataset_offset <= rest.len());
        let _ = (header.sop_class(), header.sop_instance());
    }
    let read = file::read(rest, limits());
    if let Ok(partial) = file::read_partial(rest, limits()) {
        read_everything(&partial.parsed.data_set);
        if let Ok(read) = read {
            assert_eq!(read.parsed.data_set, partial.parsed.data_set);
        }
    }
}

/// Character sets: terms, then text bytes. What could be read can be written and is read the same.
pub fn charset(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == b'|').unwrap_or(bytes.len());
    let (terms, text) = bytes.split_at(at);
    let text = text.get(1..).unwrap_or_default();
    let set = CharacterSets::from_bytes(terms);
    for vr in [Vr::PN, Vr::LO, Vr::UT] {
        let decoded = set.decode(text, vr);
        assert!(decoded.text.len() <= 8 * text.len() + 8);
        let name = PersonName::parse(&decoded.text);
        assert_eq!(PersonName::parse(&name.to_dicom()), name);
        let _ = name.display();
        let lossy = set.encode_lossy(&decoded.text);
        assert!(set.decode(&lossy, vr).text.chars().count() <= decoded.text.chars().count());
        if let Some(written) = set.encode(&decoded.text)
            && !decoded.damaged
        {
            let again = set.decode(&written, vr);
            assert!(!again.damaged, "{:?} as {:?}", decoded.text, set.terms());
            assert_eq!(again.text, decoded.text, "{:?}", set.terms());
        }
    }
    let mut root = DataSet::with_charset(set);
    root.put_text(
        dataset::tags::PATIENT_NAME,
        Vr::PN,
        &String::from_utf8_lossy(text),
    );
    let _ = root.person_name(dataset::tags::PATIENT_NAME);
}

/// DICOM JSON: what was read is written and read again the same.
pub fn json(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return;
    };
    let Ok(set) = from_json(&value) else {
        return;
    };
    let written = to_json(&set, &policy());
    // bytes that are no text of the character set become text once, and then stay
    let again = from_json(&written).expect("what was written can be read");
    let settled = to_json(&again, &policy());
    let third = from_json(&settled).expect("and read again");
    assert_eq!(to_json(&third, &policy()), settled);
    let _ = write::encode(&set, Encoding::ExplicitLe);
}
