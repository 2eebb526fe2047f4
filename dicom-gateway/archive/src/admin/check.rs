//! Checking index and store against each other, and rebuilding the index from the store.

use super::adopt::uid_of;
use super::{Adoption, adopt};
use crate::Archive;
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::Sha256Digest;
use crate::params;
use crate::store::{CopyCheck, FileDigests, FileState, ObjectKey, ObjectStore};
use crate::upkeep::{blocking, digests_of};

/// Rows read at a time.
const PAGE_ROWS: i64 = 500;
/// Problems named at most; further ones are only counted.
const NAMED_MAX: usize = 100;

crate::statements! {
    mod sql {
        PAGE = "SELECT id, sop_instance_uid, object_key, medium, meta_bytes, meta_digest, dataset_digest FROM instance WHERE id > $1 ORDER BY id LIMIT $2";
        DERIVED_PAGE = "SELECT object_key, digest FROM derived WHERE object_key IS NOT NULL AND object_key > $1 ORDER BY object_key LIMIT $2";
        KEY_OF = "SELECT object_key FROM instance WHERE sop_instance_uid = $1";
        RECOUNT_SERIES = "UPDATE series SET instance_count = (SELECT COUNT(*) FROM instance i WHERE i.series_id = series.id), frame_count = (SELECT CAST(COALESCE(SUM(i.frames), 0) AS BIGINT) FROM instance i WHERE i.series_id = series.id) WHERE study_id = $1";
        RECOUNT_STUDY = "UPDATE study SET series_count = (SELECT COUNT(*) FROM series se WHERE se.study_id = study.id), instance_count = (SELECT COUNT(*) FROM instance i WHERE i.study_id = study.id) WHERE id = $1";
        STUDIES = "SELECT id FROM study WHERE id > $1 ORDER BY id LIMIT $2";
    }
}

/// What a check of the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Objects in the index that were read again.
    pub objects: u64,
    /// Files of derived objects that were read again.
    pub derived: u64,
    /// Rows whose file is missing.
    pub missing: u64,
    /// Files that are not as they were received.
    pub changed: u64,
    /// Files that the disk fails to read.
    pub unreadable: u64,
    /// Files that the index does not know.
    pub unindexed: u64,
    /// The first problems, in words.
    pub problems: Vec<String>,
}

impl StoreReport {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.missing + self.changed + self.unreadable + self.unindexed == 0
    }

    fn name(&mut self, text: String) {
        if self.problems.len() < NAMED_MAX {
            self.problems.push(text);
        }
    }

    fn note(&mut self, what: &str, copies: &[CopyCheck]) {
        for copy in copies {
            match copy.state {
                FileState::Sound => continue,
                FileState::Missing => self.missing += 1,
                FileState::Changed => self.changed += 1,
                FileState::Unreadable => self.unreadable += 1,
            }
            self.name(format!("{what} in {}: {}", copy.place, copy.why));
        }
    }
}

/// What a rebuild of the index did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReindexReport {
    /// Files looked at.
    pub files: u64,
    /// Files that the index did not know and knows now.
    pub adopted: u64,
    /// Files that are damaged; they are in quarantine now.
    pub damaged: u64,
}

fn digest(row: &Row, name: &str) -> Result<Sha256Digest> {
    Sha256Digest::from_slice(&row.bytes(name)?).ok_or_else(|| ArchiveError::Corrupt(name.to_owned()))
}

/// Results are made again when they are lost, so their one digest is over the plain content.
fn check_derived(store: &ObjectStore, key: &ObjectKey, known: Sha256Digest) -> Result<Vec<CopyCheck>> {
    let whole = FileDigests {
        meta_bytes: 0,
        meta: Sha256Digest::of(b""),
        dataset: known,
    };
    store.check(key, &whole, false)
}

impl Archive {
    /// Reads every object again and compares it with its digests; looks for files that the index
    /// does not know.
    ///
    /// # Errors
    /// Only when index or store cannot be read at all.
    pub async fn verify_store(&self) -> Result<StoreReport> {
        let mut report = StoreReport::default();
        self.verify_rows(&mut report).await?;
        self.verify_derived(&mut report).await?;
        self.verify_files(&mut report).await?;
        Ok(report)
    }

    async fn verify_rows(&self, report: &mut StoreReport) -> Result<()> {
        let mut after = 0;
        loop {
            let page = self.db().fetch_all(sql::PAGE, params![after, PAGE_ROWS]).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.int("id")?;
            for row in &page {
                let (uid, text) = (row.text("sop_instance_uid")?, row.text("object_key")?);
                let (digests, moved) = (digests_of(row)?, row.bool("medium")?);
                let (store, key) = (self.store().clone(), ObjectKey::parse(&text)?);
                let name = key.clone();
                let copies = blocking(move || store.check(&name, &digests, moved)).await?;
                self.note_check(&uid, &key, &copies).await?;
                report.objects += 1;
                report.note(&format!("instance {uid}, file {text}"), &copies);
            }
        }
    }

    async fn verify_derived(&self, report: &mut StoreReport) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self
                .db()
                .fetch_all(sql::DERIVED_PAGE, params![&after, PAGE_ROWS])
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.text("object_key")?;
            for row in &page {
                let (text, known) = (row.text("object_key")?, digest(row, "digest")?);
                let (store, key) = (self.store().clone(), ObjectKey::parse(&text)?);
                let copies = blocking(move || check_derived(&store, &key, known)).await?;
                report.derived += 1;
                report.note(&format!("result {text}"), &copies);
            }
        }
    }

    async fn verify_files(&self, report: &mut StoreReport) -> Result<()> {
        let store = self.store().clone();
        for bucket in blocking(move || store.buckets()).await? {
            let store = self.store().clone();
            let files = blocking(move || {
                let listing = store.listing(&bucket)?;
                let keys = listing.keys.into_iter().map(|key| (uid_of(&store, &key), key));
                Ok((keys.collect::<Vec<_>>(), listing.damaged))
            });
            let (files, damaged) = files.await?;
            for file in damaged {
                report.unindexed += 1;
                report.name(file);
            }
            for (uid, key) in files {
                let row = match uid {
                    Some(uid) => self.db().fetch_optional(sql::KEY_OF, params![uid]).await?,
                    None => None,
                };
                let known = row.map(|row| row.text("object_key")).transpose()?;
                if known.as_deref() != Some(key.as_str()) {
                    report.unindexed += 1;
                    report.name(format!(
                        "{}: the index does not know it; run reindex",
                        key.as_str()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes every file that the index does not know into it, and counts anew. What the index knows
    /// stays as it is.
    ///
    /// # Errors
    /// When index or store cannot be read or written.
    pub async fn reindex(&self) -> Result<ReindexReport> {
        let mut report = ReindexReport::default();
        let store = self.store().clone();
        for bucket in blocking(move || store.buckets()).await? {
            let store = self.store().clone();
            for key in blocking(move || store.keys_of(&bucket)).await? {
                report.files += 1;
                match adopt(self, &key).await? {
                    Adoption::Known => {}
                    Adoption::Adopted => report.adopted += 1,
                    Adoption::Damaged => report.damaged += 1,
                }
            }
        }
        self.recount().await?;
        Ok(report)
    }

    async fn recount(&self) -> Result<()> {
        let mut after = 0;
        loop {
            let page = self
                .db()
                .fetch_all(sql::STUDIES, params![after, PAGE_ROWS])
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.int("id")?;
            let ids = page.iter().map(|row| row.int("id")).collect::<Result<Vec<_>>>()?;
            self.db()
                .write(move |tx| {
                    Box::pin(async move {
                        for id in ids {
                            tx.execute(sql::RECOUNT_SERIES, params![id]).await?;
                            tx.execute(sql::RECOUNT_STUDY, params![id]).await?;
                        }
                        Ok::<_, ArchiveError>(())
                    })
                })
                .await?;
        }
    }
}
