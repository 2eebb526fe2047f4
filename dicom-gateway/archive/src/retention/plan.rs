//! What has ended and what has not, person by person. Looks only.

use super::rules::kept_until;
use super::{Class, Hold, HoldTarget, Retention, Rules, Traits, day_of};
use crate::db::{Db, Row, Tx};
use crate::error::Result;
use crate::params;
use crate::receive::unpack;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use time::macros::date;
use time::{Date, Month};

/// Persons looked at together.
const PAGE_PERSONS: i64 = 200;
/// A date before this one is a device's clock, no visit: the standard is younger.
const FIRST_DAY: Date = date!(1970 - 01 - 01);
/// Admission ID (0038,0010) in DICOM JSON.
const ADMISSION_ID: &str = "00380010";

crate::statements! {
    mod sql {
        PERSONS = "SELECT id FROM person WHERE id > $1 ORDER BY id LIMIT $2";
        PATIENTS = "SELECT id, person_id FROM patient WHERE person_id > $1 AND person_id <= $2";
        STUDIES = "SELECT p.person_id, p.id AS patient_id, st.id AS study_id, st.study_uid, st.study_date, st.modalities, st.state, st.received_first_at, n.code, n.kind FROM patient p JOIN study st ON st.patient_id = p.id JOIN institution n ON n.id = st.institution_id WHERE p.person_id > $1 AND p.person_id <= $2 ORDER BY st.id";
        ORDERS = "SELECT p.person_id, MAX(o.ordered_at) AS ordered_at, MAX(o.scheduled_at) AS scheduled_at FROM patient p JOIN exam_order o ON o.patient_id = p.id WHERE p.person_id > $1 AND p.person_id <= $2 GROUP BY p.person_id";
        ATTRIBUTES = "SELECT d.attributes FROM instance i JOIN instance_detail d ON d.instance_id = i.id WHERE i.study_id = $1 ORDER BY i.id LIMIT 1";
    }
}

/// What becomes of the records of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Their time has ended.
    Ended,
    /// Kept by time.
    Kept,
    /// Kept by a hold on the patient.
    Held {
        /// Numbers of the holds.
        holds: Vec<i64>,
    },
    /// Objects of a study still arrive.
    Arriving,
}

/// A study of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StudyPlan {
    #[serde(skip)]
    pub(super) study_id: i64,
    /// Row of its patient.
    pub patient_id: i64,
    /// Study Instance UID.
    pub study_uid: String,
    /// Code of its institution.
    pub institution: String,
    #[serde(skip)]
    pub(super) institution_kind: String,
    #[serde(skip)]
    pub(super) modalities: Vec<String>,
    /// Day of the exam, else of its arrival.
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    /// Its class.
    pub class: String,
    /// Number of a hold on this very study.
    pub held_by: Option<i64>,
    #[serde(skip)]
    pub(super) arriving: bool,
}

/// The records of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonPlan {
    /// Row of the person.
    pub person_id: i64,
    /// Rows of the person's patients, one for each institution.
    pub patients: Vec<i64>,
    /// Newest day of an exam or order.
    #[serde(serialize_with = "as_text")]
    pub last_visit: Date,
    /// The class that keeps longest.
    pub class: String,
    /// Its law.
    pub law: String,
    /// Last day on which the records are kept.
    #[serde(serialize_with = "as_text")]
    pub kept_until: Date,
    /// What becomes of them.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The studies.
    pub studies: Vec<StudyPlan>,
}

fn as_text<S: serde::Serializer>(day: &Date, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&day.to_string())
}

/// Figures of a whole plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PlanSummary {
    /// Persons looked at who have records.
    pub persons: u64,
    /// Of them, whose time has ended.
    pub ended: u64,
    /// Kept by time.
    pub kept: u64,
    /// Kept by a hold on the patient.
    pub held: u64,
    /// Kept because objects arrive.
    pub arriving: u64,
    /// Studies that may go.
    pub studies_ended: u64,
    /// Studies of ended persons that a hold on the study keeps.
    pub studies_held: u64,
    /// The next day on which something ends, as YYYY-MM-DD; none when nothing is kept by time.
    #[serde(serialize_with = "as_optional_text")]
    pub next_end: Option<Date>,
}

fn as_optional_text<S: serde::Serializer>(day: &Option<Date>, to: S) -> std::result::Result<S::Ok, S::Error> {
    match day {
        Some(day) => as_text(day, to),
        None => to.serialize_none(),
    }
}

impl PlanSummary {
    /// Counts one person.
    pub fn count(&mut self, plan: &PersonPlan) {
        self.persons += 1;
        match plan.verdict {
            Verdict::Ended => {
                self.ended += 1;
                let held = plan.studies.iter().filter(|s| s.held_by.is_some()).count() as u64;
                self.studies_held += held;
                self.studies_ended += plan.studies.len() as u64 - held;
            }
            Verdict::Kept => {
                self.kept += 1;
                let next = self
                    .next_end
                    .map_or(plan.kept_until, |day| day.min(plan.kept_until));
                self.next_end = Some(next);
            }
            Verdict::Held { .. } => self.held += 1,
            Verdict::Arriving => self.arriving += 1,
        }
    }
}

/// Rows of a range of persons.
#[derive(Default)]
pub(super) struct PersonRows {
    patients: BTreeMap<i64, Vec<i64>>,
    studies: BTreeMap<i64, Vec<StudyPlan>>,
    orders: BTreeMap<i64, Date>,
}

impl PersonRows {
    async fn read(db: &Db, after: i64, to: i64) -> Result<Self> {
        let range = || params![after, to];
        let patients = db.fetch_all(sql::PATIENTS, range()).await?;
        let studies = db.fetch_all(sql::STUDIES, range()).await?;
        let orders = db.fetch_all(sql::ORDERS, range()).await?;
        Self::gather(&patients, &studies, &orders)
    }

    /// One person, inside a transaction.
    pub(super) async fn read_in(tx: &mut Tx, person_id: i64) -> Result<Self> {
        let range = || params![person_id - 1, person_id];
        let patients = tx.fetch_all(sql::PATIENTS, range()).await?;
        let studies = tx.fetch_all(sql::STUDIES, range()).await?;
        let orders = tx.fetch_all(sql::ORDERS, range()).await?;
        Self::gather(&patients, &studies, &orders)
    }

    /// Rows of a person's patients.
    pub(super) fn patients_of(&self, person_id: i64) -> Vec<i64> {
        self.patients.get(&person_id).cloned().unwrap_or_default()
    }

    /// No study is left, and no order is younger than `last_visit`.
    pub(super) fn is_past(&self, person_id: i64, last_visit: Date) -> bool {
        let newest = self.orders.get(&person_id);
        self.studies.get(&person_id).is_none_or(Vec::is_empty) && newest.is_none_or(|day| *day <= last_visit)
    }

    fn gather(patients: &[Row], studies: &[Row], orders: &[Row]) -> Result<Self> {
        let mut all = Self::default();
        for row in patients {
            let of = all.patients.entry(row.int("person_id")?).or_default();
            of.push(row.int("id")?);
        }
        for row in studies {
            let of = all.studies.entry(row.int("person_id")?).or_default();
            of.push(study(row)?);
        }
        for row in orders {
            let newest = row.micros("ordered_at")?.max(row.micros("scheduled_at")?);
            all.orders.insert(row.int("person_id")?, day_of(newest));
        }
        Ok(all)
    }

    /// What becomes of each person. `admitted` holds studies with an Admission ID.
    pub(super) fn judge(
        self,
        rules: &Rules,
        holds: &[Hold],
        today: Date,
        admitted: &BTreeSet<i64>,
    ) -> Vec<PersonPlan> {
        let Self {
            patients,
            mut studies,
            orders,
        } = self;
        let plans = patients.into_iter().filter_map(|(person_id, patients)| {
            let studies = studies.remove(&person_id).unwrap_or_default();
            let days = studies.iter().map(|study| study.day);
            let last_visit = days.chain(orders.get(&person_id).copied()).max()?;
            Some(judge_person(
                PersonPlan {
                    person_id,
                    patients,
                    last_visit,
                    class: String::new(),
                    law: String::new(),
                    kept_until: Date::MAX,
                    verdict: Verdict::Kept,
                    studies,
                },
                rules,
                holds,
                today,
                admitted,
            ))
        });
        plans.collect()
    }
}

fn judge_person(
    mut plan: PersonPlan,
    rules: &Rules,
    holds: &[Hold],
    today: Date,
    admitted: &BTreeSet<i64>,
) -> PersonPlan {
    // Orders without a study have the class of a study that nothing is known of.
    let nothing = Traits {
        institution: "",
        institution_kind: "",
        modalities: &[],
        admitted: false,
    };
    let mut longest: Option<&Class> = plan.studies.is_empty().then(|| rules.class_of(&nothing));
    for study in &mut plan.studies {
        let class = rules.class_of(&Traits {
            institution: &study.institution,
            institution_kind: &study.institution_kind,
            modalities: &study.modalities,
            admitted: admitted.contains(&study.study_id),
        });
        study.class.clone_from(&class.name);
        study.held_by = holds
            .iter()
            .find(|hold| matches!(&hold.target, HoldTarget::Study(uid) if *uid == study.study_uid))
            .map(|hold| hold.id);
        if longest.is_none_or(|known| class.years > known.years) {
            longest = Some(class);
        }
    }
    if let Some(class) = longest {
        plan.class.clone_from(&class.name);
        plan.law.clone_from(&class.law);
        plan.kept_until = kept_until(plan.last_visit, class.years);
    }
    let on_patient = |hold: &&Hold| match &hold.target {
        HoldTarget::Patient(id) => plan.patients.contains(&id.0),
        HoldTarget::Study(_) => false,
    };
    let holding: Vec<i64> = holds.iter().filter(on_patient).map(|hold| hold.id).collect();
    plan.verdict = if !holding.is_empty() {
        Verdict::Held { holds: holding }
    } else if today <= plan.kept_until {
        Verdict::Kept
    } else if plan.studies.iter().any(|study| study.arriving) {
        Verdict::Arriving
    } else {
        Verdict::Ended
    };
    plan
}

fn study(row: &Row) -> Result<StudyPlan> {
    let received = day_of(row.micros("received_first_at")?);
    let told = row.opt_text("study_date")?.as_deref().and_then(dicom_day);
    let modalities = row.text("modalities")?;
    Ok(StudyPlan {
        study_id: row.int("study_id")?,
        patient_id: row.int("patient_id")?,
        study_uid: row.text("study_uid")?,
        institution: row.text("code")?,
        institution_kind: row.text("kind")?,
        modalities: modalities.split('\\').map(str::to_owned).collect(),
        // An exam is never after its arrival, and never before there were such devices.
        day: told
            .filter(|day| (FIRST_DAY..=received).contains(day))
            .unwrap_or(received),
        class: String::new(),
        held_by: None,
        arriving: row.text("state")? == "receiving",
    })
}

/// A DA value as it was sent.
fn dicom_day(text: &str) -> Option<Date> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<u16>().ok();
    if digits.len() != 8 {
        return None;
    }
    let month = Month::try_from(u8::try_from(part(4, 6)?).ok()?).ok()?;
    Date::from_calendar_date(i32::from(part(0, 4)?), month, u8::try_from(part(6, 8)?).ok()?).ok()
}

fn carries_admission(packed: &[u8]) -> Result<bool> {
    let json: serde_json::Value = unpack(packed)?;
    let value = json
        .get(ADMISSION_ID)
        .and_then(|element| element.get("Value"))
        .and_then(|v| v.get(0));
    Ok(value
        .and_then(serde_json::Value::as_str)
        .is_some_and(|id| !id.trim().is_empty()))
}

/// Studies of a person that carry an Admission ID.
pub(super) async fn admitted(db: &Db, plan: &PersonPlan) -> Result<BTreeSet<i64>> {
    let mut found = BTreeSet::new();
    for study in &plan.studies {
        let row = db
            .fetch_optional(sql::ATTRIBUTES, params![study.study_id])
            .await?;
        let carries = row
            .map(|row| carries_admission(&row.bytes("attributes")?))
            .transpose()?;
        if carries == Some(true) {
            found.insert(study.study_id);
        }
    }
    Ok(found)
}

impl Retention {
    /// Looks at every person who has records and tells `each` what becomes of them.
    ///
    /// # Errors
    /// What the index says.
    pub async fn plan(
        &self,
        rules: &Rules,
        today: Date,
        mut each: impl FnMut(PersonPlan) + Send,
    ) -> Result<PlanSummary> {
        let mut summary = PlanSummary::default();
        let mut after = 0;
        while let Some((plans, last)) = self.plan_page(rules, today, after).await? {
            after = last;
            for plan in plans {
                summary.count(&plan);
                each(plan);
            }
        }
        Ok(summary)
    }

    /// The next persons after row `after`, and the last row looked at; `None` at the end.
    pub(super) async fn plan_page(
        &self,
        rules: &Rules,
        today: Date,
        after: i64,
    ) -> Result<Option<(Vec<PersonPlan>, i64)>> {
        let db = self.archive.db();
        let page = db.fetch_all(sql::PERSONS, params![after, PAGE_PERSONS]).await?;
        let Some(last) = page.last() else { return Ok(None) };
        let last = last.int("id")?;
        let holds = self.holds().await?;
        let rows = PersonRows::read(db, after, last).await?;
        let mut plans = rows.judge(rules, &holds, today, &BTreeSet::new());
        if rules.ask_for_admission() {
            for plan in &mut plans {
                // Admission only ever keeps longer or shorter what is not held: asked where it matters.
                if !matches!(plan.verdict, Verdict::Ended) {
                    continue;
                }
                let admitted = admitted(db, plan).await?;
                if !admitted.is_empty() {
                    *plan = judge_person(plan.clone(), rules, &holds, today, &admitted);
                }
            }
        }
        Ok(Some((plans, last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_devices_send_them() {
        for (text, day) in [
            ("20100531", Some(date!(2010 - 05 - 31))),
            ("2010.05.31", Some(date!(2010 - 05 - 31))),
            ("20100231", None),
            ("2010", None),
            ("", None),
            ("00000000", None),
            ("201005310", None),
        ] {
            assert_eq!(dicom_day(text), day, "{text}");
        }
    }
}
