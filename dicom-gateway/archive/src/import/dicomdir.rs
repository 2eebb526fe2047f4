//! DICOMDIR (PS3.3 Annex F, PS3.10 8): which files a medium holds.
//!
//! The directory records form a tree by byte offsets. The tree is walked with a guard against loops
//! and depth; active records that no offset reaches are taken too, because many writers get offsets
//! wrong and a picture must not stay behind for that. Records are read one at a time, so memory
//! follows the number of records only by their names.

use dataset::dictionary::{ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Tag, Vr, has_long_length};
use dataset::{DatasetError, Encoding, Limits, stream, tags};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Largest DICOMDIR.
pub(crate) const DIRECTORY_BYTES_MAX: u64 = 256 << 20;
/// Records of one DICOMDIR.
pub(crate) const RECORDS_MAX: usize = 2_000_000;
/// Levels below the root: PS3.3 F.4 needs four.
const DEPTH_MAX: usize = 16;
/// Sequences within a record.
const NESTING_MAX: usize = 32;
/// Components of a file name (PS3.10 8.5 allows eight).
const COMPONENTS_MAX: usize = 16;
/// Bytes of one record.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Why a DICOMDIR cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryFault {
    #[error("it is no DICOMDIR: {0}")]
    NotOne(&'static str),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it has more than {RECORDS_MAX} records")]
    TooLarge,
    #[error("it cannot be read: {0}")]
    Dataset(#[from] DatasetError),
}

/// The files that a DICOMDIR names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Components of each file's name, in the order of the tree.
    pub(crate) files: Vec<Vec<String>>,
    /// Active records that no offset reached; their files are among `files`.
    pub(crate) unreachable: usize,
    /// Records whose file name cannot be used.
    pub(crate) unusable: usize,
}

/// One record, as far as it matters.
struct Record {
    next: u64,
    lower: u64,
    active: bool,
    file: Option<Vec<String>>,
}

/// A place in the file.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Tag and length of an element; `None` as length is the undefined one.
struct Head {
    tag: Tag,
    length: Option<usize>,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let part = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*part)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// Explicit VR little endian, the only syntax of a DICOMDIR (PS3.10 8.6).
    fn head(&mut self) -> Option<Head> {
        let tag = Tag(self.u16()?, self.u16()?);
        let length = if tag.0 == ITEM.0 {
            self.u32()?
        } else {
            match Vr::from_binary(self.take()?)? {
                vr if has_long_length(vr) => {
                    self.u16()?;
                    self.u32()?
                }
                _ => u32::from(self.u16()?),
            }
        };
        let length = usize::try_from(length).ok()?;
        Some(Head {
            tag,
            length: (length != 0xFFFF_FFFF).then_some(length),
        })
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at.checked_add(count)?;
        (end <= self.bytes.len()).then(|| self.at = end)
    }

    /// Goes behind an item or sequence of undefined length whose head was read.
    fn skip_undefined(&mut self, ends_with: Tag) -> Option<()> {
        let mut open = vec![ends_with];
        while let Some(end) = open.last().copied() {
            let head = self.head()?;
            if head.tag == end {
                open.pop();
                continue;
            }
            match head.length {
                Some(length) => self.skip(length)?,
                None if open.len() >= NESTING_MAX => return None,
                None if head.tag == ITEM => open.push(ITEM_DELIMITER),
                None => open.push(SEQUENCE_DELIMITER),
            }
        }
        Some(())
    }
}

/// Reads a whole DICOMDIR.
///
/// # Errors
/// When it is none, or its sequence of records is damaged.
pub(crate) fn read(bytes: &[u8]) -> Result<Directory, DirectoryFault> {
    let header = dataset::file::read_header(bytes)?;
    let class = header
        .meta
        .text(tags::MEDIA_STORAGE_SOP_CLASS_UID)
        .unwrap_or_default();
    if class != dataset::uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
        return Err(DirectoryFault::NotOne("its SOP class is another one"));
    }
    if header.transfer_syntax.kind() != Encoding::ExplicitLe {
        return Err(DirectoryFault::NotOne(
            "its transfer syntax is not Explicit VR Little Endian (PS3.10 8.6)",
        ));
    }
    let mut cursor = Cursor {
        bytes,
        at: header.dataset_offset,
    };
    let mut root = 0;
    let records = loop {
        let Some(head) = cursor.head() else {
            return Err(DirectoryFault::NotOne("it has no sequence of records"));
        };
        if head.tag == tags::DIRECTORY_RECORD_SEQUENCE {
            break records(&mut cursor, head.length)?;
        }
        let length = head
            .length
            .ok_or(DirectoryFault::Damaged("an element has no length"))?;
        if head.tag == tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY {
            let at = cursor.at;
            root = cursor.u32().map_or(0, u64::from);
            cursor.at = at;
        }
        if cursor.skip(length).is_none() {
            return Err(DirectoryFault::Damaged("it ends before its records"));
        }
    };
    Ok(tree(&records, root))
}

/// All records with the offset of their item.
fn records(cursor: &mut Cursor<'_>, length: Option<usize>) -> Result<Vec<(u64, Record)>, DirectoryFault> {
    let damaged = || DirectoryFault::Damaged("its sequence of records ends too early");
    let end = match length {
        Some(length) => cursor.at.checked_add(length).ok_or_else(damaged)?,
        None => cursor.bytes.len(),
    };
    let mut records = Vec::new();
    while cursor.at < end {
        let at = cursor.at;
        let head = cursor.head().ok_or_else(damaged)?;
        if head.tag == SEQUENCE_DELIMITER {
            break;
        }
        if head.tag != ITEM {
            return Err(DirectoryFault::Damaged("something else stands among its records"));
        }
        let from = cursor.at;
        let content = match head.length {
            Some(length) => {
                cursor.skip(length).ok_or_else(damaged)?;
                from..cursor.at
            }
            None => {
                cursor.skip_undefined(ITEM_DELIMITER).ok_or_else(damaged)?;
                from..cursor.at.saturating_sub(8)
            }
        };
        if content.len() > RECORD_BYTES_MAX {
            return Err(DirectoryFault::Damaged("a record is longer than 1 MiB"));
        }
        if records.len() >= RECORDS_MAX {
            return Err(DirectoryFault::TooLarge);
        }
        let bytes = cursor.bytes.get(content).unwrap_or_default();
        records.push((at as u64, record(bytes)?));
    }
    Ok(records)
}

fn record(bytes: &[u8]) -> Result<Record, DirectoryFault> {
    let syntax = dataset::TransferSyntaxUid::explicit_le();
    let set = stream::parse(bytes, &syntax, Limits::default())?.data_set;
    let offset = |tag| set.i64(tag).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let file = set.texts(tags::REFERENCED_FILE_ID);
    Ok(Record {
        next: offset(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD),
        lower: offset(tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY),
        active: set.i64(tags::RECORD_IN_USE_FLAG) != Some(0),
        file: (!file.is_empty()).then_some(file),
    })
}

/// Walks the tree, then takes what it did not reach.
fn tree(records: &[(u64, Record)], root: u64) -> Directory {
    let by_offset: HashMap<u64, usize> = records.iter().enumerate().map(|(n, (at, _))| (*at, n)).collect();
    let mut directory = Directory::default();
    let mut seen = HashSet::new();
    let mut open = vec![(root, 0, true)];
    while let Some((offset, depth, in_use)) = open.pop() {
        let Some(index) = by_offset.get(&offset).copied() else {
            continue;
        };
        let Some((_, record)) = records.get(index) else {
            continue;
        };
        if !seen.insert(index) {
            continue;
        }
        // The next one of this level comes after everything below.
        open.push((record.next, depth, in_use));
        let in_use = in_use && record.active;
        if in_use {
            directory.take(record);
        }
        if depth < DEPTH_MAX {
            open.push((record.lower, depth + 1, in_use));
        }
    }
    for (index, (_, record)) in records.iter().enumerate() {
        if !seen.contains(&index) && record.active && record.file.is_some() {
            directory.unreachable += 1;
            directory.take(record);
        }
    }
    directory
}

impl Directory {
    fn take(&mut self, record: &Record) {
        let Some(parts) = &record.file else { return };
        if parts.len() <= COMPONENTS_MAX && parts.iter().all(|part| is_component(part)) {
            self.files.push(parts.clone());
        } else {
            self.unusable += 1;
        }
    }
}

/// A plain name: nothing in it leads anywhere else.
fn is_component(part: &str) -> bool {
    let plain = |c: char| !matches!(c, '/' | '\\' | ':') && !c.is_control();
    !part.is_empty() && part.len() <= 255 && part != "." && part != ".." && part.chars().all(plain)
}

/// The file of a record below `folder`. Names on a medium are capitals; copied to disk they may be
/// small, or carry the version number of ISO 9660.
pub(crate) fn resolve(folder: &Path, parts: &[String]) -> Option<PathBuf> {
    let mut path = folder.to_path_buf();
    for part in parts {
        let exact = path.join(part);
        path = if exact.symlink_metadata().is_ok() {
            exact
        } else {
            alike(&path, part)?
        };
    }
    // A link among the folders must not lead out of the medium.
    let (real, root) = (path.canonicalize().ok()?, folder.canonicalize().ok()?);
    (real.starts_with(&root) && real.is_file()).then_some(path)
}

fn alike(folder: &Path, part: &str) -> Option<PathBuf> {
    let plain = |name: &str| {
        let name = name.strip_suffix(";1").unwrap_or(name);
        name.trim_end_matches('.').to_ascii_uppercase()
    };
    let wanted = plain(part);
    let list = std::fs::read_dir(folder).ok()?;
    let found = list
        .flatten()
        .find(|entry| plain(&entry.file_name().to_string_lossy()) == wanted)?;
    Some(found.path())
}

#[cfg(test)]
#[path = "dicomdir_tests.rs"]
mod tests;
