//! From a placed object to an acknowledged one.

use super::disk::PlacedObject;
use super::{IndexStop, Indexed, Indexing, Outcome, StoreRefused, Stored, index_object};
use crate::Archive;
use crate::audit::{AuditAction, AuditEntry, AuditOutcome, event};
use crate::db::Backing;
use crate::error::ArchiveError;
use crate::ids::UnixMicros;
use crate::params;
use crate::recover::InFlight;
use crate::store::journal::Ticket;
use std::sync::Arc;
use std::time::Duration;

/// Tries when the index is busy.
const TRIES_MAX: u32 = 6;
/// Wait after the first try; doubled after each.
const RETRY_WAIT: Duration = Duration::from_millis(20);

crate::statements! {
    mod sql {
        QUARANTINE = "INSERT INTO quarantine (sop_instance_uid, study_uid, reason, object_key, size_bytes, dataset_digest, source, sender, quarantined_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    }
}

/// Writes the index rows of a placed object and answers when they are durable.
pub(super) async fn index(
    archive: &Archive,
    object: PlacedObject,
    ticket: Option<Ticket>,
    in_flight: InFlight,
) -> Result<Stored, StoreRefused> {
    let institution_code = archive.institution_code(object.sender.institution_id).await?;
    let indexing = Arc::new(Indexing {
        object,
        institution_code,
        received_at: UnixMicros::now(),
    });
    let mut tries = 0;
    let result = loop {
        tries += 1;
        let (shared, from) = (archive.clone(), indexing.clone());
        let backing = ticket.as_ref().map(|ticket| ticket.file() as Arc<dyn Backing>);
        let done = archive
            .db()
            .write_backed(backing, move |tx| {
                Box::pin(async move { index_object(&shared, tx, &from).await })
            })
            .await;
        match done {
            Err(IndexStop::Failed(error))
                if error.is_transient()
                    && tries < TRIES_MAX
                    && archive.store().health().failing().is_none() =>
            {
                tokio::time::sleep(RETRY_WAIT * 2u32.pow(tries)).await;
            }
            other => break other,
        }
    };
    let outcome = match result {
        Ok(Indexed::New) => Outcome::New,
        Ok(Indexed::DuplicateEqual { object_key }) => {
            // Also after a try whose answer was lost: then the row names this very file.
            if object_key == indexing.object.key.as_str() {
                Outcome::New
            } else {
                forget_file(archive, &indexing).await;
                if let Some(ticket) = ticket {
                    ticket.cancel();
                }
                // the first copy may be a moment away from stable storage
                archive.flush_received().await?;
                in_flight.done();
                return Ok(stored(&indexing, Outcome::DuplicateEqual));
            }
        }
        Err(IndexStop::Conflict) => {
            let refused = quarantine(archive, &indexing, ticket).await;
            in_flight.done();
            return Err(refused);
        }
        Err(IndexStop::Failed(error)) => {
            if let ArchiveError::StorageFailing(why) = &error {
                archive.store().health().give_up(why);
            }
            // Whether the row exists is not certain: the file stays, and the next start compares.
            in_flight.keep();
            archive.store().health().check()?;
            return Err(error.into());
        }
    };
    in_flight.done();
    archive.pace().arrived();
    Ok(stored(&indexing, outcome))
}

fn stored(indexing: &Indexing, outcome: Outcome) -> Stored {
    let (object, facts) = (&indexing.object, &indexing.object.facts);
    Stored {
        outcome,
        study_uid: facts.study_uid.clone(),
        series_uid: facts.series_uid.clone(),
        sop_instance_uid: facts.sop_instance_uid.clone(),
        sop_class_uid: facts.sop_class_uid.clone(),
        transfer_syntax_uid: facts.transfer_syntax_uid.clone(),
        size_bytes: facts.size_bytes,
        dataset_digest: object.digests.dataset,
        warnings: object.warnings.clone(),
    }
}

async fn forget_file(archive: &Archive, indexing: &Arc<Indexing>) {
    let (store, from) = (archive.store().clone(), indexing.clone());
    let removed = tokio::task::spawn_blocking(move || store.remove(&from.object.key)).await;
    if !matches!(removed, Ok(Ok(()))) {
        tracing::warn!("the second file of an object could not be removed");
    }
}

/// Keeps the refused object apart, with a row and an audit row.
async fn quarantine(archive: &Archive, indexing: &Arc<Indexing>, ticket: Option<Ticket>) -> StoreRefused {
    let (store, from) = (archive.store().clone(), indexing.clone());
    let put_apart = move || {
        let key = &from.object.key;
        if let Some(ticket) = ticket {
            store.flush_files(&[key.file_name()])?;
            ticket.cancel();
        }
        store.quarantine(key)
    };
    let moved = tokio::task::spawn_blocking(put_apart).await;
    let key = match moved {
        Ok(Ok(key)) => key,
        Ok(Err(error)) => return error.into(),
        Err(_) => return StoreRefused::failed(),
    };
    let from = indexing.clone();
    let noted = archive
        .db()
        .write(move |tx| {
            Box::pin(async move {
                let (object, facts) = (&from.object, &from.object.facts);
                let values = params![
                    &facts.sop_instance_uid,
                    &facts.study_uid,
                    "another object has this SOP Instance UID",
                    &key,
                    facts.size_bytes,
                    object.digests.dataset,
                    object.sender.source.as_str(),
                    &object.sender.name,
                    from.received_at
                ];
                tx.execute(sql::QUARANTINE, values).await?;
                let mut entry =
                    AuditEntry::new(event::SECURITY_ALERT, AuditAction::Create, &object.sender.name)
                        .role(&object.sender.role)
                        .institution(&from.institution_code)
                        .outcome(AuditOutcome::SeriousFailure)
                        .detail(format!(
                            "other bytes for SOP Instance UID {}",
                            facts.sop_instance_uid
                        ));
                entry.source_ip = object.sender.peer.map(|ip| ip.to_string());
                tx.audit(entry);
                Ok::<_, ArchiveError>(())
            })
        })
        .await;
    match noted {
        Ok(()) => StoreRefused::duplicate(),
        Err(error) => error.into(),
    }
}
