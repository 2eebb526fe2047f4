//! Waves without beats between them: fibrillation of the ventricles, flutter of the atria.

use crate::ecg::beats::Beat;

/// Share of four-second windows in which the signal is one unbroken wave of 3 to 9 a second.
///
/// A signal shifted by half its own period nearly cancels itself when it is close to a sinusoid (Kuo and Dillman,
/// Computer detection of ventricular fibrillation, Computers in Cardiology 1978).
pub(crate) fn fibrillating_share(signals: &[Vec<f32>], rate_hz: f64) -> f64 {
    const WINDOW_S: f64 = 4.0;
    const LEAKAGE_MAX: f64 = 0.40;
    const HEIGHT_UV_MIN: f64 = 60.0;
    // Waves of 10 Hz need no more samples than this.
    const RATE_HZ: f64 = 250.0;
    let step = (rate_hz / RATE_HZ).floor().max(1.0) as usize;
    let rate_hz = rate_hz / step as f64;
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let signals: Vec<Vec<f32>> = signals
        .iter()
        .map(|lead| lead.chunks(step).map(mean).collect())
        .collect();
    let window = (WINDOW_S * rate_hz) as usize;
    let Some(longest) = signals.first().map(Vec::len) else {
        return 0.0;
    };
    if window < 8 || longest < window {
        return 0.0;
    }
    let (mut seen, mut found) = (0_usize, 0_usize);
    for start in (0..=longest - window).step_by(window / 2) {
        let votes = signals.iter().filter_map(|lead| {
            let part = lead.get(start..start + window)?;
            let (leakage, frequency, size) = leakage(part, rate_hz)?;
            Some(leakage < LEAKAGE_MAX && (2.5..=10.0).contains(&frequency) && size > HEIGHT_UV_MIN)
        });
        let (yes, all) = votes.fold((0, 0), |(yes, all), vote| (yes + usize::from(vote), all + 1));
        seen += 1;
        found += usize::from(all > 0 && yes * 2 > all);
    }
    found as f64 / seen.max(1) as f64
}

/// Leakage, frequency and mean size of one window; `None` with gaps or without signal.
fn leakage(part: &[f32], rate_hz: f64) -> Option<(f64, f64, f64)> {
    let mean = part.iter().map(|v| f64::from(*v)).sum::<f64>() / part.len() as f64;
    if !mean.is_finite() {
        return None;
    }
    let by = (0.008 * rate_hz).round().max(1.0) as usize;
    let size: f64 = part.iter().map(|v| (f64::from(*v) - mean).abs()).sum();
    let steps: f64 = part
        .windows(by + 1)
        .map(|w| f64::from((w[by] - w[0]).abs()))
        .sum::<f64>()
        / by as f64;
    if steps <= 0.0 {
        return None;
    }
    let half_period = (std::f64::consts::PI * size / steps).round().max(1.0) as usize;
    let frequency = rate_hz / (2.0 * half_period as f64);
    let lag = half_period.min(part.len() / 2);
    let pairs = part[lag..].iter().zip(part);
    let (sum, all) = pairs.fold((0.0, 0.0), |(sum, all), (a, b)| {
        let (a, b) = (f64::from(*a) - mean, f64::from(*b) - mean);
        (sum + (a + b).abs(), all + a.abs() + b.abs())
    });
    (all > 0.0).then(|| (sum / all, frequency, size / part.len() as f64))
}

/// Periods of atrial flutter, in seconds.
pub(crate) const FLUTTER_S: (f64, f64) = (0.17, 0.29);

/// Strength (correlation with itself one period on) and rate a minute of the atria, measured between the QRS
/// complexes; `None` when too little lies between them.
pub(crate) fn atrial_period(
    signals: &[&[f32]],
    rate_hz: f64,
    beats: &[Beat],
    qt_s: f64,
    period_s: (f64, f64),
) -> Option<(f64, f64)> {
    const PAIRS_S_MIN: f64 = 0.8;
    let (shortest, longest) = ((period_s.0 * rate_hz) as usize, (period_s.1 * rate_hz) as usize);
    let guard = (
        (0.09 * rate_hz) as usize,
        (qt_s.clamp(0.2, 0.5) * rate_hz) as usize,
    );
    let free: Vec<(usize, usize)> = beats
        .windows(2)
        .map(|pair| (pair[0].sample + guard.1, pair[1].sample.saturating_sub(guard.0)))
        .filter(|(from, to)| *to > from + shortest)
        .collect();
    let mut best: Option<(f64, f64)> = None;
    for lag in shortest..=longest {
        let (mut product, mut power, mut count) = (0.0, 0.0, 0_usize);
        for (from, to) in &free {
            for lead in signals {
                let Some(part) = lead.get(*from..*to).filter(|p| p.len() > lag) else {
                    continue;
                };
                let mean = part.iter().sum::<f32>() / part.len() as f32;
                let (mut products, mut powers) = (0.0_f32, 0.0_f32);
                for (a, b) in part.iter().zip(&part[lag..]) {
                    let (a, b) = (a - mean, b - mean);
                    products += a * b;
                    powers += 0.5 * (a * a + b * b);
                }
                product += f64::from(products);
                power += f64::from(powers);
                count += part.len() - lag;
            }
        }
        if power > 0.0 && count as f64 >= PAIRS_S_MIN * rate_hz && power / count as f64 > 400.0 {
            let strength = product / power;
            if best.is_none_or(|(s, _)| strength > s) {
                best = Some((strength, 60.0 * rate_hz / lag as f64));
            }
        }
    }
    best
}
