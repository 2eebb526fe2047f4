//! Which objects are there, told by the media alone.

use super::key::SEALED_EXTENSION;
use super::medium::{Medium, read_exact_at};
use super::seal::{HEAD_BYTES, Head};
use super::{ObjectKey, ObjectStore};
use crate::error::{ArchiveError, Result};
use std::collections::BTreeSet;

/// The objects of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Their keys, in order.
    pub keys: Vec<ObjectKey>,
    /// Files that are no objects any more: encrypted, with a damaged head.
    pub damaged: Vec<String>,
}

fn is_day(name: &str) -> bool {
    name.len() == 8 && name.chars().all(|c| c.is_ascii_digit())
}

/// Buckets of one medium, oldest first, not before another.
fn buckets_since(medium: &dyn Medium, since: &str) -> Result<Vec<String>> {
    let since_day = since.split('/').next().unwrap_or_default();
    let mut buckets = Vec::new();
    for day in medium.folders("")? {
        if is_day(&day) && day.as_str() >= since_day {
            let inner = medium.folders(&day)?;
            let names = inner.into_iter().map(|minutes| format!("{day}/{minutes}"));
            buckets.extend(names.filter(|bucket| bucket.as_str() >= since));
        }
    }
    Ok(buckets)
}

impl ObjectStore {
    /// Folders of ten minutes each, oldest first, as `day/minutes`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn buckets(&self) -> Result<Vec<String>> {
        let mut buckets = BTreeSet::new();
        for medium in self.media() {
            buckets.extend(buckets_since(&**medium, "")?);
        }
        Ok(buckets.into_iter().collect())
    }

    /// Buckets where objects are placed, not before another; older days are not looked at.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn placed_buckets_since(&self, since: &str) -> Result<Vec<String>> {
        buckets_since(&*self.inner.first, since)
    }

    /// Objects of one bucket where objects are placed.
    ///
    /// # Errors
    /// As [`ObjectStore::listing`].
    pub(crate) fn placed_listing(&self, bucket: &str) -> Result<Listing> {
        let mut listing = Listing::default();
        self.list_medium(&*self.inner.first, bucket, &mut listing)?;
        Ok(listing)
    }

    /// Objects of one bucket, on any medium.
    ///
    /// # Errors
    /// When the store cannot be read, or the key of an encrypted object is missing.
    pub fn listing(&self, bucket: &str) -> Result<Listing> {
        let mut listing = Listing::default();
        for medium in self.media() {
            self.list_medium(&**medium, bucket, &mut listing)?;
        }
        listing.keys.sort();
        listing.keys.dedup();
        Ok(listing)
    }

    fn list_medium(&self, medium: &dyn Medium, bucket: &str, into: &mut Listing) -> Result<()> {
        for file in medium.files(bucket)? {
            match self.key_of_file(medium, &file.name) {
                Ok(Some(key)) => into.keys.push(key),
                Ok(None) => {}
                Err(ArchiveError::Corrupt(why)) => into.damaged.push(format!("{}: {why}", file.name)),
                // Moved or removed a moment ago.
                Err(ArchiveError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keys of one bucket.
    ///
    /// # Errors
    /// As [`ObjectStore::listing`].
    pub fn keys_of(&self, bucket: &str) -> Result<Vec<ObjectKey>> {
        Ok(self.listing(bucket)?.keys)
    }

    fn key_of_file(&self, medium: &dyn Medium, name: &str) -> Result<Option<ObjectKey>> {
        if !name.ends_with(&format!(".{SEALED_EXTENSION}")) {
            return Ok(ObjectKey::parse(name).ok());
        }
        let mut raw = medium.open(name, 0, HEAD_BYTES as u64)?;
        let mut bytes = [0; HEAD_BYTES];
        read_exact_at(&mut *raw, 0, &mut bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                ArchiveError::Corrupt("the encrypted file was cut off".to_owned())
            }
            _ => ArchiveError::from_read(name, error),
        })?;
        let key = ObjectKey::parse(&Head::read(&bytes)?.read_label(self.keys()?)?)?;
        // The label lacks the folder of derived objects, and nothing but the label names a file.
        if key.file_name() != name {
            return Err(ArchiveError::Corrupt(
                "the encrypted file does not have the name that it holds".to_owned(),
            ));
        }
        Ok(Some(key))
    }
}
