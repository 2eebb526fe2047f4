//! UIDs of paths: 400 where a text is no UID.

use crate::problem::Problem;
use dataset::uid::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

fn wrong(what: &str) -> Problem {
    Problem::bad_request(
        format!("{what} 不是有效的 UID。"),
        format!("{what} is no valid UID."),
    )
}

/// A Study Instance UID.
pub(crate) fn study(text: &str) -> Result<StudyInstanceUid, Problem> {
    StudyInstanceUid::parse(text).map_err(|_| wrong("Study Instance UID"))
}

/// A Series Instance UID.
pub(crate) fn series(text: &str) -> Result<SeriesInstanceUid, Problem> {
    SeriesInstanceUid::parse(text).map_err(|_| wrong("Series Instance UID"))
}

/// A SOP Instance UID.
pub(crate) fn instance(text: &str) -> Result<SopInstanceUid, Problem> {
    SopInstanceUid::parse(text).map_err(|_| wrong("SOP Instance UID"))
}
