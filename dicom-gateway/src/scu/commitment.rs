//! Storage Commitment Push Model (PS3.4 Annex J), both sides of the wire that we open: asking
//! another archive to answer for objects, and telling a device that we do.

use std::time::Duration;

use dataset::{DataSet, tags, uids};

use super::find::{ANSWER_BYTES_MAX, decoded};
use super::normalized::{N_ACTION_RQ, N_EVENT_REPORT_RQ, Operation, perform};
use super::{Client, Destination, Message, Proposal};
use crate::GatewayError;
use crate::dimse::status;

/// SOP class of the service.
pub const CLASS: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
/// Its well-known instance.
pub const INSTANCE: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;
/// Action Type ID of a request.
const ACTION_REQUEST: u16 = 1;
/// Event Type ID: everything is committed.
pub const EVENT_SUCCESS: u16 = 1;
/// Event Type ID: some of it is not.
pub const EVENT_FAILURES: u16 = 2;
/// Objects named in one message; more is refused when it is read.
pub const OBJECTS_MAX: usize = 20_000;

/// An object as the messages name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
}

/// The result of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Transaction UID of the request.
    pub transaction_uid: String,
    /// Objects that are answered for.
    pub committed: Vec<Reference>,
    /// Objects that are not, each with its Failure Reason (0008,1197).
    pub failed: Vec<(Reference, u16)>,
}

fn reference(reference: &Reference) -> DataSet {
    let mut item = DataSet::new();
    item.put_uid(tags::REFERENCED_SOP_CLASS_UID, &reference.sop_class);
    item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, &reference.sop_instance);
    item
}

fn read_reference(item: &DataSet) -> Option<Reference> {
    Some(Reference {
        sop_class: item.uid(tags::REFERENCED_SOP_CLASS_UID).ok()?.as_str().to_owned(),
        sop_instance: item
            .uid(tags::REFERENCED_SOP_INSTANCE_UID)
            .ok()?
            .as_str()
            .to_owned(),
    })
}

/// The data set of a request (PS3.4 table J.3-1).
pub fn request_set(transaction_uid: &str, objects: &[Reference]) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::TRANSACTION_UID, transaction_uid);
    set.put_sequence(
        tags::REFERENCED_SOP_SEQUENCE,
        objects.iter().map(reference).collect(),
    );
    set
}

impl Report {
    /// Event Type ID of this result.
    pub fn event_type(&self) -> u16 {
        if self.failed.is_empty() {
            EVENT_SUCCESS
        } else {
            EVENT_FAILURES
        }
    }

    /// The data set of an N-EVENT-REPORT (PS3.4 table J.3-2).
    pub fn data_set(&self) -> DataSet {
        let mut set = DataSet::new();
        set.put_uid(tags::TRANSACTION_UID, &self.transaction_uid);
        if !self.failed.is_empty() {
            let failed = self.failed.iter().map(|(object, reason)| {
                let mut item = reference(object);
                item.put_u16(tags::FAILURE_REASON, *reason);
                item
            });
            set.put_sequence(tags::FAILED_SOP_SEQUENCE, failed.collect());
        }
        if !self.committed.is_empty() || self.failed.is_empty() {
            set.put_sequence(
                tags::REFERENCED_SOP_SEQUENCE,
                self.committed.iter().map(reference).collect(),
            );
        }
        set
    }

    /// Reads the data set of an N-EVENT-REPORT; `None` when it has not the form of one.
    pub fn read(set: &DataSet) -> Option<Self> {
        let transaction_uid = set.uid(tags::TRANSACTION_UID).ok()?.as_str().to_owned();
        let committed = set.sequence(tags::REFERENCED_SOP_SEQUENCE);
        let failed = set.sequence(tags::FAILED_SOP_SEQUENCE);
        if committed.len() + failed.len() > OBJECTS_MAX {
            return None;
        }
        let reason = |item: &DataSet| {
            let number = item.i64(tags::FAILURE_REASON);
            number
                .and_then(|n| u16::try_from(n).ok())
                .unwrap_or(status::PROCESSING_FAILURE)
        };
        Some(Self {
            transaction_uid,
            committed: committed.iter().map(read_reference).collect::<Option<_>>()?,
            failed: failed
                .iter()
                .map(|item| Some((read_reference(item)?, reason(item))))
                .collect::<Option<_>>()?,
        })
    }
}

/// Tells a device the result of its request on an association of our own (N-EVENT-REPORT): its
/// event type and data set. We are the SCP of the service there, so the roles are swapped
/// (PS3.4 J.3.3).
///
/// # Errors
/// When the device cannot be reached, refuses, breaks off, or answers with a failure status.
pub async fn tell(
    to: &Destination,
    event_type: u16,
    result: &DataSet,
    timeout: Duration,
) -> Result<(), GatewayError> {
    let proposal = Proposal {
        peer_is_scu: true,
        ..Proposal::service(CLASS)
    };
    let mut client = Client::propose(to, std::slice::from_ref(&proposal), timeout).await?;
    let operation = Operation {
        field: N_EVENT_REPORT_RQ,
        sop_class: CLASS,
        sop_instance: INSTANCE,
        type_id: Some(event_type),
    };
    perform(&mut client, &operation, result).await?;
    client.release().await;
    Ok(())
}

/// Asks over an open association that the other side answer for these objects (N-ACTION).
pub(crate) async fn ask(
    client: &mut Client,
    transaction_uid: &str,
    objects: &[Reference],
) -> Result<(), GatewayError> {
    let operation = Operation {
        field: N_ACTION_RQ,
        sop_class: CLASS,
        sop_instance: INSTANCE,
        type_id: Some(ACTION_REQUEST),
    };
    perform(client, &operation, &request_set(transaction_uid, objects)).await?;
    Ok(())
}

/// Waits on the association that asked for the result; `None` when it does not come in time, so
/// that it will come on an association of the other side.
pub(crate) async fn await_report(
    client: &mut Client,
    wait: Duration,
) -> Result<Option<Report>, GatewayError> {
    let message = match tokio::time::timeout(wait, client.message(wait * 2, ANSWER_BYTES_MAX)).await {
        Ok(message) => message?,
        Err(_) => return Ok(None),
    };
    let Message {
        context,
        command,
        data,
    } = message;
    if command.field != N_EVENT_REPORT_RQ {
        return Err(client.broken("a message that cannot come now"));
    }
    let syntax = client.by_id(context)?.transfer_syntax.clone();
    let report = match data {
        Some(bytes) => Report::read(&decoded(client, &syntax, &bytes)?),
        None => None,
    };
    let code = if report.is_some() {
        status::SUCCESS
    } else {
        status::PROCESSING_FAILURE
    };
    client.respond(context, &command, code, None).await?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::{Encoding, Limits, TransferSyntaxUid, Vr, stream, write};

    fn there_and_back(set: &DataSet) -> DataSet {
        let bytes = write::encode(set, Encoding::ImplicitLe).expect("writable");
        stream::parse(&bytes, &TransferSyntaxUid::implicit_le(), Limits::default())
            .expect("readable")
            .data_set
    }

    fn object(n: u32) -> Reference {
        Reference {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
            sop_instance: format!("1.2.3.{n}"),
        }
    }

    #[test]
    fn results_go_both_ways() {
        let check = |committed: &[u32], failed: &[(u32, u16)], event_type| {
            let report = Report {
                transaction_uid: "2.25.1".into(),
                committed: committed.iter().copied().map(object).collect(),
                failed: failed.iter().map(|&(n, why)| (object(n), why)).collect(),
            };
            assert_eq!(
                Report::read(&there_and_back(&report.data_set())).as_ref(),
                Some(&report)
            );
            assert_eq!(report.event_type(), event_type);
        };
        check(&[1, 2], &[], EVENT_SUCCESS);
        check(&[1], &[(2, 0x0112), (3, 0x0110)], EVENT_FAILURES);
        check(&[], &[(2, 0x0112)], EVENT_FAILURES);
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let mut nameless = there_and_back(&Report::default().data_set());
        nameless.remove(tags::TRANSACTION_UID);
        assert_eq!(Report::read(&nameless), None);
        let mut odd = request_set("2.25.1", &[object(1)]);
        let mut item = DataSet::new();
        item.put_text(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, "../x");
        odd.put_sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item]);
        assert_eq!(Report::read(&odd), None);
    }
}
