//! For tests: a disk that fails as told, at the operation told.

use super::disk::{Disk, DiskFile, RealDisk};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the disk is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Make a file.
    Create,
    /// Open a file.
    Open,
    /// Write bytes.
    Write,
    /// Read bytes.
    Read,
    /// Flush a file.
    SyncData,
    /// Flush a folder.
    SyncFolder,
    /// Give a file another name.
    Rename,
    /// Remove a file.
    Remove,
    /// Make a folder.
    MakeFolder,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With this error of the system.
    Error(i32),
    /// It writes or reads one byte of what was asked for.
    Short,
    /// It takes this long.
    Slow(Duration),
}

/// No space left on device.
pub const ENOSPC: i32 = 28;
/// Input or output error.
pub const EIO: i32 = 5;
/// Read-only file system.
pub const EROFS: i32 = 30;

struct Rule {
    operation: Operation,
    fault: Fault,
    /// Operations that go well before.
    after: u32,
    /// How often it fails then.
    times: u32,
}

#[derive(Clone, Default)]
struct Rules(Arc<Mutex<Vec<Rule>>>);

impl Rules {
    fn meet(&self, operation: Operation) -> io::Result<Option<Fault>> {
        let fault = {
            let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut met = None;
            for rule in rules.iter_mut().filter(|rule| rule.operation == operation) {
                if rule.after > 0 {
                    rule.after -= 1;
                } else if rule.times > 0 && met.is_none() {
                    rule.times -= 1;
                    met = Some(rule.fault);
                }
            }
            met
        };
        match fault {
            Some(Fault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Slow(time)) => {
                std::thread::sleep(time);
                Ok(None)
            }
            other => Ok(other),
        }
    }
}

/// The disk of this machine, with faults.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    rules: Rules,
}

impl FaultyDisk {
    /// A disk that does not fail yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// After `after` further operations of this kind that go well, the next `times` fail.
    pub fn fail(&self, operation: Operation, after: u32, times: u32, fault: Fault) {
        let mut rules = self.rules.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.push(Rule {
            operation,
            fault,
            after,
            times,
        });
    }

    /// Fails no more.
    pub fn mend(&self) {
        self.rules
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile {
            file,
            rules: self.rules.clone(),
        })
    }
}

struct FaultyFile {
    file: Box<dyn DiskFile>,
    rules: Rules,
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.rules.meet(Operation::Write)? {
            Some(Fault::Short) => self.file.write(bytes.get(..1).unwrap_or_default()),
            _ => self.file.write(bytes),
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        match self.rules.meet(Operation::Write)? {
            Some(Fault::Short) => self.file.write_at(bytes.get(..1).unwrap_or_default(), at),
            _ => self.file.write_at(bytes, at),
        }
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self.rules.meet(Operation::Read)? {
            Some(Fault::Short) => self.file.read_at(into.get_mut(..1).unwrap_or_default(), at),
            _ => self.file.read_at(into, at),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.rules.meet(Operation::SyncData)?;
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

impl Disk for FaultyDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.rules.meet(Operation::Create)?;
        Ok(self.wrap(RealDisk.create_new(path)?))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn DiskFile>> {
        self.rules.meet(Operation::Open)?;
        Ok(self.wrap(RealDisk.open(path, write)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rules.meet(Operation::Rename)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.rules.meet(Operation::Remove)?;
        RealDisk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.rules.meet(Operation::MakeFolder)?;
        RealDisk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.rules.meet(Operation::SyncFolder)?;
        RealDisk.sync_dir(path)
    }
}
