//! Exam requests: placing and listing.

use archive::audit::AuditOutcome;
use archive::events::{Event, EventKind};
use archive::name::NameParts;
use archive::order::NewOrder;
use archive::patient::PatientFacts;
use archive::{InstitutionId, UnixMicros};
use serde::{Deserialize, Serialize};

use crate::access::guard::{entry_of, write_entry};
use crate::access::{Action, decide_global, guard_global};
use crate::account::InstitutionView;
use crate::actor::Actor;
use crate::context::{PatientContext, PatientView};
use crate::error::{ReadingError, Result};
use crate::goals::Priority;
use crate::identity;
use crate::service::Reading;
use crate::worklist_moment;

/// Orders of one page at most.
pub const ORDERS_PAGE_MAX: u32 = 200;

/// The patient of a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PatientInput {
    /// Number at the institution.
    #[serde(default)]
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// M or F.
    #[serde(default)]
    pub sex: Option<String>,
    /// ISO 8601 date.
    #[serde(default)]
    pub birth_date: Option<String>,
    /// Resident identity number.
    #[serde(default)]
    pub national_id: Option<String>,
}

/// An exam request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct OrderInput {
    /// Whom.
    #[serde(default)]
    pub patient: PatientInput,
    /// Modality.
    #[serde(default)]
    pub modality: String,
    /// Body part examined.
    #[serde(default)]
    pub body_part: String,
    /// Code of the exam item.
    #[serde(default)]
    pub item_code: String,
    /// Name of the exam item; from the catalogue when left out.
    #[serde(default)]
    pub item_name: String,
    /// STAT, URGENT, ROUTINE or SCREENING; ROUTINE when left out.
    #[serde(default)]
    pub priority: Option<String>,
    /// 临床病史.
    #[serde(default)]
    pub clinical_history: Option<String>,
    /// AE title of the device.
    #[serde(default)]
    pub scheduled_ae: Option<String>,
    /// When, ISO 8601; now when left out.
    #[serde(default)]
    pub scheduled_at: Option<String>,
}

/// A placed request.
#[derive(Debug, Serialize)]
pub struct OrderView {
    /// Accession number.
    pub accession_number: String,
    /// Study Instance UID that the device will use.
    pub study_uid: String,
    /// Row of the patient.
    pub patient_id: String,
    /// The patient.
    pub patient: PatientView,
    /// Who asked.
    pub institution: InstitutionView,
    /// Modality.
    pub modality: String,
    /// Body part examined.
    pub body_part: String,
    /// Code of the exam item.
    pub item_code: String,
    /// Name of the exam item.
    pub item_name: String,
    /// Urgency.
    pub priority: String,
    /// 临床病史.
    pub clinical_history: String,
    /// AE title of the device.
    pub scheduled_ae: Option<String>,
    /// When, ISO 8601.
    pub scheduled_at: String,
    /// ordered, in_progress, arrived, reported, cancelled.
    pub state: String,
    /// By which account.
    pub ordered_by: String,
    /// When it was placed, ISO 8601.
    pub ordered_at: String,
    /// Objects that have come.
    pub images: i64,
    /// Where its study stands on the reading worklist.
    pub status: Option<String>,
    /// Why its study came back, if it did.
    pub rejected: Option<crate::quality::Rejection>,
}

/// A page of requests.
#[derive(Debug, Serialize)]
pub struct OrderPage {
    /// Requests, newest first.
    pub items: Vec<OrderView>,
    /// For the next page.
    pub next_cursor: Option<String>,
}

/// Checks a request and completes it from the catalogue and the identity number.
fn check(input: OrderInput, institution: InstitutionId, user: &str) -> Result<NewOrder> {
    let patient = check_patient(input.patient)?;
    let wrong_priority = || {
        let zh = "应为 STAT、URGENT、ROUTINE 或 SCREENING";
        ReadingError::invalid("priority", zh, "must be STAT, URGENT, ROUTINE or SCREENING")
    };
    let priority = match input.priority.as_deref() {
        None | Some("") => Priority::Routine,
        Some(text) => Priority::parse(text).ok_or_else(wrong_priority)?,
    };
    let known = crate::catalogue::items()
        .iter()
        .find(|i| i.code == input.item_code);
    let or_known = |text: String, of: fn(&crate::catalogue::Item) -> &'static str| match text.trim() {
        "" => known.map(|i| of(i).to_owned()).unwrap_or_default(),
        given => given.to_owned(),
    };
    let modality = or_known(input.modality, |i| i.modality);
    let item_name = or_known(input.item_name, |i| i.name_zh);
    for (field, text) in [
        ("modality", &modality),
        ("item_code", &input.item_code),
        ("item_name", &item_name),
    ] {
        if text.trim().is_empty() {
            return Err(missing(field));
        }
    }
    let scheduled_at = input.scheduled_at.as_deref().filter(|t| !t.is_empty());
    let scheduled_at = scheduled_at
        .map(|t| worklist_moment("scheduled_at", t))
        .transpose()?;
    Ok(NewOrder {
        patient,
        institution_id: institution,
        body_part: or_known(input.body_part, |i| i.body_part),
        modality,
        item_code: input.item_code,
        item_name,
        priority: priority.as_str().parse()?,
        clinical_history: input.clinical_history.unwrap_or_default(),
        scheduled_ae: input.scheduled_ae.filter(|a| !a.trim().is_empty()),
        scheduled_at: scheduled_at.map(UnixMicros),
        ordered_by: user.to_owned(),
    })
}

fn missing(field: &'static str) -> ReadingError {
    ReadingError::invalid(field, "不能为空", "must not be empty")
}

fn check_patient(p: PatientInput) -> Result<PatientFacts> {
    if p.id.trim().is_empty() {
        return Err(missing("patient.id"));
    }
    if p.name.trim().is_empty() {
        return Err(missing("patient.name"));
    }
    let national_id = p
        .national_id
        .map(|n| n.trim().to_ascii_uppercase())
        .filter(|n| !n.is_empty());
    if national_id
        .as_deref()
        .is_some_and(|n| !identity::national_id_valid(n))
    {
        let en = "is not a valid resident identity number";
        return Err(ReadingError::invalid(
            "patient.national_id",
            "身份证号校验不通过",
            en,
        ));
    }
    let sex = match p.sex.as_deref().map(str::trim).unwrap_or_default() {
        "M" | "F" | "O" => p.sex.map(|s| s.trim().to_owned()),
        "" => national_id
            .as_deref()
            .and_then(identity::sex_of)
            .map(String::from),
        _ => {
            return Err(ReadingError::invalid(
                "patient.sex",
                "应为 M 或 F",
                "must be M or F",
            ));
        }
    };
    let wrong_day = || {
        let en = "must be a date like 2001-12-31";
        ReadingError::invalid("patient.birth_date", "应为 2001-12-31 这样的日期", en)
    };
    let birth_date = match p.birth_date.as_deref().map(str::trim).unwrap_or_default() {
        "" => national_id.as_deref().and_then(identity::birth_date_of),
        text => Some(identity::to_dicom_date(text).ok_or_else(wrong_day)?),
    };
    Ok(PatientFacts {
        issuer: String::new(),
        identifier: p.id.trim().to_owned(),
        name: NameParts::from_text(&p.name),
        sex,
        birth_date,
        national_id,
    })
}

/// Places a request for the actor's own institution. It feeds the devices' worklists at once.
///
/// # Errors
/// `Invalid` names the field, and as the policy says.
pub async fn place(reading: &Reading, actor: &Actor, input: OrderInput) -> Result<OrderView> {
    if !decide_global(actor.roles, Action::PlaceOrder).allowed() {
        return guard_global(reading, actor, Action::PlaceOrder)
            .await
            .and(Err(ReadingError::Internal("policy")));
    }
    let entry = entry_of(actor, Action::PlaceOrder);
    let new = match check(input, actor.institution_id(), &actor.user) {
        Ok(new) => new,
        Err(wrong) => {
            write_entry(reading, entry.outcome(AuditOutcome::MinorFailure)).await?;
            return Err(wrong);
        }
    };
    let done = reading.archive().db().write(move |tx| {
        Box::pin(async move {
            let order = archive::order::create_in(tx, new).await?;
            tx.audit(
                entry
                    .study(&order.study_uid)
                    .patient(order.patient_id.to_string()),
            );
            Ok::<_, ReadingError>(order)
        })
    });
    let order = done.await?;
    // The order may have made a treating relationship.
    reading.subjects().clear();
    let event = Event::new(
        EventKind::Order,
        order.study_uid.clone(),
        vec![order.institution_id],
    );
    reading.archive().events().publish(event);
    let patient = reading.archive().patients().by_id(order.patient_id).await?;
    view(reading, order, patient).await
}

async fn view(
    reading: &Reading,
    order: archive::order::Order,
    patient: archive::patient::Patient,
) -> Result<OrderView> {
    let standing = reading
        .archive()
        .db()
        .fetch_optional(sql::STANDING, archive::params![&order.study_uid])
        .await?;
    let (images, status) = match &standing {
        Some(row) => (row.int("images")?, row.opt_text("status")?),
        None => (0, None),
    };
    let rejected = match status.as_deref() {
        Some("rejected") => crate::quality::last_rejection(reading, &order.study_uid).await?,
        _ => None,
    };
    let patient = PatientContext {
        id: patient.id.0,
        identifier: patient.identifier,
        name: patient.name,
        pinyin: Some(patient.pinyin).filter(|p| !p.is_empty()),
        sex: patient.sex,
        birth_date: patient.birth_date,
        national_id: patient.national_id,
        person_id: Some(patient.person_id.0),
    };
    Ok(OrderView {
        patient_id: order.patient_id.to_string(),
        patient: patient.view(order.scheduled_at.0),
        institution: InstitutionView::from(&reading.institution(order.institution_id).await?),
        accession_number: order.accession_number,
        study_uid: order.study_uid,
        modality: order.modality,
        body_part: order.body_part,
        item_code: order.item_code,
        item_name: order.item_name,
        priority: order.priority.as_str().to_owned(),
        clinical_history: order.clinical_history,
        scheduled_ae: order.scheduled_ae,
        scheduled_at: order.scheduled_at.to_iso8601(),
        state: order.state.as_str().to_owned(),
        ordered_by: order.ordered_by,
        ordered_at: order.ordered_at.to_iso8601(),
        images,
        status,
        rejected,
    })
}

/// The request behind a study.
pub(crate) async fn of_study(reading: &Reading, study_uid: &str) -> Result<Option<OrderView>> {
    let Some(order) = reading.archive().orders().by_study_uid(study_uid).await? else {
        return Ok(None);
    };
    let patient = reading.archive().patients().by_id(order.patient_id).await?;
    view(reading, order, patient).await.map(Some)
}

archive::statements! {
    mod sql {
        STANDING = "SELECT s.instance_count AS images, i.status FROM study s LEFT JOIN reading_item i ON i.study_uid = s.study_uid WHERE s.study_uid = $1";
        PAGE = "SELECT id FROM exam_order WHERE institution_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    }
}

/// Requests of the actor's own institution, newest first.
///
/// # Errors
/// `Invalid` for a bad cursor, and as the policy says.
pub async fn list(reading: &Reading, actor: &Actor, limit: u32, cursor: Option<&str>) -> Result<OrderPage> {
    guard_global(reading, actor, Action::ListOrders).await?;
    let limit = limit.clamp(1, ORDERS_PAGE_MAX);
    let wrong = |_| ReadingError::invalid("cursor", "请用上一页给出的值", "use the one of the page before");
    let before = cursor
        .map(|c| c.parse::<i64>().map_err(wrong))
        .transpose()?
        .unwrap_or(i64::MAX);
    let params = archive::params![actor.institution_id(), before, limit + 1];
    let rows = reading.archive().db().fetch_all(sql::PAGE, params).await?;
    let mut items = Vec::new();
    let mut last = None;
    for row in rows.iter().take(limit as usize) {
        let id = row.int("id")?;
        last = Some(id.to_string());
        let order = reading.archive().orders().by_id(archive::OrderId(id)).await?;
        let patient = reading.archive().patients().by_id(order.patient_id).await?;
        items.push(view(reading, order, patient).await?);
    }
    Ok(OrderPage {
        items,
        next_cursor: last.filter(|_| rows.len() > limit as usize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> OrderInput {
        OrderInput {
            patient: PatientInput {
                id: "JH1".into(),
                name: "王秀英".into(),
                national_id: Some("11010519491231002x".into()),
                ..PatientInput::default()
            },
            item_code: "CT-CHEST".into(),
            priority: Some("stat".into()),
            ..OrderInput::default()
        }
    }

    #[test]
    fn a_request_is_completed_from_catalogue_and_identity_number() {
        let new = check(sound(), InstitutionId(1), "tech.hexi").unwrap();
        assert_eq!(
            (
                new.modality.as_str(),
                new.body_part.as_str(),
                new.item_name.as_str()
            ),
            ("CT", "CHEST", "胸部CT平扫")
        );
        assert_eq!(new.patient.birth_date.as_deref(), Some("19491231"));
        assert_eq!(new.patient.sex.as_deref(), Some("F"));
        assert_eq!(new.priority.as_str(), "STAT");
    }

    #[test]
    fn a_bad_request_names_its_field() {
        let check = |change: fn(&mut OrderInput), want: &str| {
            let mut input = sound();
            change(&mut input);
            match check(input, InstitutionId(1), "x") {
                Err(ReadingError::Invalid { field, .. }) => assert_eq!(field, want),
                other => panic!("{want}: {other:?}"),
            }
        };
        check(|o| o.patient = PatientInput::default(), "patient.id");
        check(|o| o.patient.name = " ".into(), "patient.name");
        check(
            |o| o.patient.national_id = Some("110105194912310021".into()),
            "patient.national_id",
        );
        check(|o| o.patient.sex = Some("X".into()), "patient.sex");
        check(
            |o| o.patient.birth_date = Some("1949-13-31".into()),
            "patient.birth_date",
        );
        check(|o| o.priority = Some("SOON".into()), "priority");
        check(|o| o.item_code = String::new(), "modality");
        check(|o| o.scheduled_at = Some("soon".into()), "scheduled_at");
    }
}
