//! For tests: does each statement prepare, and how would the database run it.

use super::sqlite::Conn;
use super::{Db, Readers, Value};
use crate::error::{ArchiveError, Result};
use sqlx::{AssertSqlSafe, Executor, Row as _, SqlSafeStr};

impl Db {
    pub(crate) async fn prepare_all(&self, statements: &[(&'static str, &'static str)]) -> Result<()> {
        for (name, text) in statements.iter().copied() {
            let prepared = match &self.inner.readers {
                Readers::Sqlite(pool) => pool.run(move |conn| conn.prepare(text)).await,
                Readers::Postgres(pool) => {
                    let prepared = pool.prepare(text.into_sql_str()).await;
                    prepared.map(|_| ()).map_err(ArchiveError::from)
                }
            };
            prepared.map_err(|e| ArchiveError::Schema(format!("{name}: {e}: {text}")))?;
        }
        Ok(())
    }

    pub(crate) async fn plan(&self, sql: &str, parameter_count: usize) -> Result<String> {
        let mut lines = Vec::new();
        match &self.inner.readers {
            Readers::Sqlite(pool) => {
                let text = format!("EXPLAIN QUERY PLAN {sql}");
                let nulls = vec![Value::Int(None); parameter_count];
                let read = move |conn: &mut Conn| conn.fetch(&text, &nulls, usize::MAX);
                for row in pool.run::<_, _, ArchiveError>(read).await? {
                    lines.push(row.text("detail")?);
                }
            }
            Readers::Postgres(pool) => {
                // Small test tables would always be scanned; the question is whether an index can
                // serve the statement, so scans are made dear and a generic plan is asked for.
                let mut tx = pool.begin().await?;
                let nulls = vec!["NULL"; parameter_count].join(", ");
                let call = if parameter_count == 0 {
                    String::new()
                } else {
                    format!("({nulls})")
                };
                let text = format!(
                    "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan; \
                     PREPARE asked AS {sql}; EXPLAIN EXECUTE asked{call}"
                );
                for row in sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *tx).await? {
                    lines.push(row.try_get::<String, _>(0)?);
                }
                sqlx::raw_sql("DEALLOCATE asked").execute(&mut *tx).await?;
                tx.rollback().await?;
            }
        }
        Ok(lines.join("\n"))
    }
}
