//! Modality Performed Procedure Step (PS3.4 Annex F) as a user: telling that an exam begins, and
//! that it ended.

use std::time::Duration;

use dataset::{DataSet, SopInstanceUid, uids};

use super::normalized::{N_CREATE_RQ, N_SET_RQ, Operation, perform};
use super::{Client, Destination, Proposal};
use crate::GatewayError;

const CLASS: &str = uids::MODALITY_PERFORMED_PROCEDURE_STEP;

/// Tells that a step has begun (N-CREATE). `step` is the data set of PS3.4 table F.7.2-1, with
/// Performed Procedure Step Status `IN PROGRESS`.
///
/// # Errors
/// When the other side cannot be reached, refuses, breaks off, or answers with a failure status.
pub async fn create(
    to: &Destination,
    uid: &SopInstanceUid,
    step: &DataSet,
    timeout: Duration,
) -> Result<(), GatewayError> {
    one(to, N_CREATE_RQ, uid, step, timeout).await
}

/// Tells how a step goes on or ended (N-SET): `COMPLETED` or `DISCONTINUED` are final.
///
/// # Errors
/// As [`create`].
pub async fn set(
    to: &Destination,
    uid: &SopInstanceUid,
    changes: &DataSet,
    timeout: Duration,
) -> Result<(), GatewayError> {
    one(to, N_SET_RQ, uid, changes, timeout).await
}

async fn one(
    to: &Destination,
    field: u16,
    uid: &SopInstanceUid,
    data: &DataSet,
    timeout: Duration,
) -> Result<(), GatewayError> {
    let proposal = Proposal::service(CLASS);
    let mut client = Client::propose(to, std::slice::from_ref(&proposal), timeout).await?;
    let operation = Operation {
        field,
        sop_class: CLASS,
        sop_instance: uid.as_str(),
        type_id: None,
    };
    perform(&mut client, &operation, data).await?;
    client.release().await;
    Ok(())
}
