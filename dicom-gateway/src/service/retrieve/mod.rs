//! C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): stored objects sent as C-STORE sub-operations, in the
//! transfer syntax in which they are stored where the peer takes it, else in one that it takes.

mod mover;
mod route;
pub(crate) mod source;

use std::collections::BTreeSet;

use archive::audit::{AuditAction, AuditEntry, event};
use archive::study::Instance;
use dataset::{CharacterSets, DataSet, Vr, tags, write};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

use self::mover::Mover;
use self::source::SourceError;
use super::find::{self, Level};
use super::{Refused, listener};
use crate::association::{AcceptedContext, Ended, Peer, Service};
use crate::dimse::{self, Command, field, status};
use crate::scu::Destination;

/// Objects of one retrieval.
const INSTANCES_MAX: usize = 50_000;
/// Failed instances named in the last answer.
const FAILED_NAMED_MAX: usize = 1_000;

/// How far a retrieval is (PS3.7 9.1.3.1.5 to 8).
#[derive(Debug, Default)]
struct Progress {
    remaining: usize,
    completed: usize,
    warned: usize,
    failed: Vec<String>,
}

/// The end of one sub-operation.
enum Sub {
    Completed,
    Warned,
    Failed,
}

impl Sub {
    fn from_status(status: u16) -> Self {
        match status {
            status::SUCCESS => Self::Completed,
            0x0001 | 0x0107 | 0x0116 | 0xb000..=0xbfff => Self::Warned,
            _ => Self::Failed,
        }
    }
}

impl Progress {
    fn count(&mut self, sub: &Sub, instance: &Instance) {
        self.remaining = self.remaining.saturating_sub(1);
        match sub {
            Sub::Completed => self.completed += 1,
            Sub::Warned => self.warned += 1,
            Sub::Failed => self.failed.push(instance.sop_instance_uid.clone()),
        }
    }

    fn put(&self, set: &mut DataSet, with_remaining: bool) {
        let number = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        if with_remaining {
            set.put_u16(tags::NUMBER_OF_REMAINING_SUBOPERATIONS, number(self.remaining));
        }
        set.put_u16(tags::NUMBER_OF_COMPLETED_SUBOPERATIONS, number(self.completed));
        set.put_u16(tags::NUMBER_OF_FAILED_SUBOPERATIONS, number(self.failed.len()));
        set.put_u16(tags::NUMBER_OF_WARNING_SUBOPERATIONS, number(self.warned));
    }

    fn last_status(&self) -> u16 {
        match (self.completed + self.warned, self.failed.len() + self.warned) {
            (_, 0) => status::SUCCESS,
            (0, _) => status::UNABLE_TO_PERFORM_SUBOPERATIONS,
            _ => status::SOME_SUBOPERATIONS_FAILED,
        }
    }
}

/// Where the objects go.
enum Target {
    /// Back over the association that asked.
    Same,
    /// To another application entity.
    Other(Box<Mover>),
}

/// Answers one C-GET-RQ or C-MOVE-RQ.
pub(crate) async fn run<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let identifier = find::identifier(peer, context, command).await?;
    let status = match prepare(peer, context, command, identifier).await {
        Ok((instances, target)) => transfer(peer, context, command, instances, target).await?,
        Err(refused) => {
            warn!(calling = %peer.calling, address = %peer.address, "retrieval refused: {}", refused.words);
            peer.answer(context, command, refused.status, Some(&refused.words))
                .await?;
            refused.status
        }
    };
    metrics::counter!("gongying_dicom_retrieve_total", "status" => format!("{status:04X}")).increment(1);
    Ok(())
}

/// What is to be sent and where to, once it is sure that it may be.
async fn prepare<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    identifier: Option<Vec<u8>>,
) -> Result<(Vec<Instance>, Target), Refused> {
    if !peer.device.may_retrieve {
        return Err(Refused::new(
            status::NOT_AUTHORISED,
            "this device may not retrieve",
        ));
    }
    let keys = find::parse_keys(context, identifier)?;
    let root = match context.service {
        Service::PatientGet | Service::PatientMove => Level::Patient,
        _ => Level::Study,
    };
    let level = Level::of(&keys).filter(|level| *level >= root);
    if !level.is_some_and(|level| find::names_objects(&keys, level)) {
        return Err(Refused::new(
            status::MISMATCH,
            "the query level or its unique key is missing",
        ));
    }
    let target = match context.service {
        Service::PatientMove | Service::StudyMove => Target::Other(Box::new(Mover::new(
            peer,
            destination(peer, command).await?,
            command,
        ))),
        _ => Target::Same,
    };
    let archive = &peer.gateway.archive;
    let (instances, studies) = find::instances(archive, &peer.device, &keys, INSTANCES_MAX).await?;
    audit(peer, context, &studies).await?;
    Ok((instances, target))
}

/// The enrolled device that a C-MOVE names. Only devices of the same institution: sending to
/// another one is for the other one to ask.
async fn destination<S>(peer: &Peer<S>, command: &Command) -> Result<Destination, Refused> {
    let unknown = |words: &str| Refused::new(status::MOVE_DESTINATION_UNKNOWN, words);
    let title = command.set.text(tags::MOVE_DESTINATION).unwrap_or_default();
    let devices = peer.gateway.archive.devices().list().await?;
    let device = devices.into_iter().find(|device| {
        device.ae_title == title
            && device.is_enrolled()
            && device.institution_id == peer.device.institution_id
            && device.listener.is_some()
    });
    let Some(device) = device else {
        return Err(unknown(
            "no enrolled device of this institution with a listener has this AE title",
        ));
    };
    listener(&device, &peer.gateway.config)
        .ok_or_else(|| unknown("the listener of the device is not HOST:PORT"))
}

/// One row for each study; without them nothing leaves.
async fn audit<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    studies: &BTreeSet<String>,
) -> Result<(), Refused> {
    let entries = studies.iter().map(|study| AuditEntry {
        role: "device".into(),
        study_uid: Some(study.clone()),
        source_ip: Some(peer.address.ip().to_canonical().to_string()),
        detail: Some(context.abstract_syntax.clone()),
        ..AuditEntry::new(
            event::INSTANCES_TRANSFERRED,
            AuditAction::Read,
            &peer.device.ae_title,
        )
    });
    let entries: Vec<AuditEntry> = entries.collect();
    if entries.is_empty() {
        return Ok(());
    }
    Ok(peer.gateway.archive.audit().record_all(entries).await?)
}

async fn transfer<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    instances: Vec<Instance>,
    mut target: Target,
) -> Result<u16, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut progress = Progress {
        remaining: instances.len(),
        ..Progress::default()
    };
    let mut cancelled = false;
    for (index, instance) in instances.iter().enumerate() {
        let sub = match &mut target {
            Target::Same => {
                let (sub, cancel) = send_back(peer, instance, message_id(index), command.message_id).await?;
                cancelled |= cancel;
                sub
            }
            Target::Other(mover) => {
                mover
                    .send(&peer.gateway, instances.get(index..).unwrap_or_default())
                    .await
            }
        };
        progress.count(&sub, instance);
        if progress.remaining == 0 {
            break;
        }
        if !matches!(&target, Target::Other(mover) if mover.gave_up()) {
            pending(peer, context, command, &progress).await?;
            cancelled |= matches!(target, Target::Other(_)) && peer.cancelled(command.message_id).await?;
        }
        if cancelled {
            break;
        }
    }
    if let Target::Other(mover) = target {
        mover.end().await;
    }
    let status = if cancelled {
        status::CANCEL
    } else {
        progress.last_status()
    };
    finish(peer, context, command, &progress, status).await?;
    info!(calling = %peer.calling, completed = progress.completed, failed = progress.failed.len(), "retrieval ended");
    Ok(status)
}

/// Numbers of our own requests on an association.
fn message_id(index: usize) -> u16 {
    u16::try_from(index % 0xfffe).unwrap_or(0) + 1
}

/// C-GET: a sub-operation over the association that asked. Also tells whether a C-CANCEL came.
async fn send_back<S>(
    peer: &mut Peer<S>,
    instance: &Instance,
    message_id: u16,
    asked_by: u16,
) -> Result<(Sub, bool), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let offers: Vec<(&str, u8)> = peer
        .contexts
        .iter()
        .filter(|context| context.peer_is_scp && context.abstract_syntax == instance.sop_class_uid)
        .map(|context| (context.transfer_syntax.as_str(), context.id))
        .collect();
    let transcoder = peer.gateway.config.transcoder.as_deref();
    let Some((context, form)) = route::choose(&offers, &instance.transfer_syntax_uid, transcoder) else {
        return Ok((Sub::Failed, false));
    };
    let (class, uid) = (&instance.sop_class_uid, &instance.sop_instance_uid);
    let request = dimse::request(field::C_STORE_RQ, message_id, class, Some(uid), true);
    let object = (&*peer.gateway, instance, &form);
    match source::send_as(&mut peer.wire, context, &request, object, peer.peer_pdu_bytes_max).await {
        Ok(()) => {}
        Err(SourceError::Wire(error)) => return Err(error.into()),
        Err(error) => {
            warn!(calling = %peer.calling, sop_instance_uid = %uid, "C-GET: {error}");
            return match error {
                SourceError::Unreadable(_) => Ok((Sub::Failed, false)),
                _ => Err(Ended::protocol("an object that could not be sent to its end")),
            };
        }
    }
    let mut cancelled = false;
    loop {
        match peer.next_command().await? {
            Some((_, answer))
                if answer.field == field::C_STORE_RQ | field::RESPONSE
                    && answer.responded_id == message_id =>
            {
                return Ok((Sub::from_status(answer.status), cancelled));
            }
            Some((_, cancel)) if cancel.field == field::C_CANCEL_RQ => {
                cancelled |= cancel.responded_id == asked_by
            }
            _ => return Err(Ended::protocol("no answer to a C-STORE where one was expected")),
        }
    }
}

async fn pending<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    progress: &Progress,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut response = dimse::response(command, status::PENDING, None, false);
    progress.put(&mut response, true);
    peer.respond(context, &response, None).await
}

async fn finish<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    progress: &Progress,
    status: u16,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut response = dimse::response(command, status, None, !progress.failed.is_empty());
    progress.put(&mut response, status == status::CANCEL);
    if progress.failed.is_empty() {
        return peer.respond(context, &response, None).await;
    }
    let mut list = DataSet::with_charset(CharacterSets::utf8());
    list.remove(tags::SPECIFIC_CHARACTER_SET);
    let named: Vec<&str> = progress
        .failed
        .iter()
        .take(FAILED_NAMED_MAX)
        .map(String::as_str)
        .collect();
    list.put_text(tags::FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, &named.join("\\"));
    let data = write::encode(&list, context.transfer_syntax.kind())
        .map_err(|_| Ended::protocol("an answer that cannot be written"))?;
    peer.respond(context, &response, Some(&data)).await
}
