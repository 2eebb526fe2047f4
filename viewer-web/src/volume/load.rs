//! From the objects of a series to a volume in memory, kept for the next picture.

use crate::App;
use crate::dicomweb::holdings::{self, Held};
use crate::dicomweb::{layout, uids};
use crate::problem::Problem;
use engine::error::ImagingError;
use engine::pixel::ImageDescription;
use engine::volume::{Finding, SeriesVolume, Slice, SliceValues, Stack};
use reading::Actor;
use reading::access::{Action, guard};
use std::borrow::Cow;
use std::sync::Arc;

/// Largest volume that the server holds: some 750 slices of 512 x 512.
const VOLUME_BYTES_MAX: u64 = 480 << 20;

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

type Found = (Vec<(Slice, SliceValues)>, Option<ImagingError>, usize);

/// An error on the way through the engine.
struct Failed(Problem);

impl From<ImagingError> for Failed {
    fn from(error: ImagingError) -> Self {
        Self(layout::problem(error))
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

fn read(app: &App, held: &[Held], phase: usize) -> Result<SeriesVolume, Problem> {
    let (slices, fault, count) = slices(app, held)?;
    if let (true, Some(error)) = (slices.is_empty(), &fault) {
        return Err(layout::problem(error.clone()));
    }
    let mut stack = Stack::arrange(slices, phase).map_err(layout::problem)?;
    stack.findings.extend(fault.map(|error| Finding::Unreadable {
        count,
        first: error.to_string(),
    }));
    let store = app.archive().store();
    let decode = |slice: &Slice| {
        let object = held.get(slice.source).ok_or_else(Problem::not_found)?;
        Ok::<_, Failed>(layout::open(app, object)?.pixels(store, object, slice.frame)?)
    };
    stack.load(VOLUME_BYTES_MAX, &decode).map_err(|e| e.0)
}

/// The slices of every object that has some, why the first without them has none, and how many have none.
fn slices(app: &App, held: &[Held]) -> Result<Found, Problem> {
    let store = app.archive().store();
    let (mut slices, mut fault, mut faults) = (Vec::new(), None, 0);
    for (source, object) in held.iter().enumerate().filter(|(_, o)| o.frames > 0) {
        let parsed = layout::attributes(store, object, layout::limits(object)?)?;
        let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
        let read = ImageDescription::from_lookup(&lookup).and_then(|image| {
            let own = Slice::read_all(&lookup, &image, source)?;
            slices.extend(own.into_iter().map(|slice| {
                let values = SliceValues::of(&image, slice.frame);
                (slice, values)
            }));
            Ok(())
        });
        if let Err(error) = read {
            faults += 1;
            fault.get_or_insert(error);
        }
    }
    Ok((slices, fault, faults))
}
