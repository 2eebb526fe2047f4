//! Long recordings (Holter): read as a stream, looked at window by window, summed up over the whole.
//!
//! Memory follows the number of beats and minutes, not the samples: a [`Source`] gives chunks, [`window`] cuts them into
//! windows on a fixed grid, several windows are looked at side by side ([`look`]), and what they say is put together
//! in time order. **The result does not depend on how the source cuts its chunks nor on the number of threads.**
//!
//! The seam between two windows lies in the middle of an interval between two beats that both windows know, near the
//! grid line, so no beat is lost or told twice where two windows mark it a little apart. What a window alone said of the
//! class of a beat is weighed against the votes for its template over the whole recording ([`template`]).

mod ectopy;
mod fibrillation;
mod gather;
mod look;
mod quality;
pub mod report;
mod series;
pub mod source;
mod st;
mod st_trend;
mod strips;
mod summary;
mod template;
mod trend;
mod variability;
mod window;

pub use quality::LeadState;
pub use report::Holter;
pub use source::{Layout, RecordSource, Source};
pub use summary::{summary_en, summary_zh};
pub use trend::PauseKind;

use self::gather::Gathered;
use self::look::{Seen, ShapeSize};
use self::series::Series;
use self::window::{Grid, Window, Windows};
use super::beats::{Beat, BeatClass};
use super::error::EcgError;
use super::record;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Longest recording, in seconds: a week.
pub const DURATION_S_MAX: f64 = 7.0 * 86_400.0;
/// Samples of all windows that are looked at together, all leads: 40 MB.
const TOGETHER_SAMPLES_MAX: usize = 10 << 20;
/// Most windows looked at together.
const TOGETHER_MAX: usize = 16;

/// Analyses a long recording.
///
/// # Errors
/// [`EcgError::NoSignal`] without leads or samples, [`EcgError::TooLarge`] beyond [`DURATION_S_MAX`], and what the
/// source says.
pub fn analyze<S: Source + ?Sized>(source: &mut S) -> Result<Holter, EcgError> {
    let layout = source.layout().clone();
    let rate_hz = layout.sampling_rate_hz;
    record::check_sampling_rate(layout.format, rate_hz)?;
    record::check_size(layout.format, layout.leads.len() as u64, 0)?;
    if layout.leads.is_empty() {
        return Err(EcgError::NoSignal {
            format: layout.format,
        });
    }
    let grid = Grid::new(layout.leads.len(), rate_hz);
    let size = ShapeSize::new(rate_hz);
    let mut gathered = Gathered::new(size, layout.leads.len(), rate_hz);
    let samples_max = (DURATION_S_MAX * rate_hz) as u64;
    let mut windows = Windows::new(source, grid, samples_max);
    let each = (grid.core + 2 * grid.margin) * layout.leads.len();
    let together = (TOGETHER_SAMPLES_MAX / each.max(1)).clamp(1, TOGETHER_MAX);
    let together = together.min(rayon::current_num_threads());
    loop {
        let batch = take(&mut windows, together)?;
        if batch.is_empty() {
            break;
        }
        let seen: Vec<Seen> = batch
            .par_iter()
            .map(|window| look::look(window, rate_hz, grid, size))
            .collect();
        drop(batch);
        seen.into_iter().for_each(|seen| gathered.add(seen));
    }
    let late = windows.source().late_warnings();
    if gathered.samples() == 0 {
        return Err(EcgError::NoSignal {
            format: layout.format,
        });
    }
    let mut made = assemble(&layout, gathered, size);
    made.warnings.extend(late);
    Ok(made)
}

fn take<S: Source + ?Sized>(windows: &mut Windows<'_, S>, most: usize) -> Result<Vec<Window>, EcgError> {
    let mut batch = Vec::with_capacity(most);
    while batch.len() < most {
        match windows.next()? {
            Some(window) => batch.push(window),
            None => break,
        }
    }
    Ok(batch)
}

fn assemble(layout: &Layout, gathered: Gathered, size: ShapeSize) -> Holter {
    let rate_hz = layout.sampling_rate_hz;
    let samples = gathered.samples();
    let duration_s = samples as f64 / rate_hz;
    let whole = gathered.finish(&layout.leads);
    let mut series = Series::new(whole.beats, &whole.bad, rate_hz, samples);
    let conducted = |place: usize| {
        whole
            .templates
            .get(place)
            .is_some_and(template::Template::is_conducted)
    };
    let fibrillating = fibrillation::find(&series, conducted);
    series.calm(&fibrillating, conducted);
    let atrial = fibrillation::report(&series, &fibrillating, whole.quality.readable_s);
    let nn = variability::intervals(&series, &fibrillating);
    let within = |at_s: f64| {
        let next = fibrillating.partition_point(|(_, last)| series.at_s(*last) <= at_s);
        fibrillating
            .get(next)
            .is_some_and(|(first, _)| series.at_s(*first) <= at_s)
    };
    let mut hours = trend::hours(&series);
    for hour in &mut hours {
        hour.fibrillation_s = fibrillating
            .iter()
            .map(|(first, last)| {
                let (from, to) = (series.at_s(*first), series.at_s(*last));
                (to.min(hour.to_s) - from.max(hour.from_s)).max(0.0)
            })
            .sum();
    }
    let mut made = Holter {
        format: layout.format,
        sampling_rate_hz: rate_hz,
        duration_s,
        acquired_at: layout.acquired_at.clone(),
        leads: layout.leads.clone(),
        quality: whole.quality,
        beats: counts(&series),
        heart_rate: trend::heart_rate(&series),
        hours,
        minute_bpm: trend::minutes(&series),
        pauses: trend::pauses(&series, within),
        atrial_fibrillation: atrial,
        ventricular: ectopy::count(&series, BeatClass::Ventricular),
        supraventricular: ectopy::count(&series, BeatClass::Supraventricular),
        st: st_trend::leads(&layout.leads, &whole.minutes, duration_s),
        variability: variability::measure(&nn),
        templates: gather::templates(&whole.templates, size, layout.leads.len(), rate_hz),
        strips: Vec::new(),
        not_measurable: BTreeMap::new(),
        warnings: layout.warnings.clone(),
        all_beats: series
            .beats
            .iter()
            .map(|beat| Beat {
                sample: usize::try_from(beat.sample).unwrap_or(usize::MAX),
                class: beat.class,
            })
            .collect(),
    };
    made.strips = strips::choose(&made);
    made.not_measurable = missing(&made);
    made
}

fn counts(series: &Series) -> report::BeatCounts {
    let mut made = report::BeatCounts::default();
    for beat in &series.beats {
        made.total += 1;
        let of_class = match beat.class {
            BeatClass::Normal => &mut made.normal,
            BeatClass::Supraventricular => &mut made.supraventricular,
            BeatClass::Ventricular => &mut made.ventricular,
            BeatClass::Fusion => &mut made.fusion,
            BeatClass::Unclassifiable => &mut made.unclassifiable,
        };
        *of_class += 1;
    }
    made
}

/// Why numbers outside the variability and the ST leads are missing.
fn missing(made: &Holter) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut say = |name: &str, reason: &str| {
        out.insert(name.to_owned(), reason.to_owned());
    };
    if made.heart_rate.mean_bpm.is_none() {
        say("heart_rate", "no two neighbouring beats lie in a readable signal");
    }
    if made.heart_rate.highest.is_none() {
        say(
            "highest_and_lowest_rate",
            "no eight intervals in a row can be read",
        );
    }
    if made.atrial_fibrillation.burden_percent.is_none() {
        say("atrial_fibrillation", "nothing of the recording can be read");
    }
    if made.beats.total == 0 {
        say("ectopy", "no beat was found");
    }
    out
}

#[cfg(test)]
mod day;
#[cfg(test)]
mod tests;
