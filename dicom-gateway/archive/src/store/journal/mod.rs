//! Objects that came a moment ago, in a few files of fixed size that are overwritten in turn.
//!
//! Making a new file durable costs a commit of the file system's own journal; overwriting blocks
//! that are there costs one flush. So while many objects come, the bytes of each stand here before
//! it is acknowledged, and its own file is flushed later, with many others.
//!
//! **Invariants:** a segment is used again only after every file named in it, and its row, are on
//! stable storage. After a crash every whole record is compared with its file, and the file made
//! again where it differs. What has no room here goes the direct way: nobody waits for room.

mod buffer;
mod record;
#[cfg(test)]
mod tests;

use super::health::Health;
use super::medium::{Blob, read_exact_at};
use crate::error::{ArchiveError, Result};
use buffer::Aligned;
use record::{BLOCK_BYTES, HEAD_BYTES};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Segments of a journal.
const SEGMENTS: usize = 8;
/// While objects come, full segments wait: their files are flushed when it is quiet for so long,
const QUIET: Duration = Duration::from_millis(500);
/// or when no more than so many are free,
const FREE_MIN: usize = 2;
/// or after this time at the latest.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Shortest wait between two looks.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// Largest object that stands in the journal.
pub(super) const OBJECT_BYTES_MAX: u64 = 1 << 20;
/// Buffers that are kept for the next record.
const BUFFERS_KEPT: usize = 8;
/// `O_DIRECT`: the bytes are read again only after a crash, the system's cache is for objects.
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "arm")))]
const DIRECT_FLAG: i32 = 0o200_000;
#[cfg(all(target_os = "linux", not(any(target_arch = "aarch64", target_arch = "arm"))))]
const DIRECT_FLAG: i32 = 0o40_000;
#[cfg(not(target_os = "linux"))]
const DIRECT_FLAG: i32 = 0;

/// A file of the journal.
pub(crate) struct SegmentFile {
    file: File,
    path: PathBuf,
    health: Health,
}

impl SegmentFile {
    /// Waits until all records written so far are on stable storage.
    ///
    /// # Errors
    /// When the disk fails; the store then takes nothing more in.
    pub(crate) fn flush(&self) -> Result<()> {
        self.health.check()?;
        self.file.sync_data().map_err(|error| {
            // its blocks are all there: no error here is one of room
            let why = format!("could not flush {}: {error}", self.path.display());
            self.health.give_up(&why)
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Active,
    /// Takes no more; waits until its files are durable.
    Full,
}

struct Segment {
    file: Arc<SegmentFile>,
    use_number: u64,
    used: u64,
    /// Records whose fate is not known yet.
    open: usize,
    names: Vec<String>,
    phase: Phase,
    full_since: Option<Instant>,
}

impl Segment {
    fn take_no_more(&mut self) {
        self.phase = Phase::Full;
        self.full_since = Some(Instant::now());
    }
}

struct State {
    segments: Vec<Segment>,
    buffers: Vec<Aligned>,
    /// When the newest record came.
    newest: Instant,
    closed: bool,
}

impl State {
    /// How long files of full segments may still wait for a quiet moment; `None`: not at all.
    fn may_wait(&self) -> Option<Duration> {
        let free = self.segments.iter().filter(|s| s.phase == Phase::Free).count();
        let oldest = self.segments.iter().filter_map(|s| s.full_since).min()?;
        let is_pressed = self.closed || free <= FREE_MIN;
        let quiet = QUIET.checked_sub(self.newest.elapsed())?;
        let due = WAIT_MAX.checked_sub(oldest.elapsed())?;
        (!is_pressed).then(|| quiet.min(due))
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    segment_bytes: u64,
    _lock: Option<File>,
}

/// The journal of a store; clones share it.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

/// A record in the journal. While it lives its segment is not used again.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    segment: usize,
    file: Arc<SegmentFile>,
    at: u64,
}

/// Names in a full segment, to be made durable before it is used again.
pub(crate) struct FullSegment {
    segment: usize,
    /// Names below the store.
    pub(crate) names: Vec<String>,
}

impl Journal {
    /// Makes the journal anew in a folder: what is in it must have been replayed before.
    /// `lock` keeps other processes away as long as the journal lives.
    pub(super) fn create(folder: &Path, bytes: u64, health: &Health, lock: Option<File>) -> Result<Self> {
        let segment_bytes = (bytes / SEGMENTS as u64).next_multiple_of(BLOCK_BYTES as u64);
        let mut segments = Vec::with_capacity(SEGMENTS);
        for number in 0..SEGMENTS {
            let path = path_of(folder, number);
            let made = prepare(&path, segment_bytes);
            let (file, use_number) = made.map_err(|e| ArchiveError::io("prepare", &path, e))?;
            let health = health.clone();
            segments.push(Segment {
                file: Arc::new(SegmentFile { file, path, health }),
                use_number,
                used: BLOCK_BYTES as u64,
                open: 0,
                names: Vec::new(),
                phase: Phase::Free,
                full_since: None,
            });
        }
        File::open(folder)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| health.flush_failed(folder, e))?;
        let state = State {
            segments,
            buffers: Vec::new(),
            newest: Instant::now(),
            closed: false,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
                segment_bytes,
                _lock: lock,
            }),
        })
    }

    /// Writes a record of an object; [`SegmentFile::flush`] makes it durable. `None` when there is
    /// no room now, or the object is too large.
    pub(super) fn append(&self, name: &str, content: &mut dyn Blob) -> Result<Option<Ticket>> {
        let bytes = content.size();
        if bytes > OBJECT_BYTES_MAX || name.len() > record::NAME_BYTES_MAX {
            return Ok(None);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let room = record::room_of(bytes);
        let Some((ticket, use_number, buffer)) = self.shared.reserve(name, room as u64) else {
            return Ok(None);
        };
        let mut buffer = buffer.unwrap_or_else(|| Aligned::new(record::room_of(OBJECT_BYTES_MAX as usize)));
        let place = buffer.get_mut(room);
        let (head, rest) = place.split_at_mut(HEAD_BYTES.min(place.len()));
        head.fill(0);
        let (into, padding) = rest.split_at_mut(bytes.min(rest.len()));
        padding.fill(0);
        read_exact_at(content, 0, into).map_err(|error| ArchiveError::from_read(name, error))?;
        record::seal(buffer.get_mut(room), use_number, name, bytes);
        let written = ticket.file.file.write_all_at(buffer.get(room), ticket.at);
        self.shared.give_back(buffer);
        match written {
            Ok(()) => Ok(Some(ticket)),
            Err(error) => {
                tracing::warn!(%error, path = %ticket.file.path.display(), "the journal of the store cannot be written; objects go the direct way");
                self.close();
                Ok(None)
            }
        }
    }

    /// Waits for a segment that is full and whose records are all decided, and for a quiet moment
    /// if there is room to wait; `None` when the journal is closed.
    pub(crate) fn next_full(&self) -> Option<FullSegment> {
        let mut state = self.shared.lock();
        loop {
            let ready = |s: &Segment| s.phase == Phase::Full && s.open == 0;
            let found = state.segments.iter().position(ready);
            if let (Some(_), Some(wait)) = (found, state.may_wait()) {
                let waited = self.shared.changed.wait_timeout(state, wait.max(WAIT_MIN));
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if let Some(at) = found {
                let names = state.segments.get(at).map(|s| s.names.clone());
                return Some(FullSegment {
                    segment: at,
                    names: names.unwrap_or_default(),
                });
            }
            if state.closed && state.segments.iter().all(|s| s.phase == Phase::Free) {
                return None;
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The files and rows of a segment are durable: it may be used again.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn free(&self, full: &FullSegment) -> Result<()> {
        let file = self
            .shared
            .lock()
            .segments
            .get(full.segment)
            .map(|s| s.file.clone());
        let Some(file) = file else { return Ok(()) };
        let use_number = new_use();
        write_head(&file.file, use_number).map_err(|error| file.health.flush_failed(&file.path, error))?;
        let mut state = self.shared.lock();
        if let Some(segment) = state.segments.get_mut(full.segment) {
            segment.use_number = use_number;
            segment.used = BLOCK_BYTES as u64;
            segment.names.clear();
            segment.phase = Phase::Free;
            segment.full_since = None;
        }
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Lets nothing more into the segment in use, so that its files are made durable soon.
    pub(crate) fn rotate(&self) {
        let mut state = self.shared.lock();
        let active = state.segments.iter_mut().filter(|s| s.phase == Phase::Active);
        active.for_each(Segment::take_no_more);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until no segment holds anything, at most so long; `true` when that came.
    pub(crate) fn wait_empty(&self, wait_max: std::time::Duration) -> bool {
        let busy = |state: &mut State| state.segments.iter().any(|s| s.phase != Phase::Free);
        let state = self.shared.lock();
        let (_state, ended) = self
            .shared
            .changed
            .wait_timeout_while(state, wait_max, busy)
            .unwrap_or_else(PoisonError::into_inner);
        !ended.timed_out()
    }

    /// Takes nothing more; what is full may still be freed.
    pub(crate) fn close(&self) {
        self.rotate();
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// Flushes every segment that holds records.
    pub(crate) fn flush_all(&self) -> Result<()> {
        let state = self.shared.lock();
        let used = state.segments.iter().filter(|s| s.phase != Phase::Free);
        let files: Vec<_> = used.map(|s| s.file.clone()).collect();
        drop(state);
        files.iter().try_for_each(|file| file.flush())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(self: &Arc<Self>, name: &str, room: u64) -> Option<(Ticket, u64, Option<Aligned>)> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let fits = |s: &Segment| s.phase == Phase::Active && s.used + room <= self.segment_bytes;
        let at = match state.segments.iter().position(fits) {
            Some(at) => at,
            None => {
                let free = state.segments.iter().position(|s| s.phase == Phase::Free)?;
                let active = state.segments.iter_mut().filter(|s| s.phase == Phase::Active);
                active.for_each(Segment::take_no_more);
                self.changed.notify_all();
                free
            }
        };
        let buffer = state.buffers.pop();
        state.newest = Instant::now();
        let segment = state.segments.get_mut(at)?;
        segment.phase = Phase::Active;
        let place = segment.used;
        segment.used += room;
        segment.open += 1;
        segment.names.push(name.to_owned());
        let ticket = Ticket {
            shared: self.clone(),
            segment: at,
            file: segment.file.clone(),
            at: place,
        };
        Some((ticket, segment.use_number, buffer))
    }

    fn give_back(&self, buffer: Aligned) {
        let mut state = self.lock();
        if state.buffers.len() < BUFFERS_KEPT {
            state.buffers.push(buffer);
        }
    }
}

impl Ticket {
    /// The file that must be flushed before the object is acknowledged.
    pub(crate) fn file(&self) -> Arc<SegmentFile> {
        self.file.clone()
    }

    /// The object is not kept after all: a crash must not bring it back.
    pub(crate) fn cancel(self) {
        let nothing = Aligned::new(BLOCK_BYTES);
        if let Err(error) = self.file.file.write_all_at(nothing.get(BLOCK_BYTES), self.at) {
            tracing::warn!(%error, "a record of the journal could not be taken back");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let mut is_ready = false;
        if let Some(segment) = state.segments.get_mut(self.segment) {
            segment.open = segment.open.saturating_sub(1);
            is_ready = segment.open == 0 && segment.phase == Phase::Full;
        }
        drop(state);
        if is_ready {
            self.shared.changed.notify_all();
        }
    }
}

fn path_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.journal"))
}

fn new_use() -> u64 {
    // never 0, which an empty block would tell
    uuid::Uuid::new_v4().as_u64_pair().0 | 1
}

fn write_head(file: &File, use_number: u64) -> io::Result<()> {
    let mut block = Aligned::new(BLOCK_BYTES);
    block
        .get_mut(BLOCK_BYTES)
        .copy_from_slice(&record::segment_head(use_number));
    file.write_all_at(block.get(BLOCK_BYTES), 0)?;
    file.sync_data()
}

/// A file whose blocks are all written, with a new number of use.
fn prepare(path: &Path, bytes: u64) -> io::Result<(File, u64)> {
    let open = |flag: i32| {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(flag)
            .open(path)
    };
    let file = open(DIRECT_FLAG).or_else(|_| open(0))?;
    let use_number = new_use();
    let length = file.metadata()?.len();
    if length > bytes {
        file.set_len(bytes)?;
    }
    let zeros = Aligned::new(1 << 20);
    let mut at = length.min(bytes) / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    while at < bytes {
        let count = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(1 << 20);
        file.write_all_at(zeros.get(count), at)?;
        at += count as u64;
    }
    write_head(&file, use_number)?;
    file.sync_all()?;
    Ok((file, use_number))
}

/// Takes the folder of a journal for this process, making it; `None` when another has it.
///
/// # Errors
/// When the folder cannot be used.
pub(super) fn lock(folder: &Path) -> Result<Option<File>> {
    std::fs::create_dir_all(folder).map_err(|e| ArchiveError::io("create folder", folder, e))?;
    let path = folder.join("lock");
    let fail = |error| ArchiveError::io("lock", &path, error);
    let file = File::create(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

/// Removes the files of a journal that was replayed and is not wanted any more.
///
/// # Errors
/// When the folder refuses.
pub(super) fn remove(folder: &Path) -> Result<()> {
    for number in 0..SEGMENTS {
        let path = path_of(folder, number);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::io("remove", &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives every whole record of a journal to `take`, and the number of them. A name may come twice.
///
/// # Errors
/// When a segment cannot be read, or what `take` says.
pub(super) fn replay(folder: &Path, mut take: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<u64> {
    let mut count = 0;
    let mut seen = BTreeSet::new();
    for number in 0..SEGMENTS {
        let path = path_of(folder, number);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ArchiveError::io("read", &path, error)),
        };
        let Some(use_number) = bytes.get(..BLOCK_BYTES).and_then(record::read_segment_head) else {
            continue;
        };
        // records were written at once by several: one may be missing before one that is whole
        let mut at = BLOCK_BYTES;
        while at < bytes.len() {
            let Some(found) = record::read(&bytes, at, use_number) else {
                at += BLOCK_BYTES;
                continue;
            };
            let content = bytes.get(found.content.clone()).unwrap_or_default();
            if seen.insert(found.name.clone()) {
                take(&found.name, content)?;
                count += 1;
            }
            at += record::room_of(content.len());
        }
    }
    Ok(count)
}
