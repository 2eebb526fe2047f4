//! The form of a segment: a head in its first block, then records, each beginning at a block.
//!
//! A record belongs to a segment's present use only when it carries the number that the head tells;
//! the number is random, so bytes of a peer cannot pose as a record.

use std::ops::Range;

/// What a device writes at once.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Bytes before a record's content: fixed fields, then the name.
pub(super) const HEAD_BYTES: usize = 320;
/// Longest name.
pub(super) const NAME_BYTES_MAX: usize = 256;
const SEGMENT_MARK: [u8; 8] = *b"GYJSEG01";
const RECORD_MARK: [u8; 8] = *b"GYJREC01";
/// Mark, number of use, length of the content, length of the name, two check sums.
const FIELDS_BYTES: usize = 40;

/// Bytes that a record takes in a segment.
pub(super) fn room_of(content_bytes: usize) -> usize {
    (HEAD_BYTES + content_bytes).next_multiple_of(BLOCK_BYTES)
}

fn sum(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The first block of a segment.
pub(super) fn segment_head(use_number: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    let number = use_number.to_le_bytes();
    let check = sum(&[&SEGMENT_MARK, &number]).to_le_bytes();
    put(&mut block, 0, &SEGMENT_MARK);
    put(&mut block, 8, &number);
    put(&mut block, 16, &check);
    block
}

/// The number of the present use, when the block is a sound head.
pub(super) fn read_segment_head(block: &[u8]) -> Option<u64> {
    let (mark, number) = (block.get(..8)?, block.get(8..16)?);
    (mark == SEGMENT_MARK && u32_at(block, 16)? == sum(&[mark, number])).then_some(())?;
    u64_at(block, 8)
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = into.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Writes the head before the content that stands at `HEAD_BYTES..` already.
pub(super) fn seal(record: &mut [u8], use_number: u64, name: &str, content_bytes: usize) {
    let content = record
        .get(HEAD_BYTES..HEAD_BYTES + content_bytes)
        .unwrap_or_default();
    let content_sum = sum(&[content]);
    let mut fields = [0u8; FIELDS_BYTES];
    put(&mut fields, 0, &RECORD_MARK);
    put(&mut fields, 8, &use_number.to_le_bytes());
    put(&mut fields, 16, &(content_bytes as u64).to_le_bytes());
    put(&mut fields, 24, &(name.len() as u32).to_le_bytes());
    put(&mut fields, 28, &content_sum.to_le_bytes());
    let check = sum(&[fields.get(..32).unwrap_or_default(), name.as_bytes()]);
    put(&mut fields, 32, &check.to_le_bytes());
    put(record, 0, &fields);
    put(record, FIELDS_BYTES, name.as_bytes());
}

/// A record found in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) content: Range<usize>,
}

/// The record that begins at `at`, when there is a whole and sound one of this use.
pub(super) fn read(segment: &[u8], at: usize, use_number: u64) -> Option<Found> {
    let head = segment.get(at..at + HEAD_BYTES)?;
    if head.get(..8)? != RECORD_MARK || u64_at(head, 8)? != use_number {
        return None;
    }
    let content_bytes = usize::try_from(u64_at(head, 16)?).ok()?;
    let name_bytes = usize::try_from(u32_at(head, 24)?).ok()?;
    if name_bytes > NAME_BYTES_MAX {
        return None;
    }
    let name = head.get(FIELDS_BYTES..FIELDS_BYTES + name_bytes)?;
    if u32_at(head, 32)? != sum(&[head.get(..32)?, name]) {
        return None;
    }
    let start = at + HEAD_BYTES;
    let content = start..start.checked_add(content_bytes)?;
    (u32_at(head, 28)? == sum(&[segment.get(content.clone())?])).then_some(())?;
    Some(Found {
        name: std::str::from_utf8(name).ok()?.to_owned(),
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(use_number: u64, name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; room_of(content.len())];
        put(&mut bytes, HEAD_BYTES, content);
        seal(&mut bytes, use_number, name, content.len());
        bytes
    }

    #[test]
    fn records_come_back_and_damage_is_seen() {
        for length in [0, 1, 3775, 3776, 3777, 100_000] {
            let content: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let name = "20250101/143/abc.hexi.dcm";
            let sound = record(7, name, &content);
            assert_eq!(sound.len() % BLOCK_BYTES, 0);
            let found = read(&sound, 0, 7).expect("sound");
            assert_eq!((found.name.as_str(), &sound[found.content]), (name, &content[..]));
            assert_eq!(read(&sound, 0, 8), None);
            for at in (0..HEAD_BYTES + length).step_by(997).chain([8, 17, 30, 41]) {
                let mut damaged = sound.clone();
                damaged[at] ^= 1;
                let same = read(&damaged, 0, 7).is_some();
                let unused = (FIELDS_BYTES + name.len()..HEAD_BYTES).contains(&at) || (36..40).contains(&at);
                assert_eq!(same, unused, "byte {at} of {length}");
            }
            let cut = &sound[..HEAD_BYTES + length / 2];
            assert_eq!(read(cut, 0, 7).is_some(), length == 0, "half of {length}");
        }
    }

    #[test]
    fn heads_come_back() {
        let mut head = segment_head(u64::MAX - 3);
        assert_eq!(read_segment_head(&head), Some(u64::MAX - 3));
        head[9] ^= 1;
        assert_eq!(read_segment_head(&head), None);
        assert_eq!(read_segment_head(&[0; BLOCK_BYTES]), None);
    }
}
