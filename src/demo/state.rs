//! Which studies of the demonstration are in the county already, kept beside its data.

use crate::output;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

const FILE: &str = "demo.json";
/// The demonstration stands in one time zone, China Standard Time.
const HOURS_EAST: i8 = 8;

/// One study.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub(super) struct Entry {
    pub(super) accession_number: String,
    pub(super) study_uid: String,
    pub(super) sent: bool,
}

#[derive(Serialize, Deserialize, Debug, Default)]
struct Kept {
    /// Seconds since 1970 of the first start: dates of the studies follow from it, so that a study which was cut off is
    /// sent again with the same bytes.
    started_s: i64,
    studies: BTreeMap<String, Entry>,
}

/// The file.
pub(super) struct State {
    path: PathBuf,
    kept: Kept,
}

impl State {
    pub(super) fn load(data: &Path) -> Result<State> {
        let path = data.join(FILE);
        let kept = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{}: not readable; remove it to send the studies again",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept {
                started_s: OffsetDateTime::now_utc().unix_timestamp(),
                studies: BTreeMap::new(),
            },
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        };
        Ok(State { path, kept })
    }

    /// Local time of the first start.
    pub(super) fn started(&self) -> Result<PrimitiveDateTime> {
        let local = OffsetDateTime::from_unix_timestamp(self.kept.started_s)?
            .to_offset(UtcOffset::from_hms(HOURS_EAST, 0, 0)?);
        Ok(PrimitiveDateTime::new(local.date(), local.time()))
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.kept.studies.get(key)
    }

    /// Keeps an entry durably before anything follows from it.
    pub(super) fn keep(&mut self, key: &str, entry: Entry) -> Result<()> {
        self.kept.studies.insert(key.to_string(), entry);
        output::write_file(&self.path, &serde_json::to_vec_pretty(&self.kept)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::load(folder.path()).unwrap();
        let started = state.started().unwrap();
        let entry = Entry {
            accession_number: "A1".into(),
            study_uid: "2.25.1".into(),
            sent: false,
        };
        state.keep("3", entry).unwrap();
        let again = State::load(folder.path()).unwrap();
        assert_eq!(again.started().unwrap(), started);
        assert_eq!(
            again.entry("3").map(|e| (e.study_uid.as_str(), e.sent)),
            Some(("2.25.1", false))
        );
        assert!(again.entry("4").is_none());
    }
}
