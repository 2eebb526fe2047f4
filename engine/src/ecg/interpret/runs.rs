//! Ectopic beats, runs and the longest interval.

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Statement, finding};
use crate::ecg::beats::{Beat, BeatClass};

/// Ventricular beats in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    /// Beats in it.
    pub(crate) beats: usize,
    /// From its first to its last beat, in seconds.
    pub(crate) duration_s: f64,
    /// Its rate.
    pub(crate) rate_bpm: f64,
}

/// Runs of at least two ventricular beats.
pub(crate) fn ventricular_runs(beats: &[Beat], rate_hz: f64) -> Vec<Run> {
    let mut out = Vec::new();
    for group in beats.chunk_by(|a, b| a.class == BeatClass::Ventricular && b.class == BeatClass::Ventricular)
    {
        if let [first, .., last] = group {
            let duration_s = (last.sample - first.sample) as f64 / rate_hz;
            let rate_bpm = 60.0 * (group.len() - 1) as f64 / duration_s.max(1e-3);
            out.push(Run {
                beats: group.len(),
                duration_s,
                rate_bpm,
            });
        }
    }
    out
}

/// Longest interval between two beats.
pub(crate) fn longest_interval_ms(facts: &Facts<'_>) -> f64 {
    facts.intervals_ms.iter().copied().fold(0.0, f64::max)
}

/// Mean rate of the ventricular run that counts as tachycardia.
const TACHYCARDIA_BPM: f64 = 100.0;

pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    let beats = facts.beats;
    if matches!(
        rhythm,
        Rhythm::VentricularFibrillation | Rhythm::VentricularTachycardia | Rhythm::Idioventricular
    ) {
        return;
    }
    let runs = ventricular_runs(beats, facts.rate_hz);
    let count = |class: BeatClass| beats.iter().filter(|b| b.class == class).count();
    let ventricular = count(BeatClass::Ventricular);
    if ventricular > 0 && rhythm != Rhythm::Paced {
        out.push(finding::PVC.with(share(ventricular, beats.len())));
    }
    let letters = |one: BeatClass, letter: char| -> String {
        beats
            .iter()
            .map(|b| if b.class == one { letter } else { 'N' })
            .collect()
    };
    let pattern = letters(BeatClass::Ventricular, 'V');
    if pattern.contains("NVNVNV") {
        out.push(finding::PVC_BIGEMINY.with(Evidence::new(
            "每隔一个心搏为室性",
            "every second beat is ventricular",
        )));
    }
    if pattern.contains("NNVNNVNNV") {
        out.push(finding::PVC_TRIGEMINY.with(Evidence::new(
            "每隔两个心搏为室性",
            "every third beat is ventricular",
        )));
    }
    let couplets = runs.iter().filter(|run| run.beats == 2).count();
    if couplets > 0 {
        out.push(finding::PVC_COUPLET.with(Evidence::new(
            format!("{couplets}对"),
            format!("{couplets} couplets"),
        )));
    }
    let fast = runs
        .iter()
        .filter(|run| run.beats >= 3 && run.rate_bpm > TACHYCARDIA_BPM);
    if let Some(longest) = fast.max_by_key(|run| run.beats) {
        let Run {
            beats,
            duration_s,
            rate_bpm,
        } = longest;
        let numbers = format!("{duration_s:.1} s, {rate_bpm:.0}/min");
        let (zh, en) = (
            format!("{beats}个心搏, {numbers}"),
            format!("{beats} beats, {numbers}"),
        );
        out.push(finding::VENTRICULAR_RUN.with(Evidence::new(zh, en)));
    }
    if rhythm.is_sinus() {
        supraventricular(facts, &letters(BeatClass::Supraventricular, 'S'), out);
    }
}

/// Premature beats of the atria, every second one, and several in a row; `pattern` has an S for each.
fn supraventricular(facts: &Facts<'_>, pattern: &str, out: &mut Vec<Statement>) {
    const RUN_BEATS_MIN: usize = 3;
    let premature = pattern.matches('S').count();
    if premature > 0 {
        out.push(finding::PAC.with(share(premature, facts.beats.len())));
    }
    if pattern.contains("NSNSNS") {
        out.push(finding::PAC_BIGEMINY.with(Evidence::new(
            "每隔一个心搏为房性",
            "every second beat is supraventricular",
        )));
    }
    let longest = pattern.split('N').map(str::len).max().unwrap_or(0);
    if longest >= RUN_BEATS_MIN {
        out.push(finding::SUPRAVENTRICULAR_RUN.with(Evidence::new(
            format!("连续{longest}个心搏"),
            format!("{longest} beats in a row"),
        )));
    }
}

/// The longest interval.
pub(crate) fn longest_rr(longest_ms: f64) -> Evidence {
    let seconds = longest_ms / 1_000.0;
    Evidence::new(
        format!("最长RR {seconds:.2} s"),
        format!("longest RR {seconds:.2} s"),
    )
}

/// So many of all beats.
fn share(some: usize, all: usize) -> Evidence {
    Evidence::new(format!("{all}个心搏中{some}个"), format!("{some} of {all} beats"))
}
