//! The weekly form: one line for each institution, Monday to Sunday on the local calendar.

use archive::{UnixMicros, params};

use super::Period;
use super::figures::csv_field;
use crate::access::{Action, guard_global};
use crate::actor::Actor;
use crate::context::{LOCAL_OFFSET_US, local_day};
use crate::error::Result;
use crate::identity::to_iso_date;
use crate::service::Reading;

const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// 1970-01-05 was the first Monday.
const FIRST_MONDAY_US: i64 = 4 * DAY_US;
/// Byte order mark: spreadsheets in the offices read UTF-8 only with it.
const BOM: &str = "\u{feff}";

archive::statements! {
    mod sql {
        WEEK = "SELECT n.id, n.code, n.name_zh, \
            (SELECT COUNT(*) FROM reading_item i WHERE i.institution_id = n.id AND i.received_at >= $1 AND i.received_at < $2 AND i.kind = 'imaging') AS imaging, \
            (SELECT COUNT(*) FROM reading_item i WHERE i.institution_id = n.id AND i.received_at >= $1 AND i.received_at < $2 AND i.kind = 'ecg') AS ecg, \
            (SELECT COUNT(*) FROM reading_item i WHERE i.institution_id = n.id AND i.signed_at >= $1 AND i.signed_at < $2) AS signed, \
            (SELECT COUNT(*) FROM reading_item i WHERE i.institution_id = n.id AND i.signed_at >= $1 AND i.signed_at < $2 AND i.signed_at <= i.due_at) AS in_time, \
            (SELECT COUNT(*) FROM reading_item i WHERE i.institution_id = n.id AND i.signed_at >= $1 AND i.signed_at < $2 AND i.positive = 1) AS positive, \
            (SELECT COUNT(*) FROM critical_value v WHERE v.institution_id = n.id AND v.raised_at >= $1 AND v.raised_at < $2) AS critical, \
            (SELECT COUNT(*) FROM rejection r WHERE r.institution_id = n.id AND r.rejected_at >= $1 AND r.rejected_at < $2) AS rejected, \
            (SELECT COUNT(*) FROM recognition g WHERE g.institution_id = n.id AND g.latest = 1 AND g.decision = 'recognised' AND g.at >= $1 AND g.at < $2) AS recognised, \
            (SELECT COUNT(*) FROM recognition g WHERE g.institution_id = n.id AND g.latest = 1 AND g.decision = 'refused' AND g.at >= $1 AND g.at < $2) AS refused \
            FROM institution n ORDER BY n.id";
    }
}

/// The week (local Monday 00:00 to the next) that holds `moment`.
#[must_use]
pub fn week_of(moment: i64) -> Period {
    let local = moment + LOCAL_OFFSET_US - FIRST_MONDAY_US;
    let from = local - local.rem_euclid(7 * DAY_US) + FIRST_MONDAY_US - LOCAL_OFFSET_US;
    Period {
        from,
        to: from + 7 * DAY_US,
    }
}

/// The form as CSV with a header, UTF-8 with a byte order mark. Without `period` it is the running week.
///
/// # Errors
/// As the policy says.
pub async fn weekly_csv(reading: &Reading, actor: &Actor, period: Option<Period>) -> Result<String> {
    guard_global(reading, actor, Action::ReadStatistics).await?;
    let period = period.unwrap_or_else(|| week_of(UnixMicros::now().0));
    let mut csv = format!(
        "{BOM}周起,周止,机构代码,机构名称,影像检查数,心电检查数,签发报告数,按时签发数,阳性数,危急值数,质控退回数,互认采用数,互认不采用数\r\n"
    );
    let day = |t: i64| to_iso_date(&local_day(t));
    let shown_to = period
        .to
        .min(i64::MAX - LOCAL_OFFSET_US)
        .saturating_sub(1)
        .min(UnixMicros::now().0.max(period.from) + 7 * DAY_US);
    let days = [day(period.from), day(shown_to)];
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::WEEK, params![period.from, period.to])
        .await?
    {
        let mut fields = days.to_vec();
        fields.extend([csv_field(&row.text("code")?), csv_field(&row.text("name_zh")?)]);
        for name in [
            "imaging",
            "ecg",
            "signed",
            "in_time",
            "positive",
            "critical",
            "rejected",
            "recognised",
            "refused",
        ] {
            fields.push(row.int(name)?.to_string());
        }
        csv.push_str(&fields.join(","));
        csv.push_str("\r\n");
    }
    Ok(csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_runs_from_local_monday_to_sunday() {
        let check = |moment: &str, from: &str| {
            let week = week_of(UnixMicros::parse_iso8601(moment).unwrap().0);
            assert_eq!(UnixMicros(week.from).to_iso8601(), from, "{moment}");
            assert_eq!(week.to - week.from, 7 * DAY_US);
        };
        check("2026-11-21T08:00:00+08:00", "2026-11-15T16:00:00.000Z");
        check("2026-11-16T00:00:00+08:00", "2026-11-15T16:00:00.000Z");
        check("2026-11-15T23:59:59+08:00", "2026-11-08T16:00:00.000Z");
        check("1970-01-01T08:00:00+08:00", "1969-12-28T16:00:00.000Z");
    }
}
