//! Days of the week and hours of the day in the time zone of the county.

use std::str::FromStr;

use archive::UnixMicros;

const MICROS_PER_MINUTE: i64 = 60_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// 1970-01-01 was a Thursday.
const DAY_OF_EPOCH: i64 = 3;

/// A time zone without summer time: minutes east of Greenwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    minutes: i64,
}

impl Zone {
    /// The time zone of China.
    pub const CHINA: Self = Self { minutes: 8 * 60 };
}

impl FromStr for Zone {
    type Err = String;

    /// `Asia/Shanghai`, `UTC`, or an offset such as `+08:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Asia/Shanghai" => return Ok(Self::CHINA),
            "UTC" => return Ok(Self { minutes: 0 }),
            _ => {}
        }
        let offset = || {
            let (sign, rest) = match text.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            Some(sign * clock(rest).filter(|&minutes| minutes <= 14 * 60)?)
        };
        offset()
            .map(|minutes| Self { minutes })
            .ok_or_else(|| format!("{text:?}: write Asia/Shanghai, UTC or an offset such as +08:00"))
    }
}

/// Minutes since midnight of `HH:MM`.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| digits)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

/// When a rule holds. The default is always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Schedule {
    /// Indexes of days from Monday; empty: every day.
    days: Vec<i64>,
    /// Minutes since midnight, the end not included. An end before the start is on the next day.
    hours: Option<(i64, i64)>,
}

impl Schedule {
    /// Reads days (`mon`, `sat-sun`) and hours (`18:00-08:00`).
    pub(super) fn parse(days: &[String], hours: Option<&str>) -> Result<Self, String> {
        let mut schedule = Self::default();
        for word in days {
            let named = |name: &str| {
                let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
                at.and_then(|at| i64::try_from(at).ok()).ok_or_else(|| {
                    format!(
                        "days: {word:?}: write mon, tue, wed, thu, fri, sat, sun or a span such as mon-fri"
                    )
                })
            };
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            let (from, to) = (named(from)?, named(to)?);
            let span = (to - from).rem_euclid(7);
            schedule.days.extend((0..=span).map(|step| (from + step) % 7));
        }
        if let Some(text) = hours {
            let parts = text.split_once('-');
            let read = parts.and_then(|(from, to)| Some((clock(from.trim())?, clock(to.trim())?)));
            schedule.hours = match read {
                Some((from, to)) if from != to && from < MINUTES_PER_DAY => Some((from, to)),
                _ => return Err(format!("hours: {text:?}: write a span such as 18:00-08:00")),
            };
        }
        Ok(schedule)
    }

    /// Whether a moment is inside. Hours past midnight belong to the day on which they began.
    pub(super) fn holds(&self, at: UnixMicros, zone: Zone) -> bool {
        let minutes = at.0.div_euclid(MICROS_PER_MINUTE) + zone.minutes;
        let (mut day, minute) = (
            minutes.div_euclid(MINUTES_PER_DAY),
            minutes.rem_euclid(MINUTES_PER_DAY),
        );
        let inside = match self.hours {
            None => true,
            Some((from, to)) if from < to => (from..to).contains(&minute),
            Some((from, to)) => {
                if minute < to {
                    day -= 1;
                }
                minute >= from || minute < to
            }
        };
        let weekday = (day + DAY_OF_EPOCH).rem_euclid(7);
        inside && (self.days.is_empty() || self.days.contains(&weekday))
    }

    /// The moment in words: day and time of day.
    pub(super) fn words(at: UnixMicros, zone: Zone) -> String {
        let minutes = at.0.div_euclid(MICROS_PER_MINUTE) + zone.minutes;
        let weekday = (minutes.div_euclid(MINUTES_PER_DAY) + DAY_OF_EPOCH).rem_euclid(7);
        let minute = minutes.rem_euclid(MINUTES_PER_DAY);
        let day = usize::try_from(weekday).ok().and_then(|at| DAYS.get(at));
        format!("{} {:02}:{:02}", day.unwrap_or(&""), minute / 60, minute % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMicros {
        UnixMicros::parse_iso8601(text).expect("moment")
    }

    #[test]
    fn moments_are_inside_or_not() {
        let check = |days: &[&str], hours: Option<&str>, when: &str, expect: bool| {
            let days: Vec<String> = days.iter().map(|day| (*day).to_owned()).collect();
            let schedule = Schedule::parse(&days, hours).expect("valid");
            assert_eq!(
                schedule.holds(at(when), Zone::CHINA),
                expect,
                "{days:?} {hours:?} {when}"
            );
        };
        // 2026-11-21 is a Saturday
        check(&[], None, "2026-11-21T23:59:00+08:00", true);
        check(&["sat"], None, "2026-11-21T00:00:00+08:00", true);
        check(&["sat"], None, "2026-11-20T23:59:00+08:00", false);
        check(&["sat"], None, "2026-11-20T16:30:00Z", true);
        check(&["mon-fri"], None, "2026-11-20T12:00:00+08:00", true);
        check(&["mon-fri"], None, "2026-11-21T12:00:00+08:00", false);
        check(&["fri-mon"], None, "2026-11-22T12:00:00+08:00", true);
        check(&["Sun", "tue"], None, "2026-11-24T12:00:00+08:00", true);
        check(&[], Some("08:00-18:00"), "2026-11-21T08:00:00+08:00", true);
        check(&[], Some("08:00-18:00"), "2026-11-21T18:00:00+08:00", false);
        check(&[], Some("08:00-24:00"), "2026-11-21T23:59:00+08:00", true);
        check(&[], Some("18:00-08:00"), "2026-11-21T03:00:00+08:00", true);
        check(&[], Some("18:00-08:00"), "2026-11-21T12:00:00+08:00", false);
        // the night from Friday to Saturday is Friday's
        check(&["fri"], Some("18:00-08:00"), "2026-11-21T03:00:00+08:00", true);
        check(&["sat"], Some("18:00-08:00"), "2026-11-21T03:00:00+08:00", false);
        check(&["sat"], Some("18:00-08:00"), "2026-11-21T20:00:00+08:00", true);
        check(&[], None, "1969-12-31T23:00:00Z", true);
    }

    #[test]
    fn what_is_no_time_is_named() {
        let days = |text: &str| Schedule::parse(&[text.to_owned()], None);
        let hours = |text: &str| Schedule::parse(&[], Some(text));
        for bad in ["monday", "", "mon-", "1-5"] {
            assert!(days(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "8-18",
            "08:00",
            "08:00-08:00",
            "25:00-26:00",
            "24:00-01:00",
            "08:60-09:00",
        ] {
            assert!(hours(bad).is_err(), "{bad:?}");
        }
        for (text, minutes) in [
            ("Asia/Shanghai", 480),
            ("UTC", 0),
            ("-03:30", -210),
            ("+08:00", 480),
        ] {
            assert_eq!(text.parse::<Zone>(), Ok(Zone { minutes }));
        }
        for bad in ["Shanghai", "8", "+8", "+15:00", "+08-00", ""] {
            assert!(bad.parse::<Zone>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn moments_have_words() {
        assert_eq!(
            Schedule::words(at("2026-11-21T16:05:00Z"), Zone::CHINA),
            "sun 00:05"
        );
    }
}
