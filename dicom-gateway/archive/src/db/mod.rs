//! The index database: one SQL text for SQLite (embedded) and PostgreSQL (several machines).
//!
//! **Invariant:** a write answers only after its COMMIT is on stable storage (SQLite: WAL with
//! `synchronous=FULL`; PostgreSQL: its default).

#[cfg(any(test, feature = "testing"))]
mod inspect;
mod keeper;
mod migrate;
mod readers;
mod sqlite;
#[cfg(test)]
mod tests;
mod tx;
mod value;
mod wait;
mod writer;

#[cfg(test)]
pub(crate) use migrate::sql as migrate_sql;
pub use migrate::{Migration, Migrations};
pub use tx::Tx;
pub use value::{Row, Value};
pub(crate) use writer::Backing;

use crate::audit::AuditSigner;
use crate::error::{ArchiveError, Result};
use futures_util::future::BoxFuture;
use sqlite::{Conn, Role};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tx::{TxConn, bind_all};
use value::AnyRow;

/// Declares SQL constants and a list of all of them, so that a test can prepare each on both
/// databases: `statements! { mod sql { BY_ID = "SELECT ..."; } }` gives `sql::BY_ID` and `sql::ALL`.
#[macro_export]
macro_rules! statements {
    (mod $module:ident { $($name:ident = $text:expr;)+ }) => {
        pub(crate) mod $module {
            $(pub(crate) const $name: &str = $text;)+
            #[allow(dead_code, reason = "read by the conformance test")]
            pub(crate) const ALL: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),+];
        }
    };
}

/// Connections to PostgreSQL of one process.
const POSTGRES_CONNECTIONS_MAX: u32 = 24;
/// Longest wait for a connection or for another process's write lock.
const WAIT_MAX: Duration = Duration::from_secs(15);
statements! {
    mod sql {
        // An empty COMMIT flushes nothing.
        FLUSH = "INSERT INTO setting (name, value) VALUES ('index.flushed', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    }
}

/// Prepared statements kept per connection to PostgreSQL.
const STATEMENTS_KEPT: usize = 512;
/// Longest read of one state of the index, e.g. of the whole audit trail.
const SNAPSHOT_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Which database the SQL runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// Server.
    Postgres,
}

/// Where the index is: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server's URL.
    Postgres(String),
}

impl FromStr for IndexUrl {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(ArchiveError::invalid("index", "write sqlite:PATH"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(ArchiveError::invalid(
            "index",
            "write sqlite:PATH or postgres://USER@HOST/DATABASE",
        ))
    }
}

/// A handle to the index; clones share it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Readers,
    /// SQLite only: the queue of the writer task.
    writer: Option<mpsc::Sender<Box<dyn writer::Work>>>,
    /// SQLite only: rows were written whose COMMIT was not flushed.
    unflushed: Arc<AtomicBool>,
    signer: Arc<AuditSigner>,
}

enum Readers {
    Sqlite(Arc<readers::Readers>),
    Postgres(sqlx::PgPool),
}

impl Db {
    /// Opens the index and brings its schema up to date.
    ///
    /// # Errors
    /// When the database cannot be reached, or was written by a newer program.
    pub async fn open(
        url: &IndexUrl,
        signer: Arc<AuditSigner>,
        sets: &[&'static Migrations],
    ) -> Result<Self> {
        let db = match url {
            IndexUrl::Sqlite(path) => Self::open_sqlite(path, signer).await?,
            IndexUrl::Postgres(url) => Self::open_postgres(url, signer).await?,
        };
        migrate::run(&db, sets).await?;
        Ok(db)
    }

    async fn open_sqlite(path: &std::path::Path, signer: Arc<AuditSigner>) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| ArchiveError::io("create folder", folder, error))?;
        }
        let file = path.to_path_buf();
        let opened = tokio::task::spawn_blocking(move || Conn::open(&file, Role::Writer, WAIT_MAX)).await;
        let conn = opened.map_err(|_| ArchiveError::Closed)??;
        let (send, queue) = mpsc::channel(writer::QUEUE_WRITERS_MAX);
        let (runtime, writers_signer) = (tokio::runtime::Handle::current(), signer.clone());
        let keeper = keeper::start(path)?;
        let unflushed = Arc::new(AtomicBool::new(false));
        let told = unflushed.clone();
        std::thread::Builder::new()
            .name("index-writer".to_owned())
            .spawn(move || {
                writer::serve(conn, queue, &writers_signer, &runtime, &told);
                drop(keeper);
            })
            .map_err(|error| ArchiveError::io("start the writer of", path, error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                readers: Readers::Sqlite(Arc::new(readers::Readers::new(path.to_path_buf(), WAIT_MAX))),
                writer: Some(send),
                unflushed,
                signer,
            }),
        })
    }

    async fn open_postgres(url: &str, signer: Arc<AuditSigner>) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| ArchiveError::invalid("index", error.to_string()))?
            .application_name("gongying")
            .statement_cache_capacity(STATEMENTS_KEPT)
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            .acquire_timeout(WAIT_MAX)
            .connect_with(options)
            .await?;
        Ok(Self {
            inner: Arc::new(Inner {
                readers: Readers::Postgres(pool),
                writer: None,
                unflushed: Arc::default(),
                signer,
            }),
        })
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.inner.readers {
            Readers::Sqlite(_) => Dialect::Sqlite,
            Readers::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The PostgreSQL pool, for listening to notifications.
    pub(crate) fn postgres(&self) -> Option<&sqlx::PgPool> {
        match &self.inner.readers {
            Readers::Sqlite(_) => None,
            Readers::Postgres(pool) => Some(pool),
        }
    }

    /// All rows of an answer. Statements that write go through [`Db::write`].
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_all(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        match &self.inner.readers {
            Readers::Sqlite(pool) => pool.run(move |conn| conn.fetch(sql, &params, usize::MAX)).await,
            Readers::Postgres(pool) => {
                let rows = bind_all!(sqlx::query(sql), params).fetch_all(pool).await?;
                Ok(rows.into_iter().map(|r| Row(AnyRow::Postgres(r))).collect())
            }
        }
    }

    /// Rows of a statement assembled from fixed pieces of SQL; values travel as parameters only.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_dynamic(&self, sql: String, params: Vec<Value>) -> Result<Vec<Row>> {
        match &self.inner.readers {
            Readers::Sqlite(pool) => pool.run(move |conn| conn.fetch(&sql, &params, usize::MAX)).await,
            Readers::Postgres(pool) => {
                let query = bind_all!(sqlx::query(AssertSqlSafe(sql)), params);
                let rows = query.fetch_all(pool).await?;
                Ok(rows.into_iter().map(|r| Row(AnyRow::Postgres(r))).collect())
            }
        }
    }

    /// The first row of an answer, if any.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional(&self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>> {
        match &self.inner.readers {
            Readers::Sqlite(pool) => {
                let mut rows = pool.run(move |conn| conn.fetch(sql, &params, 1)).await?;
                Ok(rows.pop())
            }
            Readers::Postgres(pool) => {
                let row = bind_all!(sqlx::query(sql), params).fetch_optional(pool).await?;
                Ok(row.map(|r| Row(AnyRow::Postgres(r))))
            }
        }
    }

    /// The first row of an answer.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    pub async fn fetch_one(&self, sql: &'static str, params: Vec<Value>) -> Result<Row> {
        self.fetch_optional(sql, params)
            .await?
            .ok_or_else(|| ArchiveError::NotFound("row".to_owned()))
    }

    /// Runs `closure` in a transaction and answers after it is durable:
    /// `db.write(move |tx| Box::pin(async move { tx.execute(..).await?; Ok(()) })).await`.
    ///
    /// An error from the closure undoes what it did. Once begun, the closure runs to its end even
    /// when the caller stops waiting. On PostgreSQL a clash with another writer is
    /// [`ArchiveError::Busy`]; call again.
    ///
    /// # Errors
    /// The closure's own error, or what the database says at COMMIT.
    pub async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<ArchiveError> + Send + 'static,
    {
        self.write_backed(None, closure).await
    }

    /// Like [`Db::write`], for rows that can be made again from `backing`: it is flushed before the
    /// answer, the rows themselves only with the next ordinary write. Later rows are never durable
    /// before earlier ones.
    ///
    /// # Errors
    /// As [`Db::write`], and what the backing says.
    pub(crate) async fn write_backed<T, E, F>(
        &self,
        backing: Option<Arc<dyn Backing>>,
        closure: F,
    ) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<ArchiveError> + Send + 'static,
    {
        match (&self.inner.writer, &self.inner.readers) {
            (Some(queue), _) => {
                let (answer, result) = oneshot::channel();
                let work = Box::new(writer::ClosureWork::new(closure, backing, answer));
                if queue.send(work).await.is_err() {
                    return Err(E::from(ArchiveError::Closed));
                }
                result
                    .await
                    .unwrap_or_else(|_| Err(E::from(ArchiveError::Closed)))
            }
            (None, Readers::Postgres(pool)) => {
                let (pool, signer) = (pool.clone(), self.inner.signer.clone());
                // A task of its own, so that a caller who stops waiting leaves no open transaction.
                let done = tokio::spawn(write_postgres(pool, signer, closure)).await;
                let value = done.unwrap_or_else(|_| Err(E::from(ArchiveError::Closed)))?;
                if let Some(backing) = backing {
                    let flushed = tokio::task::spawn_blocking(move || backing.flush()).await;
                    flushed.map_err(|_| ArchiveError::Closed)??;
                }
                Ok(value)
            }
            (None, Readers::Sqlite(_)) => Err(E::from(ArchiveError::Closed)),
        }
    }

    /// Waits until everything written so far is on stable storage.
    ///
    /// # Errors
    /// What the database says.
    pub async fn flush(&self) -> Result<()> {
        if !self.inner.unflushed.load(Ordering::Acquire) {
            return Ok(());
        }
        let now = crate::ids::UnixMicros::now().0.to_string();
        self.write(move |tx| {
            Box::pin(async move { tx.execute(sql::FLUSH, vec![now.into()]).await.map(drop) })
        })
        .await
    }

    /// Runs read statements that all see the same state of the index.
    ///
    /// # Errors
    /// The closure's own error, or what the database says.
    pub async fn snapshot<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<ArchiveError> + Send + 'static,
    {
        match &self.inner.readers {
            Readers::Sqlite(pool) => {
                let readers = pool.clone();
                let work = move |_: &mut Conn| {
                    // A connection of its own that is closed afterwards, whatever happens inside.
                    let mut tx = Tx::new(TxConn::Sqlite(Box::new(readers.take()?)));
                    tx.sqlite()?.execute("BEGIN", &[])?;
                    wait::wait(closure(&mut tx), SNAPSHOT_TIME_MAX)
                        .unwrap_or_else(|| Err(ArchiveError::Busy("a long read".to_owned()).into()))
                };
                pool.run(work).await
            }
            Readers::Postgres(pool) => {
                let begun = pool.begin().await.map_err(ArchiveError::from)?;
                let mut tx = Tx::new(TxConn::Postgres(begun));
                tx.raw("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned())
                    .await?;
                closure(&mut tx).await
            }
        }
    }

    /// A copy of the whole SQLite index in one consistent state; `false` on PostgreSQL, whose own
    /// tools do this.
    ///
    /// # Errors
    /// When the target exists or cannot be written.
    pub async fn copy_into(&self, target: &std::path::Path) -> Result<bool> {
        let Readers::Sqlite(pool) = &self.inner.readers else {
            return Ok(false);
        };
        let (readers, target) = (pool.clone(), target.to_string_lossy().into_owned());
        // VACUUM INTO only reads this index but counts as a write; the connection is not reused.
        let copy = move |_: &mut Conn| {
            let mut conn = readers.take()?;
            conn.batch("PRAGMA query_only = OFF")?;
            conn.execute("VACUUM INTO $1", &[Value::from(target)])
        };
        pool.run::<_, _, ArchiveError>(copy).await?;
        Ok(true)
    }
}

async fn write_postgres<T, E, F>(pool: sqlx::PgPool, signer: Arc<AuditSigner>, closure: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    E: From<ArchiveError>,
{
    let begun = pool.begin().await.map_err(ArchiveError::from)?;
    let mut tx = Tx::new(TxConn::Postgres(begun));
    let value = closure(&mut tx).await?;
    let entries = std::mem::take(&mut tx.audit);
    if !entries.is_empty() {
        crate::audit::append(&mut tx, entries, &signer).await?;
    }
    if let TxConn::Postgres(open) = tx.conn {
        open.commit().await.map_err(ArchiveError::from)?;
    }
    tx.on_commit.into_iter().for_each(|then| then());
    Ok(value)
}
