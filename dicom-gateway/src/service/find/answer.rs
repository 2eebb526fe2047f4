//! Answers of a C-FIND: the keys that were asked for, in the character set that was asked for.

use dataset::{CharacterSets, DataSet, Element, Tag, Value, Vr, dictionary, tags};

/// A value that an answer may hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    /// Text of any VR, several values joined by backslashes.
    Text(String),
    /// US.
    Number(u16),
    /// Items of a sequence.
    Items(Vec<Record>),
}

/// Everything that is known about one match, before the keys choose from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record {
    fields: Vec<(Tag, Field)>,
}

impl Record {
    /// Puts text in.
    pub(super) fn text(&mut self, tag: Tag, text: impl Into<String>) -> &mut Self {
        self.fields.push((tag, Field::Text(text.into())));
        self
    }

    /// Puts an attribute in that is supported but has no value here.
    pub(super) fn optional(&mut self, tag: Tag, text: Option<impl Into<String>>) -> &mut Self {
        self.text(tag, text.map(Into::into).unwrap_or_default())
    }

    /// Puts a US number in.
    pub(super) fn number(&mut self, tag: Tag, value: Option<i64>) -> &mut Self {
        match value.and_then(|value| u16::try_from(value).ok()) {
            Some(value) => self.fields.push((tag, Field::Number(value))),
            None => self.fields.push((tag, Field::Text(String::new()))),
        }
        self
    }

    /// Puts another text in the place of one that is there.
    pub(super) fn replace(&mut self, tag: Tag, text: String) {
        if let Some((_, field)) = self.fields.iter_mut().find(|(known, _)| *known == tag) {
            *field = Field::Text(text);
        }
    }

    /// Puts a sequence in.
    pub(super) fn items(&mut self, tag: Tag, items: Vec<Self>) -> &mut Self {
        self.fields.push((tag, Field::Items(items)));
        self
    }

    /// The value of a tag.
    pub(super) fn get(&self, tag: Tag) -> Option<&Field> {
        self.fields
            .iter()
            .find(|(known, _)| *known == tag)
            .map(|(_, field)| field)
    }

    /// Text of a tag, empty when there is none.
    pub(super) fn text_of(&self, tag: Tag) -> &str {
        match self.get(tag) {
            Some(Field::Text(text)) => text,
            _ => "",
        }
    }

    /// Changes the items of a sequence.
    pub(super) fn each_item(&mut self, tag: Tag, mut change: impl FnMut(&mut Self)) {
        for (_, field) in self.fields.iter_mut().filter(|(known, _)| *known == tag) {
            if let Field::Items(items) = field {
                items.iter_mut().for_each(&mut change);
            }
        }
    }

    /// Sequence matching (PS3.4 C.2.2.2.6): for each sequence key but `but`, some item fits all
    /// keys of its item. Sequences that are not known here are no keys.
    pub(super) fn sequences_fit(&self, keys: &DataSet, but: &[Tag]) -> bool {
        let asked = keys.elements().iter().filter(|key| !but.contains(&key.tag));
        asked.into_iter().all(|element| {
            let (Value::Items(wanted), Some(Field::Items(items))) = (&element.value, self.get(element.tag))
            else {
                return true;
            };
            let Some(wanted) = wanted.first().filter(|wanted| !wanted.is_empty()) else {
                return true;
            };
            let fits = |item: &Self| {
                let plain = wanted.elements().iter().all(|e| match item.get(e.tag) {
                    Some(Field::Text(text)) => super::keys::key(wanted, e.tag).matches(text),
                    _ => true,
                });
                plain && item.sequences_fit(wanted, &[])
            };
            wanted
                .elements()
                .iter()
                .all(|e| super::keys::key(wanted, e.tag).is_universal() && wanted.sequence(e.tag).is_empty())
                || items.iter().any(fits)
        })
    }

    fn fits(&self, charset: &CharacterSets) -> bool {
        self.fields.iter().all(|(_, field)| match field {
            Field::Text(text) => charset.encode(text).is_some(),
            Field::Number(_) => true,
            Field::Items(items) => items.iter().all(|item| item.fits(charset)),
        })
    }

    /// The answer to `keys`: every key that is known gets its value. Returns also whether all keys
    /// were known. The character set is the one that `keys` names, or UTF-8 when that one cannot
    /// hold the text.
    pub(super) fn answer(&self, keys: &DataSet, always: &[Tag]) -> (DataSet, bool) {
        let asked = keys.charset();
        let fits = !asked.terms().is_empty() && self.fits(asked);
        let charset = if fits {
            asked.clone()
        } else {
            CharacterSets::utf8()
        };
        let (mut set, complete) = self.chosen(keys, &charset);
        for tag in always {
            if !set.contains(*tag) && self.get(*tag).is_some() {
                self.put(&mut set, *tag, dictionary::vr_of(*tag).unwrap_or(Vr::LO));
            }
        }
        let ascii = self.fits(&CharacterSets::from_terms::<&str>(&[]));
        if !ascii || keys.contains(tags::SPECIFIC_CHARACTER_SET) {
            set.declare_charset(charset);
        }
        (set, complete)
    }

    fn chosen(&self, keys: &DataSet, charset: &CharacterSets) -> (DataSet, bool) {
        let mut set = DataSet::with_charset(charset.clone());
        set.remove(tags::SPECIFIC_CHARACTER_SET);
        let mut complete = true;
        for key in keys.elements().iter().filter(|key| key.tag.1 != 0) {
            if matches!(key.tag, tags::SPECIFIC_CHARACTER_SET | tags::QUERY_RETRIEVE_LEVEL) {
                continue;
            }
            match self.get(key.tag) {
                None => complete = false,
                Some(Field::Items(items)) => {
                    let wanted = match &key.value {
                        Value::Items(wanted) => wanted.first(),
                        _ => None,
                    };
                    let answers = items.iter().map(|item| match wanted.filter(|w| !w.is_empty()) {
                        Some(wanted) => {
                            let (set, all) = item.chosen(wanted, charset);
                            complete &= all;
                            set
                        }
                        None => item.everything(charset),
                    });
                    let answers = answers.collect();
                    set.put_sequence(key.tag, answers);
                }
                Some(_) => self.put(&mut set, key.tag, key_vr(key)),
            }
        }
        (set, complete)
    }

    fn everything(&self, charset: &CharacterSets) -> DataSet {
        let mut set = DataSet::with_charset(charset.clone());
        set.remove(tags::SPECIFIC_CHARACTER_SET);
        for (tag, field) in &self.fields {
            match field {
                Field::Items(items) => {
                    set.put_sequence(*tag, items.iter().map(|item| item.everything(charset)).collect());
                }
                _ => self.put(&mut set, *tag, dictionary::vr_of(*tag).unwrap_or(Vr::LO)),
            }
        }
        set
    }

    fn put(&self, set: &mut DataSet, tag: Tag, vr: Vr) {
        match self.get(tag) {
            Some(Field::Number(number)) => set.put_u16(tag, *number),
            Some(Field::Text(text)) if text.is_empty() => set.put_empty(tag, vr),
            Some(Field::Text(text)) if dictionary::is_text(vr) => set.put_text(tag, vr, text),
            _ => {}
        }
    }
}

/// VR of a key: the dictionary's, because peers send odd ones in explicit VR.
fn key_vr(key: &Element) -> Vr {
    dictionary::vr_of(key.tag).unwrap_or(key.vr)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(charset: &str) -> DataSet {
        let mut keys = DataSet::with_charset(CharacterSets::from_terms(
            &charset.split('\\').collect::<Vec<_>>(),
        ));
        keys.put_empty(tags::PATIENT_NAME, Vr::PN);
        keys.put_empty(tags::PATIENT_WEIGHT, Vr::DS);
        let mut step = DataSet::new();
        step.put_empty(tags::MODALITY, Vr::CS);
        keys.put_sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
        keys
    }

    fn record() -> Record {
        let mut step = Record::default();
        step.text(tags::MODALITY, "CT")
            .text(tags::SCHEDULED_STATION_AE_TITLE, "HEXI_CT");
        let mut record = Record::default();
        record
            .text(tags::PATIENT_NAME, "赵小勇")
            .text(tags::PATIENT_ID, "P1");
        record.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
        record
    }

    #[test]
    fn the_asked_character_set_is_used_when_it_can() {
        let check = |asked: &str, expect: &str| {
            let (answer, _) = record().answer(&keys(asked), &[]);
            assert_eq!(
                answer.text(tags::SPECIFIC_CHARACTER_SET).as_deref(),
                Some(expect),
                "{asked}"
            );
            assert_eq!(
                answer.text(tags::PATIENT_NAME).as_deref(),
                Some("赵小勇"),
                "{asked}"
            );
        };
        check("GB18030", "GB18030");
        check("ISO_IR 192", "ISO_IR 192");
        check("ISO_IR 100", "ISO_IR 192");
        check("", "ISO_IR 192");
    }

    #[test]
    fn sequences_are_matched_by_their_items() {
        let check = |modality: &str, station: &str, expect: bool| {
            let mut step = DataSet::new();
            step.put_text(tags::MODALITY, Vr::CS, modality);
            step.put_text(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, station);
            let mut keys = DataSet::new();
            keys.put_sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
            assert_eq!(record().sequences_fit(&keys, &[]), expect, "{modality} {station}");
        };
        check("CT", "", true);
        check("CT", "HEXI_*", true);
        check("MR", "", false);
        check("", "", true);
        check("CT", "OTHER", false);
    }

    #[test]
    fn only_asked_keys_come_back_and_unknown_ones_are_told() {
        let (answer, complete) = record().answer(&keys("GB18030"), &[tags::PATIENT_ID]);
        assert!(!complete, "patient weight is not known");
        assert!(!answer.contains(tags::PATIENT_WEIGHT));
        assert_eq!(
            answer.text(tags::PATIENT_ID).as_deref(),
            Some("P1"),
            "always there"
        );
        let step = answer.sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
        assert_eq!(step.len(), 1);
        assert_eq!(step[0].text(tags::MODALITY).as_deref(), Some("CT"));
        assert!(!step[0].contains(tags::SCHEDULED_STATION_AE_TITLE));
    }
}
