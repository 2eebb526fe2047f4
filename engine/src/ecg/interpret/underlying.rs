//! What the atria do under a pacemaker.

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Statement, finding};
use crate::ecg::beats::{Beat, BeatClass};

/// States fibrillation of the atria between paced beats: beats that the pacemaker did not make come irregularly and
/// without P. A pacemaker alone, or a sinus node that overtakes it, does neither.
pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    const P_SHARE_MAX: f64 = 0.2;
    if rhythm != Rhythm::Paced || facts.evidence.share > P_SHARE_MAX {
        return;
    }
    if let Some((low, high)) = irregular_span(facts.beats, facts.rate_hz) {
        out.push(finding::ATRIAL_FIBRILLATION.with(Evidence::new(
            format!("起搏间的自身心搏前无P波, RR {low:.0}~{high:.0} ms"),
            format!("own beats between paced ones without P, RR {low:.0} to {high:.0} ms"),
        )));
    }
}

/// Shortest and longest interval before the patient's own beats, in milliseconds, when these are irregular.
fn irregular_span(beats: &[Beat], rate_hz: f64) -> Option<(f64, f64)> {
    const BEATS_MIN: usize = 3;
    const CHANGE_MIN: f64 = 0.10;
    let own = beats.windows(2).filter(|pair| pair[1].class == BeatClass::Normal);
    let mut intervals: Vec<f64> = own
        .map(|pair| (pair[1].sample - pair[0].sample) as f64 * 1_000.0 / rate_hz)
        .collect();
    intervals.sort_by(f64::total_cmp);
    let (low, high) = (*intervals.first()?, *intervals.last()?);
    let middle = *intervals.get(intervals.len() / 2)?;
    (intervals.len() >= BEATS_MIN && high - low > CHANGE_MIN * middle).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_beats_must_be_several_and_irregular() {
        use BeatClass::{Normal as N, Unclassifiable as Q};
        let check = |beats: &[(usize, BeatClass)], expect: bool| {
            let beats: Vec<Beat> = beats
                .iter()
                .map(|(sample, class)| Beat {
                    sample: *sample,
                    class: *class,
                })
                .collect();
            assert_eq!(irregular_span(&beats, 1_000.0).is_some(), expect, "{beats:?}");
        };
        check(
            &[(0, Q), (1_000, Q), (1_700, N), (2_500, N), (3_500, Q), (4_100, N)],
            true,
        );
        check(
            &[(0, Q), (1_000, Q), (1_700, N), (2_410, N), (3_400, Q), (4_100, N)],
            false,
        );
        check(&[(0, Q), (1_000, Q), (1_700, N), (2_700, Q), (3_300, N)], false);
        check(&[], false);
    }
}
