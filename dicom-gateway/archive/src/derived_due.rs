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
    use crate::Archive;
    use crate::receive::{Sender, Source};
    use crate::testing::{ObjectSpec, TemporaryFolder, hospital, temporary};
    use crate::work::NewJob;

    const KIND: &str = "thumbnail";

    /// An archive with one object.
    async fn with_object() -> (Archive, TemporaryFolder, ObjectSpec) {
        let (archive, folder) = temporary(&[]).await.unwrap();
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
        let file = spec.file_bytes().into();
        archive.receive_part10(sender, None, file).await.unwrap();
        (archive, folder, spec)
    }

    /// Lets it have come a while ago, with its jobs lost.
    async fn age(archive: &Archive) {
        let earlier = UnixMicros::now().minus(SETTLED * 2);
        let aged = archive.db().write(move |tx| {
            Box::pin(async move {
                tx.execute("UPDATE series SET received_last_at = $1", params![earlier])
                    .await?;
                tx.execute("UPDATE instance SET received_at = $1", params![earlier])
                    .await?;
                tx.execute("DELETE FROM job", params![]).await
            })
        });
        aged.await.unwrap();
    }

    async fn due(archive: &Archive, version: i64) -> Vec<String> {
        let derived = archive.derived();
        let due = derived.due_series(KIND, version, Some(SeriesKind::Image), 10);
        due.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn results_are_due_until_they_are_made() {
        let (archive, _folder, spec) = with_object().await;
        assert!(
            due(&archive, 1).await.is_empty(),
            "it came just now and has its own job"
        );
        age(&archive).await;
        let series = due(&archive, 1).await;
        assert_eq!(series.len(), 1);
        let derived = archive.derived();
        assert!(
            derived
                .due_series(KIND, 1, Some(SeriesKind::Waveform), 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            derived.due_series("series_metadata", 1, None, 10).await.unwrap(),
            series
        );
        let instances = derived
            .due_instances("preview", 1, SeriesKind::Image, 10)
            .await
            .unwrap();
        assert_eq!(instances, [spec.sop_instance]);
        derived
            .put(&series[0], KIND, 1, "image/jpeg", vec![1])
            .await
            .unwrap();
        assert!(due(&archive, 1).await.is_empty());
        assert_eq!(
            due(&archive, 2).await,
            series,
            "a newer method would make it anew"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_that_waits_or_was_given_up_is_not_asked_for_again() {
        let (archive, _folder, _) = with_object().await;
        age(&archive).await;
        let series = due(&archive, 1).await;
        let work = archive.work();
        work.enqueue_now(NewJob::new(KIND, &series[0]).max_attempts(1))
            .await
            .unwrap();
        assert!(due(&archive, 1).await.is_empty(), "it waits");
        let claimed = work.claim("test", &[KIND], 1, false, SETTLED).await.unwrap();
        work.fail(&claimed.jobs[0], "broken").await.unwrap();
        assert!(due(&archive, 1).await.is_empty(), "it stopped for good");
        work.revive(claimed.jobs[0].id).await.unwrap();
        let again = work.claim("test", &[KIND], 1, false, SETTLED).await.unwrap();
        work.complete(&again.jobs[0]).await.unwrap();
        assert_eq!(
            due(&archive, 1).await,
            series,
            "done without a result is due again"
        );
    }
}
