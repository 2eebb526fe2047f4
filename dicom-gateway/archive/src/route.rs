//! What is sent on by itself: a router decides from facts about an object or a complete study, and
//! its letters are written in the transaction that makes the object or the study's state durable.
//! So an acknowledged object is either routed, or no rule wanted it.

use crate::Archive;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{InstitutionId, StudyId, UnixMicros};
use crate::order::Priority;
use crate::outbox::NewLetter;
use crate::params;
use std::time::Duration;

/// Objects received so shortly before a study was complete are looked at again when later ones
/// come; those that are in the outbox are passed over.
const OVERLAP: Duration = Duration::from_secs(120);
/// SOP classes of one study that rules look at.
const CLASSES_MAX: i64 = 64;

crate::statements! {
    mod sql {
        CODE = "SELECT code FROM institution WHERE id = $1";
        CLASSES = "SELECT DISTINCT sop_class_uid FROM instance WHERE study_id = $1 LIMIT $2";
        STUDY = "SELECT st.id, st.institution_id, st.modalities, st.has_waveform, st.body_part, o.priority, d.ae_title FROM study st LEFT JOIN exam_order o ON o.id = st.order_id LEFT JOIN device d ON d.id = st.device_id WHERE st.study_uid = $1";
        THROUGH = "SELECT through_at FROM study_forwarded WHERE study_id = $1 AND destination = $2 AND kind = $3";
        SET_THROUGH = "INSERT INTO study_forwarded (study_id, destination, kind, through_at) VALUES ($1, $2, $3, $4) ON CONFLICT (study_id, destination, kind) DO UPDATE SET through_at = excluded.through_at";
        EACH_OBJECT = "INSERT INTO outbox (destination, kind, subject, payload, priority, next_at, attempts, created_at, tried_since) SELECT $2, $3, i.sop_instance_uid, $4, $5, $6, 0, $7, $6 FROM instance i WHERE i.study_id = $1 AND i.received_at > $8 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.subject = i.sop_instance_uid AND o.destination = $2 AND o.kind = $3)";
    }
}

/// What rules may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFacts {
    /// Study Instance UID.
    pub study_uid: String,
    /// Code of the institution that owns the study.
    pub institution: String,
    /// Modality of the object; all modalities of a study.
    pub modalities: Vec<String>,
    /// Body Part Examined.
    pub body_part: Option<String>,
    /// Priority of the order it answers; routine without one.
    pub priority: Priority,
    /// AE title or account that sent it; of a study, the device of its first object.
    pub calling: String,
    /// SOP class of the object; those of a study.
    pub sop_classes: Vec<String>,
    /// Holds signals.
    pub has_waveform: bool,
    /// When the object came; when the study was complete.
    pub at: UnixMicros,
}

/// A letter that a router wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedLetter {
    /// Where to, as the outbox knows it.
    pub destination: String,
    /// What it is.
    pub kind: String,
    /// Content.
    pub payload: Vec<u8>,
    /// Greater is sooner.
    pub priority: i64,
    /// Not before this is over.
    pub wait: Duration,
    /// Of a study: a letter for each of its objects, instead of one about the study.
    pub each_object: bool,
}

impl RoutedLetter {
    fn about(self, subject: &str) -> (NewLetter, Duration) {
        let letter = NewLetter {
            destination: self.destination,
            kind: self.kind,
            subject: subject.to_owned(),
            payload: self.payload,
            priority: self.priority,
        };
        (letter, self.wait)
    }
}

/// Decides what is sent on. Called inside a transaction: it must answer at once, from memory.
pub trait Router: Send + Sync {
    /// A new object came. The letters are about its SOP Instance UID.
    fn object(&self, facts: &RouteFacts) -> Vec<RoutedLetter>;
    /// A study is complete.
    fn study(&self, facts: &RouteFacts) -> Vec<RoutedLetter>;
}

/// Puts the letters about a new object in.
pub(crate) async fn route_object(
    archive: &Archive,
    tx: &mut Tx,
    router: &dyn Router,
    facts: &RouteFacts,
    sop_instance_uid: &str,
) -> Result<()> {
    for letter in router.object(facts) {
        let (letter, wait) = letter.about(sop_instance_uid);
        archive.outbox().put_later(tx, letter, wait).await?;
    }
    Ok(())
}

/// Code of an institution, read in the transaction itself.
pub(crate) async fn code_of(tx: &mut Tx, id: InstitutionId) -> Result<String> {
    tx.fetch_one(sql::CODE, params![id]).await?.text("code")
}

/// Facts of a study; `None` when there is none.
pub(crate) async fn study_facts(tx: &mut Tx, study_uid: &str) -> Result<Option<(StudyId, RouteFacts)>> {
    let Some(row) = tx.fetch_optional(sql::STUDY, params![study_uid]).await? else {
        return Ok(None);
    };
    let id = StudyId(row.int("id")?);
    let classes = tx.fetch_all(sql::CLASSES, params![id, CLASSES_MAX]).await?;
    let owner = InstitutionId(row.int("institution_id")?);
    let priority = row.opt_text("priority")?.and_then(|text| text.parse().ok());
    let facts = RouteFacts {
        study_uid: study_uid.to_owned(),
        institution: code_of(tx, owner).await?,
        modalities: row
            .text("modalities")?
            .split('\\')
            .filter(|modality| !modality.is_empty())
            .map(str::to_owned)
            .collect(),
        body_part: row.opt_text("body_part")?,
        priority: priority.unwrap_or(Priority::Routine),
        calling: row.opt_text("ae_title")?.unwrap_or_default(),
        sop_classes: classes
            .iter()
            .map(|row| row.text("sop_class_uid"))
            .collect::<Result<_>>()?,
        has_waveform: row.bool("has_waveform")?,
        at: UnixMicros::now(),
    };
    Ok(Some((id, facts)))
}

/// Puts the letters about a complete study in.
pub(crate) async fn route_study(archive: &Archive, tx: &mut Tx, study_uid: &str) -> Result<()> {
    let Some(router) = archive.router() else {
        return Ok(());
    };
    let Some((id, facts)) = study_facts(tx, study_uid).await? else {
        return Ok(());
    };
    for letter in router.study(&facts) {
        if !letter.each_object {
            let (letter, wait) = letter.about(study_uid);
            archive.outbox().put_later(tx, letter, wait).await?;
            continue;
        }
        let key = params![id, &letter.destination, &letter.kind];
        let through = tx.fetch_optional(sql::THROUGH, key).await?;
        let through = through.map(|row| row.micros("through_at")).transpose()?;
        let from = through.map_or(UnixMicros(-1), |at| at.minus(OVERLAP));
        let now = UnixMicros::now();
        let values = params![
            id,
            &letter.destination,
            &letter.kind,
            letter.payload,
            letter.priority,
            now.plus(letter.wait),
            now,
            from
        ];
        tx.execute(sql::EACH_OBJECT, values).await?;
        let values = params![id, &letter.destination, &letter.kind, now];
        tx.execute(sql::SET_THROUGH, values).await?;
        archive.outbox().wake_on_commit(tx);
    }
    Ok(())
}

impl Archive {
    /// What rules see of a stored study, to explain them.
    ///
    /// # Errors
    /// [`crate::ArchiveError::NotFound`].
    pub async fn route_facts(&self, study_uid: &str) -> Result<RouteFacts> {
        let uid = study_uid.to_owned();
        let found = self
            .db()
            .write(move |tx| Box::pin(async move { study_facts(tx, &uid).await }))
            .await?;
        let found = found.ok_or_else(|| crate::ArchiveError::NotFound(format!("study {study_uid}")));
        found.map(|(_, facts)| facts)
    }
}
