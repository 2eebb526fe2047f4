//! Files in a folder of this machine.

use super::SPOOL_FOLDER;
use super::disk::{Disk, DiskFile, write_all_at};
use super::folders::Folders;
use super::health::Health;
use super::medium::{Blob, Listed, Medium};
use super::spool::{Finished, SpoolFile};
use crate::error::{ArchiveError, Result};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// From so many files on, the whole file system is flushed at once.
const TOGETHER_MIN: usize = 8;

/// A folder.
pub(super) struct Local {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    folders: Folders,
    health: Health,
}

struct LocalBlob {
    file: Box<dyn DiskFile>,
    bytes: u64,
}

impl Blob for LocalBlob {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, at)
    }
}

impl Local {
    pub(super) fn open(root: &Path, disk: Arc<dyn Disk>, health: Health) -> Result<Self> {
        Ok(Self {
            root: root.to_path_buf(),
            folders: Folders::new(root, disk.clone(), health.clone()),
            disk,
            health,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn open_file(&self, name: &str, write: bool) -> Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        self.disk.open(&path, write).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ArchiveError::NotFound(format!("object {name}")),
            _ => ArchiveError::io("open", &path, error),
        })
    }

    fn folder_of<'a>(&'a self, path: &'a Path) -> &'a Path {
        path.parent().unwrap_or(&self.root)
    }
}

impl Medium for Local {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn put(&self, file: Finished, name: &str) -> Result<()> {
        let path = self.path(name);
        let folder = self.folder_of(&path);
        self.folders.ensure(folder)?;
        let file = file.move_to(&path)?;
        // One after the other and in this thread: the folder's entry mostly went with the file's
        // own commit, and nobody has to be woken.
        let flushed = file.sync_data().and_then(|()| self.disk.sync_dir(folder));
        flushed.map_err(|error| {
            let _ = self.disk.remove(&path);
            self.health.flush_failed(&path, error)
        })
    }

    fn put_unflushed(&self, file: Finished, name: &str) -> Result<()> {
        let path = self.path(name);
        self.folders.ensure(self.folder_of(&path))?;
        file.write_to(&path)
    }

    fn gains_by_journal(&self) -> bool {
        true
    }

    fn flush(&self, names: &[String]) -> Result<()> {
        if names.len() >= TOGETHER_MIN {
            match self.disk.sync_all(&self.root) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(self.health.flush_failed(&self.root, error)),
            }
        }
        let mut folders = BTreeSet::new();
        for name in names {
            let path = self.path(name);
            match self.open_file(name, false) {
                Ok(file) => file
                    .sync_data()
                    .map_err(|error| self.health.flush_failed(&path, error))?,
                Err(ArchiveError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            folders.insert(self.folder_of(&path).to_path_buf());
        }
        for folder in folders {
            self.disk
                .sync_dir(&folder)
                .map_err(|error| self.health.flush_failed(&folder, error))?;
        }
        Ok(())
    }

    fn copy_in(&self, from: &mut dyn Blob, name: &str) -> Result<()> {
        let folder = self.root.join(SPOOL_FOLDER);
        let mut spool = SpoolFile::create(self.disk.clone(), &folder, None)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = 0;
        loop {
            let count = match from.read_at(at, &mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::from_read(name, error)),
            };
            at += count as u64;
            spool.write(buffer.get(..count).unwrap_or_default())?;
        }
        self.put(spool.finish("")?, name)
    }

    fn open(&self, name: &str, _at: u64, _length: u64) -> Result<Box<dyn Blob>> {
        let file = self.open_file(name, false)?;
        let bytes = file
            .size()
            .map_err(|error| ArchiveError::io("read", &self.path(name), error))?;
        Ok(Box::new(LocalBlob { file, bytes }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.path(to);
        let folder = self.folder_of(&path);
        self.folders.ensure(folder)?;
        self.disk
            .rename(&self.path(from), &path)
            .map_err(|error| ArchiveError::io("move in the store", &path, error))?;
        self.disk
            .sync_dir(folder)
            .map_err(|error| self.health.flush_failed(folder, error))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ArchiveError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn patch(&self, name: &str, parts: &[(u64, Vec<u8>)]) -> Result<()> {
        let (file, path) = (self.open_file(name, true)?, self.path(name));
        for (at, bytes) in parts {
            write_all_at(&*file, bytes, *at).map_err(|error| ArchiveError::io("write", &path, error))?;
            file.sync_data()
                .map_err(|error| self.health.flush_failed(&path, error))?;
        }
        Ok(())
    }

    fn folders(&self, under: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in list(&self.path(under))? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn files(&self, under: &str) -> Result<Vec<Listed>> {
        let mut files = Vec::new();
        for entry in list(&self.path(under))? {
            // One that vanished a moment ago is no file any more.
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if meta.is_file() && !name.starts_with('.') {
                files.push(Listed {
                    name: format!("{under}/{name}"),
                    bytes: meta.len(),
                });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn probe(&self) -> Result<()> {
        let folder = self.root.join(SPOOL_FOLDER);
        let spool = SpoolFile::create(self.disk.clone(), &folder, None)?;
        spool.probe(&self.health)
    }
}

fn list(folder: &Path) -> Result<Vec<std::fs::DirEntry>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ArchiveError::io("read", folder, error)),
    };
    entries
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| ArchiveError::io("read", folder, error))
}
