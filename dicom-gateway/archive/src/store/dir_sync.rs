//! Flushing of directory entries: those that wait share one flush.

use super::disk::Disk;
use super::health::Health;
use crate::error::{ArchiveError, Result};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

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
    disk: Arc<dyn Disk>,
    health: Health,
    known: Mutex<HashSet<PathBuf>>,
}

impl DirSync {
    pub(super) fn start(root: &Path, disk: Arc<dyn Disk>, health: Health) -> Result<Self> {
        let (queue, requests) = sync_channel(WAITING_MAX);
        let flusher = disk.clone();
        std::thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || serve(&requests, &*flusher))
            .map_err(|error| ArchiveError::io("start the flush thread of", root, error))?;
        Ok(Self {
            queue,
            root: root.to_path_buf(),
            disk,
            health,
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
        self.disk
            .create_dir_all(folder)
            .map_err(|error| ArchiveError::io("create folder", folder, error))?;
        // Another thread may have made it a moment ago without having flushed yet: flush the whole
        // way up to the store in any case.
        for made in folder.ancestors().take_while(|at| *at != self.root) {
            let parent = made.parent().unwrap_or(made);
            self.disk
                .sync_dir(parent)
                .map_err(|error| self.health.flush_failed(parent, error))?;
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

fn serve(requests: &Receiver<Request>, disk: &dyn Disk) {
    while let Ok(first) = requests.recv() {
        let mut waiting: HashMap<PathBuf, Vec<Sender<io::Result<()>>>> = HashMap::new();
        waiting.entry(first.folder).or_default().push(first.answer);
        for more in requests.try_iter().take(WAITING_MAX) {
            waiting.entry(more.folder).or_default().push(more.answer);
        }
        for (folder, answers) in waiting {
            let done = disk.sync_dir(&folder);
            for answer in answers {
                let copy = match &done {
                    Ok(()) => Ok(()),
                    Err(error) => Err(copy_of(error)),
                };
                // Nobody waits any more: fine.
                let _ = answer.send(copy);
            }
        }
    }
}

fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
