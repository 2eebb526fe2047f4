//! For tests of this crate and of those above it: throw-away archives on both databases.

use crate::db::{Dialect, IndexUrl, Migrations};
use crate::error::{ArchiveError, Result};
use crate::{Archive, Config};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that is removed at the end.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes one below the system's folder for temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("gongying-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).map_err(|e| ArchiveError::io("create folder", &path, e))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small file system of its own in memory, to fill; unmounted at the end.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of `mib` MiB over a folder; `None` where this process may not mount (an error when `REQUIRE_ALL=1`).
    ///
    /// # Errors
    /// When it must be there and cannot.
    pub fn mount(at: &Path, mib: u32) -> Result<Option<Self>> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"])
            .arg(at)
            .output();
        if done.is_ok_and(|out| out.status.success()) {
            return Ok(Some(Self(at.to_path_buf())));
        }
        if is_all_required() {
            return Err(ArchiveError::NotFound(
                "a small disk to mount (needs root)".to_owned(),
            ));
        }
        Ok(None)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Whether a program that a test drives must be there: `REQUIRE_ALL=1`.
fn is_all_required() -> bool {
    std::env::var("REQUIRE_ALL").is_ok_and(|v| v == "1")
}

/// Where an archive below `folder` keeps its parts.
pub fn config(folder: &Path) -> Config {
    Config {
        index: IndexUrl::Sqlite(folder.join("index.sqlite")),
        objects: folder.join("objects"),
        data_dir: folder.to_path_buf(),
        store: crate::store::Settings::default(),
    }
}

/// A fresh archive on SQLite in a temporary folder.
///
/// # Errors
/// When it cannot be made.
pub async fn temporary(extra: &[&'static Migrations]) -> Result<(Archive, TemporaryFolder)> {
    let folder = TemporaryFolder::new()?;
    let archive = Archive::open(config(folder.path()), extra).await?;
    Ok((archive, folder))
}

/// A PostgreSQL server of this test process on a unix socket only.
pub struct Postgres {
    child: Child,
    folder: TemporaryFolder,
}

/// Runs a program as `nobody` when this process is root, because PostgreSQL refuses root.
fn unprivileged(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| owner(&meta) == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    command.arg(program);
    command
}

#[cfg(unix)]
fn owner(meta: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(meta)
}

#[cfg(not(unix))]
fn owner(_: &std::fs::Metadata) -> u32 {
    1
}

fn programs() -> Option<(PathBuf, PathBuf)> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|list| list.flatten().map(|e| e.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    folders
        .into_iter()
        .map(|folder| (folder.join("initdb"), folder.join("postgres")))
        .find(|(initdb, postgres)| initdb.exists() && postgres.exists())
}

fn launch(postgres: &Path, folder: &Path) -> Result<Child> {
    unprivileged(postgres)
        .arg("-D")
        .arg(folder.join("pg"))
        .arg("-k")
        .arg(folder)
        .args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=120",
        ])
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| ArchiveError::io("start PostgreSQL in", folder, error))
}

impl Postgres {
    /// Starts a server; `None` when PostgreSQL is not installed (an error when `REQUIRE_ALL=1`).
    ///
    /// # Errors
    /// When it is installed but does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some((initdb, postgres)) = programs() else {
            if is_all_required() {
                return Err(ArchiveError::NotFound("initdb and postgres".to_owned()));
            }
            return Ok(None);
        };
        let folder = TemporaryFolder::new()?;
        let fail = |e| ArchiveError::io("start PostgreSQL in", folder.path(), e);
        open_to_all(folder.path()).map_err(fail)?;
        let data = folder.path().join("pg");
        let made = unprivileged(&initdb)
            .args([
                "--no-sync",
                "--locale=C",
                "--encoding=UTF8",
                "-A",
                "trust",
                "-U",
                "gongying",
                "-D",
            ])
            .arg(&data)
            .current_dir("/")
            .output()
            .map_err(fail)?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(ArchiveError::invalid("initdb", why));
        }
        let child = launch(&postgres, folder.path())?;
        let server = Self { child, folder };
        server.await_socket()?;
        Ok(Some(server))
    }

    fn await_socket(&self) -> Result<()> {
        let socket = self.folder.path().join(".s.PGSQL.5432");
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            if Instant::now() > end {
                return Err(ArchiveError::Busy("PostgreSQL did not start in 30 s".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the server as a crash would, waits, starts it again.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn crash_and_restart(&mut self, down: Duration) -> Result<()> {
        let Some((_, postgres)) = programs() else {
            return Err(ArchiveError::NotFound("postgres".to_owned()));
        };
        // SIGQUIT is PostgreSQL's immediate shutdown: no checkpoint, recovery at the next start.
        let _ = Command::new("kill")
            .arg("-QUIT")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
        for left in [".s.PGSQL.5432", ".s.PGSQL.5432.lock", "pg/postmaster.pid"] {
            let _ = std::fs::remove_file(self.folder.path().join(left));
        }
        std::thread::sleep(down);
        self.child = launch(&postgres, self.folder.path())?;
        self.await_socket()
    }

    /// URL of a database of this server; `postgres` exists from the start.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://gongying@{folder}/{database}")
    }

    /// Folder of the server's socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> Result<String> {
        use sqlx::Connection;
        let mut conn = None;
        for _ in 0..100 {
            match sqlx::PgConnection::connect(&self.url("postgres")).await {
                Ok(open) => {
                    conn = Some(open);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        let mut conn = conn.ok_or_else(|| ArchiveError::Busy("PostgreSQL does not answer".to_owned()))?;
        let text = format!("CREATE DATABASE \"{}\"", name.replace('"', ""));
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await?;
        Ok(self.url(name))
    }

    /// A fresh archive on a fresh database of this server.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn archive(&self, extra: &[&'static Migrations]) -> Result<(Archive, TemporaryFolder)> {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let folder = TemporaryFolder::new()?;
        let mut config = config(folder.path());
        config.index = IndexUrl::Postgres(self.database(&name).await?);
        Ok((Archive::open(config, extra).await?, folder))
    }
}

#[cfg(unix)]
fn open_to_all(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))
}

#[cfg(not(unix))]
fn open_to_all(_: &Path) -> std::io::Result<()> {
    Ok(())
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown; a plain kill of this one process follows.
        let _ = Command::new("kill")
            .arg("-INT")
            .arg(self.child.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prepares every statement on the archive's database, so that a wrong one is found by a test.
///
/// # Errors
/// Names the first statement that the database refuses.
pub async fn prepare_all(archive: &Archive, statements: &[(&'static str, &'static str)]) -> Result<()> {
    archive.db().prepare_all(statements).await
}

/// The plan of a statement in words, one line a step.
///
/// # Errors
/// What the database says.
pub async fn plan(archive: &Archive, sql: &str, parameter_count: usize) -> Result<String> {
    archive.db().plan(sql, parameter_count).await
}

/// Whether a plan reads a whole table.
pub fn is_full_scan(dialect: Dialect, plan: &str) -> bool {
    plan.lines().any(|line| match dialect {
        Dialect::Sqlite => {
            line.contains("SCAN ") && !line.contains("USING") && !line.contains("CONSTANT ROW")
        }
        Dialect::Postgres => line.contains("Seq Scan"),
    })
}

/// An institution for tests.
pub fn hospital(code: &str) -> crate::institution::NewInstitution {
    crate::institution::NewInstitution {
        code: code.to_owned(),
        name_zh: "镇中心卫生院".to_owned(),
        name_en: "Township Hospital".to_owned(),
        kind: crate::institution::InstitutionKind::TownshipHospital,
    }
}

/// A small valid object for tests of storing and finding.
#[derive(Debug, Clone)]
pub struct ObjectSpec {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Study Instance UID; left away when empty.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
    /// Series Number.
    pub series_number: u32,
    /// Instance Number.
    pub number: u32,
    /// Modality.
    pub modality: String,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Name, in UTF-8.
    pub patient_name: String,
    /// Study Date.
    pub study_date: String,
    /// Accession Number.
    pub accession: Option<String>,
    /// Source AE title of the file's head.
    pub source_ae: Option<String>,
    /// Rows and columns.
    pub size: u16,
}

impl ObjectSpec {
    /// A CT picture: the `n`-th of a series of a study.
    pub fn new(study: &str, series: u32, n: u32) -> Self {
        Self {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop_instance: format!("{study}.{series}.{n}"),
            study: study.to_owned(),
            series: format!("{study}.{series}"),
            series_number: series,
            number: n,
            modality: "CT".to_owned(),
            patient_id: format!("P{study}"),
            patient_name: "Wang^XiaoMing=王^小明".to_owned(),
            study_date: "20251120".to_owned(),
            accession: None,
            source_ae: None,
            size: 64,
        }
    }

    /// A twelve-lead ECG.
    pub fn waveform(study: &str, series: u32, n: u32) -> Self {
        Self {
            sop_class: "1.2.840.10008.5.1.4.1.1.9.1.1".to_owned(),
            modality: "ECG".to_owned(),
            ..Self::new(study, series, n)
        }
    }

    /// Its data set, explicit VR little endian.
    pub fn dataset_bytes(&self) -> Vec<u8> {
        use dataset::{CharacterSets, DataSet, Vr, tags};
        let mut set = DataSet::with_charset(CharacterSets::utf8());
        let texts = [
            (tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192"),
            (tags::SOP_CLASS_UID, Vr::UI, &self.sop_class),
            (tags::SOP_INSTANCE_UID, Vr::UI, &self.sop_instance),
            (tags::STUDY_DATE, Vr::DA, &self.study_date),
            (tags::STUDY_TIME, Vr::TM, "083000"),
            (
                tags::ACCESSION_NUMBER,
                Vr::SH,
                self.accession.as_deref().unwrap_or(""),
            ),
            (tags::MODALITY, Vr::CS, &self.modality),
            (tags::STUDY_DESCRIPTION, Vr::LO, "胸部CT平扫"),
            (tags::SERIES_DESCRIPTION, Vr::LO, "Lung 1.0"),
            (tags::PATIENT_NAME, Vr::PN, &self.patient_name),
            (tags::PATIENT_ID, Vr::LO, &self.patient_id),
            (tags::PATIENT_BIRTH_DATE, Vr::DA, "19600102"),
            (tags::PATIENT_SEX, Vr::CS, "M"),
            (tags::BODY_PART_EXAMINED, Vr::CS, "CHEST"),
            (tags::STUDY_INSTANCE_UID, Vr::UI, &self.study),
            (tags::SERIES_INSTANCE_UID, Vr::UI, &self.series),
            (tags::SERIES_NUMBER, Vr::IS, &self.series_number.to_string()),
            (tags::INSTANCE_NUMBER, Vr::IS, &self.number.to_string()),
        ];
        for (tag, vr, text) in texts {
            if !text.is_empty() {
                set.put_text(tag, vr, text);
            }
        }
        if self.modality == "ECG" {
            let mut group = DataSet::new();
            group.put_bytes(tags::WAVEFORM_DATA, Vr::OW, vec![7; 2000]);
            set.put_sequence(tags::WAVEFORM_SEQUENCE, vec![group]);
        } else {
            set.put_u16(tags::ROWS, self.size);
            set.put_u16(tags::COLUMNS, self.size);
            set.put_u16(tags::BITS_ALLOCATED, 16);
            let mark = u8::try_from(self.number % 251).unwrap_or(0);
            let pixels = usize::from(self.size) * usize::from(self.size) * 2;
            set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![mark; pixels]);
        }
        dataset::write::encode(&set, dataset::uid::Encoding::ExplicitLe).unwrap_or_default()
    }

    /// Its file, with preamble and meta information.
    pub fn file_bytes(&self) -> Vec<u8> {
        use dataset::{AeTitle, SopClassUid, SopInstanceUid, TransferSyntaxUid};
        let parts = SopClassUid::parse(&self.sop_class).and_then(|class| {
            let instance = SopInstanceUid::parse(&self.sop_instance)?;
            let source = self.source_ae.as_deref().map(AeTitle::parse).transpose()?;
            dataset::file::meta_bytes(
                &class,
                &instance,
                &TransferSyntaxUid::explicit_le(),
                source.as_ref(),
            )
        });
        let mut file = parts.unwrap_or_default();
        file.extend(self.dataset_bytes());
        file
    }
}
