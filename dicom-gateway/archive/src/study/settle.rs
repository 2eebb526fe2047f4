//! Studies that went quiet become ready.

use super::Studies;
use crate::error::Result;
use crate::events::{Event, EventKind};
use crate::ids::{InstitutionId, UnixMicros};
use crate::order::Priority;
use crate::params;
use crate::work::NewJob;
use std::time::Duration;

/// A study whose township node said that more belongs to it waits so long for the rest.
const MANIFEST_AWAITED: Duration = Duration::from_secs(24 * 3600);

crate::statements! {
    mod sql {
        // A study of a township node waits for its manifest, unless the node was not heard of for long.
        QUIET = "SELECT st.id, st.study_uid, st.institution_id, st.instance_count, o.priority FROM study st LEFT JOIN exam_order o ON o.id = st.order_id WHERE st.state = 'receiving' AND st.received_last_at < $1 AND NOT EXISTS (SELECT 1 FROM edge_manifest m WHERE m.study_uid = st.study_uid AND m.complete_at IS NULL AND m.heard_at > $2) ORDER BY st.received_last_at LIMIT 200";
        // The count is the fence: an object that came meanwhile keeps the study open.
        READY = "UPDATE study SET state = 'ready' WHERE id = $1 AND state = 'receiving' AND instance_count = $2";
        READY_NOW = "SELECT id, study_uid, institution_id, instance_count, NULL AS priority FROM study WHERE study_uid = $1 AND state = 'receiving'";
    }
}

impl Studies {
    /// Makes studies ready that had no new object for this long; gives how many.
    ///
    /// # Errors
    /// What the index says.
    pub async fn settle_quiet(&self, quiet: Duration) -> Result<usize> {
        let now = UnixMicros::now();
        let values = params![now.minus(quiet), now.minus(MANIFEST_AWAITED)];
        let rows = self.archive.db().fetch_all(sql::QUIET, values).await?;
        let mut ready = 0;
        for row in rows {
            ready += usize::from(self.make_ready(&row).await?);
        }
        Ok(ready)
    }

    /// Makes a study ready at once, e.g. because its manifest is complete.
    ///
    /// # Errors
    /// What the index says.
    pub async fn settle_now(&self, study_uid: &str) -> Result<bool> {
        let row = self
            .archive
            .db()
            .fetch_optional(sql::READY_NOW, params![study_uid])
            .await?;
        match row {
            Some(row) => self.make_ready(&row).await,
            None => Ok(false),
        }
    }

    async fn make_ready(&self, row: &crate::db::Row) -> Result<bool> {
        let (id, count) = (row.int("id")?, row.int("instance_count")?);
        let study_uid = row.text("study_uid")?;
        let owner = InstitutionId(row.int("institution_id")?);
        let priority = row.opt_text("priority")?.and_then(|p| p.parse::<Priority>().ok());
        let archive = self.archive.clone();
        self.archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    if tx.execute(sql::READY, params![id, count]).await? == 0 {
                        return Ok(false);
                    }
                    if let Some(spool) = archive.spool_state() {
                        crate::edge::spool::close_study(spool, tx, &study_uid).await?;
                        return Ok(true);
                    }
                    let job = NewJob::new("quality", &study_uid);
                    let job = job.priority(priority.map_or(0, Priority::job_priority));
                    archive.work().enqueue(tx, job).await?;
                    crate::route::route_study(&archive, tx, &study_uid).await?;
                    let events = archive.events().clone();
                    let news = Event::new(EventKind::StudyReady, study_uid, vec![owner]);
                    let news = news.data(serde_json::json!({ "instances": count }));
                    tx.on_commit(move || events.publish(news));
                    Ok(true)
                })
            })
            .await
    }
}
