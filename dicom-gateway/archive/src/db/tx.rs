//! A write transaction as its closure sees it.

use super::Dialect;
use super::sqlite::Conn;
use super::value::{AnyRow, Row, Value};
use crate::audit::AuditEntry;
use crate::error::{ArchiveError, Result};
use sqlx::AssertSqlSafe;

pub(super) enum TxConn {
    Sqlite(Box<Conn>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// An open transaction. What its closure does becomes visible and durable together, or not at all.
pub struct Tx {
    pub(super) conn: TxConn,
    /// Audit rows of this transaction; chained and written just before COMMIT.
    pub(crate) audit: Vec<AuditEntry>,
    pub(super) on_commit: Vec<Box<dyn FnOnce() + Send>>,
}

/// Binds every value in order.
macro_rules! bind_all {
    ($query:expr, $params:expr) => {{
        let mut query = $query;
        for value in $params {
            query = match value {
                Value::Int(v) => query.bind(v),
                Value::Text(v) => query.bind(v),
                Value::Bytes(v) => query.bind(v),
            };
        }
        query
    }};
}
pub(super) use bind_all;

impl Tx {
    pub(super) fn new(conn: TxConn) -> Self {
        Self {
            conn,
            audit: Vec::new(),
            on_commit: Vec::new(),
        }
    }

    /// The SQLite connection of the writer thread.
    pub(super) fn sqlite(&mut self) -> Result<&mut Conn> {
        match &mut self.conn {
            TxConn::Sqlite(conn) => Ok(conn),
            TxConn::Postgres(_) => Err(ArchiveError::Closed),
        }
    }

    /// Which database this runs on.
    pub fn dialect(&self) -> Dialect {
        match self.conn {
            TxConn::Sqlite(_) => Dialect::Sqlite,
            TxConn::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; gives the number of rows it changed.
    ///
    /// # Errors
    /// [`ArchiveError::Conflict`] for a broken constraint, else what the database says.
    pub async fn execute(&mut self, sql: &'static str, params: Vec<Value>) -> Result<u64> {
        match &mut self.conn {
            TxConn::Sqlite(c) => c.execute(sql, &params),
            TxConn::Postgres(c) => {
                let done = bind_all!(sqlx::query(sql), params).execute(&mut **c).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs a statement assembled from fixed pieces of SQL; values travel as parameters only.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn execute_dynamic(&mut self, sql: String, params: Vec<Value>) -> Result<u64> {
        match &mut self.conn {
            TxConn::Sqlite(c) => c.execute(&sql, &params),
            TxConn::Postgres(c) => {
                let query = bind_all!(sqlx::query(AssertSqlSafe(sql)), params);
                Ok(query.execute(&mut **c).await?.rows_affected())
            }
        }
    }

    /// All rows of an answer.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_all(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        match &mut self.conn {
            TxConn::Sqlite(c) => c.fetch(sql, &params, usize::MAX),
            TxConn::Postgres(c) => {
                let rows = bind_all!(sqlx::query(sql), params).fetch_all(&mut **c).await?;
                Ok(rows.into_iter().map(|r| Row(AnyRow::Postgres(r))).collect())
            }
        }
    }

    /// Rows of a statement assembled from fixed pieces of SQL; values travel as parameters only.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_dynamic(&mut self, sql: String, params: Vec<Value>) -> Result<Vec<Row>> {
        match &mut self.conn {
            TxConn::Sqlite(c) => c.fetch(&sql, &params, usize::MAX),
            TxConn::Postgres(c) => {
                let query = bind_all!(sqlx::query(AssertSqlSafe(sql)), params);
                let rows = query.fetch_all(&mut **c).await?;
                Ok(rows.into_iter().map(|r| Row(AnyRow::Postgres(r))).collect())
            }
        }
    }

    /// The first row of an answer, if any.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Option<Row>> {
        match &mut self.conn {
            TxConn::Sqlite(c) => Ok(c.fetch(sql, &params, 1)?.pop()),
            TxConn::Postgres(c) => {
                let row = bind_all!(sqlx::query(sql), params)
                    .fetch_optional(&mut **c)
                    .await?;
                Ok(row.map(|r| Row(AnyRow::Postgres(r))))
            }
        }
    }

    /// The first row of an answer.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    pub async fn fetch_one(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Row> {
        self.fetch_optional(sql, params)
            .await?
            .ok_or_else(|| ArchiveError::NotFound("row".to_owned()))
    }

    /// Writes an audit row with this transaction: both become durable together, or neither.
    pub fn audit(&mut self, entry: AuditEntry) {
        self.audit.push(entry);
    }

    /// Runs `then` after this transaction is durable; never when it is undone.
    pub fn on_commit(&mut self, then: impl FnOnce() + Send + 'static) {
        self.on_commit.push(Box::new(then));
    }

    pub(super) async fn raw(&mut self, sql: String) -> Result<()> {
        match &mut self.conn {
            TxConn::Sqlite(c) => c.batch(&sql),
            TxConn::Postgres(c) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **c).await?;
                Ok(())
            }
        }
    }
}
