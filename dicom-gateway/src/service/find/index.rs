//! Patient Root and Study Root (PS3.4 C.6) from the archive's index.

use std::collections::BTreeSet;

use archive::Archive;
use archive::device::Device;
use archive::patient::Patient;
use archive::study::{Instance, InstanceFilter, Scope, Series, SeriesFilter, Studies, Study, StudyFilter};
use dataset::matching::Match;
use dataset::{DataSet, Vr, tags};

use super::super::Refused;
use super::Found;
use super::answer::Record;
use super::keys::{Level, key, name_fits};
use super::when::When;
use super::worklist::person_name;

/// Rows asked of the index at once.
const PAGE_ROWS: u32 = 2_000;

/// What a device may find: what is its institution's own, and the earlier exams of persons who
/// are or were patients there.
fn scope(device: &Device) -> Scope {
    Scope::Of {
        institutions: vec![device.institution_id],
        treating: Some(device.institution_id),
    }
}

/// All matches at a level, at most `max`.
pub(super) async fn matches(
    archive: &Archive,
    device: &Device,
    level: Level,
    (keys, when): (&DataSet, &When),
    max: usize,
) -> Result<Found, Refused> {
    let mut query = Query {
        studies: archive.studies(),
        scope: scope(device),
        level,
        filter: filter(keys),
    };
    when.narrow(&mut query.filter);
    let whole_name = key(keys, tags::PATIENT_NAME);
    let mut found = Found::default();
    for page in 0.. {
        let rows = query.page(page).await?;
        let is_last = rows.len() < PAGE_ROWS as usize;
        for (patient, mut record) in rows {
            let groups = [
                &*patient.name_alphabetic,
                &*patient.name_ideographic,
                &*patient.name_phonetic,
            ];
            if asks_by_group(&whole_name) && !name_fits(&whole_name, groups, &patient.name) {
                continue;
            }
            if !when.fits(&record) {
                continue;
            }
            when.show(&mut record);
            if found.records.len() >= max {
                found.cut_off = true;
                return Ok(found);
            }
            found.records.push(record);
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// The keys name what they want: a retrieval of everything is refused.
pub(in crate::service) fn names_objects(keys: &DataSet, level: Level) -> bool {
    let unique = match level {
        Level::Patient => tags::PATIENT_ID,
        Level::Study => tags::STUDY_INSTANCE_UID,
        Level::Series => tags::SERIES_INSTANCE_UID,
        Level::Image => tags::SOP_INSTANCE_UID,
    };
    let named = |tag| matches!(key(keys, tag), Match::Single(_) | Match::List(_));
    named(unique) || level == Level::Study && named(tags::ACCESSION_NUMBER)
}

/// Instances that a retrieval wants and that the device may have, at most `max`, and their studies.
pub(in crate::service) async fn instances(
    archive: &Archive,
    device: &Device,
    keys: &DataSet,
    max: usize,
) -> Result<(Vec<Instance>, BTreeSet<String>), Refused> {
    let (studies, scope, filter) = (archive.studies(), scope(device), filter(keys));
    let (mut found, mut of) = (Vec::new(), BTreeSet::new());
    for page in 0_u32.. {
        let rows = studies
            .instances(&filter, &scope, PAGE_ROWS, page.saturating_mul(PAGE_ROWS))
            .await?;
        let is_last = rows.len() < PAGE_ROWS as usize;
        for row in rows {
            of.insert(row.study.study_uid);
            found.push(row.instance);
        }
        if found.len() > max {
            return Err(Refused::new(
                crate::dimse::status::OUT_OF_RESOURCES,
                "too many objects; ask for less",
            ));
        }
        if is_last {
            break;
        }
    }
    Ok((found, of))
}

struct Query {
    studies: Studies,
    scope: Scope,
    level: Level,
    filter: InstanceFilter,
}

impl Query {
    async fn page(&self, page: u32) -> Result<Vec<(Patient, Record)>, Refused> {
        let (studies, scope, offset) = (&self.studies, &self.scope, page.saturating_mul(PAGE_ROWS));
        let series = &self.filter.series;
        Ok(match self.level {
            Level::Patient => {
                let rows = studies.patients(&series.study, scope, PAGE_ROWS, offset).await?;
                let record = |row: &archive::study::PatientItem| {
                    let mut record = Record::default();
                    put_patient(&mut record, &row.patient);
                    record.text(
                        tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
                        row.study_count.to_string(),
                    );
                    record
                };
                rows.into_iter()
                    .map(|row| (row.patient.clone(), record(&row)))
                    .collect()
            }
            Level::Study => {
                let rows = studies.search(&series.study, scope, PAGE_ROWS, offset).await?;
                let record = |row: &archive::study::StudyItem| {
                    let mut record = Record::default();
                    put_study(&mut record, &row.patient, &row.study);
                    record
                };
                rows.into_iter()
                    .map(|row| (row.patient.clone(), record(&row)))
                    .collect()
            }
            Level::Series => {
                let rows = studies.series(series, scope, PAGE_ROWS, offset).await?;
                let record = |row: &archive::study::SeriesItem| {
                    let mut record = Record::default();
                    put_study(&mut record, &row.patient, &row.study);
                    put_series(&mut record, &row.series);
                    record
                };
                rows.into_iter()
                    .map(|row| (row.patient.clone(), record(&row)))
                    .collect()
            }
            Level::Image => {
                let rows = studies.instances(&self.filter, scope, PAGE_ROWS, offset).await?;
                let record = |row: &archive::study::InstanceItem| {
                    let mut record = Record::default();
                    put_study(&mut record, &row.patient, &row.study);
                    put_series(&mut record, &row.series);
                    put_instance(&mut record, &row.instance);
                    record
                };
                rows.into_iter()
                    .map(|row| (row.patient.clone(), record(&row)))
                    .collect()
            }
        })
    }
}

fn asks_by_group(question: &Match) -> bool {
    match question {
        Match::Single(text) => text.contains('='),
        Match::Wildcard(pattern) => pattern.as_str().contains('='),
        _ => false,
    }
}

/// What the index is asked for a name. It knows no groups, so of a question by groups it gets the
/// one that says most; the rest is compared here.
fn name_question(keys: &DataSet) -> Match {
    let whole = key(keys, tags::PATIENT_NAME);
    if !asks_by_group(&whole) {
        return whole;
    }
    let text = keys.text(tags::PATIENT_NAME).unwrap_or_default();
    let groups: Vec<&str> = text.split('=').collect();
    [1, 0]
        .into_iter()
        .filter_map(|index| groups.get(index))
        .map(|group| Match::parse(Vr::PN, group))
        .find(|question| !question.is_universal())
        .unwrap_or(Match::Universal)
}

fn filter(keys: &DataSet) -> InstanceFilter {
    let ask = |tag| key(keys, tag);
    let study = StudyFilter {
        patient_id: ask(tags::PATIENT_ID),
        issuer: ask(tags::ISSUER_OF_PATIENT_ID),
        patient_name: name_question(keys),
        birth_date: ask(tags::PATIENT_BIRTH_DATE),
        sex: ask(tags::PATIENT_SEX),
        study_uid: ask(tags::STUDY_INSTANCE_UID),
        accession_number: ask(tags::ACCESSION_NUMBER),
        study_id: ask(tags::STUDY_ID),
        study_date: ask(tags::STUDY_DATE),
        study_time: ask(tags::STUDY_TIME),
        description: ask(tags::STUDY_DESCRIPTION),
        referring_physician: ask(tags::REFERRING_PHYSICIAN_NAME),
        modality: ask(tags::MODALITIES_IN_STUDY),
        ..StudyFilter::default()
    };
    let series = SeriesFilter {
        study,
        series_uid: ask(tags::SERIES_INSTANCE_UID),
        modality: ask(tags::MODALITY),
        number: ask(tags::SERIES_NUMBER),
        description: ask(tags::SERIES_DESCRIPTION),
        body_part: ask(tags::BODY_PART_EXAMINED),
        series_date: ask(tags::SERIES_DATE),
        series_time: ask(tags::SERIES_TIME),
    };
    InstanceFilter {
        series,
        sop_instance_uid: ask(tags::SOP_INSTANCE_UID),
        sop_class_uid: ask(tags::SOP_CLASS_UID),
        number: ask(tags::INSTANCE_NUMBER),
    }
}

fn put_patient(record: &mut Record, patient: &Patient) {
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
        .optional(tags::PATIENT_BIRTH_DATE, patient.birth_date.as_deref())
        .optional(tags::PATIENT_SEX, patient.sex.as_deref());
}

fn put_study(record: &mut Record, patient: &Patient, study: &Study) {
    put_patient(record, patient);
    record
        .text(tags::STUDY_INSTANCE_UID, &study.study_uid)
        .optional(tags::STUDY_DATE, study.study_date.as_deref())
        .optional(tags::STUDY_TIME, study.study_time.as_deref())
        .optional(tags::ACCESSION_NUMBER, study.accession_number.as_deref())
        .optional(tags::STUDY_ID, study.study_id_text.as_deref())
        .optional(tags::STUDY_DESCRIPTION, study.description.as_deref())
        .optional(
            tags::REFERRING_PHYSICIAN_NAME,
            study.referring_physician.as_deref(),
        )
        .text(tags::MODALITIES_IN_STUDY, study.modalities.join("\\"))
        .text(
            tags::NUMBER_OF_STUDY_RELATED_SERIES,
            study.series_count.to_string(),
        )
        .text(
            tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
            study.instance_count.to_string(),
        )
        .text(tags::INSTANCE_AVAILABILITY, "ONLINE");
}

fn put_series(record: &mut Record, series: &Series) {
    record
        .text(tags::SERIES_INSTANCE_UID, &series.series_uid)
        .text(tags::MODALITY, &series.modality)
        .optional(
            tags::SERIES_NUMBER,
            series.number.map(|number| number.to_string()),
        )
        .optional(tags::SERIES_DESCRIPTION, series.description.as_deref())
        .optional(tags::BODY_PART_EXAMINED, series.body_part.as_deref())
        .optional(tags::LATERALITY, series.laterality.as_deref())
        .optional(tags::PROTOCOL_NAME, series.protocol_name.as_deref())
        .optional(tags::STATION_NAME, series.station_name.as_deref())
        .optional(tags::MANUFACTURER, series.manufacturer.as_deref())
        .optional(tags::SERIES_DATE, series.series_date.as_deref())
        .optional(tags::SERIES_TIME, series.series_time.as_deref())
        .text(
            tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
            series.instance_count.to_string(),
        );
}

fn put_instance(record: &mut Record, instance: &Instance) {
    let frames = (instance.frames > 0).then(|| instance.frames.to_string());
    record
        .text(tags::SOP_INSTANCE_UID, &instance.sop_instance_uid)
        .text(tags::SOP_CLASS_UID, &instance.sop_class_uid)
        .text(tags::AVAILABLE_TRANSFER_SYNTAX_UID, &instance.transfer_syntax_uid)
        .optional(
            tags::INSTANCE_NUMBER,
            instance.number.map(|number| number.to_string()),
        )
        .optional(tags::NUMBER_OF_FRAMES, frames)
        .number(tags::ROWS, instance.rows)
        .number(tags::COLUMNS, instance.columns)
        .number(tags::BITS_ALLOCATED, instance.bits_allocated);
}
