//! What an earlier run of the same import did, so that the next one is short.
//!
//! A line is only a hint: an object counts as kept when the index says so too. So the journal needs
//! no flush, a cut-off last line is left out, and a lost journal costs time only.

use super::{ImportOptions, ImportStatus};
use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::ids::Sha256Digest;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Folder of the journals below the data folder.
const FOLDER: &str = "imports";
/// First line.
const HEADER: &str = "gongying import journal 1";
/// Files remembered of earlier runs; older ones are found again by their UID.
const REMEMBERED_MAX: usize = 1_000_000;
/// Longest line that is read.
const LINE_BYTES_MAX: usize = 4096;

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    key: [u8; 16],
    pub(super) status: ImportStatus,
    /// UID and digest of the data set, for what was kept.
    pub(super) object: Option<(String, Sha256Digest)>,
}

impl Note {
    pub(super) fn new(
        name: &str,
        size: u64,
        stamp: i64,
        status: ImportStatus,
        object: Option<(String, Sha256Digest)>,
    ) -> Self {
        Self {
            key: key(name, size, stamp),
            status,
            object,
        }
    }

    fn line(&self) -> String {
        let (uid, digest) = match &self.object {
            Some((uid, digest)) => (uid.as_str(), digest.to_hex()),
            None => ("-", "-".to_owned()),
        };
        format!(
            "{} {} {uid} {digest}\n",
            hex::encode(self.key),
            self.status.as_str()
        )
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.split(' ');
        let key = hex::decode(words.next()?).ok()?.try_into().ok()?;
        let status = match words.next()? {
            "stored" | "duplicate" => ImportStatus::Duplicate,
            "not_dicom" => ImportStatus::NotDicom,
            "ecg_other_format" => ImportStatus::OtherEcg,
            "directory" => ImportStatus::Directory,
            "refused" => ImportStatus::Refused,
            _ => return None,
        };
        let (uid, digest) = (words.next()?, words.next()?);
        let digest = hex::decode(digest)
            .ok()
            .and_then(|d| Sha256Digest::from_slice(&d));
        let object = digest.map(|digest| (uid.to_owned(), digest));
        (object.is_some() || !status.is_kept()).then_some(Self { key, status, object })
    }
}

/// Names may hold anything, patients' names too: only a digest of them is kept.
fn key(name: &str, size: u64, stamp: i64) -> [u8; 16] {
    let text = format!("{size} {stamp} {name}");
    let mut key = [0; 16];
    let digest = Sha256Digest::of(text.as_bytes());
    key.copy_from_slice(digest.0.get(..16).unwrap_or(&[0; 16]));
    key
}

/// The journal of one source.
pub(super) struct Journal {
    path: PathBuf,
    known: HashMap<[u8; 16], Note>,
    out: Mutex<BufWriter<File>>,
}

impl Journal {
    /// Opens the journal of this source and institution and locks it.
    pub(super) fn open(archive: &Archive, options: &ImportOptions) -> Result<Self> {
        let folder = archive.config().data_dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| ArchiveError::io("create folder", &folder, e))?;
        let source = &options.source;
        let real = source
            .canonicalize()
            .map_err(|e| ArchiveError::io("read", source, e))?;
        let name = format!("{} {}", options.institution_id, real.display());
        let digest = Sha256Digest::of(name.as_bytes()).to_hex();
        let path = folder.join(format!("{}.journal", digest.get(..32).unwrap_or(&digest)));
        let fail = |error| ArchiveError::io("open", &path, error);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(fail)?;
        if file.try_lock().is_err() {
            return Err(ArchiveError::Busy(
                "this source is being imported already; wait for that run to end".to_owned(),
            ));
        }
        let (known, whole) = read(&mut file).map_err(fail)?;
        let mut out = BufWriter::new(file);
        if !whole {
            // Ends a cut-off line, or begins the file.
            let start = if known.is_empty() {
                format!("{HEADER}\n")
            } else {
                "\n".to_owned()
            };
            out.write_all(start.as_bytes()).map_err(fail)?;
        }
        Ok(Self {
            path,
            known,
            out: Mutex::new(out),
        })
    }

    /// What is remembered of a file with this name, size and stamp.
    pub(super) fn known(&self, name: &str, size: u64, stamp: i64) -> Option<&Note> {
        self.known.get(&key(name, size, stamp))
    }

    /// Remembers a file.
    pub(super) fn note(&self, note: &Note) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Written through: a killed run must not forget what it did.
        out.write_all(note.line().as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    pub(super) fn close(&self) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.flush()
            .map_err(|error| ArchiveError::io("write", &self.path, error))
    }
}

/// All whole lines; `false` when the file is empty or its last line is cut off.
fn read(file: &mut File) -> std::io::Result<(HashMap<[u8; 16], Note>, bool)> {
    let mut known = HashMap::new();
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    let mut whole = false;
    loop {
        line.clear();
        let count = std::io::Read::take(&mut lines, LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok((known, whole));
        }
        whole = line.ends_with(b"\n");
        if known.len() < REMEMBERED_MAX
            && let Some(note) = std::str::from_utf8(&line).ok().and_then(Note::read)
        {
            known.insert(note.key, note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_come_back_and_others_are_left_out() {
        let digest = Sha256Digest::of(b"x");
        for (status, object, back) in [
            (
                ImportStatus::Stored,
                Some(("1.2.3".to_owned(), digest)),
                Some(ImportStatus::Duplicate),
            ),
            (ImportStatus::NotDicom, None, Some(ImportStatus::NotDicom)),
            (ImportStatus::OtherEcg, None, Some(ImportStatus::OtherEcg)),
            (ImportStatus::Failed, None, None),
            (ImportStatus::Stored, None, None),
        ] {
            let note = Note::new("a b\nc", 7, 9, status, object.clone());
            let read = Note::read(&note.line());
            assert_eq!(read.as_ref().map(|n| n.status), back, "{status:?}");
            assert_eq!(read.and_then(|n| n.object), back.and(object));
        }
        let whole = Note::new("x", 1, 1, ImportStatus::NotDicom, None).line();
        assert!(Note::read(whole.trim_end()).is_none(), "cut off before its end");
        assert_ne!(key("x", 1, 2), key("x", 1, 3));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in ".{0,200}\n") {
            let _ = Note::read(&line);
        }
    }
}
