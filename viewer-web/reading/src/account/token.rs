//! Bearer tokens of machines.

use archive::{InstitutionId, UnixMicros, params};

use super::session::{Found, find};
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::role::Roles;
use crate::secret;
use crate::service::Reading;

archive::statements! {
    mod sql {
        INSERT = "INSERT INTO bearer_token (token_hash, name, roles, institution_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
        KEEP = "INSERT INTO bearer_token (token_hash, name, roles, institution_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (token_hash) DO NOTHING";
        REVOKE = "UPDATE bearer_token SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
        FIND = "SELECT name, roles, institution_id, expires_at FROM bearer_token WHERE token_hash = $1 AND revoked_at IS NULL";
    }
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for; shown as the user in the audit trail.
    pub name: String,
    /// Duties.
    pub roles: Roles,
    /// Whose machine it is.
    pub institution_id: InstitutionId,
    /// Until when, Unix microseconds; `None` has no end.
    pub expires_at: Option<i64>,
}

/// Makes a token and gives it, once.
///
/// # Errors
/// `Invalid` for roles that cannot be together.
pub async fn create_token(reading: &Reading, new: NewToken) -> Result<String> {
    if new.roles.is_empty() || !new.roles.separation_kept() {
        return Err(ReadingError::invalid(
            "role",
            "岗位不对",
            "not a role, or roles that exclude one another",
        ));
    }
    let token = secret::token()?;
    let row = params![
        secret::token_digest(&token),
        &new.name,
        new.roles.to_words(),
        new.institution_id,
        UnixMicros::now(),
        new.expires_at
    ];
    reading.execute(sql::INSERT, row).await?;
    Ok(token)
}

/// Keeps a token that its machine made for itself; keeping it twice is fine.
///
/// # Errors
/// `Invalid` for roles that cannot be together or a token too short to be a secret.
pub async fn keep_token(reading: &Reading, new: NewToken, token: &str) -> Result<()> {
    if new.roles.is_empty() || !new.roles.separation_kept() || token.len() < secret::TOKEN_BYTES {
        return Err(ReadingError::invalid(
            "token",
            "口令或岗位不对",
            "not a secret, or roles that exclude one another",
        ));
    }
    let row = params![
        secret::token_digest(token),
        &new.name,
        new.roles.to_words(),
        new.institution_id,
        UnixMicros::now(),
        new.expires_at
    ];
    reading.execute(sql::KEEP, row).await.map(drop)
}

/// Ends all tokens of this name. Elsewhere they may live for a few seconds more.
///
/// # Errors
/// What the index says.
pub async fn revoke_tokens(reading: &Reading, name: &str) -> Result<()> {
    reading
        .execute(sql::REVOKE, params![name, UnixMicros::now()])
        .await?;
    reading.sessions().clear();
    Ok(())
}

/// Who a bearer token belongs to; `None` when it is unknown or over.
///
/// # Errors
/// What the index says.
pub async fn resume_token(
    reading: &Reading,
    token: &str,
    source_ip: Option<String>,
) -> Result<Option<Actor>> {
    let (digest, row) = match find(reading, token, sql::FIND).await? {
        Found::Nobody => return Ok(None),
        Found::Kept(actor) => return Ok(Some(Actor { source_ip, ..actor })),
        Found::Row(digest, row) => (digest, row),
    };
    let expires_at = row.opt_int("expires_at")?.unwrap_or(i64::MAX);
    if UnixMicros::now().0 >= expires_at {
        return Ok(None);
    }
    let name = row.text("name")?;
    let actor = Actor {
        user: name.clone(),
        display_name: name,
        roles: Roles::parse(&row.text("roles")?),
        institution: reading
            .institution(InstitutionId(row.int("institution_id")?))
            .await?,
        source_ip,
        expires_at,
    };
    reading.sessions().put(digest, actor.clone());
    Ok(Some(actor))
}
