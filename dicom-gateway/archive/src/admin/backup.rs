//! Copies of a whole archive, and bringing one back.
//!
//! A backup holds the index, every file of the store as it lies there (encrypted files stay
//! encrypted; their keys are not in it), and the keys that sign. Objects never change, so a second
//! backup into the same folder copies only what is new.

use super::portable;
use crate::audit::AuditSigner;
use crate::db::{Db, IndexUrl, Migrations};
use crate::error::{ArchiveError, Result};
use crate::store::{ObjectReader, ObjectStore};
use crate::{Archive, Config, MIGRATIONS};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Copy of an index on SQLite in a backup.
const INDEX_FILE: &str = "index.sqlite";
/// Copy of an index on PostgreSQL in a backup.
const PORTABLE_FILE: &str = "index.jsonl.gz";
/// Objects in a backup.
const OBJECTS_FOLDER: &str = "objects";
/// Keys and anchors in a backup.
const DATA_FOLDER: &str = "data";
/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;
/// First bytes of an encrypted file: all of it that may change.
const HEAD_BYTES: usize = 512;

crate::statements! {
    mod sql {
        ALL_PLACED = "UPDATE instance SET medium = 0 WHERE medium <> 0";
        NO_WALKS = "DELETE FROM upkeep_walk";
    }
}

/// What a backup or a restore copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files copied.
    pub files: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Files among them whose content only the operator's keys open.
    pub encrypted: u64,
}

impl Archive {
    /// Copies the archive into a folder while it runs. The index is copied first, so every object
    /// that the copy names is in it.
    ///
    /// # Errors
    /// When the folder cannot be written, or a file of the store cannot be read.
    pub async fn backup(&self, into: &Path) -> Result<BackupReport> {
        make(into)?;
        let fresh = into.join("index.new");
        let _ = std::fs::remove_file(&fresh);
        let (name, other) = match self.db().copy_into(&fresh).await? {
            true => (INDEX_FILE, PORTABLE_FILE),
            false => {
                portable::export(self.db(), &fresh).await?;
                (PORTABLE_FILE, INDEX_FILE)
            }
        };
        self.write_marks().await?;
        let (config, store, into) = (self.config().clone(), self.store().clone(), into.to_path_buf());
        let copy = move || {
            let mut report = BackupReport::default();
            let fail = |error| ArchiveError::io("flush", &into, error);
            File::open(&fresh)
                .and_then(|file| file.sync_all())
                .map_err(fail)?;
            std::fs::rename(&fresh, into.join(name)).map_err(fail)?;
            // Of an index that moved to another database since: two copies would contradict.
            let _ = std::fs::remove_file(into.join(other));
            report.files += 1;
            copy_store(&store, &into.join(OBJECTS_FOLDER), &mut report)?;
            copy_data(&config, &into.join(DATA_FOLDER), &mut report)?;
            sync_folder(&into)?;
            Ok(report)
        };
        tokio::task::spawn_blocking(copy)
            .await
            .map_err(|_| ArchiveError::Closed)?
    }
}

/// Brings a backup back into an empty place: index, store and keys. The index may be on another
/// database than the one that was backed up.
///
/// # Errors
/// [`ArchiveError::Conflict`] when something is there already, [`ArchiveError::NotFound`] when the
/// folder holds no backup.
pub async fn restore(
    from: &Path,
    config: &Config,
    extra_migrations: &[&'static Migrations],
) -> Result<BackupReport> {
    let objects = from.join(OBJECTS_FOLDER);
    if !objects.is_dir() {
        return Err(ArchiveError::NotFound(format!("backup in {}", from.display())));
    }
    let (source, target) = (from.to_path_buf(), config.clone());
    let report = tokio::task::spawn_blocking(move || {
        let mut report = BackupReport::default();
        make(&target.objects)?;
        make(&target.data_dir)?;
        let store = ObjectStore::open(&target.objects, &target.store)?;
        if (0..store.media_count()).any(|medium| !store.leaf_folders(medium).is_ok_and(|all| all.is_empty()))
        {
            return Err(ArchiveError::Conflict(
                "the object store is not empty, or does not answer; restore into an empty one".to_owned(),
            ));
        }
        restore_index_file(&source, &target, &mut report)?;
        put_tree(&store, &objects, &mut report)?;
        for file in list(&source.join(DATA_FOLDER))? {
            if let Some(name) = file.file_name() {
                copy_file(&file, &target.data_dir.join(name), &mut report)?;
            }
        }
        Ok(report)
    });
    let mut report = report.await.map_err(|_| ArchiveError::Closed)??;
    restore_index(from, config, extra_migrations, &mut report).await?;
    Ok(report)
}

/// SQLite to SQLite is one file.
fn restore_index_file(from: &Path, config: &Config, report: &mut BackupReport) -> Result<()> {
    let IndexUrl::Sqlite(index) = &config.index else {
        return Ok(());
    };
    if index.exists() {
        return Err(ArchiveError::Conflict(format!(
            "{} exists; restore into an empty folder",
            index.display()
        )));
    }
    if let Some(folder) = index.parent() {
        make(folder)?;
    }
    match from.join(INDEX_FILE) {
        copy if copy.is_file() => copy_file(&copy, index, report),
        _ => Ok(()),
    }
}

async fn restore_index(
    from: &Path,
    config: &Config,
    extra_migrations: &[&'static Migrations],
    report: &mut BackupReport,
) -> Result<()> {
    let signer = Arc::new(AuditSigner::open(&config.data_dir)?);
    let mut sets = vec![&MIGRATIONS];
    sets.extend_from_slice(extra_migrations);
    let (sqlite, lines) = (from.join(INDEX_FILE), from.join(PORTABLE_FILE));
    let is_server = matches!(config.index, IndexUrl::Postgres(_));
    let db = Db::open(&config.index, signer.clone(), &sets).await?;
    if is_server || !sqlite.is_file() {
        let some = db.fetch_dynamic("SELECT id FROM institution LIMIT 1".to_owned(), Vec::new());
        if !some.await?.is_empty() {
            return Err(ArchiveError::Conflict(
                "the index is not empty; restore into an empty database".to_owned(),
            ));
        }
        let moved = config.data_dir.join("index.moving");
        let portable_file = match sqlite.is_file() {
            true => {
                export_file(&sqlite, &config.data_dir, (signer, &sets), &moved).await?;
                &moved
            }
            false => &lines,
        };
        portable::import(&db, portable_file).await?;
        let _ = std::fs::remove_file(&moved);
        report.files += 1;
    }
    // Everything was put where objects are placed.
    db.write(|tx| {
        Box::pin(async move {
            tx.execute(sql::ALL_PLACED, Vec::new()).await?;
            tx.execute(sql::NO_WALKS, Vec::new()).await
        })
    })
    .await
    .map(|_: u64| ())
}

/// Writes the rows of an index on SQLite, from a copy: the backup itself is only read.
async fn export_file(
    sqlite: &Path,
    data_dir: &Path,
    (signer, sets): (Arc<AuditSigner>, &[&'static Migrations]),
    into: &Path,
) -> Result<()> {
    let names = ["moving.sqlite", "moving.sqlite-wal", "moving.sqlite-shm"].map(|name| data_dir.join(name));
    let [copy, ..] = &names;
    let (from, to) = (sqlite.to_path_buf(), copy.clone());
    let copied = tokio::task::spawn_blocking(move || copy_file(&from, &to, &mut BackupReport::default()));
    copied.await.map_err(|_| ArchiveError::Closed)??;
    let old = Db::open(&IndexUrl::Sqlite(copy.clone()), signer, sets).await?;
    portable::export(&old, into).await?;
    drop(old);
    for name in names {
        let _ = std::fs::remove_file(name);
    }
    Ok(())
}

/// Copies what is new of the store.
fn copy_store(store: &ObjectStore, into: &Path, report: &mut BackupReport) -> Result<()> {
    make(into)?;
    for medium in 0..store.media_count() {
        for folder in store.leaf_folders(medium)? {
            let target = into.join(&folder);
            make(&target)?;
            for file in store.raw_files(medium, &folder)? {
                let path = into.join(&file.name);
                report.encrypted += u64::from(is_encrypted(&path));
                let mut source = match store.open_raw(medium, &file.name) {
                    Err(ArchiveError::NotFound(_)) => continue,
                    other => other?,
                };
                if is_same(&mut source, &path)? {
                    report.unchanged += 1;
                } else {
                    report.bytes += write_file(&mut source, &path)?;
                    report.files += 1;
                }
            }
            sync_folder(&target)?;
        }
    }
    Ok(())
}

fn is_encrypted(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sealed")
}

/// Whether a copy is there. Of an encrypted file the head may have changed since.
fn is_same(source: &mut ObjectReader, path: &Path) -> Result<bool> {
    if !std::fs::metadata(path).is_ok_and(|meta| meta.len() == source.size()) {
        return Ok(false);
    }
    if !is_encrypted(path) {
        return Ok(true);
    }
    let head = |from: &mut dyn Read| {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        from.take(HEAD_BYTES as u64)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    };
    let fail = |error| ArchiveError::from_read(&path.to_string_lossy(), error);
    let there = head(&mut File::open(path).map_err(fail)?).map_err(fail)?;
    let here = head(source).map_err(fail)?;
    std::io::Seek::rewind(source).map_err(fail)?;
    Ok(there == here)
}

/// Puts every file of a backup into the store.
fn put_tree(store: &ObjectStore, from: &Path, report: &mut BackupReport) -> Result<()> {
    let mut waiting = vec![(from.to_path_buf(), String::new())];
    while let Some((folder, name)) = waiting.pop() {
        for path in list(&folder)? {
            let Some(last) = path.file_name().map(|last| last.to_string_lossy().into_owned()) else {
                continue;
            };
            let name = if name.is_empty() {
                last
            } else {
                format!("{name}/{last}")
            };
            if path.is_dir() {
                waiting.push((path, name));
            } else if path.extension().is_none_or(|extension| extension != "copying") {
                let file = File::open(&path).map_err(|error| ArchiveError::io("read", &path, error))?;
                report.bytes += store.put_raw(&name, file)?;
                report.files += 1;
                report.encrypted += u64::from(is_encrypted(&path));
            }
        }
    }
    Ok(())
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
            copy_file(&entry, &into.join(name), report)?;
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

/// Under another name first: a copy that was cut off is never taken for a whole one.
fn write_file(from: &mut dyn Read, into: &Path) -> Result<u64> {
    let part = into.with_extension("copying");
    let fail = |error| ArchiveError::io("copy to", into, error);
    let mut file = File::create(&part).map_err(fail)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut total = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ArchiveError::from_read("a file of the store", error)),
        };
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(fail)?;
        total += count as u64;
    }
    file.sync_all()
        .and_then(|()| std::fs::rename(&part, into))
        .map_err(fail)?;
    Ok(total)
}

fn copy_file(from: &Path, into: &Path, report: &mut BackupReport) -> Result<()> {
    let mut file = File::open(from).map_err(|error| ArchiveError::io("read", from, error))?;
    report.bytes += write_file(&mut file, into)?;
    report.files += 1;
    Ok(())
}
