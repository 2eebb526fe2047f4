//! C-FIND (PS3.4 Annex C and K).

mod answer;
mod index;
mod keys;
mod when;
mod worklist;

use archive::audit::{AuditAction, AuditEntry, event};
use dataset::{DataSet, Limits, dictionary, stream, tags, write};
use tokio::io::{AsyncRead, AsyncWrite};

use self::answer::Record;
pub(super) use self::index::{instances, names_objects};
pub(super) use self::keys::Level;
use self::when::When;
use super::Refused;
use crate::association::{AcceptedContext, Ended, Peer, Service};
use crate::dimse::{self, Command, status};

/// Longest identifier that is read.
const IDENTIFIER_BYTES_MAX: usize = 1 << 20;
/// Answers are gathered up to this and written at once.
const WRITE_BYTES: usize = 32 << 10;

/// Matches of a query.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    /// There are more than may be answered.
    cut_off: bool,
}

/// Answers one C-FIND-RQ.
pub(crate) async fn run<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let start = std::time::Instant::now();
    let identifier = identifier(peer, context, command).await?;
    let answered = match question(peer, context, identifier) {
        // the row is written beside the search, and no answer leaves before it is durable
        Ok(keys) => match tokio::join!(search(peer, context, &keys), audit(peer, context)) {
            (Ok(found), Ok(())) => Ok((keys, found)),
            (Err(refused), _) | (_, Err(refused)) => Err(refused),
        },
        Err(refused) => Err(refused),
    };
    let status = match answered {
        Ok((keys, found)) => send_answers(peer, context, command, &keys, &found).await?,
        Err(refused) => {
            peer.answer(context, command, refused.status, Some(&refused.words))
                .await?;
            refused.status
        }
    };
    let status = format!("{status:04X}");
    metrics::counter!("gongying_dicom_find_total", "status" => status).increment(1);
    metrics::histogram!("gongying_dicom_find_seconds").record(start.elapsed().as_secs_f64());
    Ok(())
}

/// The bytes of the identifier; `None` when it is too long.
pub(super) async fn identifier<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<Option<Vec<u8>>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if command.has_data_set {
        peer.data_set(context.id, IDENTIFIER_BYTES_MAX).await
    } else {
        Ok(Some(Vec::new()))
    }
}

/// The identifier as a data set, if the peer may ask it.
fn question<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    identifier: Option<Vec<u8>>,
) -> Result<DataSet, Refused> {
    // a device that sends images reads its worklist
    let may = peer.device.may_query || context.service == Service::Worklist && peer.device.may_store;
    if !may {
        return Err(Refused::new(status::NOT_AUTHORISED, "this device may not query"));
    }
    parse_keys(context, identifier)
}

/// The identifier as a data set.
pub(super) fn parse_keys(context: &AcceptedContext, identifier: Option<Vec<u8>>) -> Result<DataSet, Refused> {
    let bytes =
        identifier.ok_or_else(|| Refused::new(status::CANNOT_UNDERSTAND, "the identifier is too long"))?;
    let limits = Limits {
        retain_value_bytes: IDENTIFIER_BYTES_MAX as u64,
        ..Limits::default()
    };
    let keys = stream::parse(&bytes, &context.transfer_syntax, limits)
        .map_err(|error| Refused::new(status::CANNOT_UNDERSTAND, error.to_string()))?
        .data_set;
    match keys::refuse(&keys) {
        Some(words) => Err(Refused::new(status::CANNOT_UNDERSTAND, words)),
        None => Ok(keys),
    }
}

/// Everything that fits, before the keys choose from it.
async fn search<S>(peer: &Peer<S>, context: &AcceptedContext, keys: &DataSet) -> Result<Found, Refused> {
    let (archive, max) = (&peer.gateway.archive, peer.gateway.config.find_answers_max);
    if context.service == Service::Worklist {
        return Ok(Found {
            records: worklist::matches(archive, &peer.device, keys, context.matching).await?,
            cut_off: false,
        });
    }
    let root = if context.service == Service::PatientFind {
        Level::Patient
    } else {
        Level::Study
    };
    let level = Level::of(keys).filter(|level| *level >= root);
    let Some(level) = level else {
        return Err(Refused::new(
            status::MISMATCH,
            "the query level is missing or not of this information model",
        ));
    };
    let when = When::of(keys, keys, context.matching);
    index::matches(archive, &peer.device, level, (keys, &when), max).await
}

/// Notes that the device asked. Without that there is no answer.
async fn audit<S>(peer: &Peer<S>, context: &AcceptedContext) -> Result<(), Refused> {
    let entry = AuditEntry {
        role: "device".into(),
        source_ip: Some(peer.address.ip().to_canonical().to_string()),
        detail: Some(context.abstract_syntax.clone()),
        ..AuditEntry::new(event::QUERY, AuditAction::Execute, &peer.device.ae_title)
    };
    Ok(peer.gateway.archive.audit().record(entry).await?)
}

/// Sends the answers, many in one write, and looks for a C-CANCEL between writes.
async fn send_answers<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    keys: &DataSet,
    found: &Found,
) -> Result<u16, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let unwritable = |_| Ended::protocol("an answer that cannot be written");
    let level = Level::of(keys).filter(|_| context.service != Service::Worklist);
    let ae_title = peer.gateway.config.ae_title.clone();
    let encoding = context.transfer_syntax.kind();
    let mut bytes = Vec::with_capacity(WRITE_BYTES * 2);
    for record in &found.records {
        let (mut answer, complete) = record.answer(keys, &[tags::TIMEZONE_OFFSET_FROM_UTC]);
        if let Some(level) = level {
            answer.put_text(tags::QUERY_RETRIEVE_LEVEL, dictionary::Vr::CS, level.as_str());
            answer.put_text(tags::RETRIEVE_AE_TITLE, dictionary::Vr::AE, ae_title.as_str());
        }
        let data = write::encode(&answer, encoding).map_err(unwritable)?;
        let pending = if complete {
            status::PENDING
        } else {
            status::PENDING_UNSUPPORTED_KEYS
        };
        let response = dimse::response(command, pending, None, true);
        dimse::push_message(
            &mut bytes,
            context.id,
            &response,
            Some(&data),
            peer.peer_pdu_bytes_max,
        )
        .map_err(unwritable)?;
        if bytes.len() >= WRITE_BYTES {
            peer.wire.write(&bytes).await?;
            bytes.clear();
            if peer.cancelled(command.message_id).await? {
                peer.answer(context, command, status::CANCEL, None).await?;
                return Ok(status::CANCEL);
            }
        }
    }
    let (status, words) = if found.cut_off {
        (
            status::OUT_OF_RESOURCES,
            Some("there are more matches; ask for less"),
        )
    } else {
        (status::SUCCESS, None)
    };
    let done = dimse::response(command, status, words, false);
    dimse::push_message(&mut bytes, context.id, &done, None, peer.peer_pdu_bytes_max).map_err(unwritable)?;
    peer.wire.write(&bytes).await?;
    Ok(status)
}
