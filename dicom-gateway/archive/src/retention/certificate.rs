//! The certificate of destruction: what went, by digest, under which rules and by whose decision.

use super::Retention;
use crate::audit::{AuditAction, AuditEntry, event};
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use crate::params;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Files of one page of the list.
const PAGE_ROWS: i64 = 1000;
/// First line of the list of files.
const CSV_HEAD: &str = "study_uid,kind,subject_uid,sha256,bytes,removed_at\r\n";

crate::statements! {
    mod sql {
        RUN = "SELECT id, started_at, decided_by, approved_by, rules, rules_digest FROM purge_run WHERE id = $1";
        STUDIES = "SELECT id, study_uid, institution, patient_id, study_date, class, last_visit, kept_until, series_count, instance_count, size_bytes, removed_at, files_gone_at FROM purge_study WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        FILES = "SELECT kind, subject, digest, size_bytes, removed_at, object_key FROM purge_file WHERE purge_study_id = $1 AND object_key > $2 ORDER BY object_key LIMIT $3";
        FINISH = "UPDATE purge_run SET certificate_digest = $2, finished_at = $3 WHERE id = $1 AND finished_at IS NULL";
    }
}

/// One study of a certificate.
#[derive(Debug, Clone, Serialize)]
struct StudyLine {
    study_uid: String,
    institution: String,
    patient_row: i64,
    study_date: Option<String>,
    class: String,
    last_visit: String,
    kept_until: String,
    series: i64,
    instances: i64,
    bytes: i64,
    removed_at: String,
}

/// What a certificate says, without the list of files.
#[derive(Debug, Clone, Serialize)]
pub struct Certificate {
    /// Number of the run.
    pub run: i64,
    /// When it began, ISO 8601.
    pub started_at: String,
    /// Who decided.
    pub decided_by: String,
    /// Who approved.
    pub approved_by: String,
    /// SHA-256 of the rules.
    pub rules_sha256: String,
    /// The rules as they were.
    pub rules: String,
    studies: Vec<StudyLine>,
    /// Files in the list.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Name of the list of files.
    pub list: String,
    /// SHA-256 of the list.
    pub list_sha256: String,
}

/// Where a certificate was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Who, when, why, which studies.
    pub json: PathBuf,
    /// Every file with its digest.
    pub csv: PathBuf,
    /// SHA-256 of the JSON file; it stands in the audit trail.
    pub digest: Sha256Digest,
}

fn study_line(row: &Row) -> Result<StudyLine> {
    Ok(StudyLine {
        study_uid: row.text("study_uid")?,
        institution: row.text("institution")?,
        patient_row: row.int("patient_id")?,
        study_date: row.opt_text("study_date")?,
        class: row.text("class")?,
        last_visit: row.text("last_visit")?,
        kept_until: row.text("kept_until")?,
        series: row.int("series_count")?,
        instances: row.int("instance_count")?,
        bytes: row.int("size_bytes")?,
        removed_at: row.micros("removed_at")?.to_iso8601(),
    })
}

/// The list while it is written.
struct List {
    out: BufWriter<File>,
    hasher: Sha256,
    files: u64,
    bytes: u64,
}

impl List {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.hasher.update(text.as_bytes());
        self.out.write_all(text.as_bytes())
    }

    fn file(&mut self, study_uid: &str, row: &Row) -> Result<std::io::Result<()>> {
        let digest = hex::encode(row.bytes("digest")?);
        let (kind, subject, size) = (row.text("kind")?, row.text("subject")?, row.int("size_bytes")?);
        let removed = row
            .opt_micros("removed_at")?
            .map(UnixMicros::to_iso8601)
            .unwrap_or_default();
        self.files += 1;
        self.bytes += u64::try_from(size).unwrap_or(0);
        Ok(self.write(&format!(
            "{study_uid},{kind},{subject},{digest},{size},{removed}\r\n"
        )))
    }
}

impl Retention {
    /// Writes the certificate of a run into `folder` and ends the run. A run that removed nothing
    /// gets one too: it says so.
    ///
    /// # Errors
    /// When files of the run are not gone yet, or the folder cannot be written.
    pub async fn certify(&self, run_id: i64, folder: &Path) -> Result<CertificateFiles> {
        std::fs::create_dir_all(folder).map_err(|e| ArchiveError::io("create folder", folder, e))?;
        let db = self.archive.db();
        let run = db.fetch_optional(sql::RUN, params![run_id]).await?;
        let run = run.ok_or_else(|| ArchiveError::NotFound(format!("purge {run_id}")))?;
        let csv = folder.join(format!("purge-{run_id}.csv"));
        let json = folder.join(format!("purge-{run_id}.json"));
        let (list, studies) = self.write_list(run_id, &csv).await?;
        let certificate = Certificate {
            run: run_id,
            started_at: run.micros("started_at")?.to_iso8601(),
            decided_by: run.text("decided_by")?,
            approved_by: run.text("approved_by")?,
            rules_sha256: hex::encode(run.bytes("rules_digest")?),
            rules: run.text("rules")?,
            studies,
            files: list.files,
            bytes: list.bytes,
            list: csv
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            list_sha256: hex::encode(list.hasher.finalize()),
        };
        let text =
            serde_json::to_vec_pretty(&certificate).map_err(|e| ArchiveError::Corrupt(e.to_string()))?;
        write_through(&json, &text)?;
        let digest = Sha256Digest::of(&text);
        let (by, files) = (certificate.decided_by.clone(), certificate.files);
        let ended = db.write(move |tx| {
            Box::pin(async move {
                let done = tx
                    .execute(sql::FINISH, params![run_id, digest, UnixMicros::now()])
                    .await?;
                // Written again after it was lost: the trail has its first digest already.
                if done == 1 {
                    tx.audit(
                        AuditEntry::new(event::EXPORT, AuditAction::Create, &by)
                            .role("operator")
                            .detail(format!(
                                "certificate of purge {run_id}: {files} files, sha256 {}",
                                digest.to_hex()
                            )),
                    );
                }
                Ok::<_, ArchiveError>(())
            })
        });
        ended.await?;
        Ok(CertificateFiles { json, csv, digest })
    }

    async fn write_list(&self, run_id: i64, csv: &Path) -> Result<(List, Vec<StudyLine>)> {
        let db = self.archive.db();
        let fail = |error| ArchiveError::io("write", csv, error);
        let mut list = List {
            out: BufWriter::new(File::create(csv).map_err(fail)?),
            hasher: Sha256::new(),
            files: 0,
            bytes: 0,
        };
        list.write(CSV_HEAD).map_err(fail)?;
        let (mut studies, mut after) = (Vec::new(), 0);
        loop {
            let page = db
                .fetch_all(sql::STUDIES, params![run_id, after, PAGE_ROWS])
                .await?;
            let Some(last) = page.last() else { break };
            after = last.int("id")?;
            for row in &page {
                let line = study_line(row)?;
                if row.opt_micros("files_gone_at")?.is_none() {
                    return Err(ArchiveError::Busy(format!(
                        "files of study {} are not gone yet; run the purge again",
                        line.study_uid
                    )));
                }
                self.write_files(&mut list, &line.study_uid, row.int("id")?, csv)
                    .await?;
                studies.push(line);
            }
        }
        list.out.flush().map_err(fail)?;
        list.out.get_ref().sync_all().map_err(fail)?;
        Ok((list, studies))
    }

    async fn write_files(&self, list: &mut List, study_uid: &str, tombstone: i64, csv: &Path) -> Result<()> {
        let mut after = String::new();
        loop {
            let values = params![tombstone, &after, PAGE_ROWS];
            let page = self.archive.db().fetch_all(sql::FILES, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.text("object_key")?;
            for row in &page {
                list.file(study_uid, row)?
                    .map_err(|error| ArchiveError::io("write", csv, error))?;
            }
        }
    }
}

/// A file that is whole or not there, and on the disk.
fn write_through(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("json.part");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|error| ArchiveError::io("write", path, error))
}
