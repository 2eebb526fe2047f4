//! Person names as searches compare them.

use pinyin::ToPinyin;

/// Longest name that is kept (PS3.5: 64 characters a group, three groups).
pub const NAME_CHARACTERS_MAX: usize = 200;

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
        let syllables: Vec<String> = written
            .chars()
            .filter_map(|c| c.to_pinyin())
            .map(|syllable| syllable.plain().to_uppercase())
            .collect();
        NameKeys {
            display: display(written),
            name_key: search_key(written),
            alphabetic_key: search_key(&self.alphabetic),
            pinyin: syllables.join(" "),
            pinyin_key: syllables.concat(),
            initials: syllables.iter().filter_map(|s| s.chars().next()).collect(),
        }
    }
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

/// Capitals, full-width forms folded to ASCII, separators and spaces as one space; characters are
/// joined without a space, as no one types one.
pub fn search_key(text: &str) -> String {
    let folded = text
        .chars()
        .take(NAME_CHARACTERS_MAX)
        .map(|c| match u32::from(c) {
            0x3000 => ' ',
            full @ 0xFF01..=0xFF5E => char::from_u32(full - 0xFEE0).unwrap_or(c),
            _ if c == '^' || c == ',' || c.is_whitespace() || c.is_control() => ' ',
            _ => c,
        });
    let upper: String = folded.flat_map(char::to_uppercase).collect();
    let gap = if upper.chars().any(is_han) { "" } else { " " };
    upper
        .split(' ')
        .filter(|p| !p.is_empty())
        .collect::<Vec<_>>()
        .join(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_keys() {
        let check = |parts: NameParts, display: &str, key: &str, pinyin: &str, initials: &str| {
            let keys = parts.keys();
            assert_eq!(
                (
                    keys.display.as_str(),
                    keys.name_key.as_str(),
                    keys.pinyin.as_str(),
                    keys.initials.as_str()
                ),
                (display, key, pinyin, initials),
                "{parts:?}"
            );
        };
        let full = NameParts {
            alphabetic: "Wang^XiaoDong".into(),
            ideographic: "王^小东".into(),
            phonetic: String::new(),
        };
        check(full.clone(), "王小东", "王小东", "WANG XIAO DONG", "WXD");
        assert_eq!(full.keys().alphabetic_key, "WANG XIAODONG");
        check(NameParts::from_text(" 李 明 "), "李 明", "李明", "LI MING", "LM");
        check(
            NameParts::from_text("ｌｉ^ming^^"),
            "ｌｉ ming",
            "LI MING",
            "",
            "",
        );
        check(NameParts::from_text("𠮷野"), "𠮷野", "𠮷野", "YE", "Y");
        check(NameParts::default(), "", "", "", "");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(
            NameParts::from_text(&"王".repeat(5000))
                .ideographic
                .chars()
                .count(),
            NAME_CHARACTERS_MAX
        );
        assert!(search_key(&"x".repeat(5000)).len() <= NAME_CHARACTERS_MAX);
    }
}
