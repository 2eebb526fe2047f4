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

/// Where an archive below `folder` keeps its parts.
pub fn config(folder: &Path) -> Config {
    Config {
        index: IndexUrl::Sqlite(folder.join("index.sqlite")),
        objects: folder.join("objects"),
        data_dir: folder.to_path_buf(),
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

impl Postgres {
    /// Starts a server; `None` when PostgreSQL is not installed (an error when `REQUIRE_ALL=1`).
    ///
    /// # Errors
    /// When it is installed but does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some((initdb, postgres)) = programs() else {
            if std::env::var("REQUIRE_ALL").is_ok_and(|v| v == "1") {
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
        let child = unprivileged(&postgres)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=80",
            ])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(fail)?;
        let server = Self { child, folder };
        let socket = server.folder.path().join(".s.PGSQL.5432");
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            if Instant::now() > end {
                return Err(ArchiveError::Busy("PostgreSQL did not start in 30 s".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(server))
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
