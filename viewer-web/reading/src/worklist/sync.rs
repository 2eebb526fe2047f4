//! New studies get their row on the worklist, with the goal of their class.
//!
//! The archive knows nothing of worklists, so the rows are brought in before the list is shown: one look at the studies
//! behind the newest row known. A study is found again until its main modality is known.

use archive::db::Tx;
use archive::params;

use crate::access::Kind;
use crate::error::Result;
use crate::goals::{Priority, due_at};
use crate::service::Reading;
use crate::study::{kind_of, main_modality};

/// Studies brought in by one statement.
const BATCH_STUDIES: i64 = 500;
/// Rows looked at again behind the newest one: numbers of transactions that committed late.
const LOOK_BACK_ROWS: i64 = 200;
/// Rounds of one call; what is left comes with the next.
const ROUNDS_MAX: usize = 40;

macro_rules! arrivals {
    ($condition:expr) => {
        concat!(
            "SELECT s.id, s.study_uid, s.institution_id, s.modalities, s.body_part, s.received_first_at, ",
            "o.modality AS o_modality, o.body_part AS o_body_part, o.priority AS o_priority FROM study s ",
            "LEFT JOIN exam_order o ON o.id = s.order_id LEFT JOIN reading_item i ON i.study_uid = s.study_uid WHERE ",
            $condition,
            " AND (i.study_uid IS NULL OR i.modality = '') ORDER BY s.id LIMIT $2"
        )
    };
}

archive::statements! {
    mod sql {
        NEWEST = "SELECT MAX(study_id) AS id FROM reading_item";
        ARRIVED = arrivals!("s.id > $1");
        ONE = arrivals!("s.study_uid = $1");
        READ_BY_MACHINE = "SELECT i.study_uid, i.received_at, d.made_at FROM reading_item i JOIN derived d ON d.subject = i.study_uid AND d.kind = 'ecg_analysis' WHERE i.open = 1 AND i.kind = 'ecg' AND d.made_at > i.machine_at LIMIT $1";
        SEEN = "UPDATE reading_item SET machine_at = $2 WHERE study_uid = $1";
        TO_FRONT = "UPDATE reading_item SET priority_class = 0, due_at = CASE WHEN due_at > $2 THEN $2 ELSE due_at END WHERE study_uid = $1 AND open = 1";
        PUT = "INSERT INTO reading_item (study_uid, study_id, institution_id, kind, modality, priority_class, due_at, received_at, status, open, critical_open) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'to_write', 1, 0) ON CONFLICT (study_uid) DO UPDATE SET kind = excluded.kind, modality = excluded.modality, due_at = excluded.due_at, institution_id = excluded.institution_id, priority_class = excluded.priority_class";
    }
}

struct Arrival {
    study_uid: String,
    id: i64,
    institution_id: i64,
    modality: String,
    priority: Priority,
    body_part: String,
    received_at: i64,
}

fn read(row: &archive::db::Row) -> Result<Arrival> {
    let part = row.opt_text("o_body_part")?.filter(|p| !p.is_empty());
    Ok(Arrival {
        study_uid: row.text("study_uid")?,
        id: row.int("id")?,
        institution_id: row.int("institution_id")?,
        modality: main_modality(row.opt_text("o_modality")?.as_deref(), &row.text("modalities")?),
        priority: row
            .opt_text("o_priority")?
            .and_then(|p| Priority::parse(&p))
            .unwrap_or(Priority::Routine),
        body_part: part.map_or_else(|| row.opt_text("body_part").map(Option::unwrap_or_default), Ok)?,
        received_at: row.int("received_first_at")?,
    })
}

async fn put(tx: &mut Tx, a: &Arrival) -> Result<()> {
    let kind = if kind_of(&a.modality) == Kind::Ecg {
        "ecg"
    } else {
        "imaging"
    };
    let due = due_at(a.received_at, a.priority, &a.modality, &a.body_part);
    let row = params![
        &a.study_uid,
        a.id,
        a.institution_id,
        kind,
        &a.modality,
        a.priority.class(),
        due,
        a.received_at
    ];
    Ok(tx.execute(sql::PUT, row).await.map(drop)?)
}

async fn put_all(reading: &Reading, arrivals: Vec<Arrival>) -> Result<()> {
    let done = reading.archive().db().write(move |tx| {
        Box::pin(async move {
            for arrival in &arrivals {
                put(tx, arrival).await?;
            }
            Ok::<(), crate::error::ReadingError>(())
        })
    });
    done.await
}

/// Brings in what arrived since the last call.
pub(super) async fn bring_in(reading: &Reading) -> Result<()> {
    let db = reading.archive().db();
    let newest = db
        .fetch_one(sql::NEWEST, Vec::new())
        .await?
        .opt_int("id")?
        .unwrap_or(0);
    let mut from = (newest - LOOK_BACK_ROWS).max(0);
    for _ in 0..ROUNDS_MAX {
        let rows = db.fetch_all(sql::ARRIVED, params![from, BATCH_STUDIES]).await?;
        let arrivals = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        let Some(last) = arrivals.last() else {
            return Ok(());
        };
        from = last.id;
        let is_last_round = (arrivals.len() as i64) < BATCH_STUDIES;
        // A study of documents only is looked at again and again: write only what brings something new.
        let news: Vec<Arrival> = arrivals
            .into_iter()
            .filter(|a| a.id > newest || !a.modality.is_empty())
            .collect();
        if !news.is_empty() {
            put_all(reading, news).await?;
        }
        if is_last_round {
            return Ok(());
        }
    }
    Ok(())
}

/// Machine readings looked at in one call.
const MACHINE_READINGS: i64 = 64;

/// A machine reading with a critical rule puts its ECG into the first class: somebody looks at once.
pub(super) async fn heed_machine(reading: &Reading) -> Result<()> {
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::READ_BY_MACHINE, params![MACHINE_READINGS])
        .await?
    {
        let (study_uid, made_at) = (row.text("study_uid")?, row.int("made_at")?);
        let due = due_at(row.int("received_at")?, Priority::Stat, "ECG", "");
        if super::item::machine(reading, &study_uid)
            .await?
            .flags
            .iter()
            .any(|flag| flag.critical)
        {
            reading.execute(sql::TO_FRONT, params![&study_uid, due]).await?;
        }
        reading.execute(sql::SEEN, params![&study_uid, made_at]).await?;
    }
    Ok(())
}

/// Makes sure that a study has its row, before something is written into it.
pub(crate) async fn ensure(tx: &mut Tx, study_uid: &str) -> Result<()> {
    if let Some(row) = tx.fetch_optional(sql::ONE, params![study_uid, 1]).await? {
        put(tx, &read(&row)?).await?;
    }
    Ok(())
}
