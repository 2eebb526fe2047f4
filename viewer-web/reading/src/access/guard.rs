//! From facts to access: look up, decide, write the audit row, then and only then let through.

use archive::InstitutionId;
use archive::audit::{AuditAction, AuditEntry, AuditOutcome};
use archive::db::Tx;
use archive::{ArchiveError, params};
use futures_util::future::BoxFuture;

use super::policy::{Action, Decision, Subject, decide, decide_global};
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::service::Reading;
use crate::study::StudyFacts;

/// Longest UID (PS3.5 section 9.1).
const UID_CHARS_MAX: usize = 64;

archive::statements! {
    mod sql {
        PATIENT = "SELECT p.id, p.institution_id, p.person_id, \
            CASE WHEN EXISTS (SELECT 1 FROM reading_agreement a WHERE a.reader_id = $2 AND a.sender_id = p.institution_id \
                AND a.valid_from <= $3 AND (a.valid_to IS NULL OR a.valid_to > $3)) THEN 1 ELSE 0 END AS reading, \
            CASE WHEN p.person_id IS NOT NULL AND EXISTS (SELECT 1 FROM patient q JOIN exam_order t ON t.patient_id = q.id \
                WHERE q.person_id = p.person_id AND t.institution_id = $2) THEN 1 ELSE 0 END AS treating \
            FROM patient p WHERE p.id = $1";
    }
}

/// A granted access to one study.
#[derive(Debug)]
pub struct Access {
    /// The study.
    pub study: StudyFacts,
    /// What binds the actor to it.
    pub subject: Subject,
    pub(crate) entry: AuditEntry,
}

fn action_of(letter: char) -> AuditAction {
    match letter {
        'C' => AuditAction::Create,
        'R' => AuditAction::Read,
        'U' => AuditAction::Update,
        'D' => AuditAction::Delete,
        _ => AuditAction::Execute,
    }
}

/// The audit row of an action, as a success.
pub(crate) fn entry_of(actor: &Actor, action: Action) -> AuditEntry {
    let (event, letter) = action.audit();
    let mut entry = AuditEntry::new(event, action_of(letter), &actor.user)
        .role(actor.roles.to_words())
        .institution(&actor.institution.code)
        .detail(action.as_str());
    entry.source_ip.clone_from(&actor.source_ip);
    entry
}

/// Writes the row; when that fails the access is refused.
pub(crate) async fn write_entry(reading: &Reading, entry: AuditEntry) -> Result<()> {
    reading
        .archive()
        .audit()
        .record(entry)
        .await
        .map_err(|e| ReadingError::AuditUnavailable(e.to_string()))
}

fn no_study() -> ReadingError {
    ReadingError::not_found(
        "没有找到这项检查，或无权查看",
        "There is no such study, or none that you may see",
    )
}

/// Decides about one study; a refusal is audited here, what is granted is audited by the caller.
///
/// # Errors
/// `NotFound`, `Forbidden` (both audited), `AuditUnavailable`.
pub async fn authorise(reading: &Reading, actor: &Actor, action: Action, study_uid: &str) -> Result<Access> {
    let plausible = (1..=UID_CHARS_MAX).contains(&study_uid.len())
        && study_uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plausible {
        return Err(no_study());
    }
    let entry = entry_of(actor, action).study(study_uid);
    let Some(facts) = reading.facts(actor.institution_id(), study_uid).await? else {
        write_entry(reading, entry.outcome(AuditOutcome::MinorFailure)).await?;
        return Err(no_study());
    };
    let entry = entry.patient(facts.study.patient_id.to_string());
    match decide(actor.roles, action, &facts.subject) {
        Decision::Allow(_) => Ok(Access {
            study: facts.study,
            subject: facts.subject,
            entry,
        }),
        Decision::Deny(words) => {
            write_entry(reading, entry.outcome(AuditOutcome::SeriousFailure)).await?;
            let s = facts.subject;
            // To somebody whom nothing binds to the study, it is not there.
            Err(if s.own || s.reading || s.treating {
                ReadingError::Forbidden(words)
            } else {
                no_study()
            })
        }
    }
}

/// Decides about one study and writes the audit row; what it returns may be shown.
///
/// # Errors
/// `NotFound`, `Forbidden` (both audited), `AuditUnavailable`.
pub async fn guard(reading: &Reading, actor: &Actor, action: Action, study_uid: &str) -> Result<Access> {
    let access = authorise(reading, actor, action, study_uid).await?;
    write_entry(reading, access.entry.clone()).await?;
    Ok(access)
}

/// The facts that bind an institution to a study, without an audit row: for filtering lists that are audited as a query.
///
/// # Errors
/// What the index says.
pub async fn load_subject(
    reading: &Reading,
    institution: InstitutionId,
    study_uid: &str,
) -> Result<Option<Subject>> {
    Ok(reading
        .facts(institution, study_uid)
        .await?
        .map(|facts| facts.subject))
}

/// Decides about the community as a whole and writes the audit row.
///
/// # Errors
/// `Forbidden` (audited), `AuditUnavailable`.
pub async fn guard_global(reading: &Reading, actor: &Actor, action: Action) -> Result<()> {
    guard_query(reading, actor, action, None).await
}

/// As [`guard_global`], for a search that names one study: the row carries its UID.
///
/// # Errors
/// As [`guard_global`].
pub async fn guard_query(
    reading: &Reading,
    actor: &Actor,
    action: Action,
    study_uid: Option<&str>,
) -> Result<()> {
    let mut entry = entry_of(actor, action);
    entry.study_uid = study_uid
        .filter(|uid| uid.len() <= UID_CHARS_MAX)
        .map(str::to_owned);
    match decide_global(actor.roles, action) {
        Decision::Allow(_) => write_entry(reading, entry).await,
        Decision::Deny(words) => {
            write_entry(reading, entry.outcome(AuditOutcome::SeriousFailure)).await?;
            Err(ReadingError::Forbidden(words))
        }
    }
}

/// Decides about one patient and writes the audit row; gives the person across institutions.
///
/// # Errors
/// `NotFound`, `Forbidden` (both audited), `AuditUnavailable`.
pub async fn guard_patient(
    reading: &Reading,
    actor: &Actor,
    action: Action,
    patient: i64,
) -> Result<Option<i64>> {
    let entry = entry_of(actor, action).patient(patient.to_string());
    let no_patient = || {
        ReadingError::not_found(
            "没有找到这位患者，或无权查看",
            "There is no such patient, or none that you may see",
        )
    };
    let params = params![patient, actor.institution_id(), archive::UnixMicros::now()];
    let Some(row) = reading
        .archive()
        .db()
        .fetch_optional(sql::PATIENT, params)
        .await?
    else {
        write_entry(reading, entry.outcome(AuditOutcome::MinorFailure)).await?;
        return Err(no_patient());
    };
    let subject = Subject {
        own: row.int("institution_id")? == actor.institution_id().0,
        reading: row.bool("reading")?,
        treating: row.bool("treating")?,
        ..Subject::STRANGE
    };
    if !decide(actor.roles, action, &subject).allowed() {
        write_entry(reading, entry.outcome(AuditOutcome::SeriousFailure)).await?;
        return Err(no_patient());
    }
    write_entry(reading, entry).await?;
    row.opt_int("person_id").map_err(ReadingError::from)
}

/// What the actor may do on a study, as words for the page.
#[must_use]
pub fn permissions_on(actor: &Actor, subject: &Subject) -> Vec<&'static str> {
    Action::ALL
        .into_iter()
        .filter(|a| decide(actor.roles, *a, subject).allowed())
        .map(Action::as_str)
        .collect()
}

/// Does an authorised change of one study: change and audit row become durable together. A change that the state
/// forbids leaves a row too, with a failure as its outcome.
pub(crate) async fn apply<T, F>(reading: &Reading, access: Access, work: F) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx, &'t StudyFacts) -> BoxFuture<'t, Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let Access { study, entry, .. } = access;
    let failed = entry.clone().outcome(AuditOutcome::MinorFailure);
    let done = reading.archive().db().write(move |tx| {
        Box::pin(async move {
            let value = work(tx, &study).await?;
            tx.audit(entry);
            Ok::<T, ReadingError>(value)
        })
    });
    let result = done.await;
    reading.subjects().clear();
    if result
        .as_ref()
        .is_err_and(|e| !matches!(e, ReadingError::Archive(ArchiveError::Closed)))
    {
        write_entry(reading, failed).await?;
    }
    result
}

/// Authorises without writing the row of success yet; see [`apply`].
pub(crate) async fn prepare(
    reading: &Reading,
    actor: &Actor,
    action: Action,
    study_uid: &str,
) -> Result<Access> {
    authorise(reading, actor, action, study_uid).await
}
