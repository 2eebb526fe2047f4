//! The lease on a study: one reader at a time, given back after a while by itself.

use archive::db::Tx;
use archive::{UnixMicros, params};
use serde::Serialize;

use crate::access::Action;
use crate::access::guard::{apply, prepare};
use crate::actor::Actor;
use crate::error::{Holder, ReadingError, Result};
use crate::events::{Kind, publish};
use crate::service::Reading;

/// A lease ends after this time unless renewed.
pub const LEASE_S: i64 = 15 * 60;
const SECOND_US: i64 = 1_000_000;

archive::statements! {
    mod sql {
        // Compare and set in one statement: mine is renewed, an ended one is taken over, another's stays.
        TAKE = "INSERT INTO reading_claim (study_uid, user_name, since_at, until_at) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (study_uid) DO UPDATE SET user_name = excluded.user_name, until_at = excluded.until_at, \
            since_at = CASE WHEN reading_claim.user_name = excluded.user_name AND reading_claim.until_at > excluded.since_at \
                THEN reading_claim.since_at ELSE excluded.since_at END \
            WHERE reading_claim.user_name = excluded.user_name OR reading_claim.until_at <= excluded.since_at";
        HOLDER = "SELECT c.user_name, c.since_at, c.until_at, a.display_name FROM reading_claim c \
            LEFT JOIN account a ON a.user_name = c.user_name WHERE c.study_uid = $1 AND c.until_at > $2";
        RELEASE = "DELETE FROM reading_claim WHERE study_uid = $1 AND user_name = $2";
        END = "DELETE FROM reading_claim WHERE study_uid = $1";
    }
}

/// Answer to a claim.
#[derive(Debug, Serialize)]
pub struct Claimed {
    /// Who holds it now: the asker.
    pub holder: Holder,
}

/// Who holds the study now.
pub(crate) async fn holder(tx: &mut Tx, study_uid: &str, me: &str) -> Result<Option<Holder>> {
    let Some(row) = tx
        .fetch_optional(sql::HOLDER, params![study_uid, UnixMicros::now()])
        .await?
    else {
        return Ok(None);
    };
    let user = row.text("user_name")?;
    Ok(Some(Holder {
        display_name: row.opt_text("display_name")?.unwrap_or_else(|| user.clone()),
        since: row.micros("since_at")?.to_iso8601(),
        until: row.micros("until_at")?.to_iso8601(),
        mine: user == me,
        user,
    }))
}

/// Fails when another account holds the study.
pub(crate) async fn not_held_by_another(tx: &mut Tx, study_uid: &str, me: &str) -> Result<()> {
    match holder(tx, study_uid, me).await? {
        Some(other) if !other.mine => Err(ReadingError::Held(other)),
        _ => Ok(()),
    }
}

/// Takes or renews the lease, or says who has it.
pub(crate) async fn take(tx: &mut Tx, study_uid: &str, me: &str) -> Result<Holder> {
    crate::worklist::ensure(tx, study_uid).await?;
    let now = UnixMicros::now();
    let until = UnixMicros(now.0 + LEASE_S * SECOND_US);
    let taken = tx.execute(sql::TAKE, params![study_uid, me, now, until]).await?;
    match holder(tx, study_uid, me).await? {
        Some(holder) if taken > 0 && holder.mine => Ok(holder),
        Some(holder) => Err(ReadingError::Held(holder)),
        None => Err(ReadingError::conflict("请再试一次", "Try again")),
    }
}

/// Ends whatever lease there is.
pub(crate) async fn end(tx: &mut Tx, study_uid: &str) -> Result<()> {
    Ok(tx.execute(sql::END, params![study_uid]).await.map(drop)?)
}

/// Takes the study for reading or review, or renews the lease.
///
/// # Errors
/// `Held` when another reader has it, `Conflict` when its report is issued, and as the policy says.
pub async fn claim(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<Claimed> {
    let access = prepare(reading, actor, Action::Claim, study_uid).await?;
    let institution = access.study.institution_id;
    let me = actor.user.clone();
    let holder = apply(reading, access, move |tx, study| {
        Box::pin(async move {
            if study.report_state.is_issued() {
                return Err(ReadingError::conflict(
                    "报告已签发，无需领取",
                    "The report is signed, there is nothing to claim",
                ));
            }
            take(tx, &study.study_uid, &me).await
        })
    })
    .await?;
    publish(
        reading,
        Kind::Claimed,
        study_uid,
        &[institution, actor.institution_id()],
        serde_json::json!({"holder": holder}),
    );
    Ok(Claimed { holder })
}

/// Gives the study back. Giving back what nobody holds is no error.
///
/// # Errors
/// `Held` when another reader has it, and as the policy says.
pub async fn release(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<()> {
    let access = prepare(reading, actor, Action::Claim, study_uid).await?;
    let institution = access.study.institution_id;
    let me = actor.user.clone();
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            not_held_by_another(tx, &study.study_uid, &me).await?;
            Ok(tx
                .execute(sql::RELEASE, params![&study.study_uid, &me])
                .await
                .map(drop)?)
        })
    })
    .await?;
    publish(
        reading,
        Kind::Released,
        study_uid,
        &[institution, actor.institution_id()],
        serde_json::json!({}),
    );
    Ok(())
}
