//! Person names (PS3.5 6.2.1): up to three groups, each of five components.

use serde::{Deserialize, Serialize};

/// The three groups of a PN value, each with its components still joined by `^`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    /// Single-byte characters, usually Latin; but many Chinese devices put hanzi here.
    pub alphabetic: String,
    /// Ideographic characters.
    pub ideographic: String,
    /// Phonetic characters.
    pub phonetic: String,
}

impl PersonName {
    /// Splits a decoded PN value.
    pub fn parse(text: &str) -> Self {
        let mut groups = text.splitn(3, '=').map(trim_group);
        let mut next = || groups.next().unwrap_or_default();
        Self {
            alphabetic: next(),
            ideographic: next(),
            phonetic: next(),
        }
    }

    /// Joins the groups again, without trailing separators.
    pub fn to_dicom(&self) -> String {
        let mut text = format!("{}={}={}", self.alphabetic, self.ideographic, self.phonetic);
        text.truncate(text.trim_end_matches('=').len());
        text
    }

    /// As a Chinese page shows it: the ideographic group if there is one, else the alphabetic;
    /// components joined without a space when they are hanzi, with one otherwise.
    pub fn display(&self) -> String {
        let group = [&self.ideographic, &self.alphabetic, &self.phonetic]
            .into_iter()
            .find(|group| !group.is_empty())
            .map_or("", String::as_str);
        let parts: Vec<&str> = group
            .split('^')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        let separator = if group.is_ascii() { " " } else { "" };
        parts.join(separator)
    }

    /// No group holds anything.
    pub fn is_empty(&self) -> bool {
        self.alphabetic.is_empty() && self.ideographic.is_empty() && self.phonetic.is_empty()
    }
}

fn trim_group(group: &str) -> String {
    // carets and blanks may take turns; a fourth group that is empty is none
    group
        .trim_start()
        .trim_end_matches(|c: char| matches!(c, '^' | '=') || c.is_whitespace())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_display() {
        let check = |text: &str, groups: [&str; 3], display: &str| {
            let name = PersonName::parse(text);
            assert_eq!(
                [&*name.alphabetic, &*name.ideographic, &*name.phonetic],
                groups,
                "{text}"
            );
            assert_eq!(name.display(), display, "{text}");
        };
        check("Zhang^San=张^三", ["Zhang^San", "张^三", ""], "张三");
        check("王小明^", ["王小明", "", ""], "王小明");
        check("Smith^Ann^^^", ["Smith^Ann", "", ""], "Smith Ann");
        check("=李^四=", ["", "李^四", ""], "李四");
        check("", ["", "", ""], "");
        check("a ^\u{a0}^ = ^", ["a", "", ""], "a");
        check("A=B=C==", ["A", "B", "C"], "B");
        assert_eq!(PersonName::parse("A^B=张^三").to_dicom(), "A^B=张^三");
        assert_eq!(PersonName::parse("A^B==").to_dicom(), "A^B");
    }
}
