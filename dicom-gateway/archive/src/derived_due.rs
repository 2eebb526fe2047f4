//! Results that are missing, by what the index says of series and objects.

use crate::derived::DerivedObjects;
use crate::error::Result;
use crate::ids::UnixMicros;
use crate::params;
use crate::receive::SeriesKind;
use std::time::Duration;

/// Studies that came longer ago are not looked at: what they lack was lacking for good.
const LOOK_BACK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Objects that came just now have their own jobs waiting.
const SETTLED: Duration = Duration::from_secs(60);
/// Subjects given at once.
const DUE_MAX: u32 = 1000;

/// A result is due when there is none, when an older method made it, or when objects came after it; but not when
/// its job waits, runs, or stopped for good since the last object came.
macro_rules! due {
    ($subject:literal, $came:literal, $from:literal, $kind:literal) => {
        concat!(
            "SELECT ",
            $subject,
            " AS subject FROM ",
            $from,
            " LEFT JOIN derived d ON d.subject = ",
            $subject,
            " AND d.kind = $1",
            " WHERE st.received_first_at >= $2 AND ",
            $came,
            " < $3",
            $kind,
            " AND (d.version IS NULL OR d.version < $4 OR d.made_at < ",
            $came,
            ")",
            " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = $1 AND j.subject = ",
            $subject,
            " AND j.state = 0)",
            " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = $1 AND j.subject = ",
            $subject,
            " AND j.state = 3 AND j.finished_at IS NOT NULL AND j.finished_at > ",
            $came,
            ")",
            " ORDER BY st.received_first_at DESC, ",
            $subject,
            " LIMIT $5"
        )
    };
}

// `+ 0` lets the joins be walked downwards only: recent studies are the narrow end to begin with.
crate::statements! {
    mod sql {
        SERIES = due!("se.series_uid", "se.received_last_at", "study st JOIN series se ON se.study_id = st.id + 0", "");
        SERIES_OF_KIND = due!("se.series_uid", "se.received_last_at", "study st JOIN series se ON se.study_id = st.id + 0", " AND se.kind = $6");
        INSTANCES = due!("i.sop_instance_uid", "i.received_at", "study st JOIN series se ON se.study_id = st.id + 0 JOIN instance i ON i.series_id = se.id + 0", " AND se.kind = $6");
    }
}

impl DerivedObjects {
    /// Series of recent studies whose result of this kind is missing, made by an older method than `version`, or
    /// older than their newest object; newest studies first. `of` narrows to one kind of series.
    ///
    /// # Errors
    /// What the index says.
    pub async fn due_series(
        &self,
        kind: &str,
        version: i64,
        of: Option<SeriesKind>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let (statement, word) = match of {
            Some(of) => (sql::SERIES_OF_KIND, Some(of.as_str())),
            None => (sql::SERIES, None),
        };
        self.due(statement, kind, version, word, limit).await
    }

    /// Objects of series of kind `of` whose result is missing or made by an older method; see
    /// [`DerivedObjects::due_series`].
    ///
    /// # Errors
    /// What the index says.
    pub async fn due_instances(
        &self,
        kind: &str,
        version: i64,
        of: SeriesKind,
        limit: u32,
    ) -> Result<Vec<String>> {
        self.due(sql::INSTANCES, kind, version, Some(of.as_str()), limit)
            .await
    }

    async fn due(
        &self,
        statement: &'static str,
        kind: &str,
        version: i64,
        of: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let now = UnixMicros::now();
        let mut values = params![
            kind,
            now.minus(LOOK_BACK),
            now.minus(SETTLED),
            version,
            limit.min(DUE_MAX)
        ];
        if let Some(of) = of {
            values.extend(params![of]);
        }
        let rows = self.archive.db().fetch_all(statement, values).await?;
        rows.iter().map(|row| row.text("subject")).collect()
    }
}
