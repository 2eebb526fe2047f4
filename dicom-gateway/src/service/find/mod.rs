//! C-FIND (PS3.4 Annex C and K).

mod answer;
mod keys;
mod worklist;

use archive::ArchiveError;
use dataset::{DataSet, Limits, dictionary, stream, tags, write};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use self::answer::Record;
use self::keys::Level;
use crate::association::{AcceptedContext, Ended, Peer, Service};
use crate::dimse::{self, Command, status};

/// Longest identifier that is read.
const IDENTIFIER_BYTES_MAX: usize = 1 << 20;
/// Answers are gathered up to this and written at once.
const WRITE_BYTES: usize = 32 << 10;

/// Why a query is not answered.
struct Refused {
    status: u16,
    words: String,
}

impl Refused {
    fn new(status: u16, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
        }
    }
}

impl From<ArchiveError> for Refused {
    fn from(error: ArchiveError) -> Self {
        warn!("a C-FIND cannot be answered: {error}");
        Self::new(status::OUT_OF_RESOURCES, "the index does not answer")
    }
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
    let identifier = if command.has_data_set {
        peer.data_set(context.id, IDENTIFIER_BYTES_MAX).await?
    } else {
        Some(Vec::new())
    };
    let answered = match question(peer, context, identifier) {
        Ok(keys) => match records(peer, context, &keys).await {
            Ok(records) => Ok((keys, records)),
            Err(refused) => Err(refused),
        },
        Err(refused) => Err(refused),
    };
    let status = match answered {
        Ok((keys, records)) => send_answers(peer, context, command, &keys, &records).await?,
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

/// The identifier as a data set, if the peer may ask it.
fn question<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    identifier: Option<Vec<u8>>,
) -> Result<DataSet, Refused> {
    if !peer.device.may_query {
        return Err(Refused::new(status::NOT_AUTHORISED, "this device may not query"));
    }
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
async fn records<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    keys: &DataSet,
) -> Result<Vec<Record>, Refused> {
    let archive = &peer.gateway.archive;
    if context.service == Service::Worklist {
        return Ok(worklist::matches(archive, &peer.device, keys).await?);
    }
    Err(Refused::new(status::MISMATCH, ""))
}

/// Sends the answers, many in one write, and looks for a C-CANCEL between writes.
async fn send_answers<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    keys: &DataSet,
    records: &[Record],
) -> Result<u16, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let unwritable = |_| Ended::protocol("an answer that cannot be written");
    let level = Level::of(keys).filter(|_| context.service != Service::Worklist);
    let ae_title = peer.gateway.config.ae_title.clone();
    let encoding = context.transfer_syntax.kind();
    let mut bytes = Vec::with_capacity(WRITE_BYTES * 2);
    for record in records {
        let (mut answer, complete) = record.answer(keys, &[]);
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
    let done = dimse::response(command, status::SUCCESS, None, false);
    dimse::push_message(&mut bytes, context.id, &done, None, peer.peer_pdu_bytes_max).map_err(unwritable)?;
    peer.wire.write(&bytes).await?;
    Ok(status::SUCCESS)
}
