//! Files in an S3 bucket.
//!
//! An object is whole in the bucket or not there at all; the service answers a PUT when it has the
//! object durably. Every request is signed over the SHA-256 of its body, so the service refuses what
//! was damaged on the way.

mod blob;
mod http;

use super::disk::Disk;
use super::medium::{Blob, Listed, Medium, read_exact_at};
use super::settings::S3 as Settings;
use super::spool::{Finished, SpoolFile};
use crate::error::{ArchiveError, Result};
use blob::S3Blob;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Location;
use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Objects up to this length go in one request; longer ones in parts of it. Also the most memory
/// that one upload holds.
const PART_BYTES: usize = 8 << 20;
/// Longest time of one request with all its tries.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(120);
/// Tries after the first of a request that may be repeated.
const RETRIES_MAX: usize = 4;
/// No further try after this.
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);
/// Threads that wait for the service.
const THREADS: usize = 2;
/// What a probe writes.
const PROBE_NAME: &str = ".probe";

/// A bucket.
pub(super) struct S3 {
    client: Arc<Client>,
    /// Where files are changed before they go back.
    spool: PathBuf,
    disk: Arc<dyn Disk>,
    read_back: bool,
}

/// The service, and threads of its own to wait for it: callers wait without a runtime.
struct Client {
    service: AmazonS3,
    runtime: Option<Runtime>,
    prefix: String,
    place: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped where waiting is forbidden.
            runtime.shutdown_background();
        }
    }
}

impl Client {
    fn location(&self, name: &str) -> Location {
        match self.prefix.as_str() {
            "" => Location::from(name),
            prefix => Location::from(format!("{prefix}/{name}")),
        }
    }

    /// Runs a request on the service's own threads.
    fn wait<T: Send + 'static>(
        &self,
        name: &str,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let runtime = self.runtime.as_ref().ok_or(ArchiveError::Closed)?;
        let (answer, result) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            let done = tokio::time::timeout(REQUEST_TIME_MAX, request).await;
            // Whoever asked waits below.
            let _ = answer.send(done);
        });
        match result.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(self.error(name, error)),
            Ok(Err(_)) => Err(self.failed("no answer within two minutes")),
            Err(_) => Err(ArchiveError::Closed),
        }
    }

    fn failed(&self, why: &str) -> ArchiveError {
        ArchiveError::Remote(format!("{}: {why}", self.place))
    }

    fn error(&self, name: &str, error: Error) -> ArchiveError {
        if matches!(error, Error::NotFound { .. }) && name != PROBE_NAME {
            return ArchiveError::NotFound(format!("object {name}"));
        }
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !why.contains(&text) {
                why = format!("{why}: {text}");
            }
            cause = inner.source();
        }
        if ["StorageFull", "QuotaExceeded", "507 "]
            .iter()
            .any(|word| why.contains(word))
        {
            return ArchiveError::OutOfSpace(format!("{}: {why}", self.place));
        }
        self.failed(&why)
    }
}

impl S3 {
    /// # Errors
    /// [`ArchiveError::Remote`] when the settings cannot be used. The service is not asked yet.
    pub(super) fn open(settings: &Settings, spool: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let place = format!("s3://{}/{}", settings.bucket, settings.prefix);
        let wrong = |why: String| ArchiveError::Remote(format!("{place}: {why}"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(settings.access_key.reveal())
            .with_secret_access_key(settings.secret_key.reveal())
            .with_virtual_hosted_style_request(!settings.path_style)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(100),
                    max_backoff: Duration::from_secs(3),
                    base: 2.0,
                },
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_TIME_MAX,
            })
            .with_http_connector(http::Connector::new(settings)?);
        if let Some(endpoint) = &settings.endpoint {
            let (endpoint, plain) = endpoint_url(settings, endpoint).map_err(wrong)?;
            builder = builder.with_endpoint(endpoint).with_allow_http(plain);
        }
        let service = builder.build().map_err(|error| wrong(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("store-s3")
            .enable_all()
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            client: Arc::new(Client {
                service,
                runtime: Some(runtime),
                prefix: settings.prefix.clone(),
                place,
            }),
            spool: spool.to_path_buf(),
            disk,
            read_back: settings.read_back,
        })
    }

    fn put_bytes(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<()> {
        let (client, location) = (self.client.clone(), self.client.location(name));
        let options = PutOptions::from(mode);
        let payload = PutPayload::from(Bytes::from(bytes));
        self.client.wait(name, async move {
            match client.service.put_opts(&location, payload, options).await {
                // A try whose answer was lost: names are never given twice.
                Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    fn put_parts(&self, name: &str, from: &mut dyn Blob) -> Result<()> {
        let (client, location) = (self.client.clone(), self.client.location(name));
        let begun = async move { client.service.put_multipart(&location).await };
        let mut upload = self.client.wait(name, begun)?;
        let mut send = || {
            let mut at = 0;
            while at < from.size() {
                let part = read_part(from, at)?;
                at += part.len() as u64;
                let sent = upload.put_part(PutPayload::from(Bytes::from(part)));
                self.client.wait(name, sent)?;
            }
            Ok(())
        };
        let sent = send();
        self.client
            .wait(name, async move {
                match sent {
                    Ok(()) => Ok(upload.complete().await.map(|_| None)?),
                    Err(error) => {
                        // Parts that stay are removed by the bucket's own rule for unfinished uploads.
                        let _ = upload.abort().await;
                        Ok(Some(error))
                    }
                }
            })?
            .map_or(Ok(()), Err)
    }

    /// Puts a file and checks that it is there.
    fn upload(&self, from: &mut dyn Blob, name: &str, mode: PutMode) -> Result<()> {
        let bytes = from.size();
        if bytes <= PART_BYTES as u64 {
            let whole = read_part(from, 0)?;
            self.put_bytes(name, whole, mode)?;
        } else {
            self.put_parts(name, from)?;
        }
        let (client, location) = (self.client.clone(), self.client.location(name));
        let head = async move { client.service.head(&location).await };
        let found = self.client.wait(name, head)?.size;
        if found != bytes {
            return Err(self
                .client
                .failed(&format!("{name} has {found} bytes after {bytes} were sent")));
        }
        if self.read_back && hash(&mut *self.open(name, 0, bytes)?)? != hash(from)? {
            return Err(self
                .client
                .failed(&format!("{name} reads back with other bytes than were sent")));
        }
        Ok(())
    }

    fn list(&self, under: &str) -> Result<object_store::ListResult> {
        let (client, location) = (self.client.clone(), self.client.location(under));
        self.client.wait(under, async move {
            client.service.list_with_delimiter(Some(&location)).await
        })
    }
}

/// The URL to call, and whether it may be without TLS.
fn endpoint_url(settings: &Settings, endpoint: &str) -> std::result::Result<(String, bool), String> {
    let (scheme, rest) = endpoint
        .split_once("://")
        .ok_or("endpoint: write https://HOST or https://HOST:PORT")?;
    let rest = rest.trim_end_matches('/');
    let host = match rest.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => rest.split([':', '/']).next().unwrap_or_default(),
    };
    let is_here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let plain = match scheme {
        "https" => false,
        "http" if is_here || settings.allow_http => true,
        "http" => {
            return Err(
                "endpoint without TLS on another machine; use https, or set allow_http = true".into(),
            );
        }
        _ => return Err("endpoint: write https://HOST or https://HOST:PORT".into()),
    };
    let url = match settings.path_style {
        true => format!("{scheme}://{rest}"),
        false => format!("{scheme}://{}.{rest}", settings.bucket),
    };
    Ok((url, plain))
}

fn read_part(from: &mut dyn Blob, at: u64) -> Result<Vec<u8>> {
    let length = from.size().saturating_sub(at).min(PART_BYTES as u64);
    let mut part = vec![0; usize::try_from(length).unwrap_or(0)];
    read_exact_at(from, at, &mut part).map_err(|error| ArchiveError::from_read("a file to send", error))?;
    Ok(part)
}

fn hash(from: &mut dyn Blob) -> Result<[u8; 32]> {
    let (mut hasher, mut at) = (Sha256::new(), 0);
    while at < from.size() {
        let part = read_part(from, at)?;
        at += part.len() as u64;
        hasher.update(&part);
    }
    Ok(hasher.finalize().into())
}

impl Medium for S3 {
    fn place(&self) -> String {
        self.client.place.clone()
    }

    fn put(&self, file: Finished, name: &str) -> Result<()> {
        self.copy_in(&mut file.blob()?, name)
    }

    fn copy_in(&self, from: &mut dyn Blob, name: &str) -> Result<()> {
        let done = self.upload(from, name, PutMode::Create);
        if matches!(done, Err(ArchiveError::Remote(_))) {
            // Perhaps it is there all the same; nobody knows its name yet.
            let _ = self.remove(name);
        }
        done
    }

    fn open(&self, name: &str, at: u64, length: u64) -> Result<Box<dyn Blob>> {
        Ok(Box::new(S3Blob::open(self.client.clone(), name, at, length)?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let client = self.client.clone();
        let (old, new) = (client.location(from), client.location(to));
        self.client.wait(from, async move {
            client.service.copy(&old, &new).await?;
            client.service.delete(&old).await
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let (client, location) = (self.client.clone(), self.client.location(name));
        let removed = async move { client.service.delete(&location).await };
        match self.client.wait(name, removed) {
            Err(ArchiveError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    fn patch(&self, name: &str, parts: &[(u64, Vec<u8>)]) -> Result<()> {
        // An object cannot be changed in place: a changed copy replaces it at once.
        let mut whole = self.open(name, 0, 0)?;
        let mut file = SpoolFile::create(self.disk.clone(), &self.spool, None)?;
        let mut at = 0;
        while at < whole.size() {
            let mut piece = read_part(&mut *whole, at)?;
            for (begin, bytes) in parts {
                for (byte, place) in bytes.iter().zip(*begin..) {
                    let index = place
                        .checked_sub(at)
                        .and_then(|index| usize::try_from(index).ok());
                    if let Some(target) = index.and_then(|index| piece.get_mut(index)) {
                        *target = *byte;
                    }
                }
            }
            at += piece.len() as u64;
            file.write(&piece)?;
        }
        self.upload(&mut file.finish("")?.blob()?, name, PutMode::Overwrite)
    }

    fn folders(&self, under: &str) -> Result<Vec<String>> {
        let mut names: Vec<String> = self
            .list(under)?
            .common_prefixes
            .iter()
            .filter_map(|prefix| prefix.filename().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    fn files(&self, under: &str) -> Result<Vec<Listed>> {
        let mut files: Vec<Listed> = self
            .list(under)?
            .objects
            .into_iter()
            .filter_map(|meta| {
                let name = meta.location.filename()?;
                (!name.starts_with('.')).then(|| Listed {
                    name: format!("{under}/{name}"),
                    bytes: meta.size,
                })
            })
            .collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn probe(&self) -> Result<()> {
        self.put_bytes(PROBE_NAME, b"probe".to_vec(), PutMode::Overwrite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_only_here_or_when_asked_for() {
        let settings = |path_style, allow_http| Settings {
            bucket: "county".to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: String::new().into(),
            secret_key: String::new().into(),
            path_style,
            allow_http,
            ca_file: None,
            read_back: false,
        };
        let check = |endpoint: &str, path_style, allow_http, expect: Option<(&str, bool)>| {
            let found = endpoint_url(&settings(path_style, allow_http), endpoint).ok();
            assert_eq!(
                found,
                expect.map(|(url, plain)| (url.to_owned(), plain)),
                "{endpoint}"
            );
        };
        check(
            "https://s3.example.org/",
            true,
            false,
            Some(("https://s3.example.org", false)),
        );
        check(
            "https://s3.example.org",
            false,
            false,
            Some(("https://county.s3.example.org", false)),
        );
        check(
            "http://127.0.0.1:9000",
            true,
            false,
            Some(("http://127.0.0.1:9000", true)),
        );
        check(
            "http://[::1]:9000",
            true,
            false,
            Some(("http://[::1]:9000", true)),
        );
        check(
            "http://localhost:9000",
            true,
            false,
            Some(("http://localhost:9000", true)),
        );
        check("http://10.0.0.7:9000", true, false, None);
        check(
            "http://10.0.0.7:9000",
            true,
            true,
            Some(("http://10.0.0.7:9000", true)),
        );
        check("ftp://x", true, true, None);
        check("10.0.0.7", true, true, None);
    }
}
