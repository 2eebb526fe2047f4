//! Objects of township nodes that are not whole yet: a file of bytes and a log of what of it is there, in the spool of
//! this node. They survive a restart; what nobody goes on with is removed after a week.

use super::ranges::Ranges;
use archive::edge::wire::{ObjectOffer, Standing};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Unfinished objects of one node at once.
const OPEN_OF_NODE_MAX: usize = 512;
/// Unfinished objects of all nodes at once.
const OPEN_MAX: usize = 16_384;
/// Bytes that unfinished objects of one node may come to.
const BYTES_OF_NODE_MAX: u64 = 24 << 30;
/// Unfinished objects are kept so long after their last chunk.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often old ones are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// Refusals that are remembered, for nodes that did not hear them.
const REFUSALS_MAX: usize = 4096;

/// Why bytes are not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartialError {
    #[error("too much of this node is unfinished already")]
    TooMuch,
    #[error("a chunk lies outside of its object")]
    Outside,
    #[error("the spool of the centre cannot be written: {0}")]
    Disk(#[from] io::Error),
}

/// How putting an object away ended.
pub(super) type Ended = Option<Arc<Result<Standing, String>>>;

/// One unfinished object.
pub(super) struct Partial {
    pub(super) offer: ObjectOffer,
    pub(super) path: PathBuf,
    log: Mutex<Log>,
    ended: watch::Sender<Ended>,
}

struct Log {
    ranges: Ranges,
    data: Arc<File>,
    lines: File,
    finishing: bool,
    gone: bool,
}

/// What a chunk did.
pub(super) enum Taken {
    /// More is missing.
    More(Vec<(u64, u64)>),
    /// This was the last; whoever gets this puts the object away.
    Last,
    /// Somebody puts it away already.
    Finishing,
}

impl Partial {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn received(&self) -> Vec<(u64, u64)> {
        self.lock().ranges.list()
    }

    /// Writes a chunk. Blocks on the disk.
    pub(super) fn take(&self, offset: u64, bytes: &Bytes) -> Result<Taken, PartialError> {
        let end = offset.checked_add(bytes.len() as u64);
        let end = end
            .filter(|end| *end <= self.offer.coded_size && !bytes.is_empty())
            .ok_or(PartialError::Outside)?;
        let data = {
            let log = self.lock();
            if log.finishing || log.gone {
                return Ok(Taken::Finishing);
            }
            log.data.clone()
        };
        write_at(&data, bytes, offset)?;
        let mut log = self.lock();
        if log.finishing || log.gone {
            return Ok(Taken::Finishing);
        }
        if !log.ranges.has(offset, end) {
            log.ranges.add(offset, end);
            writeln!(log.lines, "{offset} {end}")?;
        }
        if log.ranges.is_whole(self.offer.coded_size) {
            log.finishing = true;
            self.ended.send_replace(None);
            return Ok(Taken::Last);
        }
        Ok(Taken::More(log.ranges.list()))
    }

    /// After a restart or a failure: all bytes are there, but nobody puts them away. Whoever gets `true` does.
    pub(super) fn resume(&self) -> bool {
        let mut log = self.lock();
        let due = !log.finishing && !log.gone && log.ranges.is_whole(self.offer.coded_size);
        if due {
            log.finishing = true;
            self.ended.send_replace(None);
        }
        due
    }

    /// Putting it away failed, perhaps not for long: its bytes stay.
    pub(super) fn put_back(&self) {
        self.lock().finishing = false;
    }

    pub(super) fn is_finishing(&self) -> bool {
        let log = self.lock();
        log.finishing || log.gone
    }

    /// Hears how it ends.
    pub(super) fn ending(&self) -> watch::Receiver<Ended> {
        self.ended.subscribe()
    }

    pub(super) fn end(&self, with: Result<Standing, String>) {
        self.ended.send_replace(Some(Arc::new(with)));
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::Seek;
    let mut file = file;
    file.seek(io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

type Key = (String, String);

/// All unfinished objects of this node.
pub(crate) struct Uploads {
    folder: PathBuf,
    open: Mutex<HashMap<Key, Arc<Partial>>>,
    refusals: Mutex<HashMap<Key, Standing>>,
    swept: Mutex<Option<Instant>>,
}

impl Uploads {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: Mutex::default(),
            refusals: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Partial>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, HashMap<Key, Standing>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was refused a while ago.
    pub(super) fn refusal(&self, node: &str, digest: &str) -> Option<Standing> {
        self.refusals()
            .get(&(node.to_owned(), digest.to_owned()))
            .cloned()
    }

    pub(super) fn note_refusal(&self, node: &str, digest: &str, refusal: Standing) {
        let mut refusals = self.refusals();
        if refusals.len() >= REFUSALS_MAX {
            refusals.clear();
        }
        refusals.insert((node.to_owned(), digest.to_owned()), refusal);
    }

    /// An unfinished object that is known, here or on the disk. Blocks on the disk.
    pub(super) fn find(&self, node: &str, offer: &ObjectOffer) -> Result<Option<Arc<Partial>>, PartialError> {
        let key = (node.to_owned(), offer.digest.clone());
        let mut open = self.open();
        if let Some(known) = open.get(&key) {
            return Ok((known.is_finishing() || known.offer == *offer).then(|| known.clone()));
        }
        let path = self.path(node, &offer.digest);
        let Some(partial) = read(&path, offer)? else {
            return Ok(None);
        };
        let partial = Arc::new(partial);
        open.insert(key, partial.clone());
        Ok(Some(partial))
    }

    /// The unfinished object of an offer; begun when there is none. One that was begun with other bytes for the way is
    /// begun again. Blocks on the disk.
    pub(super) fn begin(&self, node: &str, offer: &ObjectOffer) -> Result<Arc<Partial>, PartialError> {
        self.sweep();
        if let Some(known) = self.find(node, offer)? {
            return Ok(known);
        }
        let mut open = self.open();
        let own = open.iter().filter(|((of, _), _)| of == node);
        let (count, bytes) = own.fold((0usize, 0u64), |(count, bytes), (_, partial)| {
            (count + 1, bytes.saturating_add(partial.offer.coded_size))
        });
        let too_much = bytes.saturating_add(offer.coded_size) > BYTES_OF_NODE_MAX;
        if count >= OPEN_OF_NODE_MAX || open.len() >= OPEN_MAX || too_much {
            return Err(PartialError::TooMuch);
        }
        let partial = Arc::new(create(&self.path(node, &offer.digest), offer)?);
        open.insert((node.to_owned(), offer.digest.clone()), partial.clone());
        Ok(partial)
    }

    /// Removes an object from the spool. Blocks on the disk.
    pub(super) fn remove(&self, node: &str, partial: &Partial) {
        partial.lock().gone = true;
        // Under the lock of the list, so that the files of a new beginning are not met.
        let mut open = self.open();
        let key = (node.to_owned(), partial.offer.digest.clone());
        if !open
            .get(&key)
            .is_some_and(|known| std::ptr::eq(Arc::as_ptr(known), partial))
        {
            return;
        }
        open.remove(&key);
        for file in [&partial.path, &log_path(&partial.path)] {
            if let Err(error) = std::fs::remove_file(file) {
                tracing::debug!(%error, "a finished upload could not be removed");
            }
        }
    }

    fn path(&self, node: &str, digest: &str) -> PathBuf {
        // Both are checked before: small letters, digits and - only.
        self.folder.join(node).join(digest)
    }

    /// Removes what nobody went on with for long, now and then.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|at| at.elapsed() < SWEEP_INTERVAL) {
                return;
            }
            *swept = Some(Instant::now());
        }
        let mut open = self.open();
        let nodes = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in nodes
            .flat_map(|node| std::fs::read_dir(node.path()))
            .flatten()
            .flatten()
        {
            let changed = file.metadata().and_then(|meta| meta.modified());
            let old =
                changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT));
            if old {
                let path = file.path().with_extension("");
                open.retain(|_, partial| partial.path != path);
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

fn log_path(path: &Path) -> PathBuf {
    path.with_extension("log")
}

fn create(path: &Path, offer: &ObjectOffer) -> Result<Partial, PartialError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A new file, not the old one cut to nothing: a chunk of an earlier beginning may still be written to that one.
    for old in [path.to_path_buf(), log_path(path)] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let data = File::create_new(path)?;
    let mut lines = File::create_new(log_path(path))?;
    let head = serde_json::to_string(offer).map_err(io::Error::other)?;
    writeln!(lines, "{head}")?;
    Ok(partial(path, offer, Ranges::default(), data, lines))
}

fn partial(path: &Path, offer: &ObjectOffer, ranges: Ranges, data: File, lines: File) -> Partial {
    Partial {
        offer: offer.clone(),
        path: path.to_path_buf(),
        log: Mutex::new(Log {
            ranges,
            data: Arc::new(data),
            lines,
            finishing: false,
            gone: false,
        }),
        ended: watch::Sender::new(None),
    }
}

/// An object left by an earlier run, when it was begun with the same bytes for the way. Lines that a crash cut off are
/// left out; if the disk lost bytes that the log names, the digest of the whole tells.
fn read(path: &Path, offer: &ObjectOffer) -> Result<Option<Partial>, PartialError> {
    let text = match std::fs::read_to_string(log_path(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut lines = text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    let head = lines
        .next()
        .and_then(|head| serde_json::from_str::<ObjectOffer>(head).ok());
    if head.as_ref() != Some(offer) {
        return Ok(None);
    }
    let data = match File::options().write(true).open(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut ranges = Ranges::default();
    for line in lines {
        if let Some((from, to)) = line.split_once(' ')
            && let (Ok(from), Ok(to)) = (from.parse(), to.parse::<u64>())
        {
            ranges.add(from, to.min(offer.coded_size));
        }
    }
    let log = File::options().append(true).open(log_path(path))?;
    Ok(Some(partial(path, offer, ranges, data, log)))
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
