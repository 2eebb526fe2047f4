//! News for open pages: what changed about which study, and whom it concerns.

use archive::InstitutionId;
use archive::events::Event;
pub(crate) use archive::events::EventKind as Kind;

use crate::service::Reading;

/// Tells everybody who listens. `concerned`: the institutions whose pages may hear of it.
pub(crate) fn publish(
    reading: &Reading,
    kind: Kind,
    study_uid: &str,
    concerned: &[InstitutionId],
    data: serde_json::Value,
) {
    let event = Event::new(kind, study_uid.to_owned(), concerned.to_vec()).data(data);
    reading.archive().events().publish(event);
}
