//! Rule sets as files: TOML, strict, versioned, each with where it comes from.
//!
//! Three are built in; a county may bring its own file. Nothing in a file is taken on trust: unknown keys, codes that no
//! finding has, numbers out of reach and doubles are refused with the line and the way to mend it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::ecg::interpret::is_code;

/// Version of the file format that is read here.
const FORMAT: u32 = 1;
/// Largest file.
const FILE_BYTES_MAX: usize = 64 * 1024;
const RULES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 48;
const TEXT_CHARS_MAX: usize = 200;

/// Rules of one authority.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruleset {
    format: u32,
    /// Stable name.
    pub name: String,
    /// Version of the rules.
    pub version: String,
    /// In Chinese.
    pub title_zh: String,
    /// In English.
    pub title_en: String,
    /// Where the rules come from.
    pub citation: String,
    /// The rules.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable word.
    pub rule: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// When it fires.
    pub when: Condition,
}

/// When a rule fires.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Mean ventricular rate, beats a minute; at least one limit is given.
    VentricularRate {
        /// Fires at this rate or below.
        bpm_max: Option<f64>,
        /// Fires at this rate or above.
        bpm_min: Option<f64>,
    },
    /// An interval of at least so many seconds between beats.
    Pause {
        /// Least interval.
        seconds_min: f64,
    },
    /// A ventricular run so fast and so long.
    VentricularTachycardia {
        /// Least rate a minute.
        bpm_min: f64,
        /// Least duration.
        duration_s_min: f64,
    },
    /// Ventricular fibrillation or flutter.
    VentricularFibrillation,
    /// A statement of the interpretation, where asked for together with a mean ventricular rate.
    Finding {
        /// Its code.
        code: String,
        /// Fires at this rate or above.
        bpm_min: Option<f64>,
        /// Fires at this rate or below.
        bpm_max: Option<f64>,
    },
    /// Atrial fibrillation with a wide QRS and intervals so short that an accessory pathway must conduct.
    PreexcitedFibrillation {
        /// Fires when the shortest interval is this long or shorter.
        shortest_rr_ms_max: f64,
    },
    /// QTc (Fridericia) of conducted beats.
    LongQtc {
        /// Least QTc.
        ms_min: f64,
    },
    /// A ventricular beat upon the T wave of the beat before, where asked for together with a long QTc.
    ROnT {
        /// Least QTc; 0 for any.
        qtc_ms_min: f64,
    },
    /// ST elevation in two neighbouring leads.
    StElevation {
        /// Least level in limb leads and V4 to V6, millivolts.
        limb_mv_min: f64,
        /// Least level in V1 to V3, millivolts.
        chest_mv_min: f64,
    },
}

/// Why a rule set was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesetError {
    /// The file is too large to be one.
    #[error(
        "critical rules: {bytes} bytes are more than a rule set has ({FILE_BYTES_MAX}); name the right file"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not TOML, or not of the expected shape.
    #[error("critical rules, line {line}: {what}; compare with a rule set that is built in")]
    Shape {
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// A value that makes no sense.
    #[error("critical rules, {place}: {what}")]
    Value {
        /// The rule, or the head of the file.
        place: String,
        /// What is wrong with it and how to mend it.
        what: String,
    },
}

impl Ruleset {
    /// Reads a rule set.
    ///
    /// # Errors
    /// [`RulesetError`] with the place and the way to mend it; nothing is read by halves.
    pub fn parse(text: &str) -> Result<Self, RulesetError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(RulesetError::TooLarge { bytes: text.len() });
        }
        let made: Self = toml::from_str(text).map_err(|e| shape(text, &e))?;
        made.check()?;
        Ok(made)
    }

    fn check(&self) -> Result<(), RulesetError> {
        let head = |what: String| {
            Err(RulesetError::Value {
                place: "head".into(),
                what,
            })
        };
        if self.format != FORMAT {
            return head(format!(
                "format = {} is not known here, only {FORMAT}",
                self.format
            ));
        }
        if !is_word(&self.name) {
            return head(format!(
                "name \"{}\" must be a word of a-z, 0-9 and _",
                cut(&self.name)
            ));
        }
        for (key, text) in [
            ("version", &self.version),
            ("title_zh", &self.title_zh),
            ("title_en", &self.title_en),
            ("citation", &self.citation),
        ] {
            if !is_text(text) {
                return head(format!(
                    "{key} must be a text of 1 to {TEXT_CHARS_MAX} characters"
                ));
            }
        }
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return head(format!("{} rules; 1 to {RULES_MAX} are taken", self.rules.len()));
        }
        for (place, rule) in self.rules.iter().enumerate() {
            rule.check(place + 1)?;
            if self.rules[..place]
                .iter()
                .any(|earlier| earlier.rule == rule.rule)
            {
                return Err(rule.refused(
                    place + 1,
                    "this rule is there twice; give one another name".into(),
                ));
            }
        }
        Ok(())
    }
}

impl Rule {
    fn refused(&self, number: usize, what: String) -> RulesetError {
        RulesetError::Value {
            place: format!("rule {number} ({})", cut(&self.rule)),
            what,
        }
    }

    fn check(&self, number: usize) -> Result<(), RulesetError> {
        if !is_word(&self.rule) {
            return Err(self.refused(number, "rule must be a word of a-z, 0-9 and _".into()));
        }
        if !is_text(&self.text_zh) || !is_text(&self.text_en) {
            let what = format!("text_zh and text_en must be texts of 1 to {TEXT_CHARS_MAX} characters");
            return Err(self.refused(number, what));
        }
        for (key, value, low, high) in self.when.limits() {
            if !(low..=high).contains(&value) {
                let what = format!("{key} = {value} is out of reach; {low} to {high} is taken");
                return Err(self.refused(number, what));
            }
        }
        match &self.when {
            Condition::VentricularRate {
                bpm_max: None,
                bpm_min: None,
            } => Err(self.refused(number, "ventricular_rate needs bpm_max or bpm_min".into())),
            Condition::Finding { code, .. } if !is_code(code) => {
                let what = format!(
                    "no finding has the code \"{}\"; see `ecg analyze` for codes",
                    cut(code)
                );
                Err(self.refused(number, what))
            }
            _ => Ok(()),
        }
    }
}

impl Condition {
    /// Every number with its key and the range in which it makes sense.
    fn limits(&self) -> Vec<(&'static str, f64, f64, f64)> {
        let rates = |min: Option<f64>, max: Option<f64>| {
            let (min, max) = (min.map(|v| ("bpm_min", v)), max.map(|v| ("bpm_max", v)));
            let given = [min, max].into_iter().flatten();
            given.map(|(key, value)| (key, value, 10.0, 400.0)).collect()
        };
        match self {
            Self::VentricularRate { bpm_max, bpm_min } => rates(*bpm_min, *bpm_max),
            Self::Finding { bpm_min, bpm_max, .. } => rates(*bpm_min, *bpm_max),
            Self::Pause { seconds_min } => vec![("seconds_min", *seconds_min, 1.0, 30.0)],
            Self::VentricularTachycardia {
                bpm_min,
                duration_s_min,
            } => vec![
                ("bpm_min", *bpm_min, 60.0, 400.0),
                ("duration_s_min", *duration_s_min, 0.5, 600.0),
            ],
            Self::VentricularFibrillation => Vec::new(),
            Self::PreexcitedFibrillation { shortest_rr_ms_max } => {
                vec![("shortest_rr_ms_max", *shortest_rr_ms_max, 150.0, 400.0)]
            }
            Self::LongQtc { ms_min } => vec![("ms_min", *ms_min, 400.0, 800.0)],
            Self::ROnT { qtc_ms_min } => vec![("qtc_ms_min", *qtc_ms_min, 0.0, 800.0)],
            Self::StElevation {
                limb_mv_min,
                chest_mv_min,
            } => vec![
                ("limb_mv_min", *limb_mv_min, 0.05, 2.0),
                ("chest_mv_min", *chest_mv_min, 0.05, 2.0),
            ],
        }
    }
}

/// What the parser says, on one line, with the line of the file.
fn shape(text: &str, error: &toml::de::Error) -> RulesetError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text
        .as_bytes()
        .get(..at)
        .unwrap_or_default()
        .iter()
        .filter(|b| **b == b'\n')
        .count();
    let words: Vec<&str> = error.message().split_whitespace().collect();
    RulesetError::Shape {
        line,
        what: words.join(" ").chars().take(TEXT_CHARS_MAX).collect(),
    }
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(fits)
}

fn is_text(text: &str) -> bool {
    let count = text.chars().count();
    !text.trim().is_empty() && count <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}

/// The files that are built in, the national one first.
const BUILT_IN: [&str; 3] = [
    include_str!("rules/consensus_2017.toml"),
    include_str!("rules/zhejiang.toml"),
    include_str!("rules/shanxi.toml"),
];

static SETS: LazyLock<Vec<Ruleset>> = LazyLock::new(|| {
    BUILT_IN
        .iter()
        .filter_map(|text| Ruleset::parse(text).ok())
        .collect()
});

/// All rule sets that are built in, the national one first.
#[must_use]
pub fn all() -> &'static [Ruleset] {
    &SETS
}

/// The rule set of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Ruleset> {
    all().iter().find(|ruleset| ruleset.name == name)
}

/// The national rules.
pub(crate) fn national() -> Option<&'static Ruleset> {
    all().first()
}
