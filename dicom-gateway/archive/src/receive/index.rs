//! The index rows of one object, in one transaction.

use super::disk::PlacedObject;
use super::{SeriesKind, Source};
use crate::Archive;
use crate::audit::{AuditAction, AuditEntry, event};
use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::events::{Event, EventKind};
use crate::ids::{InstitutionId, OrderId, PatientId, Sha256Digest, UnixMicros};
use crate::order::{OrderState, Priority, set_state_in};
use crate::params;
use crate::patient::{FactSource, also_known_in, upsert_in};
use crate::route::{RouteFacts, route_object};
use crate::work::NewJob;
use std::sync::Arc;
use std::time::Duration;

/// Jobs about a series wait so long for its other objects.
const SERIES_JOB_WAIT: Duration = Duration::from_millis(1500);
/// ECGs overtake pictures by this much.
const WAVEFORM_JOB_PRIORITY: i64 = 25;
/// Modalities of one study that are kept.
const MODALITIES_MAX: usize = 16;

crate::statements! {
    mod sql {
        LOCATE = "SELECT st.id AS study_id, st.institution_id, st.order_id, st.modalities, st.has_waveform, se.id AS series_id, o.priority FROM study st LEFT JOIN series se ON se.study_id = st.id AND se.series_uid = $2 LEFT JOIN exam_order o ON o.id = st.order_id WHERE st.study_uid = $1";
        STUDY_INSERT = "INSERT INTO study (study_uid, patient_id, institution_id, order_id, device_id, accession_number, study_id_text, study_date, study_time, description, referring_physician, modalities, body_part, has_waveform, state, series_count, instance_count, received_first_at, received_last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'receiving', 0, 0, $15, $15) ON CONFLICT (study_uid) DO NOTHING RETURNING id";
        STUDY_SAID = "UPDATE study SET said_name = $2, said_alphabetic = $3, said_ideographic = $4, said_phonetic = $5, said_pinyin = $6 WHERE study_uid = $1 AND EXISTS (SELECT 1 FROM patient p WHERE p.id = study.patient_id AND (p.name_key <> $7 OR p.alphabetic_key <> $8)) RETURNING patient_id";
        SERIES_INSERT = "INSERT INTO series (study_id, series_uid, modality, number, description, body_part, laterality, protocol_name, station_name, manufacturer, series_date, series_time, kind, instance_count, frame_count, received_first_at, received_last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14, $14) ON CONFLICT (study_id, series_uid) DO NOTHING RETURNING id";
        INSTANCE_INSERT = "INSERT INTO instance (series_id, study_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, number, frames, image_rows, image_columns, bits_allocated, object_key, size_bytes, meta_bytes, meta_digest, dataset_digest, source, device_id, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT (sop_instance_uid) DO NOTHING RETURNING id";
        DETAIL_INSERT = "INSERT INTO instance_detail (instance_id, attributes, pixel_data) VALUES ($1, $2, $3)";
        SERIES_COUNT = "UPDATE series SET instance_count = instance_count + 1, frame_count = frame_count + $2, received_last_at = $3 WHERE id = $1";
        STUDY_COUNT = "UPDATE study SET instance_count = instance_count + 1, series_count = series_count + $2, modalities = $3, has_waveform = $4, received_last_at = $5, state = 'receiving' WHERE id = $1";
        EXISTING = "SELECT dataset_digest, object_key FROM instance WHERE sop_instance_uid = $1";
    }
}

/// How indexing ended well.
#[derive(Debug)]
pub(crate) enum Indexed {
    New,
    /// The object was there with equal bytes, under this key.
    DuplicateEqual {
        object_key: String,
    },
}

/// How indexing ended without a row.
#[derive(Debug)]
pub(crate) enum IndexStop {
    /// Another object has the UID.
    Conflict,
    Failed(ArchiveError),
}

impl From<ArchiveError> for IndexStop {
    fn from(error: ArchiveError) -> Self {
        Self::Failed(error)
    }
}

/// What the rows of an object are made from.
pub(crate) struct Indexing {
    pub(crate) object: PlacedObject,
    pub(crate) institution_code: String,
    pub(crate) received_at: UnixMicros,
}

struct Located {
    study_id: i64,
    series_id: Option<i64>,
    institution_id: InstitutionId,
    modalities: String,
    has_waveform: bool,
    priority: i64,
    order_priority: Option<Priority>,
    is_new: bool,
}

/// Writes all rows of an object: patient, study, series, instance, jobs, audit.
pub(crate) async fn index_object(
    archive: &Archive,
    tx: &mut Tx,
    from: &Arc<Indexing>,
) -> Result<Indexed, IndexStop> {
    let facts = &from.object.facts;
    let mut at = match locate(tx, from).await? {
        Some(known) => known,
        None => create_study(tx, from).await?,
    };
    let new_series = at.series_id.is_none();
    let series_id = match at.series_id {
        Some(id) => id,
        None => create_series(tx, from, at.study_id).await?,
    };
    let Some(instance_id) = insert_instance(tx, from, at.study_id, series_id).await? else {
        return compare(tx, from).await;
    };
    let detail = params![instance_id, &facts.attributes, facts.pixel_data.clone()];
    tx.execute(sql::DETAIL_INSERT, detail).await?;
    tx.execute(
        sql::SERIES_COUNT,
        params![series_id, facts.frames, from.received_at],
    )
    .await?;
    at.modalities = with_modality(&at.modalities, &facts.modality);
    let waveform = at.has_waveform || facts.kind == Some(SeriesKind::Waveform);
    let counts = params![
        at.study_id,
        new_series,
        &at.modalities,
        waveform,
        from.received_at
    ];
    tx.execute(sql::STUDY_COUNT, counts).await?;
    match archive.spool_state() {
        // A township node computes nothing: what it takes has to reach the centre.
        Some(spool) => crate::edge::spool::enqueue(spool, tx, from, at.priority).await?,
        None => {
            enqueue_jobs(archive, tx, from, at.priority).await?;
            route(archive, tx, from, &at).await?;
        }
    }
    tx.audit(audit_row(from));
    if at.is_new {
        let news = Event::new(
            EventKind::StudyArrived,
            facts.study_uid.clone(),
            vec![at.institution_id],
        );
        let events = archive.events().clone();
        tx.on_commit(move || events.publish(news));
    }
    Ok(Indexed::New)
}

async fn locate(tx: &mut Tx, from: &Indexing) -> Result<Option<Located>> {
    let facts = &from.object.facts;
    let row = tx
        .fetch_optional(sql::LOCATE, params![&facts.study_uid, &facts.series_uid])
        .await?;
    let read = |row: Row| {
        let priority = row.opt_text("priority")?.and_then(|p| p.parse::<Priority>().ok());
        Ok(Located {
            study_id: row.int("study_id")?,
            series_id: row.opt_int("series_id")?,
            institution_id: InstitutionId(row.int("institution_id")?),
            modalities: row.text("modalities")?,
            has_waveform: row.bool("has_waveform")?,
            priority: priority.map_or(0, Priority::job_priority),
            order_priority: priority,
            is_new: false,
        })
    };
    row.map(read).transpose()
}

/// The order that an object names by both accession number and study UID.
async fn matching_order(tx: &mut Tx, from: &Indexing) -> Result<Option<(OrderId, InstitutionId, PatientId)>> {
    let facts = &from.object.facts;
    let Some(accession) = &facts.accession_number else {
        return Ok(None);
    };
    let row = tx
        .fetch_optional(crate::order::sql::MATCH, params![&facts.study_uid, accession])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let order = OrderId(row.int("id")?);
    let state: OrderState = row.text("state")?.parse()?;
    if matches!(state, OrderState::Ordered | OrderState::InProgress) {
        set_state_in(tx, order, OrderState::Arrived).await?;
    }
    Ok(Some((
        order,
        InstitutionId(row.int("institution_id")?),
        PatientId(row.int("patient_id")?),
    )))
}

async fn create_study(tx: &mut Tx, from: &Indexing) -> Result<Located> {
    let facts = &from.object.facts;
    let order = matching_order(tx, from).await?;
    let (order_id, institution, patient) = match order {
        Some((order, institution, patient)) => (Some(order), institution, patient),
        None => {
            let owner = from.object.sender.institution_id;
            let patient = upsert_in(tx, owner, facts.patient.clone(), FactSource::Device).await?;
            (None, owner, patient)
        }
    };
    let values = params![
        &facts.study_uid,
        patient,
        institution,
        order_id,
        from.object.sender.device_id,
        &facts.accession_number,
        &facts.study_id,
        &facts.study_date,
        &facts.study_time,
        &facts.study_description,
        &facts.referring_physician,
        "",
        &facts.body_part,
        false,
        from.received_at
    ];
    if tx.fetch_optional(sql::STUDY_INSERT, values).await?.is_none() {
        // Another writer made it a moment ago.
        return locate(tx, from)
            .await?
            .ok_or_else(|| ArchiveError::NotFound("study".to_owned()));
    }
    if order_id.is_none() {
        keep_said_name(tx, from).await?;
    }
    tracing::debug!(matched = order_id.is_some(), "a study arrived");
    let mut made = locate(tx, from)
        .await?
        .ok_or_else(|| ArchiveError::NotFound("study".to_owned()))?;
    made.is_new = true;
    Ok(made)
}

/// A number may come with another name than before: a number used again, or a name spelt otherwise. The study is shown
/// under its own name and found by it; an order's word would stand above that of a device.
async fn keep_said_name(tx: &mut Tx, from: &Indexing) -> Result<()> {
    let (facts, name) = (&from.object.facts, &from.object.facts.patient.name);
    let keys = name.keys();
    if keys.name_key.is_empty() {
        return Ok(());
    }
    let values = params![
        &facts.study_uid,
        &keys.display,
        &name.alphabetic,
        &name.ideographic,
        &name.phonetic,
        &keys.pinyin,
        &keys.name_key,
        &keys.alphabetic_key,
    ];
    if let Some(row) = tx.fetch_optional(sql::STUDY_SAID, values).await? {
        tracing::warn!(
            "a device uses a patient's number under another name; the study keeps the name it says"
        );
        also_known_in(tx, PatientId(row.int("patient_id")?), &keys).await?;
    }
    Ok(())
}

async fn create_series(tx: &mut Tx, from: &Indexing, study_id: i64) -> Result<i64> {
    let facts = &from.object.facts;
    let values = params![
        study_id,
        &facts.series_uid,
        &facts.modality,
        facts.series_number,
        &facts.series_description,
        &facts.body_part,
        &facts.laterality,
        &facts.protocol_name,
        &facts.station_name,
        &facts.manufacturer,
        &facts.series_date,
        &facts.series_time,
        facts.kind.unwrap_or(SeriesKind::Other).as_str(),
        from.received_at
    ];
    if let Some(row) = tx.fetch_optional(sql::SERIES_INSERT, values).await? {
        return row.int("id");
    }
    let known = locate(tx, from).await?.and_then(|at| at.series_id);
    known.ok_or_else(|| ArchiveError::NotFound("series".to_owned()))
}

async fn insert_instance(tx: &mut Tx, from: &Indexing, study_id: i64, series_id: i64) -> Result<Option<i64>> {
    let (object, facts) = (&from.object, &from.object.facts);
    let values = params![
        series_id,
        study_id,
        &facts.sop_instance_uid,
        &facts.sop_class_uid,
        &facts.transfer_syntax_uid,
        facts.instance_number,
        facts.frames,
        facts.rows,
        facts.columns,
        facts.bits_allocated,
        &object.key,
        facts.size_bytes,
        object.digests.meta_bytes,
        object.digests.meta,
        object.digests.dataset,
        object.sender.source.as_str(),
        object.sender.device_id,
        from.received_at
    ];
    let row = tx.fetch_optional(sql::INSTANCE_INSERT, values).await?;
    row.map(|row| row.int("id")).transpose()
}

async fn compare(tx: &mut Tx, from: &Indexing) -> Result<Indexed, IndexStop> {
    let uid = &from.object.facts.sop_instance_uid;
    let row = tx.fetch_one(sql::EXISTING, params![uid]).await?;
    let known = Sha256Digest::from_slice(&row.bytes("dataset_digest")?);
    if known == Some(from.object.digests.dataset) {
        let object_key = row.text("object_key")?;
        return Ok(Indexed::DuplicateEqual { object_key });
    }
    // Ends the transaction without its rows: the study that this object claims may be made up.
    Err(IndexStop::Conflict)
}

fn with_modality(known: &str, new: &str) -> String {
    let mut all: Vec<&str> = known.split('\\').filter(|m| !m.is_empty()).collect();
    if !all.contains(&new) && all.len() < MODALITIES_MAX {
        all.push(new);
    }
    all.join("\\")
}

async fn enqueue_jobs(archive: &Archive, tx: &mut Tx, from: &Indexing, priority: i64) -> Result<()> {
    let facts = &from.object.facts;
    let work = archive.work();
    if facts.kind == Some(SeriesKind::Waveform) {
        let job = NewJob::new("ecg_analysis", &facts.sop_instance_uid);
        work.enqueue(tx, job.priority(priority + WAVEFORM_JOB_PRIORITY))
            .await?;
    }
    // Asked for a moment ago and not begun yet: that job will see this object too.
    if !archive.series_news(&facts.series_uid) {
        return Ok(());
    }
    for kind in ["series_metadata", "thumbnail"] {
        let job = NewJob::new(kind, &facts.series_uid).priority(priority);
        work.enqueue(tx, job.after(SERIES_JOB_WAIT)).await?;
    }
    let (archive, series) = (archive.clone(), facts.series_uid.clone());
    tx.on_commit(move || archive.note_series_news(series));
    Ok(())
}

/// Letters about the object, in the same transaction.
async fn route(archive: &Archive, tx: &mut Tx, from: &Indexing, at: &Located) -> Result<()> {
    let Some(router) = archive.router() else {
        return Ok(());
    };
    let facts = &from.object.facts;
    let known = RouteFacts {
        study_uid: facts.study_uid.clone(),
        institution: crate::route::code_of(tx, at.institution_id).await?,
        modalities: vec![facts.modality.clone()],
        body_part: facts.body_part.clone(),
        priority: at.order_priority.unwrap_or(Priority::Routine),
        calling: from.object.sender.name.clone(),
        sop_classes: vec![facts.sop_class_uid.clone()],
        has_waveform: facts.kind == Some(SeriesKind::Waveform),
        at: from.received_at,
    };
    route_object(archive, tx, router.as_ref(), &known, &facts.sop_instance_uid).await
}

fn audit_row(from: &Indexing) -> AuditEntry {
    let (object, sender) = (&from.object, &from.object.sender);
    let action = AuditAction::Create;
    let code = match sender.source {
        Source::Import | Source::Recovered => event::IMPORT,
        _ => event::INSTANCES_TRANSFERRED,
    };
    let mut entry = AuditEntry::new(code, action, &sender.name)
        .role(&sender.role)
        .institution(&from.institution_code)
        .study(&object.facts.study_uid)
        .detail(format!(
            "{} {}",
            sender.source.as_str(),
            object.facts.sop_instance_uid
        ));
    entry.at = from.received_at;
    entry.source_ip = sender.peer.map(|ip| ip.to_string());
    entry
}
