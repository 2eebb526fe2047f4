//! Person names as searches compare them.
//!
//! A name is found by its characters (traditional or simplified), by its pinyin with or without
//! tones and spaces, by the first letters of it, and by its given name alone. Where a character has
//! several readings, the surname's own one is the name's pinyin and the others are kept as terms.

mod tables;
#[cfg(test)]
mod tests;

use pinyin::ToPinyin;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Longest name that is kept (PS3.5: 64 characters a group, three groups).
pub const NAME_CHARACTERS_MAX: usize = 200;
/// Version of the rules below: names kept under an older one get new keys.
pub const NAME_KEYS_VERSION: i64 = 2;
/// Other readings of one name.
const READINGS_MAX: usize = 8;
/// Endings of a name that are kept, so that the given name alone finds it.
const ENDINGS_MAX: usize = 4;
/// Terms of one name.
pub const TERMS_MAX: usize = 24;

static SIMPLIFIED: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    let all: Vec<char> = tables::SIMPLIFIED.chars().collect();
    let pairs = all.chunks_exact(2);
    pairs
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .collect()
});
static SURNAMES: LazyLock<HashMap<&str, &[&str]>> =
    LazyLock::new(|| tables::SURNAMES.iter().copied().collect());
static READINGS: LazyLock<HashMap<char, &[&str]>> =
    LazyLock::new(|| tables::READINGS.iter().copied().collect());

/// A name in its three forms (PS3.5 6.2, VR PN).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameParts {
    /// Latin letters, parts divided by `^`.
    pub alphabetic: String,
    /// Characters, parts divided by `^`.
    pub ideographic: String,
    /// Phonetic form, parts divided by `^`.
    pub phonetic: String,
}

/// How a term relates to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TermKind {
    /// The whole name in another reading: as good as the name itself.
    Reading,
    /// A part of the name, or first letters of another reading: for people who search.
    Part,
}

impl TermKind {
    /// The number that is stored.
    pub fn code(self) -> i64 {
        match self {
            Self::Reading => 0,
            Self::Part => 1,
        }
    }
}

/// What the index keeps of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameKeys {
    /// For people to read: characters when there are any.
    pub display: String,
    /// Key of the displayed form.
    pub name_key: String,
    /// Key of the Latin form.
    pub alphabetic_key: String,
    /// Pinyin in capitals, one word a character.
    pub pinyin: String,
    /// Pinyin without spaces.
    pub pinyin_key: String,
    /// First letters of the pinyin.
    pub initials: String,
    /// What else finds the name.
    pub terms: BTreeSet<(TermKind, String)>,
}

impl NameParts {
    /// From one plain text as a person types it: characters go to the ideographic form.
    pub fn from_text(text: &str) -> Self {
        let text: String = text.trim().chars().take(NAME_CHARACTERS_MAX).collect();
        if text.chars().any(is_han) {
            Self {
                ideographic: text,
                ..Self::default()
            }
        } else {
            Self {
                alphabetic: text,
                ..Self::default()
            }
        }
    }

    /// The keys under which this name is found.
    pub fn keys(&self) -> NameKeys {
        // Many devices put characters into the first group.
        let written = [&self.ideographic, &self.alphabetic]
            .into_iter()
            .find(|text| !text.trim().is_empty());
        let written = written.map_or("", String::as_str);
        let readings = readings(written);
        let first: Vec<&str> = readings
            .iter()
            .filter_map(|r| r.first().map(String::as_str))
            .collect();
        let mut keys = NameKeys {
            display: display(written),
            name_key: search_key(written),
            alphabetic_key: search_key(&self.alphabetic),
            pinyin: first.join(" "),
            pinyin_key: first.concat(),
            initials: initials(&first),
            terms: BTreeSet::new(),
        };
        keys.add_terms(&readings);
        keys
    }
}

impl NameKeys {
    /// Terms that find somebody by this name although another one stands in the patient's row.
    pub(crate) fn alias_terms(&self) -> BTreeSet<(TermKind, String)> {
        let mut all = self.terms.clone();
        for key in [&self.name_key, &self.alphabetic_key, &self.pinyin_key] {
            all.insert((TermKind::Reading, key.clone()));
            // Names are asked for with and without the space between their parts.
            all.insert((TermKind::Reading, key.replace(' ', "")));
        }
        all.insert((TermKind::Part, self.initials.clone()));
        all.retain(|(_, term)| !term.is_empty());
        all
    }

    fn add_terms(&mut self, readings: &[Vec<String>]) {
        let mut wanted = Vec::new();
        for other in combinations(readings) {
            let other: Vec<&str> = other.iter().map(String::as_str).collect();
            wanted.push((TermKind::Reading, other.concat()));
            wanted.push((TermKind::Part, initials(&other)));
        }
        let first: Vec<&str> = readings
            .iter()
            .filter_map(|r| r.first().map(String::as_str))
            .collect();
        if let [surname, given @ ..] = first.as_slice()
            && !given.is_empty()
        {
            wanted.push((TermKind::Part, given.concat()));
            wanted.push((TermKind::Part, format!("{surname}{}", initials(given))));
        }
        if self.name_key.chars().any(is_han) {
            let starts = self.name_key.char_indices().map(|(at, _)| at).skip(1);
            let endings = starts.filter_map(|at| self.name_key.get(at..));
            wanted.extend(
                endings
                    .take(ENDINGS_MAX)
                    .map(|end| (TermKind::Part, end.to_owned())),
            );
        }
        let words = self.alphabetic_key.split(' ').skip(1).take(ENDINGS_MAX);
        wanted.extend(words.map(|word| (TermKind::Part, word.to_owned())));
        let known = [
            &self.name_key,
            &self.alphabetic_key,
            &self.pinyin_key,
            &self.initials,
        ];
        wanted.retain(|(_, text)| !text.is_empty() && !known.contains(&text));
        self.terms = wanted.into_iter().take(TERMS_MAX).collect();
    }
}

/// Readings of each character, the usual one first; characters without pinyin are left out.
fn readings(written: &str) -> Vec<Vec<String>> {
    let simple: Vec<char> = written
        .chars()
        .filter(|c| is_han(*c))
        .map(|c| SIMPLIFIED.get(&c).copied().unwrap_or(c))
        .collect();
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut rest = simple.as_slice();
    let pair: String = simple.iter().take(2).collect();
    let single: String = simple.iter().take(1).collect();
    if let (Some(known), true) = (SURNAMES.get(pair.as_str()), simple.len() > 1) {
        for n in 0..2 {
            let nth = known
                .iter()
                .filter_map(|text| text.split(' ').nth(n).map(str::to_owned));
            all.push(distinct(nth.collect()));
        }
        rest = simple.get(2..).unwrap_or_default();
    } else if let Some(known) = SURNAMES.get(single.as_str()) {
        let mut of: Vec<String> = known.iter().map(|text| (*text).to_owned()).collect();
        // Somebody who does not know better types the character's usual reading.
        of.extend(simple.first().into_iter().flat_map(|c| usual(*c)));
        all.push(with_spellings(distinct(of)));
        rest = simple.get(1..).unwrap_or_default();
    }
    for c in rest {
        let of = usual(*c);
        if !of.is_empty() {
            all.push(with_spellings(distinct(of)));
        }
    }
    all
}

/// Readings of a character outside of surnames.
fn usual(c: char) -> Vec<String> {
    let listed = READINGS.get(&c).copied().unwrap_or_default();
    let mut of: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
    of.extend(plain(c));
    of
}

fn plain(c: char) -> Option<String> {
    let syllable = c.to_pinyin()?.plain().to_uppercase();
    Some(syllable.replace('Ü', "V"))
}

/// Ü is typed as V, on passports written YU, and by many as U.
fn with_spellings(mut all: Vec<String>) -> Vec<String> {
    let more: Vec<String> = all
        .iter()
        .filter(|text| text.contains('V'))
        .flat_map(|text| [text.replace('V', "U"), text.replace('V', "YU")])
        .collect();
    all.extend(more);
    distinct(all)
}

fn distinct(all: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    all.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

/// Other readings of the whole name: all combinations but the usual one, at most
/// [`READINGS_MAX`].
fn combinations(readings: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for of in readings {
        let mut next = Vec::new();
        for begun in &all {
            for reading in of {
                let mut longer = begun.clone();
                longer.push(reading.clone());
                next.push(longer);
            }
        }
        next.truncate(READINGS_MAX + 1);
        all = next;
    }
    all.into_iter().skip(1).collect()
}

fn initials(syllables: &[&str]) -> String {
    syllables.iter().filter_map(|s| s.chars().next()).collect()
}

fn is_han(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x2FDF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// Parts joined as one reads them: without a gap between characters, with a space otherwise.
fn display(text: &str) -> String {
    let parts: Vec<&str> = text.split('^').map(str::trim).filter(|p| !p.is_empty()).collect();
    let gap = if text.chars().any(is_han) { "" } else { " " };
    parts.join(gap)
}

/// A letter without its accents and tone marks; Ü is V, as keyboards have it.
fn bare(c: char) -> char {
    match c {
        'Ā' | 'Á' | 'Ǎ' | 'À' | 'Â' | 'Ä' | 'Ã' | 'Å' => 'A',
        'Ē' | 'É' | 'Ě' | 'È' | 'Ê' | 'Ë' => 'E',
        'Ī' | 'Í' | 'Ǐ' | 'Ì' | 'Î' | 'Ï' => 'I',
        'Ō' | 'Ó' | 'Ǒ' | 'Ò' | 'Ô' | 'Ö' | 'Õ' | 'Ø' => 'O',
        'Ū' | 'Ú' | 'Ǔ' | 'Ù' | 'Û' => 'U',
        'Ǖ' | 'Ǘ' | 'Ǚ' | 'Ǜ' | 'Ü' => 'V',
        'Ń' | 'Ň' | 'Ñ' => 'N',
        'Ç' => 'C',
        other => SIMPLIFIED.get(&other).copied().unwrap_or(other),
    }
}

fn is_gap(c: char) -> bool {
    // The dots stand in names of many peoples of the west of China.
    matches!(c, '^' | ',' | '=' | '·' | '•' | '‧' | '・' | '\'' | '’') || c.is_whitespace() || c.is_control()
}

/// A mark that follows its letter.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F)
}

/// Capitals without accents, full-width forms folded to ASCII, traditional characters as simplified
/// ones, separators and spaces as one space; characters are joined without a space, as no one types
/// one.
pub fn search_key(text: &str) -> String {
    let folded = text
        .chars()
        .take(NAME_CHARACTERS_MAX)
        .map(|c| match u32::from(c) {
            full @ 0xFF01..=0xFF5E => char::from_u32(full - 0xFEE0).unwrap_or(c),
            _ => c,
        })
        // after the folding: a full-width comma is a gap too
        .map(|c| if c == '\u{3000}' || is_gap(c) { ' ' } else { c })
        .filter(|c| !is_mark(*c));
    let upper = folded.flat_map(char::to_uppercase).filter(|c| !is_mark(*c));
    let upper: String = upper.map(bare).collect();
    let gap = if upper.chars().any(is_han) { "" } else { " " };
    upper
        .split(' ')
        .filter(|p| !p.is_empty())
        .collect::<Vec<_>>()
        .join(gap)
}

/// A text that somebody types to find a name, as pinyin: without spaces, tone marks and tone
/// numbers (`wang2 xiao3 ming2`).
pub fn pinyin_key(text: &str) -> String {
    let key = search_key(text);
    let chars: Vec<char> = key.chars().collect();
    let tone = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let digit = chars.get(at).is_some_and(|c| ('1'..='5').contains(c));
        digit && before.is_some_and(char::is_ascii_alphabetic) && after.is_none_or(|c| !c.is_ascii_digit())
    };
    let kept = chars
        .iter()
        .enumerate()
        .filter(|(at, c)| **c != ' ' && !tone(*at));
    kept.map(|(_, c)| *c).collect()
}
