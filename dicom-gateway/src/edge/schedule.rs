//! How much of the line may be used, by day and hour.

use archive::UnixMicros;

/// China has one time zone, and a schedule is written in wall-clock time.
const CHINA_OFFSET_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 24 * 3600;
/// 1970-01-01 was a Thursday; days are counted from Monday.
const FIRST_WEEKDAY: i64 = 3;

/// One line of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRule {
    /// For each day from Monday on: does the rule hold?
    pub days: [bool; 7],
    /// Minute of the day from which on it holds.
    pub from_minute: u16,
    /// Minute of the day up to which it holds; smaller than `from_minute` goes past midnight.
    pub to_minute: u16,
    /// Kilobits a second; `None` is unlimited.
    pub kbps: Option<u64>,
}

impl ScheduleRule {
    fn holds(&self, weekday: usize, minute: u16) -> bool {
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.from_minute <= self.to_minute {
            return on(weekday) && (self.from_minute..self.to_minute).contains(&minute);
        }
        (on(weekday) && minute >= self.from_minute) || (on(weekday + 6) && minute < self.to_minute)
    }
}

/// A limit and when it differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Kilobits a second where no rule holds; `None` is unlimited.
    pub kbps: Option<u64>,
    /// The first that holds counts.
    pub rules: Vec<ScheduleRule>,
}

impl Schedule {
    /// Kilobits a second that may be sent at a moment; `None` is unlimited.
    pub fn limit(&self, at: UnixMicros) -> Option<u64> {
        let local = at.0.div_euclid(1_000_000) + CHINA_OFFSET_SECONDS;
        let weekday = (local.div_euclid(DAY_SECONDS) + FIRST_WEEKDAY).rem_euclid(7);
        let minute = local.rem_euclid(DAY_SECONDS) / 60;
        let (weekday, minute) = (
            usize::try_from(weekday).unwrap_or(0),
            u16::try_from(minute).unwrap_or(0),
        );
        let rule = self.rules.iter().find(|rule| rule.holds(weekday, minute));
        rule.map_or(self.kbps, |rule| rule.kbps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_holds_counts_also_past_midnight() {
        let weekdays = [true, true, true, true, true, false, false];
        let rule = |from_minute, to_minute, kbps| ScheduleRule {
            days: weekdays,
            from_minute,
            to_minute,
            kbps,
        };
        let schedule = Schedule {
            kbps: Some(4000),
            rules: vec![rule(8 * 60, 18 * 60, Some(1000)), rule(22 * 60, 6 * 60, None)],
        };
        let check = |china: &str, expect: Option<u64>| {
            let at = UnixMicros::parse_iso8601(&format!("{china}+08:00")).unwrap();
            assert_eq!(schedule.limit(at), expect, "{china}");
        };
        check("2026-11-16T07:59:59", Some(4000)); // a Monday
        check("2026-11-16T08:00:00", Some(1000));
        check("2026-11-16T17:59:00", Some(1000));
        check("2026-11-16T18:00:00", Some(4000));
        check("2026-11-16T05:00:00", Some(4000)); // Sunday's night has no rule
        check("2026-11-17T05:00:00", None);
        check("2026-11-20T23:00:00", None);
        check("2026-11-21T05:59:00", None); // Saturday morning is Friday's night
        check("2026-11-21T12:00:00", Some(4000));
    }
}
