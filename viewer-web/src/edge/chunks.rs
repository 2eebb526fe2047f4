//! Objects of township nodes: what of them is here, and their chunks.

use super::finish::{finished, put_away};
use super::node;
use super::partial::{Partial, PartialError, Taken};
use crate::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use archive::Sha256Digest;
use archive::edge::EdgeNode;
use archive::edge::wire::{
    self, CHUNK_BYTES_MAX, CHUNK_DIGEST_HEADER, Coding, OFFER_HEADER, OFFERS_MAX, ObjectOffer, Offers,
    Standing, Standings,
};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use dataset::{AeTitle, SopInstanceUid};
use std::sync::Arc;

/// Largest object.
const OBJECT_BYTES_MAX: u64 = 16 << 30;
/// Largest object that travels in another form than its own: it is rebuilt in memory.
pub(super) const PARCEL_BYTES_MAX: u64 = 64 << 20;
/// Largest file meta information (PS3.10).
const META_BYTES_MAX: u64 = 1 << 20;
/// DIMSE status of an offer that makes no sense.
const CANNOT_UNDERSTAND: u16 = 0xC000;
/// Longest text of an offer.
const TEXT_CHARS_MAX: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/edge/offers",
            "A township node asks which of its objects, or which bytes of them, are here",
            offers,
        )
        .request(shape::object([("objects", shape::list(offer_shape()))]))
        .response(shape::object([("objects", shape::list(standing_shape()))])),
        Route::put(
            "/api/edge/objects/{digest}/{offset}",
            "A chunk of an object of a township node; the last one is answered when the object is on stable storage",
            chunk,
        )
        .header(OFFER_HEADER, "the object as in an offer, JSON")
        .header(CHUNK_DIGEST_HEADER, "SHA-256 of the chunk")
        .request_as("application/octet-stream", shape::binary())
        .response(standing_shape()),
    ]
}

fn offer_shape() -> Shape {
    shape::object([
        (
            "digest",
            shape::text().about("SHA-256 over the SHA-256 of meta information and of data set"),
        ),
        ("sop_instance_uid", shape::uid()),
        ("size", shape::integer()),
        ("meta_bytes", shape::integer()),
        ("dataset_digest", shape::text()),
        ("coding", shape::one_of(&["identity", "parcel"])),
        ("coded_size", shape::integer()),
        ("coded_digest", shape::text()),
        ("sender", shape::text()),
        ("peer", shape::text().optional()),
        ("received_at", shape::integer()),
    ])
}

fn standing_shape() -> Shape {
    shape::object([
        (
            "state",
            shape::one_of(&["partial", "finishing", "stored", "refused"]),
        ),
        ("received", shape::list(shape::list(shape::integer())).optional()),
        ("study_uid", shape::uid().optional()),
        ("status", shape::integer().optional()),
        ("reason", shape::text().optional()),
    ])
}

fn wrong(zh: &str, en: &str) -> Problem {
    Problem::bad_request(
        format!("上传内容有误：{zh}。"),
        format!("The upload is not as expected: {en}."),
    )
}

/// An offer that makes sense; what it claims of its bytes is believed only once they are here.
fn checked(offer: &ObjectOffer) -> Result<(), Problem> {
    let digests = [&offer.digest, &offer.dataset_digest, &offer.coded_digest];
    if digests.iter().any(|text| wire::digest(text).is_none()) {
        return Err(wrong("摘要不是 SHA-256", "a digest is no SHA-256"));
    }
    if SopInstanceUid::parse(&offer.sop_instance_uid).is_err() {
        return Err(wrong(
            "SOP Instance UID 无效",
            "the SOP Instance UID is not a UID",
        ));
    }
    let sizes = (1..=OBJECT_BYTES_MAX).contains(&offer.size)
        && (1..=OBJECT_BYTES_MAX).contains(&offer.coded_size)
        && (1..=META_BYTES_MAX.min(offer.size)).contains(&offer.meta_bytes);
    let fits = match offer.coding {
        Coding::Identity => offer.coded_size == offer.size && offer.coded_digest.len() == 64,
        Coding::Parcel => offer.size <= PARCEL_BYTES_MAX && offer.coded_size <= offer.size,
    };
    if !sizes || !fits {
        return Err(wrong("长度不合理", "a length is impossible"));
    }
    let texts = [Some(&offer.sender), offer.peer.as_ref()];
    let long = |text: &&String| text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control);
    if texts.into_iter().flatten().any(|text| long(&text)) || AeTitle::parse(&offer.sender).is_err() {
        return Err(wrong("发送方名称无效", "the sender's name cannot be one"));
    }
    Ok(())
}

async fn offers(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(asked): Json<Offers>,
) -> Result<Json<Standings>, Problem> {
    let node = node::of(&app, &actor).await?;
    if asked.objects.len() > OFFERS_MAX {
        return Err(wrong("对象过多", "too many objects at once"));
    }
    let mut objects = Vec::with_capacity(asked.objects.len());
    for offer in asked.objects {
        objects.push(match checked(&offer) {
            Ok(()) => standing(&app, &node, offer).await?,
            // One that can never be taken must not keep the others waiting.
            Err(problem) => Standing::Refused {
                status: CANNOT_UNDERSTAND,
                reason: problem.detail_zh,
            },
        });
    }
    Ok(Json(Standings { objects }))
}

async fn stored(app: &App, offer: &ObjectOffer) -> Result<Option<Standing>, Problem> {
    let held = app.archive().studies().instance(&offer.sop_instance_uid).await?;
    let same = held.filter(|item| item.instance.digests.dataset.to_hex() == offer.dataset_digest);
    Ok(same.map(|item| Standing::Stored {
        study_uid: item.study.study_uid,
    }))
}

async fn standing(app: &App, node: &EdgeNode, offer: ObjectOffer) -> Result<Standing, Problem> {
    if let Some(stored) = stored(app, &offer).await? {
        return Ok(stored);
    }
    if let Some(refusal) = app.uploads().refusal(&node.name, &offer.digest) {
        return Ok(refusal);
    }
    let (uploads, name) = (app.uploads().clone(), node.name.clone());
    let found = blocking(move || uploads.find(&name, &offer)).await?;
    match found {
        None => Ok(Standing::Partial { received: Vec::new() }),
        Some(partial) if partial.resume() => {
            put_away(app, node, &partial);
            Ok(Standing::Finishing)
        }
        Some(partial) if partial.is_finishing() => Ok(Standing::Finishing),
        Some(partial) => Ok(Standing::Partial {
            received: partial.received(),
        }),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PartialError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal(&error))?
        .map_err(|error| match error {
            PartialError::TooMuch => Problem::busy(30),
            PartialError::Outside => wrong("分块超出对象范围", "a chunk lies outside of its object"),
            PartialError::Disk(error) => {
                tracing::error!(%error, "the spool of uploads cannot be written");
                Problem::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "中心暂存空间不可写。",
                    "The spool of the centre cannot be written.",
                )
                .retry_after(30)
            }
        })
}

async fn chunk(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((digest, offset)): Path<(String, u64)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Standing>, Problem> {
    let node = node::of(&app, &actor).await?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let offer: ObjectOffer = text(OFFER_HEADER)
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or_else(|| wrong("缺少对象说明", "the header that describes the object is missing"))?;
    checked(&offer).map_err(|mut problem| {
        problem.status = StatusCode::UNPROCESSABLE_ENTITY;
        problem
    })?;
    if offer.digest != digest {
        return Err(wrong("地址与对象说明不符", "the address names another object"));
    }
    if body.is_empty() || body.len() > CHUNK_BYTES_MAX {
        return Err(wrong("分块长度不符", "a chunk has 1 byte to 1 MiB"));
    }
    if text(CHUNK_DIGEST_HEADER) != Some(&*Sha256Digest::of(&body).to_hex()) {
        return Err(wrong("分块摘要不符", "the chunk does not have its digest"));
    }
    // A first chunk may be of an object that is here already; later ones cannot be, unless by another way.
    if offset == 0
        && let Some(stored) = stored(&app, &offer).await?
    {
        return Ok(Json(stored));
    }
    metrics::counter!("gongying_edge_chunks_total").increment(1);
    // A task of its own: when the line is cut here, this request is dropped, but whoever took the last chunk must still
    // put the object away. Otherwise it would count as being put away for ever.
    let (owner, sender) = (app.clone(), node.clone());
    let task = tokio::spawn(async move { take(&owner, &sender, offer, offset, body).await });
    let (partial, taken) = task.await.map_err(|error| Problem::internal(&error))??;
    match taken {
        Taken::More(received) => Ok(Json(Standing::Partial { received })),
        Taken::Last | Taken::Finishing => finished(&partial).await.map(Json),
    }
}

/// Writes a chunk; after the last one the object is being put away.
async fn take(
    app: &App,
    node: &EdgeNode,
    offer: ObjectOffer,
    offset: u64,
    body: Bytes,
) -> Result<(Arc<Partial>, Taken), Problem> {
    let (uploads, name) = (app.uploads().clone(), node.name.clone());
    let (partial, taken) = blocking(move || {
        let partial = uploads.begin(&name, &offer)?;
        let taken = partial.take(offset, &body)?;
        Ok((partial, taken))
    })
    .await?;
    if matches!(taken, Taken::Last) {
        put_away(app, node, &partial);
    }
    Ok((partial, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> ObjectOffer {
        let digest = Sha256Digest::of(b"x").to_hex();
        ObjectOffer {
            digest: digest.clone(),
            sop_instance_uid: "1.2.3".into(),
            size: 1000,
            meta_bytes: 300,
            dataset_digest: digest.clone(),
            coding: Coding::Parcel,
            coded_size: 500,
            coded_digest: digest,
            sender: "HEXI_CT".into(),
            peer: None,
            received_at: 1,
        }
    }

    #[test]
    fn offers_that_make_no_sense_are_refused() {
        assert!(checked(&offer()).is_ok());
        let bad: [fn(&mut ObjectOffer); 10] = [
            |o| o.digest = "../../../../etc/passwd".into(),
            |o| o.digest = o.digest.to_uppercase(),
            |o| o.coded_digest.truncate(10),
            |o| o.sop_instance_uid = "1.2.x".into(),
            |o| o.size = 0,
            |o| o.size = u64::MAX,
            |o| o.meta_bytes = 2000,
            |o| o.coding = Coding::Identity,
            |o| o.coded_size = 1001,
            |o| o.sender = "A\\B".into(),
        ];
        for (k, change) in bad.iter().enumerate() {
            let mut changed = offer();
            change(&mut changed);
            assert!(checked(&changed).is_err(), "{k}: {changed:?}");
        }
    }
}
