//! C-STORE (PS3.4 Annex B): pieces go from the socket to the archive as they come.

use archive::receive::{ReceiveContext, Sender, Source, StoreRefused, Stored};
use bytes::{Bytes, BytesMut};
use dataset::{SopClassUid, SopInstanceUid};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, warn};

use super::Refused;
use crate::association::{AcceptedContext, Ended, Peer};
use crate::dimse::{Command, status};

/// Smaller pieces are gathered before they go on: a peer may cut its object into single bytes, and
/// each piece has a price of its own.
const SMALL_PIECE_BYTES: usize = 4 << 10;
/// Gathered pieces go on at this size.
const GATHERED_BYTES: usize = 32 << 10;

impl From<StoreRefused> for Refused {
    fn from(refused: StoreRefused) -> Self {
        Self {
            status: refused.status,
            words: refused.reason,
        }
    }
}

/// Answers one C-STORE-RQ. Whatever happens to the object, a complete request gets a status.
pub(crate) async fn run<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let start = std::time::Instant::now();
    let answer = match announced(peer, context, command) {
        Ok(announced) => receive(peer, context, announced).await?,
        Err(refused) => {
            peer.drain(context, command).await?;
            Err(refused)
        }
    };
    let (status, words) = match answer {
        Ok(stored) => {
            debug!(calling = %peer.calling, outcome = ?stored.outcome, "object stored");
            (status::SUCCESS, None)
        }
        Err(refused) => {
            let (uid, words) = (&command.sop_instance, &refused.words);
            let code = format!("0x{:04X}", refused.status);
            warn!(calling = %peer.calling, address = %peer.address, sop_instance_uid = ?uid, status = code, "object refused: {words}");
            (refused.status, Some(refused.words))
        }
    };
    metrics::counter!("gongying_dicom_store_total", "status" => format!("{status:04X}")).increment(1);
    metrics::histogram!("gongying_dicom_store_seconds").record(start.elapsed().as_secs_f64());
    peer.answer(context, command, status, words.as_deref()).await
}

/// What the request says about the object, if the peer may send it.
fn announced<S>(
    peer: &Peer<S>,
    context: &AcceptedContext,
    command: &Command,
) -> Result<ReceiveContext, Refused> {
    if !peer.device.may_store {
        return Err(Refused::new(status::NOT_AUTHORISED, "this device may not store"));
    }
    if command.sop_class != context.abstract_syntax {
        let words = "the SOP class is not the one of the presentation context";
        return Err(Refused::new(status::SOP_CLASS_NOT_SUPPORTED, words));
    }
    let Ok(sop_class) = SopClassUid::parse(&command.sop_class) else {
        return Err(Refused::new(
            status::INVALID_ARGUMENT,
            "the SOP Class UID is not a UID",
        ));
    };
    let Ok(sop_instance_uid) = SopInstanceUid::parse(&command.sop_instance) else {
        return Err(Refused::new(
            status::INVALID_ARGUMENT,
            "the SOP Instance UID is not a UID",
        ));
    };
    if !command.has_data_set {
        return Err(Refused::new(
            status::CANNOT_UNDERSTAND,
            "the request has no data set",
        ));
    }
    Ok(ReceiveContext {
        sender: Sender::device(&peer.device, peer.address.ip(), Source::CStore),
        sop_class,
        sop_instance_uid,
        transfer_syntax: context.transfer_syntax.clone(),
    })
}

/// Takes the data set. The outer error ends the association and leaves nothing of the object.
async fn receive<S>(
    peer: &mut Peer<S>,
    context: &AcceptedContext,
    announced: ReceiveContext,
) -> Result<Result<Stored, Refused>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    peer.begin_data();
    let (mut incoming, mut refused) = match peer.gateway.archive.begin_receive(announced).await {
        Ok(incoming) => (Some(incoming), None),
        Err(error) => (None, Some(Refused::from(error))),
    };
    let mut gathered = BytesMut::new();
    let mut total = 0;
    loop {
        let piece = peer.next_data(context.id).await?;
        total += piece.bytes.len() as u64;
        if let Some(sink) = &mut incoming
            && let Some(bytes) = gather(&mut gathered, piece.bytes, piece.last)
            && let Err(error) = sink.write(bytes).await
        {
            // the rest of the object must still be read before it can be answered
            incoming = None;
            refused = Some(error.into());
        }
        if piece.last {
            break;
        }
    }
    metrics::counter!("gongying_dicom_store_bytes_total").increment(total);
    match (incoming, refused) {
        (Some(incoming), None) => Ok(incoming.finish().await.map_err(Refused::from)),
        (_, Some(refused)) => Ok(Err(refused)),
        (None, None) => Ok(Err(Refused::new(
            status::OUT_OF_RESOURCES,
            "the object could not be taken",
        ))),
    }
}

/// Large pieces go on as they are; small ones when enough of them are there.
fn gather(gathered: &mut BytesMut, piece: Bytes, last: bool) -> Option<Bytes> {
    if gathered.is_empty() && piece.len() >= SMALL_PIECE_BYTES {
        return Some(piece);
    }
    gathered.extend_from_slice(&piece);
    (gathered.len() >= GATHERED_BYTES || last && !gathered.is_empty()).then(|| gathered.split().freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_gathered_in_order_and_none_is_lost() {
        let mut sizes = [1, 5000, 3, 40_000, 10, 4095, 4096, 32_768, 0]
            .into_iter()
            .peekable();
        let (mut gathered, mut sent, mut taken, mut next) = (BytesMut::new(), Vec::new(), Vec::new(), 0_u8);
        while let Some(size) = sizes.next() {
            let piece: Bytes = (0..size)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            sent.extend_from_slice(&piece);
            if let Some(bytes) = gather(&mut gathered, piece, sizes.peek().is_none()) {
                assert!(!bytes.is_empty());
                taken.extend_from_slice(&bytes);
            }
        }
        assert_eq!(sent, taken);
    }
}
