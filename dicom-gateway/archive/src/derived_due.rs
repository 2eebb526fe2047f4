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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::{Sender, Source};
    use crate::testing::{ObjectSpec, hospital, temporary};
    use crate::work::NewJob;

    #[tokio::test(flavor = "multi_thread")]
    async fn results_are_due_until_they_are_made_or_given_up() {
        let (archive, _folder) = temporary(&[]).await.unwrap();
        let institution = archive.institutions().create(hospital("HEXI")).await.unwrap();
        let sender = Sender {
            name: "HEXI_CT".to_owned(),
            role: "device".to_owned(),
            device_id: None,
            institution_id: institution.id,
            peer: None,
            source: Source::Stow,
        };
        let spec = ObjectSpec::new("1.2.3", 1, 1);
        archive
            .receive_part10(sender, None, spec.file_bytes().into())
            .await
            .unwrap();
        let due = async |version: i64| {
            archive
                .derived()
                .due_series("thumbnail", version, Some(SeriesKind::Image), 10)
                .await
                .unwrap()
        };
        assert!(due(1).await.is_empty(), "it came just now and has its own job");
        let earlier = UnixMicros::now().minus(SETTLED * 2);
        archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute("UPDATE series SET received_last_at = $1", params![earlier])
                        .await?;
                    tx.execute("UPDATE instance SET received_at = $1", params![earlier])
                        .await?;
                    tx.execute("DELETE FROM job", params![]).await
                })
            })
            .await
            .unwrap();
        let series = due(1).await;
        assert_eq!(series.len(), 1);
        assert!(
            archive
                .derived()
                .due_series("thumbnail", 1, Some(SeriesKind::Waveform), 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            archive
                .derived()
                .due_series("series_metadata", 1, None, 10)
                .await
                .unwrap(),
            series
        );
        let instances = archive
            .derived()
            .due_instances("preview", 1, SeriesKind::Image, 10)
            .await
            .unwrap();
        assert_eq!(instances, [spec.sop_instance.clone()]);
        // A job that waits is enough; so is one that stopped for good.
        let job = NewJob::new("thumbnail", &series[0]).max_attempts(1);
        archive.work().enqueue_now(job).await.unwrap();
        assert!(due(1).await.is_empty());
        let claimed = archive
            .work()
            .claim("test", &["thumbnail"], 1, false, SETTLED)
            .await
            .unwrap();
        archive.work().fail(&claimed.jobs[0], "broken").await.unwrap();
        assert!(due(1).await.is_empty());
        archive.work().revive(claimed.jobs[0].id).await.unwrap();
        let again = archive
            .work()
            .claim("test", &["thumbnail"], 1, false, SETTLED)
            .await
            .unwrap();
        archive.work().complete(&again.jobs[0]).await.unwrap();
        assert_eq!(due(1).await, series, "done without a result is due again");
        archive
            .derived()
            .put(&series[0], "thumbnail", 1, "image/jpeg", vec![1])
            .await
            .unwrap();
        assert!(due(1).await.is_empty());
        assert_eq!(due(2).await, series, "a newer method would make it anew");
    }
}
