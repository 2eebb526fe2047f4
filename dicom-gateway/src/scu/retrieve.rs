//! C-MOVE (PS3.4 C.4.2) as a user: another archive sends to a third one, or to us.

use std::time::Duration;

use dataset::{AeTitle, DataSet, Vr, tags};

use super::find::{ANSWER_BYTES_MAX, encoded};
use super::{Client, Destination, Proposal, QueryModel};
use crate::GatewayError;
use crate::dimse::{self, Command, field, status};

/// How far a retrieval is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Still to come, when the other side says so.
    pub remaining: Option<u16>,
    /// Arrived.
    pub completed: u16,
    /// Failed.
    pub failed: u16,
    /// Arrived with a warning.
    pub warned: u16,
}

impl Progress {
    pub(super) fn of(command: &Command) -> Self {
        let number = |tag| command.set.i64(tag).and_then(|value| u16::try_from(value).ok());
        Self {
            remaining: number(tags::NUMBER_OF_REMAINING_SUBOPERATIONS),
            completed: number(tags::NUMBER_OF_COMPLETED_SUBOPERATIONS).unwrap_or(0),
            failed: number(tags::NUMBER_OF_FAILED_SUBOPERATIONS).unwrap_or(0),
            warned: number(tags::NUMBER_OF_WARNING_SUBOPERATIONS).unwrap_or(0),
        }
    }
}

/// The end of a retrieval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetrieveSummary {
    /// Counts of the other side.
    pub counts: Progress,
    /// Objects that our archive has now (C-GET).
    pub stored: usize,
    /// Objects that our archive refused, with the reason of the first ones (C-GET).
    pub refused: Vec<String>,
}

/// What the last answer says.
pub(super) fn ended(client: &Client, command: &Command) -> Result<Progress, GatewayError> {
    match command.status {
        status::SUCCESS | status::SOME_SUBOPERATIONS_FAILED => Ok(Progress::of(command)),
        other => Err(client.failed(other, command.set.text(tags::ERROR_COMMENT))),
    }
}

/// Asks another archive to send what `keys` name to `receiver`, an AE title that it knows (C-MOVE).
/// `patience` bounds the wait between two progress reports: some archives send none before the end.
///
/// # Errors
/// When the other side cannot be reached, refuses, breaks off, or answers with a failure status.
pub async fn retrieve_to(
    to: &Destination,
    model: QueryModel,
    keys: &DataSet,
    receiver: &AeTitle,
    (timeout, patience): (Duration, Duration),
    mut on_progress: impl FnMut(Progress),
) -> Result<RetrieveSummary, GatewayError> {
    let class = model.move_class().unwrap_or_default();
    let proposal = Proposal::service(class);
    let mut client = Client::propose(to, std::slice::from_ref(&proposal), timeout).await?;
    let agreed = client.agreed(class)?;
    let message_id = client.next_message_id();
    let mut request = dimse::request(field::C_MOVE_RQ, message_id, class, None, true);
    request.put_text(tags::MOVE_DESTINATION, Vr::AE, receiver.as_str());
    let data = encoded(&client, &agreed, keys)?;
    client.request(agreed.id, &request, Some(&data)).await?;
    loop {
        let message = client.message(patience, ANSWER_BYTES_MAX).await?;
        let command = &message.command;
        if command.responded_id != message_id || command.field != field::C_MOVE_RQ | field::RESPONSE {
            return Err(client.broken("an answer to nothing that was asked"));
        }
        if command.status == status::PENDING {
            on_progress(Progress::of(command));
            continue;
        }
        let counts = ended(&client, command)?;
        client.release().await;
        return Ok(RetrieveSummary {
            counts,
            ..RetrieveSummary::default()
        });
    }
}
