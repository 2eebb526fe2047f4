//! Queries of the four levels (C-FIND, QIDO-RS, lists).

use super::Studies;
use super::filter::{Conditions, InstanceFilter, Scope, SeriesFilter, StudyFilter};
use super::rows::{self, InstanceItem, PatientItem, SeriesItem, StudyItem};
use crate::db::{Row, Value};
use crate::error::Result;

/// Rows of one answer at most, whatever is asked.
pub(crate) const ROWS_MAX: u32 = 10_000;
/// Largest offset.
const OFFSET_MAX: u32 = 10_000_000;

const STUDY_FROM: &str = concat!(
    "SELECT ",
    study_columns!(),
    ", ",
    patient_of_study_columns!(),
    " FROM study st JOIN patient p ON p.id = st.patient_id"
);
const SERIES_FROM: &str = concat!(
    "SELECT ",
    series_columns!(),
    ", ",
    study_columns!(),
    ", ",
    patient_of_study_columns!(),
    " FROM series se JOIN study st ON st.id = se.study_id JOIN patient p ON p.id = st.patient_id"
);
const INSTANCE_FROM: &str = concat!(
    "SELECT ",
    instance_columns!(),
    ", ",
    series_columns!(),
    ", ",
    study_columns!(),
    ", ",
    patient_of_study_columns!(),
    " FROM instance i JOIN series se ON se.id = i.series_id JOIN study st ON st.id = i.study_id JOIN patient p ON p.id = st.patient_id"
);
const PATIENT_FROM: &str = concat!(
    "SELECT ",
    patient_columns!(),
    ", COUNT(st.id) AS study_count FROM patient p JOIN study st ON st.patient_id = p.id"
);

fn finish(
    mut conditions: Conditions,
    from: &str,
    order: &str,
    limit: u32,
    offset: u32,
) -> (String, Vec<Value>) {
    let filter = conditions.where_text();
    let limit = conditions.mark(limit.clamp(1, ROWS_MAX));
    let offset = conditions.mark(offset.min(OFFSET_MAX));
    let text = format!("{from}{filter}{order} LIMIT {limit} OFFSET {offset}");
    (text, conditions.params)
}

fn study_query(asked: &StudyFilter, scope: &Scope, limit: u32, offset: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.patient(asked);
    conditions.study(asked);
    conditions.scope(scope);
    finish(conditions, STUDY_FROM, " ORDER BY st.id DESC", limit, offset)
}

fn patient_query(asked: &StudyFilter, scope: &Scope, limit: u32, offset: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.patient(asked);
    conditions.study(asked);
    conditions.scope(scope);
    finish(
        conditions,
        PATIENT_FROM,
        " GROUP BY p.id ORDER BY p.id DESC",
        limit,
        offset,
    )
}

fn series_query(asked: &SeriesFilter, scope: &Scope, limit: u32, offset: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.patient(&asked.study);
    conditions.study(&asked.study);
    conditions.series(asked);
    conditions.scope(scope);
    finish(
        conditions,
        SERIES_FROM,
        " ORDER BY se.study_id DESC, se.number, se.id",
        limit,
        offset,
    )
}

fn instance_query(asked: &InstanceFilter, scope: &Scope, limit: u32, offset: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.patient(&asked.series.study);
    conditions.study(&asked.series.study);
    conditions.series(&asked.series);
    conditions.instance(asked);
    conditions.scope(scope);
    finish(
        conditions,
        INSTANCE_FROM,
        " ORDER BY i.series_id, i.number, i.id",
        limit,
        offset,
    )
}

fn study_item(row: &Row) -> Result<StudyItem> {
    Ok(StudyItem {
        study: rows::study(row)?,
        patient: crate::patient::read(row)?,
    })
}

fn series_item(row: &Row) -> Result<SeriesItem> {
    Ok(SeriesItem {
        series: rows::series(row)?,
        study: rows::study(row)?,
        patient: crate::patient::read(row)?,
    })
}

fn instance_item(row: &Row) -> Result<InstanceItem> {
    Ok(InstanceItem {
        instance: rows::instance(row)?,
        series: rows::series(row)?,
        study: rows::study(row)?,
        patient: crate::patient::read(row)?,
    })
}

impl Studies {
    /// Studies, newest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn search(
        &self,
        asked: &StudyFilter,
        scope: &Scope,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<StudyItem>> {
        let (text, params) = study_query(asked, scope, limit, offset);
        let rows = self.archive.db().fetch_dynamic(text, params).await?;
        rows.iter().map(study_item).collect()
    }

    /// Patients who have a study that fits, newest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn patients(
        &self,
        asked: &StudyFilter,
        scope: &Scope,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<PatientItem>> {
        let (text, params) = patient_query(asked, scope, limit, offset);
        let rows = self.archive.db().fetch_dynamic(text, params).await?;
        let item = |row: &Row| {
            Ok(PatientItem {
                patient: crate::patient::read(row)?,
                study_count: row.int("study_count")?,
            })
        };
        rows.iter().map(item).collect()
    }

    /// Series, by study and number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn series(
        &self,
        asked: &SeriesFilter,
        scope: &Scope,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<SeriesItem>> {
        let (text, params) = series_query(asked, scope, limit, offset);
        let rows = self.archive.db().fetch_dynamic(text, params).await?;
        rows.iter().map(series_item).collect()
    }

    /// Instances, by series and number.
    ///
    /// # Errors
    /// What the index says.
    pub async fn instances(
        &self,
        asked: &InstanceFilter,
        scope: &Scope,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<InstanceItem>> {
        let (text, params) = instance_query(asked, scope, limit, offset);
        let rows = self.archive.db().fetch_dynamic(text, params).await?;
        rows.iter().map(instance_item).collect()
    }
}

/// Queries whose plans the conformance test looks at: name, text.
#[cfg(test)]
pub(crate) fn explained() -> Vec<(&'static str, String)> {
    use crate::ids::InstitutionId;
    use dataset::Vr;
    use dataset::matching::Match;
    let one = |vr, text| Match::parse(vr, text);
    let mine = Scope::Of {
        institutions: vec![InstitutionId(1)],
        treating: Some(InstitutionId(1)),
    };
    let study = |change: fn(&mut StudyFilter)| {
        let mut asked = StudyFilter::default();
        change(&mut asked);
        asked
    };
    let by_name = study(|f| f.patient_name = Match::parse(Vr::PN, "WANG*"));
    let by_fuzzy_name = study(|f| {
        f.patient_name = Match::parse(Vr::PN, "wang ming");
        f.fuzzy_names = true;
    });
    let by_uid = study(|f| f.study_uid = Match::parse(Vr::UI, "1.2.3"));
    let by_id = study(|f| f.patient_id = Match::parse(Vr::LO, "P1"));
    let by_accession = study(|f| f.accession_number = Match::parse(Vr::SH, "GY1"));
    let by_date = study(|f| f.study_date = Match::parse(Vr::DA, "20250101-20250102"));
    let series = SeriesFilter {
        study: by_uid.clone(),
        series_uid: one(Vr::UI, "1.2.3.4"),
        ..SeriesFilter::default()
    };
    let instances = InstanceFilter {
        series: series.clone(),
        ..InstanceFilter::default()
    };
    let instance = InstanceFilter {
        sop_instance_uid: one(Vr::UI, "1.2.3.4.5"),
        ..InstanceFilter::default()
    };
    vec![
        ("study by name", study_query(&by_name, &Scope::All, 10, 0).0),
        (
            "study by fuzzy name",
            study_query(&by_fuzzy_name, &Scope::All, 10, 0).0,
        ),
        ("study by uid", study_query(&by_uid, &mine, 10, 0).0),
        ("study by patient id", study_query(&by_id, &mine, 10, 0).0),
        (
            "study by accession",
            study_query(&by_accession, &Scope::All, 10, 0).0,
        ),
        ("study by date", study_query(&by_date, &Scope::All, 10, 0).0),
        ("patient by id", patient_query(&by_id, &Scope::All, 10, 0).0),
        ("series of a study", series_query(&series, &mine, 10, 0).0),
        (
            "instances of a series",
            instance_query(&instances, &Scope::All, 10, 0).0,
        ),
        ("one instance", instance_query(&instance, &mine, 10, 0).0),
    ]
}
