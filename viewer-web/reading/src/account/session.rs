//! Logging in and staying logged in.
//!
//! The browser holds a random token of 256 bits, the index its SHA-256. A session ends [`SESSION_IDLE_S`] after its
//! last use and [`SESSION_ABSOLUTE_S`] after the log-in, whatever happens.

use archive::audit::{AuditAction, AuditEntry, AuditOutcome, event};
use archive::db::Row;
use archive::{UnixMicros, params};

use super::Account;
use crate::actor::Actor;
use crate::error::{ReadingError, Result, Words};
use crate::secret;
use crate::service::Reading;

/// A session not used for this long is over.
pub const SESSION_IDLE_S: i64 = 60 * 60;
/// A session is over after this long in any case: one shift.
pub const SESSION_ABSOLUTE_S: i64 = 12 * 60 * 60;
/// Wrong passwords in a row before the account is locked.
const FAILURES_MAX: i64 = 10;
/// First lock; it doubles with every further failure.
const LOCK_S: i64 = 60;
const LOCK_S_MAX: i64 = 60 * 60;
/// Last use is written down at most this often.
const TOUCH_EVERY_S: i64 = 60;
const SECOND_US: i64 = 1_000_000;

archive::statements! {
    mod sql {
        START = "INSERT INTO web_session (token_hash, user_name, created_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $3, $4)";
        FIND = "SELECT user_name, last_seen_at, expires_at FROM web_session WHERE token_hash = $1 AND revoked_at IS NULL";
        TOUCH = "UPDATE web_session SET last_seen_at = $2 WHERE token_hash = $1";
        END = "UPDATE web_session SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL";
        FAILED = "UPDATE account SET failed_count = failed_count + 1, locked_until = $2 WHERE user_name = $1";
        SUCCEEDED = "UPDATE account SET failed_count = 0, locked_until = NULL WHERE user_name = $1";
    }
}

/// A fresh session.
#[derive(Debug)]
pub struct Login {
    /// For the cookie; nobody else ever sees it.
    pub token: String,
    /// Who it is.
    pub actor: Actor,
}

fn wrong() -> ReadingError {
    ReadingError::Unauthenticated(Words::fixed(
        "账号或密码不对",
        "The account or the password is wrong",
    ))
}

/// Checks name and password and starts a session. Every try is audited (110114).
///
/// # Errors
/// `Unauthenticated`, `Locked`, or `AuditUnavailable`.
pub async fn log_in(
    reading: &Reading,
    user: &str,
    password: &str,
    source_ip: Option<String>,
) -> Result<Login> {
    let now = UnixMicros::now();
    let account = reading.account(user).await?.filter(|a| a.disabled_at.is_none());
    let Some(account) = account else {
        secret::verify_nobody(password).await?;
        note(reading, user, None, source_ip, AuditOutcome::MinorFailure).await?;
        return Err(wrong());
    };
    if let Some(until) = account.locked_until.filter(|until| *until > now.0) {
        note(
            reading,
            user,
            Some(&account),
            source_ip,
            AuditOutcome::MinorFailure,
        )
        .await?;
        return Err(ReadingError::Locked {
            retry_after_s: (until - now.0) / SECOND_US + 1,
        });
    }
    if !secret::verify(password, &account.password_hash).await? {
        let over = account.failed_count + 1 - FAILURES_MAX;
        let lock = (over >= 0).then(|| now.0 + (LOCK_S << over.min(6)).min(LOCK_S_MAX) * SECOND_US);
        reading.execute(sql::FAILED, params![user, lock]).await?;
        note(
            reading,
            user,
            Some(&account),
            source_ip,
            AuditOutcome::MinorFailure,
        )
        .await?;
        return Err(wrong());
    }
    note(
        reading,
        user,
        Some(&account),
        source_ip.clone(),
        AuditOutcome::Success,
    )
    .await?;
    if account.failed_count > 0 {
        reading.execute(sql::SUCCEEDED, params![user]).await?;
    }
    let token = secret::token()?;
    let expires_at = now.0 + SESSION_ABSOLUTE_S * SECOND_US;
    reading
        .execute(
            sql::START,
            params![secret::token_digest(&token), user, now, expires_at],
        )
        .await?;
    let actor = actor(
        reading,
        &account,
        source_ip,
        expires_at.min(now.0 + SESSION_IDLE_S * SECOND_US),
    )
    .await?;
    Ok(Login { token, actor })
}

async fn note(
    reading: &Reading,
    user: &str,
    account: Option<&Account>,
    source_ip: Option<String>,
    outcome: AuditOutcome,
) -> Result<()> {
    // A name that is no account may be a password typed into the wrong field: it is not written down.
    let mut entry = AuditEntry::new(
        event::USER_AUTHENTICATION,
        AuditAction::Execute,
        if account.is_some() { user } else { "?" },
    )
    .outcome(outcome);
    if let Some(account) = account {
        entry = entry
            .role(account.roles.to_words())
            .institution(reading.institution(account.institution_id).await?.code);
    }
    entry.source_ip = source_ip;
    let done = reading.archive().audit().record(entry).await;
    done.map_err(|e| ReadingError::AuditUnavailable(e.to_string()))
}

async fn actor(
    reading: &Reading,
    account: &Account,
    source_ip: Option<String>,
    expires_at: i64,
) -> Result<Actor> {
    Ok(Actor {
        user: account.user.clone(),
        display_name: account.display_name.clone(),
        roles: account.roles,
        institution: reading.institution(account.institution_id).await?,
        source_ip,
        expires_at,
    })
}

/// What is known of a token.
pub(super) enum Found {
    Nobody,
    /// Asked for a moment ago and still good.
    Kept(Actor),
    /// Its digest and its row.
    Row(String, Row),
}

/// Looks a token up: in memory, else by `sql` with its digest.
pub(super) async fn find(reading: &Reading, token: &str, sql: &'static str) -> Result<Found> {
    let digest = secret::token_digest(token);
    let now = UnixMicros::now().0;
    if let Some(kept) = reading.sessions().get(&digest).filter(|a| a.expires_at > now) {
        return Ok(Found::Kept(kept));
    }
    let row = reading
        .archive()
        .db()
        .fetch_optional(sql, params![&digest])
        .await?;
    Ok(row.map_or(Found::Nobody, |row| Found::Row(digest, row)))
}

/// Who a session token belongs to; `None` when it is unknown or over.
///
/// # Errors
/// What the index says.
pub async fn resume(reading: &Reading, token: &str, source_ip: Option<String>) -> Result<Option<Actor>> {
    let now = UnixMicros::now().0;
    let (digest, row) = match find(reading, token, sql::FIND).await? {
        Found::Nobody => return Ok(None),
        Found::Kept(actor) => return Ok(Some(Actor { source_ip, ..actor })),
        Found::Row(digest, row) => (digest, row),
    };
    let (seen, end) = (row.int("last_seen_at")?, row.int("expires_at")?);
    if now >= end || now >= seen + SESSION_IDLE_S * SECOND_US {
        return Ok(None);
    }
    let Some(account) = reading
        .account(&row.text("user_name")?)
        .await?
        .filter(|a| a.disabled_at.is_none())
    else {
        return Ok(None);
    };
    if now - seen > TOUCH_EVERY_S * SECOND_US {
        reading.execute(sql::TOUCH, params![&digest, now]).await?;
    }
    let actor = actor(
        reading,
        &account,
        source_ip,
        end.min(now + SESSION_IDLE_S * SECOND_US),
    )
    .await?;
    reading.sessions().put(digest, actor.clone());
    Ok(Some(actor))
}

/// Ends a session.
///
/// # Errors
/// What the index says.
pub async fn log_out(reading: &Reading, token: &str) -> Result<()> {
    let digest = secret::token_digest(token);
    reading
        .execute(sql::END, params![&digest, UnixMicros::now()])
        .await?;
    reading.sessions().remove(&digest);
    Ok(())
}
