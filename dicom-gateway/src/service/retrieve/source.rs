//! A stored object as the PDUs of a C-STORE request, read ahead of the network.

use archive::store::ObjectStore;
use archive::study::Instance;
use bytes::{Bytes, BytesMut};
use dataset::{DataSet, TransferSyntaxUid};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::route::Form;
use crate::StoredObject;
use crate::dimse;
use crate::pdu::{Wire, WireError, push_p_data};
use crate::server::Gateway;

/// Bytes read and written at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces read ahead.
const PIECES_AHEAD: usize = 3;

/// Converted objects up to this stay in memory; longer ones go through a file of their own.
const CONVERTED_MEMORY_BYTES_MAX: usize = 8 << 20;

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
    let left = instance.size_bytes.saturating_sub(instance.digests.meta_bytes);
    let (store, instance) = (store.clone(), instance.clone());
    let open = move || {
        let mut file = store
            .open_object(&instance.object_key)
            .map_err(|error| error.to_string())?;
        file.seek(SeekFrom::Start(instance.digests.meta_bytes))
            .map_err(|error| error.to_string())?;
        Ok(file)
    };
    send_pieces(
        wire,
        context,
        request,
        read_ahead(open, left),
        left,
        pdu_bytes_max,
    )
    .await
}

/// Sends `request` and the object's data set in the form that was chosen.
pub(super) async fn send_as<W>(
    wire: &mut Wire<W>,
    context: u8,
    request: &DataSet,
    (gateway, instance, form): (&Gateway, &Instance, &Form),
    pdu_bytes_max: u32,
) -> Result<(), SourceError>
where
    W: AsyncRead + AsyncWrite + Unpin,
{
    let to = match form {
        Form::Stored => {
            let object = (gateway.archive.store(), instance);
            return send(wire, context, request, object, pdu_bytes_max).await;
        }
        Form::Converted(to) => to,
    };
    let (file, left) = convert(gateway, instance, to)
        .await
        .map_err(SourceError::Unreadable)?;
    let pieces = read_ahead(move || Ok(file), left);
    send_pieces(wire, context, request, pieces, left, pdu_bytes_max).await
}

/// The data set in another transfer syntax, and its length. It is whole before a byte of it leaves,
/// so that one that fails on the way harms nothing but itself.
async fn convert(
    gateway: &Gateway,
    instance: &Instance,
    to: &TransferSyntaxUid,
) -> Result<(SpooledTempFile, u64), String> {
    let transcoder = gateway
        .config
        .transcoder
        .clone()
        .ok_or("objects go in their stored form only")?;
    let _turn = gateway
        .conversions
        .acquire()
        .await
        .map_err(|error| error.to_string())?;
    let (store, folder) = (
        gateway.archive.store().clone(),
        gateway.archive.config().data_dir.clone(),
    );
    let (key, offset, to) = (
        instance.object_key.clone(),
        instance.digests.meta_bytes,
        to.clone(),
    );
    let from = TransferSyntaxUid::parse(&instance.transfer_syntax_uid).map_err(|error| error.to_string())?;
    let work = move || {
        let words = |error: std::io::Error| error.to_string();
        let object = StoredObject {
            file: Box::new(store.open_object(&key).map_err(|error| error.to_string())?),
            data_set_offset: offset,
            transfer_syntax: from,
        };
        let spooled = tempfile::spooled_tempfile_in(CONVERTED_MEMORY_BYTES_MAX, folder);
        let mut out = BufWriter::with_capacity(PIECE_BYTES, spooled);
        transcoder.transcode(object, &to, &mut out)?;
        out.flush().map_err(words)?;
        let mut file = out.into_inner().map_err(|error| error.to_string())?;
        let length = file.stream_position().map_err(words)?;
        file.seek(SeekFrom::Start(0)).map_err(words)?;
        Ok((file, length))
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

async fn send_pieces<W>(
    wire: &mut Wire<W>,
    context: u8,
    request: &DataSet,
    mut pieces: mpsc::Receiver<Result<Bytes, String>>,
    mut left: u64,
    pdu_bytes_max: u32,
) -> Result<(), SourceError>
where
    W: AsyncRead + AsyncWrite + Unpin,
{
    if left == 0 {
        return Err(SourceError::Unreadable("it is empty".into()));
    }
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

fn read_ahead<R: Read>(
    open: impl FnOnce() -> Result<R, String> + Send + 'static,
    left: u64,
) -> mpsc::Receiver<Result<Bytes, String>> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = open().and_then(|file| read(file, left, &sender)) {
            // nobody waits for it any more when this fails
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn read(
    mut file: impl Read,
    mut left: u64,
    sender: &mpsc::Sender<Result<Bytes, String>>,
) -> Result<(), String> {
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = BytesMut::zeroed(count);
        file.read_exact(&mut piece).map_err(|error| error.to_string())?;
        left -= count as u64;
        if sender.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
