//! What the lower crates refuse, as problem details.

use crate::problem::Problem;
use archive::ArchiveError;
use axum::http::StatusCode;
use reading::ReadingError;
use serde_json::json;

impl From<ReadingError> for Problem {
    fn from(error: ReadingError) -> Self {
        if error.status() >= 500 {
            tracing::error!(%error, "request failed");
        }
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let words = error.words();
        let problem = Self::new(status, words.zh, words.en);
        match error {
            ReadingError::Held(holder) => problem.with("holder", json!(holder)),
            ReadingError::Locked { retry_after_s } => {
                problem.retry_after(u64::try_from(retry_after_s).unwrap_or(1))
            }
            ReadingError::PreconditionFailed { etag } => problem.with("etag", etag),
            ReadingError::Invalid { field, .. } => problem.with("field", field),
            _ => problem,
        }
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        ReadingError::Archive(error).into()
    }
}
