//! The small picture that stands for a series.

use super::{Context, JobKind};
use crate::error::{Result, WorkerError};
use crate::object::{Image, Source, frame_memory_bytes};
use archive::receive::SeriesKind;
use archive::store::ObjectStore;
use archive::study::Instance;
use dataset::PixelDataInfo;
use engine::ImagingError;
use engine::pixel::{Format, encode};

/// Version of the method.
pub(crate) const VERSION: i64 = 1;
/// Longest side.
const SIDE_PX: u32 = 256;
const JPEG_QUALITY: u8 = 82;
/// Series of at most this many pictures get one for each of them too: there readers choose by picture.
const SINGLE_PICTURES_MAX: usize = 16;
/// Pictures tried until one can be shown.
const TRIES_MAX: usize = 4;

/// Makes the thumbnail of a series, and of its pictures when they are few.
pub(super) async fn perform(context: &Context, series_uid: &str) -> Result<()> {
    let studies = context.archive.studies();
    let Some((series, study)) = studies.series_by_uid(series_uid).await? else {
        return Ok(());
    };
    if series.kind != SeriesKind::Image {
        return Ok(());
    }
    let instances = studies.instances_of_series(&study.study_uid, series_uid).await?;
    let pictures: Vec<Instance> = instances.into_iter().filter(|i| i.frames > 0).collect();
    let mut refused = None;
    for instance in candidates(&pictures) {
        match picture(context, instance).await {
            Ok(Some(jpeg)) => {
                put(context, series_uid, jpeg).await?;
                refused = None;
                break;
            }
            Ok(None) => {}
            // A video or a codec that nobody here reads: there is nothing to wait for.
            Err(WorkerError::Imaging(ImagingError::TransferSyntax(_) | ImagingError::Unsupported { .. })) => {
            }
            Err(error) => refused = Some(error),
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    if pictures.len() <= SINGLE_PICTURES_MAX {
        for instance in &pictures {
            singly(context, instance).await?;
        }
    }
    Ok(())
}

/// The middle first: it shows most of the body.
fn candidates(pictures: &[Instance]) -> impl Iterator<Item = &Instance> {
    let middle = pictures.len() / 2;
    let order = [middle, middle / 2, (middle + pictures.len()) / 2, 0];
    let mut tried = Vec::with_capacity(TRIES_MAX);
    order.into_iter().filter_map(move |index| {
        let fresh = !tried.contains(&index);
        tried.push(index);
        if fresh { pictures.get(index) } else { None }
    })
}

async fn singly(context: &Context, instance: &Instance) -> Result<()> {
    let uid = &instance.sop_instance_uid;
    // An object never changes, so a picture of this method's version is the picture.
    let known = context
        .archive
        .derived()
        .info(uid, JobKind::Thumbnail.as_str())
        .await?;
    if known.is_some_and(|info| info.version >= VERSION) {
        return Ok(());
    }
    match picture(context, instance).await {
        Ok(Some(jpeg)) => put(context, uid, jpeg).await,
        Ok(None) | Err(WorkerError::Imaging(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn put(context: &Context, subject: &str, jpeg: Vec<u8>) -> Result<()> {
    let media_type = Format::Jpeg.media_type();
    let derived = context.archive.derived();
    derived
        .put(subject, JobKind::Thumbnail.as_str(), VERSION, media_type, jpeg)
        .await?;
    Ok(())
}

async fn picture(context: &Context, instance: &Instance) -> Result<Option<Vec<u8>>> {
    let Some(info) = context.archive.studies().pixel_data(instance.id).await? else {
        return Ok(None);
    };
    let (store, source) = (context.archive.store().clone(), Source::of(instance));
    let memory_bytes = frame_memory_bytes(instance);
    context
        .compute
        .run(memory_bytes, move || draw(&store, source, &info).map(Some))
        .await
}

fn draw(store: &ObjectStore, source: Source, info: &PixelDataInfo) -> Result<Vec<u8>> {
    let image = Image::open(store, source, info)?;
    let frame = image.frames() / 2;
    let small = image.thumbnail(store, frame, SIDE_PX)?;
    Ok(encode(&small, Format::Jpeg, JPEG_QUALITY)?)
}
