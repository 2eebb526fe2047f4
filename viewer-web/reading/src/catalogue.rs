//! The exam items that the community orders, and the texts a report starts from.

use serde::Serialize;

#[path = "catalogue_tables.rs"]
mod tables;

/// An exam item.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Item {
    /// Stable code.
    pub code: &'static str,
    /// Name in Chinese.
    pub name_zh: &'static str,
    /// Name in English.
    pub name_en: &'static str,
    /// Modality.
    pub modality: &'static str,
    /// Body part examined (DICOM CS).
    pub body_part: &'static str,
}

/// A text that a report starts from.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Template {
    /// Stable name.
    pub id: &'static str,
    /// Title in Chinese.
    pub title_zh: &'static str,
    /// Title in English.
    pub title_en: &'static str,
    /// Modality.
    pub modality: &'static str,
    /// Body part; `None` fits all.
    pub body_part: Option<&'static str>,
    /// 所见, with blanks as `____`.
    pub findings: &'static str,
    /// 诊断.
    pub impression: &'static str,
}

/// A kind of critical value.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CriticalItem {
    /// Stable code.
    pub code: &'static str,
    /// Name in Chinese.
    pub text_zh: &'static str,
    /// Name in English.
    pub text_en: &'static str,
    /// `imaging` or `ecg`.
    pub kind: &'static str,
}

/// All exam items.
#[must_use]
pub fn items() -> &'static [Item] {
    tables::ITEMS
}

/// The usual item of a modality and body part.
#[must_use]
pub fn item_for(modality: &str, body_part: Option<&str>) -> Option<&'static Item> {
    let of_modality = || {
        tables::ITEMS
            .iter()
            .filter(|item| same_modality(item.modality, modality))
    };
    of_modality()
        .find(|item| Some(item.body_part) == body_part)
        .or_else(|| of_modality().next().filter(|_| of_modality().count() == 1))
}

/// Names of the critical values.
#[must_use]
pub fn critical_items() -> &'static [CriticalItem] {
    tables::CRITICAL
}

/// Templates for a modality and body part; both may be left out.
#[must_use]
pub fn templates(modality: Option<&str>, body_part: Option<&str>) -> Vec<&'static Template> {
    let fits = |t: &&Template| {
        modality.is_none_or(|m| same_modality(t.modality, m))
            && body_part.is_none_or(|wanted| t.body_part.is_none_or(|part| part == wanted))
    };
    tables::TEMPLATES.iter().filter(fits).collect()
}

/// CR and DX are one thing to a reader.
fn same_modality(a: &str, b: &str) -> bool {
    let plain = |m: &str| matches!(m, "DX" | "CR" | "DR");
    a == b || (plain(a) && plain(b))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_every_text_is_there() {
        let codes: HashSet<_> = items().iter().map(|i| i.code).collect();
        assert_eq!(codes.len(), items().len());
        let ids: HashSet<_> = tables::TEMPLATES.iter().map(|t| t.id).collect();
        assert_eq!(ids.len(), tables::TEMPLATES.len());
        for t in tables::TEMPLATES {
            assert!(
                !t.findings.is_empty() && !t.impression.is_empty() && !t.title_en.is_empty(),
                "{}",
                t.id
            );
        }
        let critical: HashSet<_> = critical_items().iter().map(|c| c.code).collect();
        assert_eq!(critical.len(), critical_items().len());
    }

    #[test]
    fn a_reader_finds_the_templates_of_the_exam() {
        let check = |modality, part, expect: &str| {
            assert!(
                templates(Some(modality), Some(part))
                    .iter()
                    .any(|t| t.id == expect),
                "{modality} {part} {expect}"
            );
        };
        check("CT", "CHEST", "ct-chest-normal");
        check("CR", "CHEST", "dx-chest-normal");
        check("US", "ABDOMEN", "us-abdomen-normal");
        check("MR", "HEAD", "mr-head-normal");
        check("ECG", "HEART", "ecg-normal");
        assert!(
            templates(Some("CT"), Some("CHEST"))
                .iter()
                .all(|t| t.modality == "CT")
        );
    }

    #[test]
    fn the_item_of_an_unordered_study() {
        assert_eq!(item_for("CT", Some("CHEST")).map(|i| i.code), Some("CT-CHEST"));
        assert_eq!(item_for("ECG", None).map(|i| i.code), Some("ECG-12"));
        assert!(item_for("CT", None).is_none());
        assert!(item_for("XX", None).is_none());
    }
}
