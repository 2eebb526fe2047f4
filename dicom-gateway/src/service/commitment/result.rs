//! Results of storage commitments that we asked another archive for, told on its own association.

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::info;

use super::REQUEST_BYTES_MAX;
use crate::association::{AcceptedContext, Ended, Peer};
use crate::dimse::Command;
use crate::forward::commitment_result;
use crate::service::read_data_set;

/// Answers one N-EVENT-REPORT-RQ.
pub(crate) async fn take<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let code = match read_data_set(peer, context, command, REQUEST_BYTES_MAX).await? {
        Ok(set) => commitment_result(&peer.gateway.archive, &set).await,
        Err(refused) => {
            info!(calling = %peer.calling, "storage commitment result: {}", refused.words);
            refused.status
        }
    };
    peer.answer(context, command, code, None).await
}
