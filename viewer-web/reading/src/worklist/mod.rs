//! What is to be read, most urgent first.

mod filter;
mod item;
mod sync;

use archive::UnixMicros;
use archive::db::Value;
use serde::Serialize;

pub use filter::moment;
pub use filter::{Tab, WorklistFilter};
#[cfg(test)]
pub(crate) use item::sql as item_statements;
pub use item::{Acquisition, AcquisitionReason, ClaimView, MachineFlag, WorklistItem};
pub(crate) use item::{enrich, item_sql};
pub(crate) use sync::ensure;
#[cfg(test)]
pub(crate) use sync::sql as sync_sql;

use crate::access::{Action, guard_query};
use crate::actor::Actor;
use crate::error::Result;
use crate::service::Reading;
use filter::{Cursor, Where};

/// Items of one page at most.
pub const PAGE_ITEMS_MAX: u32 = 500;

/// A page of the worklist.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Items in order: class, then due time.
    pub items: Vec<WorklistItem>,
    /// For the next page; `None` at the end.
    pub next_cursor: Option<String>,
    /// Numbers beside the tabs.
    pub counts: Counts,
}

/// Numbers beside the tabs.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To be written, or being written.
    pub to_write: i64,
    /// With the reviewers.
    pub to_review: i64,
    /// With an open critical value.
    pub critical: i64,
    /// Held or written by the asker.
    pub mine: i64,
    /// Signed today.
    pub done: i64,
}

/// The worklist as the actor may see it: readers see what they read for, technicians and clinicians what their own
/// institution took. Audited as a query.
///
/// # Errors
/// `Invalid` for a bad filter, and as the policy says.
pub async fn worklist(reading: &Reading, actor: &Actor, filter: &WorklistFilter) -> Result<Page> {
    guard_query(reading, actor, Action::ReadWorklist, filter.study_uid.as_deref()).await?;
    sync::bring_in(reading).await?;
    sync::heed_machine(reading).await?;
    let limit = filter.limit.clamp(1, PAGE_ITEMS_MAX);
    let now = UnixMicros::now().0;
    let mut conditions = Where::scope(actor, now);
    let counts = counts(reading, actor, &conditions, now).await?;
    let done = filter.shows_done();
    conditions.narrow(actor, filter, now)?;
    let order = if done {
        " ORDER BY i.signed_at DESC, i.study_uid LIMIT "
    } else {
        " ORDER BY i.priority_class, i.due_at, i.study_uid LIMIT "
    };
    let Where { text, mut params } = conditions;
    params.push(Value::from(limit + 1));
    let sql = format!("{} WHERE {text}{order}${}", item_sql(), params.len());
    let rows = reading.archive().db().fetch_dynamic(sql, params).await?;
    let more = rows.len() > limit as usize;
    let mut items = Vec::with_capacity(rows.len().min(limit as usize));
    let mut last = None;
    for row in rows.iter().take(limit as usize) {
        last = Some(Cursor::after(row, done)?);
        items.push(item::read(reading, actor, row, now).await?);
    }
    let next_cursor = last.filter(|_| more).map(|cursor| cursor.to_text());
    Ok(Page {
        items,
        next_cursor,
        counts,
    })
}

async fn counts(reading: &Reading, actor: &Actor, scope: &Where, now: i64) -> Result<Counts> {
    let mut params = scope.params.clone();
    let mut add = |value: Value| {
        params.push(value);
        params.len()
    };
    let (me, at) = (add((&actor.user).into()), add(now.into()));
    let midnight = {
        let local = now + crate::context::LOCAL_OFFSET_US;
        const DAY_US: i64 = 24 * 3600 * 1_000_000;
        add((local - local.rem_euclid(DAY_US) - crate::context::LOCAL_OFFSET_US).into())
    };
    let mine = format!(
        "(i.author = ${me} OR EXISTS (SELECT 1 FROM reading_claim c WHERE c.study_uid = i.study_uid AND c.user_name = ${me} AND c.until_at > ${at}))"
    );
    let open = format!(
        "SELECT COUNT(CASE WHEN i.status IN ('to_write', 'writing', 'returned') THEN 1 END) AS to_write, \
         COUNT(CASE WHEN i.status = 'submitted' THEN 1 END) AS to_review, \
         COUNT(CASE WHEN {mine} THEN 1 END) AS mine FROM reading_item i WHERE i.open = 1 AND {}",
        scope.text
    );
    // A parameter that a text does not name is an error on PostgreSQL: each text names all of them.
    let open = format!("{open} AND ${midnight} <= ${at}");
    let rest = format!(
        "SELECT COUNT(CASE WHEN i.signed_at >= ${midnight} THEN 1 END) AS done, \
         COUNT(CASE WHEN i.critical_open > 0 THEN 1 END) AS critical FROM reading_item i \
         WHERE (i.signed_at >= ${midnight} OR i.critical_open > 0) AND {} AND ${me} <> '' AND ${at} > 0",
        scope.text
    );
    let db = reading.archive().db();
    let rows = db.fetch_dynamic(open, params.clone()).await?;
    let others = db.fetch_dynamic(rest, params).await?;
    let (Some(row), Some(other)) = (rows.first(), others.first()) else {
        return Ok(Counts::default());
    };
    Ok(Counts {
        to_write: row.int("to_write")?,
        to_review: row.int("to_review")?,
        mine: row.int("mine")?,
        critical: other.int("critical")?,
        done: other.int("done")?,
    })
}
