//! The identifier of a C-FIND: its keys as questions.

use dataset::matching::Match;
use dataset::{DataSet, Tag, Value, dictionary, tags};

/// Keys of an identifier, sequences included.
const KEYS_MAX: usize = 8_192;

/// A key of the identifier, or of the first item of one of its sequences.
pub(super) fn key(keys: &DataSet, tag: Tag) -> Match {
    let vr = dictionary::vr_of(tag).unwrap_or(dataset::Vr::LO);
    match Match::parse(vr, &keys.texts(tag).join("\\")) {
        // several code strings: any of them
        Match::Single(list) if vr == dataset::Vr::CS && list.contains('\\') => {
            Match::List(list.split('\\').map(str::to_owned).collect())
        }
        question => question,
    }
}

/// First item of a sequence of keys.
pub(super) fn item(keys: &DataSet, tag: Tag) -> Option<&DataSet> {
    keys.sequence(tag).first()
}

/// The one value that a key asks for, when it asks for one.
pub(super) fn single(question: &Match) -> Option<String> {
    match question {
        Match::Single(value) => Some(value.clone()),
        _ => None,
    }
}

/// Why an identifier is no question that can be answered.
pub(super) fn refuse(keys: &DataSet) -> Option<&'static str> {
    let nested: usize = keys
        .elements()
        .iter()
        .map(|element| match &element.value {
            Value::Items(items) => items.iter().map(DataSet::len).sum(),
            _ => 1_usize,
        })
        .sum();
    if nested > KEYS_MAX {
        return Some("the identifier has too many keys");
    }
    if keys
        .elements()
        .iter()
        .any(|element| matches!(element.value, Value::External { .. }))
    {
        return Some("a key of the identifier is too long");
    }
    None
}

/// Does a person's name fit? Case, missing trailing components and the difference between `^` and
/// nothing in a Chinese name do not count. A pattern with `=` asks group by group.
pub(super) fn name_fits(question: &Match, groups: [&str; 3], display: &str) -> bool {
    let text = match question {
        Match::Universal => return true,
        Match::Single(text) => text.as_str(),
        Match::Wildcard(pattern) => pattern.as_str(),
        _ => return false,
    };
    if !text.contains('=') {
        return groups
            .iter()
            .chain([&display])
            .any(|group| !group.is_empty() && group_fits(text, group));
    }
    let asked: Vec<&str> = text.split('=').collect();
    let all = asked.iter().enumerate().all(|(index, pattern)| {
        let group = groups.get(index).copied().unwrap_or_default();
        pattern.is_empty() || group_fits(pattern, group)
    });
    // devices put characters into the first group
    let first_holds_characters = groups.get(1).is_none_or(|group| group.is_empty())
        && groups.first().is_some_and(|group| !group.is_ascii());
    all || first_holds_characters
        && asked
            .get(1)
            .zip(groups.first())
            .is_some_and(|(pattern, group)| group_fits(pattern, group))
}

fn group_fits(pattern: &str, group: &str) -> bool {
    let form = |text: &str| text.trim_end_matches(['^', ' ']).to_uppercase();
    let joined = |text: &str| form(text).replace('^', "");
    let fits = |pattern: String, value: String| Match::parse(dataset::Vr::PN, &pattern).matches(&value);
    fits(form(pattern), form(group)) || !group.is_ascii() && fits(joined(pattern), joined(group))
}

/// Query/Retrieve Level (0008,0052).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service) enum Level {
    Patient,
    Study,
    Series,
    Image,
}

impl Level {
    /// From the identifier.
    pub(in crate::service) fn of(keys: &DataSet) -> Option<Self> {
        match keys.text(tags::QUERY_RETRIEVE_LEVEL)?.as_str() {
            "PATIENT" => Some(Self::Patient),
            "STUDY" => Some(Self::Study),
            "SERIES" => Some(Self::Series),
            "IMAGE" | "INSTANCE" => Some(Self::Image),
            _ => None,
        }
    }

    /// The word of the standard.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Study => "STUDY",
            Self::Series => "SERIES",
            Self::Image => "IMAGE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        let check = |question: &str, groups: [&str; 3], expect: bool| {
            let question = Match::parse(dataset::Vr::PN, question);
            assert_eq!(
                name_fits(&question, groups, ""),
                expect,
                "{question:?} on {groups:?}"
            );
        };
        check("王小*", ["", "王^小明", ""], true);
        check("王小?*", ["王小明^", "", ""], true);
        check("李𠮷*", ["李𠮷祥^", "", ""], true);
        check("*=张*", ["Zhang^San", "张^三", ""], true);
        check("*=张*", ["张^三", "", ""], true);
        check("*=李*", ["Zhang^San", "张^三", ""], false);
        check("sMiTh^aNn", ["Smith^Ann", "", ""], true);
        check("smith", ["Smith^Ann", "", ""], false);
        check("smith*", ["SMITHSON^BOB", "", ""], true);
        check("SM*^B?B", ["SMITHSON^BOB", "", ""], true);
        check("王", ["王小明", "", ""], false);
        check("", ["", "", ""], true);
    }
}
