//! N-operations by hand.

use dataset::{DataSet, Encoding, Tag, tags};

use super::{Peer, Reply, p_data, pdv};

pub const N_EVENT_REPORT: u16 = 0x0100;
pub const N_GET: u16 = 0x0110;
pub const N_SET: u16 = 0x0120;
pub const N_ACTION: u16 = 0x0130;
pub const N_CREATE: u16 = 0x0140;

/// A command set; an N-CREATE names what is affected, the others what is requested.
pub fn n_command(
    field: u16,
    class: &str,
    instance: Option<&str>,
    data: bool,
    more: &[(Tag, u16)],
) -> Vec<u8> {
    let mut set = DataSet::new();
    let (of_class, of_instance) = if field == N_CREATE {
        (tags::AFFECTED_SOP_CLASS_UID, tags::AFFECTED_SOP_INSTANCE_UID)
    } else {
        (tags::REQUESTED_SOP_CLASS_UID, tags::REQUESTED_SOP_INSTANCE_UID)
    };
    set.put_uid(of_class, class);
    set.put_u16(tags::COMMAND_FIELD, field);
    set.put_u16(tags::MESSAGE_ID, 9);
    set.put_u16(tags::COMMAND_DATA_SET_TYPE, if data { 0 } else { 0x0101 });
    if let Some(uid) = instance {
        set.put_uid(of_instance, uid);
    }
    for (tag, number) in more {
        set.put_u16(*tag, *number);
    }
    dataset::write::encode_command(&set).expect("writable")
}

/// Sends one operation on context 1 and waits for its status.
pub async fn operate(
    peer: &mut Peer,
    field: u16,
    class: &str,
    instance: Option<&str>,
    data: Option<&DataSet>,
    more: &[(Tag, u16)],
) -> Reply {
    let command = n_command(field, class, instance, data.is_some(), more);
    let mut bytes = p_data(&[pdv(1, 3, &command)]);
    if let Some(set) = data {
        let data = dataset::write::encode(set, Encoding::ExplicitLe).expect("writable");
        bytes.extend(p_data(&[pdv(1, 2, &data)]));
    }
    peer.send(&bytes).await;
    peer.reply().await
}
