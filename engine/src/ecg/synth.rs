//! Parametric ECGs for tests: half-sine waves at known onsets and offsets, so the truth is exact.

use std::f64::consts::{FRAC_PI_2, PI};

use super::record::{Lead, LeadName, Record, STANDARD_LEADS};

/// Shape and rhythm of one synthetic recording.
#[derive(Debug, Clone)]
pub(crate) struct Synth {
    pub(crate) rate_hz: f64,
    pub(crate) seconds: f64,
    /// Intervals between QRS onsets in seconds, repeated.
    pub(crate) intervals_s: Vec<f64>,
    /// `V` makes a wide, early-peaking ventricular beat, `B` a P wave without a beat; anything else a conducted one;
    /// repeated.
    pub(crate) kinds: Vec<char>,
    pub(crate) p_s: f64,
    /// PR interval; `None` leaves the P wave out.
    pub(crate) pr_s: Option<f64>,
    /// PR intervals of the single beats, repeated; none where all have the same.
    pub(crate) prs_s: Vec<f64>,
    pub(crate) qrs_s: f64,
    pub(crate) qt_s: f64,
    pub(crate) p_axis_deg: f64,
    pub(crate) qrs_axis_deg: f64,
    pub(crate) t_axis_deg: f64,
    pub(crate) noise_uv: f64,
    /// ST level in V2 in microvolts.
    pub(crate) st_v2_uv: f64,
    /// Interval of P waves that conduct to no beat.
    pub(crate) free_p_s: Option<f64>,
    /// Height of a pacemaker's stimulus 4 ms before the QRS.
    pub(crate) stimulus_uv: f64,
    /// Length of a delta wave, by which the QRS starts earlier.
    pub(crate) delta_s: f64,
    /// Length of T, and its height against the usual.
    pub(crate) t_s: f64,
    pub(crate) t_gain: f64,
    /// Heights of R and S by chest lead, microvolts.
    pub(crate) chest_r_uv: [f64; 6],
    pub(crate) chest_s_uv: [f64; 6],
    /// Height of P in the limb leads, and of the second half of P in V1.
    pub(crate) p_uv: f64,
    pub(crate) p_late_v1_uv: f64,
}

impl Default for Synth {
    fn default() -> Self {
        Self {
            rate_hz: 500.0,
            seconds: 10.0,
            intervals_s: vec![0.8],
            kinds: vec!['N'],
            p_s: 0.10,
            pr_s: Some(0.16),
            qrs_s: 0.092,
            qt_s: 0.38,
            p_axis_deg: 50.0,
            qrs_axis_deg: 45.0,
            t_axis_deg: 40.0,
            noise_uv: 4.0,
            st_v2_uv: 0.0,
            free_p_s: None,
            stimulus_uv: 0.0,
            prs_s: Vec::new(),
            delta_s: 0.0,
            t_s: 0.19,
            t_gain: 1.0,
            chest_r_uv: [220.0, 420.0, 800.0, 1250.0, 1350.0, 1000.0],
            chest_s_uv: [-1050.0, -1350.0, -900.0, -500.0, -250.0, -100.0],
            p_uv: 150.0,
            p_late_v1_uv: 0.0,
        }
    }
}

/// Where the beats of a synthetic recording are.
pub(crate) struct Truth {
    pub(crate) record: Record,
    /// QRS onsets in samples.
    #[allow(dead_code)]
    pub(crate) onsets: Vec<usize>,
    /// Main peaks in samples.
    pub(crate) peaks: Vec<usize>,
    pub(crate) kinds: Vec<char>,
}

impl Synth {
    pub(crate) fn make(&self) -> Truth {
        let n = (self.seconds * self.rate_hz) as usize;
        let mut leads = vec![vec![0.0_f64; n]; 12];
        let (mut onsets, mut peaks, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0.4;
        let mut index = 0;
        while at < self.seconds - 0.5 {
            let kind = self.kinds[index % self.kinds.len()];
            let peak = match kind {
                'V' => Some(self.ventricular(&mut leads, at)),
                'B' => {
                    self.atrial(&mut leads, at, index);
                    None
                }
                _ => {
                    self.atrial(&mut leads, at, index);
                    Some(self.conducted(&mut leads, at))
                }
            };
            if let Some(peak) = peak {
                onsets.push((at * self.rate_hz).round() as usize);
                peaks.push((peak * self.rate_hz).round() as usize);
                kinds.push(kind);
            }
            at += self.intervals_s[index % self.intervals_s.len()];
            index += 1;
        }
        if let Some(period) = self.free_p_s {
            for index in 0..(self.seconds / period) as usize {
                let on = 0.14 + period * index as f64;
                self.half_sine(&mut leads, &self.p_weights(), on, on + self.p_s);
            }
        }
        let mut noise = Noise(12345);
        for lead in &mut leads {
            for value in lead.iter_mut() {
                *value += self.noise_uv * noise.next();
            }
        }
        for at in 0..n {
            let (i, ii) = (leads[0][at], leads[1][at]);
            let rest = [ii - i, -(i + ii) / 2.0, i - ii / 2.0, ii - i / 2.0];
            for (lead, value) in leads[2..6].iter_mut().zip(rest) {
                lead[at] = value;
            }
        }
        let leads = leads.into_iter().zip(STANDARD_LEADS).map(|(values, name)| Lead {
            name: LeadName::new(name),
            samples_uv: values.into_iter().map(|v| v as f32).collect(),
            resolution_uv: 1.0,
            derived: false,
        });
        let record = Record::new("npy", leads.collect(), self.rate_hz).unwrap();
        Truth {
            record,
            onsets,
            peaks,
            kinds,
        }
    }

    /// The P wave of the beat at `q`, if it has one.
    fn atrial(&self, leads: &mut [Vec<f64>], q: f64, index: usize) {
        let own = self.prs_s.get(index % self.prs_s.len().max(1)).copied();
        if let Some(pr) = own.or(self.pr_s) {
            let (on, off) = (q - pr, q - pr + self.p_s);
            self.half_sine(leads, &self.p_weights(), on, off);
            let mut late = [0.0; 12];
            late[6] = self.p_late_v1_uv;
            self.half_sine(leads, &late, 0.5 * (on + off), off);
        }
    }

    /// A conducted beat; answers the time of the R peak.
    fn conducted(&self, leads: &mut [Vec<f64>], q: f64) -> f64 {
        let (a, b, c) = (q + 0.2 * self.qrs_s, q + 0.62 * self.qrs_s, q + self.qrs_s);
        let r = with_chest(self.qrs_axis_deg, 1100.0, self.chest_r_uv);
        let s = with_chest(self.qrs_axis_deg, -220.0, self.chest_s_uv);
        if self.delta_s > 0.0 {
            // A slow rise that goes over into R.
            let delta: Vec<f64> = r.iter().map(|v| 0.45 * v).collect();
            self.add(leads, &delta, q - self.delta_s, a, |u| u);
            self.add(leads, &delta, a, b, |u| 1.0 - u);
        }
        let small = with_chest(self.qrs_axis_deg, -90.0, [50.0, 90.0, 120.0, -30.0, -80.0, -80.0]);
        self.half_sine(leads, &small, q, a);
        self.half_sine(leads, &r, a, b);
        self.half_sine(leads, &s, b, c);
        if self.stimulus_uv != 0.0 {
            let at = ((q - 0.004) * self.rate_hz).round() as usize;
            for (lead, share) in leads.iter_mut().zip(limb(-60.0).into_iter().chain([0.5; 6])) {
                lead[at] += share * self.stimulus_uv;
            }
        }
        let t: Vec<f64> = with_chest(self.t_axis_deg, 330.0, [60.0, 300.0, 350.0, 330.0, 280.0, 220.0])
            .iter()
            .map(|v| v * self.t_gain)
            .collect();
        let (start, end) = (q + self.qt_s - self.t_s, q + self.qt_s);
        self.add(leads, &t, start, end, |u| {
            if u < 0.6 {
                (u / 0.6 * FRAC_PI_2).sin().powi(2)
            } else {
                ((u - 0.6) / 0.4 * FRAC_PI_2).cos()
            }
        });
        let mut st = [0.0; 12];
        st[7] = self.st_v2_uv;
        self.add(leads, &st, c, start, |_| 1.0);
        self.add(leads, &st, start, end, |u| (u * FRAC_PI_2).cos());
        (a + b) / 2.0
    }

    fn p_weights(&self) -> Vec<f64> {
        with_chest(self.p_axis_deg, self.p_uv, [60.0, 70.0, 70.0, 60.0, 60.0, 50.0])
    }

    /// A ventricular ectopic beat; answers the time of its main peak.
    fn ventricular(&self, leads: &mut [Vec<f64>], q: f64) -> f64 {
        let weights = with_chest(-70.0, 1600.0, [900.0, 1500.0, 1300.0, 800.0, -700.0, -900.0]);
        self.half_sine(leads, &weights, q, q + 0.16);
        let t: Vec<f64> = weights.iter().map(|w| -0.3 * w).collect();
        self.half_sine(leads, &t, q + 0.18, q + 0.42);
        q + 0.08
    }

    fn half_sine(&self, leads: &mut [Vec<f64>], weights: &[f64], from: f64, to: f64) {
        self.add(leads, weights, from, to, |u| (u * PI).sin());
    }

    fn add(&self, leads: &mut [Vec<f64>], weights: &[f64], from: f64, to: f64, wave: impl Fn(f64) -> f64) {
        let (first, last) = (
            (from * self.rate_hz).ceil().max(0.0) as usize,
            (to * self.rate_hz).floor() as usize,
        );
        for (lead, weight) in leads.iter_mut().zip(weights) {
            for at in first..=last.min(lead.len() - 1) {
                lead[at] += weight * wave((at as f64 / self.rate_hz - from) / (to - from));
            }
        }
    }
}

/// Projections on the six limb leads of a unit vector at `axis_deg` (leads with aVR, aVL, aVF unaugmented by Goldberger).
fn limb(axis_deg: f64) -> [f64; 6] {
    let i = axis_deg.to_radians().cos();
    let ii = (axis_deg - 60.0).to_radians().cos();
    [i, ii, ii - i, -(i + ii) / 2.0, i - ii / 2.0, ii - i / 2.0]
}

fn with_chest(axis_deg: f64, size: f64, chest: [f64; 6]) -> Vec<f64> {
    limb(axis_deg).iter().map(|v| v * size).chain(chest).collect()
}

/// Repeatable noise, about normal with unit variance.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn next(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
