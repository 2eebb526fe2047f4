//! `gongying ecg quality`: the acquisition gate as text or JSON.

use super::record::Source;
use crate::output;
use anyhow::Result;
use engine::ecg::quality::acquisition::{self, Acquisition, Verdict};

pub(super) fn check(source: &Source, json: bool) -> Result<()> {
    let found = acquisition::check(&source.read()?);
    if json {
        return output::json(None, &found);
    }
    lines(&found).iter().try_for_each(|line| output::line(line))
}

/// The verdict, then a line for each reason.
fn lines(found: &Acquisition) -> Vec<String> {
    let mut out = vec![word(found.verdict).to_owned()];
    for reason in &found.reasons {
        let (text, evidence) = (&reason.text_en, &reason.evidence);
        out.push(format!("{}: {text} ({evidence})", word(reason.verdict)));
    }
    out
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::RepeatAdvised => "repeat advised",
        Verdict::Unusable => "unusable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_each_reason_has_a_line() {
        let lead = engine::ecg::Lead {
            name: engine::ecg::LeadName::new("II"),
            samples_uv: vec![0.0; 1_000],
            resolution_uv: 1.0,
            derived: false,
        };
        let record = engine::ecg::Record::new("npy", vec![lead], 500.0).unwrap();
        let lines = lines(&acquisition::check(&record));
        assert_eq!(lines[0], "unusable");
        assert!(
            lines.len() == 3 && lines[1..].iter().all(|line| line.starts_with("unusable: ")),
            "{lines:?}"
        );
    }
}
