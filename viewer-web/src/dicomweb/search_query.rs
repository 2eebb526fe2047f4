//! QIDO-RS queries (PS3.18 section 10.6.1.2) as typed wishes.

use crate::problem::Problem;
use dataset::Tag;
use dataset::dictionary::{parse_tag, vr_of};
use std::collections::BTreeSet;

/// Answers given where no `limit` is asked for.
const LIMIT_DEFAULT: u32 = 1000;
/// Most answers of one request.
pub(crate) const LIMIT_MAX: u32 = 10_000;
/// Farthest start of a page.
const OFFSET_MAX: u32 = 10_000_000;
/// Most parameters.
const PARAMETERS_MAX: usize = 100;

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchQuery {
    /// Attributes to match, with the text sent. Lists of UIDs are separated by backslashes.
    pub(crate) matches: Vec<(Tag, String)>,
    /// Attributes to return beside the usual ones.
    pub(crate) include: Include,
    /// Answers at most.
    pub(crate) limit: u32,
    /// Answers to leave out.
    pub(crate) offset: u32,
    /// Names match by their beginning, parts, pinyin and first letters.
    pub(crate) fuzzy: bool,
}

/// `includefield`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// Everything known at the level.
    All,
    /// These.
    Tags(BTreeSet<Tag>),
}

impl Include {
    /// Whether the attribute was asked for.
    pub(crate) fn wants(&self, tag: Tag) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.contains(&tag),
        }
    }
}

impl SearchQuery {
    /// Reads decoded query pairs. Parameters that name no attribute are left aside, as viewers add their own.
    pub(crate) fn parse(pairs: &[(String, String)]) -> Result<Self, Problem> {
        if pairs.len() > PARAMETERS_MAX {
            return Err(Problem::bad_request(
                "查询参数过多。",
                "There are too many query parameters.",
            ));
        }
        let mut query = Self {
            matches: Vec::new(),
            include: Include::Tags(BTreeSet::new()),
            limit: LIMIT_DEFAULT,
            offset: 0,
            fuzzy: false,
        };
        for (name, value) in pairs {
            // Zero bytes are padding inside DICOM; from an address they would make a key that asks for everything.
            if value.contains('\0') {
                return Err(Problem::bad_request(
                    format!("{name} 中含有空字符。"),
                    format!("{name} contains a zero character."),
                ));
            }
            match name.as_str() {
                "limit" => query.limit = number("limit", value, LIMIT_MAX)?,
                "offset" => query.offset = number("offset", value, OFFSET_MAX)?,
                "includefield" => query.include_fields(value),
                "fuzzymatching" => query.fuzzy = value.eq_ignore_ascii_case("true"),
                _ => {
                    if let Some(tag) = parse_tag(name).filter(|_| !value.is_empty()) {
                        query.matches.push((tag, pattern(tag, value)));
                    }
                }
            }
        }
        Ok(query)
    }

    fn include_fields(&mut self, list: &str) {
        for field in list.split(',').map(str::trim) {
            match (&mut self.include, field) {
                (include, "all") => *include = Include::All,
                (Include::Tags(tags), field) => tags.extend(parse_tag(field)),
                (Include::All, _) => {}
            }
        }
    }

    /// The text to match for an attribute.
    pub(crate) fn wanted(&self, tag: Tag) -> Option<&str> {
        self.matches
            .iter()
            .find(|(t, _)| *t == tag)
            .map(|(_, text)| text.as_str())
    }
}

/// UIDs are listed with commas or backslashes; commas belong to no UID.
fn pattern(tag: Tag, value: &str) -> String {
    match vr_of(tag) {
        Some(dataset::Vr::UI) => value.replace(',', "\\"),
        _ => value.to_owned(),
    }
}

fn number(name: &str, text: &str, max: u32) -> Result<u32, Problem> {
    text.trim().parse::<u32>().map(|n| n.min(max)).map_err(|_| {
        Problem::bad_request(
            format!("{name} 应为非负整数。"),
            format!("{name} should be a whole number, not negative."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::tags;

    fn parse(pairs: &[(&str, &str)]) -> Result<SearchQuery, Problem> {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        SearchQuery::parse(&pairs)
    }

    #[test]
    fn attributes_by_tag_and_keyword() {
        let q = parse(&[
            ("00100020", "P1"),
            ("PatientName", "*建国*"),
            ("StudyInstanceUID", "1.2,1.3\\1.4"),
            ("StudyDescription", "a, b"),
            ("AccessionNumber", ""),
            ("_", "17"),
            ("fuzzymatching", "false"),
        ])
        .unwrap();
        assert_eq!(q.wanted(tags::PATIENT_ID), Some("P1"));
        assert_eq!(q.wanted(tags::PATIENT_NAME), Some("*建国*"));
        assert_eq!(q.wanted(tags::STUDY_INSTANCE_UID), Some("1.2\\1.3\\1.4"));
        assert_eq!(q.wanted(tags::STUDY_DESCRIPTION), Some("a, b"));
        assert_eq!(q.wanted(tags::ACCESSION_NUMBER), None);
        assert_eq!((q.limit, q.offset, q.matches.len()), (LIMIT_DEFAULT, 0, 4));
    }

    #[test]
    fn include_fields_in_every_form() {
        let check = |pairs: &[(&str, &str)], tag: Tag, expect: bool| {
            assert_eq!(parse(pairs).unwrap().include.wants(tag), expect, "{pairs:?}");
        };
        check(
            &[("includefield", "00081030,00080060")],
            tags::STUDY_DESCRIPTION,
            true,
        );
        check(
            &[("includefield", "00080060"), ("includefield", "00081030")],
            tags::STUDY_DESCRIPTION,
            true,
        );
        check(
            &[("includefield", "StudyDescription")],
            tags::STUDY_DESCRIPTION,
            true,
        );
        check(&[("includefield", "0008103e")], tags::SERIES_DESCRIPTION, true);
        check(&[("includefield", "all")], tags::SERIES_DESCRIPTION, true);
        check(
            &[("includefield", "all"), ("includefield", "00081030")],
            tags::SERIES_DESCRIPTION,
            true,
        );
        check(&[("includefield", "nonsense,,")], tags::STUDY_DESCRIPTION, false);
        check(&[], tags::STUDY_DESCRIPTION, false);
    }

    #[test]
    fn pages_are_numbers() {
        let check = |name: &str, value: &str, expect: Option<(u32, u32)>| {
            assert_eq!(
                parse(&[(name, value)]).ok().map(|q| (q.limit, q.offset)),
                expect,
                "{name}={value}"
            );
        };
        check("limit", "101", Some((101, 0)));
        check("limit", "999999999", Some((LIMIT_MAX, 0)));
        check("offset", "20", Some((LIMIT_DEFAULT, 20)));
        for bad in ["abc", "-1", "", "1.5", "99999999999999999999"] {
            check("limit", bad, None);
            check("offset", bad, None);
        }
        for name in ["PatientID", "limit", "includefield", "other"] {
            assert!(parse(&[(name, "\0")]).is_err(), "{name}");
        }
        let many: Vec<(&str, &str)> = vec![("a", "b"); PARAMETERS_MAX + 1];
        assert!(parse(&many).is_err());
    }
}
