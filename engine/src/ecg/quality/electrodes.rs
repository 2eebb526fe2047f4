//! Electrodes on the wrong place, and hearts on the other side.
//!
//! Signs: Kligfield et al., AHA/ACCF/HRS recommendations part I (2007), lead switches; Batchvarov et al., Incorrect
//! electrode cable connection during electrocardiographic recording, Europace 2007. Only switches which turn P, QRS and
//! T of a lead over together are told: a changed axis alone has too many other causes.

use crate::ecg::interpret::Evidence;
use crate::ecg::measure::Measured;

/// Places of leads among the standard twelve.
const I: usize = 0;
const II: usize = 1;
const III: usize = 2;
const AVR: usize = 3;
const AVF: usize = 5;
const V1: usize = 6;
const V2: usize = 7;
const V5: usize = 10;
const V6: usize = 11;

/// What the leads look like when they do not look as they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Right and left arm exchanged.
    Arms,
    /// Right arm and left leg exchanged.
    RightArmLeftLeg,
    /// Right arm and right leg exchanged: lead II lies between the legs.
    RightArmRightLeg,
    /// The heart itself lies on the right.
    Dextrocardia,
}

impl Placement {
    /// What it is called in Chinese and in English.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Arms => (
                "左右上肢电极接反可能",
                "Left and right arm electrodes may be exchanged",
            ),
            Self::RightArmLeftLeg => (
                "右上肢与左下肢电极接反可能",
                "Right arm and left leg electrodes may be exchanged",
            ),
            Self::RightArmRightLeg => (
                "右上肢与右下肢电极接反可能",
                "Right arm and right leg electrodes may be exchanged",
            ),
            Self::Dextrocardia => (
                "右位心图形,请核对电极位置",
                "Pattern of dextrocardia: check the electrodes",
            ),
        }
    }
}

/// Waves of one lead of the representative beat, in microvolts; P over its own chord, the others over the QRS onset.
struct Waves {
    p: f64,
    r: f64,
    s: f64,
    t: f64,
}

impl Waves {
    fn of(measured: &Measured, standard: usize) -> Option<Self> {
        let lead = measured.lead(standard)?;
        let zero = measured.zero_of(lead)?;
        let marks = &measured.marks;
        let qrs = lead.get(marks.qrs_on?..=marks.qrs_off?)?;
        let end = |sign: f64| qrs.iter().map(|v| (v - zero) * sign).fold(0.0, f64::max);
        Some(Self {
            p: measured.p_height(lead)?,
            r: end(1.0),
            s: end(-1.0),
            t: lead.get(marks.t_peak?)? - zero,
        })
    }

    fn height(&self) -> f64 {
        self.r + self.s
    }

    /// P, QRS and T below the line.
    fn is_turned_over(&self) -> bool {
        const P_UV: f64 = -25.0;
        const T_UV: f64 = -40.0;
        self.p < P_UV && self.s > 1.5 * self.r && self.t < T_UV
    }

    /// P and QRS above the line, as they never are in aVR.
    fn is_upright(&self) -> bool {
        const P_UV: f64 = 20.0;
        self.p > P_UV && self.r > 1.2 * self.s
    }
}

/// What is wrong with the places of the electrodes, with the leads that show it; `None` where nothing is, or where
/// there is no P wave to tell it by.
pub(crate) fn placement(measured: &Measured) -> Option<(Placement, Evidence)> {
    measured.values.p_ms?;
    let waves = |standard: usize| Waves::of(measured, standard);
    let (one, two, three) = (waves(I)?, waves(II)?, waves(III)?);
    let (avr, avf) = (waves(AVR)?, waves(AVF)?);
    if nearly_nothing(&two, &one, &three) {
        let uv = two.height();
        return Some((
            Placement::RightArmRightLeg,
            Evidence::new(
                format!("II导联QRS仅{uv:.0} µV, I、III导联正常"),
                format!("QRS of {uv:.0} µV in II beside normal I and III"),
            ),
        ));
    }
    let (v1, v2, v5, v6) = (waves(V1), waves(V2), waves(V5), waves(V6)?);
    let sound_chest = v6.p > 0.0 && v6.r > v6.s;
    // Both swaps may turn I over; only this one takes II and aVF along.
    if two.is_turned_over() && avf.is_turned_over() && avr.is_upright() {
        let evidence = turned("II", "、aVF, aVR直立", " and aVF, aVR upright");
        return (sound_chest && v6.t > 0.0).then_some((Placement::RightArmLeftLeg, evidence));
    }
    if !(one.is_turned_over() && avr.is_upright()) {
        return None;
    }
    let fades = v6.height() < 0.6 * v1.zip(v2).map_or(0.0, |(a, b)| a.height().max(b.height()));
    if fades && v6.r < v6.s.max(300.0) && v5.is_none_or(|v5| v5.r < 1.5 * v5.s) {
        let evidence = turned("I", ", 胸导联R波递减", ", chest leads fade to the left");
        return Some((Placement::Dextrocardia, evidence));
    }
    let evidence = turned("I", ", aVR直立, V6正常", ", aVR upright, V6 as usual");
    sound_chest.then_some((Placement::Arms, evidence))
}

fn turned(lead: &str, zh: &str, en: &str) -> Evidence {
    Evidence::new(
        format!("P-QRS-T倒置于{lead}{zh}"),
        format!("P, QRS and T turned over in {lead}{en}"),
    )
}

/// Whether lead II is an almost straight line while the leads beside it are not.
fn nearly_nothing(two: &Waves, one: &Waves, three: &Waves) -> bool {
    const NOTHING_UV: f64 = 100.0;
    const SOMETHING_UV: f64 = 300.0;
    let small = two.height() < NOTHING_UV && two.p.abs() < 30.0 && two.t.abs() < 40.0;
    small && one.height() > SOMETHING_UV && three.height() > SOMETHING_UV
}
