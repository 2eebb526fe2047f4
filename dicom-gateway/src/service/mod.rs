//! What peers may ask of us, one file a service.

pub(crate) mod commitment;
pub(crate) mod find;
pub(crate) mod performed_step;
pub(crate) mod retrieve;
pub(crate) mod store;

use archive::ArchiveError;
use archive::device::Device;
use dataset::{AeTitle, DataSet, Limits, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use crate::Config;
use crate::association::{AcceptedContext, Ended, Peer};
use crate::dimse::{Command, status};
use crate::scu::Destination;

/// Why a request is not carried out.
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
        warn!("a request cannot be answered: {error}");
        Self::new(status::OUT_OF_RESOURCES, "the index does not answer")
    }
}

/// The data set of a request, in memory; empty when the request has none.
async fn read_data_set<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
    bytes_max: usize,
) -> Result<Result<DataSet, Refused>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if !command.has_data_set {
        return Ok(Ok(DataSet::new()));
    }
    let Some(bytes) = peer.data_set(context.id, bytes_max).await? else {
        let words = "the data set is longer than can be taken";
        return Ok(Err(Refused::new(status::RESOURCE_LIMITATION, words)));
    };
    let limits = Limits {
        retain_value_bytes: bytes_max as u64,
        ..Limits::default()
    };
    let parsed = stream::parse(&bytes, &context.transfer_syntax, limits);
    Ok(parsed
        .map(|parsed| parsed.data_set)
        .map_err(|error| Refused::new(status::INVALID_ARGUMENT, error.to_string())))
}

/// Where a device listens; `None` when it does not.
fn listener(device: &Device, config: &Config) -> Option<Destination> {
    let called = AeTitle::parse(&device.ae_title).ok()?;
    Destination::parse(device.listener.as_deref()?, called, config.ae_title.clone())
}
