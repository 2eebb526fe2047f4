//! What reading knows of a study: the archive's row with its patient and order.

use archive::db::Row;
use archive::{InstitutionId, params};

use crate::access::{Kind, Subject};
use crate::error::Result;
use crate::goals::Priority;
use crate::report::State;
use crate::service::{Facts, Reading};

archive::statements! {
    mod sql {
        // One look-up gives the study and everything that binds the asking institution ($2) to it at $3.
        FACTS = "SELECT s.id, s.study_uid, s.institution_id, s.patient_id, s.modalities, s.body_part, s.accession_number, \
            o.modality AS order_modality, o.body_part AS order_body_part, o.priority, o.item_code, o.item_name, \
            p.person_id, r.state AS report_state, \
            CASE WHEN EXISTS (SELECT 1 FROM reading_agreement a WHERE a.reader_id = $2 AND a.sender_id = s.institution_id \
                AND a.valid_from <= $3 AND (a.valid_to IS NULL OR a.valid_to > $3)) THEN 1 ELSE 0 END AS reading, \
            CASE WHEN p.person_id IS NOT NULL AND (\
                EXISTS (SELECT 1 FROM patient q JOIN exam_order t ON t.patient_id = q.id WHERE q.person_id = p.person_id AND t.institution_id = $2) \
                OR EXISTS (SELECT 1 FROM patient q JOIN study t ON t.patient_id = q.id WHERE q.person_id = p.person_id AND t.institution_id = $2)) \
                THEN 1 ELSE 0 END AS treating \
            FROM study s JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id \
            LEFT JOIN report r ON r.study_uid = s.study_uid WHERE s.study_uid = $1";
    }
}

/// Modalities that are never read by themselves: documents and marks beside the images.
const NOT_READ: [&str; 8] = ["SR", "PR", "KO", "DOC", "OT", "AU", "SEG", "REG"];

/// Facts of a study that do not depend on who asks.
#[derive(Debug, Clone)]
pub struct StudyFacts {
    /// Row.
    pub id: i64,
    /// Study Instance UID.
    pub study_uid: String,
    /// Institution that took or ordered it.
    pub institution_id: InstitutionId,
    /// Patient row.
    pub patient_id: i64,
    /// Person across institutions.
    pub person_id: Option<i64>,
    /// Main modality, empty while only documents arrived.
    pub modality: String,
    /// Body part examined.
    pub body_part: String,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Urgency of its order.
    pub priority: Priority,
    /// Code of the exam item.
    pub item_code: Option<String>,
    /// Name of the exam item.
    pub item_name: Option<String>,
    /// State of its report.
    pub report_state: State,
    /// What is read.
    pub kind: Kind,
}

/// Modality that decides who reads: the order's, else the first of the study that is read.
#[must_use]
pub fn main_modality(order_modality: Option<&str>, modalities: &str) -> String {
    let of_study = || {
        modalities
            .split(|c: char| c == '\\' || c == ',' || c.is_whitespace())
            .find(|m| !m.is_empty() && !NOT_READ.contains(m))
            .unwrap_or_default()
    };
    order_modality
        .filter(|m| !m.is_empty())
        .unwrap_or_else(of_study)
        .to_owned()
}

/// What a modality is read as.
#[must_use]
pub fn kind_of(modality: &str) -> Kind {
    if matches!(modality, "ECG" | "HD" | "EPS") {
        Kind::Ecg
    } else {
        Kind::Imaging
    }
}

fn read(row: &Row) -> Result<Facts> {
    let text = |name: &str| row.opt_text(name).map(Option::unwrap_or_default);
    let modality = main_modality(row.opt_text("order_modality")?.as_deref(), &text("modalities")?);
    let body_part = row.opt_text("order_body_part")?.filter(|p| !p.is_empty());
    let report_state = row
        .opt_text("report_state")?
        .and_then(|s| State::parse(&s))
        .unwrap_or(State::None);
    let kind = kind_of(&modality);
    let study = StudyFacts {
        id: row.int("id")?,
        study_uid: row.text("study_uid")?,
        institution_id: InstitutionId(row.int("institution_id")?),
        patient_id: row.int("patient_id")?,
        person_id: row.opt_int("person_id")?,
        body_part: body_part.map_or_else(|| text("body_part"), Ok)?,
        accession_number: row.opt_text("accession_number")?,
        priority: row
            .opt_text("priority")?
            .and_then(|p| Priority::parse(&p))
            .unwrap_or(Priority::Routine),
        item_code: row.opt_text("item_code")?,
        item_name: row.opt_text("item_name")?,
        report_state,
        modality,
        kind,
    };
    let subject = Subject {
        own: false,
        reading: row.bool("reading")?,
        treating: row.bool("treating")?,
        signed: matches!(report_state, State::Signed | State::Amended),
        kind,
    };
    Ok(Facts { subject, study })
}

impl Reading {
    /// The facts of a study as one institution sees them; `None` when there is no such study.
    pub(crate) async fn facts(&self, institution: InstitutionId, study_uid: &str) -> Result<Option<Facts>> {
        let key = (institution.0, study_uid.to_owned());
        if let Some(kept) = self.subjects().get(&key) {
            return Ok(Some(kept));
        }
        let params = params![study_uid, institution, archive::UnixMicros::now()];
        let Some(row) = self.archive().db().fetch_optional(sql::FACTS, params).await? else {
            return Ok(None);
        };
        let mut facts = read(&row)?;
        facts.subject.own = facts.study.institution_id == institution;
        self.subjects().put(key, facts.clone());
        Ok(Some(facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modality_that_is_read() {
        let check =
            |order: Option<&str>, study: &str, expect: &str| assert_eq!(main_modality(order, study), expect);
        check(None, "SR\\CT", "CT");
        check(None, "PR", "");
        check(Some("CT"), "SR", "CT");
        check(Some(""), "US OT", "US");
        check(None, "", "");
        assert_eq!(kind_of("ECG"), Kind::Ecg);
        assert_eq!(kind_of("CT"), Kind::Imaging);
    }
}
