//! The steps of a report, each in one transaction with its event, its audit row and its place on the worklist.

use archive::db::Tx;
use archive::order::OrderState;
use archive::{InstitutionId, UnixMicros};

use super::document::SignedVersion;
use super::state::{Command, Record, ReportText, State, VersionKind};
use super::store::{etag, keep, load, log};
use super::versions;
use super::view::{ReportView, report_unaudited};
use crate::access::Action;
use crate::access::guard::{Access, apply, prepare};
use crate::actor::Actor;
use crate::claim;
use crate::error::{ReadingError, Result};
use crate::events::{Kind, publish};
use crate::service::Reading;

/// What a step needs to know besides the record.
struct By {
    user: String,
    institution: InstitutionId,
    double_signature: bool,
}

impl By {
    fn new(reading: &Reading, actor: &Actor) -> By {
        By {
            user: actor.user.clone(),
            institution: actor.institution_id(),
            double_signature: reading.settings().double_signature,
        }
    }
}

/// Does a command inside a transaction: state machine, row, event.
async fn step(tx: &mut Tx, study_uid: &str, command: &Command, by: &By) -> Result<Record> {
    let before = load(tx, study_uid).await?;
    let now = UnixMicros::now().0;
    let after = before.apply(command, &by.user, now, by.double_signature)?.record;
    keep(tx, study_uid, &after).await?;
    let reason = match command {
        Command::Return { reason } => Some(reason.trim()),
        Command::Amend { reason, .. } => reason.as_deref().map(str::trim),
        Command::Save(_) | Command::Submit | Command::Sign => None,
    };
    // Saving again and again is one act of writing.
    if !(matches!(command, Command::Save(_)) && before.state == State::Draft) {
        log(
            tx,
            study_uid,
            after.updated_at,
            command.as_str(),
            &by.user,
            by.institution,
            reason,
        )
        .await?;
    }
    Ok(after)
}

async fn done(
    reading: &Reading,
    actor: &Actor,
    access_institution: InstitutionId,
    study_uid: &str,
) -> Result<ReportView> {
    let view = report_unaudited(reading, actor, study_uid).await?;
    let data = serde_json::json!({"status": view.status, "version": view.current_version});
    publish(
        reading,
        Kind::Report,
        study_uid,
        &[access_institution, actor.institution_id()],
        data,
    );
    Ok(view)
}

/// Saves the draft. The lease is taken on the way if nobody has it. `if_match` is the entity tag that the writer saw;
/// it may be missing only for the first draft.
///
/// # Errors
/// `Held`, `PreconditionFailed`, `Conflict`, `Invalid`, and as the policy says.
pub async fn save(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    text: ReportText,
    if_match: Option<&str>,
) -> Result<ReportView> {
    let access = prepare(reading, actor, Action::WriteReport, study_uid).await?;
    let institution = access.study.institution_id;
    let by = By::new(reading, actor);
    let if_match = if_match.map(str::to_owned);
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let uid = &study.study_uid;
            claim::not_held_by_another(tx, uid, &by.user).await?;
            let kept = load(tx, uid).await?;
            let command = Command::Save(text);
            // The state's refusal says more than a stale tag.
            if kept.state == State::Submitted || kept.state.is_issued() {
                kept.apply(&command, &by.user, 0, by.double_signature)?;
            }
            check_revision(&kept, if_match.as_deref())?;
            claim::take(tx, uid, &by.user).await?;
            step(tx, uid, &command, &by).await.map(drop)
        })
    })
    .await?;
    done(reading, actor, institution, study_uid).await
}

fn check_revision(kept: &Record, if_match: Option<&str>) -> Result<()> {
    let tag = etag(kept.revision);
    let fits = match if_match {
        None => kept.revision == 0,
        Some("*") => kept.revision > 0,
        Some(given) => given.split(',').any(|t| t.trim().trim_start_matches("W/") == tag),
    };
    if fits {
        Ok(())
    } else {
        Err(ReadingError::PreconditionFailed { etag: tag })
    }
}

/// Hands the report to the reviewer and ends the writer's lease.
///
/// # Errors
/// `Held`, `Conflict`, and as the policy says.
pub async fn submit(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<ReportView> {
    let access = prepare(reading, actor, Action::WriteReport, study_uid).await?;
    simple(reading, actor, access, Command::Submit).await
}

/// Gives the report back to its writer.
///
/// # Errors
/// `Held`, `Conflict`, `Invalid` without a reason, and as the policy says.
pub async fn give_back(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    reason: &str,
) -> Result<ReportView> {
    let access = prepare(reading, actor, Action::SignReport, study_uid).await?;
    simple(
        reading,
        actor,
        access,
        Command::Return {
            reason: reason.to_owned(),
        },
    )
    .await
}

async fn simple(reading: &Reading, actor: &Actor, access: Access, command: Command) -> Result<ReportView> {
    let (institution, study_uid) = (access.study.institution_id, access.study.study_uid.clone());
    let by = By::new(reading, actor);
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            claim::not_held_by_another(tx, &study.study_uid, &by.user).await?;
            step(tx, &study.study_uid, &command, &by).await?;
            claim::end(tx, &study.study_uid).await
        })
    })
    .await?;
    done(reading, actor, institution, &study_uid).await
}

/// Signs and issues version 1.
///
/// # Errors
/// `Held`, `Conflict` (not submitted, own report, signed already), and as the policy says.
pub async fn sign(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<ReportView> {
    let access = prepare(reading, actor, Action::SignReport, study_uid).await?;
    issue(reading, actor, access, Command::Sign).await
}

/// Issues an addendum, a correction or a revocation. It is written and signed by a reviewer.
///
/// # Errors
/// `Conflict` when nothing is issued yet or it is revoked, `Invalid` for its inputs, and as the policy says.
pub async fn amend(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    kind: &str,
    text: String,
    reason: Option<String>,
) -> Result<ReportView> {
    let access = prepare(reading, actor, Action::AmendReport, study_uid).await?;
    let kind = VersionKind::parse_amendment(kind).ok_or_else(|| {
        ReadingError::invalid(
            "kind",
            "应为 addendum、correction 或 revocation",
            "must be addendum, correction or revocation",
        )
    })?;
    issue(reading, actor, access, Command::Amend { kind, text, reason }).await
}

async fn issue(reading: &Reading, actor: &Actor, access: Access, command: Command) -> Result<ReportView> {
    let (institution, study_uid) = (access.study.institution_id, access.study.study_uid.clone());
    let by = By::new(reading, actor);
    let frame = versions::frame(reading, actor, &access.study).await?;
    let signer = reading.signer().clone();
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let uid = &study.study_uid;
            claim::not_held_by_another(tx, uid, &by.user).await?;
            let record = step(tx, uid, &command, &by).await?;
            let version: SignedVersion = versions::compose(tx, frame, &record, &command, &signer).await?;
            versions::insert(tx, &version).await?;
            match command {
                Command::Sign => {
                    versions::mark_item(tx, uid, version.document.hr_mark.as_ref()).await?;
                    versions::tell_order(tx, uid, OrderState::Reported).await?;
                }
                Command::Amend {
                    kind: VersionKind::Revocation,
                    ..
                } => versions::tell_order(tx, uid, OrderState::Arrived).await?,
                _ => {}
            }
            claim::end(tx, uid).await
        })
    })
    .await?;
    done(reading, actor, institution, &study_uid).await
}
