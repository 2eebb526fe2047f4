//! Dates and times of a query, when the association agreed to more than the plain matching of each
//! on its own (PS3.4 C.2.2.2.5.3 and C.5.2.1): a date key and a time key as one range, and moments
//! in the time zone that the question names.

use archive::UnixMicros;
use archive::study::InstanceFilter;
use dataset::matching::Match;
use dataset::{DataSet, Tag, tags};

use super::answer::Record;
use super::keys::key;
use crate::association::Matching;

/// China has one time zone; objects without a zone of their own are in it.
const OWN_OFFSET_MINUTES: i64 = 8 * 60;
const MINUTE_MICROS: i64 = 60_000_000;
/// Furthest zones from UTC, with room.
const OFFSET_HOURS_MAX: i64 = 14;

/// Dates with their times.
const PAIRS: [(Tag, Tag); 3] = [
    (tags::STUDY_DATE, tags::STUDY_TIME),
    (tags::SERIES_DATE, tags::SERIES_TIME),
    (
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    ),
];

/// A span that is asked for, on our own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    date: Tag,
    time: Tag,
    from: Option<i64>,
    to: Option<i64>,
}

/// What a question wants of dates and times beyond plain matching; mostly nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct When {
    spans: Vec<Span>,
    /// The zone that is asked for and how far our clock is ahead of it.
    zone: Option<(String, i64)>,
}

impl When {
    /// From the keys, or from the item of the scheduled step.
    pub(super) fn of(keys: &DataSet, zone_from: &DataSet, agreed: Matching) -> Self {
        let zone = zone_from
            .text(tags::TIMEZONE_OFFSET_FROM_UTC)
            .filter(|_| agreed.time_zone);
        let zone = zone.and_then(|text| {
            let ahead = (OWN_OFFSET_MINUTES - offset_minutes(&text)?) * MINUTE_MICROS;
            Some((text, ahead))
        });
        let ahead = zone.as_ref().map_or(0, |(_, ahead)| *ahead);
        let mut spans = Vec::new();
        if agreed.combined_date_time || ahead != 0 {
            for (date, time) in PAIRS {
                let asked = (key(keys, date), key(keys, time));
                // times alone are of any day; dates alone are whole days, which a zone moves
                let whole = !asked.0.is_universal() && (ahead != 0 || !asked.1.is_universal());
                if let Some((from, to)) = span(&asked.0, &asked.1).filter(|_| whole) {
                    let (from, to) = (from.map(|at| at + ahead), to.map(|at| at + ahead));
                    spans.push(Span { date, time, from, to });
                }
            }
        }
        Self { spans, zone }
    }

    /// Asks the index for the days that the spans touch, and for any time of them.
    pub(super) fn narrow(&self, filter: &mut InstanceFilter) {
        for span in &self.spans {
            let day = |at: Option<i64>| at.map(|at| date_time(at).0);
            let days = Match::Range {
                from: day(span.from),
                to: day(span.to),
            };
            let series = &mut filter.series;
            let (date, time) = match span.date {
                tags::STUDY_DATE => (&mut series.study.study_date, &mut series.study.study_time),
                tags::SERIES_DATE => (&mut series.series_date, &mut series.series_time),
                _ => continue,
            };
            (*date, *time) = (days, Match::Universal);
        }
    }

    /// Whether a date key is answered here, with its time, instead of by plain matching.
    pub(super) fn holds(&self, date: Tag) -> bool {
        self.spans.iter().any(|span| span.date == date)
    }

    /// Whether a record lies in all spans.
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.spans.iter().all(|span| {
            let (date, time) = (record.text_of(span.date), record.text_of(span.time));
            let (Some(start), Some(end)) = (moment(date, time, false), moment(date, time, true)) else {
                return false;
            };
            span.from.is_none_or(|from| from <= end) && span.to.is_none_or(|to| start <= to)
        })
    }

    /// Turns the moments of an answer into the zone that is asked for.
    pub(super) fn show(&self, record: &mut Record) {
        let Some((zone, ahead)) = &self.zone else { return };
        record.text(tags::TIMEZONE_OFFSET_FROM_UTC, zone);
        if *ahead == 0 {
            return;
        }
        for (date, time) in PAIRS {
            let known = (record.text_of(date), record.text_of(time));
            if known.1.is_empty() {
                continue;
            }
            if let Some(at) = moment(known.0, known.1, false) {
                let shown = date_time(at - ahead);
                record.replace(date, shown.0);
                record.replace(time, shown.1);
            }
        }
    }
}

/// `+0800` in minutes.
fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (
        digits.get(..2)?.parse::<i64>().ok()?,
        digits.get(2..)?.parse::<i64>().ok()?,
    );
    (hours <= OFFSET_HOURS_MAX && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// First and last moment of a date key and a time key together.
fn span(date: &Match, time: &Match) -> Option<(Option<i64>, Option<i64>)> {
    let ends = |asked: &Match| match asked {
        Match::Single(value) => Some((Some(value.clone()), Some(value.clone()))),
        Match::Range { from, to } => Some((from.clone(), to.clone())),
        Match::Universal => Some((None, None)),
        _ => None,
    };
    let ((date_from, date_to), (time_from, time_to)) = (ends(date)?, ends(time)?);
    let from = date_from.map(|day| moment(&day, time_from.as_deref().unwrap_or(""), false));
    let to = date_to.map(|day| moment(&day, time_to.as_deref().unwrap_or(""), true));
    // an end that is no date asks for nothing that can be compared
    if from == Some(None) || to == Some(None) {
        return None;
    }
    Some((from.flatten(), to.flatten()))
}

/// A DA and a TM of any precision as microseconds of a clock without a zone: the first or the last
/// moment that they can mean.
fn moment(date: &str, time: &str, last: bool) -> Option<i64> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let day = digits(date);
    let day = [day.get(..4)?, day.get(4..6)?, day.get(6..8)?].join("-");
    let midnight = UnixMicros::parse_iso8601(&day)?.0;
    let (clock, fraction) = time.trim().split_once('.').unwrap_or((time.trim(), ""));
    let (clock, fraction) = (digits(clock), digits(fraction));
    let part = |range: std::ops::Range<usize>, most: i64| match clock.get(range) {
        Some(two) => two.parse::<i64>().ok().map(|value| value.min(most)),
        None => Some(if last { most } else { 0 }),
    };
    let (hours, minutes, seconds) = (part(0..2, 23)?, part(2..4, 59)?, part(4..6, 59)?);
    let fill = if last { '9' } else { '0' };
    let micros: String = fraction
        .chars()
        .take(6)
        .chain(std::iter::repeat_n(fill, 6))
        .take(6)
        .collect();
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000;
    Some(midnight + of_day + micros.parse::<i64>().ok()?)
}

/// DA and TM of a moment.
fn date_time(at: i64) -> (String, String) {
    let text = UnixMicros(at).to_iso8601();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default().to_owned();
    (part(0..8), part(8..14))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::Vr;

    fn when(date: &str, time: &str, zone: Option<&str>, agreed: (bool, bool)) -> When {
        let mut keys = DataSet::new();
        keys.put_text(tags::STUDY_DATE, Vr::DA, date);
        keys.put_text(tags::STUDY_TIME, Vr::TM, time);
        if let Some(zone) = zone {
            keys.put_text(tags::TIMEZONE_OFFSET_FROM_UTC, Vr::SH, zone);
        }
        let agreed = Matching {
            combined_date_time: agreed.0,
            time_zone: agreed.1,
        };
        When::of(&keys, &keys, agreed)
    }

    fn study(date: &str, time: &str) -> Record {
        let mut record = Record::default();
        record.text(tags::STUDY_DATE, date).text(tags::STUDY_TIME, time);
        record
    }

    #[test]
    fn a_date_and_a_time_are_one_range() {
        let asked = when("20260102-20260104", "1000-1200", None, (true, false));
        let check = |date, time, expect| assert_eq!(asked.fits(&study(date, time)), expect, "{date} {time}");
        check("20260102", "095959", false);
        check("20260102", "100000", true);
        check("20260103", "030000", true);
        check("20260104", "120059.5", true);
        check("20260104", "120100", false);
        check("20260104", "", true);
        check("", "", false);
        let plain = when("20260102-20260104", "1000-1200", None, (false, false));
        assert!(plain == When::default(), "nothing was agreed");
    }

    #[test]
    fn moments_are_asked_and_told_in_another_zone() {
        // 2026-01-02 in New York is 13:00 of that day to 13:00 of the next in China
        let asked = when("20260102", "", Some("-0500"), (false, true));
        let check = |date, time, expect| assert_eq!(asked.fits(&study(date, time)), expect, "{date} {time}");
        check("20260102", "125959", false);
        check("20260102", "130000", true);
        check("20260103", "125959", true);
        check("20260103", "130000", false);
        let mut filter = InstanceFilter::default();
        asked.narrow(&mut filter);
        let days = Match::Range {
            from: Some("20260102".into()),
            to: Some("20260103".into()),
        };
        assert_eq!(filter.series.study.study_date, days);
        let mut answer = study("20260103", "013000");
        asked.show(&mut answer);
        assert_eq!(answer.text_of(tags::STUDY_DATE), "20260102");
        assert_eq!(answer.text_of(tags::STUDY_TIME), "123000");
        assert_eq!(answer.text_of(tags::TIMEZONE_OFFSET_FROM_UTC), "-0500");
    }

    #[test]
    fn zones_are_read() {
        let check = |text: &str, expect| assert_eq!(offset_minutes(text), expect, "{text}");
        check("+0800", Some(480));
        check("-0330", Some(-210));
        check("0800", None);
        check("+08", None);
        check("+9900", None);
        check("+0八", None);
        check("", None);
    }
}
