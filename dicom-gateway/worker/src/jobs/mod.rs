//! One file for each kind of job.

mod ecg_analysis;
mod holter;
mod quality;
mod series_metadata;
mod thumbnail;

use crate::compute::Compute;
use crate::error::{Result, WorkerError};
use archive::Archive;
use archive::work::Job;
use engine::ecg::critical::Ruleset;
use std::sync::Arc;

pub(crate) use ecg_analysis::VERSION as ECG_ANALYSIS_VERSION;
pub(crate) use series_metadata::VERSION as SERIES_METADATA_VERSION;
pub(crate) use thumbnail::VERSION as THUMBNAIL_VERSION;

/// What every job works with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) archive: Archive,
    pub(crate) compute: Compute,
    /// Rules by which an ECG is critical; the national ones without.
    pub(crate) critical_rules: Option<Arc<Ruleset>>,
}

/// Kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Reads an ECG; subject: SOP Instance UID.
    EcgAnalysis,
    /// Makes the small picture of a series; subject: Series Instance UID.
    Thumbnail,
    /// Collects the attributes of a series; subject: Series Instance UID.
    SeriesMetadata,
    /// Looks for faults of acquisition and transfer; subject: Study Instance UID.
    Quality,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [JobKind; 4] = [
        JobKind::EcgAnalysis,
        JobKind::Thumbnail,
        JobKind::SeriesMetadata,
        JobKind::Quality,
    ];

    /// The word in the queue; also the kind of the derived object.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::EcgAnalysis => "ecg_analysis",
            JobKind::Thumbnail => "thumbnail",
            JobKind::SeriesMetadata => "series_metadata",
            JobKind::Quality => "quality",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<JobKind> {
        JobKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Runs one job.
pub(crate) async fn perform(context: &Context, job: &Job) -> Result<()> {
    match JobKind::parse(&job.kind) {
        Some(JobKind::EcgAnalysis) => ecg_analysis::perform(context, &job.subject).await,
        Some(JobKind::Thumbnail) => thumbnail::perform(context, &job.subject).await,
        Some(JobKind::SeriesMetadata) => series_metadata::perform(context, &job.subject).await,
        Some(JobKind::Quality) => quality::perform(context, &job.subject).await,
        None => Err(WorkerError::UnknownKind(job.kind.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_kinds_are_read_back() {
        for kind in JobKind::ALL {
            assert_eq!(JobKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(JobKind::parse("coffee"), None);
    }
}
