//! C-ECHO (PS3.4 Annex A).

use std::time::Duration;

use dataset::uids;
use tokio::time::Instant;

use super::{Client, Destination, Proposal};
use crate::GatewayError;
use crate::dimse::{self, field};

/// Asks whether the other side answers (C-ECHO); the time from the request to the answer.
///
/// # Errors
/// When it cannot be reached, refuses, or breaks off.
pub async fn echo(to: &Destination, timeout: Duration) -> Result<Duration, GatewayError> {
    let proposal = Proposal::service(uids::VERIFICATION);
    let mut client = Client::propose(to, std::slice::from_ref(&proposal), timeout).await?;
    let context = client.agreed(uids::VERIFICATION)?.id;
    let message_id = client.next_message_id();
    let request = dimse::request(field::C_ECHO_RQ, message_id, uids::VERIFICATION, None, false);
    let start = Instant::now();
    client.request(context, &request, None).await?;
    let answer = client.answer(message_id).await?;
    let elapsed = start.elapsed();
    if answer.status != 0 {
        return Err(client.broken(format!("status 0x{:04X}", answer.status)));
    }
    client.release().await;
    Ok(elapsed)
}
