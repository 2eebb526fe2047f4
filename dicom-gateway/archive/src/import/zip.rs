//! A reader of ZIP files (PKWARE APPNOTE 6.3.10) that trusts nothing in them.
//!
//! The central directory is read entry by entry, so memory does not follow the number of entries;
//! nothing is ever unpacked to disk. Refused are: names that lead out of the archive, encrypted and
//! unknown methods, entries that overlap (the trick of the flat bomb), sizes and ratios beyond the
//! limits, and content that is longer or other than announced.

use flate2::read::DeflateDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

/// Entries of one archive.
pub(crate) const ENTRIES_MAX: u64 = 1_000_000;
/// Largest unpacked entry.
pub(crate) const ENTRY_BYTES_MAX: u64 = 64 << 30;
/// Unpacked entries up to this size may have any ratio: an empty picture packs 1000 to 1.
pub(crate) const RATIO_FREE_BYTES: u64 = 64 << 20;
/// Unpacked to packed size of a larger entry.
pub(crate) const RATIO_MAX: u64 = 400;
/// Unpacked sum of all entries in relation to the file's own size, once it passes
/// [`TOTAL_FREE_BYTES`].
pub(crate) const TOTAL_RATIO_MAX: u64 = 200;
/// Unpacked sum that may have any ratio.
pub(crate) const TOTAL_FREE_BYTES: u64 = 4 << 30;
/// Longest name.
const NAME_BYTES_MAX: usize = 4096;
/// The record at the end and its comment.
const TAIL_BYTES_MAX: u64 = 22 + 65_535;

const END: u32 = 0x0605_4B50;
const END64: u32 = 0x0606_4B50;
const LOCATOR64: u32 = 0x0706_4B50;
const CENTRAL: u32 = 0x0201_4B50;
const LOCAL: u32 = 0x0403_4B50;

/// Why an archive cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipFault {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no ZIP file: {0}")]
    NotZip(&'static str),
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    #[error("it would unpack to more than {TOTAL_RATIO_MAX} times its own size")]
    Bomb,
}

/// Where an archive keeps its list.
#[derive(Debug)]
pub(crate) struct Zip {
    file_bytes: u64,
    /// Where the first byte of the archive stands in the file: behind a program that unpacks it.
    base: u64,
    directory_at: u64,
    directory_bytes: u64,
    entries: u64,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZipEntry {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    packed: u64,
    deflated: bool,
    header_at: u64,
    data_end_max: u64,
}

/// An entry that is not read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZipRefused {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    two.map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    eight.map_or(0, u64::from_le_bytes)
}

impl Zip {
    /// Finds the list of an archive.
    pub(crate) fn open(path: &Path) -> Result<Self, ZipFault> {
        let mut file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        let tail_bytes = file_bytes.min(TAIL_BYTES_MAX);
        let tail_at = file_bytes - tail_bytes;
        file.seek(SeekFrom::Start(tail_at))?;
        let mut tail = Vec::new();
        (&mut file).take(tail_bytes).read_to_end(&mut tail)?;
        let end = end_record(&tail).ok_or(ZipFault::NotZip("the record at its end is missing"))?;
        let record = tail.get(end..).unwrap_or_default();
        if u16_at(record, 4) != 0 || u16_at(record, 6) != 0 {
            return Err(ZipFault::NotZip("it is one of several parts; join them first"));
        }
        let mut entries = u64::from(u16_at(record, 10));
        let mut directory_bytes = u64::from(u32_at(record, 12));
        let mut declared_at = u64::from(u32_at(record, 16));
        let mut list_end = tail_at + end as u64;
        if entries == 0xFFFF || directory_bytes == 0xFFFF_FFFF || declared_at == 0xFFFF_FFFF {
            let large = end64(&mut file, list_end)?;
            if let Some((record, at)) = large {
                entries = u64_at(&record, 32);
                directory_bytes = u64_at(&record, 40);
                declared_at = u64_at(&record, 48);
                list_end = at;
            }
        }
        if entries > ENTRIES_MAX {
            return Err(ZipFault::TooManyEntries);
        }
        let directory_at = list_end.checked_sub(directory_bytes);
        let base = directory_at.and_then(|at| at.checked_sub(declared_at));
        let (Some(directory_at), Some(base)) = (directory_at, base) else {
            return Err(ZipFault::NotZip("its list lies outside of the file"));
        };
        Ok(Self {
            file_bytes,
            base,
            directory_at,
            directory_bytes,
            entries,
        })
    }

    /// Entries as the list tells, for a progress bar.
    pub(crate) fn entry_count(&self) -> u64 {
        self.entries
    }

    /// The entries in the order of the list; folders are left away.
    pub(crate) fn entries(&self, path: &Path) -> Result<Entries, ZipFault> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.directory_at))?;
        Ok(Entries {
            list: BufReader::with_capacity(64 << 10, file.take(self.directory_bytes)),
            left: self.entries,
            base: self.base,
            directory_at: self.directory_at,
            file_bytes: self.file_bytes,
            total: 0,
            ranges: BTreeMap::new(),
        })
    }
}

/// The last place whose comment ends with the file: a comment may hold the signature too.
fn end_record(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(22)?;
    (0..=last).rev().find(|&at| {
        let fits = || usize::from(u16_at(tail, at + 20)) == tail.len() - at - 22;
        u32_at(tail, at) == END && fits()
    })
}

/// The record of large archives before the one at the end, and where it stands.
fn end64(file: &mut File, end_at: u64) -> Result<Option<(Vec<u8>, u64)>, ZipFault> {
    let Some(locator_at) = end_at.checked_sub(20) else {
        return Ok(None);
    };
    let mut locator = [0; 20];
    file.seek(SeekFrom::Start(locator_at))?;
    file.read_exact(&mut locator)?;
    if u32_at(&locator, 0) != LOCATOR64 {
        return Ok(None);
    }
    // Directly before the locator when nothing extends it; the told place counts from the base.
    for at in [locator_at.checked_sub(56), Some(u64_at(&locator, 8))] {
        let Some(at) = at.filter(|at| at.saturating_add(56) <= locator_at) else {
            continue;
        };
        let mut record = vec![0; 56];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut record)?;
        if u32_at(&record, 0) == END64 {
            return Ok(Some((record, at)));
        }
    }
    Err(ZipFault::NotZip("its list for large archives is damaged"))
}

/// Goes through the list of an archive.
pub(crate) struct Entries {
    list: BufReader<Take<File>>,
    left: u64,
    base: u64,
    directory_at: u64,
    file_bytes: u64,
    total: u64,
    /// Start and end of what was given out, to find overlaps.
    ranges: BTreeMap<u64, u64>,
}

impl Entries {
    /// The next entry: good, refused, or an end of the whole archive.
    pub(crate) fn next(&mut self) -> Option<Result<Result<ZipEntry, ZipRefused>, ZipFault>> {
        while self.left > 0 {
            self.left -= 1;
            match self.read() {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(fault) => {
                    self.left = 0;
                    return Some(Err(fault));
                }
            }
        }
        None
    }

    fn read(&mut self) -> Result<Option<Result<ZipEntry, ZipRefused>>, ZipFault> {
        let broken = |_| ZipFault::NotZip("its list ends too early");
        let mut head = [0; 46];
        self.list.read_exact(&mut head).map_err(broken)?;
        if u32_at(&head, 0) != CENTRAL {
            return Err(ZipFault::NotZip("its list is damaged"));
        }
        let mut rest = vec![0; usize::from(u16_at(&head, 28))];
        self.list.read_exact(&mut rest).map_err(broken)?;
        let mut extra = vec![0; usize::from(u16_at(&head, 30))];
        self.list.read_exact(&mut extra).map_err(broken)?;
        let comment = u64::from(u16_at(&head, 32));
        let skipped = io::copy(&mut (&mut self.list).take(comment), &mut io::sink())?;
        if skipped != comment {
            return Err(ZipFault::NotZip("its list ends too early"));
        }
        if rest.last() == Some(&b'/') && u32_at(&head, 24) == 0 {
            return Ok(None);
        }
        let name = decode_name(&rest, u16_at(&head, 8));
        let sizes = sizes(&head, &extra);
        self.total = self.total.saturating_add(sizes.0);
        let total_max = self.file_bytes.saturating_mul(TOTAL_RATIO_MAX);
        if self.total > TOTAL_FREE_BYTES && self.total > total_max {
            return Err(ZipFault::Bomb);
        }
        let entry = self.check(&head, &rest, sizes);
        Ok(Some(match entry {
            Ok(entry) => Ok(ZipEntry { name, ..entry }),
            Err(reason) => Err(ZipRefused { name, reason }),
        }))
    }

    fn check(
        &mut self,
        head: &[u8],
        name: &[u8],
        (size, packed, offset): (u64, u64, u64),
    ) -> Result<ZipEntry, &'static str> {
        if let Some(reason) = bad_name(name) {
            return Err(reason);
        }
        let unix_kind = (u32_at(head, 38) >> 16) & 0xF000;
        if head.get(5) == Some(&3) && ![0, 0x8000].contains(&unix_kind) {
            return Err("it is a link or a device, no file");
        }
        if u16_at(head, 8) & 0x2041 != 0 {
            return Err("it is encrypted");
        }
        let deflated = match u16_at(head, 10) {
            0 if size == packed => false,
            0 => return Err("its sizes do not agree"),
            8 => true,
            _ => return Err("its compression is not one of: stored, deflate"),
        };
        if size > ENTRY_BYTES_MAX {
            return Err("it is larger than 64 GiB");
        }
        if size > RATIO_FREE_BYTES && size / packed.max(1) > RATIO_MAX {
            return Err("it would unpack to more than 400 times its size");
        }
        let header_at = self.base.saturating_add(offset);
        let end_min = header_at
            .saturating_add(30)
            .saturating_add(name.len() as u64)
            .saturating_add(packed);
        if end_min > self.directory_at {
            return Err("it lies outside of the archive");
        }
        let before = self.ranges.range(..end_min).next_back();
        if before.is_some_and(|(_, end)| *end > header_at) {
            return Err("it overlaps another entry");
        }
        self.ranges.insert(header_at, end_min);
        Ok(ZipEntry {
            name: String::new(),
            size,
            crc: u32_at(head, 16),
            packed,
            deflated,
            header_at,
            data_end_max: self.directory_at,
        })
    }
}

/// Unpacked size, packed size and place; 64-bit ones stand in an extra field (APPNOTE 4.5.3).
fn sizes(head: &[u8], extra: &[u8]) -> (u64, u64, u64) {
    let mut values = [u32_at(head, 24), u32_at(head, 20), u32_at(head, 42)].map(u64::from);
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let field = rest.get(4..4 + length).unwrap_or_default();
        if id == 1 {
            let mut at = 0;
            for value in values.iter_mut().filter(|value| **value == 0xFFFF_FFFF) {
                if field.len() >= at + 8 {
                    *value = u64_at(field, at);
                    at += 8;
                }
            }
        }
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    values.into()
}

/// Names made on Chinese Windows carry no mark and are GBK.
fn decode_name(bytes: &[u8], flags: u16) -> String {
    let bytes = bytes.get(..NAME_BYTES_MAX).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if flags & 0x0800 != 0 => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => {
            let set = dataset::CharacterSets::gb18030();
            set.decode(bytes, dataset::Vr::LO).text
        }
    }
}

/// What is wrong with a name that leads out of the archive. Nothing is written under these names;
/// who uses them wants harm all the same.
fn bad_name(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Some("its name is empty or longer than 4096 bytes");
    }
    if name.iter().any(|b| *b < 0x20 || *b == 0x7F) {
        return Some("its name holds control characters");
    }
    let is_gap = |b: &u8| *b == b'/' || *b == b'\\';
    let rooted = name.first().is_some_and(is_gap) || name.get(1) == Some(&b':');
    if rooted || name.split(|b| is_gap(b)).any(|part| part == b"..") {
        return Some("its name leads out of the archive");
    }
    None
}

/// Content of an entry; every byte is counted and the checksum compared at the end.
#[derive(Debug)]
pub(crate) struct ZipReader {
    source: Source,
    crc: flate2::Crc,
    wanted_crc: u32,
    left: u64,
    ended: bool,
}

#[derive(Debug)]
enum Source {
    Stored(Take<File>),
    Deflated(DeflateDecoder<BufReader<Take<File>>>),
}

fn wrong(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

impl ZipEntry {
    /// Opens the entry's content.
    pub(crate) fn reader(&self, path: &Path) -> io::Result<ZipReader> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.header_at))?;
        let mut head = [0; 30];
        file.read_exact(&mut head)?;
        if u32_at(&head, 0) != LOCAL {
            return Err(wrong("the entry's own header is missing"));
        }
        let skip = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        let data_at = self.header_at.saturating_add(30).saturating_add(skip);
        if data_at.saturating_add(self.packed) > self.data_end_max {
            return Err(wrong("the entry lies outside of the archive"));
        }
        file.seek(SeekFrom::Start(data_at))?;
        let packed = file.take(self.packed);
        Ok(ZipReader {
            source: if self.deflated {
                Source::Deflated(DeflateDecoder::new(BufReader::with_capacity(64 << 10, packed)))
            } else {
                Source::Stored(packed)
            },
            crc: flate2::Crc::new(),
            wanted_crc: self.crc,
            left: self.size,
            ended: false,
        })
    }
}

impl Read for ZipReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.source {
            Source::Stored(source) => source.read(buffer)?,
            Source::Deflated(source) => source.read(buffer)?,
        };
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(wrong("the entry unpacks to more than its announced size"));
        };
        self.left = left;
        self.crc.update(buffer.get(..count).unwrap_or_default());
        if count == 0 {
            self.ended = true;
            if self.left > 0 {
                return Err(wrong("the entry ends before its announced size"));
            }
            if self.crc.sum() != self.wanted_crc {
                return Err(wrong("the entry's checksum is wrong"));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
