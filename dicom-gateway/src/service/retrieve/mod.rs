//! C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): stored objects sent as C-STORE sub-operations, in the
//! transfer syntax in which they are stored.

pub(crate) mod source;

use std::collections::BTreeSet;

use archive::audit::{AuditAction, AuditEntry, event};
use archive::study::Instance;
use dataset::{AeTitle, CharacterSets, DataSet, Vr, tags, write};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

use self::source::SourceError;
use super::Refused;
use super::find::{self, Level};
use crate::association::{AcceptedContext, Ended, Peer, Service};
use crate::dimse::{self, Command, field, status};
use crate::scu::{Client, Destination, Pair};

/// Objects of one retrieval.
const INSTANCES_MAX: usize = 50_000;
/// Failed instances named in the last answer.
const FAILED_NAMED_MAX: usize = 1_000;
/// Presentation contexts of one association.
const CONTEXTS_MAX: usize = 128;

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
    Other(Box<Client>),
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
    let destination = match context.service {
        Service::PatientMove | Service::StudyMove => Some(destination(peer, command).await?),
        _ => None,
    };
    let archive = &peer.gateway.archive;
    let (instances, studies) = find::instances(archive, &peer.device, &keys, INSTANCES_MAX).await?;
    audit(peer, context, &studies).await?;
    let target = match destination {
        None => Target::Same,
        Some(to) if !instances.is_empty() => Target::Other(Box::new(open(peer, &to, &instances).await?)),
        Some(_) => Target::Same,
    };
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
            && device.revoked_at.is_none()
            && device.institution_id == peer.device.institution_id
            && device.listener.is_some()
    });
    let Some(device) = device else {
        return Err(unknown(
            "no enrolled device of this institution with a listener has this AE title",
        ));
    };
    let listener = device.listener.unwrap_or_default();
    let parts = listener
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (Some((host, port)), Ok(called)) = (parts, AeTitle::parse(&device.ae_title)) else {
        return Err(unknown("the listener of the device is not HOST:PORT"));
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    let calling = peer.gateway.config.ae_title.clone();
    Ok(Destination::new(host, port, called, calling))
}

async fn open<S>(peer: &Peer<S>, to: &Destination, instances: &[Instance]) -> Result<Client, Refused> {
    let pairs: BTreeSet<Pair> = instances.iter().map(pair_of).collect();
    let pairs: Vec<Pair> = pairs.into_iter().take(CONTEXTS_MAX).collect();
    Client::open(to, &pairs, peer.gateway.config.write_timeout)
        .await
        .map_err(|error| {
            warn!(calling = %peer.calling, "C-MOVE: {error}");
            Refused::new(
                status::UNABLE_TO_PERFORM_SUBOPERATIONS,
                "the move destination cannot be reached",
            )
        })
}

fn pair_of(instance: &Instance) -> Pair {
    Pair {
        sop_class: instance.sop_class_uid.clone(),
        transfer_syntax: instance.transfer_syntax_uid.clone(),
    }
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
    let (mut cancelled, mut broken) = (false, false);
    for (index, instance) in instances.iter().enumerate() {
        let sub = match &mut target {
            Target::Same => {
                let (sub, cancel) = send_back(peer, instance, message_id(index), command.message_id).await?;
                cancelled |= cancel;
                sub
            }
            Target::Other(_) if broken => Sub::Failed,
            Target::Other(client) => match send_on(peer, client, instance, command).await {
                Ok(sub) => sub,
                Err(words) => {
                    warn!(calling = %peer.calling, "C-MOVE broken off: {words}");
                    broken = true;
                    Sub::Failed
                }
            },
        };
        progress.count(&sub, instance);
        if progress.remaining == 0 {
            break;
        }
        if !broken {
            pending(peer, context, command, &progress).await?;
            cancelled |= matches!(target, Target::Other(_)) && peer.cancelled(command.message_id).await?;
        }
        if cancelled {
            break;
        }
    }
    match target {
        Target::Other(client) if broken => client.abort().await,
        Target::Other(client) => client.release().await,
        Target::Same => {}
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
    let context = peer.contexts.iter().find(|context| {
        context.peer_is_scp
            && context.abstract_syntax == instance.sop_class_uid
            && context.transfer_syntax.as_str() == instance.transfer_syntax_uid
    });
    let Some(context) = context.map(|context| context.id) else {
        return Ok((Sub::Failed, false));
    };
    let (class, uid) = (&instance.sop_class_uid, &instance.sop_instance_uid);
    let request = dimse::request(field::C_STORE_RQ, message_id, class, Some(uid), true);
    let store = peer.gateway.archive.store().clone();
    let pdu_bytes_max = peer.peer_pdu_bytes_max;
    match source::send(
        &mut peer.wire,
        context,
        &request,
        (&store, instance),
        pdu_bytes_max,
    )
    .await
    {
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

/// C-MOVE: a sub-operation over our own association. An error means that it is of no more use.
async fn send_on<S>(
    peer: &Peer<S>,
    client: &mut Client,
    instance: &Instance,
    command: &Command,
) -> Result<Sub, String> {
    let Some(context) = client.context(&pair_of(instance)) else {
        return Ok(Sub::Failed);
    };
    let message_id = client.next_message_id();
    let (class, uid) = (&instance.sop_class_uid, &instance.sop_instance_uid);
    let mut request = dimse::request(field::C_STORE_RQ, message_id, class, Some(uid), true);
    request.put_text(
        tags::MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE,
        Vr::AE,
        &peer.calling,
    );
    request.put_u16(tags::MOVE_ORIGINATOR_MESSAGE_ID, command.message_id);
    let store = peer.gateway.archive.store();
    let pdu_bytes_max = client.peer_pdu_bytes_max;
    match source::send(
        &mut client.wire,
        context,
        &request,
        (store, instance),
        pdu_bytes_max,
    )
    .await
    {
        Ok(()) => {}
        Err(SourceError::Unreadable(words)) => {
            warn!(sop_instance_uid = %uid, "C-MOVE: {words}");
            return Ok(Sub::Failed);
        }
        Err(error) => return Err(error.to_string()),
    }
    let answer = client
        .answer(message_id)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Sub::from_status(answer.status))
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
