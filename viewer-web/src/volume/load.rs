//! From the objects of a series to a volume in memory, kept for the next picture.

use crate::App;
use crate::dicomweb::holdings::{self, Held};
use crate::dicomweb::{layout, uids};
use crate::problem::Problem;
use engine::error::ImagingError;
use engine::pixel::{ImageDescription, Window};
use engine::volume::{Encoding, Finding, FrameValues, Series, Slice, Volume, seen_range};
use reading::Actor;
use reading::access::{Action, guard};
use std::borrow::Cow;
use std::sync::Arc;

/// Largest volume that the server holds: some 750 slices of 512 x 512.
const VOLUME_BYTES_MAX: u64 = 480 << 20;

/// A volume of a series.
#[derive(Debug)]
pub(crate) struct SeriesVolume {
    pub(super) volume: Volume,
    /// Volumes in the series.
    pub(super) volumes: usize,
    pub(super) findings: Vec<Finding>,
    /// The middle slice's own window.
    pub(super) window: Option<Window>,
}

/// The volume of a series, for somebody who may see it, and the digest of what it was made of. Volumes are read one
/// at a time, so that memory is bounded by the cache and one more.
pub(super) async fn open(
    app: &App,
    actor: &Actor,
    series: &str,
    phase: Option<usize>,
) -> Result<(Arc<SeriesVolume>, String), Problem> {
    let uid = uids::series(series)?;
    let found = app.archive().studies().series_by_uid(uid.as_str()).await?;
    let (_, study) = found.ok_or_else(Problem::not_found)?;
    let study = uids::study(&study.study_uid)?;
    guard(app.reading(), actor, Action::ViewImages, study.as_str()).await?;
    let held = holdings::series(app, &study, &uid).await?;
    let phase = phase.unwrap_or(1);
    let key = format!("{}-{phase}", holdings::digest_of(&held));
    if let Some(volume) = app.volumes().get(&key) {
        return Ok((volume, key));
    }
    let turn = Arc::clone(app.volume_turn())
        .acquire_owned()
        .await
        .map_err(|e| Problem::internal(&e))?;
    // somebody else may have read it meanwhile
    if let Some(volume) = app.volumes().get(&key) {
        return Ok((volume, key));
    }
    let (own, name) = (app.clone(), key.clone());
    let volume = app
        .pool()
        .run(move || {
            let _turn = turn;
            let volume = Arc::new(read(&own, &held, phase)?);
            // the bounds of its cells come later
            let bytes = volume.volume.bytes();
            own.volumes().put(&name, Arc::clone(&volume), bytes + bytes / 16);
            Ok::<_, Problem>(volume)
        })
        .await??;
    Ok((volume, key))
}

/// An error on the way through the engine.
struct Failed(Problem);

impl From<ImagingError> for Failed {
    fn from(error: ImagingError) -> Self {
        Self(layout::problem(error))
    }
}

/// The slices of every object that has some, and why the first without them has none.
fn slices(app: &App, held: &[Held]) -> Result<(Vec<Slice>, Option<ImagingError>, usize), Problem> {
    let store = app.archive().store();
    let (mut slices, mut fault, mut faults) = (Vec::new(), None, 0);
    for (source, object) in held.iter().enumerate().filter(|(_, o)| o.frames > 0) {
        let parsed = layout::attributes(store, object, layout::limits(object)?)?;
        let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
        let read =
            ImageDescription::from_lookup(&lookup).and_then(|image| Slice::read_all(&lookup, &image, source));
        match read {
            Ok(mut own) => slices.append(&mut own),
            Err(error) => {
                faults += 1;
                fault.get_or_insert(error);
            }
        }
    }
    Ok((slices, fault, faults))
}

fn read(app: &App, held: &[Held], phase: usize) -> Result<SeriesVolume, Problem> {
    let store = app.archive().store();
    let (slices, fault, count) = slices(app, held)?;
    if let (true, Some(error)) = (slices.is_empty(), &fault) {
        return Err(layout::problem(error.clone()));
    }
    let Series {
        order,
        grid,
        volumes,
        mut findings,
    } = Series::arrange(&slices, phase).map_err(layout::problem)?;
    findings.extend(fault.map(|error| Finding::Unreadable {
        count,
        first: error.to_string(),
    }));
    let [columns, rows, _] = grid.dims();
    let open = |slice: &Slice| {
        let object = held.get(slice.source).ok_or_else(Problem::not_found)?;
        Ok::<_, Problem>((object, layout::open(app, object)?))
    };
    let mut values = Vec::with_capacity(order.len());
    let (mut window, mut padding) = (None, None);
    for (number, i) in order.iter().enumerate() {
        let slice = &slices[*i];
        let (object, opened) = open(slice)?;
        let (image, own) = (&opened.image, opened.image.attributes(slice.frame));
        let mut seen = None;
        if FrameValues::must_be_seen(&image.frame) {
            seen = seen_range(&opened.pixels(store, object, slice.frame)?.data);
        }
        values.push(FrameValues::new(&own.modality, &image.frame, seen));
        if number == order.len() / 2 {
            window = own.voi.windows.first().cloned();
        }
        if number == 0 {
            padding = image.padding.map(|(low, _)| own.modality.apply(low));
        }
    }
    let encoding = Encoding::of(&values).map_err(layout::problem)?;
    findings.extend(encoding.step().map(|step| Finding::Coarser { step }));
    let volume = Volume::build(grid, encoding.rescale(), VOLUME_BYTES_MAX, &mut |range, out| {
        for (number, out) in range.zip(out.chunks_exact_mut(columns * rows)) {
            let slice = &slices[order[number]];
            let (object, opened) = open(slice).map_err(Failed)?;
            let pixels = opened.pixels(store, object, slice.frame).map_err(Failed)?;
            let modality = &opened.image.attributes(slice.frame).modality;
            encoding.write(modality, &pixels.data, out)?;
        }
        Ok::<_, Failed>(())
    })
    .map_err(|e| e.0)?;
    Ok(SeriesVolume {
        volume: volume.with_padding(padding),
        volumes,
        findings,
        window,
    })
}
