//! Exam requests: they feed the modality worklist, and studies that carry their numbers belong to
//! the institution that asked.

use crate::db::{Db, Row, Tx, Value};
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, OrderId, PatientId, UnixMicros};
use crate::name::search_key;
use crate::params;
use crate::patient::{FactSource, Patient, PatientFacts, upsert_in};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Orders of one answer at most.
pub(crate) const ORDERS_MAX: u32 = 1000;
/// China has one time zone: days of accession numbers are counted in it.
const CHINA_OFFSET_MICROS: i64 = 8 * 3600 * 1_000_000;
/// Longest code or name of an exam item, body part or modality.
const WORD_CHARACTERS_MAX: usize = 200;
/// Longest clinical history (PS3.5, VR LT).
const HISTORY_CHARACTERS_MAX: usize = 10_240;

macro_rules! order_columns {
    () => {
        "o.id AS order_id, o.accession_number, o.study_uid, o.patient_id, o.institution_id AS requesting_id, o.modality, o.body_part, o.item_code, o.item_name, o.priority, o.clinical_history, o.scheduled_ae, o.scheduled_at, o.ordered_by, o.ordered_at, o.state"
    };
}
macro_rules! with_patient {
    ($tail:expr) => {
        concat!(
            "SELECT ",
            order_columns!(),
            ", p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id FROM exam_order o JOIN patient p ON p.id = o.patient_id",
            $tail
        )
    };
}

crate::statements! {
    mod sql {
        NEXT_NUMBER = "INSERT INTO accession_counter (day, last_number) VALUES ($1, 1) ON CONFLICT (day) DO UPDATE SET last_number = accession_counter.last_number + 1 RETURNING last_number";
        INSERT = "INSERT INTO exam_order (accession_number, study_uid, patient_id, institution_id, modality, body_part, item_code, item_name, priority, clinical_history, scheduled_ae, scheduled_at, ordered_by, ordered_at, state, state_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'ordered', $14) RETURNING id";
        BY_ID = concat!("SELECT ", order_columns!(), " FROM exam_order o WHERE o.id = $1");
        BY_ACCESSION = concat!("SELECT ", order_columns!(), " FROM exam_order o WHERE o.accession_number = $1");
        BY_STUDY = concat!("SELECT ", order_columns!(), " FROM exam_order o WHERE o.study_uid = $1");
        SET_STATE = "UPDATE exam_order SET state = $2, state_at = $3 WHERE id = $1";
        MATCH = "SELECT id, institution_id, patient_id, priority, state FROM exam_order WHERE study_uid = $1 AND accession_number = $2";
    }
}

/// How soon an exam is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// At once.
    #[serde(rename = "STAT")]
    Stat,
    /// Within the hour.
    #[serde(rename = "URGENT")]
    Urgent,
    /// In turn.
    #[serde(rename = "ROUTINE")]
    Routine,
    /// After everything else.
    #[serde(rename = "SCREENING")]
    Screening,
}

impl Priority {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stat => "STAT",
            Self::Urgent => "URGENT",
            Self::Routine => "ROUTINE",
            Self::Screening => "SCREENING",
        }
    }

    /// Priority of jobs: greater is sooner.
    pub fn job_priority(self) -> i64 {
        match self {
            Self::Stat => 100,
            Self::Urgent => 50,
            Self::Routine => 0,
            Self::Screening => -50,
        }
    }
}

impl FromStr for Priority {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "STAT" => Ok(Self::Stat),
            "URGENT" => Ok(Self::Urgent),
            "ROUTINE" => Ok(Self::Routine),
            "SCREENING" => Ok(Self::Screening),
            _ => Err(ArchiveError::invalid(
                "priority",
                "write STAT, URGENT, ROUTINE or SCREENING",
            )),
        }
    }
}

/// Where an exam request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Waiting for the exam.
    Ordered,
    /// The device says that it has begun.
    InProgress,
    /// Images have come.
    Arrived,
    /// The report is signed.
    Reported,
    /// Withdrawn, or the device says that it was broken off.
    Cancelled,
}

impl OrderState {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::InProgress => "in_progress",
            Self::Arrived => "arrived",
            Self::Reported => "reported",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for OrderState {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ordered" => Ok(Self::Ordered),
            "in_progress" => Ok(Self::InProgress),
            "arrived" => Ok(Self::Arrived),
            "reported" => Ok(Self::Reported),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(ArchiveError::invalid("order state", text)),
        }
    }
}

/// An exam request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Row.
    pub id: OrderId,
    /// Accession Number (0008,0050).
    pub accession_number: String,
    /// Study Instance UID that the device will use.
    pub study_uid: String,
    /// Whom.
    pub patient_id: PatientId,
    /// Who asked.
    pub institution_id: InstitutionId,
    /// DICOM modality.
    pub modality: String,
    /// Body part examined.
    pub body_part: String,
    /// Code of the exam item.
    pub item_code: String,
    /// Name of the exam item.
    pub item_name: String,
    /// How soon.
    pub priority: Priority,
    /// What the clinician writes.
    pub clinical_history: String,
    /// AE title of the device that will do it.
    pub scheduled_ae: Option<String>,
    /// When.
    pub scheduled_at: UnixMicros,
    /// Account.
    pub ordered_by: String,
    /// When it was asked.
    pub ordered_at: UnixMicros,
    /// Where it stands.
    pub state: OrderState,
}

/// An exam request to be made.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Whom.
    pub patient: PatientFacts,
    /// Who asks.
    pub institution_id: InstitutionId,
    /// DICOM modality.
    pub modality: String,
    /// Body part examined.
    pub body_part: String,
    /// Code of the exam item.
    pub item_code: String,
    /// Name of the exam item.
    pub item_name: String,
    /// How soon.
    pub priority: Priority,
    /// What the clinician writes.
    pub clinical_history: String,
    /// AE title of the device that will do it.
    pub scheduled_ae: Option<String>,
    /// When; now when not given.
    pub scheduled_at: Option<UnixMicros>,
    /// Account.
    pub ordered_by: String,
}

/// Which orders a worklist query wants; an empty filter wants all that wait.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// AE title of the device.
    pub scheduled_ae: Option<String>,
    /// DICOM modality.
    pub modality: Option<String>,
    /// Scheduled not before.
    pub from: Option<UnixMicros>,
    /// Scheduled before.
    pub to: Option<UnixMicros>,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Patient ID.
    pub patient_identifier: Option<String>,
    /// Name or its beginning, in any form.
    pub patient_name_prefix: Option<String>,
    /// Only of these institutions; `None` is all.
    pub institutions: Option<Vec<InstitutionId>>,
    /// Only in these states; empty is `ordered`, and `in_progress` without a completed step.
    pub states: Vec<OrderState>,
}

/// An order with its patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderItem {
    /// The order.
    pub order: Order,
    /// Its patient.
    pub patient: Patient,
}

fn read(row: &Row) -> Result<Order> {
    Ok(Order {
        id: OrderId(row.int("order_id")?),
        accession_number: row.text("accession_number")?,
        study_uid: row.text("study_uid")?,
        patient_id: PatientId(row.int("patient_id")?),
        institution_id: InstitutionId(row.int("requesting_id")?),
        modality: row.text("modality")?,
        body_part: row.text("body_part")?,
        item_code: row.text("item_code")?,
        item_name: row.text("item_name")?,
        priority: row.text("priority")?.parse()?,
        clinical_history: row.text("clinical_history")?,
        scheduled_ae: row.opt_text("scheduled_ae")?,
        scheduled_at: row.micros("scheduled_at")?,
        ordered_by: row.text("ordered_by")?,
        ordered_at: row.micros("ordered_at")?,
        state: row.text("state")?.parse()?,
    })
}

/// A new Study Instance UID from random bits (PS3.5 B.2).
pub fn new_study_uid() -> String {
    format!("2.25.{}", uuid::Uuid::new_v4().as_u128())
}

async fn new_accession_number(tx: &mut Tx, now: UnixMicros) -> Result<String> {
    let day = UnixMicros(now.0.saturating_add(CHINA_OFFSET_MICROS)).to_iso8601();
    let day: String = day
        .chars()
        .take(10)
        .filter(char::is_ascii_digit)
        .skip(2)
        .collect();
    let number = tx
        .fetch_one(sql::NEXT_NUMBER, params![&day])
        .await?
        .int("last_number")?;
    Ok(format!("GY{day}{number:06}"))
}

fn check(new: &NewOrder) -> Result<()> {
    if new.patient.identifier.trim().is_empty() {
        return Err(ArchiveError::invalid("patient id", "it is empty"));
    }
    for (what, text) in [
        ("modality", &new.modality),
        ("item_code", &new.item_code),
        ("item_name", &new.item_name),
        ("body_part", &new.body_part),
    ] {
        let is_needed = what != "body_part";
        let length = text.chars().count();
        if length > WORD_CHARACTERS_MAX || (is_needed && text.trim().is_empty()) {
            return Err(ArchiveError::invalid(what, "use 1 to 200 characters"));
        }
    }
    if new.clinical_history.chars().count() > HISTORY_CHARACTERS_MAX {
        return Err(ArchiveError::invalid(
            "clinical_history",
            "use at most 10240 characters",
        ));
    }
    Ok(())
}

/// Makes an order, and its patient when new, inside the caller's transaction.
///
/// # Errors
/// [`ArchiveError::Invalid`] names the field.
pub async fn create_in(tx: &mut Tx, new: NewOrder) -> Result<Order> {
    check(&new)?;
    let now = UnixMicros::now();
    let patient_id = upsert_in(tx, new.institution_id, new.patient, FactSource::Order).await?;
    let accession_number = new_accession_number(tx, now).await?;
    let study_uid = new_study_uid();
    let scheduled_at = new.scheduled_at.unwrap_or(now);
    let values = params![
        &accession_number,
        &study_uid,
        patient_id,
        new.institution_id,
        &new.modality,
        &new.body_part,
        &new.item_code,
        &new.item_name,
        new.priority.as_str(),
        &new.clinical_history,
        &new.scheduled_ae,
        scheduled_at,
        &new.ordered_by,
        now
    ];
    let id = tx.fetch_one(sql::INSERT, values).await?.int("id")?;
    Ok(Order {
        id: OrderId(id),
        accession_number,
        study_uid,
        patient_id,
        institution_id: new.institution_id,
        modality: new.modality,
        body_part: new.body_part,
        item_code: new.item_code,
        item_name: new.item_name,
        priority: new.priority,
        clinical_history: new.clinical_history,
        scheduled_ae: new.scheduled_ae,
        scheduled_at,
        ordered_by: new.ordered_by,
        ordered_at: now,
        state: OrderState::Ordered,
    })
}

/// Moves an order on, inside the caller's transaction.
///
/// # Errors
/// [`ArchiveError::NotFound`].
pub async fn set_state_in(tx: &mut Tx, id: OrderId, state: OrderState) -> Result<()> {
    let values = params![id, state.as_str(), UnixMicros::now()];
    match tx.execute(sql::SET_STATE, values).await? {
        0 => Err(ArchiveError::NotFound(format!("order {id}"))),
        _ => Ok(()),
    }
}

/// The orders of an archive.
#[derive(Clone)]
pub struct Orders {
    pub(crate) db: Db,
}

impl Orders {
    /// Makes an order.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] names the field.
    pub async fn create(&self, new: NewOrder) -> Result<Order> {
        self.db
            .write(move |tx| Box::pin(async move { create_in(tx, new).await }))
            .await
    }

    /// By row.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn by_id(&self, id: OrderId) -> Result<Order> {
        let row = self.db.fetch_optional(sql::BY_ID, params![id]).await?;
        read(&row.ok_or_else(|| ArchiveError::NotFound(format!("order {id}")))?)
    }

    /// By accession number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_accession(&self, accession_number: &str) -> Result<Option<Order>> {
        let row = self
            .db
            .fetch_optional(sql::BY_ACCESSION, params![accession_number])
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// By Study Instance UID.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_study_uid(&self, study_uid: &str) -> Result<Option<Order>> {
        let row = self.db.fetch_optional(sql::BY_STUDY, params![study_uid]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Moves an order on.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn set_state(&self, id: OrderId, state: OrderState) -> Result<()> {
        self.db
            .write(move |tx| Box::pin(async move { set_state_in(tx, id, state).await }))
            .await
    }

    /// Orders that fit, soonest first: the modality worklist.
    ///
    /// # Errors
    /// What the index says.
    pub async fn worklist(&self, filter: &OrderFilter, limit: u32) -> Result<Vec<OrderItem>> {
        let (sql, params) = worklist_sql(filter, limit);
        let rows = self.db.fetch_dynamic(sql, params).await?;
        let item = |row: &Row| {
            Ok(OrderItem {
                order: read(row)?,
                patient: crate::patient::read(row)?,
            })
        };
        rows.iter().map(item).collect()
    }
}

fn worklist_sql(filter: &OrderFilter, limit: u32) -> (String, Vec<Value>) {
    let mut params: Vec<Value> = Vec::new();
    let mut text = with_patient!(" WHERE o.state IN (").to_owned();
    let states: &[OrderState] = if filter.states.is_empty() {
        &[OrderState::Ordered, OrderState::InProgress]
    } else {
        &filter.states
    };
    let words: Vec<String> = states.iter().map(|s| format!("'{}'", s.as_str())).collect();
    text.push_str(&words.join(", "));
    text.push(')');
    if filter.states.is_empty() {
        // done at the device, though its images are still on their way
        text.push_str(" AND (o.state <> 'in_progress' OR NOT EXISTS (SELECT 1 FROM performed_step ps WHERE ps.order_id = o.id AND ps.state = 'COMPLETED'))");
    }
    let mut and = |condition: &str, values: Vec<Value>| {
        let mut numbered = condition.to_owned();
        for value in values {
            params.push(value);
            numbered = numbered.replacen("$?", &format!("${}", params.len()), 1);
        }
        text.push_str(" AND ");
        text.push_str(&numbered);
    };
    let equal = [
        ("o.scheduled_ae = $?", &filter.scheduled_ae),
        ("o.modality = $?", &filter.modality),
        ("o.accession_number = $?", &filter.accession_number),
        ("o.study_uid = $?", &filter.study_uid),
        ("p.identifier = $?", &filter.patient_identifier),
    ];
    for (condition, value) in equal {
        if let Some(value) = value {
            and(condition, params![value]);
        }
    }
    if let Some(from) = filter.from {
        and("o.scheduled_at >= $?", params![from]);
    }
    if let Some(to) = filter.to {
        and("o.scheduled_at < $?", params![to]);
    }
    if let Some(name) = &filter.patient_name_prefix {
        let key = search_key(name);
        let end = format!("{key}\u{10FFFF}");
        let condition =
            "((p.name_key >= $? AND p.name_key < $?) OR (p.alphabetic_key >= $? AND p.alphabetic_key < $?))";
        and(condition, params![&key, &end, &key, &end]);
    }
    if let Some(institutions) = &filter.institutions {
        let marks = vec!["$?"; institutions.len()].join(", ");
        let condition = if marks.is_empty() {
            "0 = 1".to_owned()
        } else {
            format!("o.institution_id IN ({marks})")
        };
        and(
            &condition,
            institutions.iter().map(|id| Value::from(*id)).collect(),
        );
    }
    params.push(limit.clamp(1, ORDERS_MAX).into());
    text.push_str(&format!(" ORDER BY o.scheduled_at, o.id LIMIT ${}", params.len()));
    (text, params)
}
