//! Instance Availability Notification (PS3.4 Annex R) as a user: telling others that the objects
//! of a study can be fetched here.

use dataset::{AeTitle, DataSet, Vr, tags, uids};

use super::Client;
use super::normalized::{N_CREATE_RQ, Operation, perform};
use crate::GatewayError;

/// SOP class of the service.
pub const CLASS: &str = uids::INSTANCE_AVAILABILITY_NOTIFICATION;

/// A study as the notification tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailableStudy {
    /// Study Instance UID.
    pub study_uid: String,
    /// Its series.
    pub series: Vec<AvailableSeries>,
}

/// A series with its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailableSeries {
    /// Series Instance UID.
    pub series_uid: String,
    /// SOP class and instance of each object.
    pub objects: Vec<(String, String)>,
}

impl AvailableStudy {
    /// The data set of PS3.4 table R.3.2-1: everything is online and fetched from `retrieve_ae`.
    pub fn data_set(&self, retrieve_ae: &AeTitle) -> DataSet {
        let object = |(class, instance): &(String, String)| {
            let mut item = DataSet::new();
            item.put_text(tags::RETRIEVE_AE_TITLE, Vr::AE, retrieve_ae.as_str());
            item.put_text(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
            item.put_uid(tags::REFERENCED_SOP_CLASS_UID, class);
            item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, instance);
            item
        };
        let series = |series: &AvailableSeries| {
            let mut item = DataSet::new();
            item.put_uid(tags::SERIES_INSTANCE_UID, &series.series_uid);
            item.put_sequence(
                tags::REFERENCED_SOP_SEQUENCE,
                series.objects.iter().map(object).collect(),
            );
            item
        };
        let mut set = DataSet::new();
        set.put_empty(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vr::SQ);
        set.put_uid(tags::STUDY_INSTANCE_UID, &self.study_uid);
        set.put_sequence(
            tags::REFERENCED_SERIES_SEQUENCE,
            self.series.iter().map(series).collect(),
        );
        set
    }
}

/// Tells it over an open association (N-CREATE) under the notification's own UID.
pub(crate) async fn notify(
    client: &mut Client,
    notification_uid: &str,
    study: &AvailableStudy,
    retrieve_ae: &AeTitle,
) -> Result<(), GatewayError> {
    let operation = Operation {
        field: N_CREATE_RQ,
        sop_class: CLASS,
        sop_instance: notification_uid,
        type_id: None,
    };
    perform(client, &operation, &study.data_set(retrieve_ae)).await?;
    Ok(())
}
