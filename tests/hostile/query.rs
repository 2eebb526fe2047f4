//! Questions that ask too much, or something else than they say: C-FIND identifiers and QIDO-RS addresses.

use super::Row;
use super::line::{Answer, STUDY_FIND};
use super::target::Target;
use crate::support::peer::IMPLICIT_LE;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A Study Root identifier in implicit VR.
pub struct Identifier(BTreeMap<(u16, u16), Vec<u8>>);

impl Identifier {
    pub fn new() -> Identifier {
        Identifier(BTreeMap::new())
            .with(0x0008, 0x0052, b"STUDY")
            .with(0x0010, 0x0010, b"")
            .with(0x0010, 0x0020, b"")
            .with(0x0020, 0x000D, b"")
    }

    pub fn with(mut self, group: u16, number: u16, value: &[u8]) -> Identifier {
        self.0.insert((group, number), value.to_vec());
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((group, number), value) in &self.0 {
            let odd = value.len() % 2;
            out.extend(group.to_le_bytes());
            out.extend(number.to_le_bytes());
            out.extend(((value.len() + odd) as u32).to_le_bytes());
            out.extend(value);
            out.extend(std::iter::repeat_n(b' ', odd));
        }
        out
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        find("4000_keys", None, || {
            let keys = (0..2000).flat_map(|i| [(0x0020, 0x1000 + i), (0x0040, 0x1000 + i)]);
            keys.fold(Identifier::new(), |id, (g, n)| id.with(g, n, b""))
                .bytes()
        }),
        find("2000_private_keys", None, || {
            let keys = 0x1000..0x17D0;
            keys.fold(Identifier::new(), |id, n| id.with(0x4321, n, b"x"))
                .bytes()
        }),
        find("name_of_2000_wildcards", None, || named(&"*?".repeat(1000))),
        find("name_of_wildcards_only", None, || named(&"*".repeat(10_000))),
        find("name_that_makes_matchers_backtrack", Some(0), || {
            named(&format!("{}b*", "*a".repeat(30)))
        }),
        find("name_like_a_regular_expression", Some(0), || {
            named("(a+)+$|(.*)*\\1[[:alpha:]]{1,99999}")
        }),
        find("list_of_10000_uids", Some(0), || {
            let list: Vec<String> = (0..10_000).map(|i| format!("1.2.3.{i}")).collect();
            Identifier::new()
                .with(0x0020, 0x000D, list.join("\\").as_bytes())
                .bytes()
        }),
        find("patient_id_of_1_megabyte", Some(0), || {
            Identifier::new()
                .with(0x0010, 0x0020, &vec![b'A'; 1_000_000])
                .bytes()
        }),
        find("date_range_of_garbage", None, || dated("99999999-00000000")),
        find("date_range_open_both_ways", None, || dated("-")),
        find("level_missing", None, || b"\x10\0\x20\0\x02\0\0\0A ".to_vec()),
        find("identifier_cut", None, || {
            let mut bytes = Identifier::new().with(0x0010, 0x0020, b"HOSTILE").bytes();
            bytes.truncate(bytes.len() - 3);
            bytes
        }),
        find("identifier_of_noise", None, || {
            (0..500_u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect()
        }),
        find("identifier_empty", None, Vec::new),
        Row::new("patient_ids_that_are_sql", sql),
        Row::new("qido_with_sql_and_odd_characters", qido_words),
        Row::new("qido_with_600_fields_and_huge_pages", qido_fields),
    ];
    rows.push(Row::new("worklist_filters_of_odd_characters", worklist));
    rows
}

fn named(name: &str) -> Vec<u8> {
    Identifier::new().with(0x0010, 0x0010, name.as_bytes()).bytes()
}

fn dated(range: &str) -> Vec<u8> {
    Identifier::new().with(0x0008, 0x0020, range.as_bytes()).bytes()
}

/// An identifier that is answered soon, by a status or an A-ABORT.
fn find(name: &str, answers: Option<usize>, make: fn() -> Vec<u8>) -> Row {
    Row::new(name, move |t| {
        let (count, last) = ask(t, &make());
        assert!(matches!(last, Answer::Status(_) | Answer::Aborted), "{last:?}");
        if let Some(wanted) = answers {
            assert_eq!(count, wanted, "answers");
        }
    })
}

fn ask(target: &Target, identifier: &[u8]) -> (usize, Answer) {
    let mut line = target.associate(&[(STUDY_FIND, &[IMPLICIT_LE])]);
    let start = Instant::now();
    let found = line.find(identifier, WAIT);
    assert!(start.elapsed() < ANSWER_MAX, "after {:?}", start.elapsed());
    found
}

/// The studies of these tests have the patient number HOSTILE: no pattern of SQL may find them.
fn sql(target: &Target) {
    let object = target.object();
    assert_eq!(target.store(&object.place, &object.bytes()), Answer::Status(0));
    for text in [
        "' OR '1'='1",
        "'; DROP TABLE study; --",
        "%",
        "_______",
        "\\' OR 1=1 /*",
        "\" OR \"\"=\"",
        "HOSTILE' --",
        "HOSTIL_",
        "HOSTIL%",
        "HOSTILE\0",
        "${jndi:ldap://127.0.0.1/x}",
    ] {
        let identifier = Identifier::new().with(0x0010, 0x0020, text.as_bytes());
        let (count, last) = ask(target, &identifier.bytes());
        // a zero byte is padding, so that one is the number itself
        let wanted = text == "HOSTILE\0";
        assert_eq!(last, Answer::Status(0), "{text:?}");
        assert_eq!(count > 0, wanted, "{text:?}: {count} answers");
    }
}

fn qido_words(target: &Target) {
    for word in [
        "%27%20OR%20%271%27=%271",
        "%25",
        "_______",
        "HOSTIL_",
        "1%27;DROP%20TABLE%20x--",
        "%00",
        "%ff%fe",
        "%E2%80%AE",
    ] {
        let start = Instant::now();
        let answer = target.reader.get(&format!("/dicomweb/studies?PatientID={word}"));
        assert!(start.elapsed() < ANSWER_MAX, "{word}: {:?}", start.elapsed());
        let found = match answer.status {
            200 => answer.json().as_array().map_or(0, Vec::len),
            204 | 400 => 0,
            other => panic!("{word}: {other} {}", answer.text()),
        };
        assert_eq!(found, 0, "{word}");
    }
    let stars = target
        .reader
        .get(&format!("/dicomweb/studies?PatientID={}", "*".repeat(3000)));
    assert!(stars.status < 500, "{}", stars.status);
}

fn qido_fields(target: &Target) {
    let fields: String = (0..400).map(|i| format!("includefield=0020{i:04x}&")).collect();
    for page in [
        "limit=999999999&offset=99999999999",
        "limit=-1",
        "limit=1e9",
        "offset=18446744073709551616",
        "fuzzymatching=maybe",
    ] {
        let start = Instant::now();
        let answer = target.reader.get(&format!("/dicomweb/studies?{fields}{page}"));
        assert!(answer.status < 500, "{page}: {}", answer.status);
        assert!(start.elapsed() < ANSWER_MAX, "{page}: {:?}", start.elapsed());
    }
}

fn worklist(target: &Target) {
    for query in [
        "q=%27%20OR%201=1--",
        "q=%25",
        "q=%00",
        "status=%27",
        "from=9999-99-99",
        "limit=abc",
        "limit=99999999999999999999",
        "cursor=AAAA%27",
        "modality=CT%27;--",
    ] {
        let answer = target.reader.get(&format!("/api/worklist?{query}"));
        assert!(
            matches!(answer.status, 200 | 400 | 422),
            "{query}: {}",
            answer.status
        );
        if query.starts_with("q=%2") && answer.status == 200 {
            let items = answer.json()["items"].as_array().map_or(0, Vec::len);
            assert_eq!(items, 0, "{query} found something");
        }
    }
}
