//! The representative beat: the median of aligned beats of one kind, lead by lead.

use crate::ecg::beats::Beat;

/// Time before and after the main peak.
const BEFORE_S: f64 = 0.45;
const AFTER_S: f64 = 0.68;
/// Most beats that enter.
const BEATS_MAX: usize = 60;

/// A representative beat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MedianBeat {
    /// Leads in microvolts.
    pub(crate) leads: Vec<Vec<f64>>,
    /// Place of the main peak.
    pub(crate) centre: usize,
    /// Beats that entered.
    pub(crate) count: usize,
}

/// Median over the beats at `chosen` (places in `beats`); `None` when no beat fits into the recording.
pub(crate) fn median_beat(
    signals: &[Vec<f64>],
    rate_hz: f64,
    beats: &[Beat],
    chosen: &[usize],
) -> Option<MedianBeat> {
    let before = (BEFORE_S * rate_hz) as usize;
    let after = (AFTER_S * rate_hz) as usize;
    let n = signals.first()?.len();
    let mut spans: Vec<Span> = Vec::new();
    for index in chosen.iter().copied().take(BEATS_MAX) {
        let beat = beats.get(index)?;
        let guard = (0.10 * rate_hz) as usize;
        let floor = index
            .checked_sub(1)
            .and_then(|i| beats.get(i))
            .map_or(0, |b| b.sample + guard);
        let ceiling = beats.get(index + 1).map_or(n, |b| b.sample.saturating_sub(guard));
        // A beat whose QRS is cut by an end of the recording says nothing.
        if beat.sample >= guard && beat.sample + guard < n {
            spans.push(Span {
                centre: beat.sample,
                from: floor,
                to: ceiling.min(n),
            });
        }
    }
    let first = spans.first()?.centre;
    for span in &mut spans {
        span.centre = aligned(signals, first, span.centre, rate_hz);
    }
    let leads = signals
        .iter()
        .map(|lead| median_lead(lead, &spans, before, after))
        .collect();
    Some(MedianBeat {
        leads,
        centre: before,
        count: spans.len(),
    })
}

/// A beat and the part of the recording that belongs to it alone.
struct Span {
    centre: usize,
    from: usize,
    to: usize,
}

/// The place near `centre` where the QRS lies best upon the one at `first`.
fn aligned(signals: &[Vec<f64>], first: usize, centre: usize, rate_hz: f64) -> usize {
    // The peak of a plateau may be marked anywhere on it.
    let reach = (0.045 * rate_hz).ceil() as isize;
    let half = (0.05 * rate_hz) as isize;
    let distance = |shift: isize| {
        let mut sum = 0.0;
        for lead in signals {
            for offset in -half..=half {
                let at = |place: usize| {
                    place
                        .checked_add_signed(offset)
                        .and_then(|i| lead.get(i))
                        .copied()
                };
                let a = at(first).unwrap_or(0.0);
                let b = centre.checked_add_signed(shift).and_then(at).unwrap_or(0.0);
                if a.is_finite() && b.is_finite() {
                    sum += (a - b).powi(2);
                }
            }
        }
        sum
    };
    let best = (-reach..=reach).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    centre.saturating_add_signed(best.unwrap_or(0))
}

fn median_lead(lead: &[f64], spans: &[Span], before: usize, after: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(before + after);
    let mut values: Vec<f64> = Vec::with_capacity(spans.len());
    for place in 0..before + after {
        values.clear();
        for span in spans {
            let Some(at) = (span.centre + place).checked_sub(before) else {
                continue;
            };
            if at >= span.from
                && at < span.to
                && let Some(value) = lead.get(at).filter(|v| v.is_finite())
            {
                values.push(*value);
            }
        }
        let middle = values.len() / 2;
        out.push(if values.is_empty() {
            f64::NAN
        } else {
            let upper = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
            if values.len() % 2 == 1 {
                upper
            } else {
                let lower = values[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                0.5 * (upper + lower)
            }
        });
    }
    hold_ends(&mut out);
    out
}

/// Places that no beat reached take the nearest value; a lead without any becomes zero.
fn hold_ends(values: &mut [f64]) {
    let mut last = values.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    for value in values {
        if value.is_finite() {
            last = *value;
        } else {
            *value = last;
        }
    }
}
