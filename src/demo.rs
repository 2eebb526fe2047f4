//! What the demonstration puts into an empty county: its community, and the synthetic studies, which take the way of
//! real ones: an order, C-STORE to the own DICOM port under the device's AE title, and for earlier exams a report
//! written and signed by two people.

mod reports;
mod state;

use crate::node::{Node, Running};
use crate::output;
use anyhow::{Context, Result, bail};
use archive::device::NewDevice;
use dicom_gateway::scu::{self, Destination, SendOptions};
use fixtures::Seed;
use fixtures::demo::DemoStudy;
use fixtures::study::{Priority, da};
use reading::Actor;
use reading::order::{OrderInput, PatientInput};
use state::{Entry, State};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEED: u64 = 20_261_121;
const ASSOCIATIONS: usize = 3;
const WAIT_SECONDS_MAX: u64 = 60;
/// Key of the order at the other hospital.
const FOLLOW_UP: &str = "follow-up";

/// Institutions, accounts and devices; what exists stays.
pub(crate) async fn community(node: &Node, password: &str) -> Result<()> {
    reading::demo::seed(&node.reading, password).await?;
    let enrolled = node.archive.devices().list().await?;
    for device in fixtures::demo::DEVICES {
        if enrolled.iter().any(|d| d.ae_title == device.ae_title) {
            continue;
        }
        let institution = node
            .archive
            .institutions()
            .by_code(device.institution_code)
            .await?;
        let new = NewDevice {
            name: device.name_zh.to_string(),
            ae_title: device.ae_title.to_string(),
            institution_id: institution.id,
            from_addr: None,
            may_store: true,
            may_query: true,
            may_retrieve: true,
            listener: None,
            expires_at: None,
        };
        node.archive.devices().create(new).await?;
    }
    Ok(())
}

/// Sends the studies that are not there yet.
pub(crate) async fn studies(node: &Node, running: &Running, data: &Path, password: &str) -> Result<()> {
    let mut state = State::load(data)?;
    let now = state.started()?;
    let port = running
        .dicom
        .context("the demonstration needs the DICOM role")?
        .port();
    let planned = fixtures::demo::studies(Seed::new(SEED), now);
    let referred = planned.iter().find(|s| s.modality == "CT").cloned();
    for (index, study) in planned.into_iter().enumerate() {
        let key = index.to_string();
        if state.entry(&key).is_some_and(|e| e.sent) {
            continue;
        }
        let entry = match state.entry(&key) {
            Some(entry) => entry.clone(),
            None => {
                let entry = order(node, &study, password).await?;
                state.keep(&key, entry.clone())?;
                entry
            }
        };
        let study = with_order(study, &entry);
        send(&study, port, &node.config.dicom.ae_title, data).await?;
        if study.is_prior(now) {
            reports::write(node, &study, password).await?;
        }
        state.keep(&key, Entry { sent: true, ..entry })?;
    }
    if let Some(study) = referred.filter(|_| state.entry(FOLLOW_UP).is_none()) {
        state.keep(FOLLOW_UP, follow_up(node, &study, password).await?)?;
    }
    Ok(())
}

/// The accession number and study UID of the order are those of the images, as from a modality worklist.
fn with_order(mut study: DemoStudy, entry: &Entry) -> DemoStudy {
    study.context.study_uid.clone_from(&entry.study_uid);
    study.context.accession_number.clone_from(&entry.accession_number);
    study
}

/// A demo account that works on the study.
pub(crate) async fn person(node: &Node, user: &str, password: &str) -> Result<Actor> {
    let login = reading::account::log_in(&node.reading, user, password, Some("127.0.0.1".into())).await;
    Ok(login.with_context(|| format!("demo account {user}"))?.actor)
}

async fn order(node: &Node, study: &DemoStudy, password: &str) -> Result<Entry> {
    // The county's MR works for the hospital of Chinese medicine, which has none.
    let user = match study.device.institution_code {
        "HEXI" => "tech.hexi",
        "DONGSHAN" => "tech.dongshan",
        _ => "clin.tcm",
    };
    place(node, user, password, request(study)).await
}

/// The patient of the chest CT goes on to the other hospital, whose clinician is about to order: the earlier results
/// stand in the timeline, to be recognised.
async fn follow_up(node: &Node, study: &DemoStudy, password: &str) -> Result<Entry> {
    let mut input = request(study);
    input.patient.id = format!("TCM{}", &input.patient.id[2..]);
    input.priority = Some("ROUTINE".into());
    input.clinical_history = Some("外院检查后转诊，咳嗽待查".into());
    input.scheduled_ae = None;
    place(node, "clin.tcm", password, input).await
}

async fn place(node: &Node, user: &str, password: &str, input: OrderInput) -> Result<Entry> {
    let actor = person(node, user, password).await?;
    let placed = reading::order::place(&node.reading, &actor, input).await?;
    Ok(Entry {
        accession_number: placed.accession_number,
        study_uid: placed.study_uid,
        sent: false,
    })
}

fn request(study: &DemoStudy) -> OrderInput {
    let context = &study.context;
    let born = da(context.patient.birth_date);
    let patient = PatientInput {
        id: context.patient.id.clone(),
        name: context.patient.name_zh.replace('^', ""),
        sex: Some(context.patient.sex.defined_term().to_string()),
        birth_date: Some(format!("{}-{}-{}", &born[..4], &born[4..6], &born[6..8])),
        national_id: Some(context.patient.national_id.clone()),
    };
    let priority = match context.order.priority {
        Priority::Stat => "STAT",
        Priority::Urgent => "URGENT",
        Priority::Routine => "ROUTINE",
    };
    OrderInput {
        patient,
        modality: study.modality.to_string(),
        body_part: context.order.body_part.clone(),
        item_code: context.order.item_code.clone(),
        item_name: context.order.item_name.clone(),
        priority: Some(priority.to_string()),
        clinical_history: Some(context.order.clinical_history.clone()),
        scheduled_ae: Some(study.device.ae_title.to_string()),
        scheduled_at: None,
    }
}

/// Makes the files, sends them as the device, and removes them.
async fn send(study: &DemoStudy, port: u16, called: &str, data: &Path) -> Result<()> {
    let folder = data.join("demo-outbox");
    let (made, from) = (study.clone(), folder.clone());
    let files = tokio::task::spawn_blocking(move || write_files(&made, &from)).await??;
    let options = SendOptions {
        to: Destination::new(
            "127.0.0.1",
            port,
            dataset::AeTitle::parse(called)?,
            dataset::AeTitle::parse(study.device.ae_title)?,
        ),
        associations: ASSOCIATIONS,
        timeout: Duration::from_secs(WAIT_SECONDS_MAX),
    };
    let mut first = None;
    let summary = scu::send(files, &options, |result| {
        if !result.outcome.is_stored() {
            first.get_or_insert(result.outcome);
        }
    })
    .await?;
    if summary.failed > 0 {
        bail!("a demonstration study was not stored: {first:?}");
    }
    output::note(&format!(
        "sent {} ({} objects)",
        study.context.order.item_name, summary.stored
    ));
    tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder))
        .await?
        .context("demo-outbox")
}

fn write_files(study: &DemoStudy, folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_dir() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for file in study.files() {
        let file = file?;
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.bytes)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}
