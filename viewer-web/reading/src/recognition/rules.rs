//! When an exam of another institution may be recognised, and the only reasons for not doing so.
//!
//! Source: 《医疗机构检查检验结果互认管理办法》 (国卫医发〔2022〕6号). What is recognised is the images or the tracing; the
//! six situations in which the treating doctor may repeat an exam are the six reasons here.

use serde::{Deserialize, Serialize};

use crate::report::State;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Why a recognisable result is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// 病情变化，结果与临床表现不符，难以满足诊疗需要.
    ConditionChanged,
    /// 结果在疾病演变中变化较快.
    FastChanging,
    /// 手术、输血等重大医疗措施前，项目意义重大.
    BeforeMajorTreatment,
    /// 急诊、急救.
    Emergency,
    /// 司法、伤残、病退等鉴定.
    ForensicAppraisal,
    /// 其他确需复查的情形; needs a note.
    Other,
}

impl Reason {
    /// The six.
    pub const ALL: [Reason; 6] = [
        Reason::ConditionChanged,
        Reason::FastChanging,
        Reason::BeforeMajorTreatment,
        Reason::Emergency,
        Reason::ForensicAppraisal,
        Reason::Other,
    ];

    /// The code in JSON and in the index.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Reason::ConditionChanged => "condition_changed",
            Reason::FastChanging => "fast_changing",
            Reason::BeforeMajorTreatment => "before_major_treatment",
            Reason::Emergency => "emergency",
            Reason::ForensicAppraisal => "forensic_appraisal",
            Reason::Other => "other",
        }
    }

    /// Reads a code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|r| r.code() == code)
    }

    /// The words of the rule, Chinese and English.
    #[must_use]
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Reason::ConditionChanged => (
                "病情变化，结果与临床不符，难以满足诊疗需要",
                "Condition changed; the result does not fit and cannot serve the treatment",
            ),
            Reason::FastChanging => (
                "结果在疾病演变中变化较快",
                "The result changes fast in the course of the disease",
            ),
            Reason::BeforeMajorTreatment => (
                "手术、输血等重大医疗措施前，项目意义重大",
                "Of great weight before surgery, transfusion or another major measure",
            ),
            Reason::Emergency => ("急诊、急救", "Emergency or rescue"),
            Reason::ForensicAppraisal => (
                "司法、伤残、病退等鉴定",
                "Judicial, disability or retirement appraisal",
            ),
            Reason::Other => ("其他确需复查的情形", "Another case that truly needs a repeat"),
        }
    }
}

/// Reach of a recognition mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The tight medical community of the county.
    County,
    /// The city.
    City,
    /// The province.
    Province,
    /// The country.
    Nation,
}

impl Scope {
    /// The word in JSON and in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::County => "county",
            Scope::City => "city",
            Scope::Province => "province",
            Scope::Nation => "nation",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Scope> {
        [Scope::County, Scope::City, Scope::Province, Scope::Nation]
            .into_iter()
            .find(|s| s.as_str() == text)
    }

    /// The mark as printed.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Scope::County => "县域 HR",
            Scope::City => "全市 HR",
            Scope::Province => "全省 HR",
            Scope::Nation => "全国 HR",
        }
    }
}

/// Days for which a result of a modality stays recognisable, where the item itself has no other limit.
#[must_use]
pub fn valid_days(modality: &str) -> i64 {
    match modality {
        "ECG" => 7,
        "US" => 15,
        "DX" | "CR" | "DR" | "MG" => 30,
        _ => 60,
    }
}

/// End of recognisability, Unix microseconds.
#[must_use]
pub fn valid_until(study_at: i64, modality: &str) -> i64 {
    study_at.saturating_add(valid_days(modality) * DAY_US)
}

/// What speaks against recognising a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// No signed report yet.
    NotSigned,
    /// The report was withdrawn.
    Revoked,
    /// The item carries no mark of quality evaluation.
    NoMark,
    /// The time limit of the item is over.
    Expired,
    /// Taken at the own institution: nothing to recognise.
    Own,
}

impl Obstacle {
    /// The words, Chinese and English.
    #[must_use]
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Obstacle::NotSigned => ("报告未签发", "Not signed yet"),
            Obstacle::Revoked => ("报告已撤回", "The report is revoked"),
            Obstacle::NoMark => ("未标互认", "No recognition mark"),
            Obstacle::Expired => ("已过互认期", "Out of validity"),
            Obstacle::Own => ("本院检查", "Taken here"),
        }
    }
}

/// The facts that decide whether a study may be recognised at `now`.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// State of its report.
    pub state: State,
    /// Taken at the institution that asks.
    pub own: bool,
    /// Mark fixed when it was signed.
    pub mark: Option<Scope>,
    /// End of validity, Unix microseconds.
    pub valid_until: i64,
}

/// Whether it may be recognised at `now` (Unix microseconds).
///
/// # Errors
/// The first obstacle.
pub fn recognisable(candidate: &Candidate, now: i64) -> Result<Scope, Obstacle> {
    match candidate.state {
        State::Signed | State::Amended => {}
        State::Revoked => return Err(Obstacle::Revoked),
        State::None | State::Draft | State::Submitted | State::Returned => return Err(Obstacle::NotSigned),
    }
    if candidate.own {
        return Err(Obstacle::Own);
    }
    let scope = candidate.mark.ok_or(Obstacle::NoMark)?;
    if now > candidate.valid_until {
        return Err(Obstacle::Expired);
    }
    Ok(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_six_reasons_with_words_in_both_languages() {
        assert_eq!(Reason::ALL.len(), 6);
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.code()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert!(!reason.texts().0.is_empty() && !reason.texts().1.is_empty());
        }
        assert_eq!(Reason::parse("because"), None);
    }

    #[test]
    fn what_may_be_recognised() {
        let sound = Candidate {
            state: State::Signed,
            own: false,
            mark: Some(Scope::County),
            valid_until: 100,
        };
        let check = |candidate: Candidate, now, expect| {
            assert_eq!(recognisable(&candidate, now), expect, "{candidate:?}")
        };
        check(sound, 100, Ok(Scope::County));
        check(sound, 101, Err(Obstacle::Expired));
        check(
            Candidate {
                state: State::Amended,
                ..sound
            },
            1,
            Ok(Scope::County),
        );
        check(
            Candidate {
                state: State::Revoked,
                ..sound
            },
            1,
            Err(Obstacle::Revoked),
        );
        check(
            Candidate {
                state: State::Submitted,
                ..sound
            },
            1,
            Err(Obstacle::NotSigned),
        );
        check(Candidate { own: true, ..sound }, 1, Err(Obstacle::Own));
        check(Candidate { mark: None, ..sound }, 1, Err(Obstacle::NoMark));
        assert_eq!(valid_until(0, "ECG"), 7 * DAY_US);
    }
}
