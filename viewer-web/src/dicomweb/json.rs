//! Attributes of answers as DICOM JSON (PS3.18 annex F).

use dataset::Tag;
use dataset::dictionary::vr_of;
use serde_json::{Map, Value, json};

/// One object of an answer, under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Map<String, Value>);

impl Attributes {
    /// Puts text of the dictionary's VR; an empty text makes an attribute without value.
    pub(crate) fn text(&mut self, tag: Tag, text: Option<&str>) {
        self.texts(tag, text.into_iter());
    }

    /// Puts several values; empty ones are left out.
    pub(crate) fn texts<'t>(&mut self, tag: Tag, texts: impl Iterator<Item = &'t str>) {
        let values: Vec<Value> = texts
            .filter(|text| !text.is_empty())
            .map(|text| json!(text))
            .collect();
        self.put(tag, values);
    }

    /// Puts a person name as it was sent: groups separated by `=`.
    pub(crate) fn name(&mut self, tag: Tag, name: Option<&str>) {
        let mut groups = Map::new();
        let parts = name.unwrap_or_default().split('=');
        for (group, part) in ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(parts) {
            if !part.is_empty() {
                groups.insert(group.to_owned(), json!(part));
            }
        }
        let values = if groups.is_empty() {
            Vec::new()
        } else {
            vec![Value::Object(groups)]
        };
        self.put(tag, values);
    }

    /// Puts a number.
    pub(crate) fn number(&mut self, tag: Tag, number: Option<i64>) {
        self.put(tag, number.into_iter().map(|n| json!(n)).collect());
    }

    /// Puts a sequence.
    pub(crate) fn sequence(&mut self, tag: Tag, items: Vec<Self>) {
        self.put(tag, items.into_iter().map(Self::into_value).collect());
    }

    fn put(&mut self, tag: Tag, values: Vec<Value>) {
        let vr = vr_of(tag).map_or("UN", dataset::Vr::to_string);
        let attribute = if values.is_empty() {
            json!({"vr": vr})
        } else {
            json!({"vr": vr, "Value": values})
        };
        self.0.insert(key(tag), attribute);
    }

    /// The finished object.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// `ggggeeee` in upper case.
pub(crate) fn key(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::tags;

    #[test]
    fn attributes_have_vr_and_a_list_of_values_that_is_never_empty() {
        let mut item = Attributes::default();
        item.text(tags::REFERENCED_SOP_INSTANCE_UID, Some("1.2.3"));
        let mut a = Attributes::default();
        a.text(tags::STUDY_DATE, Some("20251121"));
        a.text(tags::STUDY_TIME, None);
        a.texts(tags::MODALITIES_IN_STUDY, ["CT", "", "US"].into_iter());
        a.name(tags::PATIENT_NAME, Some("Wang^Xiaoming=王^小明"));
        a.name(tags::REFERRING_PHYSICIAN_NAME, Some(""));
        a.number(tags::NUMBER_OF_STUDY_RELATED_SERIES, Some(2));
        a.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item]);
        assert_eq!(
            a.into_value(),
            json!({
                "00080020": {"vr": "DA", "Value": ["20251121"]},
                "00080030": {"vr": "TM"},
                "00080061": {"vr": "CS", "Value": ["CT", "US"]},
                "00080090": {"vr": "PN"},
                "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]},
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^Xiaoming", "Ideographic": "王^小明"}]},
                "00201206": {"vr": "IS", "Value": [2]},
            })
        );
    }
}
