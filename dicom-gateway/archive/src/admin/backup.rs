//! Copies of a whole archive, and bringing one back.
//!
//! Objects never change, so a second backup into the same folder copies only what is new.

use crate::Archive;
use crate::Config;
use crate::db::IndexUrl;
use crate::error::{ArchiveError, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Copy of the index in a backup.
const INDEX_FILE: &str = "index.sqlite";
/// Objects in a backup.
const OBJECTS_FOLDER: &str = "objects";
/// Keys and anchors in a backup.
const DATA_FOLDER: &str = "data";

/// What a backup or a restore copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files copied.
    pub files: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// The index is in the copy. Not for PostgreSQL: take it with `pg_dump` just before.
    pub index: bool,
}

impl Archive {
    /// Copies the archive into a folder while it runs. The index is copied first, so every object
    /// that the copy names is in it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn backup(&self, into: &Path) -> Result<BackupReport> {
        make(into)?;
        let index = into.join(INDEX_FILE);
        let fresh = into.join("index.new");
        let _ = std::fs::remove_file(&fresh);
        let has_index = self.db().copy_into(&fresh).await?;
        self.write_marks().await?;
        let (config, into) = (self.config().clone(), into.to_path_buf());
        let copy = move || {
            let mut report = BackupReport {
                index: has_index,
                ..BackupReport::default()
            };
            if has_index {
                let fail = |error| ArchiveError::io("flush", &index, error);
                File::open(&fresh)
                    .and_then(|file| file.sync_all())
                    .map_err(fail)?;
                std::fs::rename(&fresh, &index).map_err(fail)?;
                report.files += 1;
            }
            copy_tree(&config.objects, &into.join(OBJECTS_FOLDER), true, &mut report)?;
            copy_data(&config, &into.join(DATA_FOLDER), &mut report)?;
            sync_folder(&into)?;
            Ok(report)
        };
        tokio::task::spawn_blocking(copy)
            .await
            .map_err(|_| ArchiveError::Closed)?
    }
}

/// Brings a backup back into an empty place. Waits for the disk.
///
/// # Errors
/// [`ArchiveError::Conflict`] when something is there already, [`ArchiveError::NotFound`] when the
/// folder holds no backup.
pub fn restore(from: &Path, config: &Config) -> Result<BackupReport> {
    let mut report = BackupReport::default();
    let objects = from.join(OBJECTS_FOLDER);
    if !objects.is_dir() {
        return Err(ArchiveError::NotFound(format!("backup in {}", from.display())));
    }
    let taken = |path: &Path| {
        path.read_dir()
            .is_ok_and(|mut list| list.any(|e| e.is_ok_and(|e| e.file_name() != ".spool")))
    };
    if taken(&config.objects) {
        return Err(ArchiveError::Conflict(format!(
            "{} is not empty; restore into an empty folder",
            config.objects.display()
        )));
    }
    if let IndexUrl::Sqlite(index) = &config.index {
        if index.exists() {
            return Err(ArchiveError::Conflict(format!(
                "{} exists; restore into an empty folder",
                index.display()
            )));
        }
        if let Some(folder) = index.parent() {
            make(folder)?;
        }
        copy_file(&from.join(INDEX_FILE), index, false, &mut report)?;
        report.index = true;
    }
    copy_tree(&objects, &config.objects, true, &mut report)?;
    make(&config.data_dir)?;
    copy_tree(&from.join(DATA_FOLDER), &config.data_dir, false, &mut report)?;
    Ok(report)
}

/// Small files of the data folder: keys and anchors, not the index and not the objects.
fn copy_data(config: &Config, into: &Path, report: &mut BackupReport) -> Result<()> {
    make(into)?;
    for entry in list(&config.data_dir)? {
        let name = entry
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let wanted = [".key", ".trusted", ".anchor", ".watermark"]
            .iter()
            .any(|end| name.ends_with(end));
        if wanted && entry.is_file() {
            copy_file(&entry, &into.join(name), false, report)?;
        }
    }
    sync_folder(into)
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| ArchiveError::io("create folder", folder, error))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| ArchiveError::io("read", folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| ArchiveError::io("read", folder, e))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| ArchiveError::io("flush", folder, error))
}

/// Copies folders of objects; hidden ones (the spool) stay. Folders are five levels deep at most.
fn copy_tree(from: &Path, into: &Path, keep: bool, report: &mut BackupReport) -> Result<()> {
    let mut waiting = vec![(from.to_path_buf(), into.to_path_buf())];
    while let Some((from, into)) = waiting.pop() {
        make(&into)?;
        for path in list(&from)? {
            let Some(name) = path.file_name() else { continue };
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                waiting.push((path.clone(), into.join(name)));
            } else {
                copy_file(&path, &into.join(name), keep, report)?;
            }
        }
        sync_folder(&into)?;
    }
    Ok(())
}

fn copy_file(from: &Path, into: &Path, keep: bool, report: &mut BackupReport) -> Result<()> {
    let size = |path: &Path| std::fs::metadata(path).map(|m| m.len());
    let bytes = size(from).map_err(|error| ArchiveError::io("read", from, error))?;
    if keep && size(into).is_ok_and(|there| there == bytes) {
        report.unchanged += 1;
        return Ok(());
    }
    // Under another name first: a copy that was cut off is never taken for a whole one.
    let part = into.with_extension("copying");
    let copy = || -> std::io::Result<()> {
        std::fs::copy(from, &part)?;
        File::open(&part)?.sync_all()?;
        std::fs::rename(&part, into)
    };
    copy().map_err(|error| ArchiveError::io("copy to", into, error))?;
    report.files += 1;
    report.bytes += bytes;
    Ok(())
}
