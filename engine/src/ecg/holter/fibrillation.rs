//! Atrial fibrillation by its rhythm: intervals that neither repeat nor follow each other.
//!
//! Over windows of intervals between conducted beats the coefficient of sample entropy (D. E. Lake and J. R. Moorman,
//! Am J Physiol Heart Circ Physiol 2011) says how little one interval tells of the next, and the median change from
//! interval to interval says that most of them change, so that single early beats in a steady rhythm are not taken for
//! it. P waves are not looked at: they drown in the noise of a day.

use super::report::{Episode, Fibrillation};
use super::series::Series;
use crate::ecg::beats::BeatClass;

/// Intervals of a window, and how far windows are apart.
const WINDOW: usize = 40;
const STEP: usize = 5;
/// Coefficient of sample entropy above which a window is irregular (the paper's threshold for atrial fibrillation).
const ENTROPY_MIN: f64 = -1.4;
/// Median relative change between neighbouring intervals of an irregular window.
const CHANGE_MIN: f64 = 0.075;
/// Share of ectopic ventricular beats up to which intervals say something.
const USED_SHARE_MIN: f64 = 0.55;
/// Episodes shorter than this are not told (the usual definition), gaps shorter than this are bridged.
const EPISODE_S_MIN: f64 = 30.0;
const BRIDGE_S_MAX: f64 = 20.0;
/// Episodes told one by one.
const EPISODES_MAX: usize = 200;

/// The interval behind a beat, where it takes part.
#[derive(Debug, Clone, Copy)]
struct Interval {
    beat: usize,
    seconds: f64,
}

/// Finds the episodes in time order, as ranges of beats. `conducted` says whether most beats of a template are: by their
/// time alone, early beats of fibrillation may look ventricular.
pub(super) fn find(series: &Series, conducted: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let intervals = usable(series, conducted);
    let n = intervals.len();
    let mut votes = vec![(0_u16, 0_u16); n];
    let mut from = 0;
    while from + WINDOW <= n {
        let window = &intervals[from..from + WINDOW];
        let irregular = is_irregular(window);
        for vote in &mut votes[from..from + WINDOW] {
            vote.0 += u16::from(irregular);
            vote.1 += 1;
        }
        from += STEP;
    }
    let mut episodes: Vec<(usize, usize)> = Vec::new();
    for (interval, (yes, all)) in intervals.iter().zip(&votes) {
        if *all == 0 || yes * 2 <= *all {
            continue;
        }
        let (first, last) = (interval.beat, interval.beat + 1);
        match episodes.last_mut() {
            Some(open) if series.at_s(first) - series.at_s(open.1) <= BRIDGE_S_MAX => open.1 = last,
            _ => episodes.push((first, last)),
        }
    }
    episodes.retain(|(first, last)| series.at_s(*last) - series.at_s(*first) >= EPISODE_S_MIN);
    episodes
}

/// Intervals between beats that came from above, in time order.
fn usable(series: &Series, conducted: impl Fn(usize) -> bool) -> Vec<Interval> {
    const SECONDS: std::ops::RangeInclusive<f64> = 0.2..=2.5;
    let from_above = |index: usize| {
        series.beats.get(index).is_some_and(|beat| match beat.class {
            BeatClass::Normal | BeatClass::Supraventricular => true,
            BeatClass::Ventricular | BeatClass::Fusion => beat.template.is_some_and(&conducted),
            BeatClass::Unclassifiable => false,
        })
    };
    let made = (0..series.len()).filter_map(|beat| {
        let seconds = series.interval_s(beat).filter(|s| SECONDS.contains(s))?;
        (from_above(beat) && from_above(beat + 1)).then_some(Interval { beat, seconds })
    });
    made.collect()
}

fn is_irregular(window: &[Interval]) -> bool {
    let (Some(first), Some(last)) = (window.first(), window.last()) else {
        return false;
    };
    let beats = last.beat + 1 - first.beat;
    if (window.len() as f64) < USED_SHARE_MIN * beats as f64 {
        return false;
    }
    let mut changes: Vec<f64> = window
        .windows(2)
        .filter(|w| w[1].beat == w[0].beat + 1)
        .map(|w| (w[1].seconds - w[0].seconds).abs() / w[0].seconds.max(w[1].seconds))
        .collect();
    if changes.len() * 2 < window.len() {
        return false;
    }
    let middle = changes.len() / 2;
    let change = *changes.select_nth_unstable_by(middle, f64::total_cmp).1;
    change >= CHANGE_MIN && entropy(window) > ENTROPY_MIN
}

/// Coefficient of sample entropy with templates of one interval; the tolerance grows until enough pairs match.
fn entropy(window: &[Interval]) -> f64 {
    const TOLERANCE_S: f64 = 0.030;
    const TOLERANCE_S_MAX: f64 = 1.0;
    const MATCHES_MIN: u32 = 8;
    let values: Vec<f64> = window.iter().map(|interval| interval.seconds).collect();
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut tolerance = TOLERANCE_S;
    loop {
        let (mut long, mut short) = (0_u32, 0_u32);
        for i in 0..values.len().saturating_sub(1) {
            for j in i + 1..values.len() - 1 {
                if (values[i] - values[j]).abs() <= tolerance {
                    short += 1;
                    long += u32::from((values[i + 1] - values[j + 1]).abs() <= tolerance);
                }
            }
        }
        if long >= MATCHES_MIN || tolerance >= TOLERANCE_S_MAX {
            let share = f64::from(long.max(1)) / f64::from(short.max(1));
            return -share.ln() + (2.0 * tolerance).ln() - mean.ln();
        }
        tolerance += 0.015;
    }
}

/// Burden and episodes. `readable_s` is the time that can be read.
pub(super) fn report(series: &Series, episodes: &[(usize, usize)], readable_s: f64) -> Fibrillation {
    let mut told: Vec<Episode> = episodes
        .iter()
        .map(|(first, last)| {
            let (from_s, to_s) = (series.at_s(*first), series.at_s(*last));
            let rates = (*first..*last).filter_map(|index| series.interval_s(index));
            let (count, seconds) = rates.fold((0_u64, 0.0), |(n, s), v| (n + 1, s + v));
            Episode {
                from_s,
                to_s,
                mean_bpm: (seconds > 0.0).then(|| 60.0 * count as f64 / seconds),
            }
        })
        .collect();
    let duration_s: f64 = told.iter().map(|e| e.to_s - e.from_s).sum();
    let longest = told
        .iter()
        .max_by(|a, b| (a.to_s - a.from_s).total_cmp(&(b.to_s - b.from_s)))
        .cloned();
    let count = told.len() as u64;
    if told.len() > EPISODES_MAX {
        told.sort_by(|a, b| (b.to_s - b.from_s).total_cmp(&(a.to_s - a.from_s)));
        told.truncate(EPISODES_MAX);
        told.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    }
    Fibrillation {
        burden_percent: (readable_s > 0.0).then(|| (100.0 * duration_s / readable_s).min(100.0)),
        duration_s,
        count,
        longest,
        told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::holter::series::series_of;
    use crate::ecg::synth::Noise;

    /// Intervals in milliseconds: sinus with breathing, fibrillation in `from..to` of the beats.
    fn intervals(beats: usize, from: usize, to: usize) -> Vec<u64> {
        let mut noise = Noise(11);
        let mut at = 0.0;
        (0..beats)
            .map(|index| {
                let value = if (from..to).contains(&index) {
                    650.0 * (1.0 + 0.22 * noise.next()).clamp(0.5, 1.8)
                } else {
                    850.0 + 45.0 * (at / 4_300.0 * std::f64::consts::TAU).sin() + 8.0 * noise.next()
                };
                at += value;
                value.round() as u64
            })
            .collect()
    }

    #[test]
    fn an_episode_has_its_begin_and_end() {
        let made = intervals(2_000, 700, 1_300);
        let series = series_of(&"N".repeat(2_000), &made);
        let found = find(&series, |_| false);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].0.abs_diff(700) < 20 && found[0].1.abs_diff(1_300) < 20,
            "{found:?}"
        );
        let told = report(&series, &found, series.duration_s);
        let expect = made[700..1_300].iter().sum::<u64>() as f64 / 1e3 / series.duration_s * 100.0;
        assert!((told.burden_percent.unwrap() - expect).abs() < 1.5);
        assert_eq!(told.count, 1);
    }

    #[test]
    fn steady_rhythms_with_early_beats_are_none() {
        let steady = intervals(1_500, 0, 0);
        let check = |text: &str, intervals: &[u64]| {
            assert_eq!(find(&series_of(text, intervals), |_| false), Vec::new());
        };
        check(&"N".repeat(1_500), &steady);
        // Every seventh beat comes early.
        let mut early = steady.clone();
        for index in (5..1_499).step_by(7) {
            early[index] -= 300;
            early[index + 1] += 300;
        }
        check(&"NNNNNNS".repeat(214), &early);
        let bigeminy: Vec<u64> = (0..1_000).map(|i| if i % 2 == 0 { 500 } else { 1_050 }).collect();
        check(&"NV".repeat(500), &bigeminy);
        check(&"N".repeat(1_000), &bigeminy);
        check("NN", &[800]);
        check("", &[800]);
    }

    #[test]
    fn a_short_burst_is_not_told() {
        let series = series_of(&"N".repeat(1_000), &intervals(1_000, 500, 530));
        assert_eq!(find(&series, |_| false), Vec::new());
    }
}
