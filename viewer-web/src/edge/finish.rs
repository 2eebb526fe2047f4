//! From all bytes of an object to an object in the archive: digest, rebuilding, digest again, receive.

use super::chunks::PARCEL_BYTES_MAX;
use super::partial::Partial;
use crate::App;
use crate::problem::Problem;
use archive::Sha256Digest;
use archive::edge::EdgeNode;
use archive::edge::wire::{Coding, ObjectOffer, Standing, digest};
use archive::receive::{RefusedKind, Sender, Source, StoreRefused};
use archive::store::FileDigests;
use axum::http::StatusCode;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The last chunk waits so long for its object; then the node asks again.
const WAIT_S_MAX: u64 = 25;
/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Why an object is not put away.
enum Stop {
    /// The bytes are not what was offered: begin again.
    Lie(&'static str),
    /// The archive will never take it.
    Never(StoreRefused),
    /// Later perhaps.
    Later(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<StoreRefused> for Stop {
    fn from(refused: StoreRefused) -> Self {
        match refused.kind {
            RefusedKind::OutOfSpace | RefusedKind::Failed | RefusedKind::StorageFailing => {
                Self::Later(refused.reason)
            }
            _ => Self::Never(refused),
        }
    }
}

/// Puts an object away on a task of its own, which goes on when the asker is gone.
pub(super) fn put_away(app: &App, node: &EdgeNode, partial: &Arc<Partial>) {
    let (app, node, partial) = (app.clone(), node.clone(), partial.clone());
    tokio::spawn(async move {
        let (own, of, whole) = (app.clone(), node.clone(), partial.clone());
        let work = tokio::spawn(async move { object(&own, &of, &whole).await });
        // What breaks on the way must not leave it as being put away for ever.
        let done = work
            .await
            .unwrap_or_else(|error| Err(Stop::Later(error.to_string())));
        if matches!(done, Err(Stop::Later(_))) {
            partial.put_back();
        } else {
            let (uploads, name, shared) = (app.uploads().clone(), node.name.clone(), partial.clone());
            let removed = tokio::task::spawn_blocking(move || uploads.remove(&name, &shared)).await;
            if let Err(error) = removed {
                tracing::warn!(%error, "a finished upload was not removed");
            }
        }
        let ended = match done {
            Ok(study_uid) => {
                if let Err(error) = app.archive().centre().compare(&study_uid).await {
                    tracing::warn!(%error, "a study could not be compared with its manifest");
                }
                Ok(Standing::Stored { study_uid })
            }
            Err(Stop::Never(refused)) => {
                tracing::warn!(
                    node = node.name,
                    reason = refused.reason,
                    "an object of a township node is refused"
                );
                let refusal = Standing::Refused {
                    status: refused.status,
                    reason: refused.reason,
                };
                app.uploads()
                    .note_refusal(&node.name, &partial.offer.digest, refusal.clone());
                Ok(refusal)
            }
            Err(Stop::Lie(why)) => {
                tracing::warn!(
                    node = node.name,
                    why,
                    "an upload is not what was offered and begins again"
                );
                Err(why.to_owned())
            }
            Err(Stop::Later(why)) => {
                tracing::error!(node = node.name, why, "an upload could not be put away");
                Err(why)
            }
        };
        let word = if ended.is_ok() { "ended" } else { "failed" };
        metrics::counter!("gongying_edge_objects_total", "outcome" => word).increment(1);
        partial.end(ended);
    });
}

/// Waits until an object is put away, for a while.
pub(super) async fn finished(partial: &Partial) -> Result<Standing, Problem> {
    let mut ending = partial.ending();
    let wait = ending.wait_for(Option::is_some);
    match tokio::time::timeout(Duration::from_secs(WAIT_S_MAX), wait).await {
        Err(_) => Ok(Standing::Finishing),
        Ok(Err(_)) => Err(Problem::busy(1)),
        Ok(Ok(ended)) => match ended.as_deref() {
            Some(Ok(standing)) => Ok(standing.clone()),
            Some(Err(why)) => Err(Problem::new(
                StatusCode::CONFLICT,
                "对象未能入库，请重新上传。",
                format!("The object was not stored ({why}); send it again."),
            )),
            None => Err(Problem::busy(1)),
        },
    }
}

async fn object(app: &App, node: &EdgeNode, partial: &Arc<Partial>) -> Result<String, Stop> {
    let offer = &partial.offer;
    let sender = sender(app, node, offer).await;
    let shared = partial.clone();
    let proved = app
        .pool()
        .run(move || prove(&shared.offer, &shared.path))
        .await
        .map_err(|_| Stop::Later("the work was stopped".to_owned()))??;
    let mut incoming = app.archive().begin_part10(sender, None).await?;
    match proved {
        Some(whole) => incoming.write(whole).await?,
        None => {
            let mut file = tokio::fs::File::open(&partial.path).await?;
            loop {
                let mut piece = bytes::BytesMut::with_capacity(READ_BYTES);
                if tokio::io::AsyncReadExt::read_buf(&mut file, &mut piece).await? == 0 {
                    break;
                }
                incoming.write(piece.freeze()).await?;
            }
        }
    }
    let stored = incoming.finish().await?;
    if stored.dataset_digest.to_hex() != offer.dataset_digest {
        // The spool changed between the proof and now.
        return Err(Stop::Later(
            "the spool of the centre does not keep its bytes".to_owned(),
        ));
    }
    Ok(stored.study_uid)
}

/// The device that gave the object to the node, under the name by which the centre knows it.
async fn sender(app: &App, node: &EdgeNode, offer: &ObjectOffer) -> Sender {
    let peer = offer.peer.as_ref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let known = app.archive().devices().by_ae_title(&offer.sender).await.ok();
    let device = known.filter(|device| device.institution_id == node.institution_id);
    Sender {
        device_id: device.map(|device| device.id),
        ..Sender::account(&offer.sender, "device", node.institution_id, peer, Source::Import)
    }
}

/// Checks what travelled, and what it stands for: `Some` is the rebuilt file, `None` says that the spool file is it.
fn prove(offer: &ObjectOffer, path: &Path) -> Result<Option<Bytes>, Stop> {
    let mut file = File::open(path)?;
    let (travelled, own) = hashes(&mut file, offer.meta_bytes)?;
    if Some(travelled) != digest(&offer.coded_digest) {
        return Err(Stop::Lie("the bytes do not have the digest that was announced"));
    }
    let (digests, whole) = match offer.coding {
        Coding::Identity => (own, None),
        Coding::Parcel => {
            let parcel = std::fs::read(path)?;
            let unpacked = engine::codec::parcel::unpack(&parcel, offer.size.min(PARCEL_BYTES_MAX));
            let file = unpacked.map_err(|_| Stop::Lie("the parcel cannot be unpacked"))?;
            let (_, digests) = hashes(&mut file.as_slice(), offer.meta_bytes)?;
            (digests, Some(file))
        }
    };
    let same = digests.whole().to_hex() == offer.digest
        && digests.dataset.to_hex() == offer.dataset_digest
        && whole.as_ref().is_none_or(|file| file.len() as u64 == offer.size);
    match same {
        true => Ok(whole.map(Bytes::from)),
        false => Err(Stop::Lie(
            "the object does not have the digest under which it was offered",
        )),
    }
}

/// Digest of all bytes, and the digests of a file whose meta information has this length.
fn hashes(from: &mut impl Read, meta_bytes: u64) -> Result<(Sha256Digest, FileDigests), Stop> {
    let (mut all, mut meta, mut dataset) = (Sha256::new(), Sha256::new(), Sha256::new());
    let mut buffer = vec![0u8; READ_BYTES];
    let mut left = meta_bytes;
    loop {
        let count = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        let (head, rest) = bytes.split_at(usize::try_from(left.min(count as u64)).unwrap_or(0));
        all.update(bytes);
        meta.update(head);
        dataset.update(rest);
        left -= head.len() as u64;
    }
    let digest = |hash: Sha256| Sha256Digest(hash.finalize().into());
    Ok((
        digest(all),
        FileDigests {
            meta_bytes,
            meta: digest(meta),
            dataset: digest(dataset),
        },
    ))
}
