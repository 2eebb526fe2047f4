//! From the queue to the board: the next objects are read, proved and packed while others travel.

use super::board::Load;
use super::{Shared, lock};
use archive::edge::wire::{Coding, ObjectOffer};
use archive::edge::{QueueClass, Waiting};
use archive::{ArchiveError, Sha256Digest};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// Urgent objects on the board.
const URGENT_MAX: usize = 32;
/// Other objects on the board.
const OTHERS_MAX: usize = 12;
/// Memory for packed objects of each kind.
const MEMORY_BYTES_MAX: usize = 48 << 20;
/// Largest object that is packed; the centre unpacks in memory.
const PACKED_BYTES_MAX: u64 = 64 << 20;
/// Larger ones are read from the store chunk by chunk.
const MEMORY_OBJECT_BYTES_MAX: u64 = 16 << 20;
/// Rows looked at beyond those on the board.
const ROWS_AHEAD: u32 = 32;
/// The queue is looked at again after this time: objects that were put off come due.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// An object that cannot be read here is tried again after this time.
const UNREADABLE_WAIT: Duration = Duration::from_secs(300);
const READ_BYTES: usize = 1 << 20;

/// Feeds urgent objects, or the others, for ever.
pub(super) async fn run(shared: Arc<Shared>, urgent: bool) {
    let mut queue = shared.spool.changes();
    let mut board = shared.board_changes.subscribe();
    shared.identity().await;
    loop {
        queue.borrow_and_update();
        board.borrow_and_update();
        match next(&shared, urgent).await {
            Ok(Some(waiting)) => {
                put(&shared, waiting).await;
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the queue cannot be read"),
        }
        tokio::select! {
            _ = queue.changed() => {}
            _ = board.changed() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// The next object, when there is room on the board.
async fn next(shared: &Shared, urgent: bool) -> Result<Option<Waiting>, ArchiveError> {
    let (count, bytes) = lock(&shared.board).size(urgent);
    let (count_max, least) = match urgent {
        true => (URGENT_MAX, QueueClass::Ecg),
        false => (OTHERS_MAX, QueueClass::Bulk),
    };
    if count >= count_max || bytes >= MEMORY_BYTES_MAX {
        return Ok(None);
    }
    let taken = lock(&shared.busy).len();
    let limit = ROWS_AHEAD + u32::try_from(taken).unwrap_or(u32::MAX / 2);
    let rows = shared.spool.waiting(least, limit).await?;
    let mut busy = lock(&shared.busy);
    let free = rows
        .into_iter()
        .find(|row| row.class.is_urgent() == urgent && !busy.contains(&row.id));
    if let Some(row) = &free {
        busy.insert(row.id);
    }
    Ok(free)
}

async fn put(shared: &Arc<Shared>, waiting: Waiting) {
    let (archive, coder, row) = (
        shared.archive.clone(),
        shared.config.coder.clone(),
        waiting.clone(),
    );
    let made = tokio::task::spawn_blocking(move || prepare(&archive, &*coder, &row)).await;
    let made = made.unwrap_or(Err(ArchiveError::Closed));
    match made {
        Ok((offer, load)) => {
            // What was taken by an earlier run may have been begun by it.
            let unsure = waiting.received_at < shared.started_at || waiting.attempts > 0;
            shared.with_board(|board| board.put(waiting, offer, load, unsure));
        }
        Err(error) => {
            tracing::error!(%error, "an object of the spool cannot be read; see `gongying admin verify`");
            let words = error.to_string();
            if let Err(error) = shared.spool.postpone(waiting.id, UNREADABLE_WAIT, &words).await {
                tracing::warn!(%error, "the queue cannot be written");
            }
            shared.free(waiting.id);
        }
    }
}

/// Reads an object, proves that it is what was taken, and packs it.
fn prepare(
    archive: &archive::Archive,
    coder: &dyn super::Coder,
    waiting: &Waiting,
) -> Result<(ObjectOffer, Load), ArchiveError> {
    let store = archive.store();
    if store.verify(&waiting.key, &waiting.digests)? != archive::store::FileState::Sound {
        let words = format!("object {} is not as it was taken", waiting.sop_instance_uid);
        return Err(ArchiveError::Corrupt(words));
    }
    if waiting.size_bytes <= PACKED_BYTES_MAX {
        let file = store.read_all(&waiting.key)?;
        if let Some(packed) = coder.pack(&file) {
            let digest = Sha256Digest::of(&packed);
            let offer = offer(waiting, Coding::Parcel, packed.len() as u64, digest);
            return Ok((offer, Load::Memory(Bytes::from(packed))));
        }
        if waiting.size_bytes <= MEMORY_OBJECT_BYTES_MAX {
            let offer = offer(
                waiting,
                Coding::Identity,
                file.len() as u64,
                Sha256Digest::of(&file),
            );
            return Ok((offer, Load::Memory(Bytes::from(file))));
        }
    }
    let mut file = store.open_object(&waiting.key)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; READ_BYTES];
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|error| ArchiveError::io("read", store.root(), error))?;
        match buffer.get(..count).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => hash.update(bytes),
            None => break,
        }
    }
    let digest = Sha256Digest(hash.finalize().into());
    let offer = offer(waiting, Coding::Identity, waiting.size_bytes, digest);
    Ok((offer, Load::Store(waiting.key.clone())))
}

fn offer(waiting: &Waiting, coding: Coding, coded_size: u64, coded: Sha256Digest) -> ObjectOffer {
    ObjectOffer {
        digest: ObjectOffer::name_of(&waiting.digests),
        sop_instance_uid: waiting.sop_instance_uid.clone(),
        size: waiting.size_bytes,
        meta_bytes: waiting.digests.meta_bytes,
        dataset_digest: waiting.digests.dataset.to_hex(),
        coding,
        coded_size,
        coded_digest: coded.to_hex(),
        sender: waiting.sender.clone(),
        peer: waiting.peer.clone(),
        received_at: waiting.received_at.0,
    }
}
