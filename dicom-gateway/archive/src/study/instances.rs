//! Reading single studies, series and instances, their attributes and where their bytes are.

use super::Studies;
use super::rows::{self, Instance, InstanceItem, Series, Study};
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::InstanceId;
use crate::params;
use crate::receive::unpack;
use dataset::PixelDataInfo;

/// Instances of one study that are read at once.
const INSTANCES_MAX: i64 = 100_000;

crate::statements! {
    mod sql {
        STUDY = concat!("SELECT ", study_columns!(), " FROM study st WHERE st.study_uid = $1");
        SERIES_OF = concat!("SELECT ", series_columns!(), " FROM series se JOIN study st ON st.id = se.study_id WHERE st.study_uid = $1 ORDER BY se.number, se.id");
        SERIES = concat!("SELECT ", series_columns!(), ", ", study_columns!(), " FROM series se JOIN study st ON st.id = se.study_id WHERE se.series_uid = $1 ORDER BY se.id LIMIT 1");
        OF_STUDY = concat!("SELECT ", instance_columns!(), " FROM instance i JOIN series se ON se.id = i.series_id JOIN study st ON st.id = se.study_id WHERE st.study_uid = $1 ORDER BY se.number, se.id, i.number, i.id LIMIT $2");
        OF_SERIES = concat!("SELECT ", instance_columns!(), " FROM instance i JOIN series se ON se.id = i.series_id JOIN study st ON st.id = se.study_id WHERE st.study_uid = $1 AND se.series_uid = $2 ORDER BY i.number, i.id LIMIT $3");
        ONE = concat!("SELECT ", instance_columns!(), ", ", series_columns!(), ", ", study_columns!(), ", ", patient_of_study_columns!(), " FROM instance i JOIN series se ON se.id = i.series_id JOIN study st ON st.id = i.study_id JOIN patient p ON p.id = st.patient_id WHERE i.sop_instance_uid = $1");
        DETAIL = "SELECT attributes, pixel_data FROM instance_detail WHERE instance_id = $1";
        PIXELS = "SELECT pixel_data FROM instance_detail WHERE instance_id = $1";
        DETAILS_OF_SERIES = "SELECT i.sop_instance_uid, d.attributes FROM instance i JOIN instance_detail d ON d.instance_id = i.id JOIN series se ON se.id = i.series_id JOIN study st ON st.id = se.study_id WHERE st.study_uid = $1 AND se.series_uid = $2 ORDER BY i.number, i.id LIMIT $3";
        DETAILS_OF_STUDY = "SELECT i.sop_instance_uid, d.attributes FROM instance i JOIN instance_detail d ON d.instance_id = i.id JOIN series se ON se.id = i.series_id JOIN study st ON st.id = se.study_id WHERE st.study_uid = $1 ORDER BY se.number, se.id, i.number, i.id LIMIT $2";
    }
}

/// DICOM JSON of an instance, still compressed; [`PackedAttributes::json`] and
/// [`PackedAttributes::text`] compute, so call them on a compute thread for many.
#[derive(Debug, Clone)]
pub struct PackedAttributes {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    packed: Vec<u8>,
}

impl PackedAttributes {
    /// As a JSON object (PS3.18 Annex F). Bulk data have URIs that are bare paths, e.g. `/7FE00010`.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`].
    pub fn json(&self) -> Result<serde_json::Value> {
        unpack(&self.packed)
    }

    /// As JSON text.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`].
    pub fn text(&self) -> Result<Vec<u8>> {
        crate::receive::inflate(&self.packed)
    }
}

fn packed(row: &Row) -> Result<PackedAttributes> {
    Ok(PackedAttributes {
        sop_instance_uid: row.text("sop_instance_uid")?,
        packed: row.bytes("attributes")?,
    })
}

impl Studies {
    /// A study by UID.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_uid(&self, study_uid: &str) -> Result<Option<Study>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::STUDY, params![study_uid])
            .await?;
        row.as_ref().map(rows::study).transpose()
    }

    /// The series of a study, by number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn series_of(&self, study_uid: &str) -> Result<Vec<Series>> {
        let rows = self
            .archive
            .db()
            .fetch_all(sql::SERIES_OF, params![study_uid])
            .await?;
        rows.iter().map(rows::series).collect()
    }

    /// A series by its UID alone, with its study.
    ///
    /// # Errors
    /// What the index says.
    pub async fn series_by_uid(&self, series_uid: &str) -> Result<Option<(Series, Study)>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::SERIES, params![series_uid])
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((rows::series(&row)?, rows::study(&row)?)))
    }

    /// The instances of a study, by series number and instance number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn instances_of_study(&self, study_uid: &str) -> Result<Vec<Instance>> {
        let rows = self
            .archive
            .db()
            .fetch_all(sql::OF_STUDY, params![study_uid, INSTANCES_MAX])
            .await?;
        rows.iter().map(rows::instance).collect()
    }

    /// The instances of a series, by instance number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn instances_of_series(&self, study_uid: &str, series_uid: &str) -> Result<Vec<Instance>> {
        let values = params![study_uid, series_uid, INSTANCES_MAX];
        let rows = self.archive.db().fetch_all(sql::OF_SERIES, values).await?;
        rows.iter().map(rows::instance).collect()
    }

    /// An instance with what it belongs to.
    ///
    /// # Errors
    /// What the index says.
    pub async fn instance(&self, sop_instance_uid: &str) -> Result<Option<InstanceItem>> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::ONE, params![sop_instance_uid])
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(InstanceItem {
            instance: rows::instance(&row)?,
            series: rows::series(&row)?,
            study: rows::study(&row)?,
            patient: crate::patient::read(&row)?,
        }))
    }

    /// Attributes of one instance as DICOM JSON.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn attributes(&self, id: InstanceId) -> Result<serde_json::Value> {
        let row = self.archive.db().fetch_optional(sql::DETAIL, params![id]).await?;
        let row = row.ok_or_else(|| ArchiveError::NotFound(format!("attributes of instance {id}")))?;
        unpack(&row.bytes("attributes")?)
    }

    /// Where the pixel data of an instance are; offsets count from the data set's first byte, so
    /// add `digests.meta_bytes` for a place in the file (not for deflated files).
    ///
    /// # Errors
    /// What the index says.
    pub async fn pixel_data(&self, id: InstanceId) -> Result<Option<PixelDataInfo>> {
        let row = self.archive.db().fetch_optional(sql::PIXELS, params![id]).await?;
        match row.map(|row| row.opt_bytes("pixel_data")).transpose()?.flatten() {
            Some(bytes) => unpack(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Attributes of all instances of a series in one read, by instance number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn attributes_of_series(
        &self,
        study_uid: &str,
        series_uid: &str,
    ) -> Result<Vec<PackedAttributes>> {
        let values = params![study_uid, series_uid, INSTANCES_MAX];
        let rows = self
            .archive
            .db()
            .fetch_all(sql::DETAILS_OF_SERIES, values)
            .await?;
        rows.iter().map(packed).collect()
    }

    /// Attributes of all instances of a study in one read.
    ///
    /// # Errors
    /// What the index says.
    pub async fn attributes_of_study(&self, study_uid: &str) -> Result<Vec<PackedAttributes>> {
        let values = params![study_uid, INSTANCES_MAX];
        let rows = self.archive.db().fetch_all(sql::DETAILS_OF_STUDY, values).await?;
        rows.iter().map(packed).collect()
    }
}
