//! The file operations that the store stands on, as a seam: the real ones here, failing ones in the
//! tests of what a failing disk must not do.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Appends some of the bytes; gives how many.
    ///
    /// # Errors
    /// What the system says.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Overwrites bytes at a place.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Reads some bytes at a place; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Waits until the bytes are on stable storage.
    ///
    /// # Errors
    /// What the system says. After an error nobody knows which bytes are there: the system may
    /// already have thrown away what it could not write, and a second call would succeed.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Makes a file that does not exist yet.
    ///
    /// # Errors
    /// What the system says.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading, with `write` also for changing.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder and its parents.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Waits until a folder's entries are on stable storage.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until everything on the file system of a folder is on stable storage; `false` where that cannot be had
    /// together with its errors: then files and folders must be flushed one by one.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self, _folder: &Path) -> io::Result<bool> {
        Ok(false)
    }
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn DiskFile>> {
        let file = File::options().read(true).write(write).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path).and_then(|folder| folder.sync_all())
    }

    #[cfg(target_os = "linux")]
    fn sync_all(&self, folder: &Path) -> io::Result<bool> {
        if !tells_errors_of_all() {
            return Ok(false);
        }
        rustix::fs::syncfs(File::open(folder)?)?;
        Ok(true)
    }
}

/// Linux tells errors of writing by syncfs(2) since 5.8.
#[cfg(target_os = "linux")]
fn tells_errors_of_all() -> bool {
    static TELLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *TELLS.get_or_init(|| {
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy();
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap_or(0));
        let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= (5, 8)
    })
}

impl DiskFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, at)
    }

    #[cfg(unix)]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }

    #[cfg(not(unix))]
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut file = self;
        io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
        let written = Write::write(&mut file, bytes)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(written)
    }

    #[cfg(not(unix))]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut file = self;
        io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
        io::Read::read(&mut file, into)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Appends all bytes, however few the system takes at a time.
pub(super) fn write_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Overwrites all bytes at a place.
pub(super) fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                at += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
