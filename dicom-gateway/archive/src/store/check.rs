//! Reading objects again and comparing them with what was received.

use super::medium::Medium;
use super::{FileDigests, FileState, Measured, ObjectKey, ObjectStore};
use crate::error::{ArchiveError, Result};

/// What a check found of one copy of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyCheck {
    /// Where the copy lies.
    pub place: String,
    /// How it is.
    pub state: FileState,
    /// What is wrong, in words; empty when it is sound.
    pub why: String,
}

impl ObjectStore {
    /// Reads every copy of an object again. With `moved` the second medium must have one; else a
    /// copy on any medium is enough.
    ///
    /// # Errors
    /// When a bucket does not answer, or a key is missing: then nothing is known of the object.
    pub fn check(&self, key: &ObjectKey, expected: &FileDigests, moved: bool) -> Result<Vec<CopyCheck>> {
        let mut copies = Vec::new();
        for medium in self.media() {
            let state = self.check_copy(&**medium, key, expected)?;
            copies.push(CopyCheck {
                place: medium.place(),
                state: state.0,
                why: state.1,
            });
        }
        let must_be_last = moved && self.inner.second.is_some();
        let last = copies.last().filter(|_| must_be_last).map(|copy| copy.state);
        let any = copies.iter().any(|copy| copy.state != FileState::Missing);
        copies.retain(|copy| copy.state != FileState::Missing);
        if !any || last == Some(FileState::Missing) {
            let lacks: Vec<String> = match any {
                true => self.inner.second.iter().map(|medium| medium.place()).collect(),
                false => self.media().map(|medium| medium.place()).collect(),
            };
            copies.push(CopyCheck {
                place: lacks.join(" and "),
                state: FileState::Missing,
                why: "its file is missing".to_owned(),
            });
        }
        Ok(copies)
    }

    fn check_copy(
        &self,
        medium: &dyn Medium,
        key: &ObjectKey,
        expected: &FileDigests,
    ) -> Result<(FileState, String)> {
        let object = self.open_on_medium(medium, key, &key.file_name(), (0, 0));
        let measured = match object {
            Ok(object) => Measured::read(object, expected.meta_bytes)
                .map_err(|error| ArchiveError::from_read(key.as_str(), error)),
            Err(error) => Err(error),
        };
        match measured {
            Ok(measured) => Ok(match measured.difference(expected) {
                None => (FileState::Sound, String::new()),
                Some(why) => (FileState::Changed, why),
            }),
            Err(ArchiveError::NotFound(_)) => Ok((FileState::Missing, String::new())),
            Err(ArchiveError::Corrupt(why)) => Ok((FileState::Changed, why)),
            Err(error @ ArchiveError::Io { .. }) => Ok((FileState::Unreadable, error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Reads an object again and compares it with its digests: the worst of its copies.
    ///
    /// # Errors
    /// As [`ObjectStore::check`].
    pub fn verify(&self, key: &ObjectKey, expected: &FileDigests) -> Result<FileState> {
        let copies = self.check(key, expected, false)?;
        let bad = copies.iter().find(|copy| copy.state != FileState::Sound);
        Ok(bad.map_or(FileState::Sound, |copy| copy.state))
    }

    /// Digests of an object whose meta information has this length; `None` when it is shorter.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn digests(&self, key: &ObjectKey, meta_bytes: u64) -> Result<Option<FileDigests>> {
        let measured = Measured::read(self.open_object(key)?, meta_bytes);
        measured
            .map(|measured| measured.digests)
            .map_err(|error| ArchiveError::from_read(key.as_str(), error))
    }
}
