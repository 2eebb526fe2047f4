//! Modality Worklist (PS3.4 Annex K) from the archive's orders.

use archive::device::Device;
use archive::institution::Institution;
use archive::order::{OrderFilter, OrderItem, OrderState, Priority};
use archive::{Archive, ArchiveError, UnixMicros};
use dataset::matching::Match;
use dataset::{DataSet, Tag, tags};

use super::answer::Record;
use super::keys::{item, key, name_fits, single};
use super::when::When;
use crate::association::Matching;

/// Orders looked at for one query.
const ORDERS_MAX: u32 = 1000;
/// China has one time zone, and a modality shows wall-clock time.
const CHINA_OFFSET_MICROS: i64 = 8 * 3600 * 1_000_000;
const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Coding scheme of the exam catalogue (a private one begins with 99, PS3.3 8.2).
const CATALOGUE_SCHEME: &str = "99GONGYING";

/// Orders that a device may see and that fit its keys: those of its own institution and those that
/// name it as their station.
pub(super) async fn matches(
    archive: &Archive,
    device: &Device,
    keys: &DataSet,
    agreed: Matching,
) -> Result<Vec<Record>, ArchiveError> {
    let step = item(keys, tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
    let when = step.map_or_else(When::default, |step| When::of(step, keys, agreed));
    let step_key = |tag| step.map_or(Match::Universal, |step| key(step, tag));
    let (from, to) = if when.holds(tags::SCHEDULED_PROCEDURE_STEP_START_DATE) {
        (None, None)
    } else {
        days(&step_key(tags::SCHEDULED_PROCEDURE_STEP_START_DATE))
    };
    let base = OrderFilter {
        modality: single(&step_key(tags::MODALITY)),
        from,
        to,
        accession_number: single(&key(keys, tags::ACCESSION_NUMBER)),
        study_uid: single(&key(keys, tags::STUDY_INSTANCE_UID)),
        patient_identifier: single(&key(keys, tags::PATIENT_ID)),
        ..OrderFilter::default()
    };
    let own = OrderFilter {
        institutions: Some(vec![device.institution_id]),
        ..base.clone()
    };
    let here = OrderFilter {
        scheduled_ae: Some(device.ae_title.clone()),
        ..base
    };
    let mut orders = archive.orders().worklist(&own, ORDERS_MAX).await?;
    orders.extend(archive.orders().worklist(&here, ORDERS_MAX).await?);
    orders.sort_by_key(|order| (order.order.scheduled_at, order.order.id));
    orders.dedup_by_key(|order| order.order.id);
    let institutions = archive.institutions().list().await?;
    let records = orders.iter().map(|order| record(order, &institutions));
    Ok(orders
        .iter()
        .zip(records)
        .filter(|(order, record)| fits(order, record, keys, step, &when))
        .map(|(_, record)| shown(record, &when))
        .collect())
}

/// The keys that the index did not compare, or only in part.
fn fits(order: &OrderItem, record: &Record, keys: &DataSet, step: Option<&DataSet>, when: &When) -> bool {
    let patient = &order.patient;
    let groups = [
        &*patient.name_alphabetic,
        &*patient.name_ideographic,
        &*patient.name_phonetic,
    ];
    if !name_fits(&key(keys, tags::PATIENT_NAME), groups, &patient.name) {
        return false;
    }
    let plain = [
        tags::ACCESSION_NUMBER,
        tags::PATIENT_ID,
        tags::STUDY_INSTANCE_UID,
        tags::PATIENT_SEX,
        tags::PATIENT_BIRTH_DATE,
        tags::REQUESTED_PROCEDURE_ID,
    ];
    if !plain
        .iter()
        .all(|tag| key(keys, *tag).matches(record.text_of(*tag)))
    {
        return false;
    }
    if !record.sequences_fit(keys, &[tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE]) {
        return false;
    }
    let (Some(step), Some(super::answer::Field::Items(items))) =
        (step, record.get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE))
    else {
        return true;
    };
    let Some(own) = items.first() else { return true };
    // an order without a station waits for any
    let station = key(step, tags::SCHEDULED_STATION_AE_TITLE);
    let any_station = order.order.scheduled_ae.is_none();
    let clock = [
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    ];
    let clock_fits = if when.holds(tags::SCHEDULED_PROCEDURE_STEP_START_DATE) {
        when.fits(own)
    } else {
        clock.iter().all(|tag| key(step, *tag).matches(own.text_of(*tag)))
    };
    let rest = [
        tags::MODALITY,
        tags::SCHEDULED_PROCEDURE_STEP_ID,
        tags::SCHEDULED_PROCEDURE_STEP_STATUS,
    ];
    (any_station || station.matches(own.text_of(tags::SCHEDULED_STATION_AE_TITLE)))
        && clock_fits
        && rest.iter().all(|tag| key(step, *tag).matches(own.text_of(*tag)))
        && own.sequences_fit(step, &[])
}

/// In the time zone that was asked for.
fn shown(mut record: Record, when: &When) -> Record {
    when.show(&mut record);
    record.each_item(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, |step| when.show(step));
    record
}

/// Moments between which the days of a date key lie.
fn days(date: &Match) -> (Option<UnixMicros>, Option<UnixMicros>) {
    let start = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let date = [digits.get(..4)?, digits.get(4..6)?, digits.get(6..8)?].join("-");
        UnixMicros::parse_iso8601(&date).map(|utc| UnixMicros(utc.0 - CHINA_OFFSET_MICROS))
    };
    let end = |text: &str| start(text).map(|start| UnixMicros(start.0 + DAY_MICROS));
    match date {
        Match::Single(day) => (start(day), end(day)),
        Match::Range { from, to } => (from.as_deref().and_then(start), to.as_deref().and_then(end)),
        _ => (None, None),
    }
}

/// DA and TM of a moment, as a clock in China shows it.
fn wall_clock(at: UnixMicros) -> (String, String) {
    let text = UnixMicros(at.0.saturating_add(CHINA_OFFSET_MICROS)).to_iso8601();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default().to_owned();
    (part(0..8), part(8..14))
}

fn code(order: &OrderItem) -> Record {
    let mut code = Record::default();
    code.text(tags::CODE_VALUE, clipped(&order.order.item_code, 16))
        .text(tags::CODING_SCHEME_DESIGNATOR, CATALOGUE_SCHEME)
        .text(tags::CODE_MEANING, clipped(&order.order.item_name, 64));
    code
}

fn clipped(text: &str, characters: usize) -> String {
    text.replace('\\', "/").chars().take(characters).collect()
}

/// The name as PN: all groups that there are.
pub(super) fn person_name(alphabetic: &str, ideographic: &str, phonetic: &str, display: &str) -> String {
    let name = dataset::PersonName {
        alphabetic: alphabetic.into(),
        ideographic: ideographic.into(),
        phonetic: phonetic.into(),
    };
    if name.is_empty() {
        display.to_owned()
    } else {
        name.to_dicom()
    }
}

/// Attributes that a worklist may be asked for and that no order has.
const EMPTY: [Tag; 14] = [
    tags::ADMISSION_ID,
    tags::CURRENT_PATIENT_LOCATION,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_SIZE,
    tags::PATIENT_STATE,
    tags::PREGNANCY_STATUS,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::SPECIAL_NEEDS,
    tags::CONFIDENTIALITY_CONSTRAINT_ON_PATIENT_DATA_DESCRIPTION,
    tags::PATIENT_TRANSPORT_ARRANGEMENTS,
    tags::PATIENT_COMMENTS,
    tags::REQUESTED_PROCEDURE_COMMENTS,
    tags::PATIENT_AGE,
];

fn step(order: &OrderItem) -> Record {
    let request = &order.order;
    let (date, time) = wall_clock(request.scheduled_at);
    let status = if request.state == OrderState::InProgress {
        "STARTED"
    } else {
        "SCHEDULED"
    };
    let mut step = Record::default();
    step.text(tags::MODALITY, &request.modality)
        .text(tags::BODY_PART_EXAMINED, clipped(&request.body_part, 16))
        .optional(tags::SCHEDULED_STATION_AE_TITLE, request.scheduled_ae.as_deref())
        .text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, date)
        .text(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, time)
        .text(tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME, "")
        .text(
            tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
            clipped(&request.item_name, 64),
        )
        .items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, vec![code(order)])
        .text(
            tags::SCHEDULED_PROCEDURE_STEP_ID,
            clipped(&request.accession_number, 16),
        )
        .text(tags::SCHEDULED_STATION_NAME, "")
        .text(tags::SCHEDULED_PROCEDURE_STEP_LOCATION, "")
        .text(tags::PRE_MEDICATION, "")
        .text(tags::REQUESTED_CONTRAST_AGENT, "")
        .text(tags::SCHEDULED_PROCEDURE_STEP_STATUS, status);
    step
}

fn record(order: &OrderItem, institutions: &[Institution]) -> Record {
    let (patient, request) = (&order.patient, &order.order);
    let priority = match request.priority {
        Priority::Stat => "STAT",
        Priority::Urgent => "HIGH",
        Priority::Routine => "ROUTINE",
        Priority::Screening => "LOW",
    };
    let institution = institutions
        .iter()
        .find(|institution| institution.id == request.institution_id);
    let mut record = Record::default();
    let groups = (
        &*patient.name_alphabetic,
        &*patient.name_ideographic,
        &*patient.name_phonetic,
    );
    record
        .text(
            tags::PATIENT_NAME,
            person_name(groups.0, groups.1, groups.2, &patient.name),
        )
        .text(tags::PATIENT_ID, &patient.identifier)
        .text(tags::ISSUER_OF_PATIENT_ID, &patient.issuer)
        .optional(tags::PATIENT_SEX, patient.sex.as_deref())
        .optional(tags::PATIENT_BIRTH_DATE, patient.birth_date.as_deref())
        .text(tags::ACCESSION_NUMBER, &request.accession_number)
        .text(tags::STUDY_INSTANCE_UID, &request.study_uid)
        .optional(
            tags::INSTITUTION_NAME,
            institution.map(|institution| clipped(&institution.name_zh, 64)),
        )
        .text(tags::REFERRING_PHYSICIAN_NAME, clipped(&request.ordered_by, 64))
        .text(tags::REQUESTING_PHYSICIAN, clipped(&request.ordered_by, 64))
        .text(
            tags::REQUESTED_PROCEDURE_ID,
            clipped(&request.accession_number, 16),
        )
        .text(
            tags::REQUESTED_PROCEDURE_DESCRIPTION,
            clipped(&request.item_name, 64),
        )
        .items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, vec![code(order)])
        .text(tags::REQUESTED_PROCEDURE_PRIORITY, priority)
        .text(
            tags::REASON_FOR_THE_REQUESTED_PROCEDURE,
            clipped(&request.clinical_history, 64),
        )
        .text(
            tags::ADDITIONAL_PATIENT_HISTORY,
            request.clinical_history.replace('\\', "/"),
        )
        .items(tags::REFERENCED_STUDY_SEQUENCE, Vec::new())
        .items(tags::REFERENCED_PATIENT_SEQUENCE, Vec::new())
        .items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step(order)]);
    for tag in EMPTY {
        record.text(tag, "");
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_in_china() {
        let midnight = UnixMicros::parse_iso8601("2026-01-14T16:00:00Z").expect("valid");
        let next = UnixMicros(midnight.0 + DAY_MICROS);
        let check = |text: &str, expect| {
            assert_eq!(days(&Match::parse(dataset::Vr::DA, text)), expect, "{text}");
        };
        check("20260115", (Some(midnight), Some(next)));
        check("20260115-", (Some(midnight), None));
        check("-20260115", (None, Some(next)));
        check("", (None, None));
        check("99999999-00000000", (None, None));
        assert_eq!(wall_clock(midnight), ("20260115".into(), "000000".into()));
    }
}
