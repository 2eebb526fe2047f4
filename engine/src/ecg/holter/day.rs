//! Synthetic days as a source, cut into chunks of any size.

use super::source::{Layout, Source};
use crate::ecg::error::EcgError;
use crate::ecg::record::LeadName;
use fixtures::ecg::{DAY_LEADS, Day};

pub(super) struct DaySource<'d> {
    day: &'d Day,
    layout: Layout,
    at: u64,
    /// Most samples of the next chunks, over and over.
    chunks: Vec<usize>,
    turn: usize,
}

impl<'d> DaySource<'d> {
    pub(super) fn new(day: &'d Day, chunks: &[usize]) -> Self {
        let layout = Layout {
            format: "npy",
            leads: DAY_LEADS.iter().map(|name| LeadName::new(name)).collect(),
            sampling_rate_hz: day.sampling_rate_hz,
            samples: Some(day.samples()),
            acquired_at: None,
            warnings: Vec::new(),
        };
        Self {
            day,
            layout,
            at: 0,
            chunks: chunks.to_vec(),
            turn: 0,
        }
    }
}

impl Source for DaySource<'_> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&mut self, frames: usize, leads: &mut [Vec<f32>]) -> Result<usize, EcgError> {
        let most = self.chunks.get(self.turn % self.chunks.len().max(1)).copied();
        self.turn += 1;
        let got = self
            .day
            .fill(self.at, frames.min(most.unwrap_or(usize::MAX)), leads);
        self.at += got as u64;
        Ok(got)
    }
}
