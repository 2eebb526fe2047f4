//! Files to be sent: what they are, and their bytes read ahead of the network.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use dataset::{DatasetError, Limits, Tokenizer, file, tags};
use tokio::sync::mpsc;

use super::client::Pair;

/// Bytes read from a file at once, and sent in one write.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces read ahead of the network.
const PIECES_AHEAD: usize = 8;
/// Preamble, prefix and the header of one element.
const FILE_BYTES_MIN: usize = 140;
/// First look at a file.
const HEAD_BYTES: usize = 4 << 10;
/// Files without file meta information are parsed this far for their UIDs.
const SEARCH_BYTES_MAX: u64 = 1 << 20;

/// A file that can be sent.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) pair: Pair,
    pub(super) sop_instance: String,
    /// Where the data set starts.
    pub(super) offset: u64,
    /// Bytes of the data set.
    pub(super) length: u64,
}

/// Looks at the start of a file.
pub(super) fn inspect(path: &Path) -> Result<Item, String> {
    let mut file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let mut head = vec![0; HEAD_BYTES];
    let header = loop {
        file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
        let count = read_full(&mut file, &mut head).map_err(|error| format!("cannot be read: {error}"))?;
        match file::read_header(head.get(..count).unwrap_or_default()) {
            Ok(header) => break header,
            Err(DatasetError::Incomplete { .. }) if count == head.len() && count < file::META_BYTES_MAX => {
                head.resize(count * 8, 0);
            }
            // shorter than a preamble and one element
            Err(DatasetError::Incomplete { .. }) if count < FILE_BYTES_MIN => {
                return Err(format!("this is not a DICOM file: it has {count} bytes"));
            }
            Err(DatasetError::Incomplete { .. }) => return Err("the file ends inside its header".into()),
            Err(error) => return Err(error.to_string()),
        }
    };
    let offset = header.dataset_offset as u64;
    // what the data set says counts; the file meta information of edited files is often older
    let (sop_class, sop_instance) = match (
        in_data_set(&head, &header),
        header.sop_class(),
        header.sop_instance(),
    ) {
        (Some(found), _, _) => found,
        (None, Ok(class), Ok(instance)) => (class.as_str().to_owned(), instance.as_str().to_owned()),
        _ => search(&mut file, &header)?,
    };
    Ok(Item {
        path: path.to_owned(),
        pair: Pair {
            sop_class,
            transfer_syntax: header.transfer_syntax.as_str().to_owned(),
        },
        sop_instance,
        offset,
        length: size.saturating_sub(offset),
    })
}

/// SOP class and instance from as much of the data set as `bytes` hold.
fn in_data_set(bytes: &[u8], header: &file::Part10) -> Option<(String, String)> {
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, Limits::default());
    // the start of a data set ends inside something; what was read before counts
    let _ = tokenizer.feed(bytes.get(header.dataset_offset..)?);
    let set = tokenizer.finish_partial().data_set;
    let uid = |tag| set.uid(tag).ok().map(|uid| uid.as_str().to_owned());
    Some((uid(tags::SOP_CLASS_UID)?, uid(tags::SOP_INSTANCE_UID)?))
}

/// The same from a longer piece of the file.
fn search(file: &mut File, header: &file::Part10) -> Result<(String, String), String> {
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(SEARCH_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    in_data_set(&bytes, header).ok_or_else(|| "it has no SOP Class UID or no SOP Instance UID".into())
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut count = 0;
    while let Some(room) = buffer.get_mut(count..).filter(|room| !room.is_empty()) {
        match file.read(room)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// Files still to be sent, shared by all associations.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<VecDeque<Job>>>);

/// A file and how often it was begun before.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) item: Arc<Item>,
    pub(super) attempts: u32,
}

impl Queue {
    pub(super) fn push(&self, job: Job) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(job);
    }

    pub(super) fn pop(&self) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// What the reader hands over.
#[derive(Debug)]
pub(super) enum Piece {
    Begin(Job),
    Data(Bytes),
    /// The file cannot be read further.
    Failed(String),
}

/// Starts a thread that takes files from the queue and reads them ahead. It ends when the queue is
/// empty or the receiver is gone; a file whose [`Piece::Begin`] was not taken goes back.
pub(super) fn read_ahead(queue: Queue) -> mpsc::Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        while let Some(job) = queue.pop() {
            let item = Arc::clone(&job.item);
            if let Err(unsent) = sender.blocking_send(Piece::Begin(job)) {
                if let Piece::Begin(job) = unsent.0 {
                    queue.push(job);
                }
                return;
            }
            if let Err(error) = read_file(&item, &sender)
                && sender.blocking_send(Piece::Failed(error.to_string())).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn read_file(item: &Item, sender: &mpsc::Sender<Piece>) -> std::io::Result<()> {
    let mut file = File::open(&item.path)?;
    file.seek(SeekFrom::Start(item.offset))?;
    let mut left = item.length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = BytesMut::zeroed(count);
        file.read_exact(&mut piece)?;
        left -= count as u64;
        if sender.blocking_send(Piece::Data(piece.freeze())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
