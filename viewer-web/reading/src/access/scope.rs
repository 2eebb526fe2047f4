//! For lists made elsewhere: whose studies may show, and whether a single one may.

use archive::{InstitutionId, UnixMicros, params};

use super::policy::{Action, decide};
use crate::actor::Actor;
use crate::error::Result;
use crate::role::Role;
use crate::service::Reading;

archive::statements! {
    mod sql {
        SENDERS = "SELECT sender_id FROM reading_agreement WHERE reader_id = $1 AND valid_from <= $2 AND (valid_to IS NULL OR valid_to > $2)";
        AGREE = "INSERT INTO reading_agreement (reader_id, sender_id, valid_from, valid_to) VALUES ($1, $2, $3, $4) ON CONFLICT (reader_id, sender_id) DO UPDATE SET valid_to = excluded.valid_to";
    }
}

/// Whose studies somebody may find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchScope {
    /// Every study of these institutions.
    pub institutions: Vec<InstitutionId>,
    /// Beyond those, signed studies of persons who have an order or a study at this institution.
    pub treating: Option<InstitutionId>,
}

/// Whose studies the actor may find: nobody's unless a role says otherwise.
///
/// # Errors
/// What the index says.
pub async fn search_scope(reading: &Reading, actor: &Actor) -> Result<SearchScope> {
    let mut scope = SearchScope::default();
    if actor.is_reader() {
        let params = params![actor.institution_id(), UnixMicros::now()];
        for row in reading.archive().db().fetch_all(sql::SENDERS, params).await? {
            scope.institutions.push(InstitutionId(row.int("sender_id")?));
        }
    }
    if actor.roles.has_any(&[Role::Technician, Role::Clinician])
        && !scope.institutions.contains(&actor.institution_id())
    {
        scope.institutions.push(actor.institution_id());
    }
    if actor.has(Role::Clinician) {
        scope.treating = Some(actor.institution_id());
    }
    Ok(scope)
}

/// Whether the actor may do `action` on a study, without an audit row: for filtering lists and news.
///
/// # Errors
/// What the index says.
pub async fn may(reading: &Reading, actor: &Actor, action: Action, study_uid: &str) -> Result<bool> {
    let subject = super::load_subject(reading, actor.institution_id(), study_uid).await?;
    Ok(subject.is_some_and(|s| decide(actor.roles, action, &s).allowed()))
}

/// Records that `reader` reads for `sender` from now on. Without such a row nobody reads for another institution.
///
/// # Errors
/// What the index says.
pub async fn agree(
    reading: &Reading,
    reader: InstitutionId,
    sender: InstitutionId,
    valid_to: Option<i64>,
) -> Result<()> {
    reading
        .execute(sql::AGREE, params![reader, sender, 0, valid_to])
        .await?;
    reading.subjects().clear();
    Ok(())
}
