//! Reading an object of a bucket: a bounded window that is fetched by ranges.

use super::Client;
use crate::error::{ArchiveError, Result};
use crate::store::medium::{Blob, to_io};
use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::io;
use std::sync::Arc;

/// Bytes fetched first when nobody said what is wanted.
const FIRST_BYTES: u64 = 128 << 10;
/// Bytes fetched at once at most: the memory that one reader holds.
const WINDOW_BYTES_MAX: u64 = 8 << 20;

/// An open object.
pub(super) struct S3Blob {
    client: Arc<Client>,
    name: String,
    bytes: u64,
    window_at: u64,
    window: Bytes,
    /// End of what will be read, when somebody said so.
    wanted_end: u64,
}

impl S3Blob {
    pub(super) fn open(client: Arc<Client>, name: &str, at: u64, length: u64) -> Result<Self> {
        let mut blob = Self {
            client,
            name: name.to_owned(),
            bytes: 0,
            window_at: at,
            window: Bytes::new(),
            wanted_end: at.saturating_add(length),
        };
        let first = if length == 0 {
            FIRST_BYTES
        } else {
            length.min(WINDOW_BYTES_MAX)
        };
        match blob.fetch(at, first) {
            Ok(()) => Ok(blob),
            Err(ArchiveError::Remote(_)) => {
                // A range behind the end, or of an empty object, is refused: ask for the length.
                let (client, location) = (blob.client.clone(), blob.client.location(name));
                let head = async move { client.service.head(&location).await };
                blob.bytes = blob.client.wait(name, head)?.size;
                if at < blob.bytes {
                    blob.fetch(at, first)?;
                }
                Ok(blob)
            }
            Err(error) => Err(error),
        }
    }

    fn fetch(&mut self, at: u64, length: u64) -> Result<()> {
        let (client, location) = (self.client.clone(), self.client.location(&self.name));
        let range = GetRange::Bounded(at..at.saturating_add(length));
        let (bytes, window) = self.client.wait(&self.name, async move {
            let options = GetOptions {
                range: Some(range),
                ..GetOptions::default()
            };
            let result = client.service.get_opts(&location, options).await?;
            let bytes = result.meta.size;
            Ok((bytes, result.bytes().await?))
        })?;
        (self.bytes, self.window_at, self.window) = (bytes, at, window);
        Ok(())
    }

    /// How much to fetch for a read of `length` at `at`.
    fn next_length(&self, at: u64, length: u64) -> u64 {
        let read_on = at == self.window_at + self.window.len() as u64;
        let ahead = match self.wanted_end.checked_sub(at) {
            Some(wanted @ 1..) => wanted,
            // In order so far: twice as much as last time.
            _ if read_on => 2 * self.window.len() as u64,
            _ => FIRST_BYTES,
        };
        ahead
            .max(length)
            .max(FIRST_BYTES.min(self.bytes - at))
            .min(WINDOW_BYTES_MAX)
    }
}

impl Blob for S3Blob {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if at >= self.bytes || into.is_empty() {
            return Ok(0);
        }
        let held = |blob: &Self| {
            let skip = usize::try_from(at.checked_sub(blob.window_at)?).ok()?;
            blob.window
                .get(skip..)
                .filter(|rest| !rest.is_empty())
                .map(<[u8]>::len)
        };
        if held(self).is_none() {
            let length = self.next_length(at, into.len() as u64);
            self.fetch(at, length).map_err(to_io)?;
        }
        let Some(rest) = held(self) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let count = rest.min(into.len());
        let skip = usize::try_from(at - self.window_at).unwrap_or(0);
        let (target, _) = into.split_at_mut(count);
        target.copy_from_slice(self.window.get(skip..skip + count).unwrap_or_default());
        Ok(count)
    }

    fn expect(&mut self, at: u64, length: u64) {
        self.wanted_end = at.saturating_add(length);
    }
}
