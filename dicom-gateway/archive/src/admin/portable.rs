//! The index as a file that either database reads: every table, a line of JSON for each row, packed
//! by gzip. It is how an index on PostgreSQL is backed up together with the objects, and how an index
//! moves from SQLite to PostgreSQL when a county outgrows one machine.
//!
//! A table begins with a line `{"table": name, "columns": [[name, kind]]}`; each row is a list of its
//! values, bytes as `{"b": base64}`. Tables come in the order in which they were made, so that what
//! others refer to comes first.

use crate::db::{Db, Dialect, Row, Tx, Value};
use crate::error::{ArchiveError, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// First line of such a file.
const FORMAT: &str = "gongying index 1";
/// Rows asked for, and written, at a time.
const PAGE_ROWS: usize = 500;
/// Pages that wait for the disk.
const PAGES_WAITING_MAX: usize = 4;
/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 256 << 20;
/// The schema makes its own rows.
const OWN_TABLE: &str = "schema_migration";

crate::statements! {
    mod sql_sqlite {
        TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
        COLUMNS = "SELECT name, type AS kind, pk AS place FROM pragma_table_info($1) ORDER BY cid";
    }
}

crate::statements! {
    mod sql_postgres {
        TABLES = "SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r' ORDER BY c.oid";
        COLUMNS = "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod)::text AS kind, COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0)::bigint AS place FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE n.nspname = current_schema() AND c.relname = $1::text AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Int,
    Text,
    Bytes,
}

impl Kind {
    fn of(declared: &str) -> Result<Self> {
        match declared.to_ascii_lowercase().split(' ').next() {
            Some("bigint" | "integer") => Ok(Self::Int),
            Some("text") => Ok(Self::Text),
            Some("blob" | "bytea") => Ok(Self::Bytes),
            _ => Err(ArchiveError::Schema(format!("a column of the kind {declared}"))),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    table: String,
    columns: Vec<(String, Kind)>,
    /// Columns of the primary key, in order.
    key: Vec<usize>,
}

fn quoted(name: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.chars().all(fits) && !name.is_empty() && name.len() < 64 {
        true => Ok(format!("\"{name}\"")),
        false => Err(ArchiveError::Schema(format!("a name {name:?}"))),
    }
}

impl Table {
    fn names(&self, of: &[usize]) -> Result<String> {
        let names = of.iter().filter_map(|at| self.columns.get(*at));
        Ok(names
            .map(|(name, _)| quoted(name))
            .collect::<Result<Vec<_>>>()?
            .join(", "))
    }

    fn all(&self) -> Vec<usize> {
        (0..self.columns.len()).collect()
    }

    /// The page behind a key, in the order of the key.
    fn page_sql(&self, is_first: bool) -> Result<String> {
        let (table, key) = (quoted(&self.table)?, self.names(&self.key)?);
        let places: Vec<String> = (1..=self.key.len()).map(|n| format!("${n}")).collect();
        let after = match is_first {
            true => String::new(),
            false => format!(" WHERE ({key}) > ({})", places.join(", ")),
        };
        let all = self.names(&self.all())?;
        Ok(format!(
            "SELECT {all} FROM {table}{after} ORDER BY {key} LIMIT {PAGE_ROWS}"
        ))
    }

    /// How a row is written; `over` rows that the schema itself made.
    fn insert_sql(&self, over: bool) -> Result<String> {
        let places: Vec<String> = (1..=self.columns.len()).map(|n| format!("${n}")).collect();
        let updates: Result<Vec<String>> = (self.columns.iter().enumerate())
            .filter(|(at, _)| !self.key.contains(at))
            .map(|(_, (name, _))| quoted(name).map(|name| format!("{name} = excluded.{name}")))
            .collect();
        let key = self.names(&self.key)?;
        // Only where it is needed: a table whose rows are frozen refuses the mere word.
        let conflict = match updates?.join(", ") {
            _ if !over => String::new(),
            none if none.is_empty() => format!(" ON CONFLICT ({key}) DO NOTHING"),
            updates => format!(" ON CONFLICT ({key}) DO UPDATE SET {updates}"),
        };
        Ok(format!(
            "INSERT INTO {} ({}) VALUES ({}){conflict}",
            quoted(&self.table)?,
            self.names(&self.all())?,
            places.join(", ")
        ))
    }

    fn values(&self, row: &Row) -> Result<Vec<Value>> {
        let value = |(name, kind): &(String, Kind)| {
            Ok(match kind {
                Kind::Int => Value::Int(row.opt_int(name)?),
                Kind::Text => Value::Text(row.opt_text(name)?),
                Kind::Bytes => Value::Bytes(row.opt_bytes(name)?),
            })
        };
        self.columns.iter().map(value).collect()
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(Some(n)) => (*n).into(),
        Value::Text(Some(text)) => text.clone().into(),
        Value::Bytes(Some(bytes)) => serde_json::json!({"b": BASE64.encode(bytes)}),
        _ => serde_json::Value::Null,
    }
}

fn from_json(value: serde_json::Value, kind: Kind) -> Result<Value> {
    let wrong = || ArchiveError::Corrupt("a value in the copy of the index".to_owned());
    Ok(match (kind, value) {
        (Kind::Int, serde_json::Value::Null) => Value::Int(None),
        (Kind::Text, serde_json::Value::Null) => Value::Text(None),
        (Kind::Bytes, serde_json::Value::Null) => Value::Bytes(None),
        (Kind::Int, value) => Value::Int(Some(value.as_i64().ok_or_else(wrong)?)),
        (Kind::Text, serde_json::Value::String(text)) => Value::Text(Some(text)),
        (Kind::Bytes, value) => {
            let text = value.get("b").and_then(|b| b.as_str()).ok_or_else(wrong)?;
            Value::Bytes(Some(BASE64.decode(text).map_err(|_| wrong())?))
        }
        _ => return Err(wrong()),
    })
}

/// Where rows are read: an index at rest, or one moment of an index in use.
enum Source<'a> {
    Rest(&'a Db),
    Moment(&'a mut Tx),
}

impl Source<'_> {
    async fn rows(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Rest(db) => db.fetch_dynamic(sql, values).await,
            Self::Moment(tx) => tx.fetch_dynamic(sql, values).await,
        }
    }

    async fn tables(&mut self, dialect: Dialect) -> Result<Vec<Table>> {
        let (tables, columns) = match dialect {
            Dialect::Sqlite => (sql_sqlite::TABLES, sql_sqlite::COLUMNS),
            Dialect::Postgres => (sql_postgres::TABLES, sql_postgres::COLUMNS),
        };
        let mut found = Vec::new();
        for row in self.rows(tables.to_owned(), Vec::new()).await? {
            let name = row.text("name")?;
            if name == OWN_TABLE {
                continue;
            }
            let mut table = Table {
                table: name.clone(),
                columns: Vec::new(),
                key: Vec::new(),
            };
            let mut key = Vec::new();
            for (at, row) in self
                .rows(columns.to_owned(), vec![Value::from(name)])
                .await?
                .iter()
                .enumerate()
            {
                table
                    .columns
                    .push((row.text("name")?, Kind::of(&row.text("kind")?)?));
                key.push((row.int("place")?, at));
            }
            key.retain(|(place, _)| *place > 0);
            key.sort_unstable();
            table.key = key.into_iter().map(|(_, at)| at).collect();
            if table.key.is_empty() {
                return Err(ArchiveError::Schema(format!(
                    "the table {} without a key",
                    table.table
                )));
            }
            found.push(table);
        }
        Ok(found)
    }

    /// Gives every table as lines; gives how many rows there were.
    async fn give(&mut self, dialect: Dialect, lines: &mpsc::Sender<Vec<u8>>) -> Result<u64> {
        let mut rows = 0;
        for table in self.tables(dialect).await? {
            let mut text = line(&table)?;
            let mut after: Option<Vec<Value>> = None;
            loop {
                let sql = table.page_sql(after.is_none())?;
                let page = self.rows(sql, after.unwrap_or_default()).await?;
                let mut last = None;
                for row in &page {
                    let values = table.values(row)?;
                    text.extend(line(&values.iter().map(to_json).collect::<Vec<_>>())?);
                    last = Some(values);
                }
                rows += page.len() as u64;
                let full = page.len() == PAGE_ROWS;
                lines
                    .send(std::mem::take(&mut text))
                    .await
                    .map_err(|_| ArchiveError::Closed)?;
                let Some(values) = last.filter(|_| full) else {
                    break;
                };
                after = Some(
                    table
                        .key
                        .iter()
                        .filter_map(|at| values.get(*at).cloned())
                        .collect(),
                );
            }
        }
        Ok(rows)
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)
        .map_err(|error| ArchiveError::Corrupt(format!("a row of the index: {error}")))?;
    text.push(b'\n');
    Ok(text)
}

fn write_lines(into: &Path, mut lines: mpsc::Receiver<Vec<u8>>) -> Result<()> {
    let fail = |error| ArchiveError::io("write", into, error);
    let file = File::create(into).map_err(fail)?;
    let mut packed = flate2::write::GzEncoder::new(BufWriter::new(file), flate2::Compression::fast());
    packed.write_all(&line(&FORMAT)?).map_err(fail)?;
    while let Some(text) = lines.blocking_recv() {
        packed.write_all(&text).map_err(fail)?;
    }
    let file = packed.finish().and_then(|mut buffer| {
        buffer.flush()?;
        buffer.into_inner().map_err(std::io::IntoInnerError::into_error)
    });
    file.and_then(|file| file.sync_all()).map_err(fail)
}

/// Writes the whole index into a file, as it is at one moment; gives the number of rows.
pub(super) async fn export(db: &Db, into: &Path) -> Result<u64> {
    let (lines, received) = mpsc::channel(PAGES_WAITING_MAX);
    let path = into.to_path_buf();
    let writer = tokio::task::spawn_blocking(move || write_lines(&path, received));
    let dialect = db.dialect();
    let given = match dialect {
        // A file that nobody else writes.
        Dialect::Sqlite => Source::Rest(db).give(dialect, &lines).await,
        Dialect::Postgres => {
            let lines = lines.clone();
            db.snapshot(move |tx| Box::pin(async move { Source::Moment(tx).give(dialect, &lines).await }))
                .await
        }
    };
    drop(lines);
    writer.await.map_err(|_| ArchiveError::Closed)??;
    given
}

/// A part of the file.
enum Part {
    Table(Table),
    Rows(Vec<Vec<serde_json::Value>>),
}

fn read_parts(from: &Path, parts: &mpsc::Sender<Part>) -> Result<()> {
    let fail = |error| ArchiveError::io("read", from, error);
    let wrong = |why: &str| ArchiveError::Corrupt(format!("{}: {why}", from.display()));
    let packed = flate2::read::GzDecoder::new(BufReader::new(File::open(from).map_err(fail)?));
    let mut lines = BufReader::new(packed);
    let mut text = Vec::new();
    let mut next = |text: &mut Vec<u8>| {
        text.clear();
        let count = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', text);
        count.map(|count| count > 0)
    };
    next(&mut text).map_err(fail)?;
    if serde_json::from_slice::<String>(&text).ok().as_deref() != Some(FORMAT) {
        return Err(wrong("it is no copy of an index"));
    }
    let mut rows = Vec::new();
    let gone = |_| ArchiveError::Closed;
    while next(&mut text).map_err(fail)? {
        if text.first() == Some(&b'{') {
            let table = serde_json::from_slice(&text).map_err(|error| wrong(&error.to_string()))?;
            parts
                .blocking_send(Part::Rows(std::mem::take(&mut rows)))
                .map_err(gone)?;
            parts.blocking_send(Part::Table(table)).map_err(gone)?;
            continue;
        }
        rows.push(serde_json::from_slice(&text).map_err(|error| wrong(&error.to_string()))?);
        if rows.len() >= PAGE_ROWS {
            parts
                .blocking_send(Part::Rows(std::mem::take(&mut rows)))
                .map_err(gone)?;
        }
    }
    parts.blocking_send(Part::Rows(rows)).map_err(gone)
}

/// Brings a file back into an index that has its schema and no rows; gives the number of rows.
pub(super) async fn import(db: &Db, from: &Path) -> Result<u64> {
    let (parts, mut received) = mpsc::channel(PAGES_WAITING_MAX);
    let path: PathBuf = from.to_path_buf();
    let reader = tokio::task::spawn_blocking(move || read_parts(&path, &parts));
    let (mut total, mut table): (u64, Option<(Table, bool)>) = (0, None);
    while let Some(part) = received.recv().await {
        match part {
            Part::Table(next) => {
                let some = format!("SELECT 1 AS there FROM {} LIMIT 1", quoted(&next.table)?);
                let over = !db.fetch_dynamic(some, Vec::new()).await?.is_empty();
                if let Some((done, _)) = table.replace((next, over)) {
                    renumber(db, &done).await?;
                }
            }
            Part::Rows(rows) if rows.is_empty() => {}
            Part::Rows(rows) => {
                let Some((table, over)) = &table else {
                    return Err(ArchiveError::Corrupt("rows of no table in the copy".to_owned()));
                };
                total += put_rows(db, (table, *over), rows).await?;
            }
        }
    }
    if let Some((done, _)) = &table {
        renumber(db, done).await?;
    }
    reader.await.map_err(|_| ArchiveError::Closed)??;
    Ok(total)
}

async fn put_rows(db: &Db, (table, over): (&Table, bool), rows: Vec<Vec<serde_json::Value>>) -> Result<u64> {
    let sql = table.insert_sql(over)?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        if row.len() != table.columns.len() {
            return Err(ArchiveError::Corrupt(format!(
                "a row of {} in the copy",
                table.table
            )));
        }
        let values = row.into_iter().zip(&table.columns);
        all.push(
            values
                .map(|(value, (_, kind))| from_json(value, *kind))
                .collect::<Result<Vec<_>>>()?,
        );
    }
    let count = all.len() as u64;
    db.write(move |tx| {
        Box::pin(async move {
            for values in all {
                tx.execute_dynamic(sql.clone(), values).await?;
            }
            Ok::<_, ArchiveError>(count)
        })
    })
    .await
}

/// The next number that PostgreSQL gives is behind those that were brought in.
async fn renumber(db: &Db, table: &Table) -> Result<()> {
    let has_number = matches!(table.key.as_slice(), [at] if table.columns.get(*at).is_some_and(|(name, kind)| name == "id" && *kind == Kind::Int));
    if !has_number || db.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let name = quoted(&table.table)?;
    let sql = format!(
        "SELECT setval(pg_get_serial_sequence('{}', 'id'), GREATEST((SELECT COALESCE(MAX(id), 0) FROM {name}), 1))",
        table.table
    );
    db.write(move |tx| Box::pin(async move { tx.fetch_dynamic(sql, Vec::new()).await.map(|_| ()) }))
        .await
}
