//! The beats of a whole recording in order, and which intervals between them can be trusted.

use crate::ecg::beats::BeatClass;
use std::ops::Range;

/// Beats by which the edge of an episode of fibrillation is uncertain: half of the intervals that it is found with.
const EDGE_BEATS: usize = 20;

/// One beat at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// Mark in samples of the recording.
    pub(super) sample: u64,
    pub(super) class: BeatClass,
    /// Its template, where it has one.
    pub(super) template: Option<usize>,
}

/// Beats and intervals.
pub(super) struct Series {
    pub(super) beats: Vec<Settled>,
    pub(super) rate_hz: f64,
    /// Length of the recording in seconds.
    pub(super) duration_s: f64,
    /// Whether the interval behind each beat lies in what can be read.
    sound: Vec<bool>,
}

impl Series {
    /// `bad` are the stretches that cannot be read, in time order and apart.
    pub(super) fn new(beats: Vec<Settled>, bad: &[Range<u64>], rate_hz: f64, samples: u64) -> Self {
        let mut sound = Vec::with_capacity(beats.len());
        let mut next = 0;
        for pair in beats.windows(2) {
            let (from, to) = (pair[0].sample, pair[1].sample);
            while bad.get(next).is_some_and(|gap| gap.end <= from) {
                next += 1;
            }
            sound.push(bad.get(next).is_none_or(|gap| gap.start >= to));
        }
        Self {
            beats,
            rate_hz,
            duration_s: samples as f64 / rate_hz,
            sound,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.beats.len()
    }

    /// Time of a beat in seconds.
    pub(super) fn at_s(&self, index: usize) -> f64 {
        self.beats
            .get(index)
            .map_or(0.0, |beat| beat.sample as f64 / self.rate_hz)
    }

    pub(super) fn class(&self, index: usize) -> Option<BeatClass> {
        self.beats.get(index).map(|beat| beat.class)
    }

    /// Within `fibrillating` (ranges of beats) no beat is early, for nothing there has its time: what is not ventricular
    /// by its shape is conducted. `conducted` says whether most beats of a template are. Where an episode begins and
    /// ends is known to [`EDGE_BEATS`] only: up to there, too, time alone makes no beat ventricular.
    pub(super) fn calm(&mut self, fibrillating: &[(usize, usize)], conducted: impl Fn(usize) -> bool) {
        for (first, last) in fibrillating {
            let (from, to) = (
                first.saturating_sub(EDGE_BEATS),
                last.saturating_add(EDGE_BEATS)
                    .min(self.beats.len().saturating_sub(1)),
            );
            for (index, beat) in self.beats.iter_mut().enumerate().take(to + 1).skip(from) {
                let by_time = match beat.class {
                    BeatClass::Supraventricular => (*first..=*last).contains(&index),
                    BeatClass::Ventricular | BeatClass::Fusion => beat.template.is_some_and(&conducted),
                    BeatClass::Normal | BeatClass::Unclassifiable => false,
                };
                if by_time {
                    beat.class = BeatClass::Normal;
                }
            }
        }
    }

    /// Interval behind a beat in seconds, where it lies in what can be read.
    pub(super) fn interval_s(&self, index: usize) -> Option<f64> {
        let sound = self.sound.get(index).copied().unwrap_or(false);
        sound.then(|| self.at_s(index + 1) - self.at_s(index))
    }

    /// The same between two beats which the sinus node, or what stands for it, conducted.
    pub(super) fn normal_interval_s(&self, index: usize) -> Option<f64> {
        let conducted = |at: usize| self.class(at) == Some(BeatClass::Normal);
        self.interval_s(index)
            .filter(|_| conducted(index) && conducted(index + 1))
    }
}

/// Ranges sorted and joined where they touch.
pub(super) fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// A list of beats for tests: a letter a beat, intervals in milliseconds behind each.
#[cfg(test)]
pub(super) fn series_of(text: &str, intervals_ms: &[u64]) -> Series {
    let mut at = 1_000;
    let beats = text.chars().enumerate().map(|(index, letter)| {
        let class = match letter {
            'S' => BeatClass::Supraventricular,
            'V' => BeatClass::Ventricular,
            'F' => BeatClass::Fusion,
            'Q' => BeatClass::Unclassifiable,
            _ => BeatClass::Normal,
        };
        let beat = Settled {
            sample: at,
            class,
            template: None,
        };
        at += intervals_ms[index % intervals_ms.len()];
        beat
    });
    let beats: Vec<Settled> = beats.collect();
    Series::new(beats, &[], 1_000.0, at + 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fibrillation_knows_shapes_and_no_early_beats() {
        let mut series = series_of("NSVVNSV", &[600]);
        series.beats[2].template = Some(0);
        series.beats[3].template = Some(1);
        series.calm(&[(0, 4)], |template| template == 0);
        let letters = |series: &Series| series.beats.iter().map(|b| b.class.letter()).collect::<String>();
        assert_eq!(letters(&series), "NNNVNSV");
        // beside the episode, too, a narrow beat is not ventricular for coming early
        series.beats[6].template = Some(0);
        series.calm(&[(0, 4)], |template| template == 0);
        assert_eq!(letters(&series), "NNNVNSN");
    }

    #[test]
    fn intervals_over_what_cannot_be_read_are_none() {
        let beats = [100, 200, 300, 400, 500].map(|sample| Settled {
            sample,
            class: BeatClass::Normal,
            template: None,
        });
        let bad = merged(vec![330..340, 320..335, 400..450]);
        assert_eq!(bad, [320..340, 400..450]);
        let series = Series::new(beats.to_vec(), &bad, 100.0, 600);
        let sound: Vec<bool> = (0..5).map(|i| series.interval_s(i).is_some()).collect();
        assert_eq!(sound, [true, true, false, false, false]);
        assert_eq!((series.interval_s(0), series.duration_s), (Some(1.0), 6.0));
    }
}
