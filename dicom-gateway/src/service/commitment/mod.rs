//! Storage Commitment, push model (PS3.4 Annex J): a device asks whether its objects are safe, so
//! that it may delete its own.
//!
//! **Invariants:** a request is answered with Success only when it is kept durably; an object is
//! called safe only after its file was read again and its digests were right; the result goes out
//! until the device has taken it, over restarts too.

mod check;
mod desk;
mod report;
mod result;

use archive::ArchiveError;
use archive::outbox::NewLetter;
use dataset::{DataSet, Uid, tags, uids};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

pub(crate) use self::desk::{Desk, Notice, Notices};
pub(crate) use self::report::{report_here, run};
pub(crate) use self::result::take;
use super::{Refused, read_data_set};
use crate::association::{AcceptedContext, Ended, Peer};
use crate::dimse::{self, Command, status};

/// Where the requests wait in the outbox.
const DESTINATION: &str = "dicom-storage-commitment";
/// Longest data set of a request.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Objects of one request.
const OBJECTS_MAX: usize = 15_000;
/// The only action there is: request storage commitment.
const REQUEST_COMMITMENT: i64 = 1;

/// An object by what the device says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    class: String,
    instance: String,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    /// AE title of the device.
    device: String,
    transaction: String,
    objects: Vec<Named>,
}

impl Asked {
    fn parse(device: &str, set: &DataSet) -> Result<Self, Refused> {
        let missing = |words: &str| Refused::new(status::INVALID_ARGUMENT, words);
        let transaction = set
            .uid(tags::TRANSACTION_UID)
            .map_err(|_| missing("the Transaction UID is missing or no UID"))?;
        let items = set.sequence(tags::REFERENCED_SOP_SEQUENCE);
        if items.is_empty() {
            return Err(missing("the Referenced SOP Sequence is missing or empty"));
        }
        if items.len() > OBJECTS_MAX {
            return Err(Refused::new(
                status::RESOURCE_LIMITATION,
                "too many objects; ask for at most 15000 at once",
            ));
        }
        let named = |item: &DataSet| {
            let uid = |tag| item.uid(tag).map(|uid: Uid| uid.as_str().to_owned());
            let class =
                uid(tags::REFERENCED_SOP_CLASS_UID).map_err(|_| missing("an object without SOP class"))?;
            let instance = uid(tags::REFERENCED_SOP_INSTANCE_UID)
                .map_err(|_| missing("an object without SOP Instance UID"))?;
            Ok::<_, Refused>(Named { class, instance })
        };
        Ok(Self {
            device: device.to_owned(),
            transaction: transaction.as_str().to_owned(),
            objects: items.iter().map(named).collect::<Result<_, _>>()?,
        })
    }

    /// As the outbox keeps it: device, transaction, then the instances, each class once before its
    /// own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\n{}\n", self.device, self.transaction);
        let mut class = "";
        for object in &self.objects {
            if object.class != class {
                class = &object.class;
                text.push_str(&format!("+{class}\n"));
            }
            text.push_str(&object.instance);
            text.push('\n');
        }
        text.into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let (device, transaction) = (lines.next()?.to_owned(), lines.next()?.to_owned());
        let (mut class, mut objects) = (String::new(), Vec::new());
        for line in lines {
            match line.strip_prefix('+') {
                Some(next) => class = next.to_owned(),
                None => objects.push(Named {
                    class: class.clone(),
                    instance: line.to_owned(),
                }),
            }
        }
        Some(Self {
            device,
            transaction,
            objects,
        })
    }
}

/// Answers one N-ACTION-RQ.
pub(crate) async fn ask<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let asked = match read_data_set(peer, context, command, REQUEST_BYTES_MAX).await? {
        Ok(set) => request(peer, command, &set),
        Err(refused) => Err(refused),
    };
    let outcome = match asked {
        Ok(asked) => keep(peer, &asked).await.map(|()| asked.objects.len()),
        Err(refused) => Err(refused),
    };
    let (status, words) = match outcome {
        Ok(objects) => {
            info!(calling = %peer.calling, objects, "storage commitment asked for");
            (status::SUCCESS, None)
        }
        Err(refused) => {
            warn!(calling = %peer.calling, address = %peer.address, "storage commitment refused: {}", refused.words);
            (refused.status, Some(refused.words))
        }
    };
    let mut response = dimse::response(command, status, words.as_deref(), false);
    if let Some(action) = command
        .set
        .i64(tags::ACTION_TYPE_ID)
        .and_then(|id| u16::try_from(id).ok())
    {
        response.put_u16(tags::ACTION_TYPE_ID, action);
    }
    peer.respond(context, &response, None).await?;
    // only now: the result must not come before the answer
    peer.gateway.commitments.wake();
    Ok(())
}

fn request<S>(peer: &Peer<S>, command: &Command, set: &DataSet) -> Result<Asked, Refused> {
    if !peer.device.may_store {
        let words = "a device that may not store has nothing to commit";
        return Err(Refused::new(status::NOT_AUTHORISED, words));
    }
    if command.sop_instance != uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE {
        return Err(Refused::new(
            status::NO_SUCH_INSTANCE,
            "the SOP instance is not the well-known one of the push model",
        ));
    }
    if command.set.i64(tags::ACTION_TYPE_ID) != Some(REQUEST_COMMITMENT) {
        return Err(Refused::new(status::NO_SUCH_ACTION, "the only action is 1"));
    }
    Asked::parse(&peer.device.ae_title, set)
}

/// Puts the request where a restart does not lose it.
async fn keep<S>(peer: &mut Peer<S>, asked: &Asked) -> Result<(), Refused> {
    let desk = &peer.gateway.commitments;
    desk.expect(asked, peer.notices.sender());
    let letter = NewLetter {
        destination: DESTINATION.into(),
        kind: "storage_commitment".into(),
        subject: asked.transaction.clone(),
        payload: asked.to_bytes(),
        priority: 0,
    };
    let outbox = peer.gateway.archive.outbox();
    let kept = peer
        .gateway
        .archive
        .db()
        .write(move |tx| Box::pin(async move { outbox.put(tx, letter).await }))
        .await;
    match kept {
        Ok(_) => Ok(()),
        Err(error) => {
            desk.take(asked);
            Err(match error {
                ArchiveError::Invalid { .. } => Refused::new(
                    status::RESOURCE_LIMITATION,
                    "the request is longer than can be kept",
                ),
                other => other.into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(class: Option<&str>, instance: Option<&str>) -> DataSet {
        let mut item = DataSet::new();
        for (tag, value) in [
            (tags::REFERENCED_SOP_CLASS_UID, class),
            (tags::REFERENCED_SOP_INSTANCE_UID, instance),
        ] {
            if let Some(value) = value {
                item.put_uid(tag, value);
            }
        }
        item
    }

    #[test]
    fn requests_are_read() {
        let check = |transaction: Option<&str>, items: Vec<DataSet>, expect: Result<usize, u16>| {
            let mut set = DataSet::new();
            if let Some(uid) = transaction {
                set.put_uid(tags::TRANSACTION_UID, uid);
            }
            set.put_sequence(tags::REFERENCED_SOP_SEQUENCE, items);
            let read = Asked::parse("CT", &set);
            assert_eq!(read.map(|a| a.objects.len()).map_err(|r| r.status), expect);
        };
        let good = item(Some("1.2"), Some("1.2.3"));
        check(Some("1.9"), vec![good.clone()], Ok(1));
        check(None, vec![good.clone()], Err(0x0115));
        check(Some("x"), vec![good.clone()], Err(0x0115));
        check(Some("1.9"), vec![], Err(0x0115));
        check(Some("1.9"), vec![item(None, Some("1.2.3"))], Err(0x0115));
        check(Some("1.9"), vec![item(Some("1.2"), Some("a\nb"))], Err(0x0115));
        check(Some("1.9"), vec![good; OBJECTS_MAX + 1], Err(0x0213));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_asked(
            device in "[A-Z_ ]{1,16}",
            objects in proptest::collection::vec(("1\\.[0-9]", "[0-9.]{1,64}"), 0..20),
        ) {
            let objects = objects.into_iter().map(|(class, instance)| Named { class, instance }).collect();
            let asked = Asked { device, transaction: "1.2.3".into(), objects };
            prop_assert_eq!(Asked::from_bytes(&asked.to_bytes()), Some(asked));
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Asked::from_bytes(&bytes);
        }
    }
}
