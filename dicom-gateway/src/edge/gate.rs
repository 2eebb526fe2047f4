//! Whether an ECG that a device just sent will do, told here while the patient is still in the room, also when the line
//! to the centre is down.

use super::{Shared, lock};
use archive::UnixMicros;
use archive::edge::status::GateWord;
use archive::edge::{QueueClass, SpoolId, Waiting};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Largest object that is looked at: a resting ECG has a few hundred kilobytes.
const OBJECT_BYTES_MAX: u64 = 32 << 20;
/// Words that are kept for the page.
pub(super) const KEPT_MAX: usize = 50;
/// Rows of one look.
const ROWS: u32 = 64;
/// The queue is looked at again after this time whether or not something came.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What the gate said, newest first.
pub(super) type Words = VecDeque<GateWord>;

/// Looks at each new ECG, for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut queue = shared.spool.changes();
    let mut newest = SpoolId(0);
    loop {
        queue.borrow_and_update();
        match shared.spool.waiting(QueueClass::Ecg, ROWS).await {
            Ok(rows) => {
                let mut rows: Vec<Waiting> = rows.into_iter().filter(|row| row.id > newest).collect();
                rows.sort_by_key(|row| row.id);
                for row in rows {
                    newest = row.id;
                    look(&shared, row).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the queue cannot be read"),
        }
        tokio::select! {
            _ = queue.changed() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn look(shared: &Arc<Shared>, row: Waiting) {
    if row.size_bytes > OBJECT_BYTES_MAX {
        return;
    }
    let (archive, gate, key) = (
        shared.archive.clone(),
        shared.config.gate.clone(),
        row.key.clone(),
    );
    let looked = tokio::task::spawn_blocking(move || {
        let file = archive.store().read_all(&key).ok()?;
        gate.look(&file)
    });
    let Ok(Some(word)) = looked.await else { return };
    if word.verdict != "ok" {
        metrics::counter!("gongying_edge_ecg_gate_total", "verdict" => word.verdict.clone()).increment(1);
    }
    let study = shared
        .archive
        .studies()
        .by_uid(&row.study_uid)
        .await
        .ok()
        .flatten();
    let word = GateWord {
        received_at: row.received_at,
        looked_at: UnixMicros::now(),
        sender: row.sender,
        accession_number: study.and_then(|study| study.accession_number),
        ..word
    };
    let mut words = lock(&shared.gate_words);
    words.push_front(word);
    words.truncate(KEPT_MAX);
}
