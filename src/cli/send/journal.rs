//! What was acknowledged, one JSON object a line, so that an interrupted sending goes on where it
//! stopped. A file that changed since is sent again.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Longest journal that is read.
const JOURNAL_BYTES_MAX: u64 = 4 << 30;

/// One acknowledged file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Entry {
    /// `HOST:PORT/AE` that acknowledged it.
    to: String,
    file: PathBuf,
    bytes: u64,
    /// Microseconds since 1970.
    modified_us: u64,
}

/// An open journal.
pub(super) struct Journal {
    to: String,
    known: HashSet<Entry>,
    file: File,
    path: PathBuf,
}

fn entry(to: &str, file: &Path) -> Option<Entry> {
    let meta = std::fs::metadata(file).ok()?;
    let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Entry {
        to: to.to_owned(),
        file: std::fs::canonicalize(file).ok()?,
        bytes: meta.len(),
        modified_us: u64::try_from(modified.as_micros()).ok()?,
    })
}

impl Journal {
    /// Opens or makes the journal. A last line that a crash cut off counts for nothing.
    pub(super) fn open(path: &Path, to: String) -> Result<Journal> {
        let failed = || format!("--journal {}: cannot be used", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(failed)?;
        let mut known = HashSet::new();
        let mut ends_whole = true;
        for line in BufReader::new((&file).take(JOURNAL_BYTES_MAX)).split(b'\n') {
            let line = line.with_context(failed)?;
            ends_whole = line.is_empty();
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                known.insert(entry);
                ends_whole = true;
            }
        }
        if !ends_whole {
            // what comes next begins on a line of its own
            file.write_all(b"\n").with_context(failed)?;
        }
        Ok(Journal {
            to,
            known,
            file,
            path: path.to_path_buf(),
        })
    }

    /// Whether this file, as it is now, was acknowledged.
    pub(super) fn has(&self, file: &Path) -> bool {
        entry(&self.to, file).is_some_and(|entry| self.known.contains(&entry))
    }

    /// Notes an acknowledged file.
    pub(super) fn note(&mut self, file: &Path) -> Result<()> {
        let Some(entry) = entry(&self.to, file) else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("--journal {}: cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_known_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, sent) = (folder.path().join("journal"), folder.path().join("a.dcm"));
        std::fs::write(&sent, b"a").unwrap();
        let open = |to: &str| Journal::open(&path, to.to_owned()).unwrap();
        let mut journal = open("h:1/A");
        assert!(!journal.has(&sent));
        journal.note(&sent).unwrap();
        drop(journal);
        assert!(open("h:1/A").has(&sent));
        assert!(!open("h:1/B").has(&sent), "another node has not got it");
        std::fs::write(&sent, b"ab").unwrap();
        assert!(!open("h:1/A").has(&sent));
        assert!(!open("h:1/A").has(&folder.path().join("missing")));
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (path, sent) = (folder.path().join("journal"), folder.path().join("a.dcm"));
        std::fs::write(&sent, b"a").unwrap();
        std::fs::write(&path, b"{\"to\":\"h:1/A\",\"fi").unwrap();
        let mut journal = Journal::open(&path, "h:1/A".into()).unwrap();
        journal.note(&sent).unwrap();
        drop(journal);
        assert!(Journal::open(&path, "h:1/A".into()).unwrap().has(&sent));
    }
}
