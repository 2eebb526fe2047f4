//! The watched folder: files of devices that cannot send. A file is taken when it stopped changing; it is moved away
//! only after it is on stable storage here, or refused with the reason beside it.

use super::Shared;
use archive::order::Order;
use archive::patient::Patient;
use archive::receive::{Sender, Source, StoreRefused};
use archive::{ArchiveError, InstitutionId};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;

const ACCEPTED: &str = "accepted";
const REJECTED: &str = "rejected";
/// How often the folder is looked at. A file that is the same at two looks is complete.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Files of one look.
const FILES_MAX: usize = 5000;
/// Folders below the watched one.
const DEPTH_MAX: usize = 4;
/// Accepted files are removed after this time: the spool and the centre have them.
const ACCEPTED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A file that could not be taken for lack of room is tried again after this time.
const ROOM_WAIT: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 256 << 10;
/// Largest file that is not DICOM: a day of three leads as text of an XML document is about 300 MB.
const FOREIGN_BYTES_MAX: u64 = 512 << 20;
/// First bytes by which the kind of a file is seen.
const HEAD_BYTES: usize = 512;
/// Length of an accession number in a file's name (PS3.5, VR SH).
const NUMBER_CHARS_MIN: usize = 4;
const NUMBER_CHARS_MAX: usize = 16;
/// Parts of a name that are asked for.
const NUMBERS_MAX: usize = 8;
/// Name of the sender of files that name none.
const NO_SENDER: &str = "WATCH";

type Seen = (u64, Option<SystemTime>);

/// Watches for ever.
pub(super) async fn run(shared: Arc<Shared>, folder: PathBuf) {
    let mut seen: HashMap<PathBuf, Seen> = HashMap::new();
    loop {
        let institution = shared.identity().await.institution_id;
        let place = folder.clone();
        let found = tokio::task::spawn_blocking(move || look(&place)).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the watched folder cannot be read");
                HashMap::new()
            }
            Err(_) => HashMap::new(),
        };
        let complete: Vec<PathBuf> = found
            .iter()
            .filter(|(path, now)| seen.get(*path) == Some(now))
            .map(|(path, _)| path.clone())
            .collect();
        seen = found;
        for path in complete {
            match take(&shared, &path, institution).await {
                Ok(()) => settle(&folder, &path, ACCEPTED, None).await,
                Err(Taken::Refused(reason)) => settle(&folder, &path, REJECTED, Some(reason)).await,
                Err(Taken::Later(reason)) => {
                    tracing::warn!(reason, "a file of the watched folder waits");
                    tokio::time::sleep(ROOM_WAIT).await;
                    break;
                }
            }
            seen.remove(&path);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Files that may be taken: not hidden, not half-written by their name, not ours.
fn look(folder: &Path) -> io::Result<HashMap<PathBuf, Seen>> {
    forget_accepted(&folder.join(ACCEPTED));
    let mut found = HashMap::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((at, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&at)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = depth == 0 && (name == ACCEPTED || name == REJECTED);
            if ours || name.starts_with('.') || is_unfinished(&name) {
                continue;
            }
            // A link could lead out of the folder.
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                let meta = entry.metadata()?;
                found.insert(entry.path(), (meta.len(), meta.modified().ok()));
            }
            if found.len() >= FILES_MAX {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

fn is_unfinished(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".part", ".tmp", ".temp", ".crdownload", ".filepart", "~"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn forget_accepted(folder: &Path) {
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let changed = file.metadata().and_then(|meta| meta.modified());
        let old = changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ACCEPTED_KEPT));
        if old && let Err(error) = std::fs::remove_file(file.path()) {
            tracing::debug!(%error, "an accepted file could not be removed");
        }
    }
}

enum Taken {
    Refused(String),
    Later(String),
}

impl From<StoreRefused> for Taken {
    fn from(refused: StoreRefused) -> Self {
        use archive::receive::RefusedKind::{Failed, OutOfSpace, StorageFailing};
        match refused.kind {
            OutOfSpace | Failed | StorageFailing => Self::Later(refused.reason),
            _ => Self::Refused(refused.reason),
        }
    }
}

impl From<io::Error> for Taken {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Why a file that is no DICOM file is not taken, in words for the technician.
fn not_dicom(path: &Path) -> String {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("hea" | "dat" | "atr" | "npy") => {
            "这是非 DICOM 心电文件，其中没有可用于归档的患者与检查标识；请在心电图机上导出为 DICOM 12 导联心电图后再放入。\n\
             An ECG file that is not DICOM: it holds no identity under which it could be filed. Export it as DICOM."
                .to_owned()
        }
        _ => "不是 DICOM 文件（缺少 128 字节前导和 DICM 标记）。\n\
              Not a DICOM file: the preamble and the letters DICM are missing (PS3.10)."
            .to_owned(),
    }
}

async fn take(shared: &Shared, path: &Path, institution: InstitutionId) -> Result<(), Taken> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut head = vec![0u8; HEAD_BYTES];
    let mut count = 0;
    while count < HEAD_BYTES {
        let rest = head.get_mut(count..).unwrap_or_default();
        match file.read(rest).await? {
            0 => break,
            more => count += more,
        }
    }
    head.truncate(count);
    if head.get(128..132) != Some(b"DICM") {
        return take_foreign(shared, path, file, head, institution).await;
    }
    let sender = sender(shared, &head, institution).await;
    let mut incoming = shared.archive.begin_part10(sender, None).await?;
    incoming.write(Bytes::from(head)).await?;
    loop {
        let mut piece = bytes::BytesMut::with_capacity(READ_BYTES);
        if file.read_buf(&mut piece).await? == 0 {
            break;
        }
        incoming.write(piece.freeze()).await?;
    }
    incoming.finish().await?;
    Ok(())
}

/// A recording in a format of its maker: made a DICOM object, which keeps the file.
async fn take_foreign(
    shared: &Shared,
    path: &Path,
    file: tokio::fs::File,
    head: Vec<u8>,
    institution: InstitutionId,
) -> Result<(), Taken> {
    if file.metadata().await?.len() > FOREIGN_BYTES_MAX {
        return Err(Taken::Refused(not_dicom(path)));
    }
    let mut bytes = head;
    file.take(FOREIGN_BYTES_MAX).read_to_end(&mut bytes).await?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let request = request_of(shared, &name, institution).await;
    let importer = shared.config.importer.clone();
    let made = tokio::task::spawn_blocking(move || importer.import(&name, &bytes, request.as_ref())).await;
    let made = made.map_err(|error| Taken::Refused(error.to_string()))?;
    let object = match made {
        Some(Ok(object)) => object,
        Some(Err(reason)) => return Err(Taken::Refused(reason)),
        None => return Err(Taken::Refused(not_dicom(path))),
    };
    if is_here(shared, &object).await {
        return Ok(());
    }
    let sender = Sender::account(NO_SENDER, "device", institution, None, Source::Import);
    shared
        .archive
        .receive_part10(sender, None, Bytes::from(object))
        .await?;
    Ok(())
}

/// The exam request of this institution whose accession number is a part of the file's name, as in
/// `20261122-0007.pdf` or `王秀英_E2611220007.scp`: the way to file what does not say whose it is.
async fn request_of(shared: &Shared, name: &str, institution: InstitutionId) -> Option<(Order, Patient)> {
    let orders = shared.archive.orders();
    for part in numbers_in(name) {
        let found = orders.by_accession(&part).await.ok().flatten();
        if let Some(order) = found.filter(|order| order.institution_id == institution) {
            let patient = shared.archive.patients().by_id(order.patient_id).await.ok()?;
            return Some((order, patient));
        }
    }
    None
}

/// Parts of a file's name that may be an accession number: the name without its ending, then each run of letters, digits
/// and dashes in it.
fn numbers_in(name: &str) -> Vec<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let runs = stem.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let parts = std::iter::once(stem).chain(runs);
    let plausible = |part: &&str| {
        (NUMBER_CHARS_MIN..=NUMBER_CHARS_MAX).contains(&part.len())
            && part.bytes().any(|b| b.is_ascii_digit())
    };
    parts
        .filter(plausible)
        .take(NUMBERS_MAX)
        .map(str::to_owned)
        .collect()
}

/// The same file was taken before. Where it has no date, the hour of the import stands in the object, so that its bytes
/// differ although nothing else does.
async fn is_here(shared: &Shared, object: &[u8]) -> bool {
    let header = dataset::file::read_header(object).ok();
    let Some(uid) = header.and_then(|header| header.sop_instance().ok()) else {
        return false;
    };
    let found = shared.archive.studies().instance(uid.as_str()).await;
    found.is_ok_and(|found| found.is_some())
}

/// The enrolled device that the file names as its source, or nobody in particular.
async fn sender(shared: &Shared, head: &[u8], institution: InstitutionId) -> Sender {
    let named = dataset::file::read_header(head)
        .ok()
        .and_then(|header| header.meta.text(dataset::tags::SOURCE_APPLICATION_ENTITY_TITLE));
    let device = match named {
        Some(title) => shared.archive.devices().by_ae_title(&title).await.ok(),
        None => None,
    };
    let name = device.as_ref().map_or(NO_SENDER, |device| &device.ae_title);
    Sender {
        device_id: device.as_ref().map(|device| device.id),
        ..Sender::account(name, "device", institution, None, Source::Import)
    }
}

async fn settle(folder: &Path, path: &Path, into: &'static str, reason: Option<String>) {
    let (folder, path) = (folder.join(into), path.to_path_buf());
    let moved = tokio::task::spawn_blocking(move || put_aside(&folder, &path, reason.as_deref()));
    match moved.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a file of the watched folder could not be moved"),
        Err(error) => tracing::warn!(%error, "a file of the watched folder could not be moved"),
    }
}

fn put_aside(folder: &Path, path: &Path, reason: Option<&str>) -> Result<(), ArchiveError> {
    let wrong = |error| ArchiveError::io("move", path, error);
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut target = folder.join(&name);
    let mut number = 1;
    while target.exists() {
        number += 1;
        target = folder.join(format!("{number}-{name}"));
    }
    if let Some(reason) = reason {
        let mut note = target.clone().into_os_string();
        note.push(".txt");
        std::fs::write(note, format!("{reason}\n")).map_err(wrong)?;
    }
    std::fs::rename(path, &target).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_unfinished_files_and_links_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir_all(at.join("day/accepted")).unwrap();
        std::fs::create_dir_all(at.join(REJECTED)).unwrap();
        for name in [
            "a.dcm",
            "b.PART",
            ".c",
            "d~",
            "rejected/e.dcm",
            "day/f.dcm",
            "day/accepted/g",
        ] {
            std::fs::write(at.join(name), b"x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/hostname", at.join("h.dcm")).unwrap();
        let mut found: Vec<_> = look(at).unwrap().into_keys().collect();
        found.sort();
        let expect = ["a.dcm", "day/accepted/g", "day/f.dcm"].map(|name| at.join(name));
        assert_eq!(found, expect);
    }

    #[test]
    fn accession_numbers_are_found_in_names() {
        let check = |name: &str, expect: &[&str]| assert_eq!(numbers_in(name), expect, "{name}");
        check("E2611220007.pdf", &["E2611220007", "E2611220007"]);
        check("王秀英_E2611220007 a.scp", &["E2611220007"]);
        check("20261122-0007.xml", &["20261122-0007", "20261122-0007"]);
        check("report.pdf", &[]);
        check(".pdf", &[]);
    }

    #[test]
    fn a_refused_file_keeps_its_name_and_gets_the_reason_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        for round in ["a.hea", "2-a.hea"] {
            let path = folder.path().join("a.hea");
            std::fs::write(&path, round).unwrap();
            put_aside(&folder.path().join(REJECTED), &path, Some(&not_dicom(&path))).unwrap();
            let kept = folder.path().join(REJECTED).join(round);
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), round);
            let reason = std::fs::read_to_string(format!("{}.txt", kept.display())).unwrap();
            assert!(reason.contains("DICOM"), "{reason}");
        }
    }
}
