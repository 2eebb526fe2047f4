//! Completeness of studies that come from township nodes: known from what the node says belongs to them, not from a
//! timer.

use super::Centre;
use super::wire::{Completeness, Manifest, digest};
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use crate::params;
use crate::receive::{pack, unpack};
use std::collections::HashMap;

crate::statements! {
    mod sql {
        // An older word that arrives late changes nothing.
        PUT = "INSERT INTO edge_manifest (study_uid, node_name, revision, closed, object_count, objects, first_received_at, last_received_at, clock_offset_us, heard_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (study_uid, node_name) DO UPDATE SET revision = excluded.revision, closed = excluded.closed, object_count = excluded.object_count, objects = excluded.objects, last_received_at = excluded.last_received_at, clock_offset_us = excluded.clock_offset_us, heard_at = excluded.heard_at, complete_at = NULL WHERE excluded.revision > edge_manifest.revision OR (excluded.revision = edge_manifest.revision AND excluded.closed > edge_manifest.closed)";
        OPEN = "SELECT m.node_name, m.closed, m.object_count, m.objects, m.revision, COALESCE(st.instance_count, 0) AS held FROM edge_manifest m LEFT JOIN study st ON st.study_uid = m.study_uid WHERE m.study_uid = $1 AND m.complete_at IS NULL";
        HELD = "SELECT i.sop_instance_uid, i.dataset_digest FROM instance i JOIN study st ON st.id = i.study_id WHERE st.study_uid = $1";
        COMPLETE = "UPDATE edge_manifest SET complete_at = $4 WHERE study_uid = $1 AND node_name = $2 AND revision = $3 AND complete_at IS NULL";
        OF_NODE = "SELECT object_count, complete_at FROM edge_manifest WHERE study_uid = $1 AND node_name = $2";
    }
}

impl Centre {
    /// Notes what a node says of a study, and compares it with what is here.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for a digest that is none; what the index says.
    pub async fn put_manifest(
        &self,
        node: &str,
        study_uid: &str,
        manifest: &Manifest,
    ) -> Result<Completeness> {
        if manifest.objects.iter().any(|(_, text)| digest(text).is_none()) {
            return Err(ArchiveError::invalid("manifest", "a digest is no SHA-256"));
        }
        let values = params![
            study_uid,
            node,
            manifest.revision,
            manifest.closed,
            manifest.objects.len(),
            pack(&manifest.objects)?,
            manifest.first_received_at,
            manifest.last_received_at,
            manifest.clock_offset_us,
            UnixMicros::now()
        ];
        self.archive
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(sql::PUT, values).await.map(drop) }))
            .await?;
        self.compare(study_uid).await?;
        self.completeness(node, study_uid).await
    }

    async fn completeness(&self, node: &str, study_uid: &str) -> Result<Completeness> {
        let row = self
            .archive
            .db()
            .fetch_one(sql::OF_NODE, params![study_uid, node])
            .await?;
        let wanted = u64::try_from(row.int("object_count")?).unwrap_or(0);
        let complete = row.opt_int("complete_at")?.is_some();
        let missing = match complete {
            true => 0,
            false => self.missing(study_uid, node).await?,
        };
        Ok(Completeness {
            wanted,
            missing,
            complete,
        })
    }

    async fn missing(&self, study_uid: &str, node: &str) -> Result<u64> {
        let open = self.archive.db().fetch_all(sql::OPEN, params![study_uid]).await?;
        let held = self.held(study_uid).await?;
        for row in open {
            if row.text("node_name")? == node {
                return Ok(lacking(&row, &held)?.len() as u64);
            }
        }
        Ok(0)
    }

    /// Compares a study with its open manifests; when one is complete and no other is open, the study is ready.
    /// Cheap while objects are still few: called after each object of a node.
    ///
    /// # Errors
    /// What the index says.
    pub async fn compare(&self, study_uid: &str) -> Result<bool> {
        let open = self.archive.db().fetch_all(sql::OPEN, params![study_uid]).await?;
        let mut left = open.len();
        for row in &open {
            // Counting is enough to see that a study cannot be complete yet.
            if !row.bool("closed")? || row.int("held")? < row.int("object_count")? {
                continue;
            }
            let held = self.held(study_uid).await?;
            if !lacking(row, &held)?.is_empty() {
                continue;
            }
            let values = params![
                study_uid,
                row.text("node_name")?,
                row.int("revision")?,
                UnixMicros::now()
            ];
            let done: u64 = self
                .archive
                .db()
                .write(move |tx| Box::pin(async move { tx.execute(sql::COMPLETE, values).await }))
                .await?;
            left -= usize::from(done > 0);
        }
        if open.is_empty() || left > 0 {
            return Ok(false);
        }
        self.archive.studies().settle_now(study_uid).await?;
        Ok(true)
    }

    async fn held(&self, study_uid: &str) -> Result<HashMap<String, Sha256Digest>> {
        let rows = self.archive.db().fetch_all(sql::HELD, params![study_uid]).await?;
        let mut held = HashMap::with_capacity(rows.len());
        for row in rows {
            if let Some(digest) = Sha256Digest::from_slice(&row.bytes("dataset_digest")?) {
                held.insert(row.text("sop_instance_uid")?, digest);
            }
        }
        Ok(held)
    }
}

/// Objects of a manifest that are not here.
fn lacking(row: &Row, held: &HashMap<String, Sha256Digest>) -> Result<Vec<String>> {
    let objects: Vec<(String, String)> = unpack(&row.bytes("objects")?)?;
    let lacks = |object: &(String, String)| digest(&object.1) != held.get(&object.0).copied();
    Ok(objects.into_iter().filter(lacks).map(|object| object.0).collect())
}
