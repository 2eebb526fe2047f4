//! What every upload of several parts answers to a sender who does it wrong.

use super::accept::MediaRange;
use super::parts::UploadError;
use crate::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        Self::bad_request(
            format!("上传内容格式有误：{error}"),
            format!("The upload is not as expected: {error}."),
        )
    }
}

/// The boundary that `Content-Type` names, where it `fits`; `wanted` tells the sender what would.
pub(crate) fn boundary(
    headers: &HeaderMap,
    wanted: &str,
    fits: impl FnOnce(&MediaRange) -> bool,
) -> Result<String, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(MediaRange::parse)
        .filter(fits)
        .ok_or_else(|| Problem::unsupported_media_type(wanted))?;
    let named = kind.parameter("boundary").map(str::to_owned);
    named.ok_or_else(|| UploadError::Boundary.into())
}

/// The sender has been silent for too long.
pub(crate) fn silent() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "上传中断：长时间没有数据，请重试。",
        "The upload was stopped: no data for a long time. Try again.",
    )
}
