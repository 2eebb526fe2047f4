//! Segments to plain bytes, from any place.

use super::cipher::{Aead, TAG_BYTES};
use super::{HEAD_BYTES, Head, KeyRing, Part, SEGMENT_BYTES, damaged};
use crate::error::{ArchiveError, Result};
use crate::store::medium::{Blob, read_exact_at, to_io};
use std::io;

/// Bytes of a whole segment on the medium.
const SEALED_SEGMENT_BYTES: u64 = (SEGMENT_BYTES + TAG_BYTES) as u64;

/// The plain bytes of an encrypted file.
pub(in crate::store) struct SealedBlob {
    raw: Box<dyn Blob>,
    head: Head,
    aead: Aead,
    plain_bytes: u64,
    segments: u64,
    /// The segment opened last.
    held: Option<(u64, Vec<u8>)>,
}

impl SealedBlob {
    pub(in crate::store) fn open(mut raw: Box<dyn Blob>, ring: &KeyRing) -> Result<Self> {
        let mut bytes = [0; HEAD_BYTES];
        read_exact_at(&mut *raw, 0, &mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is too short"),
            _ => ArchiveError::from_read("an encrypted file", error),
        })?;
        let head = Head::read(&bytes)?;
        let (_, key) = head.unwrap_key(ring)?;
        let aead = Aead::new(head.cipher(), &key)?;
        let sealed = raw.size() - HEAD_BYTES as u64;
        let segments = sealed.div_ceil(SEALED_SEGMENT_BYTES);
        let last = sealed - segments.saturating_sub(1) * SEALED_SEGMENT_BYTES;
        if segments == 0 || last < TAG_BYTES as u64 || segments >= u64::from(u32::MAX) {
            return Err(ArchiveError::Corrupt("an encrypted file was cut off".to_owned()));
        }
        Ok(Self {
            plain_bytes: sealed - segments * TAG_BYTES as u64,
            raw,
            head,
            aead,
            segments,
            held: None,
        })
    }

    fn segment(&mut self, number: u64) -> io::Result<&[u8]> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != number) {
            let at = HEAD_BYTES as u64 + number * SEALED_SEGMENT_BYTES;
            let length = SEALED_SEGMENT_BYTES.min(self.raw.size().saturating_sub(at));
            let mut bytes = self.held.take().map(|(_, bytes)| bytes).unwrap_or_default();
            bytes.resize(usize::try_from(length).unwrap_or(0), 0);
            read_exact_at(&mut *self.raw, at, &mut bytes)?;
            let part = match number + 1 == self.segments {
                true => Part::LastSegment,
                false => Part::Segment,
            };
            let nonce = self.head.nonce(u32::try_from(number).unwrap_or(u32::MAX), part);
            if !self.aead.open(nonce, self.head.fixed(), &mut bytes) {
                let begin = number * SEGMENT_BYTES as u64;
                let end = begin + length.saturating_sub(TAG_BYTES as u64);
                return Err(to_io(ArchiveError::Corrupt(format!(
                    "bytes {begin} to {end} of an encrypted object were changed, or its end is missing"
                ))));
            }
            self.held = Some((number, bytes));
        }
        Ok(self
            .held
            .as_ref()
            .map(|(_, bytes)| bytes.as_slice())
            .unwrap_or_default())
    }
}

impl Blob for SealedBlob {
    fn size(&self) -> u64 {
        self.plain_bytes
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if at >= self.plain_bytes || into.is_empty() {
            return Ok(0);
        }
        let (number, skip) = (at / SEGMENT_BYTES as u64, at % SEGMENT_BYTES as u64);
        let bytes = self.segment(number)?;
        let rest = bytes
            .get(usize::try_from(skip).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        let count = rest.len().min(into.len());
        let (target, _) = into.split_at_mut(count);
        target.copy_from_slice(rest.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn expect(&mut self, at: u64, length: u64) {
        let begin = at.min(self.plain_bytes);
        let end = at.saturating_add(length).min(self.plain_bytes);
        let (first, last) = (begin / SEGMENT_BYTES as u64, end / SEGMENT_BYTES as u64);
        let from = HEAD_BYTES as u64 + first * SEALED_SEGMENT_BYTES;
        self.raw
            .expect(from, (last - first + 1).saturating_mul(SEALED_SEGMENT_BYTES));
    }
}
