//! Where a long recording comes from: a stream of chunks, so that no length of it must stand in memory.

use crate::ecg::error::EcgError;
use crate::ecg::record::{LeadName, Record};

/// What is known of a recording before its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Short name of the format.
    pub format: &'static str,
    /// Names of the leads, in order.
    pub leads: Vec<LeadName>,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Samples of each lead, where the file says so.
    pub samples: Option<u64>,
    /// Start of acquisition as the file writes it.
    pub acquired_at: Option<String>,
    /// What a reader of the result must know.
    pub warnings: Vec<String>,
}

/// A recording that is read from its begin to its end, a chunk at a time.
pub trait Source {
    /// What is known of it.
    fn layout(&self) -> &Layout;

    /// Appends at most `frames` samples of every lead, in microvolts and NaN where there is no signal, to `leads` (one
    /// list a lead, in the order of the layout). Answers how many; 0 is the end. Chunks of any size are fine.
    ///
    /// # Errors
    /// When the recording cannot be followed any further.
    fn read(&mut self, frames: usize, leads: &mut [Vec<f32>]) -> Result<usize, EcgError>;

    /// What was found out while reading, in sentences.
    fn late_warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A recording that stands in memory already.
#[derive(Debug)]
pub struct RecordSource<'r> {
    record: &'r Record,
    layout: Layout,
    at: usize,
}

impl<'r> RecordSource<'r> {
    /// Reads `record` from its begin.
    #[must_use]
    pub fn new(record: &'r Record) -> Self {
        let layout = Layout {
            format: record.format,
            leads: record.lead_names(),
            sampling_rate_hz: record.sampling_rate_hz,
            samples: Some(record.len() as u64),
            acquired_at: record.acquired_at.clone(),
            warnings: record.warnings.clone(),
        };
        Self {
            record,
            layout,
            at: 0,
        }
    }
}

impl Source for RecordSource<'_> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&mut self, frames: usize, leads: &mut [Vec<f32>]) -> Result<usize, EcgError> {
        let end = self.at.saturating_add(frames).min(self.record.len());
        for (out, lead) in leads.iter_mut().zip(&self.record.leads) {
            out.extend_from_slice(lead.samples_uv.get(self.at..end).unwrap_or_default());
        }
        let taken = end - self.at;
        self.at = end;
        Ok(taken)
    }
}
