//! Signed heads kept in a file beside the index, so that an index put back to an older state is
//! found too.

use super::AuditSigner;
use super::signer::head_message;
use crate::db::Db;
use crate::error::{ArchiveError, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// File below the data folder.
pub(crate) const ANCHOR_FILE: &str = "audit.anchor";
/// Largest anchor file that is read.
const ANCHOR_BYTES_MAX: u64 = 1 << 20;

/// A head of a chain as the anchor file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchoredHead {
    /// Number of the chain.
    pub chain: i64,
    /// Rows of the chain.
    pub rows: i64,
    /// Hash of its last row, hexadecimal.
    pub hash: String,
    /// Public key, hexadecimal.
    pub key_id: String,
    /// Ed25519 signature, hexadecimal.
    pub signature: String,
}

impl AnchoredHead {
    pub(super) fn is_signed(&self, signer: &AuditSigner) -> bool {
        let (Ok(hash), Ok(signature)) = (hex::decode(&self.hash), hex::decode(&self.signature)) else {
            return false;
        };
        signer.check(
            &self.key_id,
            &head_message(self.chain, self.rows, &hash),
            &signature,
        )
    }
}

/// The heads that are in the index now (those with rows).
pub(super) async fn heads(db: &Db) -> Result<Vec<AnchoredHead>> {
    let rows = db.fetch_all(super::verify::sql::HEADS, Vec::new()).await?;
    let mut heads = Vec::new();
    for row in rows.iter().filter(|row| row.int("rows").unwrap_or(0) > 0) {
        heads.push(AnchoredHead {
            chain: row.int("chain")?,
            rows: row.int("rows")?,
            hash: hex::encode(row.bytes("hash")?),
            key_id: row.text("key_id")?,
            signature: hex::encode(row.bytes("signature")?),
        });
    }
    Ok(heads)
}

/// Writes the present heads to the anchor file; durable when it answers.
///
/// # Errors
/// When the index cannot be read or the file cannot be written.
pub async fn write_anchor(db: &Db, data_dir: &Path) -> Result<()> {
    let heads = heads(db).await?;
    if heads.is_empty() {
        return Ok(());
    }
    // The file must never know more than the index does after a crash.
    db.flush().await?;
    let text = serde_json::to_vec_pretty(&heads).map_err(|error| ArchiveError::Corrupt(error.to_string()))?;
    let path = data_dir.join(ANCHOR_FILE);
    let write = move || -> Result<()> {
        let fresh = path.with_extension("anchor.new");
        let put = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        put().map_err(|error| ArchiveError::io("write", &path, error))
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(|_| ArchiveError::Closed)?
}

/// Reads the anchor file; `None` when there is none yet.
///
/// # Errors
/// When it is there but cannot be read or understood.
pub fn read_anchor(data_dir: &Path) -> Result<Option<Vec<AnchoredHead>>> {
    let path = data_dir.join(ANCHOR_FILE);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ArchiveError::io("read", &path, error)),
        Ok(meta) if meta.len() > ANCHOR_BYTES_MAX => {
            return Err(ArchiveError::Corrupt(format!("{} is too large", path.display())));
        }
        Ok(_) => {}
    }
    let text = std::fs::read(&path).map_err(|error| ArchiveError::io("read", &path, error))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| ArchiveError::Corrupt(format!("{}: {error}", path.display())))
}
