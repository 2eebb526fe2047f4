//! The ECG of a person before this one, wherever in the community it was taken.

use crate::access::{Action, guard};
use crate::actor::Actor;
use crate::detail::Prior;
use crate::error::{ReadingError, Result};
use crate::service::Reading;
use crate::timeline;

/// This ECG's time and the newest earlier one that the actor may open; both accesses leave their audit rows.
#[derive(Debug)]
pub struct BesidePrevious {
    /// When this one was taken, ISO 8601.
    pub study_at: String,
    /// The earlier one.
    pub previous: Option<Prior>,
}

/// Looks for it.
///
/// # Errors
/// As the policy says of this study; an earlier one that the policy closes is as if it were not there.
pub async fn previous_ecg(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<BesidePrevious> {
    let access = guard(reading, actor, Action::ViewImages, study_uid).await?;
    let all = timeline::visible(reading, actor, access.study.patient_id).await?;
    let this = all
        .iter()
        .find(|item| item.study_uid == study_uid)
        .map(|item| item.at.clone())
        .unwrap_or_default();
    let mut earlier: Vec<_> = all
        .into_iter()
        .filter(|item| item.has_waveform && item.study_uid != study_uid && item.at <= this)
        .collect();
    earlier.sort_by(|a, b| b.at.cmp(&a.at));
    for item in earlier {
        match guard(reading, actor, Action::ViewImages, &item.study_uid).await {
            Ok(_) => {}
            Err(ReadingError::Forbidden(_) | ReadingError::NotFound(_)) => continue,
            Err(error) => return Err(error),
        }
        let previous = Prior {
            signed: item.status.is_issued(),
            study_uid: item.study_uid,
            modality: item.modality,
            item_name: item.item_name,
            study_at: item.at,
            institution: item.institution,
            impression: item.impression,
        };
        return Ok(BesidePrevious {
            study_at: this,
            previous: Some(previous),
        });
    }
    Ok(BesidePrevious {
        study_at: this,
        previous: None,
    })
}
