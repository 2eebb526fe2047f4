//! Modality Performed Procedure Step (PS3.4 Annex F): a device says that an exam has begun, goes
//! on, is done or was broken off. The order that it names moves on with it.

use archive::ArchiveError;
use archive::audit::{AuditAction, AuditEntry, event};
use archive::events::{Event, EventKind};
use archive::order::Order;
use archive::performed_step::{PerformedStep, StepChange, StepState};
use dataset::json::{BulkPolicy, from_json, tag_text, to_json};
use dataset::{DataSet, Tag, Uid, Vr, dictionary, tags, uids, write};
use serde_json::{Map, Value as Json};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

use super::{Refused, read_data_set};
use crate::association::{AcceptedContext, Ended, Peer};
use crate::dimse::{self, Command, field, status};

/// Longest data set of one message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Longest step with everything that was ever said about it, as DICOM JSON.
const STEP_BYTES_MAX: usize = 4 << 20;
/// Orders that one step is looked up for.
const SCHEDULED_MAX: usize = 16;
/// Error ID of a change to a final step (PS3.4 F.7.2.2.3).
const NO_LONGER_UPDATED: u16 = 0xa506;

/// Attributes without which a step cannot begin (PS3.4 table F.7.2-1, type 1 at creation).
const NEEDED: [Tag; 7] = [
    tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
    tags::PERFORMED_PROCEDURE_STEP_ID,
    tags::PERFORMED_STATION_AE_TITLE,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::PERFORMED_PROCEDURE_STEP_STATUS,
    tags::MODALITY,
];
/// Attributes that a change may not touch (table F.7.2-1, not allowed in N-SET); they stay.
const FIXED: [Tag; 14] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PERFORMED_PROCEDURE_STEP_ID,
    tags::PERFORMED_STATION_AE_TITLE,
    tags::PERFORMED_STATION_NAME,
    tags::PERFORMED_LOCATION,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::MODALITY,
    tags::STUDY_ID,
];

/// What is answered when it went well.
#[derive(Default)]
struct Done {
    /// UID that we gave to a step without one.
    made_uid: Option<String>,
    /// Attributes of an N-GET.
    data: Option<DataSet>,
}

/// Answers one N-CREATE-RQ, N-SET-RQ or N-GET-RQ.
pub(crate) async fn run<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let outcome = match read_data_set(peer, context, command, MESSAGE_BYTES_MAX).await? {
        Err(refused) => Err(refused),
        Ok(set) => match command.field {
            field::N_CREATE_RQ => create(peer, command, &set).await,
            field::N_SET_RQ => change(peer, command, set).await,
            _ => get(peer, command).await,
        },
    };
    let (status, name) = (
        outcome.as_ref().err().map_or(status::SUCCESS, |r| r.status),
        name_of(command),
    );
    metrics::counter!("gongying_dicom_performed_step_total", "operation" => name, "status" => format!("{status:04X}"))
        .increment(1);
    let (mut response, data) = match outcome {
        Ok(done) => {
            let mut response = dimse::response(command, status::SUCCESS, None, done.data.is_some());
            if let Some(uid) = done.made_uid {
                response.put_uid(tags::AFFECTED_SOP_INSTANCE_UID, uid);
            }
            (response, done.data)
        }
        Err(refused) => {
            let words = &refused.words;
            warn!(calling = %peer.calling, address = %peer.address, "{name} refused: {words}");
            (dimse::response(command, refused.status, Some(words), false), None)
        }
    };
    if status == status::PROCESSING_FAILURE {
        response.put_u16(tags::ERROR_ID, NO_LONGER_UPDATED);
    }
    let data = data
        .map(|set| write::encode(&set, context.transfer_syntax.kind()))
        .transpose()
        .map_err(|_| Ended::protocol("an answer that cannot be written"))?;
    peer.respond(context, &response, data.as_deref()).await
}

fn name_of(command: &Command) -> &'static str {
    match command.field {
        field::N_CREATE_RQ => "N-CREATE",
        field::N_SET_RQ => "N-SET",
        _ => "N-GET",
    }
}

fn instance_uid(command: &Command) -> Result<String, Refused> {
    let invalid = |_| Refused::new(status::INVALID_SOP_INSTANCE, "the SOP Instance UID is not a UID");
    let uid = Uid::parse(&command.sop_instance).map_err(invalid)?;
    Ok(uid.as_str().to_owned())
}

fn may<S>(peer: &Peer<S>) -> Result<(), Refused> {
    if peer.device.may_store {
        return Ok(());
    }
    Err(Refused::new(
        status::NOT_AUTHORISED,
        "this device may not report procedure steps",
    ))
}

async fn create<S>(peer: &Peer<S>, command: &Command, set: &DataSet) -> Result<Done, Refused> {
    may(peer)?;
    let made_uid = command
        .sop_instance
        .is_empty()
        .then(archive::order::new_study_uid);
    let uid = match &made_uid {
        Some(uid) => uid.clone(),
        None => instance_uid(command)?,
    };
    check_new(set)?;
    let order = order_of(peer, set).await?;
    let step = PerformedStep {
        order_id: order.as_ref().map(|order| order.id),
        state: StepState::InProgress,
        data_set: packed(&attributes(set))?,
        station_ae: peer.device.ae_title.clone(),
    };
    match peer.gateway.archive.orders().create_step(&uid, step).await {
        Ok(()) => {}
        Err(ArchiveError::Conflict(_)) => {
            return Err(Refused::new(
                status::DUPLICATE_SOP_INSTANCE,
                "this performed procedure step is there already",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    if order.is_none() {
        info!(calling = %peer.calling, "a performed procedure step names no order that is known here");
    }
    tell(peer, order.as_ref(), AuditAction::Create).await?;
    Ok(Done { made_uid, data: None })
}

/// What must be there before a step can begin.
fn check_new(set: &DataSet) -> Result<(), Refused> {
    let named = |tag| dictionary::keyword_of(tag).unwrap_or("an attribute");
    for tag in NEEDED {
        let (code, words) = match is_empty(set, tag) {
            None => (status::MISSING_ATTRIBUTE, "is missing"),
            Some(true) => (status::MISSING_ATTRIBUTE_VALUE, "is empty"),
            Some(false) => continue,
        };
        return Err(Refused::new(code, format!("{} {words}", named(tag))));
    }
    let scheduled = set.sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE);
    for item in scheduled.iter().take(SCHEDULED_MAX) {
        if item.uid(tags::STUDY_INSTANCE_UID).is_err() {
            let code = match is_empty(item, tags::STUDY_INSTANCE_UID) {
                None => status::MISSING_ATTRIBUTE,
                Some(true) => status::MISSING_ATTRIBUTE_VALUE,
                Some(false) => status::INVALID_ATTRIBUTE_VALUE,
            };
            return Err(Refused::new(
                code,
                "StudyInstanceUID of the scheduled step is no UID",
            ));
        }
    }
    if state_of(set)? != Some(StepState::InProgress) {
        return Err(Refused::new(
            status::INVALID_ATTRIBUTE_VALUE,
            "a new step has the status IN PROGRESS",
        ));
    }
    Ok(())
}

/// `None` when the attribute is not there.
fn is_empty(set: &DataSet, tag: Tag) -> Option<bool> {
    let element = set.get(tag)?;
    Some(if element.vr == Vr::SQ {
        set.sequence(tag).is_empty()
    } else {
        set.text(tag).is_none()
    })
}

fn state_of(set: &DataSet) -> Result<Option<StepState>, Refused> {
    let Some(text) = set.text(tags::PERFORMED_PROCEDURE_STEP_STATUS) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Refused::new(
            status::INVALID_ATTRIBUTE_VALUE,
            "the status is IN PROGRESS, COMPLETED or DISCONTINUED",
        )
    })
}

/// The order that the step answers: it has the study UID, and either its accession number too or
/// is one that the device may see on its worklist.
async fn order_of<S>(peer: &Peer<S>, set: &DataSet) -> Result<Option<Order>, Refused> {
    let scheduled = set.sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE);
    for item in scheduled.iter().take(SCHEDULED_MAX) {
        let study = item.text(tags::STUDY_INSTANCE_UID).unwrap_or_default();
        let Some(order) = peer.gateway.archive.orders().by_study_uid(&study).await? else {
            continue;
        };
        let accession = item.text(tags::ACCESSION_NUMBER);
        let own = order.institution_id == peer.device.institution_id
            || order.scheduled_ae.as_deref() == Some(&*peer.device.ae_title);
        match accession {
            Some(number) if number == order.accession_number => return Ok(Some(order)),
            None if own => return Ok(Some(order)),
            _ => {}
        }
    }
    Ok(None)
}

async fn change<S>(peer: &Peer<S>, command: &Command, set: DataSet) -> Result<Done, Refused> {
    may(peer)?;
    let uid = instance_uid(command)?;
    let wanted = state_of(&set)?;
    let step = known(peer, &uid).await?;
    let said = attributes(&set);
    let changed = peer
        .gateway
        .archive
        .orders()
        .change_step(&uid, move |step| {
            let state = wanted.unwrap_or(step.state);
            let whole = merged(unpacked(&step.data_set)?, said);
            let bytes = packed(&whole).map_err(|refused| ArchiveError::invalid("step", refused.words))?;
            Ok((state, bytes))
        })
        .await;
    let changed = match changed {
        Err(ArchiveError::Invalid { why, .. }) => return Err(Refused::new(status::RESOURCE_LIMITATION, why)),
        other => other?,
    };
    match changed {
        StepChange::Unknown => Err(unknown()),
        StepChange::Final => Err(Refused::new(
            status::PROCESSING_FAILURE,
            "this procedure step may no longer be updated",
        )),
        StepChange::Done(_) => {
            let order = match step.order_id {
                Some(id) => Some(peer.gateway.archive.orders().by_id(id).await?),
                None => None,
            };
            tell(peer, order.as_ref(), AuditAction::Update).await?;
            Ok(Done::default())
        }
    }
}

fn unknown() -> Refused {
    Refused::new(status::NO_SUCH_INSTANCE, "no such performed procedure step")
}

/// A step that this peer made: nobody else may change or read it.
async fn known<S>(peer: &Peer<S>, uid: &str) -> Result<PerformedStep, Refused> {
    let step = peer
        .gateway
        .archive
        .orders()
        .step(uid)
        .await?
        .ok_or_else(unknown)?;
    if step.station_ae == peer.device.ae_title {
        return Ok(step);
    }
    Err(Refused::new(
        status::NOT_AUTHORISED,
        "the step was reported by another device",
    ))
}

async fn get<S>(peer: &Peer<S>, command: &Command) -> Result<Done, Refused> {
    may(peer)?;
    let uid = instance_uid(command)?;
    let step = known(peer, &uid).await?;
    let all = from_json(&Json::Object(unpacked(&step.data_set)?))
        .map_err(|error| Refused::new(status::PROCESSING_FAILURE, error.to_string()))?;
    let asked = command.set.i64s(tags::ATTRIBUTE_IDENTIFIER_LIST);
    let mut answer = DataSet::with_charset(all.charset().clone());
    for element in all.elements() {
        let number = i64::from(dictionary::tag_to_u32(element.tag));
        if asked.is_empty() || asked.contains(&number) {
            answer.put(element.clone());
        }
    }
    Ok(Done {
        made_uid: None,
        data: Some(answer),
    })
}

type Attributes = Map<String, Json>;

/// As DICOM JSON: whatever character set a message is in, all of a step is kept in one.
fn attributes(set: &DataSet) -> Attributes {
    let policy = BulkPolicy {
        base_uri: String::new(),
        inline_max_bytes: MESSAGE_BYTES_MAX as u64,
    };
    match to_json(set, &policy) {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// The step with what a message says about it.
fn merged(mut step: Attributes, said: Attributes) -> Attributes {
    let fixed = FIXED.map(tag_text);
    for (tag, value) in said {
        if !fixed.contains(&tag) {
            step.insert(tag, value);
        }
    }
    step
}

fn packed(step: &Attributes) -> Result<Vec<u8>, Refused> {
    let bytes = serde_json::to_vec(step).unwrap_or_default();
    if bytes.is_empty() || bytes.len() > STEP_BYTES_MAX {
        return Err(Refused::new(
            status::RESOURCE_LIMITATION,
            "the step has more attributes than are kept",
        ));
    }
    Ok(bytes)
}

fn unpacked(bytes: &[u8]) -> Result<Attributes, ArchiveError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ArchiveError::Corrupt(format!("a performed procedure step: {error}")))
}

/// Open worklists hear of it, and the audit trail has it.
async fn tell<S>(peer: &Peer<S>, order: Option<&Order>, action: AuditAction) -> Result<(), Refused> {
    let archive = &peer.gateway.archive;
    let entry = AuditEntry {
        role: "device".into(),
        study_uid: order.map(|order| order.study_uid.clone()),
        source_ip: Some(peer.address.ip().to_canonical().to_string()),
        detail: Some(uids::MODALITY_PERFORMED_PROCEDURE_STEP.into()),
        ..AuditEntry::new(event::PROCEDURE_RECORD, action, &peer.device.ae_title)
    };
    archive.audit().record(entry).await?;
    if let Some(order) = order {
        let news = Event::new(
            EventKind::Order,
            order.study_uid.clone(),
            vec![order.institution_id],
        );
        archive.events().publish(news);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> DataSet {
        let mut set = DataSet::new();
        let mut item = DataSet::new();
        item.put_uid(tags::STUDY_INSTANCE_UID, "1.2.3");
        set.put_sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![item]);
        for (tag, vr, text) in [
            (tags::PERFORMED_PROCEDURE_STEP_ID, Vr::SH, "P1"),
            (tags::PERFORMED_STATION_AE_TITLE, Vr::AE, "CT"),
            (tags::PERFORMED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260115"),
            (tags::PERFORMED_PROCEDURE_STEP_START_TIME, Vr::TM, "101500"),
            (tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, "IN PROGRESS"),
            (tags::MODALITY, Vr::CS, "CT"),
        ] {
            set.put_text(tag, vr, text);
        }
        set
    }

    #[test]
    fn a_new_step_must_be_whole() {
        let check = |spoil: &dyn Fn(&mut DataSet), expect: Option<u16>| {
            let mut set = whole();
            spoil(&mut set);
            assert_eq!(check_new(&set).err().map(|r| r.status), expect);
        };
        check(&|_| (), None);
        for tag in NEEDED {
            check(
                &|set| {
                    set.remove(tag);
                },
                Some(0x0120),
            );
            check(
                &|set| {
                    let vr = set.get(tag).map_or(Vr::SH, |e| e.vr);
                    set.put_empty(tag, vr);
                },
                Some(0x0121),
            );
        }
        let item = |uid: Option<&str>| {
            let mut item = DataSet::new();
            if let Some(uid) = uid {
                item.put_uid(tags::STUDY_INSTANCE_UID, uid);
            }
            vec![item]
        };
        let step = tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE;
        check(&|set| set.put_sequence(step, item(None)), Some(0x0120));
        check(&|set| set.put_sequence(step, item(Some(""))), Some(0x0121));
        check(&|set| set.put_sequence(step, item(Some("x"))), Some(0x0106));
        for word in ["COMPLETED", "STARTED"] {
            let state = |set: &mut DataSet| set.put_text(tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, word);
            check(&state, Some(0x0106));
        }
    }

    #[test]
    fn changes_keep_what_is_fixed_and_any_character_set() {
        let mut first = whole();
        first.declare_charset(dataset::CharacterSets::gb18030());
        first.put_text(tags::PATIENT_NAME, Vr::PN, "赵小勇");
        let mut second = DataSet::with_charset(dataset::CharacterSets::utf8());
        second.put_text(tags::PATIENT_NAME, Vr::PN, "他人");
        second.put_text(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, "胸部平扫");
        let step = merged(attributes(&first), attributes(&second));
        let kept = unpacked(&packed(&step).ok().expect("short")).expect("readable");
        let set = from_json(&Json::Object(kept)).expect("readable");
        let text = |tag| set.text(tag);
        assert_eq!(text(tags::PATIENT_NAME).as_deref(), Some("赵小勇"));
        assert_eq!(
            text(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION).as_deref(),
            Some("胸部平扫")
        );
    }
}
