//! What the archive holds of a study, as retrieval needs it.

use super::uids;
use crate::App;
use crate::problem::Problem;
use archive::receive::SeriesKind;
use archive::store::ObjectKey;
use archive::study::{Instance, PackedAttributes, Series};
use archive::{InstanceId, UnixMicros};
use dataset::uid::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use reading::Actor;
use reading::access::{Action, guard};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// One stored object.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: InstanceId,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) sop_instance_uid: String,
    pub(crate) sop_class_uid: String,
    pub(crate) transfer_syntax_uid: String,
    /// Number of frames; 0 where the object has no picture.
    pub(crate) frames: u64,
    /// Rows; none where the object has no picture.
    pub(crate) rows: Option<i64>,
    pub(crate) object_key: ObjectKey,
    pub(crate) size_bytes: u64,
    /// Bytes before the data set.
    pub(crate) meta_bytes: u64,
    /// SHA-256 of the data set, hexadecimal: identifies the content for tags and caches.
    pub(crate) digest: String,
    /// When the newest object of its series came; the object's own time where the series was not looked at.
    pub(crate) series_changed_at: UnixMicros,
}

impl Held {
    fn new(study_uid: &str, series_uid: &str, row: Instance) -> Self {
        Self {
            id: row.id,
            study_uid: study_uid.to_owned(),
            series_uid: series_uid.to_owned(),
            sop_instance_uid: row.sop_instance_uid,
            sop_class_uid: row.sop_class_uid,
            transfer_syntax_uid: row.transfer_syntax_uid,
            frames: u64::try_from(row.frames).unwrap_or(0),
            rows: row.rows,
            object_key: row.object_key,
            size_bytes: row.size_bytes,
            meta_bytes: row.digests.meta_bytes,
            digest: row.digests.dataset.to_hex(),
            series_changed_at: row.received_at,
        }
    }

    /// Where the object is retrieved.
    pub(crate) fn url(&self) -> String {
        format!(
            "/dicomweb/studies/{}/series/{}/instances/{}",
            self.study_uid, self.series_uid, self.sop_instance_uid
        )
    }

    #[cfg(test)]
    pub(crate) fn example(transfer_syntax_uid: &str) -> Self {
        Self {
            id: InstanceId(1),
            study_uid: "1.2".into(),
            series_uid: "1.2.1".into(),
            sop_instance_uid: "1.2.1.1".into(),
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntax_uid: transfer_syntax_uid.into(),
            frames: 1,
            rows: Some(4),
            object_key: ObjectKey::parse("20250101/000/ab.dcm").unwrap(),
            size_bytes: 200,
            meta_bytes: 132,
            digest: "ab".into(),
            series_changed_at: UnixMicros(0),
        }
    }
}

/// What a path below `/dicomweb/studies` names: a study, one of its series, or one instance of that.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    study: String,
    series: Option<String>,
    instance: Option<String>,
}

impl Named {
    /// Whether it is a single instance.
    pub(crate) fn is_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// Its objects, for somebody who may see them; 404 where there is none.
    pub(crate) async fn open(&self, app: &App, actor: &Actor) -> Result<Vec<Held>, Problem> {
        let study = uids::study(&self.study)?;
        let series = self.series.as_deref().map(uids::series).transpose()?;
        let instance = self.instance.as_deref().map(uids::instance).transpose()?;
        guard(app.reading(), actor, Action::ViewImages, study.as_str()).await?;
        match (series, instance) {
            (Some(series), Some(instance)) => {
                Ok(vec![self::instance(app, &study, &series, &instance).await?])
            }
            (Some(series), None) => self::series(app, &study, &series).await,
            (None, _) => self::study(app, &study).await,
        }
    }
}

/// One object, for somebody who may see it.
pub(crate) async fn one(
    app: &App,
    actor: &Actor,
    (study, series, instance): (String, String, String),
) -> Result<Held, Problem> {
    let named = Named {
        study,
        series: Some(series),
        instance: Some(instance),
    };
    let held = named.open(app, actor).await?;
    held.into_iter().next().ok_or_else(Problem::not_found)
}

/// Digest of the objects' digests, in their order: changes when any of them does.
pub(crate) fn digest_of(held: &[Held]) -> String {
    let mut all = Sha256::new();
    for object in held {
        all.update(object.digest.as_bytes());
    }
    hex::encode(all.finalize())
}

fn some(held: Vec<Held>) -> Result<Vec<Held>, Problem> {
    if held.is_empty() {
        Err(Problem::not_found())
    } else {
        Ok(held)
    }
}

/// All objects of a study; 404 where there is none.
pub(crate) async fn study(app: &App, study: &StudyInstanceUid) -> Result<Vec<Held>, Problem> {
    let studies = app.archive().studies();
    let series = studies.series_of(study.as_str()).await?;
    let uids: HashMap<_, _> = series.into_iter().map(|row| (row.id, row.series_uid)).collect();
    let rows = studies.instances_of_study(study.as_str()).await?;
    let held = rows.into_iter().filter_map(|row| {
        let series_uid = uids.get(&row.series_id)?;
        Some(Held::new(study.as_str(), series_uid, row))
    });
    some(held.collect())
}

/// All objects of a series of this study.
pub(crate) async fn series(
    app: &App,
    study: &StudyInstanceUid,
    series: &SeriesInstanceUid,
) -> Result<Vec<Held>, Problem> {
    let rows = app
        .archive()
        .studies()
        .instances_of_series(study.as_str(), series.as_str())
        .await?;
    some(
        rows.into_iter()
            .map(|row| Held::new(study.as_str(), series.as_str(), row))
            .collect(),
    )
}

/// One object, if it belongs to this series of this study.
pub(crate) async fn instance(
    app: &App,
    study: &StudyInstanceUid,
    series: &SeriesInstanceUid,
    instance: &SopInstanceUid,
) -> Result<Held, Problem> {
    let item = app
        .archive()
        .studies()
        .instance(instance.as_str())
        .await?
        .ok_or_else(Problem::not_found)?;
    if item.study.study_uid != study.as_str() || item.series.series_uid != series.as_str() {
        return Err(Problem::not_found());
    }
    Ok(Held::new(study.as_str(), series.as_str(), item.instance))
}

/// The object whose picture stands for a series or a study: the middle one of the first series of pictures.
pub(crate) async fn representative(
    app: &App,
    study: &StudyInstanceUid,
    series: Option<&SeriesInstanceUid>,
) -> Result<Held, Problem> {
    let rows = app.archive().studies().series_of(study.as_str()).await?;
    let wanted = |row: &&Series| series.is_none_or(|uid| row.series_uid == uid.as_str());
    let pictures = |row: &&Series| row.kind == SeriesKind::Image && row.frame_count > 0;
    let row = rows.iter().filter(wanted).find(pictures);
    let row = row
        .or_else(|| rows.iter().find(wanted))
        .ok_or_else(Problem::not_found)?;
    // The count changes whenever the series does, so a kept choice is never stale.
    let key = format!("{}-{}-{}", study.as_str(), row.series_uid, row.instance_count);
    if let Some(held) = app.choices().get(&key) {
        return Ok(held);
    }
    let uid = SeriesInstanceUid::parse(&row.series_uid).map_err(|e| Problem::internal(&e))?;
    let all = self::series(app, study, &uid).await?;
    let shown: Vec<&Held> = all.iter().filter(|held| held.frames > 0).collect();
    let middle = shown
        .get(shown.len() / 2)
        .copied()
        .or_else(|| all.first())
        .ok_or_else(Problem::not_found)?;
    let choice = Held {
        series_changed_at: row.received_last_at,
        ..middle.clone()
    };
    app.choices().put(&key, choice.clone(), key.len() + CHOICE_BYTES);
    Ok(choice)
}

/// Memory that one kept choice is counted as.
const CHOICE_BYTES: usize = 600;

/// The named recording of a study, else its first; 404 where it has none.
pub(crate) async fn waveform(
    app: &App,
    study: &StudyInstanceUid,
    instance: Option<&str>,
) -> Result<Held, Problem> {
    let rows = app.archive().studies().series_of(study.as_str()).await?;
    for row in rows.iter().filter(|row| row.kind == SeriesKind::Waveform) {
        let uid = SeriesInstanceUid::parse(&row.series_uid).map_err(|e| Problem::internal(&e))?;
        let held = series(app, study, &uid).await?;
        let found = held
            .into_iter()
            .find(|held| instance.is_none_or(|wanted| held.sop_instance_uid == wanted));
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(Problem::not_found())
}

/// Attributes of objects of one study, beside their objects. An object whose attributes are not kept is left out.
pub(crate) async fn attributes(app: &App, held: Vec<Held>) -> Result<Vec<(Held, PackedAttributes)>, Problem> {
    let Some(first) = held.first() else {
        return Ok(Vec::new());
    };
    let studies = app.archive().studies();
    let one_series = held.iter().all(|object| object.series_uid == first.series_uid);
    let packed = match one_series {
        true => {
            studies
                .attributes_of_series(&first.study_uid, &first.series_uid)
                .await?
        }
        false => studies.attributes_of_study(&first.study_uid).await?,
    };
    let mut packed: HashMap<String, PackedAttributes> = packed
        .into_iter()
        .map(|blob| (blob.sop_instance_uid.clone(), blob))
        .collect();
    Ok(held
        .into_iter()
        .filter_map(|object| Some((packed.remove(&object.sop_instance_uid)?, object)))
        .map(|(b, h)| (h, b))
        .collect())
}
