//! ST over the recording: levels by the minute, and stretches in which they are shifted.

use super::report::{StEpisode, StLead};
use super::st::Minute;
use crate::ecg::record::LeadName;

const MINUTE_S: f64 = 60.0;
/// Distance from the usual level that makes an episode, in microvolts: one millimetre on paper.
const SHIFT_UV_MIN: f32 = 100.0;
/// Minutes back at the usual level that end an episode.
const CALM_MINUTES: usize = 1;
/// Episodes told of one lead, the largest first where there are more.
const EPISODES_MAX: usize = 50;

/// The trend of every lead.
pub(super) fn leads(names: &[LeadName], minutes: &[Minute], duration_s: f64) -> Vec<StLead> {
    let lead = |(index, name): (usize, &LeadName)| {
        let level = |of: usize| {
            let levels = minutes
                .iter()
                .map(|m| m.levels_uv.get(index).copied().flatten().map(|l| l[of]));
            levels.collect::<Vec<Option<f32>>>()
        };
        let (j60, j80) = (level(0), level(1));
        let usual = median(&j60);
        let whole = |levels: &[Option<f32>]| levels.iter().map(|l| l.map(|v| v.round() as i32)).collect();
        StLead {
            lead: name.clone(),
            usual_j60_uv: usual.map(|v| v.round() as i32),
            episodes: usual.map_or_else(Vec::new, |usual| episodes(&j60, usual, duration_s)),
            reason: usual
                .is_none()
                .then(|| "no minute has ten conducted beats in a readable signal".to_owned()),
            j60_uv: whole(&j60),
            j80_uv: whole(&j80),
        }
    };
    names.iter().enumerate().map(lead).collect()
}

fn median(levels: &[Option<f32>]) -> Option<f32> {
    let mut values: Vec<f32> = levels.iter().flatten().copied().collect();
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

fn episodes(levels: &[Option<f32>], usual: f32, duration_s: f64) -> Vec<StEpisode> {
    let mut found: Vec<StEpisode> = Vec::new();
    let mut open: Option<(usize, usize, usize)> = None;
    let shift = |at: usize| levels.get(at).copied().flatten().map(|level| level - usual);
    let mut close = |open: &mut Option<(usize, usize, usize)>| {
        if let Some((first, last, peak)) = open.take() {
            found.push(StEpisode {
                from_s: first as f64 * MINUTE_S,
                to_s: ((last + 1) as f64 * MINUTE_S).min(duration_s),
                peak_uv: shift(peak).unwrap_or(0.0).round() as i32,
                peak_at_s: peak as f64 * MINUTE_S,
            });
        }
    };
    for at in 0..levels.len() {
        let Some(here) = shift(at) else { continue };
        if here.abs() >= SHIFT_UV_MIN {
            open = match open {
                // A rise and a fall are two episodes.
                Some((first, _, peak)) if shift(peak).unwrap_or(0.0) * here > 0.0 => {
                    let peak = if here.abs() > shift(peak).unwrap_or(0.0).abs() {
                        at
                    } else {
                        peak
                    };
                    Some((first, at, peak))
                }
                _ => {
                    close(&mut open);
                    Some((at, at, at))
                }
            };
        } else if open.is_some_and(|(_, last, _)| at - last >= CALM_MINUTES) {
            close(&mut open);
        }
    }
    close(&mut open);
    if found.len() > EPISODES_MAX {
        found.sort_by_key(|episode| std::cmp::Reverse(episode.peak_uv.abs()));
        found.truncate(EPISODES_MAX);
        found.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(levels: &[Option<f32>], expect: &[(f64, f64, i32)]) {
        let minutes: Vec<Minute> = levels
            .iter()
            .map(|level| Minute {
                levels_uv: vec![level.map(|v| [v, v])],
            })
            .collect();
        let got = leads(
            &[LeadName::new("V5")],
            &minutes,
            levels.len() as f64 * 60.0 - 10.0,
        );
        let got: Vec<(f64, f64, i32)> = got[0]
            .episodes
            .iter()
            .map(|e| (e.from_s, e.to_s, e.peak_uv))
            .collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn shifts_have_begin_end_and_peak() {
        let (calm, low, lower) = (Some(10.0), Some(-110.0), Some(-190.0));
        check(&[calm; 8], &[]);
        check(
            &[calm, calm, low, lower, None, low, calm, calm, calm],
            &[(120.0, 360.0, -200)],
        );
        check(&[calm, calm, calm, calm, low, lower], &[(240.0, 350.0, -200)]);
        check(
            &[calm, calm, calm, calm, calm, low, Some(150.0)],
            &[(300.0, 360.0, -120), (360.0, 410.0, 140)],
        );
    }

    #[test]
    fn a_lead_without_levels_says_why() {
        let minutes = vec![
            Minute {
                levels_uv: vec![None]
            };
            3
        ];
        let got = leads(&[LeadName::new("I")], &minutes, 180.0);
        assert!(got[0].reason.is_some() && got[0].usual_j60_uv.is_none());
    }
}
