//! Finding the files of a source, one after the other.

use super::dicomdir::{self, DIRECTORY_BYTES_MAX};
use super::zip::{Zip, ZipEntry};
use crate::error::{ArchiveError, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Folders within folders.
const FOLDERS_DEPTH_MAX: usize = 64;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder, searched to the bottom.
    Folder,
    /// A ZIP file.
    Zip,
    /// A DICOMDIR: exactly the files that it names.
    Directory,
    /// One file.
    File,
}

/// One file that may be an object.
pub(super) struct Candidate {
    /// Name below the source.
    pub(super) name: String,
    pub(super) size_bytes: u64,
    /// Changes when the content does: time of change, or checksum in a ZIP file.
    pub(super) stamp: i64,
    pub(super) found: Found,
}

/// Where a candidate's bytes are.
pub(super) enum Found {
    File(PathBuf),
    Entry(Arc<PathBuf>, Box<ZipEntry>),
    /// It is not read at all.
    Refused(String),
}

impl Candidate {
    /// Opens the bytes, from the first one.
    pub(super) fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        match &self.found {
            Found::File(path) => Ok(Box::new(File::open(path)?)),
            Found::Entry(archive, entry) => Ok(Box::new(entry.reader(archive)?)),
            Found::Refused(reason) => Err(std::io::Error::other(reason.clone())),
        }
    }
}

pub(super) fn kind_of(source: &Path) -> Result<SourceKind> {
    let fail = |error| ArchiveError::io("read", source, error);
    if std::fs::metadata(source).map_err(fail)?.is_dir() {
        return Ok(SourceKind::Folder);
    }
    let mut start = [0; 4];
    let count = File::open(source)
        .and_then(|mut file| file.read(&mut start))
        .map_err(fail)?;
    if count == 4 && (start == *b"PK\x03\x04" || start == *b"PK\x05\x06") {
        return Ok(SourceKind::Zip);
    }
    let name = source
        .file_name()
        .map(|n| n.to_string_lossy().to_ascii_uppercase());
    let name = name.unwrap_or_default();
    if name.starts_with("DICOMDIR") {
        return Ok(SourceKind::Directory);
    }
    // A program that unpacks itself begins otherwise and is a ZIP file all the same.
    let zip = name.ends_with(".ZIP") || name.ends_with(".EXE");
    Ok(if zip { SourceKind::Zip } else { SourceKind::File })
}

type Ends<'a> = (&'a mpsc::Sender<Candidate>, &'a mpsc::UnboundedSender<u64>);

/// Sends every file of a source; gives remarks on the source as a whole.
pub(super) fn look(
    source: &Path,
    found: &mpsc::Sender<Candidate>,
    counts: &mpsc::UnboundedSender<u64>,
) -> Result<Vec<String>> {
    let send = (found, counts);
    match kind_of(source)? {
        SourceKind::Folder => folder(source, send),
        SourceKind::Zip => zip(source, send),
        SourceKind::Directory => directory(source, send),
        SourceKind::File => {
            let name = source.file_name().map(|n| n.to_string_lossy().into_owned());
            hand_over(send, file(source, name.unwrap_or_default())?);
            Ok(Vec::new())
        }
    }
}

/// `false` when nobody listens any more.
fn hand_over((found, counts): Ends<'_>, candidate: Candidate) -> bool {
    let _ = counts.send(1);
    found.blocking_send(candidate).is_ok()
}

fn file(path: &Path, name: String) -> Result<Candidate> {
    let meta = std::fs::metadata(path).map_err(|error| ArchiveError::io("read", path, error))?;
    let changed = meta.modified().ok();
    let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(Candidate {
        name,
        size_bytes: meta.len(),
        stamp: since.map_or(0, |t| i64::try_from(t.as_micros()).unwrap_or(0)),
        found: Found::File(path.to_path_buf()),
    })
}

/// Every regular file below a folder, in the order of names; links are not followed, so that no
/// loop and no way out exists.
fn folder(root: &Path, send: Ends<'_>) -> Result<Vec<String>> {
    let mut remarks = Vec::new();
    let mut open = vec![(root.to_path_buf(), 0)];
    while let Some((path, depth)) = open.pop() {
        let list = match std::fs::read_dir(&path) {
            Ok(list) => list,
            Err(error) if depth == 0 => return Err(ArchiveError::io("read", &path, error)),
            Err(error) => {
                remarks.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let mut inner: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
        inner.sort();
        let mut folders = Vec::new();
        for path in inner {
            let Ok(meta) = path.symlink_metadata() else {
                continue;
            };
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            if meta.is_dir() && depth < FOLDERS_DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if meta.is_dir() {
                remarks.push(format!(
                    "{name}: deeper than {FOLDERS_DEPTH_MAX} folders, left out"
                ));
            } else if meta.is_file() {
                let candidate = file(&path, name.clone()).unwrap_or_else(|error| Candidate {
                    name,
                    size_bytes: 0,
                    stamp: 0,
                    found: Found::Refused(error.to_string()),
                });
                if !hand_over(send, candidate) {
                    return Ok(remarks);
                }
            } else {
                remarks.push(format!("{name}: a link or a device, left out"));
            }
        }
        open.extend(folders.into_iter().rev());
    }
    Ok(remarks)
}

fn zip(path: &Path, send: Ends<'_>) -> Result<Vec<String>> {
    let unusable = |fault: super::zip::ZipFault| {
        ArchiveError::invalid("ZIP file", format!("{}: {fault}", path.display()))
    };
    let archive = Arc::new(path.to_path_buf());
    let zip = Zip::open(path).map_err(unusable)?;
    let mut entries = zip.entries(path).map_err(unusable)?;
    tracing::debug!(entries = zip.entry_count(), "reading a ZIP file");
    while let Some(entry) = entries.next() {
        let candidate = match entry.map_err(unusable)? {
            Ok(entry) => Candidate {
                name: entry.name.clone(),
                size_bytes: entry.size,
                stamp: i64::from(entry.crc),
                found: Found::Entry(archive.clone(), Box::new(entry)),
            },
            Err(refused) => Candidate {
                name: refused.name,
                size_bytes: 0,
                stamp: 0,
                found: Found::Refused(refused.reason.to_owned()),
            },
        };
        if !hand_over(send, candidate) {
            break;
        }
    }
    Ok(Vec::new())
}

fn directory(path: &Path, send: Ends<'_>) -> Result<Vec<String>> {
    let fail = |error| ArchiveError::io("read", path, error);
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > DIRECTORY_BYTES_MAX {
        return Err(ArchiveError::invalid("DICOMDIR", "it is larger than 256 MiB"));
    }
    let mut bytes = Vec::new();
    let file_of = File::open(path).map_err(fail)?;
    file_of
        .take(DIRECTORY_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    let listed = dicomdir::read(&bytes)
        .map_err(|fault| ArchiveError::invalid("DICOMDIR", format!("{}: {fault}", path.display())))?;
    drop(bytes);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    for parts in &listed.files {
        let name = parts.join("/");
        let candidate = match dicomdir::resolve(&folder, parts) {
            Some(path) => file(&path, name)?,
            None => Candidate {
                name,
                size_bytes: 0,
                stamp: 0,
                found: Found::Refused("the DICOMDIR names it, but it is not on the medium".to_owned()),
            },
        };
        if !hand_over(send, candidate) {
            break;
        }
    }
    let mut remarks = Vec::new();
    if listed.unreachable > 0 {
        remarks.push(format!(
            "{} records of the DICOMDIR are reached by no offset and were taken all the same",
            listed.unreachable
        ));
    }
    if listed.unusable > 0 {
        remarks.push(format!(
            "{} records of the DICOMDIR name no file of the medium and were left out",
            listed.unusable
        ));
    }
    Ok(remarks)
}
