//! Matching keys of queries.

#[path = "../../../../dicom-gateway/src/service/find/keys.rs"]
#[allow(dead_code)]
mod keys;

use dataset::matching::{LIST_MAX, Match, PATTERN_CHARS_MAX};
use dataset::{Limits, TransferSyntaxUid, Value, Vr, stream};

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts: [&[u8]; 8] = [
        b"\0SM*^B?B\x1fSMITHSON^BOB",
        b"\x01*=\xe5\xbc\xa0*\x1fZhang^San=\xe5\xbc\xa0^\xe4\xb8\x89",
        b"\x021.2.3\\1.2.4\x1f1.2.4",
        b"\x0320260101-20260131\x1f20260115",
        b"\x0510110000-0500-2026\x1f2026",
        b"\x06CT\\MR\x1fCT",
        b"\0*a*a*a*b\x1faaaaaaaaaaaaaaaaaa",
        b"\x01\x08\0\x52\0\x06\0\0\0STUDY \x10\0\x10\0\x04\0\0\0A*=B",
    ];
    texts
        .into_iter()
        .map(|text| ("matching", text.to_vec()))
        .collect()
}

const VRS: [Vr; 8] = [Vr::LO, Vr::PN, Vr::UI, Vr::DA, Vr::TM, Vr::DT, Vr::CS, Vr::IS];

/// A key and a value, and the same bytes as the identifier of a C-FIND.
pub fn matching(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let vr = VRS[usize::from(kind) % VRS.len()];
    let text = String::from_utf8_lossy(rest);
    let (key, value) = text.split_once('\u{1f}').unwrap_or((&text, ""));
    let question = Match::parse(vr, key);
    let found = question.matches(value);
    match &question {
        Match::Universal => assert!(found),
        Match::Single(wanted) => assert_eq!(found, wanted == value),
        Match::List(list) => assert!(list.len() <= LIST_MAX),
        Match::Range { .. } => {}
        Match::Wildcard(pattern) => {
            assert!(pattern.as_str().chars().count() <= PATTERN_CHARS_MAX);
            assert!(pattern.as_str().starts_with(pattern.prefix()));
            let like = pattern.to_like();
            if value.len() < 300 {
                assert_eq!(
                    found,
                    by_table(pattern.as_str(), value),
                    "{pattern:?} on {value:?}"
                );
                assert_eq!(found, like_matches(&like, value), "{like:?} on {value:?}");
            }
        }
    }
    let upper = question.map(str::to_uppercase);
    let _ = upper.matches(value);
    identifier(rest);
}

/// Every key of an identifier as the service reads it.
fn identifier(bytes: &[u8]) {
    let syntax = TransferSyntaxUid::implicit_le();
    let Ok(parsed) = stream::parse(bytes, &syntax, Limits::default()) else {
        return;
    };
    let set = parsed.data_set;
    if keys::refuse(&set).is_some() {
        return;
    }
    let _ = keys::Level::of(&set);
    for element in set.elements() {
        let question = keys::key(&set, element.tag);
        let _ = keys::single(&question);
        if element.vr == Vr::PN || matches!(element.value, Value::Bytes(_)) {
            let _ = keys::name_fits(&question, ["Zhang^San", "张^三", ""], "张三");
            let _ = keys::name_fits(&question, ["张^三", "", ""], "张三");
        }
        if let Some(item) = keys::item(&set, element.tag) {
            for inner in item.elements() {
                let _ = keys::key(item, inner.tag);
            }
        }
    }
}

/// `*` and `?` by a table: slow, and easy to see as right.
fn by_table(pattern: &str, value: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let mut row: Vec<bool> = std::iter::once(true)
        .chain(std::iter::repeat_n(false, value.len()))
        .collect();
    for p in pattern.chars() {
        let mut next = vec![false; value.len() + 1];
        next[0] = p == '*' && row[0];
        for (at, c) in value.iter().enumerate() {
            next[at + 1] = match p {
                '*' => row[at + 1] || next[at],
                '?' => row[at],
                p => p == *c && row[at],
            };
        }
        row = next;
    }
    row[value.len()]
}

/// SQL's `LIKE ... ESCAPE '\'`, by the same table.
fn like_matches(like: &str, value: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let mut row: Vec<bool> = std::iter::once(true)
        .chain(std::iter::repeat_n(false, value.len()))
        .collect();
    let mut characters = like.chars();
    while let Some(p) = characters.next() {
        let (any, one, plain) = match p {
            '%' => (true, false, ' '),
            '_' => (false, true, ' '),
            '\\' => (
                false,
                false,
                characters.next().expect("an escape escapes something"),
            ),
            p => (false, false, p),
        };
        let mut next = vec![false; value.len() + 1];
        next[0] = any && row[0];
        for (at, c) in value.iter().enumerate() {
            next[at + 1] = if any {
                row[at + 1] || next[at]
            } else {
                (one || plain == *c) && row[at]
            };
        }
        row = next;
    }
    row[value.len()]
}
