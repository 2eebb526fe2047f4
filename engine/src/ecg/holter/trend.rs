//! Heart rate over the recording, and pauses.

use super::report::{HeartRate, Hour, Pause, Pauses, Place};
use super::series::Series;
use crate::ecg::beats::BeatClass;
use serde::Serialize;

/// Intervals over which the lowest and the highest rate are taken.
pub(super) const RATE_INTERVALS: usize = 8;
/// Intervals that count as pauses, in seconds.
const PAUSE_S: f64 = 2.0;
const LONG_PAUSE_S: f64 = 3.0;
/// Pauses told one by one, the longest first.
const PAUSES_MAX: usize = 50;
const HOUR_S: f64 = 3_600.0;
const MINUTE_S: f64 = 60.0;
/// Sound time from which a minute or an hour has a rate, in seconds.
const MINUTE_SOUND_S_MIN: f64 = 20.0;

/// What is summed up over a stretch.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    intervals: u64,
    seconds: f64,
}

impl Sum {
    fn add(&mut self, interval_s: f64) {
        self.intervals += 1;
        self.seconds += interval_s;
    }

    fn bpm(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| 60.0 * self.intervals as f64 / self.seconds)
    }
}

/// Rates over eight intervals that follow each other: the middle beat's place and the rate.
fn rates(series: &Series) -> impl Iterator<Item = Place> + '_ {
    let mut run = 0_usize;
    (0..series.len()).filter_map(move |index| {
        run = if series.interval_s(index).is_some() {
            run + 1
        } else {
            0
        };
        if run < RATE_INTERVALS {
            return None;
        }
        let first = index + 1 - RATE_INTERVALS;
        let span_s = series.at_s(index + 1) - series.at_s(first);
        Some(Place {
            at_s: series.at_s(first + RATE_INTERVALS / 2),
            value: 60.0 * RATE_INTERVALS as f64 / span_s,
        })
    })
}

fn lowest(places: impl Iterator<Item = Place>) -> Option<Place> {
    places.min_by(|a, b| a.value.total_cmp(&b.value))
}

fn highest(places: impl Iterator<Item = Place>) -> Option<Place> {
    // The first of equals, as with the lowest.
    places.fold(None, |best: Option<Place>, place| match best {
        Some(have) if have.value >= place.value => Some(have),
        _ => Some(place),
    })
}

/// The rate over the whole recording.
pub(super) fn heart_rate(series: &Series) -> HeartRate {
    let mut all = Sum::default();
    (0..series.len())
        .filter_map(|index| series.interval_s(index))
        .for_each(|s| all.add(s));
    HeartRate {
        mean_bpm: all.bpm(),
        lowest: lowest(rates(series)),
        highest: highest(rates(series)),
        over_intervals: RATE_INTERVALS,
    }
}

/// The recording hour by hour, from its begin; the last hour may be short.
pub(super) fn hours(series: &Series) -> Vec<Hour> {
    let count = (series.duration_s / HOUR_S).ceil().max(1.0) as usize;
    let mut hours: Vec<Hour> = (0..count)
        .map(|index| Hour {
            from_s: index as f64 * HOUR_S,
            to_s: ((index + 1) as f64 * HOUR_S).min(series.duration_s),
            ..Hour::default()
        })
        .collect();
    let mut sums = vec![Sum::default(); count];
    let place = |at_s: f64| ((at_s / HOUR_S) as usize).min(count - 1);
    for index in 0..series.len() {
        let hour = place(series.at_s(index));
        hours[hour].beats += 1;
        match series.class(index) {
            Some(BeatClass::Ventricular) => hours[hour].ventricular += 1,
            Some(BeatClass::Supraventricular) => hours[hour].supraventricular += 1,
            _ => {}
        }
        if let Some(interval_s) = series.interval_s(index) {
            sums[hour].add(interval_s);
            if is_pause(interval_s) {
                hours[hour].pauses += 1;
            }
        }
    }
    for (hour, sum) in hours.iter_mut().zip(&sums) {
        hour.readable_s = sum.seconds;
        hour.mean_bpm = sum.bpm();
    }
    for rate in rates(series) {
        let hour = &mut hours[place(rate.at_s)];
        if hour.lowest.is_none_or(|have| rate.value < have.value) {
            hour.lowest = Some(rate);
        }
        if hour.highest.is_none_or(|have| rate.value > have.value) {
            hour.highest = Some(rate);
        }
    }
    hours
}

/// Mean rate of each minute, rounded; `None` where less than twenty seconds can be read.
pub(super) fn minutes(series: &Series) -> Vec<Option<u16>> {
    let count = (series.duration_s / MINUTE_S).ceil() as usize;
    let mut sums = vec![Sum::default(); count];
    for index in 0..series.len() {
        let minute = (series.at_s(index) / MINUTE_S) as usize;
        if let (Some(sum), Some(interval_s)) = (sums.get_mut(minute), series.interval_s(index)) {
            sum.add(interval_s);
        }
    }
    sums.into_iter()
        .map(|sum| {
            let bpm = sum.bpm().filter(|_| sum.seconds >= MINUTE_SOUND_S_MIN)?;
            Some(bpm.round() as u16)
        })
        .collect()
}

fn is_pause(interval_s: f64) -> bool {
    interval_s >= PAUSE_S
}

/// What a pause follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// Between two conducted beats, in no fibrillation.
    Sinus,
    /// Behind an ectopic beat.
    AfterEctopic,
    /// While the atria fibrillate.
    InAtrialFibrillation,
}

/// Pauses; `fibrillates` says whether a time lies in atrial fibrillation.
pub(super) fn pauses(series: &Series, fibrillates: impl Fn(f64) -> bool) -> Pauses {
    let mut found: Vec<Pause> = Vec::new();
    let (mut count, mut long) = (0, 0);
    for index in 0..series.len() {
        let Some(interval_s) = series.interval_s(index).filter(|s| is_pause(*s)) else {
            continue;
        };
        count += 1;
        long += u64::from(interval_s >= LONG_PAUSE_S);
        let at_s = series.at_s(index);
        let ectopic = matches!(
            series.class(index),
            Some(BeatClass::Ventricular | BeatClass::Supraventricular)
        );
        let kind = if fibrillates(at_s) {
            PauseKind::InAtrialFibrillation
        } else if ectopic {
            PauseKind::AfterEctopic
        } else {
            PauseKind::Sinus
        };
        found.push(Pause {
            at_s,
            duration_s: interval_s,
            kind,
        });
        if found.len() >= 4 * PAUSES_MAX {
            keep_longest(&mut found);
        }
    }
    keep_longest(&mut found);
    Pauses {
        from_s: PAUSE_S,
        count,
        count_3_s: long,
        longest: found.first().cloned(),
        told: found,
    }
}

fn keep_longest(found: &mut Vec<Pause>) {
    found.sort_by(|a, b| {
        b.duration_s
            .total_cmp(&a.duration_s)
            .then(a.at_s.total_cmp(&b.at_s))
    });
    found.truncate(PAUSES_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::holter::series::series_of;

    #[test]
    fn rates_and_their_places() {
        // 100 beats at 60, then 100 at 120.
        let mut intervals = vec![1_000; 100];
        intervals.extend(vec![500; 100]);
        let series = series_of(&"N".repeat(200), &intervals);
        let rate = heart_rate(&series);
        assert_eq!(rate.lowest.map(|p| p.value), Some(60.0));
        assert_eq!(rate.highest.map(|p| p.value), Some(120.0));
        assert!(rate.highest.unwrap().at_s > 100.0 && rate.lowest.unwrap().at_s < 100.0);
        assert!((rate.mean_bpm.unwrap() - 60.0 * 199.0 / 149.5).abs() < 1e-9);
        let minutes = minutes(&series);
        assert_eq!((minutes[0], minutes[2]), (Some(60), Some(120)));
        let hours = hours(&series);
        assert_eq!((hours.len(), hours[0].beats), (1, 200));
        let empty = series_of("", &[1]);
        assert_eq!(heart_rate(&empty).mean_bpm, None);
    }

    #[test]
    fn pauses_are_counted_and_named() {
        let series = series_of("NNVNNN", &[800, 800, 2_100, 3_200, 800]);
        let pauses = pauses(&series, |_| false);
        assert_eq!((pauses.count, pauses.count_3_s), (2, 1));
        let kinds: Vec<PauseKind> = pauses.told.iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [PauseKind::Sinus, PauseKind::AfterEctopic]);
        let longest = pauses.longest.unwrap();
        assert!((longest.duration_s - 3.2).abs() < 1e-9 && (longest.at_s - 4.7).abs() < 1e-9);
    }
}
