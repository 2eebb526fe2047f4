//! C-FIND (PS3.4 Annex C and K): asking another archive or a worklist.

use std::time::Duration;

use dataset::{DataSet, Limits, TransferSyntaxUid, stream, uids, write};
use tokio::time::Instant;

use super::client::Agreed;
use super::{Client, Destination, Proposal};
use crate::GatewayError;
use crate::dimse::{self, field, status};

/// Longest single answer.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Answers of one question together.
const ANSWERS_BYTES_MAX: usize = 256 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryModel {
    /// Patient Root.
    PatientRoot,
    /// Study Root.
    StudyRoot,
    /// Modality Worklist; has no retrieval.
    Worklist,
}

impl QueryModel {
    /// SOP class of the query.
    pub fn find_class(self) -> &'static str {
        match self {
            Self::PatientRoot => uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
            Self::StudyRoot => uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
            Self::Worklist => uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
        }
    }

    /// SOP class of a retrieval to somewhere else.
    pub fn move_class(self) -> Option<&'static str> {
        match self {
            Self::PatientRoot => Some(uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE),
            Self::StudyRoot => Some(uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE),
            Self::Worklist => None,
        }
    }

    /// SOP class of a retrieval over the same association.
    pub fn get_class(self) -> Option<&'static str> {
        match self {
            Self::PatientRoot => Some(uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET),
            Self::StudyRoot => Some(uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET),
            Self::Worklist => None,
        }
    }
}

/// Answers to a question.
#[derive(Debug, Default)]
pub struct Found {
    /// One data set for each match.
    pub answers: Vec<DataSet>,
    /// There were more than were asked for; the rest was cancelled.
    pub cut_off: bool,
}

/// Asks and waits for all answers, at most `answers_max`. `timeout` bounds each single wait.
///
/// # Errors
/// When the other side cannot be reached, refuses, breaks off, or answers with a failure status.
pub async fn find(
    to: &Destination,
    model: QueryModel,
    keys: &DataSet,
    answers_max: usize,
    timeout: Duration,
) -> Result<Found, GatewayError> {
    let proposal = Proposal::service(model.find_class());
    let mut client = Client::propose(to, std::slice::from_ref(&proposal), timeout).await?;
    match ask(&mut client, model, keys, answers_max).await {
        Ok(found) => {
            client.release().await;
            Ok(found)
        }
        Err(error) => {
            client.abort().await;
            Err(error)
        }
    }
}

/// A data set in the transfer syntax of a context.
pub(super) fn encoded(client: &Client, agreed: &Agreed, set: &DataSet) -> Result<Vec<u8>, GatewayError> {
    write::encode(set, agreed.transfer_syntax.kind()).map_err(|error| client.broken(error))
}

/// A data set of an answer.
pub(super) fn decoded(
    client: &Client,
    syntax: &TransferSyntaxUid,
    bytes: &[u8],
) -> Result<DataSet, GatewayError> {
    let limits = Limits {
        retain_value_bytes: ANSWER_BYTES_MAX as u64,
        ..Limits::default()
    };
    let parsed = stream::parse(bytes, syntax, limits);
    parsed
        .map(|parsed| parsed.data_set)
        .map_err(|error| client.broken(error))
}

/// The C-CANCEL-RQ of a request (PS3.7 9.3.2.3).
pub(super) fn cancel(message_id: u16) -> DataSet {
    let mut set = DataSet::new();
    set.put_u16(dataset::tags::COMMAND_FIELD, field::C_CANCEL_RQ);
    set.put_u16(dataset::tags::MESSAGE_ID_BEING_RESPONDED_TO, message_id);
    set.put_u16(dataset::tags::COMMAND_DATA_SET_TYPE, dimse::NO_DATA_SET);
    set
}

async fn ask(
    client: &mut Client,
    model: QueryModel,
    keys: &DataSet,
    answers_max: usize,
) -> Result<Found, GatewayError> {
    let agreed = client.agreed(model.find_class())?;
    let message_id = client.next_message_id();
    let request = dimse::request(field::C_FIND_RQ, message_id, model.find_class(), None, true);
    let data = encoded(client, &agreed, keys)?;
    client.request(agreed.id, &request, Some(&data)).await?;
    let (mut found, mut bytes) = (Found::default(), 0);
    // after a C-CANCEL the answers that are under way are passed over, but not for ever
    let mut end: Option<Instant> = None;
    loop {
        let wait = end.map_or(client.timeout(), |end| {
            end.saturating_duration_since(Instant::now())
        });
        let message = client.message(wait, ANSWER_BYTES_MAX).await?;
        let command = &message.command;
        if command.responded_id != message_id || command.field != field::C_FIND_RQ | field::RESPONSE {
            return Err(client.broken("an answer to nothing that was asked"));
        }
        match command.status {
            status::PENDING | status::PENDING_UNSUPPORTED_KEYS => {
                let Some(data) = message.data.filter(|_| end.is_none()) else {
                    continue;
                };
                bytes += data.len();
                if found.answers.len() >= answers_max || bytes > ANSWERS_BYTES_MAX {
                    found.cut_off = true;
                    client.request(agreed.id, &cancel(message_id), None).await?;
                    end = Some(Instant::now() + client.timeout());
                    continue;
                }
                let answer = decoded(client, &agreed.transfer_syntax, &data)?;
                found.answers.push(answer);
            }
            status::SUCCESS => return Ok(found),
            status::CANCEL if found.cut_off => return Ok(found),
            other => {
                let comment = command.set.text(dataset::tags::ERROR_COMMENT);
                return Err(client.failed(other, comment));
            }
        }
    }
}
