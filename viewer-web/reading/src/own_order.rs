//! An exam request of the actor's own institution, to which a recording is about to be added.

use archive::audit::AuditOutcome;
use archive::order::{Order, OrderState};
use archive::patient::Patient;

use crate::access::guard::{entry_of, write_entry};
use crate::access::{Action, decide_global, guard_global};
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::service::Reading;

/// Proof that the actor may add objects to this request: made by [`own_order`] only, which asks the policy and leaves
/// the audit row.
#[derive(Debug, Clone)]
pub struct OwnOrder {
    order: Order,
    patient: Patient,
}

impl OwnOrder {
    /// The request.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Whom it is about.
    #[must_use]
    pub fn patient(&self) -> &Patient {
        &self.patient
    }
}

/// The request with this accession number, where the actor's role may store objects and the request is of the actor's own
/// institution. A withdrawn or reported request takes no more objects.
///
/// # Errors
/// `Forbidden`, `NotFound` (a request of another institution is not there), `Conflict`; each is audited.
pub async fn own_order(reading: &Reading, actor: &Actor, accession_number: &str) -> Result<OwnOrder> {
    if !decide_global(actor.roles, Action::StoreImages).allowed() {
        return guard_global(reading, actor, Action::StoreImages)
            .await
            .and(Err(ReadingError::Internal("policy")));
    }
    let entry = entry_of(actor, Action::StoreImages);
    let found = reading
        .archive()
        .orders()
        .by_accession(accession_number.trim())
        .await?;
    let Some(order) = found.filter(|order| order.institution_id == actor.institution_id()) else {
        write_entry(reading, entry.outcome(AuditOutcome::SeriousFailure)).await?;
        return Err(ReadingError::not_found(
            "本院没有这个检查号的申请，请核对检查号",
            "Your institution has no request with this accession number",
        ));
    };
    let entry = entry
        .study(&order.study_uid)
        .patient(order.patient_id.to_string());
    let closed = match order.state {
        OrderState::Cancelled => Some(ReadingError::conflict(
            "申请已取消，不能再加入记录，请新建申请",
            "The request was withdrawn; place a new one",
        )),
        OrderState::Reported => Some(ReadingError::conflict(
            "报告已签发，不能再加入记录，请新建申请",
            "The report is signed; place a new request",
        )),
        OrderState::Ordered | OrderState::InProgress | OrderState::Arrived => None,
    };
    if let Some(error) = closed {
        write_entry(reading, entry.outcome(AuditOutcome::MinorFailure)).await?;
        return Err(error);
    }
    let patient = reading.archive().patients().by_id(order.patient_id).await?;
    write_entry(reading, entry).await?;
    Ok(OwnOrder { order, patient })
}
