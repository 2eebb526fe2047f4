//! SM4 (GB/T 32907) in Galois/Counter Mode, as RFC 8998 uses it: 96-bit nonces, 128-bit tags.

use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use sm4::Sm4;
use sm4::cipher::{Block, BlockCipherEncrypt, KeyInit};

/// Bytes of the cipher's block and of the tag.
const BLOCK_BYTES: usize = 16;
/// Blocks of key stream made at a time.
const STREAM_BLOCKS: usize = 64;

/// SM4-GCM under one key.
#[derive(Clone)]
pub(super) struct Sm4Gcm {
    cipher: Sm4,
    hash: GHash,
}

impl Sm4Gcm {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let cipher = Sm4::new(&key.into());
        let mut zero = Block::<Sm4>::default();
        cipher.encrypt_block(&mut zero);
        let subkey: [u8; BLOCK_BYTES] = zero.into();
        Self {
            cipher,
            hash: GHash::new(&subkey.into()),
        }
    }

    /// Encrypts in place; gives the tag.
    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8]) -> [u8; 16] {
        self.apply_stream(nonce, bytes);
        self.tag(nonce, aad, bytes)
    }

    /// Decrypts in place; `false`, with the bytes as they came, when the tag does not fit.
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8], tag: [u8; 16]) -> bool {
        let found = self.tag(nonce, aad, bytes);
        // Looks at every byte in any case: the time taken tells nothing.
        let difference = found.iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
        if difference != 0 {
            return false;
        }
        self.apply_stream(nonce, bytes);
        true
    }

    fn counter(nonce: [u8; 12], counter: u32) -> Block<Sm4> {
        let mut block = [0; BLOCK_BYTES];
        let (left, right) = block.split_at_mut(nonce.len());
        left.copy_from_slice(&nonce);
        right.copy_from_slice(&counter.to_be_bytes());
        block.into()
    }

    fn apply_stream(&self, nonce: [u8; 12], bytes: &mut [u8]) {
        // Counter 1 masks the tag.
        let mut counter = 2u32;
        let mut stream = [Block::<Sm4>::default(); STREAM_BLOCKS];
        for part in bytes.chunks_mut(STREAM_BLOCKS * BLOCK_BYTES) {
            let blocks = part.len().div_ceil(BLOCK_BYTES);
            for block in stream.iter_mut().take(blocks) {
                *block = Self::counter(nonce, counter);
                counter = counter.wrapping_add(1);
            }
            self.cipher
                .encrypt_blocks(stream.get_mut(..blocks).unwrap_or_default());
            for (piece, mask) in part.chunks_mut(BLOCK_BYTES).zip(&stream) {
                for (byte, mask) in piece.iter_mut().zip(mask.iter()) {
                    *byte ^= mask;
                }
            }
        }
    }

    fn tag(&self, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> [u8; 16] {
        let bits = |length: usize| (length as u64).wrapping_mul(8).to_be_bytes();
        let mut lengths = [0; BLOCK_BYTES];
        let (left, right) = lengths.split_at_mut(8);
        left.copy_from_slice(&bits(aad.len()));
        right.copy_from_slice(&bits(sealed.len()));
        let mut hash = self.hash.clone();
        hash.update_padded(aad);
        hash.update_padded(sealed);
        hash.update(&[lengths.into()]);
        let mut mask = Self::counter(nonce, 1);
        self.cipher.encrypt_block(&mut mask);
        let mut tag: [u8; BLOCK_BYTES] = hash.finalize().into();
        tag.iter_mut().zip(mask.iter()).for_each(|(t, m)| *t ^= m);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex_digits: &str) -> [u8; N] {
        hex::decode(hex_digits.replace(' ', ""))
            .unwrap()
            .try_into()
            .unwrap()
    }

    /// RFC 8998, appendix A.1.
    #[test]
    fn the_vector_of_rfc_8998() {
        let cipher = Sm4Gcm::new(bytes("0123456789ABCDEFFEDCBA9876543210"));
        let nonce = bytes("00001234567800000000ABCD");
        let aad: [u8; 20] = bytes("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2");
        let plain: [u8; 64] = bytes(
            "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD\
             EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA",
        );
        let expect: [u8; 64] = bytes(
            "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735\
             D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D",
        );
        let tag = bytes("83DE3541E4C2B58177E065A9BF7B62EC");
        let mut text = plain;
        assert_eq!(cipher.seal(nonce, &aad, &mut text), tag);
        assert_eq!(text, expect);
        assert!(cipher.open(nonce, &aad, &mut text, tag));
        assert_eq!(text, plain);
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let cipher = Sm4Gcm::new([7; 16]);
        for length in [0, 1, 15, 16, 17, 1023, 1024, 1025, 70_000] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut text = plain.clone();
            let tag = cipher.seal([1; 12], b"head", &mut text);
            let sealed = text.clone();
            let mut other = tag;
            other[15] ^= 1;
            assert!(!cipher.open([1; 12], b"head", &mut text, other) && text == sealed);
            assert!(!cipher.open([1; 12], b"heaD", &mut text, tag));
            assert!(!cipher.open([2; 12], b"head", &mut text, tag));
            if let Some(last) = text.last_mut() {
                *last ^= 0x80;
                assert!(!cipher.open([1; 12], b"head", &mut text, tag));
                text.clone_from(&sealed);
            }
            assert!(
                cipher.open([1; 12], b"head", &mut text, tag) && text == plain,
                "{length}"
            );
        }
    }
}
