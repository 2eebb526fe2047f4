//! 互认: the mark, the candidates before a repeat is ordered, and the clinician's decision.

mod rules;

use archive::db::Tx;
use archive::{InstitutionId, UnixMicros, params};
use serde::Serialize;

pub use rules::{Candidate, Obstacle, Reason, Scope, recognisable, valid_days, valid_until};

use crate::access::Action;
use crate::access::guard::{apply, prepare};
use crate::account::InstitutionView;
use crate::actor::{Actor, Person};
use crate::context::StudyContext;
use crate::error::{ReadingError, Result};
use crate::events::{Kind, publish};
use crate::report::HrMark;
use crate::service::Reading;
use crate::study::StudyFacts;

/// Longest note of a decision, in characters.
const NOTE_CHARS_MAX: usize = 500;
/// Item code of a grant that covers all items of an institution.
pub const EVERY_ITEM: &str = "*";

archive::statements! {
    mod sql {
        GRANT = "INSERT INTO hr_grant (institution_id, item_code, scope, valid_from, valid_to) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (institution_id, item_code) DO UPDATE SET scope = excluded.scope, valid_to = excluded.valid_to";
        SCOPES = "SELECT scope FROM hr_grant WHERE institution_id = $1 AND item_code IN ($2, $3) AND valid_from <= $4 AND (valid_to IS NULL OR valid_to > $4)";
        ITEM = "SELECT status, hr_scope, hr_valid_until FROM reading_item WHERE study_uid = $1";
        RETIRE = "UPDATE recognition SET latest = 0 WHERE study_uid = $1 AND institution_id = $2 AND latest = 1";
        INSERT = "INSERT INTO recognition (study_uid, institution_id, user_name, decision, reason_code, note, at, latest) VALUES ($1, $2, $3, $4, $5, $6, $7, 1) RETURNING id";
        LIST = "SELECT id, institution_id, user_name, decision, reason_code, note, at FROM recognition WHERE study_uid = $1 AND latest = 1 ORDER BY at";
    }
}

/// A decision about one result by one institution.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// Row.
    pub id: i64,
    /// Study Instance UID.
    pub study_uid: String,
    /// `recognised` or `refused`.
    pub decision: String,
    /// One of the six, for a refusal.
    pub reason_code: Option<String>,
    /// Where it was decided.
    pub institution: InstitutionView,
    /// By whom.
    pub by: Person,
    /// When, ISO 8601.
    pub at: String,
    /// In the clinician's words.
    pub note: Option<String>,
}

/// Grants an institution the mark for an item, or for all with [`EVERY_ITEM`].
///
/// # Errors
/// What the index says.
pub async fn grant(
    reading: &Reading,
    institution: InstitutionId,
    item_code: &str,
    scope: Scope,
) -> Result<()> {
    let row = params![
        institution,
        item_code,
        scope.as_str(),
        UnixMicros::now(),
        None::<i64>
    ];
    reading.execute(sql::GRANT, row).await.map(drop)
}

/// The mark that a study gets when it is signed: the widest scope granted to its institution for its item.
pub(crate) async fn mark_for(reading: &Reading, study: &StudyContext) -> Result<Option<HrMark>> {
    let code = study.item_code().unwrap_or_default();
    let params = params![
        study.institution_id,
        code,
        EVERY_ITEM,
        study.study_at.max(study.received_at)
    ];
    let rows = reading.archive().db().fetch_all(sql::SCOPES, params).await?;
    let mut widest = None;
    for row in rows {
        widest = widest.max(Scope::parse(&row.text("scope")?));
    }
    Ok(widest.map(|scope| HrMark {
        scope: scope.as_str().to_owned(),
        text: scope.mark().to_owned(),
        valid_until: Some(UnixMicros(valid_until(study.study_at, &study.modality)).to_iso8601()),
    }))
}

/// The latest decisions about a study, one for each institution.
///
/// # Errors
/// What the index says.
pub async fn decisions(reading: &Reading, study_uid: &str) -> Result<Vec<Decision>> {
    let mut list = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::LIST, params![study_uid])
        .await?
    {
        list.push(Decision {
            id: row.int("id")?,
            study_uid: study_uid.to_owned(),
            decision: row.text("decision")?,
            reason_code: row.opt_text("reason_code")?,
            institution: InstitutionView::from(
                &reading
                    .institution(InstitutionId(row.int("institution_id")?))
                    .await?,
            ),
            by: reading.person(&row.text("user_name")?).await?,
            at: row.micros("at")?.to_iso8601(),
            note: row.opt_text("note")?,
        });
    }
    Ok(list)
}

struct Checked {
    decision: &'static str,
    reason: Option<Reason>,
    note: Option<String>,
}

fn check(decision: &str, reason_code: Option<&str>, note: Option<&str>) -> Result<Checked> {
    let note = note.map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned);
    if note
        .as_deref()
        .is_some_and(|n| n.chars().count() > NOTE_CHARS_MAX)
    {
        return Err(ReadingError::invalid(
            "note",
            "超过 500 字",
            "longer than 500 characters",
        ));
    }
    match decision {
        "recognised" => Ok(Checked {
            decision: "recognised",
            reason: None,
            note,
        }),
        "refused" => {
            let reason = reason_code.and_then(Reason::parse).ok_or_else(|| {
                ReadingError::invalid(
                    "reason_code",
                    "不采用须选六种情形之一",
                    "one of the six reasons is needed for a refusal",
                )
            })?;
            if reason == Reason::Other && note.is_none() {
                return Err(ReadingError::invalid(
                    "note",
                    "选“其他”时须写明说明",
                    "the reason `other` needs a note",
                ));
            }
            Ok(Checked {
                decision: "refused",
                reason: Some(reason),
                note,
            })
        }
        _ => Err(ReadingError::invalid(
            "decision",
            "应为采用或不采用",
            "must be recognised or refused",
        )),
    }
}

/// Recognises or refuses a result of another institution. A later decision of the same institution replaces the
/// earlier one; both stay in the log.
///
/// # Errors
/// `Forbidden` to the sender and without a treating relationship, `Conflict` when it is not recognisable, `Invalid`.
pub async fn decide(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    decision: &str,
    reason_code: Option<&str>,
    note: Option<&str>,
) -> Result<Decision> {
    let access = prepare(reading, actor, Action::DecideRecognition, study_uid).await?;
    let sender = access.study.institution_id;
    let checked = check(decision, reason_code, note);
    let (me, institution) = (actor.user.clone(), actor.institution_id());
    apply(reading, access, move |tx, study| {
        Box::pin(async move { put(tx, study, checked?, &me, institution).await })
    })
    .await?;
    let data = serde_json::json!({"decision": decision});
    publish(
        reading,
        Kind::Recognition,
        study_uid,
        &[sender, institution],
        data,
    );
    let made = decisions(reading, study_uid)
        .await?
        .into_iter()
        .find(|d| d.institution.code == actor.institution.code);
    made.ok_or(ReadingError::Internal("the decision was not kept"))
}

/// Keeps a decision, the earlier one of the same institution as history.
async fn put(
    tx: &mut Tx,
    study: &StudyFacts,
    checked: Checked,
    me: &str,
    institution: InstitutionId,
) -> Result<()> {
    let Checked {
        decision,
        reason,
        note,
    } = checked;
    let (uid, now) = (&study.study_uid, UnixMicros::now());
    let item = tx.fetch_one(sql::ITEM, params![uid]).await?;
    let candidate = Candidate {
        state: study.report_state,
        own: false,
        mark: item.opt_text("hr_scope")?.as_deref().and_then(Scope::parse),
        valid_until: item.opt_int("hr_valid_until")?.unwrap_or(i64::MAX),
    };
    // A refusal is always possible: it says why the result is not used.
    if decision == "recognised" {
        recognisable(&candidate, now.0).map_err(|o| ReadingError::conflict(o.texts().0, o.texts().1))?;
    }
    let code = reason.map(Reason::code);
    tx.execute(sql::RETIRE, params![uid, institution]).await?;
    tx.fetch_one(
        sql::INSERT,
        params![uid, institution, me, decision, code, &note, now],
    )
    .await?;
    crate::report::log_event(tx, uid, now.0, decision, me, institution, code).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_of_two_and_a_refusal_has_a_reason() {
        let fits = |decision, reason, note| check(decision, reason, note).is_ok();
        assert!(fits("recognised", None, None));
        assert!(fits("refused", Some("emergency"), None));
        assert!(fits("refused", Some("other"), Some("需增强扫描")));
        assert!(!fits("refused", Some("other"), Some("  ")));
        assert!(!fits("refused", None, Some("x")));
        assert!(!fits("refused", Some("because"), None));
        assert!(!fits("maybe", None, None));
        assert!(!fits("recognised", None, Some(&"长".repeat(501))));
    }
}
