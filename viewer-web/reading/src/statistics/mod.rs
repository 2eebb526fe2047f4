//! Figures of the community, computed from the event log and the decisions, never from counters kept aside.

mod figures;
mod weekly;

use std::collections::BTreeMap;

use archive::params;
use serde::Serialize;

pub use figures::{csv_field, median, percentile, rate};
#[cfg(test)]
pub(crate) use weekly::sql as weekly_sql;
pub use weekly::weekly_csv;

use crate::access::{Action, guard_global};
use crate::account::InstitutionView;
use crate::actor::{Actor, Person};
use crate::error::Result;
use crate::goals::{CRITICAL_NOTIFY_MIN, Priority};
use crate::service::Reading;

/// Signed reports of one answer at most; beyond, figures are of the newest ones and `truncated` says so.
const SIGNED_ROWS_MAX: i64 = 200_000;
const MINUTE_US: i64 = 60 * 1_000_000;

archive::statements! {
    mod sql {
        DECISIONS = "SELECT decision, reason_code, COUNT(*) AS n FROM recognition WHERE latest = 1 AND at >= $1 AND at < $2 GROUP BY decision, reason_code";
        SIGNED = "SELECT modality, priority_class, received_at, due_at, signed_at FROM reading_item WHERE signed_at >= $1 AND signed_at < $2 ORDER BY signed_at DESC LIMIT $3";
        LOAD = "SELECT user_name, kind, COUNT(*) AS n FROM reading_event WHERE at >= $1 AND at < $2 AND kind IN ('submit', 'sign', 'return') GROUP BY user_name, kind";
        EVENTS = "SELECT kind, COUNT(*) AS n FROM reading_event WHERE at >= $1 AND at < $2 GROUP BY kind";
        CRITICAL = "SELECT COUNT(*) AS raised, COUNT(CASE WHEN notified_at IS NOT NULL AND notified_at - raised_at <= $3 THEN 1 END) AS in_time, \
            COUNT(CASE WHEN state = 'closed' THEN 1 END) AS closed FROM critical_value WHERE raised_at >= $1 AND raised_at < $2";
        POSITIVE = "SELECT modality, COUNT(*) AS signed, COUNT(CASE WHEN positive = 1 THEN 1 END) AS positive, COUNT(positive) AS told FROM reading_item WHERE signed_at >= $1 AND signed_at < $2 GROUP BY modality ORDER BY modality";
        REJECTED = "SELECT institution_id, COUNT(*) AS n FROM rejection WHERE rejected_at >= $1 AND rejected_at < $2 GROUP BY institution_id";
        RECEIVED = "SELECT COUNT(*) AS n FROM reading_item WHERE received_at >= $1 AND received_at < $2";
        ACCOUNTS = "SELECT a.user_name, a.display_name, i.code, i.name_zh FROM account a JOIN institution i ON i.id = a.institution_id";
    }
}

/// From and to, Unix microseconds; open ends mean always.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// Not before.
    pub from: i64,
    /// Before.
    pub to: i64,
}

impl Period {
    /// All times.
    pub const ALWAYS: Period = Period {
        from: 0,
        to: i64::MAX,
    };

    /// Reads `from` and `to`, ISO 8601 or dates.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn parse(from: Option<&str>, to: Option<&str>) -> Result<Period> {
        let read = |field, text: Option<&str>, otherwise| {
            text.filter(|t| !t.is_empty())
                .map_or(Ok(otherwise), |t| crate::worklist_moment(field, t))
        };
        Ok(Period {
            from: read("from", from, 0)?,
            to: read("to", to, i64::MAX)?,
        })
    }
}

/// 互认 figures.
#[derive(Debug, Serialize)]
pub struct RecognitionFigures {
    /// Results used.
    pub recognised: i64,
    /// Results not used, with a reason.
    pub refused: i64,
    /// Results about which somebody had to decide: recognised + refused.
    pub eligible: i64,
    /// recognised / eligible.
    pub rate: f64,
    /// Refusals by code; every code is there.
    pub refused_by_reason: BTreeMap<String, i64>,
}

/// 互认: who used what.
///
/// # Errors
/// As the policy says.
pub async fn recognition(reading: &Reading, actor: &Actor, period: Period) -> Result<RecognitionFigures> {
    guard_global(reading, actor, Action::ReadStatistics).await?;
    let mut refused_by_reason: BTreeMap<String, i64> = crate::recognition::Reason::ALL
        .iter()
        .map(|r| (r.code().to_owned(), 0))
        .collect();
    let (mut recognised, mut refused) = (0, 0);
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::DECISIONS, params![period.from, period.to])
        .await?
    {
        let n = row.int("n")?;
        if row.text("decision")? == "recognised" {
            recognised += n;
        } else {
            refused += n;
            *refused_by_reason
                .entry(row.opt_text("reason_code")?.unwrap_or_default())
                .or_default() += n;
        }
    }
    let eligible = recognised + refused;
    Ok(RecognitionFigures {
        recognised,
        refused,
        eligible,
        rate: rate(recognised, eligible),
        refused_by_reason,
    })
}

/// How fast reports were signed.
#[derive(Debug, Default, Serialize)]
pub struct TurnaroundFigures {
    /// Reports signed.
    pub signed: i64,
    /// Middle time from receipt to signature, seconds.
    pub median_s: f64,
    /// 90 of 100 were faster, seconds.
    pub p90_s: f64,
    /// Share signed before they were due.
    pub in_time_rate: f64,
    /// The same by urgency.
    pub by_priority: Vec<TurnaroundLine>,
    /// The same by modality.
    pub items: Vec<TurnaroundLine>,
    /// There were more than could be counted.
    pub truncated: bool,
}

/// Times of one group.
#[derive(Debug, Serialize)]
pub struct TurnaroundLine {
    /// Urgency of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Modality of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Reports signed.
    pub signed: i64,
    /// Middle time, seconds.
    pub median_s: f64,
    /// 90 of 100 were faster, seconds.
    pub p90_s: f64,
    /// Share signed before they were due.
    pub in_time_rate: f64,
}

#[derive(Default)]
struct Times {
    seconds: Vec<f64>,
    in_time: i64,
}

impl Times {
    fn add(&mut self, seconds: f64, in_time: bool) {
        self.seconds.push(seconds);
        self.in_time += i64::from(in_time);
    }

    fn line(mut self, priority: Option<Priority>, modality: Option<String>) -> TurnaroundLine {
        let signed = self.seconds.len() as i64;
        TurnaroundLine {
            priority,
            modality,
            signed,
            median_s: median(&mut self.seconds).unwrap_or(0.0),
            p90_s: percentile(&mut self.seconds, 0.9).unwrap_or(0.0),
            in_time_rate: rate(self.in_time, signed),
        }
    }
}

/// Times from receipt to signature.
///
/// # Errors
/// As the policy says.
pub async fn turnaround(reading: &Reading, actor: &Actor, period: Period) -> Result<TurnaroundFigures> {
    guard_global(reading, actor, Action::ReadStatistics).await?;
    let rows = reading
        .archive()
        .db()
        .fetch_all(sql::SIGNED, params![period.from, period.to, SIGNED_ROWS_MAX])
        .await?;
    let mut all = Times::default();
    let mut by_class: BTreeMap<i64, Times> = BTreeMap::new();
    let mut by_modality: BTreeMap<String, Times> = BTreeMap::new();
    for row in &rows {
        let (received, due, signed) = (row.int("received_at")?, row.int("due_at")?, row.int("signed_at")?);
        let (seconds, in_time) = ((signed - received).max(0) as f64 / 1e6, signed <= due);
        all.add(seconds, in_time);
        by_class
            .entry(row.int("priority_class")?)
            .or_default()
            .add(seconds, in_time);
        by_modality
            .entry(row.text("modality")?)
            .or_default()
            .add(seconds, in_time);
    }
    let whole = all.line(None, None);
    Ok(TurnaroundFigures {
        signed: whole.signed,
        median_s: whole.median_s,
        p90_s: whole.p90_s,
        in_time_rate: whole.in_time_rate,
        by_priority: by_class
            .into_iter()
            .map(|(c, t)| t.line(Some(Priority::from_class(c)), None))
            .collect(),
        items: by_modality
            .into_iter()
            .map(|(m, t)| t.line(None, Some(m)))
            .collect(),
        truncated: rows.len() as i64 == SIGNED_ROWS_MAX,
    })
}

/// What one person did.
#[derive(Debug, Serialize)]
pub struct LoadLine {
    /// Account.
    pub account: String,
    /// The person.
    pub person: Person,
    /// Where they work.
    pub institution: InstitutionView,
    /// Reports handed over.
    pub submitted: i64,
    /// Reports signed.
    pub signed: i64,
    /// Reports given back.
    pub returned: i64,
}

/// Who read how much.
#[derive(Debug, Serialize)]
pub struct LoadFigures {
    /// Reports handed over by all.
    pub submitted: i64,
    /// Reports signed by all.
    pub signed: i64,
    /// By person.
    pub items: Vec<LoadLine>,
}

/// Work by person.
///
/// # Errors
/// As the policy says.
pub async fn load(reading: &Reading, actor: &Actor, period: Period) -> Result<LoadFigures> {
    guard_global(reading, actor, Action::ReadStatistics).await?;
    let db = reading.archive().db();
    let mut people = BTreeMap::new();
    for row in db.fetch_all(sql::ACCOUNTS, Vec::new()).await? {
        let institution = InstitutionView {
            code: row.text("code")?,
            name: row.text("name_zh")?,
        };
        people.insert(row.text("user_name")?, (row.text("display_name")?, institution));
    }
    let mut lines: BTreeMap<String, LoadLine> = BTreeMap::new();
    for row in db.fetch_all(sql::LOAD, params![period.from, period.to]).await? {
        let (user, kind, n) = (row.text("user_name")?, row.text("kind")?, row.int("n")?);
        let Some((display_name, institution)) = people.get(&user) else {
            continue;
        };
        let line = lines.entry(user.clone()).or_insert_with(|| LoadLine {
            account: user.clone(),
            person: Person {
                user: user.clone(),
                display_name: display_name.clone(),
            },
            institution: institution.clone(),
            submitted: 0,
            signed: 0,
            returned: 0,
        });
        match kind.as_str() {
            "submit" => line.submitted += n,
            "sign" => line.signed += n,
            _ => line.returned += n,
        }
    }
    let items: Vec<LoadLine> = lines.into_values().collect();
    let sum = |of: fn(&LoadLine) -> i64| items.iter().map(of).sum();
    Ok(LoadFigures {
        submitted: sum(|l| l.submitted),
        signed: sum(|l| l.signed),
        items,
    })
}

/// Positive findings of one modality.
#[derive(Debug, Serialize)]
pub struct PositiveLine {
    /// Modality.
    pub modality: String,
    /// Reports signed.
    pub signed: i64,
    /// With something abnormal.
    pub positive: i64,
    /// positive / reports that say it.
    pub rate: f64,
}

/// Rejections of one sender.
#[derive(Debug, Serialize)]
pub struct RejectLine {
    /// Sender.
    pub institution: InstitutionView,
    /// Studies sent back.
    pub rejected: i64,
}

/// Quality figures.
#[derive(Debug, Serialize)]
pub struct QualityFigures {
    /// Critical values raised.
    pub critical_raised: i64,
    /// Told within ten minutes.
    pub critical_notified_in_time: i64,
    /// The same as a share of all raised.
    pub critical_in_time_rate: f64,
    /// Closed.
    pub critical_closed: i64,
    /// Reports given back by reviewers.
    pub returned: i64,
    /// Addenda, corrections and revocations.
    pub addenda: i64,
    /// Corrections.
    pub corrections: i64,
    /// Revocations.
    pub revocations: i64,
    /// Studies received.
    pub received: i64,
    /// Studies sent back.
    pub rejected: i64,
    /// rejected / received.
    pub reject_rate: f64,
    /// By sender.
    pub rejected_by_institution: Vec<RejectLine>,
    /// By modality.
    pub positive_by_modality: Vec<PositiveLine>,
}

/// Quality: critical values, returns, amendments, rejections, positive findings.
///
/// # Errors
/// As the policy says.
pub async fn quality(reading: &Reading, actor: &Actor, period: Period) -> Result<QualityFigures> {
    guard_global(reading, actor, Action::ReadStatistics).await?;
    let db = reading.archive().db();
    let (from, to) = (period.from, period.to);
    let critical = db
        .fetch_one(sql::CRITICAL, params![from, to, CRITICAL_NOTIFY_MIN * MINUTE_US])
        .await?;
    let raised = critical.int("raised")?;
    let in_time = critical.int("in_time")?;
    let mut events: BTreeMap<String, i64> = BTreeMap::new();
    for row in db.fetch_all(sql::EVENTS, params![from, to]).await? {
        events.insert(row.text("kind")?, row.int("n")?);
    }
    let of = |kind: &str| events.get(kind).copied().unwrap_or(0);
    let received = db.fetch_one(sql::RECEIVED, params![from, to]).await?.int("n")?;
    let mut rejected_by_institution = Vec::new();
    for row in db.fetch_all(sql::REJECTED, params![from, to]).await? {
        let institution = reading
            .institution(archive::InstitutionId(row.int("institution_id")?))
            .await?;
        rejected_by_institution.push(RejectLine {
            institution: (&institution).into(),
            rejected: row.int("n")?,
        });
    }
    let rejected = rejected_by_institution.iter().map(|l| l.rejected).sum();
    let mut positive_by_modality = Vec::new();
    for row in db.fetch_all(sql::POSITIVE, params![from, to]).await? {
        let positive = row.int("positive")?;
        positive_by_modality.push(PositiveLine {
            modality: row.text("modality")?,
            signed: row.int("signed")?,
            positive,
            rate: rate(positive, row.int("told")?),
        });
    }
    Ok(QualityFigures {
        critical_raised: raised,
        critical_notified_in_time: in_time,
        critical_in_time_rate: rate(in_time, raised),
        critical_closed: critical.int("closed")?,
        returned: of("return"),
        addenda: of("addendum"),
        corrections: of("correction"),
        revocations: of("revocation"),
        received,
        rejected,
        reject_rate: rate(rejected, received),
        rejected_by_institution,
        positive_by_modality,
    })
}
