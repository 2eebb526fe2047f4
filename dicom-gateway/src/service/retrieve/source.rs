//! A stored object as the PDUs of a C-STORE request, read ahead of the network.

use archive::store::ObjectStore;
use archive::study::Instance;
use bytes::{Bytes, BytesMut};
use dataset::DataSet;
use std::io::{Read, Seek, SeekFrom};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::dimse;
use crate::pdu::{Wire, WireError, push_p_data};

/// Bytes read and written at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces read ahead.
const PIECES_AHEAD: usize = 3;

/// Why an object did not go out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// Nothing was sent; the association can go on.
    #[error("the stored object cannot be read: {0}")]
    Unreadable(String),
    /// Part of it was sent; the association must end.
    #[error("the stored object ended early: {0}")]
    Cut(String),
    /// The association is broken.
    #[error("{0}")]
    Wire(#[from] WireError),
}

/// Sends `request` and the object's data set, exactly as stored.
pub(crate) async fn send<W>(
    wire: &mut Wire<W>,
    context: u8,
    request: &DataSet,
    (store, instance): (&ObjectStore, &Instance),
    pdu_bytes_max: u32,
) -> Result<(), SourceError>
where
    W: AsyncRead + AsyncWrite + Unpin,
{
    let mut left = instance.size_bytes.saturating_sub(instance.digests.meta_bytes);
    if left == 0 {
        return Err(SourceError::Unreadable("it is empty".into()));
    }
    let mut pieces = read_ahead(store.clone(), instance.clone(), left);
    let mut bytes = Vec::new();
    dimse::push_message(&mut bytes, context, request, None, pdu_bytes_max)
        .map_err(|error| SourceError::Unreadable(error.to_string()))?;
    let mut is_first = true;
    while left > 0 {
        let piece = match pieces.recv().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) if is_first => return Err(SourceError::Unreadable(error)),
            Some(Err(error)) => return Err(SourceError::Cut(error)),
            None => return Err(SourceError::Cut("the reader ended".into())),
        };
        is_first = false;
        left = left.saturating_sub(piece.len() as u64);
        push_p_data(&mut bytes, context, false, left == 0, &piece, pdu_bytes_max);
        wire.write(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

fn read_ahead(store: ObjectStore, instance: Instance, left: u64) -> mpsc::Receiver<Result<Bytes, String>> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&store, &instance, left, &sender) {
            // nobody waits for it any more when this fails
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn read(
    store: &ObjectStore,
    instance: &Instance,
    mut left: u64,
    sender: &mpsc::Sender<Result<Bytes, String>>,
) -> Result<(), String> {
    let mut file = store
        .open_object(&instance.object_key)
        .map_err(|error| error.to_string())?;
    let words = |error: std::io::Error| error.to_string();
    file.seek(SeekFrom::Start(instance.digests.meta_bytes))
        .map_err(words)?;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = BytesMut::zeroed(count);
        file.read_exact(&mut piece).map_err(words)?;
        left -= count as u64;
        if sender.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
