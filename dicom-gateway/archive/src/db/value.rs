//! Values and rows that mean the same on SQLite and PostgreSQL: BIGINT, TEXT, BLOB/BYTEA only.

use super::sqlite::{Cell, SqliteRow};
use crate::error::{ArchiveError, Result};
use sqlx::{Column, Row as _, TypeInfo};

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// BIGINT; also moments, ids and truth values (0 or 1).
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB on SQLite, BYTEA on PostgreSQL.
    Bytes(Option<Vec<u8>>),
}

macro_rules! value_from {
    ($($from:ty => |$v:ident| $int:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $int
            }
        }
    )+};
}

value_from! {
    i64 => |v| Value::Int(Some(v));
    i32 => |v| Value::Int(Some(i64::from(v)));
    u16 => |v| Value::Int(Some(i64::from(v)));
    u32 => |v| Value::Int(Some(i64::from(v)));
    u64 => |v| Value::Int(Some(i64::try_from(v).unwrap_or(i64::MAX)));
    usize => |v| Value::Int(Some(i64::try_from(v).unwrap_or(i64::MAX)));
    bool => |v| Value::Int(Some(i64::from(v)));
    Option<i64> => |v| Value::Int(v);
    Option<i32> => |v| Value::Int(v.map(i64::from));
    Option<u16> => |v| Value::Int(v.map(i64::from));
    Option<u32> => |v| Value::Int(v.map(i64::from));
    Option<u64> => |v| Value::Int(v.map(|v| i64::try_from(v).unwrap_or(i64::MAX)));
    Option<bool> => |v| Value::Int(v.map(i64::from));
    &str => |v| Value::Text(Some(v.to_owned()));
    &String => |v| Value::Text(Some(v.clone()));
    String => |v| Value::Text(Some(v));
    Option<String> => |v| Value::Text(v);
    Option<&str> => |v| Value::Text(v.map(str::to_owned));
    &Option<String> => |v| Value::Text(v.clone());
    Option<&String> => |v| Value::Text(v.cloned());
    Vec<u8> => |v| Value::Bytes(Some(v));
    &[u8] => |v| Value::Bytes(Some(v.to_vec()));
    &Vec<u8> => |v| Value::Bytes(Some(v.clone()));
    Option<Vec<u8>> => |v| Value::Bytes(v);
}

/// A list of [`Value`]s from anything that converts into one: `params![id, "text", None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$($crate::db::Value::from($value)),*]
    };
}

/// A row of an answer.
#[derive(Debug)]
pub struct Row(pub(super) AnyRow);

#[derive(Debug)]
pub(super) enum AnyRow {
    Sqlite(SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

fn unlike(name: &str) -> ArchiveError {
    ArchiveError::Corrupt(format!("column {name} of the index holds another kind of value"))
}

fn missing(name: &str) -> ArchiveError {
    ArchiveError::Corrupt(format!("column {name} of the index is empty but must not be"))
}

impl Row {
    /// BIGINT that may be NULL.
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>> {
        match &self.0 {
            AnyRow::Sqlite(row) => match row.cell(name)? {
                Cell::Null => Ok(None),
                Cell::Int(v) => Ok(Some(*v)),
                _ => Err(unlike(name)),
            },
            AnyRow::Postgres(row) => match row.column(name).type_info().name() {
                // Integer literals and some functions are INT4 in PostgreSQL.
                "INT4" => Ok(row.try_get::<Option<i32>, _>(name)?.map(i64::from)),
                _ => Ok(row.try_get(name)?),
            },
        }
    }

    /// BIGINT that must be there.
    pub fn int(&self, name: &str) -> Result<i64> {
        self.opt_int(name)?.ok_or_else(|| missing(name))
    }

    /// A truth value kept as 0 or 1.
    pub fn bool(&self, name: &str) -> Result<bool> {
        Ok(self.int(name)? != 0)
    }

    /// A moment that must be there.
    pub fn micros(&self, name: &str) -> Result<crate::ids::UnixMicros> {
        self.int(name).map(crate::ids::UnixMicros)
    }

    /// A moment that may be NULL.
    pub fn opt_micros(&self, name: &str) -> Result<Option<crate::ids::UnixMicros>> {
        Ok(self.opt_int(name)?.map(crate::ids::UnixMicros))
    }

    /// TEXT that may be NULL.
    pub fn opt_text(&self, name: &str) -> Result<Option<String>> {
        match &self.0 {
            AnyRow::Sqlite(row) => match row.cell(name)? {
                Cell::Null => Ok(None),
                Cell::Text(v) => Ok(Some(v.clone())),
                _ => Err(unlike(name)),
            },
            AnyRow::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// TEXT that must be there.
    pub fn text(&self, name: &str) -> Result<String> {
        self.opt_text(name)?.ok_or_else(|| missing(name))
    }

    /// BLOB/BYTEA that may be NULL.
    pub fn opt_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match &self.0 {
            AnyRow::Sqlite(row) => match row.cell(name)? {
                Cell::Null => Ok(None),
                Cell::Bytes(v) => Ok(Some(v.clone())),
                _ => Err(unlike(name)),
            },
            AnyRow::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// BLOB/BYTEA that must be there.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        self.opt_bytes(name)?.ok_or_else(|| missing(name))
    }
}
