//! Ectopic beats: how many, in which patterns, and the longest and fastest runs.

use super::report::{Ectopy, Pattern, Run};
use super::series::Series;
use crate::ecg::beats::BeatClass;

/// Ectopic beats in a row that make a run.
const RUN_BEATS_MIN: usize = 3;
/// Runs told one by one.
const RUNS_MAX: usize = 50;
/// Repeats of a pattern that make an episode.
const REPEATS_MIN: usize = 3;
/// Episodes of a pattern told one by one.
const EPISODES_MAX: usize = 50;
/// Rate from which a run is a tachycardia.
const TACHYCARDIA_BPM: f64 = 100.0;

/// Counts the beats of `class`, which is [`BeatClass::Ventricular`] or [`BeatClass::Supraventricular`].
pub(super) fn count(series: &Series, class: BeatClass) -> Ectopy {
    let is = |index: usize| series.class(index) == Some(class);
    let mut made = Ectopy::default();
    let mut runs: Vec<Run> = Vec::new();
    let mut index = 0;
    while index < series.len() {
        if !is(index) {
            index += 1;
            continue;
        }
        let first = index;
        while is(index + 1) && series.interval_s(index).is_some() {
            index += 1;
        }
        let beats = index + 1 - first;
        made.beats += beats as u64;
        match beats {
            1 => made.single += 1,
            2 => made.couplets += 1,
            _ => {
                let run = run(series, first, index);
                made.runs += 1;
                made.run_beats += beats as u64;
                made.tachycardias += u64::from(run.rate_bpm >= TACHYCARDIA_BPM);
                keep(&mut made, run.clone());
                runs.push(run);
                if runs.len() >= 4 * RUNS_MAX {
                    keep_longest(&mut runs);
                }
            }
        }
        index += 1;
    }
    keep_longest(&mut runs);
    made.told_runs = runs;
    let all = series.len() as f64;
    made.share_percent = (all > 0.0).then(|| 100.0 * made.beats as f64 / all);
    made.bigeminy = pattern(series, class, 1);
    made.trigeminy = pattern(series, class, 2);
    made
}

fn run(series: &Series, first: usize, last: usize) -> Run {
    let (from_s, to_s) = (series.at_s(first), series.at_s(last));
    let beats = last + 1 - first;
    Run {
        at_s: from_s,
        duration_s: to_s - from_s,
        beats: beats as u64,
        rate_bpm: 60.0 * (beats - 1) as f64 / (to_s - from_s).max(f64::MIN_POSITIVE),
    }
}

fn keep(made: &mut Ectopy, run: Run) {
    debug_assert!(run.beats >= RUN_BEATS_MIN as u64);
    if made
        .longest_run
        .as_ref()
        .is_none_or(|have| run.beats > have.beats)
    {
        made.longest_run = Some(run.clone());
    }
    if made
        .fastest_run
        .as_ref()
        .is_none_or(|have| run.rate_bpm > have.rate_bpm)
    {
        made.fastest_run = Some(run);
    }
}

fn keep_longest(runs: &mut Vec<Run>) {
    runs.sort_by(|a, b| b.beats.cmp(&a.beats).then(a.at_s.total_cmp(&b.at_s)));
    runs.truncate(RUNS_MAX);
}

/// Episodes in which one ectopic beat follows each `between` other beats, again and again.
fn pattern(series: &Series, class: BeatClass, between: usize) -> Pattern {
    let is = |index: usize| series.class(index) == Some(class);
    let period = between + 1;
    // `between` beats of another class and one of this, without a gap, from `index` on.
    let fits = |index: usize| {
        index + period <= series.len()
            && (index..index + between).all(|at| !is(at) && series.interval_s(at).is_some())
            && is(index + between)
    };
    let mut made = Pattern::default();
    let mut index = 0;
    while index < series.len() {
        let mut repeats = 0;
        while fits(index + repeats * period)
            && (repeats == 0 || series.interval_s(index + repeats * period - 1).is_some())
        {
            repeats += 1;
        }
        if repeats < REPEATS_MIN {
            index += 1;
            continue;
        }
        let last = index + repeats * period - 1;
        let (from_s, to_s) = (series.at_s(index), series.at_s(last));
        made.episodes += 1;
        made.duration_s += to_s - from_s;
        if made.told.len() < EPISODES_MAX {
            made.told.push((from_s, to_s));
        }
        index = last + 1;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::holter::series::series_of;

    #[test]
    fn singles_couplets_and_runs() {
        let series = series_of("NVNVVNVVVNNVVVVVN", &[500]);
        let found = count(&series, BeatClass::Ventricular);
        assert_eq!(
            (
                found.beats,
                found.single,
                found.couplets,
                found.runs,
                found.run_beats
            ),
            (11, 1, 1, 2, 8)
        );
        assert_eq!(found.longest_run.as_ref().map(|r| r.beats), Some(5));
        assert!((found.fastest_run.unwrap().rate_bpm - 120.0).abs() < 1e-9);
        assert_eq!(found.tachycardias, 2);
        assert_eq!(found.told_runs[0].beats, 5);
        assert_eq!(count(&series, BeatClass::Supraventricular).beats, 0);
        assert_eq!(
            count(&series_of("", &[1]), BeatClass::Ventricular).share_percent,
            None
        );
    }

    #[test]
    fn the_fastest_run_may_be_a_short_one() {
        let series = series_of(
            "NVVVVVNVVVN",
            &[500, 500, 500, 500, 500, 500, 500, 300, 300, 500, 500],
        );
        let found = count(&series, BeatClass::Ventricular);
        assert_eq!(found.longest_run.unwrap().beats, 5);
        let fastest = found.fastest_run.unwrap();
        assert_eq!(fastest.beats, 3);
        assert!((fastest.rate_bpm - 200.0).abs() < 1e-9);
    }

    #[test]
    fn patterns_need_three_repeats() {
        let check = |text: &str, bigeminy: u64, trigeminy: u64| {
            let found = count(&series_of(text, &[600]), BeatClass::Ventricular);
            assert_eq!(
                (found.bigeminy.episodes, found.trigeminy.episodes),
                (bigeminy, trigeminy),
                "{text}"
            );
        };
        check("NVNVNVN", 1, 0);
        check("NVNVN", 0, 0);
        check("NNVNNVNNVN", 0, 1);
        check("NVNVNVNNNNNVNVNVNV", 2, 0);
        check("NNVNNVNNVNVNVNVN", 1, 1);
        check("VVVVVV", 0, 0);
    }

    #[test]
    fn a_gap_ends_a_run() {
        use crate::ecg::holter::series::{Series, Settled};
        let beats: Vec<Settled> = (1..=6)
            .map(|n| Settled {
                sample: n * 400,
                class: BeatClass::Ventricular,
                template: None,
            })
            .collect();
        let gap = 1_300..1_500;
        let series = Series::new(beats, std::slice::from_ref(&gap), 1_000.0, 3_000);
        let found = count(&series, BeatClass::Ventricular);
        assert_eq!((found.runs, found.beats), (2, 6));
    }
}
