//! The keys that wrap the keys of objects: from a file or a command, the newest first.

use super::cipher::{Aead, Cipher, KEY_BYTES};
use crate::error::{ArchiveError, Result};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bytes that name a key.
pub(super) const KEY_ID_BYTES: usize = 8;
/// Longest key file or answer of a key command.
const SOURCE_BYTES_MAX: u64 = 64 << 10;
/// Keys of one source at most.
const KEYS_MAX: usize = 64;
/// Longest time that a key command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// The source is read again at most this often when a key is missing.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Name of a key; tells nothing of the key.
pub(super) type KeyId = [u8; KEY_ID_BYTES];

/// Where keys come from. Text with one key a line, 64 hexadecimal digits each; the first is used for
/// what is written, all for what is read; `#` begins a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A command of the shell that prints the text, e.g. one that asks a key service.
    Command(String),
}

impl KeySource {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Command(command) => format!("the answer of `{command}`"),
        }
    }

    fn failed(&self, why: impl std::fmt::Display) -> ArchiveError {
        ArchiveError::Sealed(format!("{}: {why}", self.name()))
    }

    fn read(&self) -> Result<String> {
        let mut text = String::new();
        match self {
            Self::File(path) => std::fs::File::open(path)
                .and_then(|file| file.take(SOURCE_BYTES_MAX).read_to_string(&mut text))
                .map(|_| text)
                .map_err(|error| self.failed(error)),
            Self::Command(command) => self.run(command),
        }
    }

    fn run(&self, command: &str) -> Result<String> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.failed(error))?;
        // What it prints fits the pipe: it never has to wait for a reader.
        let end = Instant::now() + COMMAND_TIME_MAX;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(self.failed("no answer within 30 s"));
                }
                Err(error) => return Err(self.failed(error)),
            }
        };
        if !status.success() {
            return Err(self.failed(status));
        }
        let mut text = String::new();
        if let Some(out) = child.stdout.take() {
            let read = out.take(SOURCE_BYTES_MAX).read_to_string(&mut text);
            read.map_err(|error| self.failed(error))?;
        }
        Ok(text)
    }

    fn keys(&self) -> Result<Vec<Arc<WrappingKey>>> {
        let text = self.read()?;
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let secret = hex::decode(line).ok().and_then(|bytes| bytes.try_into().ok());
            let wrong = || self.failed(format!("line {}: a key is 64 hexadecimal digits", number + 1));
            keys.push(Arc::new(WrappingKey::new(secret.ok_or_else(wrong)?)));
        }
        match keys.len() {
            0 => Err(self.failed("holds no key; make one with `gongying admin key create FILE`")),
            1..=KEYS_MAX => Ok(keys),
            _ => Err(self.failed(format!("holds more than {KEYS_MAX} keys"))),
        }
    }
}

/// A key that wraps keys.
pub(super) struct WrappingKey {
    pub(super) id: KeyId,
    secret: [u8; KEY_BYTES],
}

impl WrappingKey {
    pub(super) fn new(secret: [u8; KEY_BYTES]) -> Self {
        let digest = derive(&secret, "gongying key id");
        let id = digest.first_chunk().copied().unwrap_or_default();
        Self { id, secret }
    }

    /// The cipher that wraps; each cipher has a key of its own derived from the secret.
    pub(super) fn aead(&self, cipher: Cipher) -> Result<Aead> {
        let label = format!("gongying key wrap {}", cipher.as_str());
        Aead::new(cipher, &derive(&self.secret, &label))
    }
}

fn derive(secret: &[u8; KEY_BYTES], label: &str) -> [u8; KEY_BYTES] {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, label.as_bytes());
    tag.as_ref().try_into().unwrap_or([0; KEY_BYTES])
}

struct Loaded {
    keys: Vec<Arc<WrappingKey>>,
    at: Instant,
}

/// The keys of a source; it is read again when a key is asked for that was not there.
pub(crate) struct KeyRing {
    source: KeySource,
    loaded: RwLock<Loaded>,
}

impl KeyRing {
    pub(crate) fn open(source: KeySource) -> Result<Self> {
        let keys = source.keys()?;
        Ok(Self {
            source,
            loaded: RwLock::new(Loaded {
                keys,
                at: Instant::now(),
            }),
        })
    }

    /// The key for what is written.
    pub(super) fn current(&self) -> Result<Arc<WrappingKey>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let first = loaded.keys.first().cloned();
        first.ok_or_else(|| self.source.failed("holds no key"))
    }

    /// One of the named keys.
    ///
    /// # Errors
    /// [`ArchiveError::Sealed`] when none of them is there.
    pub(super) fn find(&self, ids: &[KeyId]) -> Result<Arc<WrappingKey>> {
        let among = |loaded: &Loaded| loaded.keys.iter().find(|key| ids.contains(&key.id)).cloned();
        {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = among(&loaded) {
                return Ok(key);
            }
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.at.elapsed() >= RELOAD_EVERY {
            // Keys were perhaps renewed while this process runs.
            loaded.at = Instant::now();
            loaded.keys = self.source.keys()?;
        }
        among(&loaded).ok_or_else(|| {
            let names: Vec<String> = ids.iter().map(hex::encode).collect();
            self.source.failed(format!(
                "lacks the key {} of stored objects; put it back as a further line",
                names.join(" or ")
            ))
        })
    }
}

/// A fresh key as a line of a key file, with its name as a comment.
///
/// # Errors
/// When the system has no random bytes.
pub fn new_key_line() -> Result<String> {
    let mut secret = [0; KEY_BYTES];
    random(&mut secret)?;
    let id = hex::encode(WrappingKey::new(secret).id);
    Ok(format!("{} # key {id}\n", hex::encode(secret)))
}

pub(super) fn random(into: &mut [u8]) -> Result<()> {
    getrandom::fill(into).map_err(|error| ArchiveError::Sealed(format!("no random bytes: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TemporaryFolder;

    fn ring_of(text: &str) -> Result<KeyRing> {
        let folder = TemporaryFolder::new().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, text).unwrap();
        KeyRing::open(KeySource::File(path))
    }

    #[test]
    fn what_is_no_key_is_named() {
        for (text, words) in [
            ("", "holds no key"),
            ("# nothing\n\n", "holds no key"),
            ("abc", "line 1"),
            (&format!("{}\nzz", "0".repeat(64)), "line 2"),
            (&format!("{}\n", "0".repeat(64)).repeat(65), "more than 64"),
        ] {
            let Err(error) = ring_of(text) else {
                panic!("{text}")
            };
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        let missing = KeyRing::open(KeySource::File("/nonexistent/key".into()));
        assert!(missing.is_err_and(|e| e.to_string().contains("/nonexistent/key")));
    }

    #[test]
    fn the_first_key_writes_and_every_key_reads() {
        let (new, old) = (new_key_line().unwrap(), new_key_line().unwrap());
        let ring = ring_of(&format!("# newest first\n{new}\n{old}")).unwrap();
        let old = ring_of(&old).unwrap().current().unwrap().id;
        let current = ring.current().unwrap().id;
        assert_ne!(current, old);
        assert_eq!(ring.find(&[old]).unwrap().id, old);
        assert_eq!(ring.find(&[[0; 8], current]).unwrap().id, current);
        let lacks = ring.find(&[[0xAB; 8]]).map(|_| ()).unwrap_err();
        assert!(lacks.to_string().contains("abababababababab"), "{lacks}");
    }

    #[test]
    fn a_command_can_give_keys() {
        let line = new_key_line().unwrap();
        let ring = KeyRing::open(KeySource::Command(format!("echo '{}'", line.trim())));
        assert!(ring.is_ok_and(|ring| ring.current().is_ok()));
        let failed = KeyRing::open(KeySource::Command("exit 3".to_owned()));
        assert!(failed.is_err_and(|e| e.to_string().contains("exit")));
    }
}
