//! Encrypted files: what lies on the medium tells neither content nor name.
//!
//! Each object has a random key of its own, which stands in the file's head, wrapped by a key from
//! the operator. The content is cut into segments of 64 KiB; each is sealed by itself, so that any
//! range can be read, and each nonce holds the segment's number and whether it is the last one, so
//! that segments can be neither swapped nor cut off. The head's fixed part is authenticated with
//! every segment. There is room for the wrapped key twice: rewrapping fills the other place first,
//! so that a torn write never loses the only one.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `GYSEAL` and version 0, 1 |
//! | 8, 9 | cipher; logarithm of the segment's length |
//! | 12..19 | prefix of every nonce |
//! | 32..100, 100..168 | wrapped key: name of the wrapping key, nonce, sealed key |
//! | 168..170, 170..386 | length of the object's key in the store, and it, sealed |
//! | 512.. | segments, each with its tag |

mod cipher;
mod keys;
mod reader;
mod sm4_gcm;
mod writer;

pub use cipher::Cipher;
pub(crate) use keys::KeyRing;
pub use keys::{KeySource, new_key_line};
pub(super) use reader::SealedBlob;
pub(super) use writer::SealWriter;

use super::key::KEY_BYTES_MAX;
use crate::error::{ArchiveError, Result};
use cipher::{Aead, KEY_BYTES, NONCE_BYTES, TAG_BYTES};
use keys::{KEY_ID_BYTES, KeyId, random};

/// Bytes before the first segment.
pub(super) const HEAD_BYTES: usize = 512;
/// Plain bytes of a segment.
const SEGMENT_BYTES: usize = 1 << SEGMENT_LOG2;
const SEGMENT_LOG2: u8 = 16;
const MAGIC: [u8; 8] = *b"GYSEAL\0\x01";
/// The part of the head that never changes.
const FIXED_BYTES: usize = 32;
const PREFIX: std::ops::Range<usize> = 12..19;
const SLOT_BYTES: usize = KEY_ID_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const SLOTS: [usize; 2] = [FIXED_BYTES, FIXED_BYTES + SLOT_BYTES];
const LABEL: usize = FIXED_BYTES + 2 * SLOT_BYTES;

/// What the last byte of a nonce says.
#[derive(Clone, Copy)]
enum Part {
    Segment,
    LastSegment,
    Label,
}

fn damaged(why: &str) -> ArchiveError {
    ArchiveError::Corrupt(format!("the head of an encrypted file: {why}"))
}

/// The head of an encrypted file.
#[derive(Clone)]
pub(super) struct Head(Box<[u8; HEAD_BYTES]>);

impl Head {
    fn new(cipher: Cipher) -> Result<Self> {
        let mut bytes = Box::new([0; HEAD_BYTES]);
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        bytes[8] = cipher.number();
        bytes[9] = SEGMENT_LOG2;
        random(&mut bytes[PREFIX])?;
        Ok(Self(bytes))
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let bytes: [u8; HEAD_BYTES] = bytes
            .get(..HEAD_BYTES)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| damaged("it is too short"))?;
        if bytes[..MAGIC.len()] != MAGIC {
            return Err(damaged("it does not begin as such a head does"));
        }
        if bytes[9] != SEGMENT_LOG2 || Cipher::from_number(bytes[8]).is_none() {
            return Err(damaged(
                "its cipher or segment length is not known to this program",
            ));
        }
        Ok(Self(Box::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8; HEAD_BYTES] {
        &self.0
    }

    fn cipher(&self) -> Cipher {
        Cipher::from_number(self.0[8]).unwrap_or(Cipher::Aes256Gcm)
    }

    fn fixed(&self) -> &[u8] {
        &self.0[..FIXED_BYTES]
    }

    fn nonce(&self, number: u32, part: Part) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..7].copy_from_slice(&self.0[PREFIX]);
        nonce[7..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = match part {
            Part::Segment => 0,
            Part::LastSegment => 1,
            Part::Label => 2,
        };
        nonce
    }

    fn slot(&self, at: usize) -> &[u8] {
        &self.0[at..at + SLOT_BYTES]
    }

    fn key_id(&self, at: usize) -> KeyId {
        self.slot(at).first_chunk().copied().unwrap_or_default()
    }

    /// Wraps the object's key into a place.
    fn wrap(&mut self, at: usize, with: &keys::WrappingKey, key: &[u8; KEY_BYTES]) -> Result<()> {
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let mut sealed = key.to_vec();
        with.aead(self.cipher())?.seal(nonce, self.fixed(), &mut sealed)?;
        let slot = &mut self.0[at..at + SLOT_BYTES];
        slot[..KEY_ID_BYTES].copy_from_slice(&with.id);
        slot[KEY_ID_BYTES..KEY_ID_BYTES + NONCE_BYTES].copy_from_slice(&nonce);
        slot[KEY_ID_BYTES + NONCE_BYTES..].copy_from_slice(&sealed);
        Ok(())
    }

    /// The object's key, and in which place it was found.
    fn unwrap_key(&self, ring: &KeyRing) -> Result<(usize, [u8; KEY_BYTES])> {
        let filled: Vec<usize> = SLOTS
            .into_iter()
            .filter(|at| self.slot(*at).iter().any(|byte| *byte != 0))
            .collect();
        let mut failure = damaged("both places of its key are empty");
        for at in filled {
            let key = match ring.find(&[self.key_id(at)]) {
                Ok(key) => key,
                Err(error) => {
                    failure = error;
                    continue;
                }
            };
            let slot = self.slot(at);
            let nonce = slot[KEY_ID_BYTES..KEY_ID_BYTES + NONCE_BYTES].try_into();
            let mut sealed = slot[KEY_ID_BYTES + NONCE_BYTES..].to_vec();
            let opened = key
                .aead(self.cipher())?
                .open(nonce.unwrap_or_default(), self.fixed(), &mut sealed);
            match <[u8; KEY_BYTES]>::try_from(sealed) {
                Ok(key) if opened => return Ok((at, key)),
                _ => failure = damaged("its wrapped key was changed"),
            }
        }
        Err(failure)
    }

    fn put_label(&mut self, aead: &Aead, label: &str) -> Result<()> {
        if label.len() > KEY_BYTES_MAX {
            return Err(ArchiveError::invalid("object key", "use at most 200 bytes"));
        }
        let mut sealed = label.as_bytes().to_vec();
        aead.seal(self.nonce(u32::MAX, Part::Label), self.fixed(), &mut sealed)?;
        let length = u16::try_from(sealed.len()).unwrap_or(0);
        self.0[LABEL..LABEL + 2].copy_from_slice(&length.to_be_bytes());
        self.0[LABEL + 2..LABEL + 2 + sealed.len()].copy_from_slice(&sealed);
        Ok(())
    }

    fn label(&self, aead: &Aead) -> Result<String> {
        let length = usize::from(u16::from_be_bytes([self.0[LABEL], self.0[LABEL + 1]]));
        let mut sealed = self
            .0
            .get(LABEL + 2..LABEL + 2 + length)
            .filter(|_| length <= KEY_BYTES_MAX + TAG_BYTES)
            .ok_or_else(|| damaged("the object's name is too long"))?
            .to_vec();
        if !aead.open(self.nonce(u32::MAX, Part::Label), self.fixed(), &mut sealed) {
            return Err(damaged("the object's name was changed"));
        }
        String::from_utf8(sealed).map_err(|_| damaged("the object's name is no text"))
    }

    /// The object's name in the store.
    pub(super) fn read_label(&self, ring: &KeyRing) -> Result<String> {
        let (_, key) = self.unwrap_key(ring)?;
        self.label(&Aead::new(self.cipher(), &key)?)
    }

    /// Steps that wrap the object's key by the current key: bytes to write one after the other, each
    /// durable before the next. None when that was done before.
    pub(super) fn rewrap(&self, ring: &KeyRing) -> Result<Vec<(u64, Vec<u8>)>> {
        let (at, key) = self.unwrap_key(ring)?;
        let other = if at == SLOTS[0] { SLOTS[1] } else { SLOTS[0] };
        let current = ring.current()?;
        let cleared = |at: usize| (at as u64, vec![0; SLOT_BYTES]);
        if self.key_id(at) == current.id {
            // Perhaps only the last step of a former rewrap is missing.
            let is_clear = self.slot(other).iter().all(|byte| *byte == 0);
            return Ok(if is_clear {
                Vec::new()
            } else {
                vec![cleared(other)]
            });
        }
        let mut fresh = self.clone();
        fresh.wrap(other, &current, &key)?;
        Ok(vec![(other as u64, fresh.slot(other).to_vec()), cleared(at)])
    }
}

#[cfg(test)]
mod tests;
