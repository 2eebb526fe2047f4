//! What can be seen of one lead, in numbers.

use crate::ecg::beats::Beat;
use crate::ecg::record::Lead;

/// Numbers of one lead.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Signs {
    /// Share of the samples without a signal: none stored, or the amplifier at its rail.
    pub(crate) missing: f64,
    /// Share of the samples cut off at the end of the range.
    pub(crate) saturated: f64,
    /// Usual distance between the highest and the lowest value of a QRS, microvolts.
    pub(crate) height_uv: f64,
    /// Usual roughness between the waves, microvolts.
    pub(crate) noise_uv: f64,
    /// Half the span of the baseline, microvolts.
    pub(crate) wander_uv: f64,
    /// Usual amplitude of 50 or 60 Hz, microvolts.
    pub(crate) mains_uv: f64,
}

impl Signs {
    /// Looks at a lead as recorded and at the same on the diagnostic path.
    pub(super) fn of(lead: &Lead, clean: &[f32], beats: &[Beat], rate_hz: f64) -> Self {
        let raw = &lead.samples_uv;
        let missing = clean.iter().filter(|v| !v.is_finite()).count() as f64 / clean.len().max(1) as f64;
        if missing >= 0.999 {
            return Self {
                missing: 1.0,
                ..Self::default()
            };
        }
        Self {
            missing,
            saturated: saturated(raw, rate_hz),
            height_uv: usual_height(clean, beats, rate_hz),
            noise_uv: usual_noise(clean, rate_hz),
            wander_uv: wander(raw, clean),
            mains_uv: mains(raw, rate_hz),
        }
    }
}

/// Share of the samples that stand at the highest or lowest value of the lead as cut-off waves do: entered by a steep
/// step, or for long.
fn saturated(raw: &[f32], rate_hz: f64) -> f64 {
    /// Distance of the end of the range from the usual level.
    const FAR_UV: f32 = 500.0;
    const VERY_FAR_UV: f32 = 2_000.0;
    const STEP_UV: f32 = 25.0;
    const SHORT_S: f64 = 0.006;
    const LONG_S: f64 = 0.050;
    let finite = || raw.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    let level = finite().map(f64::from).sum::<f64>() / raw.len().max(1) as f64;
    let far = |end: f32, by: f32| f64::from((end - level as f32).abs()) > f64::from(by);
    if !(far(low, FAR_UV) || far(high, FAR_UV)) {
        return 0.0;
    }
    let (short, long) = ((SHORT_S * rate_hz).max(3.0) as usize, (LONG_S * rate_hz) as usize);
    let (mut at, mut cut, mut runs) = (0, 0, 0);
    for part in raw.chunk_by(|a, b| a == b) {
        let (value, from) = (part[0], at);
        at += part.len();
        if part.len() < short || !(value == low || value == high) || !far(value, FAR_UV) {
            continue;
        }
        let step = |place: Option<&f32>| place.is_some_and(|v| (v - value).abs() >= STEP_UV);
        let steep = step(from.checked_sub(1).and_then(|i| raw.get(i))) || step(raw.get(at));
        if steep || part.len() >= long && far(value, VERY_FAR_UV) {
            cut += part.len();
            runs += 1;
        }
    }
    // One plateau may be a wave; the same one twice is the end of the range.
    if runs < 2 {
        0.0
    } else {
        cut as f64 / raw.len() as f64
    }
}

/// Lower quartile of the amplitude at 50 or 60 Hz, whichever is larger, over blocks of a fifth of a second: whole
/// periods of both, and most of them without a QRS.
fn mains(raw: &[f32], rate_hz: f64) -> f64 {
    const BLOCK_S: f64 = 0.2;
    const HERTZ: [f64; 2] = [50.0, 60.0];
    let block = (BLOCK_S * rate_hz).round() as usize;
    if rate_hz < 2.5 * HERTZ[1] || block < 8 {
        return 0.0;
    }
    let quartile = |hertz: f64| {
        let wave = |at: usize| (std::f64::consts::TAU * hertz * at as f64 / rate_hz).sin_cos();
        let carrier: Vec<(f32, f32)> = (0..block)
            .map(|at| (wave(at).0 as f32, wave(at).1 as f32))
            .collect();
        let mut sizes: Vec<f64> = Vec::with_capacity(raw.len() / block);
        for part in raw.chunks_exact(block) {
            let first = part[0];
            let (mut sine, mut cosine) = (0.0_f32, 0.0_f32);
            for (value, (s, c)) in part.iter().zip(&carrier) {
                sine += (value - first) * s;
                cosine += (value - first) * c;
            }
            let size = 2.0 * f64::from(sine.hypot(cosine)) / block as f64;
            if size.is_finite() {
                sizes.push(size);
            }
        }
        let place = sizes.len() / 4;
        if sizes.is_empty() {
            return 0.0;
        }
        *sizes.select_nth_unstable_by(place, f64::total_cmp).1
    };
    quartile(HERTZ[0]).max(quartile(HERTZ[1]))
}

/// Median over the beats of the distance between highest and lowest value of the QRS.
fn usual_height(clean: &[f32], beats: &[Beat], rate_hz: f64) -> f64 {
    let half = (0.06 * rate_hz) as usize;
    let mut heights: Vec<f64> = Vec::with_capacity(beats.len());
    for beat in beats {
        let part = clean.get(beat.sample.saturating_sub(half)..(beat.sample + half).min(clean.len()));
        let values = part.unwrap_or_default().iter().filter(|v| v.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(f64::from(*v)), h.max(f64::from(*v)))
        });
        if high >= low {
            heights.push(high - low);
        }
    }
    median(&mut heights)
}

/// Median roughness of quarter seconds: what the second difference over 8 ms leaves in the quiet parts.
fn usual_noise(clean: &[f32], rate_hz: f64) -> f64 {
    let by = (0.004 * rate_hz).round().max(1.0) as usize;
    let block = ((0.25 * rate_hz) as usize).max(2 * by + 1);
    let mut sizes: Vec<f64> = Vec::new();
    for part in clean.chunks(block) {
        let rough = part
            .windows(2 * by + 1)
            .map(|w| f64::from(w[by] - 0.5 * (w[0] + w[2 * by])).powi(2));
        let (sum, count) = rough
            .filter(|v| v.is_finite())
            .fold((0.0, 0_usize), |(s, c), v| (s + v, c + 1));
        if count > 0 {
            sizes.push((sum / count as f64).sqrt());
        }
    }
    median(&mut sizes)
}

/// Half the span of what the diagnostic path took away, without the extreme hundredths.
fn wander(raw: &[f32], clean: &[f32]) -> f64 {
    const SEEN_MAX: usize = 1_000;
    let step = (raw.len() / SEEN_MAX).max(1);
    let pairs = raw.iter().zip(clean).step_by(step);
    let mut taken: Vec<f64> = pairs
        .map(|(r, c)| f64::from(r - c))
        .filter(|v| v.is_finite())
        .collect();
    if taken.is_empty() {
        return 0.0;
    }
    let mut at = |share: f64| {
        let place = ((taken.len() - 1) as f64 * share) as usize;
        *taken.select_nth_unstable_by(place, f64::total_cmp).1
    };
    0.5 * (at(0.99) - at(0.01))
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
