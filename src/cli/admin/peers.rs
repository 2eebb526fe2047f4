//! Other DICOM nodes from the command line: do they answer, what do they hold, fetch it.

use super::Place;
use crate::node::Node;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::audit::{AuditAction, AuditEntry, event};
use archive::receive::{Sender, Source};
use clap::Args;
use dataset::{AeTitle, CharacterSets, DataSet, StudyInstanceUid, Tag, Vr, tags};
use dicom_gateway::forward::Endpoint;
use dicom_gateway::scu::{self, QueryModel, get::Receiver};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Who asks, in the audit trail.
const OPERATOR: &str = "operator";
/// Longest wait for the next object or progress report of a retrieval.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Args, Debug)]
pub(crate) struct Echo {
    /// Name of a [[destination]], or AE title of an enrolled device that has a listener.
    node: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct Query {
    /// Name of a [[destination]], or AE title of an enrolled device that has a listener.
    node: String,
    /// Patient ID.
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Patient's name; * and ? stand for anything.
    #[arg(long)]
    name: Option<String>,
    /// Accession number.
    #[arg(long, value_name = "NUMBER")]
    accession: Option<String>,
    /// Study date or span, 20260101-20261231.
    #[arg(long, value_name = "DATES")]
    date: Option<String>,
    /// A modality in the study.
    #[arg(long)]
    modality: Option<String>,
    /// Study Instance UID.
    #[arg(long, value_name = "UID")]
    study: Option<String>,
    /// Studies at most.
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// One JSON object for each study instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct Retrieve {
    /// Name of a [[destination]], or AE title of an enrolled device that has a listener.
    node: String,
    /// Study Instance UID.
    #[arg(long, value_name = "UID")]
    study: String,
    /// Code of the institution that will own the study, unless an order says otherwise; that of the
    /// enrolled device when missing.
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Let the other node send to the running one (C-MOVE to our AE title) instead of fetching over
    /// this association (C-GET).
    #[arg(long = "move")]
    by_move: bool,
    #[command(flatten)]
    place: Place,
}

async fn endpoint(node: &Node, name: &str) -> Result<Endpoint> {
    let found = node.rules.forwarding(node.archive.clone()).endpoint(name).await;
    found.map_err(|why| anyhow::anyhow!("{why}; `gongying admin device list` shows the enrolled devices"))
}

impl Echo {
    pub(super) async fn run(self) -> Result<()> {
        let node = self.place.open().await?;
        let endpoint = endpoint(&node, &self.node).await?;
        let took = scu::echo(&endpoint.to, endpoint.timeout).await?;
        output::line(&format!(
            "{} at {} answered in {:.1} ms",
            endpoint.to.called.as_str(),
            endpoint.to.address(),
            took.as_secs_f64() * 1000.0
        ))
    }
}

/// Keys of a study with all that is shown of it.
fn study_keys() -> DataSet {
    let mut keys = DataSet::with_charset(CharacterSets::utf8());
    keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
    for (tag, vr) in [
        (tags::STUDY_DATE, Vr::DA),
        (tags::ACCESSION_NUMBER, Vr::SH),
        (tags::MODALITIES_IN_STUDY, Vr::CS),
        (tags::SOP_CLASSES_IN_STUDY, Vr::UI),
        (tags::STUDY_DESCRIPTION, Vr::LO),
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
        (tags::STUDY_INSTANCE_UID, Vr::UI),
        (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS),
    ] {
        keys.put_empty(tag, vr);
    }
    keys
}

async fn note_query(node: &Node, endpoint: &Endpoint, study: Option<&str>) -> Result<()> {
    let mut entry = AuditEntry::new(event::QUERY, AuditAction::Execute, OPERATOR);
    entry = entry
        .role(OPERATOR)
        .detail(format!("C-FIND at {}", endpoint.to.address()));
    entry.study_uid = study.map(str::to_owned);
    Ok(node.archive.audit().record(entry).await?)
}

impl Query {
    fn keys(&self) -> Result<DataSet> {
        let mut keys = study_keys();
        let given: [(Tag, Vr, &Option<String>); 6] = [
            (tags::PATIENT_ID, Vr::LO, &self.patient),
            (tags::PATIENT_NAME, Vr::PN, &self.name),
            (tags::ACCESSION_NUMBER, Vr::SH, &self.accession),
            (tags::STUDY_DATE, Vr::DA, &self.date),
            (tags::MODALITIES_IN_STUDY, Vr::CS, &self.modality),
            (tags::STUDY_INSTANCE_UID, Vr::UI, &self.study),
        ];
        if given.iter().all(|(_, _, value)| value.is_none()) {
            bail!("nothing is asked: give --patient, --name, --accession, --date, --modality or --study");
        }
        for (tag, vr, value) in given {
            if let Some(text) = value {
                keys.put_text(tag, vr, text);
            }
        }
        Ok(keys)
    }

    pub(super) async fn run(self) -> Result<()> {
        let keys = self.keys()?;
        let node = self.place.open().await?;
        let endpoint = endpoint(&node, &self.node).await?;
        note_query(&node, &endpoint, self.study.as_deref()).await?;
        let limit = self.limit.clamp(1, 20_000);
        let found = scu::find(
            &endpoint.to,
            QueryModel::StudyRoot,
            &keys,
            limit,
            endpoint.timeout,
        )
        .await?;
        for answer in &found.answers {
            output::line(&study_line(answer, self.json)?)?;
        }
        let more = if found.cut_off {
            "; there are more: raise --limit"
        } else {
            ""
        };
        output::note(&format!("{} studies{more}", found.answers.len()));
        Ok(())
    }
}

fn study_line(answer: &DataSet, json: bool) -> Result<String> {
    let text = |tag| answer.text(tag).unwrap_or_default();
    let modalities = answer.texts(tags::MODALITIES_IN_STUDY);
    let instances = answer.i64(tags::NUMBER_OF_STUDY_RELATED_INSTANCES);
    if json {
        return Ok(serde_json::to_string(&serde_json::json!({
            "study_uid": text(tags::STUDY_INSTANCE_UID),
            "study_date": text(tags::STUDY_DATE),
            "accession_number": text(tags::ACCESSION_NUMBER),
            "modalities": modalities,
            "description": text(tags::STUDY_DESCRIPTION),
            "patient_id": text(tags::PATIENT_ID),
            "patient_name": text(tags::PATIENT_NAME),
            "instances": instances,
        }))?);
    }
    Ok(format!(
        "{:8} {:8} {:>5} {:16} {}  {}  {}",
        text(tags::STUDY_DATE),
        modalities.join("/"),
        instances.map(|n| n.to_string()).unwrap_or_default(),
        text(tags::PATIENT_ID),
        text(tags::PATIENT_NAME),
        text(tags::STUDY_DESCRIPTION),
        text(tags::STUDY_INSTANCE_UID),
    ))
}

impl Retrieve {
    pub(super) async fn run(self) -> Result<()> {
        let uid = StudyInstanceUid::parse(&self.study).context("--study")?;
        let node = self.place.open().await?;
        let endpoint = endpoint(&node, &self.node).await?;
        let mut keys = DataSet::new();
        keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
        keys.put_uid(tags::STUDY_INSTANCE_UID, uid.as_str());
        let waits = (endpoint.timeout, PATIENCE);
        let progress = |progress: scu::Progress| {
            if let Some(left) = progress.remaining.filter(|left| left % 100 == 0) {
                output::note(&format!("{} came, {left} to come", progress.completed));
            }
        };
        let summary = if self.by_move {
            let own = AeTitle::parse(node.config.dicom.ae_title.trim()).context("[dicom] ae_title")?;
            scu::retrieve_to(&endpoint.to, QueryModel::StudyRoot, &keys, &own, waits, progress).await?
        } else {
            let receiver = Receiver {
                archive: &node.archive,
                sender: self.sender(&node, &endpoint).await?,
                sop_classes: self.classes(&node, &endpoint).await?,
            };
            scu::get(
                &endpoint.to,
                QueryModel::StudyRoot,
                &keys,
                &receiver,
                waits,
                progress,
            )
            .await?
        };
        for reason in &summary.refused {
            output::note(&format!("not kept: {reason}"));
        }
        let counts = summary.counts;
        let came = if self.by_move {
            usize::from(counts.completed)
        } else {
            summary.stored
        };
        output::line(&format!("{came} objects came, {} failed", counts.failed))?;
        if counts.failed > 0 || !summary.refused.is_empty() {
            bail!(
                "the study is not complete: {} objects failed there, {} were refused here",
                counts.failed,
                summary.refused.len()
            );
        }
        if came == 0 {
            bail!(
                "{} holds no such study, or sent nothing",
                endpoint.to.called.as_str()
            );
        }
        Ok(())
    }

    /// SOP classes of the study, so that a context is proposed for each; unknown when it does not say.
    async fn classes(&self, node: &Node, endpoint: &Endpoint) -> Result<Vec<String>> {
        let mut keys = study_keys();
        keys.put_uid(tags::STUDY_INSTANCE_UID, &self.study);
        note_query(node, endpoint, Some(&self.study)).await?;
        let found = scu::find(&endpoint.to, QueryModel::StudyRoot, &keys, 1, endpoint.timeout).await?;
        let Some(answer) = found.answers.first() else {
            bail!("{} holds no study {}", endpoint.to.called.as_str(), self.study);
        };
        Ok(scu::get::classes_in(answer))
    }

    /// As whose the objects are kept.
    async fn sender(&self, node: &Node, endpoint: &Endpoint) -> Result<Sender> {
        let ip = endpoint
            .to
            .host
            .parse()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let device = node
            .archive
            .devices()
            .by_ae_title(endpoint.to.called.as_str())
            .await
            .ok();
        if let Some(code) = &self.institution {
            let owner = node
                .archive
                .institutions()
                .by_code(code)
                .await
                .context("--institution")?;
            return Ok(Sender::account(
                endpoint.to.called.as_str(),
                "device",
                owner.id,
                Some(ip),
                Source::CStore,
            ));
        }
        let Some(device) = device else {
            bail!(
                "{} is not an enrolled device: say with --institution whose study it is",
                endpoint.to.called.as_str()
            );
        };
        Ok(Sender::device(&device, ip, Source::CStore))
    }
}
