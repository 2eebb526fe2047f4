//! Critical values (危急值): rule sets as data, so that a county can follow its own province.

mod ruleset;

use serde::Serialize;

use super::beats::BeatClass;
use super::interpret::repolarisation::st_mv;
use super::interpret::rhythm::Rhythm;
use super::interpret::{Evidence, Facts, Statement, runs};
use super::record::STANDARD_LEADS;

pub(crate) use ruleset::national;
pub use ruleset::{Condition, Rule, Ruleset, RulesetError, all, by_name};

/// QRS from which the spread of excitation itself changes ST and QT.
const WIDE_MS: f64 = 120.0;

/// A critical finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Critical {
    /// Stable word of the rule.
    pub rule: String,
    /// Name of its rule set.
    pub ruleset: String,
    /// Version of its rule set.
    pub ruleset_version: String,
    /// Where the rule set comes from.
    pub citation: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// The numbers that fired it, in English.
    pub evidence: String,
    /// The same in Chinese.
    pub evidence_zh: String,
}

/// What the rules of `ruleset` find; `statements` are what the interpretation found.
pub(crate) fn evaluate(
    ruleset: &Ruleset,
    facts: &Facts<'_>,
    rhythm: Rhythm,
    statements: &[Statement],
) -> Vec<Critical> {
    let view = View {
        facts,
        rhythm,
        statements,
    };
    let mut out = Vec::new();
    for rule in &ruleset.rules {
        if let Some(evidence) = view.evidence(&rule.when) {
            out.push(Critical {
                rule: rule.rule.clone(),
                ruleset: ruleset.name.clone(),
                ruleset_version: ruleset.version.clone(),
                citation: ruleset.citation.clone(),
                text_zh: rule.text_zh.clone(),
                text_en: rule.text_en.clone(),
                evidence: evidence.en,
                evidence_zh: evidence.zh,
            });
        }
    }
    out
}

/// What conditions look at.
struct View<'a> {
    facts: &'a Facts<'a>,
    rhythm: Rhythm,
    statements: &'a [Statement],
}

impl View<'_> {
    /// The numbers that fire the condition, `None` when it does not fire.
    fn evidence(&self, condition: &Condition) -> Option<Evidence> {
        let rate_within = |min: Option<f64>, max: Option<f64>| {
            let fits = |r: &f64| min.is_none_or(|min| *r >= min) && max.is_none_or(|max| *r <= max);
            self.rate().filter(fits)
        };
        match condition {
            Condition::VentricularRate { bpm_max, bpm_min } => rate_within(*bpm_min, *bpm_max).map(mean_rate),
            Condition::Pause { seconds_min } => {
                let longest_ms = runs::longest_interval_ms(self.facts);
                (longest_ms >= 1_000.0 * seconds_min).then(|| runs::longest_rr(longest_ms))
            }
            Condition::VentricularTachycardia {
                bpm_min,
                duration_s_min,
            } => self.ventricular_tachycardia(*bpm_min, *duration_s_min),
            Condition::VentricularFibrillation => {
                (self.rhythm == Rhythm::VentricularFibrillation).then(|| {
                    let share = 100.0 * self.facts.fibrillating_share;
                    let zh = format!("占记录的{share:.0} %");
                    Evidence::new(zh, format!("{share:.0} % of the recording"))
                })
            }
            Condition::Finding {
                code,
                bpm_min,
                bpm_max,
            } => {
                let found = self.statements.iter().find(|s| s.code == code)?;
                if bpm_min.is_some() || bpm_max.is_some() {
                    return rate_within(*bpm_min, *bpm_max).map(mean_rate);
                }
                Some(Evidence::new(&found.evidence_zh, &found.evidence))
            }
            Condition::PreexcitedFibrillation { shortest_rr_ms_max } => self.preexcited(*shortest_rr_ms_max),
            Condition::LongQtc { ms_min } => self.qtc().filter(|ms| ms >= ms_min).map(long_qtc),
            Condition::ROnT { qtc_ms_min } => self.r_on_t(*qtc_ms_min),
            Condition::StElevation {
                limb_mv_min,
                chest_mv_min,
            } => st_elevation(self.facts, self.rhythm, *limb_mv_min, *chest_mv_min),
        }
    }

    /// Mean rate, where enough beats are there to mean it seriously.
    fn rate(&self) -> Option<f64> {
        const BEATS_MIN: usize = 3;
        let rate = self.facts.measured.values.heart_rate_bpm;
        rate.filter(|_| self.facts.beats.len() >= BEATS_MIN)
    }

    /// QTc where the beats are conducted: elsewhere it says nothing of repolarisation.
    fn qtc(&self) -> Option<f64> {
        let conducted = !matches!(self.rhythm, Rhythm::Paced | Rhythm::VentricularTachycardia);
        let narrow = self.facts.measured.values.qrs_ms.is_some_and(|ms| ms < WIDE_MS);
        let qtc = self.facts.measured.values.qtc_fridericia_ms;
        qtc.filter(|_| conducted && narrow)
    }

    fn ventricular_tachycardia(&self, bpm_min: f64, duration_s_min: f64) -> Option<Evidence> {
        let found = runs::ventricular_runs(self.facts.beats, self.facts.rate_hz).into_iter();
        let worst = found
            .filter(|run| run.beats >= 3 && run.rate_bpm >= bpm_min)
            // One that fills a short recording has neither begun nor ended in it.
            .filter(|run| run.duration_s >= duration_s_min || run.beats == self.facts.beats.len())
            .max_by(|a, b| a.duration_s.total_cmp(&b.duration_s))?;
        let (rate, long) = (worst.rate_bpm, worst.duration_s);
        let zh = format!("{rate:.0}次/分, 持续{long:.0} s");
        Some(Evidence::new(zh, format!("{rate:.0}/min for {long:.0} s")))
    }

    fn preexcited(&self, shortest_rr_ms_max: f64) -> Option<Evidence> {
        let qrs = self.facts.measured.values.qrs_ms.filter(|ms| *ms >= WIDE_MS)?;
        let shortest = self
            .facts
            .intervals_ms
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        let fires = self.rhythm == Rhythm::AtrialFibrillation && shortest <= shortest_rr_ms_max;
        fires.then(|| {
            Evidence::new(
                format!("最短RR {shortest:.0} ms, QRS {qrs:.0} ms"),
                format!("shortest RR {shortest:.0} ms, QRS {qrs:.0} ms"),
            )
        })
    }

    /// A ventricular beat whose peak comes before nine tenths of the QT of the beat before it.
    fn r_on_t(&self, qtc_ms_min: f64) -> Option<Evidence> {
        const SHARE_OF_QT: f64 = 0.9;
        let qtc = self.qtc().filter(|ms| *ms >= qtc_ms_min)?;
        let qt = self.facts.measured.values.qt_ms?;
        let pairs = self.facts.beats.windows(2).zip(self.facts.intervals_ms);
        let early = pairs.filter(|(pair, ms)| {
            let upon = pair[1].class == BeatClass::Ventricular && pair[0].class == BeatClass::Normal;
            upon && **ms < SHARE_OF_QT * qt
        });
        let shortest = early.map(|(_, ms)| *ms).reduce(f64::min)?;
        Some(Evidence::new(
            format!("联律间期{shortest:.0} ms, QT {qt:.0} ms, QTc {qtc:.0} ms"),
            format!("coupling {shortest:.0} ms, QT {qt:.0} ms, QTc {qtc:.0} ms"),
        ))
    }
}

fn long_qtc(qtc: f64) -> Evidence {
    Evidence::plain(format!("QTc (Fridericia) {qtc:.0} ms"))
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
    let narrow = facts.measured.values.qrs_ms.is_some_and(|ms| ms < WIDE_MS);
    if !narrow || rhythm == Rhythm::Paced || facts.too_fast_for_st() {
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
