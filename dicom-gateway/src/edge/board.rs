//! What is being uploaded: which bytes of which object still have to go, and which goes next.
//!
//! Pure bookkeeping without clock or network, so that its rules can be tried in any order.

use archive::edge::wire::{ObjectOffer, Standing};
use archive::edge::{QueueClass, SpoolId, Waiting};
use archive::store::ObjectKey;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Where the bytes that travel are.
#[derive(Debug, Clone)]
pub(super) enum Load {
    /// Packed or small: in memory.
    Memory(Bytes),
    /// Too large for that: read from the store chunk by chunk.
    Store(ObjectKey),
}

impl Load {
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Store(_) => 0,
        }
    }
}

/// How far the two sides agree on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The centre has to be asked what it has.
    Unsure,
    /// The missing bytes are known.
    Open,
    /// All bytes are there; the centre has to be asked whether it put them away.
    Ending,
}

#[derive(Debug)]
struct Upload {
    waiting: Waiting,
    offer: ObjectOffer,
    load: Load,
    /// Byte ranges that nobody sends yet, in order.
    todo: Vec<(u64, u64)>,
    in_flight: Vec<(u64, u64)>,
    phase: Phase,
    asked: bool,
}

/// Name of an upload: more urgent ones are smaller.
pub(super) type Key = (QueueClass, SpoolId);

/// A chunk to be sent.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) key: Key,
    pub(super) offer: ObjectOffer,
    pub(super) load: Load,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What has to be done after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Go,
    /// The centre has the object.
    Sent(Box<Done>),
    /// The centre will never take it.
    Refused(Box<Done>, String),
}

/// An object that left the board.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) waiting: Waiting,
}

impl PartialEq for Done {
    fn eq(&self, other: &Self) -> bool {
        self.waiting.id == other.waiting.id
    }
}

impl Eq for Done {}

/// All uploads that were begun.
#[derive(Debug, Default)]
pub(super) struct Board {
    uploads: BTreeMap<Key, Upload>,
}

impl Board {
    /// Puts an object on the board. `unsure`: the centre may have some of it from before.
    pub(super) fn put(&mut self, waiting: Waiting, offer: ObjectOffer, load: Load, unsure: bool) {
        let key = (waiting.class, waiting.id);
        let upload = Upload {
            todo: vec![(0, offer.coded_size)],
            in_flight: Vec::new(),
            phase: if unsure { Phase::Unsure } else { Phase::Open },
            asked: false,
            waiting,
            offer,
            load,
        };
        self.uploads.insert(key, upload);
    }

    /// Objects and bytes in memory of those that are (not) urgent.
    pub(super) fn size(&self, urgent: bool) -> (usize, usize) {
        let of_kind = self
            .uploads
            .iter()
            .filter(|((class, _), _)| class.is_urgent() == urgent);
        of_kind.fold((0, 0), |(count, bytes), (_, upload)| {
            (count + 1, bytes + upload.load.memory_bytes())
        })
    }

    /// Objects that the centre has to be asked about and nobody asks about.
    pub(super) fn due_questions(&mut self, count_max: usize) -> Vec<(Key, ObjectOffer)> {
        let due = self.uploads.iter_mut().filter(|(_, upload)| {
            upload.phase != Phase::Open && !upload.asked && upload.in_flight.is_empty()
        });
        due.take(count_max)
            .map(|(key, upload)| {
                upload.asked = true;
                (*key, upload.offer.clone())
            })
            .collect()
    }

    /// The next chunk: of the most urgent object that has bytes left.
    pub(super) fn next(&mut self, urgent_only: bool, chunk_bytes: u64) -> Option<Chunk> {
        let due = |((class, _), upload): &(&Key, &mut Upload)| {
            upload.phase == Phase::Open && !upload.todo.is_empty() && (!urgent_only || class.is_urgent())
        };
        let (key, upload) = self.uploads.iter_mut().find(due)?;
        let (from, end) = *upload.todo.first()?;
        let mut to = end.min(from.saturating_add(chunk_bytes));
        // No crumbs: a last piece of a few bytes would cost a whole round trip.
        if end - to < chunk_bytes / 4 {
            to = end;
        }
        if to == end {
            upload.todo.remove(0);
        } else if let Some(first) = upload.todo.first_mut() {
            first.0 = to;
        }
        upload.in_flight.push((from, to));
        Some(Chunk {
            key: *key,
            offer: upload.offer.clone(),
            load: upload.load.clone(),
            from,
            to,
        })
    }

    /// The centre answered a chunk.
    pub(super) fn answered(&mut self, chunk: &Chunk, standing: Standing) -> After {
        if let Some(upload) = self.uploads.get_mut(&chunk.key) {
            upload.in_flight.retain(|range| *range != (chunk.from, chunk.to));
            if matches!(standing, Standing::Partial { .. }) {
                // Everything went, and yet something is missing: ask.
                if upload.todo.is_empty() && upload.in_flight.is_empty() && upload.phase == Phase::Open {
                    upload.phase = Phase::Unsure;
                    upload.asked = false;
                }
                return After::Go;
            }
        }
        self.settle(chunk.key, standing)
    }

    /// The centre said where an object stands.
    pub(super) fn told(&mut self, key: Key, standing: Standing) -> After {
        if let Some(upload) = self.uploads.get_mut(&key) {
            upload.asked = false;
            if let Standing::Partial { received } = &standing {
                upload.todo = missing(received, upload.offer.coded_size);
                upload.phase = Phase::Open;
                return After::Go;
            }
        }
        self.settle(key, standing)
    }

    fn settle(&mut self, key: Key, standing: Standing) -> After {
        match standing {
            Standing::Partial { .. } => After::Go,
            Standing::Finishing => {
                if let Some(upload) = self.uploads.get_mut(&key) {
                    upload.phase = Phase::Ending;
                }
                After::Go
            }
            Standing::Stored { .. } => self.drop_upload(key).map_or(After::Go, After::Sent),
            Standing::Refused { reason, .. } => self
                .drop_upload(key)
                .map_or(After::Go, |done| After::Refused(done, reason)),
        }
    }

    fn drop_upload(&mut self, key: Key) -> Option<Box<Done>> {
        self.uploads.remove(&key).map(|upload| {
            Box::new(Done {
                waiting: upload.waiting,
            })
        })
    }

    /// A chunk did not get through: whether the centre has it is not known.
    pub(super) fn lost(&mut self, chunk: &Chunk) {
        if let Some(upload) = self.uploads.get_mut(&chunk.key) {
            upload.in_flight.retain(|range| *range != (chunk.from, chunk.to));
            upload.phase = Phase::Unsure;
            upload.asked = false;
        }
    }

    /// A question did not get through.
    pub(super) fn unasked(&mut self, keys: &[Key]) {
        for key in keys {
            if let Some(upload) = self.uploads.get_mut(key) {
                upload.asked = false;
            }
        }
    }

    /// Takes an object off the board, for example to try it again much later.
    pub(super) fn take_off(&mut self, key: Key) -> Option<Waiting> {
        self.uploads.remove(&key).map(|upload| upload.waiting)
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.uploads.is_empty()
    }
}

/// The ranges that are not in a list of ranges. What makes no sense in the list counts as missing.
fn missing(received: &[(u64, u64)], size: u64) -> Vec<(u64, u64)> {
    let mut sorted: Vec<(u64, u64)> = received.iter().copied().filter(|(from, to)| from < to).collect();
    sorted.sort_unstable();
    let (mut at, mut out) = (0, Vec::new());
    for (from, to) in sorted {
        if from > at {
            out.push((at, from.min(size)));
        }
        at = at.max(to.min(size));
        if at >= size {
            return out.into_iter().filter(|(a, b)| a < b).collect();
        }
    }
    out.push((at, size));
    out.into_iter().filter(|(a, b)| a < b).collect()
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
