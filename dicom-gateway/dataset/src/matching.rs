//! Attribute matching of queries (PS3.4 C.2.2.2), without knowing what is queried.

use crate::dictionary::Vr;

/// Characters of a pattern looked at.
pub const PATTERN_CHARS_MAX: usize = 256;
/// Values of a list looked at.
pub const LIST_MAX: usize = 10_000;

/// What a key of a query asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Everything; the value is wanted in the answer.
    Universal,
    /// One value.
    Single(String),
    /// `*` any characters, `?` one character.
    Wildcard(Pattern),
    /// Dates, times or date times between two ends, each as sent; a missing end is open.
    Range {
        /// First value that matches.
        from: Option<String>,
        /// Last value that matches; by its precision (`2026` holds all of 2026).
        to: Option<String>,
    },
    /// One of these values (UIDs, and lists that QIDO-RS allows).
    List(Vec<String>),
}

/// Text with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Match {
    /// Reads a key's decoded value.
    pub fn parse(vr: Vr, value: &str) -> Self {
        let value = value.trim_matches([' ', '\0']);
        if value.is_empty() {
            return Self::Universal;
        }
        match vr {
            Vr::UI => {
                let list: Vec<String> = value
                    .split(['\\', ','])
                    .map(|uid| uid.trim_matches([' ', '\0']).to_owned())
                    .filter(|uid| !uid.is_empty())
                    .take(LIST_MAX)
                    .collect();
                match <[String; 1]>::try_from(list) {
                    Ok([one]) => Self::Single(one),
                    Err(list) => Self::List(list),
                }
            }
            Vr::DA | Vr::TM | Vr::DT => range(vr, value),
            Vr::AE | Vr::CS | Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::ST | Vr::UC | Vr::UR | Vr::UT => {
                if value.chars().all(|c| c == '*') {
                    return Self::Universal;
                }
                if value.contains(['*', '?']) {
                    return Self::Wildcard(Pattern::new(value));
                }
                Self::Single(value.to_owned())
            }
            _ => Self::Single(value.to_owned()),
        }
    }

    /// Does a value match? Exact in its case; use [`Match::map`] on both sides for a normal form.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Universal => true,
            Self::Single(wanted) => wanted == value,
            Self::Wildcard(pattern) => pattern.matches(value),
            Self::List(list) => list.iter().any(|wanted| wanted == value),
            Self::Range { from, to } => {
                let after = from
                    .as_deref()
                    .is_none_or(|from| value >= from || value.starts_with(from));
                let before = to
                    .as_deref()
                    .is_none_or(|to| value <= to || value.starts_with(to));
                !value.is_empty() && after && before
            }
        }
    }

    /// The same question in another form of text (lower case, without titles ...).
    #[must_use]
    pub fn map(self, form: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Single(text) => Self::Single(form(&text)),
            Self::Wildcard(pattern) => Self::Wildcard(Pattern {
                text: form(&pattern.text),
            }),
            Self::List(list) => Self::List(list.iter().map(|text| form(text)).collect()),
            other => other,
        }
    }

    /// Asks for everything.
    pub fn is_universal(&self) -> bool {
        *self == Self::Universal
    }
}

/// `a-b`, `a-`, `-b`. The old forms `YYYY.MM.DD` and `HH:MM:SS` are read too. A date time may
/// hold a hyphen as sign of its zone, so its range is split where both sides look like one.
fn range(vr: Vr, value: &str) -> Match {
    let value: String = match vr {
        Vr::DA => value.replace('.', ""),
        Vr::TM => value.replace(':', ""),
        _ => value.to_owned(),
    };
    let end = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let split = value.match_indices('-').map(|(at, _)| at).find(|&at| {
        let zone = value.get(at + 1..).is_some_and(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            vr == Vr::DT && digits == 4 && at > 0 && rest.get(..2).is_some_and(|hours| hours <= "12")
        });
        !zone
    });
    match split {
        Some(at) => {
            let from = value.get(..at).and_then(end);
            let to = value.get(at + 1..).and_then(end);
            if from.is_none() && to.is_none() {
                Match::Universal
            } else {
                Match::Range { from, to }
            }
        }
        None => Match::Single(value.trim().to_owned()),
    }
}

impl Pattern {
    /// A pattern; several asterisks in a row count as one, and it ends at [`PATTERN_CHARS_MAX`].
    pub fn new(text: &str) -> Self {
        let mut kept = String::new();
        for c in text.chars().take(PATTERN_CHARS_MAX) {
            if c != '*' || !kept.ends_with('*') {
                kept.push(c);
            }
        }
        Self { text: kept }
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the first wildcard; an index on a prefix can use it.
    pub fn prefix(&self) -> &str {
        self.text.split(['*', '?']).next().unwrap_or_default()
    }

    /// Ends in its only wildcard, an asterisk.
    pub fn is_prefix(&self) -> bool {
        self.text
            .strip_suffix('*')
            .is_some_and(|rest| !rest.contains(['*', '?']))
    }

    /// As the operand of SQL `LIKE ... ESCAPE '\'`.
    pub fn to_like(&self) -> String {
        let mut like = String::with_capacity(self.text.len() + 4);
        for c in self.text.chars() {
            match c {
                '*' => like.push('%'),
                '?' => like.push('_'),
                '%' | '_' | '\\' => {
                    like.push('\\');
                    like.push(c);
                }
                _ => like.push(c),
            }
        }
        like
    }

    /// Matches whole values. At most pattern length times value length steps.
    pub fn matches(&self, value: &str) -> bool {
        let (pattern, value): (Vec<char>, Vec<char>) = (self.text.chars().collect(), value.chars().collect());
        let (mut p, mut v) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while v < value.len() {
            match pattern.get(p) {
                Some('*') => {
                    back = Some((p + 1, v));
                    p += 1;
                }
                Some('?') => (p, v) = (p + 1, v + 1),
                Some(c) if value.get(v) == Some(c) => (p, v) = (p + 1, v + 1),
                _ => match back {
                    Some((after, from)) => {
                        back = Some((after, from + 1));
                        (p, v) = (after, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(p).all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, to: Option<&str>) -> Match {
        Match::Range {
            from: from.map(Into::into),
            to: to.map(Into::into),
        }
    }

    #[test]
    fn keys_are_read() {
        let check = |vr, text: &str, expect: Match| assert_eq!(Match::parse(vr, text), expect, "{text:?}");
        check(Vr::LO, "", Match::Universal);
        check(Vr::PN, "**", Match::Universal);
        check(Vr::SH, "A1 ", Match::Single("A1".into()));
        check(Vr::PN, "王小*", Match::Wildcard(Pattern::new("王小*")));
        check(
            Vr::UI,
            "1.2\\1.3\0",
            Match::List(vec!["1.2".into(), "1.3".into()]),
        );
        check(Vr::UI, "1.2", Match::Single("1.2".into()));
        check(
            Vr::DA,
            "20260102-20260104",
            range(Some("20260102"), Some("20260104")),
        );
        check(Vr::DA, "-20260104", range(None, Some("20260104")));
        check(Vr::DA, "20260104-", range(Some("20260104"), None));
        check(Vr::DA, "2026.01.04", Match::Single("20260104".into()));
        check(Vr::DA, "-", Match::Universal);
        check(
            Vr::DT,
            "20260104101500-0500",
            Match::Single("20260104101500-0500".into()),
        );
        check(
            Vr::DT,
            "20260104-20260105",
            range(Some("20260104"), Some("20260105")),
        );
        check(Vr::IS, "5*", Match::Single("5*".into()));
    }

    #[test]
    fn values_match() {
        let check = |pattern: &str, value: &str, expect: bool| {
            assert_eq!(
                Pattern::new(pattern).matches(value),
                expect,
                "{pattern} on {value}"
            );
        };
        check("SM*^B?B", "SMITHSON^BOB", true);
        check("SM*^B?B", "SMITHSON^BOBB", false);
        check("王小?*", "王小明^", true);
        check("李𠮷*", "李𠮷祥", true);
        check("?", "", false);
        check("*", "", true);
        check("a*b*c", "abbbcabc", true);
        check("*=张*", "Zhang^San=张^三", true);
        check(&"*a".repeat(120), &"a".repeat(5000), true);
        check(&format!("{}b", "*a".repeat(100)), &"a".repeat(5000), false);
        let day = Match::parse(Vr::DA, "20260102-20260104");
        for (value, expect) in [
            ("20260101", false),
            ("20260102", true),
            ("20260104", true),
            ("20260105", false),
            ("", false),
        ] {
            assert_eq!(day.matches(value), expect, "{value}");
        }
        assert!(
            Match::parse(Vr::TM, "10-11").matches("115959"),
            "an end holds what it is a prefix of"
        );
    }

    #[test]
    fn patterns_become_like() {
        assert_eq!(Pattern::new("a%b_*\\?").to_like(), "a\\%b\\_%\\\\_");
        assert_eq!(Pattern::new("王***").as_str(), "王*");
        assert_eq!(Pattern::new("王小*明").prefix(), "王小");
        assert!(Pattern::new("abc*").is_prefix() && !Pattern::new("a?c*").is_prefix());
    }
}
