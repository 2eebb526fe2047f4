//! Taking a stored file into the index: after a crash, and when the index is rebuilt.

use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, Sha256Digest, UnixMicros};
use crate::institution::{InstitutionKind, NewInstitution};
use crate::params;
use crate::receive::{
    IndexStop, Indexed, Indexing, InstanceFacts, PlacedObject, Sender, Source, index_object,
};
use crate::store::{FileDigests, ObjectKey, ObjectStore};
use dataset::{DatasetError, Limits, Tokenizer};
use sha2::{Digest, Sha256};
use std::io::{Read, Seek};
use std::sync::Arc;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;
/// First bytes of a file that nearly always hold its whole head.
const HEAD_BYTES: u64 = 4096;

crate::statements! {
    mod sql {
        KEY_OF = "SELECT object_key FROM instance WHERE sop_instance_uid = $1";
        CODE = "SELECT id FROM institution WHERE code = $1";
        CODES = "SELECT id, code FROM institution";
        DEVICE = "SELECT id FROM device WHERE ae_title = $1 AND institution_id = $2 ORDER BY id LIMIT 1";
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// The index knew it, or knows another file of the same object.
    Known,
    /// It has rows now.
    Adopted,
    /// It is not what its name says, or no sound object, and in quarantine now; or it cannot be read.
    Damaged,
}

struct FileContent {
    facts: InstanceFacts,
    digests: FileDigests,
    source_ae: Option<String>,
    warnings: Vec<String>,
}

/// Takes in one stored file, unless the index knows it.
pub(crate) async fn adopt(archive: &Archive, key: &ObjectKey) -> Result<Adoption> {
    // Nearly always the index knows the file: its head is enough to see that.
    let (store, name) = (archive.store().clone(), key.clone());
    let uid = tokio::task::spawn_blocking(move || uid_of(&store, &name)).await;
    if let Some(uid) = uid.map_err(|_| ArchiveError::Closed)?
        && let Some(row) = archive.db().fetch_optional(sql::KEY_OF, params![uid]).await?
    {
        let named = ObjectKey::parse(&row.text("object_key")?)?;
        if named != *key {
            forget_second(archive, key, named).await?;
        }
        return Ok(Adoption::Known);
    }
    let (store, name) = (archive.store().clone(), key.clone());
    let read = tokio::task::spawn_blocking(move || read_file(&store, &name)).await;
    let content = match read.map_err(|_| ArchiveError::Closed)? {
        Ok(content) => content,
        Err(ArchiveError::NotFound(_)) => return Ok(Adoption::Known),
        Err(ArchiveError::Corrupt(reason)) => {
            tracing::error!(key = key.as_str(), %reason, "a stored file is damaged and not in the index");
            let (store, name) = (archive.store().clone(), key.clone());
            let moved = tokio::task::spawn_blocking(move || store.quarantine(&name)).await;
            moved.map_err(|_| ArchiveError::Closed)??;
            return Ok(Adoption::Damaged);
        }
        Err(error @ ArchiveError::Io { .. }) => {
            // One file that the disk fails to read must not keep the others, or the node, away.
            tracing::error!(key = key.as_str(), %error, "a stored file cannot be read and is not in the index");
            return Ok(Adoption::Damaged);
        }
        Err(error) => return Err(error),
    };
    if crate::retention::is_purged(archive, key).await? {
        // A removal was cut off between its rows and its files; the next purge removes the file.
        return Ok(Adoption::Known);
    }
    let (institution_id, institution_code) = owner(archive, key).await?;
    let device = params![content.source_ae.clone().unwrap_or_default(), institution_id];
    let device = archive.db().fetch_optional(sql::DEVICE, device).await?;
    let sender = Sender {
        name: content.source_ae.unwrap_or_else(|| "system".to_owned()),
        role: "system".to_owned(),
        device_id: device.map(|row| row.int("id")).transpose()?.map(crate::DeviceId),
        institution_id,
        peer: None,
        source: Source::Recovered,
    };
    let indexing = Arc::new(Indexing {
        object: PlacedObject {
            key: key.clone(),
            digests: content.digests,
            facts: content.facts,
            sender,
            warnings: content.warnings,
        },
        institution_code,
        received_at: UnixMicros::now(),
    });
    let shared = archive.clone();
    let done = archive
        .db()
        .write(move |tx| Box::pin(async move { index_object(&shared, tx, &indexing).await }))
        .await;
    match done {
        Ok(Indexed::New) => Ok(Adoption::Adopted),
        Ok(Indexed::DuplicateEqual { .. }) | Err(IndexStop::Conflict) => Ok(Adoption::Known),
        Err(IndexStop::Failed(error)) => Err(error),
    }
}

/// A file beside the one that the index names: left when a process died between both. It goes when
/// it has the same digest and the named one is sound; else it may be what is left of an object.
async fn forget_second(archive: &Archive, key: &ObjectKey, named: ObjectKey) -> Result<()> {
    if key.digest().is_none() || key.digest() != named.digest() {
        return Ok(());
    }
    let (store, key) = (archive.store().clone(), key.clone());
    let forget = move || match read_file(&store, &named) {
        Ok(_) => store.remove(&key),
        Err(ArchiveError::NotFound(_) | ArchiveError::Corrupt(_)) => Ok(()),
        Err(error) => Err(error),
    };
    tokio::task::spawn_blocking(forget)
        .await
        .map_err(|_| ArchiveError::Closed)?
}

/// The institution that the file's name tells; made anew when the index lost it.
async fn owner(archive: &Archive, key: &ObjectKey) -> Result<(InstitutionId, String)> {
    let told = key.institution().unwrap_or("unknown").to_owned();
    for row in archive.db().fetch_all(sql::CODES, Vec::new()).await? {
        let code = row.text("code")?;
        if code.to_ascii_lowercase() == told {
            return Ok((InstitutionId(row.int("id")?), code));
        }
    }
    let code = told.to_ascii_uppercase();
    let institutions = archive.institutions();
    let made = institutions.create(NewInstitution {
        code: code.clone(),
        name_zh: code.clone(),
        name_en: code.clone(),
        kind: InstitutionKind::TownshipHospital,
    });
    match made.await {
        Ok(institution) => Ok((institution.id, institution.code)),
        Err(ArchiveError::Conflict(_)) => {
            let row = archive.db().fetch_one(sql::CODE, params![&code]).await?;
            Ok((InstitutionId(row.int("id")?), code))
        }
        Err(error) => Err(error),
    }
}

fn read_file(store: &ObjectStore, key: &ObjectKey) -> Result<FileContent> {
    let broken = |why: String| ArchiveError::Corrupt(format!("{}: {why}", key.as_str()));
    let mut file = store.open_object(key)?;
    let size_bytes = file.size();
    let mut head = Vec::new();
    std::io::Read::by_ref(&mut file)
        .take(dataset::file::META_BYTES_MAX as u64)
        .read_to_end(&mut head)
        .map_err(|error| ArchiveError::from_read(key.as_str(), error))?;
    file.rewind()
        .map_err(|error| ArchiveError::from_read(key.as_str(), error))?;
    let header = dataset::file::read_header(&head).map_err(|e| broken(e.to_string()))?;
    let meta_bytes = header.dataset_offset as u64;
    let meta = Sha256Digest::of(head.get(..header.dataset_offset).unwrap_or_default());
    drop(head);
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, Limits::default());
    let mut dataset_hash = Sha256::new();
    let mut skip = meta_bytes;
    let mut buffer = vec![0u8; READ_BYTES];
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|error| ArchiveError::from_read(key.as_str(), error))?;
        if count == 0 {
            break;
        }
        let head = usize::try_from(skip.min(count as u64)).unwrap_or(0);
        skip -= head as u64;
        let bytes = buffer.get(head..count).unwrap_or_default();
        dataset_hash.update(bytes);
        tokenizer.feed(bytes).map_err(|e| broken(e.to_string()))?;
    }
    let digests = FileDigests {
        meta_bytes,
        meta,
        dataset: Sha256Digest(dataset_hash.finalize().into()),
    };
    if key.digest() != Some(digests.whole()) {
        return Err(broken("its bytes do not have the digest in its name".to_owned()));
    }
    let parsed = tokenizer.finish().map_err(|e| broken(e.to_string()))?;
    let mut facts =
        InstanceFacts::read(&parsed, &header.transfer_syntax).map_err(|e| broken(e.to_string()))?;
    facts.size_bytes = size_bytes;
    Ok(FileContent {
        facts,
        digests,
        source_ae: header.meta.text(dataset::tags::SOURCE_APPLICATION_ENTITY_TITLE),
        warnings: Vec::new(),
    })
}

/// SOP Instance UID in the head of a file; `None` when it has none.
pub(super) fn uid_of(store: &ObjectStore, key: &ObjectKey) -> Option<String> {
    let head = store.read_range(key, 0, HEAD_BYTES).ok()?;
    let header = match dataset::file::read_header(&head) {
        Err(DatasetError::Incomplete { .. }) => {
            let more = store
                .read_range(key, 0, dataset::file::META_BYTES_MAX as u64)
                .ok()?;
            dataset::file::read_header(&more).ok()?
        }
        other => other.ok()?,
    };
    Some(header.sop_instance().ok()?.as_str().to_owned())
}
