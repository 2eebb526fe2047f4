//! Which class a record has and how long each class is kept, read from TOML.

use crate::error::{ArchiveError, Result};
use crate::ids::Sha256Digest;
use serde::Deserialize;
use std::path::Path;
use time::{Date, Month};

/// The rules that hold when no others are given.
pub const DEFAULT_RULES: &str = include_str!("default.toml");
/// The law keeps outpatient records at least so long (《医疗机构管理条例实施细则》 art. 53).
pub const OUTPATIENT_YEARS_MIN: u32 = 15;
/// And records of patients who were admitted so long.
pub const INPATIENT_YEARS_MIN: u32 = 30;
/// Longest time that a class may name.
const YEARS_MAX: u32 = 1000;
/// Largest file of rules.
const RULES_BYTES_MAX: u64 = 1 << 20;
/// Classes and rules of one file.
const ENTRIES_MAX: usize = 1000;

/// A class of records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Years from the last visit.
    pub years: u32,
    /// The text of law that says so; stands in the certificate.
    pub law: String,
}

/// Which studies have which class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    class: String,
    admitted: Option<bool>,
    institutions: Option<Vec<String>>,
    institution_kinds: Option<Vec<String>>,
    modalities: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    default_class: String,
    class: Vec<Class>,
    #[serde(default)]
    rule: Vec<Rule>,
}

/// Rules of retention that are within the law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    default: usize,
    classes: Vec<Class>,
    rules: Vec<(usize, Rule)>,
    text: String,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Traits<'a> {
    /// Code of the institution.
    pub institution: &'a str,
    /// Its kind.
    pub institution_kind: &'a str,
    /// Modalities in the study.
    pub modalities: &'a [String],
    /// The study carries an Admission ID.
    pub admitted: bool,
}

fn wrong(why: String) -> ArchiveError {
    ArchiveError::invalid("retention rules", why)
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// When they cannot be understood, or are shorter than the law.
    pub fn parse(text: &str) -> Result<Self> {
        let file: RulesFile = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if file.class.len() > ENTRIES_MAX || file.rule.len() > ENTRIES_MAX {
            return Err(wrong(format!("more than {ENTRIES_MAX} classes or rules")));
        }
        for class in &file.class {
            if class.years < OUTPATIENT_YEARS_MIN {
                return Err(wrong(format!(
                    "class {:?} keeps {} years; the law wants at least {OUTPATIENT_YEARS_MIN} from the last visit \
                     (医疗机构管理条例实施细则 art. 53)",
                    class.name, class.years
                )));
            }
            if class.years > YEARS_MAX || class.law.trim().is_empty() {
                return Err(wrong(format!(
                    "class {:?} needs at most {YEARS_MAX} years and the text of law in `law`",
                    class.name
                )));
            }
        }
        let find = |name: &str| {
            let at = file.class.iter().position(|class| class.name == name);
            at.ok_or_else(|| wrong(format!("there is no class {name:?}")))
        };
        let default = find(&file.default_class)?;
        let mut rules = Vec::with_capacity(file.rule.len());
        for rule in &file.rule {
            let class = find(&rule.class)?;
            let years = file.class.get(class).map_or(0, |c| c.years);
            if rule.admitted == Some(true) && years < INPATIENT_YEARS_MIN {
                return Err(wrong(format!(
                    "class {:?} keeps {years} years; the law wants at least {INPATIENT_YEARS_MIN} for patients who were admitted",
                    rule.class
                )));
            }
            rules.push((class, rule.clone()));
        }
        Ok(Self {
            default,
            classes: file.class,
            rules,
            text: text.to_owned(),
        })
    }

    /// Reads rules from a file.
    ///
    /// # Errors
    /// As [`Rules::parse`], and when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        let fail = |error| ArchiveError::io("read", path, error);
        if std::fs::metadata(path).map_err(fail)?.len() > RULES_BYTES_MAX {
            return Err(wrong("the file is larger than 1 MiB".to_owned()));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(fail)?)
    }

    /// The rules as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the rules as written.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.text.as_bytes())
    }

    /// Whether admission makes a difference.
    pub(super) fn ask_for_admission(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.admitted.is_some())
    }

    /// The class of a study: the first rule that fits, else the default.
    pub fn class_of(&self, study: &Traits<'_>) -> &Class {
        let named = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|v| v.eq_ignore_ascii_case(value)))
        };
        let fits = |rule: &Rule| {
            let modality = |list: &Vec<String>| study.modalities.iter().any(|m| list.contains(m));
            rule.admitted.is_none_or(|admitted| admitted == study.admitted)
                && named(&rule.institutions, study.institution)
                && named(&rule.institution_kinds, study.institution_kind)
                && rule.modalities.as_ref().is_none_or(modality)
        };
        let found = self.rules.iter().find(|(_, rule)| fits(rule));
        let at = found.map_or(self.default, |(class, _)| *class);
        self.classes.get(at).unwrap_or(&EMPTY)
    }
}

/// Never met: positions of classes are checked when rules are read.
static EMPTY: Class = Class {
    name: String::new(),
    years: YEARS_MAX,
    law: String::new(),
};

impl Default for Rules {
    /// The rules of the law.
    fn default() -> Self {
        // A test reads the text; should it ever be wrong, everything is kept.
        Self::parse(DEFAULT_RULES).unwrap_or(Self {
            default: 0,
            classes: Vec::new(),
            rules: Vec::new(),
            text: String::new(),
        })
    }
}

/// Last day on which records are kept: the same day of a later year; 29 February becomes 1 March.
pub(super) fn kept_until(last_visit: Date, years: u32) -> Date {
    let year = last_visit
        .year()
        .saturating_add(i32::try_from(years).unwrap_or(i32::MAX));
    last_visit
        .replace_year(year)
        .or_else(|_| Date::from_calendar_date(year, Month::March, 1))
        .unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    fn class(rules: &Rules, institution: &str, kind: &str, modality: &str, admitted: bool) -> String {
        let traits = Traits {
            institution,
            institution_kind: kind,
            modalities: &[modality.to_owned()],
            admitted,
        };
        rules.class_of(&traits).name.clone()
    }

    #[test]
    fn the_rules_of_the_law_are_read() {
        let rules = Rules::default();
        assert_eq!(rules.text(), DEFAULT_RULES);
        assert_eq!(
            class(&rules, "HEXI", "township_hospital", "CT", false),
            "inpatient"
        );
        assert_eq!(class(&rules, "V1", "village_clinic", "ECG", false), "outpatient");
        assert_eq!(class(&rules, "V1", "village_clinic", "ECG", true), "inpatient");
    }

    #[test]
    fn own_rules_decide_in_order() {
        let rules = "default_class = \"long\"\n[[class]]\nname = \"long\"\nyears = 40\nlaw = \"x\"\n\
             [[class]]\nname = \"short\"\nyears = 15\nlaw = \"x\"\n\
             [[rule]]\nclass = \"short\"\ninstitutions = [\"hexi\"]\nmodalities = [\"ECG\", \"US\"]\n";
        let rules = Rules::parse(rules).unwrap();
        assert!(!rules.ask_for_admission());
        assert_eq!(class(&rules, "HEXI", "x", "US", false), "short");
        assert_eq!(class(&rules, "HEXI", "x", "CT", false), "long");
        assert_eq!(class(&rules, "OTHER", "x", "US", false), "long");
    }

    #[test]
    fn rules_below_the_law_are_refused_with_the_law() {
        let check = |text: &str, words: &str| {
            let error = Rules::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        };
        let one = |years: u32, rest: &str| {
            format!("default_class = \"a\"\n[[class]]\nname = \"a\"\nyears = {years}\nlaw = \"x\"\n{rest}")
        };
        check(&one(14, ""), "at least 15");
        check(
            &one(15, "[[rule]]\nclass = \"a\"\nadmitted = true\n"),
            "at least 30",
        );
        check(&one(15, "[[rule]]\nclass = \"b\"\n"), "no class");
        check(
            &one(15, "[[rule]]\nclass = \"a\"\nmodality = \"CT\"\n"),
            "unknown field",
        );
        check(&one(5000, ""), "at most 1000");
        check("default_class = 3", "retention rules");
        check(&one(15, "").replace("\"x\"", "\" \""), "text of law");
    }

    #[test]
    fn years_end_on_the_same_day() {
        assert_eq!(kept_until(date!(2010 - 05 - 31), 15), date!(2025 - 05 - 31));
        assert_eq!(kept_until(date!(2012 - 02 - 29), 15), date!(2027 - 03 - 01));
        assert_eq!(kept_until(date!(2012 - 02 - 29), 20), date!(2032 - 02 - 29));
        assert_eq!(kept_until(date!(9990 - 01 - 01), 100), Date::MAX);
    }
}
