//! Where objects lie and how they are kept.

use super::seal::{Cipher, KeySource};
use crate::error::{ArchiveError, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A word that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The word itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(word: String) -> Self {
        Self(word)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

/// How objects are kept beyond the folder of this machine.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// An S3 store.
    pub remote: Option<Remote>,
    /// Encryption of what is written, and the keys of what is read.
    pub encryption: Option<Encryption>,
    /// Days in which every object is read and hashed again; 0: never.
    pub scrub_days: u32,
    /// Size of the journal through which small objects become durable, in MiB; 0: none, each is
    /// flushed under its own name.
    pub journal_mib: u32,
}

/// An S3 store, for all objects or for the older ones.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub s3: S3,
    /// Which objects move there; `None`: all of them are placed there at once.
    pub tier: Option<Tier>,
}

/// Which objects move to the S3 store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Those received longer ago than this; 0: none because of its age.
    pub after_days: u32,
    /// The oldest, as long as more than this lies on this machine; 0: no limit.
    pub keep_local_gb: u64,
}

/// Encryption of stored files.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// Cipher of what is written; `None`: plain, while what is encrypted stays readable.
    pub cipher: Option<Cipher>,
    /// Where the keys come from.
    pub keys: KeySource,
}

/// An S3 bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Name of the bucket.
    pub bucket: String,
    /// What every name in it begins with; may be empty.
    pub prefix: String,
    /// URL of the service; `None`: Amazon's in the region.
    pub endpoint: Option<String>,
    /// Region that requests are signed for.
    pub region: String,
    /// Access key.
    pub access_key: Secret,
    /// Its secret.
    pub secret_key: Secret,
    /// The bucket stands in the path of the URL, not in its host name.
    pub path_style: bool,
    /// Also without TLS to another machine.
    pub allow_http: bool,
    /// Certificates (PEM) of the authority that signed the service's one, beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Read every object back and compare it before it is acknowledged.
    pub read_back: bool,
}

impl S3 {
    /// Bucket and prefix of `s3://bucket/prefix`.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn split_url(url: &str) -> Result<(String, String)> {
        let wrong = || ArchiveError::invalid("object store", "write s3://BUCKET or s3://BUCKET/PREFIX");
        let rest = url.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if bucket.len() < 3 || bucket.len() > 63 || !bucket.chars().all(fits) {
            return Err(wrong());
        }
        let prefix = prefix.trim_matches('/');
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
        if prefix.len() > 200 || prefix.contains("..") || prefix.contains("//") || !prefix.chars().all(fits) {
            return Err(wrong());
        }
        Ok((bucket.to_owned(), prefix.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_buckets() {
        let good = [
            ("s3://abc", ("abc", "")),
            ("s3://abc/", ("abc", "")),
            ("s3://county-1/images/a", ("county-1", "images/a")),
        ];
        for (url, (bucket, prefix)) in good {
            assert_eq!(
                S3::split_url(url).unwrap(),
                (bucket.to_owned(), prefix.to_owned())
            );
        }
        for url in [
            "",
            "s3://",
            "s3://ab",
            "s3://ABC",
            "file:x",
            "s3://abc/../x",
            "s3://abc/a//b",
        ] {
            assert!(S3::split_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Secret::from("word".to_owned())), "(hidden)");
    }
}
