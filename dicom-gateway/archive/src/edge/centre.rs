//! The centre's book of its township nodes: who was let in, when each was heard of last.

use crate::Archive;
use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, Sha256Digest, UnixMicros};
use crate::params;
use serde::Serialize;
use std::time::Duration;

/// Nodes of one answer.
const NODES_MAX: i64 = 10_000;
/// Random bytes of an enrolment token.
const TOKEN_BYTES: usize = 20;
/// Tokens of nodes that were let in are forgotten after this time.
const TOKENS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

crate::statements! {
    mod sql {
        TOKEN = "INSERT INTO edge_enrolment (token_hash, institution_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
        FORGET = "DELETE FROM edge_enrolment WHERE expires_at < $1";
        FIND_TOKEN = "SELECT institution_id, expires_at, secret_hash, node_name FROM edge_enrolment WHERE token_hash = $1";
        USE = "UPDATE edge_enrolment SET used_at = $2, secret_hash = $3, node_name = $4 WHERE token_hash = $1 AND used_at IS NULL";
        INSERT = "INSERT INTO edge_node (name, institution_id, enrolled_at, enrolled_from) VALUES ($1, $2, $3, $4)";
        BY_NAME = "SELECT name, institution_id, enrolled_at, enrolled_from, last_seen_at, report, revoked_at FROM edge_node WHERE name = $1";
        LIST = "SELECT name, institution_id, enrolled_at, enrolled_from, last_seen_at, report, revoked_at FROM edge_node ORDER BY id LIMIT $1";
        SEEN = "UPDATE edge_node SET last_seen_at = $2, report = $3 WHERE name = $1";
        REVOKE = "UPDATE edge_node SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
    }
}

/// A township node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EdgeNode {
    /// Its name; also the name of its bearer token.
    pub name: String,
    /// Whose node.
    pub institution_id: InstitutionId,
    /// When it was let in.
    pub enrolled_at: UnixMicros,
    /// From where.
    pub enrolled_from: Option<String>,
    /// Last heartbeat.
    pub last_seen_at: Option<UnixMicros>,
    /// What it told then, JSON of [`super::wire::Heartbeat`].
    pub report: Option<String>,
    /// When it was shut out.
    pub revoked_at: Option<UnixMicros>,
}

/// Why a node is not let in.
#[derive(Debug, thiserror::Error)]
pub enum EnrolRefused {
    /// No such token.
    #[error("the enrolment token is not known; make one with `gongying admin edge enrol`")]
    Unknown,
    /// Another node came with it.
    #[error("the enrolment token was used by another node; make a new one")]
    Used,
    /// Too late.
    #[error("the enrolment token has expired; make a new one")]
    Expired,
    /// The index failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn read(row: &Row) -> Result<EdgeNode> {
    Ok(EdgeNode {
        name: row.text("name")?,
        institution_id: InstitutionId(row.int("institution_id")?),
        enrolled_at: row.micros("enrolled_at")?,
        enrolled_from: row.opt_text("enrolled_from")?,
        last_seen_at: row.opt_micros("last_seen_at")?,
        report: row.opt_text("report")?,
        revoked_at: row.opt_micros("revoked_at")?,
    })
}

fn hash(secret: &str) -> String {
    Sha256Digest::of(secret.as_bytes()).to_hex()
}

/// The nodes of an archive.
#[derive(Clone)]
pub struct Centre {
    pub(super) archive: Archive,
}

impl Centre {
    /// Makes a token that lets one node of an institution in, once, within `lives`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn new_enrolment(&self, institution: InstitutionId, lives: Duration) -> Result<String> {
        let mut secret = [0u8; TOKEN_BYTES];
        getrandom::fill(&mut secret)
            .map_err(|e| ArchiveError::invalid("random numbers of the system", e.to_string()))?;
        let token = format!("gye_{}", hex::encode(secret));
        let now = UnixMicros::now();
        let values = params![hash(&token), institution, now, now.plus(lives)];
        self.archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute(sql::FORGET, params![now.minus(TOKENS_KEPT)]).await?;
                    tx.execute(sql::TOKEN, values).await.map(drop)
                })
            })
            .await?;
        Ok(token)
    }

    /// Lets a node in that shows a token, and remembers the secret it made. The same node may ask again.
    ///
    /// # Errors
    /// Why not.
    pub async fn enrol(
        &self,
        token: &str,
        secret: &str,
        from: Option<String>,
    ) -> Result<EdgeNode, EnrolRefused> {
        let (token, secret) = (hash(token), hash(secret));
        let name = self
            .archive
            .db()
            .write(move |tx| Box::pin(async move { admit(tx, &token, &secret, from).await }))
            .await?;
        let node = self.node(&name).await?;
        node.ok_or(EnrolRefused::Unknown)
    }

    /// A node by name.
    ///
    /// # Errors
    /// What the index says.
    pub async fn node(&self, name: &str) -> Result<Option<EdgeNode>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::BY_NAME, params![name])
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All nodes, in order of enrolment.
    ///
    /// # Errors
    /// What the index says.
    pub async fn nodes(&self) -> Result<Vec<EdgeNode>> {
        let rows = self.archive.db().fetch_all(sql::LIST, params![NODES_MAX]).await?;
        rows.iter().map(read).collect()
    }

    /// Notes what a node told of itself.
    ///
    /// # Errors
    /// What the index says.
    pub async fn heard(&self, name: &str, report: &str) -> Result<()> {
        let values = params![name, UnixMicros::now(), report];
        self.archive
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(sql::SEEN, values).await.map(drop) }))
            .await
    }

    /// Shuts a node out for good.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such node, or it was shut out before.
    pub async fn revoke(&self, name: &str) -> Result<()> {
        let values = params![name, UnixMicros::now()];
        let done: u64 = self
            .archive
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(sql::REVOKE, values).await }))
            .await?;
        match done {
            0 => Err(ArchiveError::NotFound(format!("enrolled township node {name}"))),
            _ => Ok(()),
        }
    }
}

async fn admit(tx: &mut Tx, token: &str, secret: &str, from: Option<String>) -> Result<String, EnrolRefused> {
    let row = tx.fetch_optional(sql::FIND_TOKEN, params![token]).await?;
    let row = row.ok_or(EnrolRefused::Unknown)?;
    if let Some(known) = row.opt_text("secret_hash")? {
        return match known == secret {
            true => Ok(row.text("node_name")?),
            false => Err(EnrolRefused::Used),
        };
    }
    let now = UnixMicros::now();
    if row.micros("expires_at")? <= now {
        return Err(EnrolRefused::Expired);
    }
    let name = format!("edge-{}", secret.get(..12).unwrap_or(secret));
    if tx.execute(sql::USE, params![token, now, secret, &name]).await? == 0 {
        return Err(EnrolRefused::Used);
    }
    let institution = InstitutionId(row.int("institution_id")?);
    tx.execute(sql::INSERT, params![&name, institution, now, from])
        .await?;
    Ok(name)
}
