//! Requests of the normalized services (PS3.7 chapter 10): N-CREATE, N-SET, N-ACTION and
//! N-EVENT-REPORT with their answers.

use dataset::{DataSet, tags};

use super::Client;
use super::find::encoded;
use crate::GatewayError;
use crate::dimse::{self, Command};

/// Command fields of the normalized services.
pub(super) const N_EVENT_REPORT_RQ: u16 = 0x0100;
pub(super) const N_SET_RQ: u16 = 0x0120;
pub(super) const N_ACTION_RQ: u16 = 0x0130;
pub(super) const N_CREATE_RQ: u16 = 0x0140;

/// What a request is about.
pub(super) struct Operation<'a> {
    pub(super) field: u16,
    pub(super) sop_class: &'a str,
    pub(super) sop_instance: &'a str,
    /// Action Type ID or Event Type ID.
    pub(super) type_id: Option<u16>,
}

impl Operation<'_> {
    fn command(&self, message_id: u16) -> DataSet {
        let mut set = DataSet::new();
        // N-CREATE and N-EVENT-REPORT affect an instance, the others are requested of one
        let affected = matches!(self.field, N_CREATE_RQ | N_EVENT_REPORT_RQ);
        let (class, instance) = if affected {
            (tags::AFFECTED_SOP_CLASS_UID, tags::AFFECTED_SOP_INSTANCE_UID)
        } else {
            (tags::REQUESTED_SOP_CLASS_UID, tags::REQUESTED_SOP_INSTANCE_UID)
        };
        set.put_uid(class, self.sop_class);
        set.put_u16(tags::COMMAND_FIELD, self.field);
        set.put_u16(tags::MESSAGE_ID, message_id);
        set.put_u16(tags::COMMAND_DATA_SET_TYPE, 0);
        set.put_uid(instance, self.sop_instance);
        match (self.field, self.type_id) {
            (N_ACTION_RQ, Some(id)) => set.put_u16(tags::ACTION_TYPE_ID, id),
            (N_EVENT_REPORT_RQ, Some(id)) => set.put_u16(tags::EVENT_TYPE_ID, id),
            _ => {}
        }
        set
    }
}

/// Sends a request with its data set and waits for the answer; a failure status is an error,
/// warnings (0x0001, 0x0107, 0x0116, 0xBxxx) are not.
pub(super) async fn perform(
    client: &mut Client,
    operation: &Operation<'_>,
    data: &DataSet,
) -> Result<Command, GatewayError> {
    let agreed = client.agreed(operation.sop_class)?;
    let message_id = client.next_message_id();
    let bytes = encoded(client, &agreed, data)?;
    client
        .request(agreed.id, &operation.command(message_id), Some(&bytes))
        .await?;
    let answer = client.answer(message_id).await?;
    if dimse::status::is_done(answer.status) {
        return Ok(answer);
    }
    let comment = answer.set.text(tags::ERROR_COMMENT);
    Err(client.failed(answer.status, comment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::write;

    #[test]
    fn requests_name_class_and_instance_where_the_standard_wants_them() {
        let check = |field, type_id, affected: bool| {
            let operation = Operation {
                field,
                sop_class: "1.2.840.10008.1.20.1",
                sop_instance: "1.2.3",
                type_id,
            };
            let set = write::decode_command(&write::encode_command(&operation.command(5)).expect("writable"))
                .expect("readable");
            assert_eq!(
                set.contains(tags::AFFECTED_SOP_INSTANCE_UID),
                affected,
                "{field:04x}"
            );
            assert_eq!(
                set.contains(tags::REQUESTED_SOP_INSTANCE_UID),
                !affected,
                "{field:04x}"
            );
            assert_eq!(
                set.i64(tags::ACTION_TYPE_ID),
                type_id.filter(|_| !affected).map(i64::from)
            );
            let command = Command::parse(&write::encode_command(&set).expect("writable")).expect("command");
            assert_eq!(
                (command.field, command.message_id, command.has_data_set),
                (field, 5, true)
            );
        };
        check(N_CREATE_RQ, None, true);
        check(N_SET_RQ, None, false);
        check(N_ACTION_RQ, Some(1), false);
        check(N_EVENT_REPORT_RQ, Some(2), true);
    }
}
