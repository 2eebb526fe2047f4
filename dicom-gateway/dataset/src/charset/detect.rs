//! Text in another character set than declared: found, flagged and read right.
//!
//! Township devices leave (0008,0005) away or say `ISO_IR 100` and send GBK or UTF-8. The bytes
//! are kept as they came; only the reading changes, and the report says so.

use std::sync::Arc;

use encoding_rs::{GB18030, UTF_8};
use serde::{Deserialize, Serialize};

use super::{CharacterSets, Kind};
use crate::dictionary::uses_character_set;
use crate::object::{DataSet, Value};

/// Bytes of text looked at.
const SAMPLE_BYTES_MAX: usize = 64 << 10;

/// How the declared character set fits the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CharsetState {
    /// All text reads in the declared sets (or is ASCII).
    Fits,
    /// No set declared, but there is other text than ASCII; read in the effective set.
    Missing,
    /// Another set declared than used; read in the effective set.
    Wrong,
    /// Some bytes read in no set that was tried; U+FFFD stands for them.
    Undecodable,
}

/// What was declared and what is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharsetReport {
    /// Value of (0008,0005), normalised.
    pub declared: String,
    /// The set in which text is read.
    pub effective: String,
    /// How they fit.
    pub state: CharsetState,
}

/// Looks at the text of a parsed data set and sets the effective character set of the root and of
/// all items that inherit it.
pub(crate) fn settle(root: &mut DataSet) -> CharsetReport {
    let declared = Arc::clone(root.charset_shared());
    let mut sample = Sample::default();
    collect(root, &declared, &mut sample);
    let report = |effective: &CharacterSets, state| CharsetReport {
        declared: declared.to_dicom(),
        effective: effective.to_dicom(),
        state,
    };
    if sample.bytes.is_empty() {
        return report(&declared, CharsetState::Fits);
    }
    let Some(found) = better(&declared, &sample) else {
        let state = if sample.damaged {
            CharsetState::Undecodable
        } else {
            CharsetState::Fits
        };
        return report(&declared, state);
    };
    let state = if declared.terms().is_empty() {
        CharsetState::Missing
    } else {
        CharsetState::Wrong
    };
    let answer = report(&found, state);
    replace(root, &declared, &Arc::new(found));
    answer
}

#[derive(Default)]
struct Sample {
    /// Values with bytes from 0x80 on, each followed by a newline so that no pair is made up
    /// across values.
    bytes: Vec<u8>,
    damaged: bool,
}

/// Gathers text of all data sets that share the root's character sets. The depth is bounded by
/// the parser; the walk keeps its own stack all the same.
fn collect(root: &DataSet, declared: &Arc<CharacterSets>, sample: &mut Sample) {
    let mut stack = vec![root];
    while let Some(set) = stack.pop() {
        for element in set.elements() {
            match &element.value {
                Value::Items(items) => {
                    stack.extend(
                        items
                            .iter()
                            .filter(|item| Arc::ptr_eq(item.charset_shared(), declared)),
                    );
                }
                Value::Bytes(bytes)
                    if uses_character_set(element.vr)
                        && !bytes.is_ascii()
                        && sample.bytes.len() + bytes.len() <= SAMPLE_BYTES_MAX =>
                {
                    sample.damaged |= declared.decode(bytes, element.vr).damaged;
                    sample.bytes.extend_from_slice(bytes);
                    sample.bytes.push(b'\n');
                }
                _ => {}
            }
        }
    }
}

/// A set that fits the sample better than the declared one.
fn better(declared: &CharacterSets, sample: &Sample) -> Option<CharacterSets> {
    let utf8 = UTF_8
        .decode_without_bom_handling_and_without_replacement(&sample.bytes)
        .is_some();
    let gb = || plausible_gb(&sample.bytes);
    match declared.kind {
        Kind::Utf8 => (!utf8 && gb() >= Plausible::Maybe).then(CharacterSets::gb18030),
        // Chinese UTF-8 rarely decodes as GB18030; when it does, the result is odd hanzi. A text
        // that is whole UTF-8 with three-byte characters is no GB text by chance.
        Kind::Gb18030 | Kind::Gbk => {
            let wrong = utf8 && (sample.damaged || gb() < Plausible::Likely) && has_cjk_utf8(&sample.bytes);
            wrong.then(CharacterSets::utf8)
        }
        Kind::Iso2022(_) => sample.damaged.then_some(()).and_then(|()| {
            if utf8 {
                Some(CharacterSets::utf8())
            } else {
                (gb() >= Plausible::Maybe).then(CharacterSets::gb18030)
            }
        }),
        Kind::Ascii | Kind::Unknown => {
            if utf8 {
                Some(CharacterSets::utf8())
            } else if gb() >= Plausible::Maybe {
                Some(CharacterSets::gb18030())
            } else {
                Some(CharacterSets::from_terms(&["ISO_IR 100"]))
            }
        }
        // Latin text hardly ever is whole UTF-8; GB only where every byte pair is a common hanzi
        Kind::Single(_) => {
            if utf8 {
                Some(CharacterSets::utf8())
            } else {
                (gb() >= Plausible::Likely).then(CharacterSets::gb18030)
            }
        }
    }
}

fn has_cjk_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .any(|c| ('\u{2e80}'..='\u{ffef}').contains(&c) || c > '\u{ffff}')
    })
}

#[derive(PartialEq, PartialOrd)]
enum Plausible {
    No,
    Maybe,
    Likely,
}

/// Is this GB18030? `Likely` when at least four of five pairs are everyday hanzi (GB2312 level
/// one, rows 0xB0-0xD7) or Chinese punctuation, `Maybe` when it decodes and half the characters
/// are hanzi.
fn plausible_gb(bytes: &[u8]) -> Plausible {
    let Some(text) = GB18030.decode_without_bom_handling_and_without_replacement(bytes) else {
        return Plausible::No;
    };
    let (mut hanzi, mut common, mut high, mut all) = (0_usize, 0_usize, 0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        all += 1;
        let is_hanzi = ('\u{4e00}'..='\u{9fff}').contains(&c) || ('\u{20000}'..='\u{3ffff}').contains(&c);
        hanzi += usize::from(is_hanzi);
        let mut utf8 = [0; 4];
        let (pair, _, _) = encoding_rs::GBK.encode(c.encode_utf8(&mut utf8));
        let everyday = matches!(pair.as_ref(), [0xb0..=0xd7 | 0xa1 | 0xa3, 0xa1..=0xfe]);
        common += usize::from(everyday);
        // an accented Latin letter before a plain one also makes a pair
        high += usize::from(pair.iter().skip(1).all(|&b| b >= 0x80));
    }
    if all > 0 && common * 5 >= all * 4 {
        Plausible::Likely
    } else if all > 0 && hanzi * 2 >= all && high * 2 >= all {
        Plausible::Maybe
    } else {
        Plausible::No
    }
}

fn replace(root: &mut DataSet, from: &Arc<CharacterSets>, to: &Arc<CharacterSets>) {
    let mut stack = vec![root];
    while let Some(set) = stack.pop() {
        if !Arc::ptr_eq(set.charset_shared(), from) {
            continue;
        }
        set.set_charset_shared(Arc::clone(to));
        for element in set.elements_mut() {
            if let Value::Items(items) = &mut element.value {
                stack.extend(items.items_mut().iter_mut());
            }
        }
    }
}
