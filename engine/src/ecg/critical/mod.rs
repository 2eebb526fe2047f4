//! Critical values (危急值): rule sets as data, so that a county can follow its own province.

mod rulesets;

use serde::Serialize;

use super::interpret::repolarisation::st_mv;
use super::interpret::rhythm::{Rhythm, dissociated_atria_bpm};
use super::interpret::{Evidence, Facts, runs};
use super::record::STANDARD_LEADS;

pub use rulesets::{CONSENSUS_2017, SHANXI, ZHEJIANG, all, by_name};

/// A critical finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Critical {
    /// Stable word of the rule.
    pub rule: &'static str,
    /// Name of its rule set.
    pub ruleset: &'static str,
    /// Where the rule set comes from.
    pub citation: &'static str,
    /// In Chinese.
    pub text_zh: &'static str,
    /// In English.
    pub text_en: &'static str,
    /// The numbers that fired it, in English.
    pub evidence: String,
    /// The same in Chinese.
    pub evidence_zh: String,
}

/// Rules of one authority.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ruleset {
    /// Stable name.
    pub name: &'static str,
    /// Where the rules come from.
    pub citation: &'static str,
    /// The rules.
    pub rules: &'static [Rule],
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Stable word.
    pub rule: &'static str,
    /// In Chinese.
    pub text_zh: &'static str,
    /// In English.
    pub text_en: &'static str,
    /// When it fires.
    pub condition: Condition,
}

/// When a rule fires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Condition {
    /// Mean ventricular rate at or below this many beats a minute.
    RateAtMost(f64),
    /// An interval of at least so many seconds.
    PauseAtLeast(f64),
    /// Complete AV block; whether it is the first is for the physician to say.
    CompleteAvBlock,
    /// A ventricular run at least so fast (a minute) and so long (seconds).
    VentricularTachycardia {
        /// Least rate a minute.
        rate_bpm: f64,
        /// Least duration in seconds.
        duration_s: f64,
    },
    /// Ventricular fibrillation or flutter.
    VentricularFibrillation,
    /// Supraventricular tachycardia at least so fast.
    SupraventricularRate(f64),
    /// Atrial fibrillation or flutter with a mean ventricular rate at least so fast.
    AtrialFibrillationRate(f64),
    /// QTc of at least so many milliseconds together with ventricular ectopy.
    LongQtWithEctopy(f64),
    /// ST elevation in two neighbouring leads: limb leads and V4 to V6, and V1 to V3, in millivolts.
    StElevation {
        /// Least level in limb leads and V4 to V6.
        limb_mv: f64,
        /// Least level in V1 to V3.
        chest_mv: f64,
    },
}

/// What the rules of `ruleset` find.
pub(crate) fn evaluate(ruleset: &Ruleset, facts: &Facts<'_>, rhythm: Rhythm) -> Vec<Critical> {
    let mut out = Vec::new();
    for rule in ruleset.rules {
        if let Some(evidence) = rule.condition.evidence(facts, rhythm) {
            let Rule {
                rule,
                text_zh,
                text_en,
                ..
            } = *rule;
            out.push(Critical {
                rule,
                ruleset: ruleset.name,
                citation: ruleset.citation,
                text_zh,
                text_en,
                evidence: evidence.en,
                evidence_zh: evidence.zh,
            });
        }
    }
    out
}

impl Condition {
    /// The numbers that fire this condition, `None` when it does not fire.
    fn evidence(self, facts: &Facts<'_>, rhythm: Rhythm) -> Option<Evidence> {
        /// Beats from which a mean rate is meant seriously.
        const BEATS_MIN: usize = 3;
        let values = &facts.measured.values;
        let rate = values.heart_rate_bpm.filter(|_| facts.beats.len() >= BEATS_MIN);
        match self {
            Self::RateAtMost(limit) => rate.filter(|r| *r <= limit).map(mean_rate),
            Self::PauseAtLeast(seconds) => {
                let longest_ms = runs::longest_interval_ms(facts);
                (longest_ms >= 1_000.0 * seconds).then(|| runs::longest_rr(longest_ms))
            }
            Self::CompleteAvBlock => {
                let atria = dissociated_atria_bpm(facts, rhythm)?;
                let zh = format!("P波{atria:.0}次/分, 与QRS无关");
                Some(Evidence::new(
                    zh,
                    format!("P waves {atria:.0}/min, independent of QRS"),
                ))
            }
            Self::VentricularTachycardia { rate_bpm, duration_s } => {
                let found = runs::ventricular_runs(facts.beats, facts.rate_hz).into_iter();
                let worst = found
                    .filter(|run| run.beats >= 3 && run.rate_bpm >= rate_bpm)
                    // One that fills a short recording has neither begun nor ended in it.
                    .filter(|run| run.duration_s >= duration_s || run.beats == facts.beats.len())
                    .max_by(|a, b| a.duration_s.total_cmp(&b.duration_s))?;
                let (rate, long) = (worst.rate_bpm, worst.duration_s);
                let zh = format!("{rate:.0}次/分, 持续{long:.0} s");
                Some(Evidence::new(zh, format!("{rate:.0}/min for {long:.0} s")))
            }
            Self::VentricularFibrillation => (rhythm == Rhythm::VentricularFibrillation).then(|| {
                let share = 100.0 * facts.fibrillating_share;
                let zh = format!("占记录的{share:.0} %");
                Evidence::new(zh, format!("{share:.0} % of the recording"))
            }),
            Self::SupraventricularRate(limit) => rate
                .filter(|r| rhythm == Rhythm::SupraventricularTachycardia && *r >= limit)
                .map(mean_rate),
            Self::AtrialFibrillationRate(limit) => rate
                .filter(|r| {
                    matches!(rhythm, Rhythm::AtrialFibrillation | Rhythm::AtrialFlutter) && *r >= limit
                })
                .map(mean_rate),
            Self::LongQtWithEctopy(limit) => {
                // QT says nothing of repolarisation where the beats are not conducted.
                let conducted = !matches!(rhythm, Rhythm::Paced | Rhythm::VentricularTachycardia);
                let qtc = values.qtc_fridericia_ms.filter(|ms| *ms >= limit && conducted)?;
                let ectopic = facts
                    .beats
                    .iter()
                    .any(|b| b.class == crate::ecg::BeatClass::Ventricular);
                ectopic.then(|| {
                    let zh = format!("QTc(Fridericia) {qtc:.0} ms, 有室性早搏");
                    let en = format!("QTc (Fridericia) {qtc:.0} ms with ventricular ectopic beats");
                    Evidence::new(zh, en)
                })
            }
            Self::StElevation { limb_mv, chest_mv } => st_elevation(facts, rhythm, limb_mv, chest_mv),
        }
    }
}

fn mean_rate(bpm: f64) -> Evidence {
    Evidence::new(
        format!("平均心室率{bpm:.0}次/分"),
        format!("mean ventricular rate {bpm:.0}/min"),
    )
}

/// Leads with ST elevation when two neighbours of one wall have it; not judged with a wide or paced QRS.
fn st_elevation(facts: &Facts<'_>, rhythm: Rhythm, limb_mv: f64, chest_mv: f64) -> Option<Evidence> {
    /// Neighbours: inferior, high lateral and lateral, and the chest leads in their order.
    const NEIGHBOURS: [(usize, usize); 10] = [
        (1, 5),
        (5, 2),
        (1, 2),
        (0, 4),
        (6, 7),
        (7, 8),
        (8, 9),
        (9, 10),
        (10, 11),
        (0, 11),
    ];
    let narrow = facts.measured.values.qrs_ms.is_some_and(|ms| ms < 120.0);
    if !narrow || rhythm == Rhythm::Paced {
        return None;
    }
    let raised = |lead: usize| {
        let limit = if (6..=8).contains(&lead) {
            chest_mv
        } else {
            limb_mv
        };
        st_mv(facts.measured, lead).is_some_and(|mv| mv >= limit)
    };
    NEIGHBOURS.iter().find(|(a, b)| raised(*a) && raised(*b))?;
    let leads: Vec<&str> = (0..12)
        .filter(|lead| raised(*lead))
        .map(|lead| STANDARD_LEADS[lead])
        .collect();
    let (zh, en) = (leads.join("、"), leads.join(", "));
    Some(Evidence::new(
        format!("{zh}导联ST段抬高"),
        format!("ST elevation in {en}"),
    ))
}

#[cfg(test)]
mod tests;
