//! DIMSE messages (PS3.7): command sets as types, and the answers to them.

pub(crate) mod status;

use dataset::{DataSet, DatasetError, Vr, tags, write};

use crate::pdu::push_p_data;

/// Command field (0000,0100).
pub(crate) mod field {
    pub(crate) const C_STORE_RQ: u16 = 0x0001;
    pub(crate) const C_GET_RQ: u16 = 0x0010;
    pub(crate) const C_FIND_RQ: u16 = 0x0020;
    pub(crate) const C_MOVE_RQ: u16 = 0x0021;
    pub(crate) const C_ECHO_RQ: u16 = 0x0030;
    pub(crate) const C_CANCEL_RQ: u16 = 0x0fff;
    pub(crate) const N_EVENT_REPORT_RQ: u16 = 0x0100;
    pub(crate) const N_GET_RQ: u16 = 0x0110;
    pub(crate) const N_SET_RQ: u16 = 0x0120;
    pub(crate) const N_ACTION_RQ: u16 = 0x0130;
    pub(crate) const N_CREATE_RQ: u16 = 0x0140;
    /// Set in every answer.
    pub(crate) const RESPONSE: u16 = 0x8000;
}

/// Command Data Set Type: no data set follows.
pub(crate) const NO_DATA_SET: u16 = 0x0101;
/// Longest Error Comment (VR LO).
const ERROR_COMMENT_CHARS_MAX: usize = 64;
/// Command sets are a few hundred bytes; a longer one is an attack.
pub(crate) const COMMAND_BYTES_MAX: usize = 16 << 10;

/// A command set.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) field: u16,
    pub(crate) message_id: u16,
    /// Message ID Being Responded To; also of a C-CANCEL.
    pub(crate) responded_id: u16,
    pub(crate) sop_class: String,
    pub(crate) sop_instance: String,
    pub(crate) has_data_set: bool,
    pub(crate) status: u16,
    pub(crate) set: DataSet,
}

impl Command {
    /// Reads a command set.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        let set = write::decode_command(bytes)?;
        let number = |tag| set.i64(tag).and_then(|value| u16::try_from(value).ok());
        let field = number(tags::COMMAND_FIELD).ok_or(DatasetError::NotDicom {
            reason: "a command set without a command field".into(),
        })?;
        let text = |first, second| set.text(first).or_else(|| set.text(second)).unwrap_or_default();
        Ok(Self {
            field,
            message_id: number(tags::MESSAGE_ID).unwrap_or(0),
            responded_id: number(tags::MESSAGE_ID_BEING_RESPONDED_TO).unwrap_or(0),
            sop_class: text(tags::AFFECTED_SOP_CLASS_UID, tags::REQUESTED_SOP_CLASS_UID),
            sop_instance: text(tags::AFFECTED_SOP_INSTANCE_UID, tags::REQUESTED_SOP_INSTANCE_UID),
            has_data_set: number(tags::COMMAND_DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET),
            status: number(tags::STATUS).unwrap_or(0),
            set,
        })
    }
}

/// A request as a command set.
pub(crate) fn request(
    field: u16,
    message_id: u16,
    sop_class: &str,
    sop_instance: Option<&str>,
    data: bool,
) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::AFFECTED_SOP_CLASS_UID, sop_class);
    set.put_u16(tags::COMMAND_FIELD, field);
    set.put_u16(tags::MESSAGE_ID, message_id);
    // only the composite operations have one (PS3.7 9.3, 10.3)
    if field < field::N_EVENT_REPORT_RQ && field != field::C_ECHO_RQ {
        set.put_u16(tags::PRIORITY, 0);
    }
    set.put_u16(tags::COMMAND_DATA_SET_TYPE, if data { 0 } else { NO_DATA_SET });
    if let Some(uid) = sop_instance {
        set.put_uid(tags::AFFECTED_SOP_INSTANCE_UID, uid);
    }
    set
}

/// The answer to `command` as a command set.
pub(crate) fn response(command: &Command, status: u16, comment: Option<&str>, data: bool) -> DataSet {
    let mut set = DataSet::new();
    if !command.sop_class.is_empty() {
        set.put_uid(tags::AFFECTED_SOP_CLASS_UID, &command.sop_class);
    }
    set.put_u16(tags::COMMAND_FIELD, command.field | field::RESPONSE);
    set.put_u16(tags::MESSAGE_ID_BEING_RESPONDED_TO, command.message_id);
    set.put_u16(tags::COMMAND_DATA_SET_TYPE, if data { 0 } else { NO_DATA_SET });
    set.put_u16(tags::STATUS, status);
    if let Some(comment) = comment {
        let ascii: String = comment
            .chars()
            .take(ERROR_COMMENT_CHARS_MAX)
            .map(|c| {
                if c.is_ascii_graphic() && c != '\\' || c == ' ' {
                    c
                } else {
                    '?'
                }
            })
            .collect();
        set.put_text(tags::ERROR_COMMENT, Vr::LO, &ascii);
    }
    if !command.sop_instance.is_empty() {
        set.put_uid(tags::AFFECTED_SOP_INSTANCE_UID, &command.sop_instance);
    }
    set
}

/// Appends a whole message as PDUs, ready for one write.
pub(crate) fn push_message(
    out: &mut Vec<u8>,
    context: u8,
    command: &DataSet,
    data: Option<&[u8]>,
    pdu_bytes_max: u32,
) -> Result<(), DatasetError> {
    let command = write::encode_command(command)?;
    push_p_data(out, context, true, true, &command, pdu_bytes_max);
    if let Some(data) = data {
        push_p_data(out, context, false, true, data, pdu_bytes_max);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_both_ways() {
        let set = request(
            field::C_STORE_RQ,
            7,
            "1.2.840.10008.5.1.4.1.1.2",
            Some("1.2.3"),
            true,
        );
        let command = Command::parse(&write::encode_command(&set).expect("writable")).expect("readable");
        assert_eq!(
            (command.field, command.message_id, command.has_data_set),
            (1, 7, true)
        );
        let answer = response(&command, 0xa700, Some("磁盘已满 disk\\full"), false);
        let answer = Command::parse(&write::encode_command(&answer).expect("writable")).expect("readable");
        assert_eq!(
            (answer.field, answer.responded_id, answer.status),
            (0x8001, 7, 0xa700)
        );
        assert_eq!(answer.sop_instance, "1.2.3");
        assert!(!answer.has_data_set);
        assert_eq!(
            answer.set.text(tags::ERROR_COMMENT).as_deref(),
            Some("???? disk?full")
        );
    }

    #[test]
    fn bad_commands_are_errors() {
        for bytes in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0x7f, 1],
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(Command::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
