//! A study with its patient, order and institution in one row: for documents, lists and timelines.

use archive::db::Row;
use archive::{InstitutionId, UnixMicros};
use serde::Serialize;

use crate::error::Result;
use crate::goals::Priority;
use crate::identity;
use crate::study::main_modality;

/// Columns and joins shared by everything that shows a study.
macro_rules! context_sql {
    ($tail:expr) => {
        concat!(
            "SELECT s.id AS s_id, s.study_uid AS s_uid, s.institution_id AS s_institution, s.study_date AS s_date, s.study_time AS s_time, ",
            "s.description AS s_description, s.modalities AS s_modalities, s.body_part AS s_body_part, s.state AS s_state, ",
            "s.accession_number AS s_accession, s.series_count AS s_series, s.instance_count AS s_instances, ",
            "s.received_first_at AS s_received, p.id AS p_id, p.identifier AS p_identifier, COALESCE(s.said_name, p.name) AS p_name, COALESCE(s.said_pinyin, p.pinyin) AS p_pinyin, ",
            "p.sex AS p_sex, p.birth_date AS p_birth, p.national_id AS p_national, p.person_id AS p_person, ",
            "o.accession_number AS o_accession, o.modality AS o_modality, o.body_part AS o_body_part, o.item_code AS o_item_code, ",
            "o.item_name AS o_item_name, o.priority AS o_priority, o.clinical_history AS o_history, o.ordered_at AS o_at, ",
            "o.ordered_by AS o_by, o.id AS o_id ",
            $tail
        )
    };
}
pub(crate) use context_sql;

/// A study as shown.
#[derive(Debug, Clone)]
pub struct StudyContext {
    /// Row.
    pub id: i64,
    /// Study Instance UID.
    pub study_uid: String,
    /// Institution that took or ordered it.
    pub institution_id: InstitutionId,
    /// When it was taken, Unix microseconds; its receipt when the device gave no time.
    pub study_at: i64,
    /// When its first object arrived, Unix microseconds.
    pub received_at: i64,
    /// Whether objects are still arriving.
    pub receiving: bool,
    /// Description by the device.
    pub description: Option<String>,
    /// All modalities.
    pub modalities: Vec<String>,
    /// Modality that is read.
    pub modality: String,
    /// Body part examined.
    pub body_part: Option<String>,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Number of series.
    pub series: i64,
    /// Number of objects.
    pub instances: i64,
    /// The patient.
    pub patient: PatientContext,
    /// Its order, when matched.
    pub order: Option<OrderContext>,
}

/// A patient as shown to those who may see them.
#[derive(Debug, Clone)]
pub struct PatientContext {
    /// Row.
    pub id: i64,
    /// Number at its institution.
    pub identifier: String,
    /// Name.
    pub name: String,
    /// Name in Latin letters.
    pub pinyin: Option<String>,
    /// M, F or O.
    pub sex: Option<String>,
    /// DICOM date.
    pub birth_date: Option<String>,
    /// Resident identity number.
    pub national_id: Option<String>,
    /// Person across institutions.
    pub person_id: Option<i64>,
}

/// The patient in JSON.
#[derive(Debug, Clone, Serialize)]
pub struct PatientView {
    /// Row.
    pub id: String,
    /// Name.
    pub name: String,
    /// Name in Latin letters.
    pub name_pinyin: Option<String>,
    /// M, F or O.
    pub sex: Option<String>,
    /// ISO 8601 date.
    pub birth_date: Option<String>,
    /// Age on the day of the exam.
    pub age_text: Option<String>,
    /// Number at its institution.
    pub identifier: String,
    /// Resident identity number, hidden but for its ends.
    pub national_id_masked: Option<String>,
}

/// An order as shown beside its study.
#[derive(Debug, Clone)]
pub struct OrderContext {
    /// Row.
    pub id: i64,
    /// Code of the exam item.
    pub item_code: Option<String>,
    /// Name of the exam item.
    pub item_name: Option<String>,
    /// Urgency.
    pub priority: Priority,
    /// 临床病史.
    pub clinical_history: Option<String>,
    /// When it was placed, Unix microseconds.
    pub ordered_at: i64,
    /// By which account.
    pub ordered_by: Option<String>,
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.trim().is_empty())
}

impl StudyContext {
    /// Reads a row of [`context_sql`].
    ///
    /// # Errors
    /// When a column is missing.
    pub(crate) fn read(row: &Row) -> Result<StudyContext> {
        let received_at = row.int("s_received")?;
        let modalities = row.opt_text("s_modalities")?.unwrap_or_default();
        let order_modality = row.opt_text("o_modality")?;
        let study_at = dicom_moment(
            row.opt_text("s_date")?.as_deref(),
            row.opt_text("s_time")?.as_deref(),
        );
        let order = match row.opt_int("o_id")? {
            None => None,
            Some(id) => Some(OrderContext {
                id,
                item_code: filled(row.opt_text("o_item_code")?),
                item_name: filled(row.opt_text("o_item_name")?),
                priority: row
                    .opt_text("o_priority")?
                    .and_then(|p| Priority::parse(&p))
                    .unwrap_or(Priority::Routine),
                clinical_history: filled(row.opt_text("o_history")?),
                ordered_at: row.opt_int("o_at")?.unwrap_or(received_at),
                ordered_by: filled(row.opt_text("o_by")?),
            }),
        };
        Ok(StudyContext {
            id: row.int("s_id")?,
            study_uid: row.text("s_uid")?,
            institution_id: InstitutionId(row.int("s_institution")?),
            study_at: study_at.unwrap_or(received_at),
            received_at,
            receiving: row.text("s_state")? == "receiving",
            description: filled(row.opt_text("s_description")?),
            modality: main_modality(order_modality.as_deref(), &modalities),
            modalities: modalities
                .split(['\\', ',', ' '])
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .collect(),
            body_part: filled(row.opt_text("o_body_part")?).or(filled(row.opt_text("s_body_part")?)),
            accession_number: filled(row.opt_text("o_accession")?).or(filled(row.opt_text("s_accession")?)),
            series: row.opt_int("s_series")?.unwrap_or(0),
            instances: row.opt_int("s_instances")?.unwrap_or(0),
            patient: PatientContext {
                id: row.int("p_id")?,
                identifier: row.opt_text("p_identifier")?.unwrap_or_default(),
                name: row.opt_text("p_name")?.unwrap_or_default(),
                pinyin: filled(row.opt_text("p_pinyin")?),
                sex: filled(row.opt_text("p_sex")?),
                birth_date: filled(row.opt_text("p_birth")?),
                national_id: filled(row.opt_text("p_national")?),
                person_id: row.opt_int("p_person")?,
            },
            order,
        })
    }

    /// Urgency.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.order.as_ref().map_or(Priority::Routine, |o| o.priority)
    }

    /// Name of what was examined: the order's item, else the device's description, else the modality.
    #[must_use]
    pub fn item_name(&self) -> String {
        let ordered = self.order.as_ref().and_then(|o| o.item_name.clone());
        ordered
            .or_else(|| self.description.clone())
            .unwrap_or_else(|| self.modality.clone())
    }

    /// Code of the exam item.
    #[must_use]
    pub fn item_code(&self) -> Option<String> {
        let ordered = self.order.as_ref().and_then(|o| o.item_code.clone());
        ordered.or_else(|| {
            crate::catalogue::item_for(&self.modality, self.body_part.as_deref()).map(|i| i.code.to_owned())
        })
    }

    /// The patient in JSON, with the age on the day of the exam.
    #[must_use]
    pub fn patient_view(&self) -> PatientView {
        self.patient.view(self.study_at)
    }
}

impl PatientContext {
    /// The patient in JSON, with the age at `moment` (Unix microseconds).
    #[must_use]
    pub fn view(&self, moment: i64) -> PatientView {
        PatientView {
            id: self.id.to_string(),
            name: self.name.clone(),
            name_pinyin: self.pinyin.clone(),
            sex: self.sex.clone(),
            birth_date: self.birth_date.as_deref().map(identity::to_iso_date),
            age_text: self
                .birth_date
                .as_deref()
                .and_then(|born| identity::age_text(born, &local_day(moment))),
            identifier: self.identifier.clone(),
            national_id_masked: self.national_id.as_deref().map(identity::mask_national_id),
        }
    }
}

/// Offset of the wall clocks in the county: China Standard Time, UTC+8 without summer time.
pub const LOCAL_OFFSET_US: i64 = 8 * 60 * 60 * 1_000_000;

/// The local calendar day of a moment, `YYYYMMDD`.
#[must_use]
pub fn local_day(micros: i64) -> String {
    UnixMicros(micros.saturating_add(LOCAL_OFFSET_US))
        .to_iso8601()
        .chars()
        .take(10)
        .filter(|c| *c != '-')
        .collect()
}

/// The local wall clock of a moment to the minute, `2026-11-21 08:30`.
#[must_use]
pub fn local_minute(micros: i64) -> String {
    let text = UnixMicros(micros.saturating_add(LOCAL_OFFSET_US)).to_iso8601();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// A DICOM date and time (local wall clock) as a moment.
#[must_use]
pub fn dicom_moment(date: Option<&str>, time: Option<&str>) -> Option<i64> {
    let day = identity::to_dicom_date(date?)?;
    let digits: String = time
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let part = |from: usize| digits.get(from..from + 2).and_then(|d| d.parse::<i64>().ok());
    let (h, m, s) = (part(0).unwrap_or(0), part(2).unwrap_or(0), part(4).unwrap_or(0));
    let midnight = UnixMicros::parse_iso8601(&identity::to_iso_date(&day))?.0;
    if h > 23 || m > 59 || s > 60 {
        return Some(midnight - LOCAL_OFFSET_US);
    }
    Some(midnight + (h * 3600 + m * 60 + s) * 1_000_000 - LOCAL_OFFSET_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_times_are_local() {
        let check = |date, time, iso: Option<&str>| {
            assert_eq!(
                dicom_moment(date, time)
                    .map(|t| UnixMicros(t).to_iso8601())
                    .as_deref(),
                iso
            );
        };
        check(
            Some("20261121"),
            Some("083015.123"),
            Some("2026-11-21T00:30:15.000Z"),
        );
        check(Some("20261121"), None, Some("2026-11-20T16:00:00.000Z"));
        check(Some("20261121"), Some("99"), Some("2026-11-20T16:00:00.000Z"));
        check(Some("2026"), Some("08"), None);
        check(None, Some("08"), None);
    }

    #[test]
    fn moments_are_shown_on_the_local_clock() {
        let t = UnixMicros::parse_iso8601("2026-11-20T16:30:00Z").unwrap().0;
        assert_eq!(local_minute(t), "2026-11-21 00:30");
        assert_eq!(local_day(t), "20261121");
    }
}
