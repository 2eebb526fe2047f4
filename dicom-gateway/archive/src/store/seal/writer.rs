//! Plain bytes to segments.

use super::cipher::{Aead, Cipher, KEY_BYTES, TAG_BYTES};
use super::{HEAD_BYTES, Head, KeyRing, Part, SEGMENT_BYTES, SLOTS, random};
use crate::error::{ArchiveError, Result};

/// Seals one file. What it gives is written in order; the head, which holds the name that is known
/// only at the end, overwrites the zeros at the front.
pub(in crate::store) struct SealWriter {
    head: Head,
    aead: Aead,
    /// Segments given out.
    segments: u32,
    /// Plain bytes of the next segment: it is the last one until another byte comes.
    pending: Vec<u8>,
}

impl SealWriter {
    pub(in crate::store) fn new(cipher: Cipher, ring: &KeyRing) -> Result<Self> {
        let mut key = [0; KEY_BYTES];
        random(&mut key)?;
        let mut head = Head::new(cipher)?;
        head.wrap(SLOTS[0], &*ring.current()?, &key)?;
        Ok(Self {
            head,
            aead: Aead::new(cipher, &key)?,
            segments: 0,
            pending: Vec::new(),
        })
    }

    /// Room for the head.
    pub(in crate::store) const PLACEHOLDER: [u8; HEAD_BYTES] = [0; HEAD_BYTES];

    /// Takes plain bytes; gives whole segments to `out`.
    pub(in crate::store) fn push(
        &mut self,
        mut bytes: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            if self.pending.len() == SEGMENT_BYTES {
                self.seal_pending(Part::Segment)?;
                out(&self.pending)?;
                self.pending.clear();
            }
            if self.pending.capacity() == 0 {
                self.pending.reserve_exact(SEGMENT_BYTES + TAG_BYTES);
            }
            let room = SEGMENT_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the file: gives the last segment to `out`, and the head.
    pub(in crate::store) fn finish(
        mut self,
        label: &str,
        mut out: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Head> {
        self.seal_pending(Part::LastSegment)?;
        out(&self.pending)?;
        self.head.put_label(&self.aead, label)?;
        Ok(self.head)
    }

    fn seal_pending(&mut self, part: Part) -> Result<()> {
        // The largest number belongs to the name.
        if self.segments == u32::MAX {
            return Err(ArchiveError::invalid("object", "it is longer than 256 TiB"));
        }
        let nonce = self.head.nonce(self.segments, part);
        self.aead.seal(nonce, self.head.fixed(), &mut self.pending)?;
        self.segments += 1;
        Ok(())
    }
}
