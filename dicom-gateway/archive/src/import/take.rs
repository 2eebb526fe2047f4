//! One file of a source, from its first bytes to its result.

use super::candidates::Candidate;
use super::journal::Note;
use super::sniff::{self, Other};
use super::{Done, ImportStatus, ImportedFile, Shared};
use crate::ids::Sha256Digest;
use crate::params;
use crate::receive::{Incoming, Outcome, ReceiveContext, RefusedKind, Sender, Source, StoreRefused, Stored};
use bytes::Bytes;
use dataset::file::{META_BYTES_MAX, Part10};
use dataset::{DatasetError, Limits, SopClassUid, SopInstanceUid, Tokenizer, tags};
use sha2::{Digest, Sha256};
use std::io::Read;
use tokio::runtime::Handle;

/// Bytes read at a time.
const READ_BYTES: usize = 128 << 10;
/// Bytes of a bare data set in which its UIDs must stand.
const BARE_HEAD_BYTES: usize = 256 << 10;
/// Role under which imports stand in the audit trail.
const ROLE: &str = "operator";

crate::statements! {
    mod sql {
        KNOWN = "SELECT dataset_digest FROM instance WHERE sop_instance_uid = $1";
    }
}

/// How a file ends that is not kept.
enum Stop {
    Refused(String),
    Failed(String),
    Other(Other),
    Directory,
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(format!("it cannot be read: {error}"))
    }
}

impl From<StoreRefused> for Stop {
    fn from(refused: StoreRefused) -> Self {
        match refused.kind {
            RefusedKind::OutOfSpace | RefusedKind::Failed => Self::Failed(refused.reason),
            _ => Self::Refused(refused.reason),
        }
    }
}

/// What was kept.
struct Kept {
    status: ImportStatus,
    uid: String,
    study_uid: Option<String>,
    digest: Sha256Digest,
    remark: Option<String>,
}

/// A file whose head has been read.
struct Opened {
    reader: Box<dyn Read + Send>,
    /// Bytes read so far, from the first one.
    start: Vec<u8>,
    header: Part10,
}

/// Takes one file in, unless it is there.
pub(super) fn take(shared: &Shared, candidate: &Candidate, runtime: &Handle) -> Done {
    if let Some(done) = remembered(shared, candidate, runtime) {
        return done;
    }
    let mut file = ImportedFile {
        name: candidate.name.clone(),
        status: ImportStatus::Failed,
        sop_instance_uid: None,
        study_uid: None,
        size_bytes: candidate.size_bytes,
        reason: None,
    };
    let mut object = None;
    match import(shared, candidate, runtime, &mut file.sop_instance_uid) {
        Ok(kept) => {
            file.status = kept.status;
            file.study_uid = kept.study_uid;
            file.reason = kept.remark;
            file.sop_instance_uid = Some(kept.uid.clone());
            object = Some((kept.uid, kept.digest));
        }
        Err(stop) => {
            let (status, reason) = match stop {
                Stop::Refused(reason) => (ImportStatus::Refused, Some(reason)),
                Stop::Failed(reason) => (ImportStatus::Failed, Some(reason)),
                Stop::Other(Other::Ecg(format)) => (
                    ImportStatus::OtherEcg,
                    Some(format!(
                        "{format}; make a DICOM object of it with gongying ecg convert"
                    )),
                ),
                Stop::Other(Other::Unknown(hint)) => (ImportStatus::NotDicom, Some(hint.to_owned())),
                Stop::Directory => (ImportStatus::Directory, None),
            };
            file.status = status;
            file.reason = reason;
        }
    }
    // What was refused stays refused; each try more would be one more copy in quarantine.
    let again = file.status == ImportStatus::Failed;
    let (size, stamp) = (candidate.size_bytes, candidate.stamp);
    let note = (!again).then(|| Note::new(&candidate.name, size, stamp, file.status, object));
    Done {
        file,
        known: false,
        note,
    }
}

/// What an earlier run did with this very file, when the index agrees.
fn remembered(shared: &Shared, candidate: &Candidate, runtime: &Handle) -> Option<Done> {
    let note = shared
        .journal
        .known(&candidate.name, candidate.size_bytes, candidate.stamp)?;
    if note.status == ImportStatus::Refused && shared.options.retry_refused {
        return None;
    }
    let mut uid = None;
    if let Some((known_uid, digest)) = &note.object {
        let there = runtime.block_on(digest_of(shared, known_uid)).ok().flatten();
        if there != Some(*digest) {
            return None;
        }
        uid = Some(known_uid.clone());
    }
    Some(Done {
        file: ImportedFile {
            name: candidate.name.clone(),
            status: note.status,
            sop_instance_uid: uid,
            study_uid: None,
            size_bytes: candidate.size_bytes,
            reason: Some("known from an earlier run".to_owned()),
        },
        known: true,
        note: None,
    })
}

async fn digest_of(shared: &Shared, uid: &str) -> crate::Result<Option<Sha256Digest>> {
    let row = shared
        .archive
        .db()
        .fetch_optional(sql::KNOWN, params![uid])
        .await?;
    let digest = row.map(|row| row.bytes("dataset_digest")).transpose()?;
    Ok(digest.and_then(|d| Sha256Digest::from_slice(&d)))
}

fn import(
    shared: &Shared,
    candidate: &Candidate,
    runtime: &Handle,
    seen_uid: &mut Option<String>,
) -> Result<Kept, Stop> {
    let mut opened = open(candidate)?;
    let class = opened.header.meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID);
    if class.as_deref() == Some(dataset::uids::MEDIA_STORAGE_DIRECTORY_STORAGE) {
        return Err(Stop::Directory);
    }
    let bare = !opened.header.has_preamble || opened.header.guessed;
    let announced = if bare {
        Some(announce(shared, &mut opened)?)
    } else {
        None
    };
    let uid = match &announced {
        Some(context) => context.sop_instance_uid.as_str().to_owned(),
        None => {
            let uid = opened
                .header
                .sop_instance()
                .map_err(|e| Stop::Refused(e.to_string()))?;
            uid.as_str().to_owned()
        }
    };
    *seen_uid = Some(uid.clone());
    // An object that is there is compared by reading; nothing is written for it.
    let known = runtime.block_on(digest_of(shared, &uid));
    if let Some(digest) = known.map_err(|e| Stop::Failed(e.to_string()))? {
        if hash(&mut opened)? == digest {
            return Ok(Kept {
                status: ImportStatus::Duplicate,
                uid,
                study_uid: None,
                digest,
                remark: None,
            });
        }
        opened = open(candidate)?;
    }
    let stored = runtime.block_on(receive(shared, announced, opened))?;
    Ok(Kept {
        status: match stored.outcome {
            Outcome::New => ImportStatus::Stored,
            Outcome::DuplicateEqual => ImportStatus::Duplicate,
        },
        uid: stored.sop_instance_uid,
        study_uid: Some(stored.study_uid),
        digest: stored.dataset_digest,
        remark: (!stored.warnings.is_empty()).then(|| stored.warnings.join("; ")),
    })
}

/// Reads until the head of the file is whole.
fn open(candidate: &Candidate) -> Result<Opened, Stop> {
    let mut reader = candidate.open()?;
    let mut start = Vec::new();
    loop {
        let before = start.len();
        (&mut reader).take(READ_BYTES as u64).read_to_end(&mut start)?;
        let ended = start.len() == before;
        match dataset::file::read_header(&start) {
            Ok(header) => {
                return Ok(Opened {
                    reader,
                    start,
                    header,
                });
            }
            Err(DatasetError::Incomplete { .. }) if !ended && start.len() < META_BYTES_MAX => {}
            Err(error) if start.get(128..132) == Some(b"DICM") => {
                return Err(Stop::Refused(error.to_string()));
            }
            Err(_) => return Err(Stop::Other(sniff::describe(&candidate.name, &start))),
        }
    }
}

/// A data set without preamble or meta information: what a sender would say of it.
fn announce(shared: &Shared, opened: &mut Opened) -> Result<ReceiveContext, Stop> {
    let missing = BARE_HEAD_BYTES.saturating_sub(opened.start.len()) as u64;
    (&mut opened.reader)
        .take(missing)
        .read_to_end(&mut opened.start)?;
    let syntax = opened.header.transfer_syntax.clone();
    let mut tokenizer = Tokenizer::new(&syntax, Limits::default());
    let head = opened
        .start
        .get(opened.header.dataset_offset..)
        .unwrap_or_default();
    // As far as it goes: whether the whole is sound is seen when it is received.
    let _ = tokenizer.feed(head.get(..BARE_HEAD_BYTES.min(head.len())).unwrap_or_default());
    let set = tokenizer.finish_partial().data_set;
    let no_object = |_| Stop::Other(Other::Unknown("no DICOM object"));
    Ok(ReceiveContext {
        sender: sender(shared),
        sop_class: SopClassUid::from(set.uid(tags::SOP_CLASS_UID).map_err(no_object)?),
        sop_instance_uid: SopInstanceUid::from(set.uid(tags::SOP_INSTANCE_UID).map_err(no_object)?),
        transfer_syntax: syntax,
    })
}

fn sender(shared: &Shared) -> Sender {
    let options = &shared.options;
    Sender::account(&options.user, ROLE, options.institution_id, None, Source::Import)
}

/// SHA-256 of the data set, read to its end.
fn hash(opened: &mut Opened) -> Result<Sha256Digest, Stop> {
    let mut hasher = Sha256::new();
    hasher.update(
        opened
            .start
            .get(opened.header.dataset_offset..)
            .unwrap_or_default(),
    );
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match opened.reader.read(&mut buffer)? {
            0 => return Ok(Sha256Digest(hasher.finalize().into())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// The way of all objects.
async fn receive(shared: &Shared, announced: Option<ReceiveContext>, opened: Opened) -> Result<Stored, Stop> {
    let Opened {
        mut reader,
        start,
        header,
    } = opened;
    let (mut incoming, skip): (Incoming, usize) = match announced {
        Some(context) => (
            shared.archive.begin_receive(context).await?,
            header.dataset_offset,
        ),
        None => (shared.archive.begin_part10(sender(shared), None).await?, 0),
    };
    incoming.write(Bytes::from(start).slice(skip..)).await?;
    loop {
        // This runs on a thread of its own, so waiting for the disk here delays nobody.
        let mut buffer = vec![0; READ_BYTES];
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(incoming.finish().await?);
        }
        buffer.truncate(count);
        incoming.write(Bytes::from(buffer)).await?;
    }
}
