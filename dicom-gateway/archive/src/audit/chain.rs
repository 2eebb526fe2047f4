//! Appending to a chain, and the bytes that a row's hash covers.

use super::{AuditEntry, AuditSigner};
use crate::db::{Dialect, Row, Tx, Value};
use crate::error::{ArchiveError, Result};
use crate::params;
use sha2::{Digest, Sha256};

/// Chains are told apart by the id's remainder by this number.
pub(super) const CHAINS_MAX: i64 = 64;

crate::statements! {
    mod sql {
        HEAD = "SELECT chain, rows, hash FROM audit_head WHERE chain = 0";
        INSERT = "INSERT INTO audit_event (id, at, event, action, outcome, user_name, role, institution, study_uid, patient_ref, source_ip, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        SET_HEAD = "UPDATE audit_head SET rows = $2, hash = $3, key_id = $4, signature = $5 WHERE chain = $1";
    }
}
crate::statements! {
    mod sql_postgres {
        FREE_HEAD = "SELECT chain, rows, hash FROM audit_head ORDER BY chain LIMIT 1 FOR UPDATE SKIP LOCKED";
        WAIT_HEAD = "SELECT chain, rows, hash FROM audit_head WHERE chain = 0 FOR UPDATE";
    }
}

/// The columns of an audit row except its hash, in the order of the hash.
pub(super) fn columns(id: i64, entry: AuditEntry) -> Vec<Value> {
    params![
        id,
        entry.at,
        entry.event,
        entry.action.code(),
        entry.outcome.code(),
        entry.user,
        entry.role,
        entry.institution,
        entry.study_uid,
        entry.patient_ref,
        entry.source_ip,
        entry.detail,
    ]
}

/// Hash of a row: SHA-256 over the hash before it and each column with its kind and length.
pub(super) fn row_hash(before: &[u8], columns: &[Value]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    let mut part = |kind: u8, bytes: &[u8]| {
        hasher.update([kind]);
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    for value in columns {
        match value {
            Value::Int(Some(v)) => part(1, &v.to_be_bytes()),
            Value::Text(Some(v)) => part(2, v.as_bytes()),
            Value::Bytes(Some(v)) => part(3, v),
            Value::Int(None) | Value::Text(None) | Value::Bytes(None) => part(0, &[]),
        }
    }
    hasher.finalize().into()
}

async fn lock_head(tx: &mut Tx) -> Result<Row> {
    if tx.dialect() == Dialect::Postgres {
        if let Some(row) = tx.fetch_optional(sql_postgres::FREE_HEAD, Vec::new()).await? {
            return Ok(row);
        }
        return tx.fetch_one(sql_postgres::WAIT_HEAD, Vec::new()).await;
    }
    tx.fetch_one(sql::HEAD, Vec::new()).await
}

/// Appends rows to a chain and signs its new head, inside the caller's transaction.
pub(crate) async fn append(tx: &mut Tx, entries: Vec<AuditEntry>, signer: &AuditSigner) -> Result<()> {
    let head = lock_head(tx).await?;
    let chain = head.int("chain")?;
    let mut rows = head.int("rows")?;
    let mut hash = head.bytes("hash")?;
    for entry in entries {
        rows = rows
            .checked_add(1)
            .filter(|rows| *rows < i64::MAX / CHAINS_MAX)
            .ok_or_else(|| ArchiveError::Corrupt("the audit chain is full".to_owned()))?;
        let mut row = columns(rows * CHAINS_MAX + chain, entry);
        hash = row_hash(&hash, &row).to_vec();
        row.push(Value::from(&hash));
        tx.execute(sql::INSERT, row).await?;
    }
    let signature = signer.sign(chain, rows, &hash);
    tx.execute(
        sql::SET_HEAD,
        params![chain, rows, hash, signer.key_id(), signature],
    )
    .await?;
    Ok(())
}
