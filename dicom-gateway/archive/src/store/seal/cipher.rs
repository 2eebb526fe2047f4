//! The two ciphers that objects can be encrypted with, behind one face.

use super::sm4_gcm::Sm4Gcm;
use crate::error::{ArchiveError, Result};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::str::FromStr;

/// Bytes of the tag behind what is sealed.
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of key material; SM4 uses the first half.
pub(super) const KEY_BYTES: usize = 32;

/// Cipher of stored objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM (NIST SP 800-38D).
    Aes256Gcm,
    /// SM4-GCM (GB/T 32907, RFC 8998).
    Sm4Gcm,
}

impl Cipher {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::Sm4Gcm => "sm4-gcm",
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::Sm4Gcm => 2,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Aes256Gcm, Self::Sm4Gcm]
            .into_iter()
            .find(|cipher| cipher.number() == number)
    }
}

impl FromStr for Cipher {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Aes256Gcm, Self::Sm4Gcm]
            .into_iter()
            .find(|cipher| cipher.as_str() == text)
            .ok_or_else(|| ArchiveError::invalid("cipher", "write aes-256-gcm or sm4-gcm"))
    }
}

/// A cipher under one key. Its caller never uses a nonce twice.
pub(super) enum Aead {
    Aes(Box<LessSafeKey>),
    Sm4(Box<Sm4Gcm>),
}

fn refused() -> ArchiveError {
    ArchiveError::Sealed("the cipher refused its key or the length of the data".to_owned())
}

impl Aead {
    pub(super) fn new(cipher: Cipher, key: &[u8; KEY_BYTES]) -> Result<Self> {
        match cipher {
            Cipher::Aes256Gcm => {
                let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| refused())?;
                Ok(Self::Aes(Box::new(LessSafeKey::new(key))))
            }
            Cipher::Sm4Gcm => {
                let half = key.first_chunk::<16>().ok_or_else(refused)?;
                Ok(Self::Sm4(Box::new(Sm4Gcm::new(*half))))
            }
        }
    }

    /// Encrypts in place and appends the tag.
    pub(super) fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_append_tag(nonce, Aad::from(aad), bytes)
                    .map_err(|_| refused())
            }
            Self::Sm4(key) => {
                let tag = key.seal(nonce, aad, bytes);
                bytes.extend_from_slice(&tag);
                Ok(())
            }
        }
    }

    /// Decrypts in place and takes the tag off; `false` when it was changed or is under another key.
    pub(super) fn open(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], bytes: &mut Vec<u8>) -> bool {
        let Some(length) = bytes.len().checked_sub(TAG_BYTES) else {
            return false;
        };
        let opened = match self {
            Self::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, Aad::from(aad), bytes).is_ok()
            }
            Self::Sm4(key) => {
                let (text, tag) = bytes.split_at_mut(length);
                <[u8; TAG_BYTES]>::try_from(&*tag).is_ok_and(|tag| key.open(nonce, aad, text, tag))
            }
        };
        bytes.truncate(length);
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for cipher in [Cipher::Aes256Gcm, Cipher::Sm4Gcm] {
            assert_eq!(cipher.as_str().parse::<Cipher>().unwrap(), cipher);
            assert_eq!(Cipher::from_number(cipher.number()), Some(cipher));
        }
        assert!("aes".parse::<Cipher>().is_err() && Cipher::from_number(0).is_none());
    }

    /// Test case 16 of the submission of GCM to NIST (McGrew and Viega): AES-256 with additional data.
    #[test]
    fn a_known_vector_of_aes_256_gcm() {
        let key = hex::decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308").unwrap();
        let aead = Aead::new(Cipher::Aes256Gcm, &key.try_into().unwrap()).unwrap();
        let nonce: [u8; 12] = hex::decode("cafebabefacedbaddecaf888")
            .unwrap()
            .try_into()
            .unwrap();
        let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let plain = hex::decode(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        )
        .unwrap();
        let mut text = plain.clone();
        aead.seal(nonce, &aad, &mut text).unwrap();
        assert_eq!(
            hex::encode(&text),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        );
        assert!(aead.open(nonce, &aad, &mut text) && text == plain);
    }
}
