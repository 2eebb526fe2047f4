//! One connection to the SQLite file: statements run on the calling thread.

use super::value::{AnyRow, Row, Value};
use crate::error::{ArchiveError, Result};
use rusqlite::types::{Null, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Page size of a new file: small pages keep the log short, which every commit flushes.
const PAGE_BYTES: u32 = 4096;
/// Prepared statements kept per connection.
const STATEMENTS_KEPT: usize = 512;
/// Pages in the log before the writer itself moves them into the file; the keeper does it earlier.
const LOG_PAGES_MAX: u32 = 32_768;
/// Bytes of the log file that stay allocated: overwriting them costs less than growing it.
const LOG_BYTES_KEPT: u64 = 256 << 20;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The only one that writes.
    Writer,
    /// Reads only.
    Reader,
    /// Moves the log into the file.
    Keeper,
}

/// Names of an answer's columns and their places.
pub(super) type Columns = HashMap<String, usize>;

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row of an answer.
#[derive(Debug)]
pub(super) struct SqliteRow {
    pub(super) columns: Arc<Columns>,
    pub(super) cells: Vec<Cell>,
}

impl SqliteRow {
    pub(super) fn cell(&self, name: &str) -> Result<&Cell> {
        let cell = self.columns.get(name).and_then(|at| self.cells.get(*at));
        cell.ok_or_else(|| ArchiveError::Schema(format!("the answer has no column {name}")))
    }
}

/// A connection with its prepared statements.
pub(super) struct Conn {
    inner: Connection,
    columns: HashMap<String, Arc<Columns>>,
}

impl Conn {
    /// Opens the file; only the writer makes it.
    pub(super) fn open(path: &Path, role: Role, wait_max: Duration) -> Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if role == Role::Writer {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let inner = Connection::open_with_flags(path, flags)?;
        inner.busy_timeout(wait_max)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        let own = match role {
            Role::Writer => format!(
                "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536; \
                 PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}; PRAGMA journal_size_limit = {LOG_BYTES_KEPT};"
            ),
            Role::Reader => "PRAGMA query_only = ON; PRAGMA cache_size = -16384;".to_owned(),
            Role::Keeper => "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -2048;".to_owned(),
        };
        inner.execute_batch(&format!(
            "{own} PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
        ))?;
        Ok(Self {
            inner,
            columns: HashMap::new(),
        })
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(super) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64> {
        let mut statement = self.inner.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        if statement.column_count() == 0 {
            return Ok(statement.raw_execute()? as u64);
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        drop(rows);
        Ok(self.inner.changes())
    }

    /// Several statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.inner.execute_batch(sql)?)
    }

    /// Rows of an answer, `rows_max` at most.
    pub(super) fn fetch(&mut self, sql: &str, params: &[Value], rows_max: usize) -> Result<Vec<Row>> {
        let mut statement = self.inner.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let columns = columns_of(&mut self.columns, sql, &statement);
        let width = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let cells = (0..width).map(|at| Ok(cell(row.get_ref(at)?)));
            found.push(Row(AnyRow::Sqlite(SqliteRow {
                columns: columns.clone(),
                cells: cells.collect::<Result<_>>()?,
            })));
            if found.len() >= rows_max {
                break;
            }
        }
        Ok(found)
    }

    /// Whether the statement is understood, without running it.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn prepare(&mut self, sql: &str) -> Result<()> {
        Ok(self.inner.prepare(sql).map(drop)?)
    }

    /// Moves what the log holds into the file, without keeping the writer waiting. Gives the pages
    /// in the log and how many of them were moved.
    pub(super) fn checkpoint(&mut self) -> Result<(i64, i64)> {
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
        Ok(self
            .inner
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], counts)?)
    }
}

/// Columns are asked for by name; the places are the same each time a text runs.
fn columns_of(
    kept: &mut HashMap<String, Arc<Columns>>,
    sql: &str,
    statement: &Statement<'_>,
) -> Arc<Columns> {
    if let Some(columns) = kept.get(sql)
        && columns.len() <= statement.column_count()
    {
        return columns.clone();
    }
    let names = statement.column_names();
    let columns: Columns = names
        .iter()
        .enumerate()
        .map(|(at, name)| ((*name).to_owned(), at))
        .collect();
    let columns = Arc::new(columns);
    if kept.len() >= STATEMENTS_KEPT {
        kept.clear();
    }
    kept.insert(sql.to_owned(), columns.clone());
    columns
}

/// Binds `$n` to the n-th value, as PostgreSQL does; SQLite alone would count by first appearance.
fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<()> {
    for at in 1..=statement.parameter_count() {
        let number = statement.parameter_name(at).and_then(|name| {
            let number = name.strip_prefix('$')?.parse::<usize>().ok()?;
            number.checked_sub(1)
        });
        let value = number.and_then(|number| params.get(number));
        let value = value.ok_or_else(|| ArchiveError::Schema(format!("parameter {at} has no value")))?;
        match value {
            Value::Int(Some(v)) => statement.raw_bind_parameter(at, v)?,
            Value::Text(Some(v)) => statement.raw_bind_parameter(at, v.as_str())?,
            Value::Bytes(Some(v)) => statement.raw_bind_parameter(at, v.as_slice())?,
            Value::Int(None) | Value::Text(None) | Value::Bytes(None) => {
                statement.raw_bind_parameter(at, Null)?;
            }
        }
    }
    Ok(())
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(v) => Cell::Int(v),
        ValueRef::Real(v) => Cell::Real(v),
        // text that is no UTF-8 can only come from outside this program
        ValueRef::Text(v) => Cell::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Cell::Bytes(v.to_vec()),
    }
}
