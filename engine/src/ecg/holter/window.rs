//! Windows of a stream: a core that belongs to one window only, and margins in which its neighbours look too.
//!
//! The cores lie on a grid of the recording's own samples, so what is found does not depend on how a source cuts its
//! chunks.

use super::source::Source;
use crate::ecg::error::EcgError;
use crate::ecg::record::{Lead, LeadName};

/// Longest core, in seconds; a multiple of a minute.
const CORE_S_MAX: f64 = 600.0;
/// Shortest core, in seconds.
const CORE_S_MIN: f64 = 60.0;
/// What a window sees on both sides of its core, in seconds: more than the reach of the detector's levels.
const MARGIN_S: f64 = 16.0;
/// Most samples of all leads in one core: 16 MB.
const CORE_SAMPLES_MAX: f64 = 4_194_304.0;

/// Lengths of the windows of one recording, in samples of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Samples of a minute; minutes lie whole inside cores.
    pub(super) minute: usize,
    pub(super) core: usize,
    pub(super) margin: usize,
}

impl Grid {
    pub(super) fn new(leads: usize, rate_hz: f64) -> Self {
        let minute = (CORE_S_MIN * rate_hz).round().max(1.0) as usize;
        let most = (CORE_SAMPLES_MAX / (leads.max(1) as f64 * minute as f64)) as usize;
        let minutes = most.clamp(1, (CORE_S_MAX / CORE_S_MIN) as usize);
        Self {
            minute,
            core: minutes * minute,
            margin: (MARGIN_S * rate_hz) as usize,
        }
    }
}

/// A piece of the recording.
pub(super) struct Window {
    /// Leads of the core and its margins.
    pub(super) leads: Vec<Lead>,
    /// Sample of the recording at which the leads begin.
    pub(super) start: u64,
    /// Core, in samples of the recording.
    pub(super) core: std::ops::Range<u64>,
    /// Whether the recording ends with it.
    pub(super) last: bool,
}

/// Cuts a stream into windows.
pub(super) struct Windows<'s, S: Source + ?Sized> {
    source: &'s mut S,
    grid: Grid,
    names: Vec<LeadName>,
    /// Samples read and still needed; they begin at `start`.
    held: Vec<Vec<f32>>,
    start: u64,
    /// Begin of the next core.
    next: u64,
    ended: bool,
    /// Most samples of a lead that are taken.
    samples_max: u64,
}

impl<'s, S: Source + ?Sized> Windows<'s, S> {
    pub(super) fn new(source: &'s mut S, grid: Grid, samples_max: u64) -> Self {
        let names = source.layout().leads.clone();
        Self {
            held: vec![Vec::new(); names.len()],
            source,
            grid,
            names,
            start: 0,
            next: 0,
            ended: false,
            samples_max,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.held.first().map_or(0, Vec::len) as u64
    }

    /// Reads until sample `to` is there or the recording ends.
    fn fill(&mut self, to: u64) -> Result<(), EcgError> {
        while !self.ended && self.end() < to {
            let format = self.source.layout().format;
            if self.end() >= self.samples_max {
                return Err(EcgError::TooLarge {
                    format,
                    what: "number of samples in a lead",
                    value: self.end() + 1,
                    limit: self.samples_max,
                });
            }
            let wanted = usize::try_from(to - self.end()).unwrap_or(usize::MAX);
            let before = self.held.first().map_or(0, Vec::len);
            let got = self.source.read(wanted, &mut self.held)?;
            if got == 0 {
                self.ended = true;
            }
            // A source that answers uneven leads ends where the shortest does.
            for lead in &mut self.held {
                lead.resize(before + got, f32::NAN);
                for value in &mut lead[before..] {
                    if value.is_infinite() {
                        *value = f32::NAN;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next window; `None` behind the end.
    pub(super) fn next(&mut self) -> Result<Option<Window>, EcgError> {
        let (core, margin) = (self.grid.core as u64, self.grid.margin as u64);
        let begin = self.next;
        self.fill(begin + core + margin + 1)?;
        let end = self.end();
        if end <= begin {
            return Ok(None);
        }
        let last = end <= begin + core;
        let to = (begin + core).min(end);
        let seen_to = (begin + core + margin).min(end);
        let length = (seen_to - self.start) as usize;
        let leads = self.names.iter().zip(&self.held).map(|(name, values)| Lead {
            name: name.clone(),
            samples_uv: values[..length].to_vec(),
            resolution_uv: 0.0,
            derived: false,
        });
        let window = Window {
            leads: leads.collect(),
            start: self.start,
            core: begin..to,
            last,
        };
        self.next = begin + core;
        let keep_from = self.next.saturating_sub(margin).min(end);
        let drop = (keep_from - self.start) as usize;
        for lead in &mut self.held {
            lead.drain(..drop);
        }
        self.start = keep_from;
        Ok(Some(window))
    }

    /// Gives the source back for its late warnings.
    pub(super) fn source(&self) -> &S {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::holter::source::RecordSource;
    use crate::ecg::record::Record;

    #[test]
    fn cores_tile_the_recording_and_margins_overlap() {
        let n = 20_000;
        let lead = Lead {
            name: LeadName::new("II"),
            samples_uv: (0..n).map(|i| i as f32).collect(),
            resolution_uv: 1.0,
            derived: false,
        };
        let record = Record::new("npy", vec![lead], 20.0).unwrap();
        let mut source = RecordSource::new(&record);
        let grid = Grid {
            minute: 1_200,
            core: 2_400,
            margin: 320,
        };
        let mut windows = Windows::new(&mut source, grid, u64::MAX);
        let mut next = 0;
        while let Some(window) = windows.next().unwrap() {
            assert_eq!(window.core.start, next);
            assert_eq!(window.start, next.saturating_sub(320));
            let values = &window.leads[0].samples_uv;
            assert_eq!(values[0], window.start as f32);
            assert_eq!(
                window.start + values.len() as u64,
                (window.core.end + 320).min(n as u64)
            );
            next = window.core.end;
            assert_eq!(window.last, next == n as u64);
        }
        assert_eq!(next, n as u64);
    }

    #[test]
    fn grids_stay_within_their_memory() {
        assert_eq!(Grid::new(3, 250.0).core, 600 * 250);
        assert_eq!(Grid::new(12, 1_000.0).core, 5 * 60_000);
        assert_eq!(Grid::new(64, 64_000.0).core, 60 * 64_000);
    }
}
