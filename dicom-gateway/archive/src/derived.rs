//! Results of jobs: one for each subject and kind, replaced only by a newer version.

use crate::Archive;
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use crate::params;
use crate::store::ObjectKey;

/// Results up to this length stand in the index itself.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// Largest result.
const DERIVED_BYTES_MAX: usize = 512 << 20;

crate::statements! {
    mod sql {
        OLD = "SELECT version, object_key FROM derived WHERE subject = $1 AND kind = $2";
        PUT = "INSERT INTO derived (subject, kind, version, content_type, digest, size_bytes, object_key, content, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (subject, kind) DO UPDATE SET version = excluded.version, content_type = excluded.content_type, digest = excluded.digest, size_bytes = excluded.size_bytes, object_key = excluded.object_key, content = excluded.content, made_at = excluded.made_at WHERE derived.version <= excluded.version";
        GET = "SELECT subject, kind, version, content_type, digest, size_bytes, object_key, content, made_at FROM derived WHERE subject = $1 AND kind = $2";
        INFO = "SELECT subject, kind, version, content_type, digest, size_bytes, made_at FROM derived WHERE subject = $1 AND kind = $2";
        LIST = "SELECT subject, kind, version, content_type, digest, size_bytes, made_at FROM derived WHERE subject = $1 ORDER BY kind";
        REMOVE = "DELETE FROM derived WHERE subject = $1 AND kind = $2";
    }
}

/// What is known of a result without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedInfo {
    /// UID (study, series or instance) it was made from.
    pub subject: String,
    /// What it is, e.g. `thumbnail`, `preview`, `series_metadata`, `ecg_analysis`.
    pub kind: String,
    /// Version of the method that made it.
    pub version: i64,
    /// Media type.
    pub content_type: String,
    /// SHA-256 of the content: its entity tag.
    pub digest: Sha256Digest,
    /// Bytes of the content.
    pub size_bytes: u64,
    /// When.
    pub made_at: UnixMicros,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// What is known of it.
    pub info: DerivedInfo,
    /// Its content.
    pub content: Vec<u8>,
}

fn read(row: &Row) -> Result<DerivedInfo> {
    let digest = Sha256Digest::from_slice(&row.bytes("digest")?);
    Ok(DerivedInfo {
        subject: row.text("subject")?,
        kind: row.text("kind")?,
        version: row.int("version")?,
        content_type: row.text("content_type")?,
        digest: digest.ok_or_else(|| ArchiveError::Corrupt("digest of a derived object".to_owned()))?,
        size_bytes: u64::try_from(row.int("size_bytes")?).unwrap_or(0),
        made_at: row.micros("made_at")?,
    })
}

/// The results of an archive.
#[derive(Clone)]
pub struct DerivedObjects {
    pub(crate) archive: Archive,
}

impl DerivedObjects {
    /// Keeps a result, replacing one of the same or an older version. `false` when a newer one is
    /// there.
    ///
    /// # Errors
    /// When it is too large, or the disk or index refuses.
    pub async fn put(
        &self,
        subject: &str,
        kind: &str,
        version: i64,
        content_type: &str,
        content: Vec<u8>,
    ) -> Result<bool> {
        if content.len() > DERIVED_BYTES_MAX {
            return Err(ArchiveError::invalid("derived object", "use at most 512 MiB"));
        }
        let (size, digest) = (content.len(), Sha256Digest::of(&content));
        let (key, inline) = if size > INLINE_BYTES_MAX {
            (Some(self.place(content, digest).await?), None)
        } else {
            (None, Some(content))
        };
        let (subject, kind) = (subject.to_owned(), kind.to_owned());
        let values = params![
            &subject,
            &kind,
            version,
            content_type,
            digest,
            size,
            key.as_ref().map(ObjectKey::as_str),
            inline,
            UnixMicros::now()
        ];
        let written = self
            .archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    let old = tx.fetch_optional(sql::OLD, params![subject, kind]).await?;
                    let old = old.map(|row| row.opt_text("object_key")).transpose()?.flatten();
                    let done = tx.execute(sql::PUT, values).await? == 1;
                    Ok::<_, ArchiveError>((done, old))
                })
            })
            .await?;
        let unused = if written.0 {
            written.1
        } else {
            key.map(|k| k.as_str().to_owned())
        };
        self.forget(unused).await;
        Ok(written.0)
    }

    async fn place(&self, content: Vec<u8>, digest: Sha256Digest) -> Result<ObjectKey> {
        let store = self.archive.store().clone();
        let place = move || {
            let mut spool = store.begin()?;
            spool.write(&content)?;
            store.place_derived(spool, digest)
        };
        tokio::task::spawn_blocking(place)
            .await
            .map_err(|_| ArchiveError::Closed)?
    }

    /// Removes a file that no row names any more.
    async fn forget(&self, key: Option<String>) {
        let Some(Ok(key)) = key.map(|text| ObjectKey::parse(&text)) else {
            return;
        };
        let store = self.archive.store().clone();
        let removed = tokio::task::spawn_blocking(move || store.remove(&key)).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!("an old derived object could not be removed");
        }
    }

    /// A result with its content.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`] when the content is not what was kept.
    pub async fn get(&self, subject: &str, kind: &str) -> Result<Option<Derived>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::GET, params![subject, kind])
            .await?;
        let Some(row) = row else { return Ok(None) };
        let info = read(&row)?;
        let content = match (row.opt_bytes("content")?, row.opt_text("object_key")?) {
            (Some(content), _) => content,
            (None, Some(key)) => {
                let (store, key) = (self.archive.store().clone(), ObjectKey::parse(&key)?);
                let read = tokio::task::spawn_blocking(move || store.read_all(&key)).await;
                let content = read.map_err(|_| ArchiveError::Closed)??;
                if Sha256Digest::of(&content) != info.digest {
                    return Err(ArchiveError::Corrupt(format!(
                        "derived object {kind} of {subject}"
                    )));
                }
                content
            }
            (None, None) => Vec::new(),
        };
        Ok(Some(Derived { info, content }))
    }

    /// What is known of a result, without reading it.
    ///
    /// # Errors
    /// What the index says.
    pub async fn info(&self, subject: &str, kind: &str) -> Result<Option<DerivedInfo>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::INFO, params![subject, kind])
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All results of a subject.
    ///
    /// # Errors
    /// What the index says.
    pub async fn list(&self, subject: &str) -> Result<Vec<DerivedInfo>> {
        let rows = self.archive.db().fetch_all(sql::LIST, params![subject]).await?;
        rows.iter().map(read).collect()
    }

    /// Removes a result; one that is not there is fine.
    ///
    /// # Errors
    /// What the index says.
    pub async fn remove(&self, subject: &str, kind: &str) -> Result<()> {
        let (subject, kind) = (subject.to_owned(), kind.to_owned());
        let old = self
            .archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    let old = tx.fetch_optional(sql::OLD, params![&subject, &kind]).await?;
                    tx.execute(sql::REMOVE, params![subject, kind]).await?;
                    old.map(|row| row.opt_text("object_key")).transpose()
                })
            })
            .await?;
        self.forget(old.flatten()).await;
        Ok(())
    }
}
