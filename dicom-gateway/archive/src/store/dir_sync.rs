//! Flushing of directory entries: those that wait share one flush.

use crate::error::{ArchiveError, Result};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Flushes that wait at most; more wait at the door.
const WAITING_MAX: usize = 4096;
/// Folders remembered as made.
const FOLDERS_KNOWN_MAX: usize = 1024;

struct Request {
    folder: PathBuf,
    answer: Sender<io::Result<()>>,
}

/// A flush that was asked for.
pub(super) struct PendingSync(io::Result<Receiver<io::Result<()>>>);

impl PendingSync {
    /// Waits until the folder's entries are on stable storage.
    pub(super) fn wait(self) -> io::Result<()> {
        self.0?.recv().unwrap_or_else(|_| Err(closed()))
    }
}

fn closed() -> io::Error {
    io::Error::other("the store is closed")
}

/// A thread that flushes folders.
pub(super) struct DirSync {
    queue: SyncSender<Request>,
    root: PathBuf,
    known: Mutex<HashSet<PathBuf>>,
}

impl DirSync {
    pub(super) fn start(root: &Path) -> Result<Self> {
        let (queue, requests) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || serve(&requests))
            .map_err(|error| ArchiveError::io("start the flush thread of", root, error))?;
        Ok(Self {
            queue,
            root: root.to_path_buf(),
            known: Mutex::default(),
        })
    }

    /// Makes a folder and its parents, durably.
    pub(super) fn ensure(&self, folder: &Path) -> Result<()> {
        if self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(folder)
        {
            return Ok(());
        }
        let fail = |error| ArchiveError::io("create folder", folder, error);
        std::fs::create_dir_all(folder).map_err(fail)?;
        // Another thread may have made it a moment ago without having flushed yet: flush the whole
        // way up to the store in any case.
        for made in folder.ancestors().take_while(|at| *at != self.root) {
            let parent = made.parent().unwrap_or(made);
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(fail)?;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= FOLDERS_KNOWN_MAX {
            known.clear();
        }
        known.insert(folder.to_path_buf());
        Ok(())
    }

    /// Asks for a flush of a folder's entries made so far.
    pub(super) fn sync_later(&self, folder: &Path) -> PendingSync {
        let (answer, result) = channel();
        let request = Request {
            folder: folder.to_path_buf(),
            answer,
        };
        PendingSync(self.queue.send(request).map(|()| result).map_err(|_| closed()))
    }
}

fn serve(requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut waiting: HashMap<PathBuf, Vec<Sender<io::Result<()>>>> = HashMap::new();
        waiting.entry(first.folder).or_default().push(first.answer);
        for more in requests.try_iter().take(WAITING_MAX) {
            waiting.entry(more.folder).or_default().push(more.answer);
        }
        for (folder, answers) in waiting {
            let done = File::open(&folder).and_then(|dir| dir.sync_all());
            for answer in answers {
                let copy = match &done {
                    Ok(()) => Ok(()),
                    Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                };
                // Nobody waits any more: fine.
                let _ = answer.send(copy);
            }
        }
    }
}
