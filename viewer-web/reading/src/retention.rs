//! What goes with a study whose time has ended.
//!
//! Signed versions stay: an issued version is never removed, it is the proof of what was once said.
//! The event log stays too, figures come from it. What only served the reading of the study goes:
//! its place on the worklist, its lease, a draft, links for patients.

use archive::db::Tx;
use archive::params;
use futures_util::future::BoxFuture;

archive::statements! {
    mod sql {
        VIEWS = "DELETE FROM share_view WHERE share_id IN (SELECT id FROM share_link WHERE study_uid = $1)";
        LINKS = "DELETE FROM share_link WHERE study_uid = $1";
        CLAIM = "DELETE FROM reading_claim WHERE study_uid = $1";
        DRAFT = "DELETE FROM report WHERE study_uid = $1 AND versions = 0";
        ITEM = "DELETE FROM reading_item WHERE study_uid = $1";
        CONSULTATIONS = "DELETE FROM consultation WHERE study_uid = $1";
    }
}

/// Removes them in the archive's own transaction; see [`archive::retention::ExtraRows`].
pub fn forget_study<'a>(tx: &'a mut Tx, study_uid: &'a str) -> BoxFuture<'a, archive::Result<()>> {
    Box::pin(async move {
        for text in [
            sql::VIEWS,
            sql::LINKS,
            sql::CLAIM,
            sql::DRAFT,
            sql::ITEM,
            sql::CONSULTATIONS,
        ] {
            tx.execute(text, params![study_uid]).await?;
        }
        Ok(())
    })
}
