use super::*;
use crate::store::medium::{Blob, read_exact_at};
use crate::testing::TemporaryFolder;
use proptest::prelude::*;
use std::io;

struct Memory(Vec<u8>);

impl Blob for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

struct Keys {
    folder: TemporaryFolder,
}

impl Keys {
    fn new() -> Self {
        Self {
            folder: TemporaryFolder::new().unwrap(),
        }
    }

    fn ring(&self, lines: &[&str]) -> KeyRing {
        let path = self.folder.path().join("keys");
        std::fs::write(&path, lines.concat()).unwrap();
        KeyRing::open(KeySource::File(path)).unwrap()
    }
}

fn sealed(cipher: Cipher, ring: &KeyRing, label: &str, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut file = SealWriter::PLACEHOLDER.to_vec();
    let mut writer = SealWriter::new(cipher, ring).unwrap();
    let append = |file: &mut Vec<u8>, bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok(())
    };
    for piece in plain.chunks(piece.max(1)) {
        writer.push(piece, |bytes| append(&mut file, bytes)).unwrap();
    }
    let head = writer.finish(label, |bytes| append(&mut file, bytes)).unwrap();
    file[..HEAD_BYTES].copy_from_slice(head.bytes());
    file
}

fn opened(file: &[u8], ring: &KeyRing) -> Result<Vec<u8>> {
    let mut blob = SealedBlob::open(Box::new(Memory(file.to_vec())), ring)?;
    let mut plain = vec![0; blob.size() as usize];
    read_exact_at(&mut blob, 0, &mut plain).map_err(|e| ArchiveError::from_read("it", e))?;
    Ok(plain)
}

const CIPHERS: [Cipher; 2] = [Cipher::Aes256Gcm, Cipher::Sm4Gcm];

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 256) as u8).collect()
}

#[test]
fn every_length_comes_back_and_nothing_shows() {
    let keys = Keys::new();
    let ring = keys.ring(&[&new_key_line().unwrap()]);
    for cipher in CIPHERS {
        for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_001] {
            let plain = content(length);
            let file = sealed(cipher, &ring, "20251121/143/name.hexi.dcm", &plain, 10_000);
            let segments = length.div_ceil(SEGMENT_BYTES).max(1);
            assert_eq!(file.len(), HEAD_BYTES + length + segments * TAG_BYTES);
            assert_eq!(opened(&file, &ring).unwrap(), plain, "{cipher:?} {length}");
            let head = Head::read(&file).unwrap();
            assert_eq!(head.read_label(&ring).unwrap(), "20251121/143/name.hexi.dcm");
            assert!(!file.windows(8).any(|w| w == b"hexi.dcm"));
            assert!(length < 64 || !file.windows(32).any(|w| w == &plain[..32]));
        }
    }
}

#[test]
fn every_change_is_seen() {
    let keys = Keys::new();
    let ring = keys.ring(&[&new_key_line().unwrap()]);
    for cipher in CIPHERS {
        let plain = content(140_000);
        let file = sealed(cipher, &ring, "label", &plain, 1 << 20);
        let fails = |what: &str, file: &[u8]| {
            let error = opened(file, &ring).map(|_| ()).expect_err(what);
            assert!(
                matches!(error, ArchiveError::Corrupt(_) | ArchiveError::Sealed(_)),
                "{what}: {error}"
            );
        };
        for at in [
            0,
            8,
            9,
            12,
            20,
            35,
            45,
            60,
            HEAD_BYTES,
            HEAD_BYTES + 65_540,
            file.len() - 1,
        ] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            fails(&format!("a flipped bit at {at}"), &changed);
        }
        let segment = SEGMENT_BYTES + TAG_BYTES;
        for end in [
            0,
            100,
            HEAD_BYTES,
            HEAD_BYTES + 5,
            HEAD_BYTES + segment,
            HEAD_BYTES + 2 * segment,
            file.len() - 1,
        ] {
            fails(&format!("cut off at {end}"), &file[..end]);
        }
        let mut swapped = file.clone();
        let (first, second) = (
            HEAD_BYTES..HEAD_BYTES + segment,
            HEAD_BYTES + segment..HEAD_BYTES + 2 * segment,
        );
        let one = file[first.clone()].to_vec();
        swapped.copy_within(second.clone(), first.start);
        swapped[second].copy_from_slice(&one);
        fails("swapped segments", &swapped);
        let mut other_name = file.clone();
        other_name[LABEL + 3] ^= 1;
        assert!(Head::read(&other_name).unwrap().read_label(&ring).is_err());
    }
}

#[test]
fn keys_change_without_the_content() {
    let keys = Keys::new();
    let (old, new) = (new_key_line().unwrap(), new_key_line().unwrap());
    let old_ring = keys.ring(&[&old]);
    for cipher in CIPHERS {
        let plain = content(70_000);
        let mut file = sealed(cipher, &old_ring, "label", &plain, 1 << 20);
        let both = keys.ring(&[&new, &old]);
        let steps = Head::read(&file).unwrap().rewrap(&both).unwrap();
        assert_eq!(steps.len(), 2);
        let new_ring = keys.ring(&[&new]);
        assert!(matches!(opened(&file, &new_ring), Err(ArchiveError::Sealed(_))));
        for (at, bytes) in steps {
            // Torn in the middle of any step, it still opens by one of the two.
            let mut torn = file.clone();
            let half = at as usize..at as usize + bytes.len() / 2;
            torn[half.clone()].copy_from_slice(&bytes[..half.len()]);
            assert_eq!(opened(&torn, &both).unwrap(), plain);
            let whole = at as usize..at as usize + bytes.len();
            file[whole].copy_from_slice(&bytes);
            assert_eq!(opened(&file, &both).unwrap(), plain);
        }
        assert_eq!(opened(&file, &new_ring).unwrap(), plain);
        assert!(matches!(opened(&file, &old_ring), Err(ArchiveError::Sealed(_))));
        assert!(Head::read(&file).unwrap().rewrap(&new_ring).unwrap().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_range_is_what_was_written(
        length in 0usize..200_000, piece in 1usize..100_000, at in 0usize..220_000, count in 0usize..150_000, sm4: bool
    ) {
        let keys = Keys::new();
        let ring = keys.ring(&[&new_key_line().unwrap()]);
        let plain = content(length);
        let file = sealed(CIPHERS[usize::from(sm4)], &ring, "l", &plain, piece);
        let mut blob = SealedBlob::open(Box::new(Memory(file)), &ring).unwrap();
        let expect = plain.get(at..).unwrap_or_default();
        let expect = &expect[..expect.len().min(count)];
        let mut found = vec![0; expect.len()];
        read_exact_at(&mut blob, at as u64, &mut found).unwrap();
        prop_assert_eq!(found, expect);
    }

    #[test]
    fn no_head_makes_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let keys = Keys::new();
        let ring = keys.ring(&[&new_key_line().unwrap()]);
        let mut file = bytes;
        if file.len() > 10 {
            file[..8].copy_from_slice(&MAGIC);
            (file[8], file[9]) = (1, SEGMENT_LOG2);
        }
        prop_assert!(opened(&file, &ring).is_err());
    }
}
