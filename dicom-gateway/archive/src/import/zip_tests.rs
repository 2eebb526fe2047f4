//! Round trips with a small writer of our own, and archives that want harm.

use super::*;
use crate::testing::TemporaryFolder;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;
use std::io::Write;

/// One entry as a test wants it; fields that lie are set by hand.
#[derive(Clone, Debug)]
struct Made {
    name: Vec<u8>,
    content: Vec<u8>,
    deflate: bool,
    lie_size: Option<u32>,
    lie_crc: Option<u32>,
    flags: u16,
    method: Option<u16>,
    attributes: u32,
    at: Option<u32>,
}

fn made(name: &str, content: &[u8]) -> Made {
    Made {
        name: name.as_bytes().to_vec(),
        content: content.to_vec(),
        deflate: true,
        lie_size: None,
        lie_crc: None,
        flags: 0,
        method: None,
        attributes: 0,
        at: None,
    }
}

fn pack(content: &[u8], deflate: bool) -> Vec<u8> {
    if !deflate {
        return content.to_vec();
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn head(entry: &Made, packed: u32) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&entry.content);
    let method = entry.method.unwrap_or(if entry.deflate { 8 } else { 0 });
    let mut out = Vec::new();
    out.extend(entry.flags.to_le_bytes());
    out.extend(method.to_le_bytes());
    out.extend([0; 4]);
    out.extend(entry.lie_crc.unwrap_or_else(|| crc.sum()).to_le_bytes());
    out.extend(packed.to_le_bytes());
    let size = entry.lie_size.unwrap_or(entry.content.len() as u32);
    out.extend(size.to_le_bytes());
    out.extend((entry.name.len() as u16).to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}

fn archive(before: &[u8], entries: &[Made]) -> Vec<u8> {
    let (mut out, mut list) = (before.to_vec(), Vec::new());
    for entry in entries {
        let at = entry.at.unwrap_or((out.len() - before.len()) as u32);
        let packed = pack(&entry.content, entry.deflate);
        out.extend(LOCAL.to_le_bytes());
        out.extend([20, 0]);
        out.extend(head(entry, packed.len() as u32));
        out.extend(&entry.name);
        out.extend(&packed);
        list.extend(CENTRAL.to_le_bytes());
        list.extend([20, 3, 20, 0]);
        list.extend(head(entry, packed.len() as u32));
        list.extend([0; 6]);
        list.extend(entry.attributes.to_le_bytes());
        list.extend(at.to_le_bytes());
        list.extend(&entry.name);
    }
    let at = (out.len() - before.len()) as u32;
    out.extend(&list);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((list.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}

/// Name and content of each entry, or why it is not read.
type Contents = Vec<(String, Result<Vec<u8>, String>)>;

fn contents(path: &Path) -> Result<Contents, String> {
    let zip = Zip::open(path).map_err(|e| e.to_string())?;
    let mut entries = zip.entries(path).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    while let Some(entry) = entries.next() {
        match entry.map_err(|e| e.to_string())? {
            Ok(entry) => {
                let read = entry.reader(path).and_then(|reader| {
                    let mut all = Vec::new();
                    reader.take(64 << 20).read_to_end(&mut all).map(|_| all)
                });
                out.push((entry.name, read.map_err(|e| e.to_string())));
            }
            Err(refused) => out.push((refused.name, Err(refused.reason.to_owned()))),
        }
    }
    Ok(out)
}

fn read(bytes: &[u8]) -> Result<Contents, String> {
    let folder = TemporaryFolder::new().unwrap();
    let path = folder.path().join("a.zip");
    std::fs::write(&path, bytes).unwrap();
    contents(&path)
}

#[test]
fn entries_come_back_stored_or_deflated_also_behind_a_program() {
    let mut stored = made("a/one.dcm", b"stored");
    stored.deflate = false;
    let gbk = Made {
        name: vec![0xCE, 0xC4, b'.', b'd', b'c', b'm'],
        ..made("", &[7; 100_000])
    };
    let folder = made("a/", b"");
    for before in [&b""[..], b"MZ a program that unpacks itself"] {
        let all = read(&archive(before, &[stored.clone(), gbk.clone(), folder.clone()])).unwrap();
        assert_eq!(
            all,
            [
                ("a/one.dcm".to_owned(), Ok(b"stored".to_vec())),
                ("文.dcm".to_owned(), Ok(vec![7; 100_000]))
            ]
        );
    }
}

#[test]
fn tricks_are_refused_by_name_and_the_rest_is_read() {
    let trick = |entry: Made| {
        let all = read(&archive(b"", &[made("good", b"good"), entry])).unwrap();
        assert_eq!(all[0], ("good".to_owned(), Ok(b"good".to_vec())));
        all[1].1.clone().unwrap_err()
    };
    let out = "its name leads out of the archive";
    for name in ["../x", "a/../../x", "/etc/passwd", "C:\\x", "a\\..\\x", "\\x"] {
        assert_eq!(trick(made(name, b"x")), out, "{name}");
    }
    assert!(trick(made("a\nb", b"x")).contains("control"));
    let link = Made {
        attributes: 0xA1FF << 16,
        ..made("link", b"/etc/passwd")
    };
    assert!(trick(link).contains("link"));
    let encrypted = Made {
        flags: 1,
        ..made("e", b"x")
    };
    assert!(trick(encrypted).contains("encrypted"));
    let method = Made {
        method: Some(14),
        ..made("lzma", b"x")
    };
    assert!(trick(method).contains("compression"));
    let short = Made {
        lie_size: Some(10),
        ..made("longer", &[1; 5000])
    };
    assert!(trick(short).contains("more than its announced size"));
    let long = Made {
        lie_size: Some(9000),
        ..made("shorter", &[1; 5000])
    };
    assert!(trick(long).contains("before its announced size"));
    let crc = Made {
        lie_crc: Some(1),
        ..made("crc", b"x")
    };
    assert!(trick(crc).contains("checksum"));
    let overlap = Made {
        at: Some(0),
        ..made("good", b"x")
    };
    assert!(trick(overlap).contains("overlaps"));
    let ratio = Made {
        lie_size: Some(0xF000_0000),
        ..made("ratio", &[0; 100])
    };
    assert!(trick(ratio).contains("400 times"));
}

#[test]
fn a_bomb_of_many_entries_ends_the_archive() {
    let entry = |n: u32| Made {
        lie_size: Some(60 << 20),
        ..made(&format!("{n}"), b"x")
    };
    let all: Vec<Made> = (0..100).map(entry).collect();
    let error = read(&archive(b"", &all)).unwrap_err();
    assert!(error.contains("200 times"), "{error}");
}

#[test]
fn what_is_no_zip_says_so() {
    for bytes in [&b""[..], b"PK", &[0; 1000], b"not a zip at all, but long enough"] {
        assert!(read(bytes).unwrap_err().contains("no ZIP file"));
    }
    let mut cut = archive(b"", &[made("a", b"a")]);
    cut.truncate(cut.len() - 30);
    assert!(read(&cut).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_packed_comes_back(
        contents in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..12)
    ) {
        let entries: Vec<Made> = contents
            .iter()
            .enumerate()
            .map(|(n, (content, deflate))| Made { deflate: *deflate, ..made(&format!("f/{n}"), content) })
            .collect();
        let all = read(&archive(b"", &entries)).unwrap();
        prop_assert_eq!(all.len(), entries.len());
        for ((name, read), entry) in all.iter().zip(&entries) {
            prop_assert_eq!(name.as_bytes(), &entry.name[..]);
            prop_assert_eq!(read.as_ref().unwrap(), &entry.content);
        }
    }

    #[test]
    fn damage_never_hangs_nor_panics(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>()
    ) {
        let mut bytes = archive(b"", &[made("one", &[1; 400]), made("two", b"two"), made("three", &[9; 70])]);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }
}
