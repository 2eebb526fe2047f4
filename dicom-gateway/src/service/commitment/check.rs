//! Are the objects safe? Each file is read again and hashed, one at a time and at a bounded pace,
//! so that a large request does not take the disk away from those who send.

use std::time::{Duration, Instant};

use archive::store::FileState;
use archive::{Archive, ArchiveError};
use dataset::{AeTitle, DataSet, Vr, tags};
use tracing::error;

use super::{Asked, Named};
use crate::dimse::status;

/// Bytes read again in a second.
const BYTES_PER_SECOND_MAX: u64 = 200 << 20;

/// What the check found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    safe: Vec<Named>,
    failed: Vec<(Named, u16)>,
}

impl Checked {
    /// 1: all are safe; 2: some are not (PS3.4 J.3.3).
    pub(super) fn event(&self) -> u16 {
        if self.failed.is_empty() { 1 } else { 2 }
    }

    /// The data set of the report.
    pub(super) fn to_data_set(&self, asked: &Asked, ours: &AeTitle) -> DataSet {
        let mut set = DataSet::new();
        set.put_text(tags::RETRIEVE_AE_TITLE, Vr::AE, ours.as_str());
        set.put_uid(tags::TRANSACTION_UID, &asked.transaction);
        let item = |named: &Named| {
            let mut item = DataSet::new();
            item.put_uid(tags::REFERENCED_SOP_CLASS_UID, &named.class);
            item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, &named.instance);
            item
        };
        if !self.failed.is_empty() {
            let failed = self.failed.iter().map(|(named, reason)| {
                let mut item = item(named);
                item.put_u16(tags::FAILURE_REASON, *reason);
                item
            });
            set.put_sequence(tags::FAILED_SOP_SEQUENCE, failed.collect());
        }
        if !self.safe.is_empty() {
            set.put_sequence(
                tags::REFERENCED_SOP_SEQUENCE,
                self.safe.iter().map(item).collect(),
            );
        }
        set
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.safe.len(), self.failed.len())
    }
}

/// Checks everything that was asked.
pub(super) async fn check(archive: &Archive, asked: &Asked) -> Result<Checked, ArchiveError> {
    let mut checked = Checked::default();
    for named in &asked.objects {
        let start = Instant::now();
        let (reason, bytes) = fault(archive, named).await?;
        match reason {
            None => checked.safe.push(named.clone()),
            Some(reason) => checked.failed.push((named.clone(), reason)),
        }
        let least = Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND_MAX);
        tokio::time::sleep(least.saturating_sub(start.elapsed())).await;
    }
    Ok(checked)
}

/// Failure Reason (0008,1197) of an object that is not safe, and the bytes that were read.
async fn fault(archive: &Archive, named: &Named) -> Result<(Option<u16>, u64), ArchiveError> {
    let Some(found) = archive.studies().instance(&named.instance).await? else {
        return Ok((Some(status::NO_SUCH_INSTANCE), 0));
    };
    let instance = found.instance;
    if instance.sop_class_uid != named.class {
        return Ok((Some(status::CLASS_INSTANCE_CONFLICT), 0));
    }
    let store = archive.store().clone();
    let (key, digests, bytes) = (instance.object_key, instance.digests, instance.size_bytes);
    let verified = tokio::task::spawn_blocking(move || store.verify(&key, &digests)).await;
    let reason = match verified.map_err(|_| ArchiveError::Closed)? {
        Ok(FileState::Sound) => None,
        Ok(FileState::Missing) => Some(status::NO_SUCH_INSTANCE),
        Ok(FileState::Changed | FileState::Unreadable) => Some(status::PROCESSING_FAILURE),
        Err(error) => {
            error!(sop_instance_uid = %named.instance, "an object cannot be read again: {error}");
            Some(status::PROCESSING_FAILURE)
        }
    };
    if reason.is_some() {
        error!(sop_instance_uid = %named.instance, "an object that was received is not as it was: run gongying admin verify");
    }
    Ok((reason, bytes))
}
