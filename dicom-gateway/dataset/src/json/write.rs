//! Data sets to DICOM JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json, json};

use super::{bulk_path, tag_text};
use crate::PersonName;
use crate::dictionary::{Tag, Vr, is_text, tags};
use crate::object::{DataSet, Element, Value, numbers};

/// Nested sequences beyond this are left out; the parsers never make as many.
const DEPTH_MAX: usize = 64;
/// The largest integer that every JSON reader keeps exactly.
const EXACT_MAX: u64 = 1 << 53;

/// What becomes of long values.
#[derive(Debug, Clone)]
pub struct BulkPolicy {
    /// Start of every bulk data URI; `/` and [`bulk_path`] are put behind it.
    pub base_uri: String,
    /// Binary values up to this are written inline.
    pub inline_max_bytes: u64,
}

/// Writes a data set as DICOM JSON. Group lengths are left out, text is UTF-8 and (0008,0005), if
/// there, says so; pixel data of the root and values that were not kept become bulk data URIs.
pub fn to_json(set: &DataSet, policy: &BulkPolicy) -> Json {
    write_set(set, policy, &mut Vec::new())
}

fn write_set(set: &DataSet, policy: &BulkPolicy, path: &mut Vec<(Tag, usize)>) -> Json {
    let mut map = Map::new();
    for element in set.elements().iter().filter(|element| element.tag.1 != 0) {
        map.insert(tag_text(element.tag), write_element(set, element, policy, path));
    }
    Json::Object(map)
}

fn write_element(
    set: &DataSet,
    element: &Element,
    policy: &BulkPolicy,
    path: &mut Vec<(Tag, usize)>,
) -> Json {
    let mut out = Map::new();
    out.insert("vr".into(), Json::from(element.vr.to_string()));
    let bulk =
        |path: &[(Tag, usize)]| Json::from(format!("{}/{}", policy.base_uri, bulk_path(path, element.tag)));
    match &element.value {
        Value::Items(items) if path.len() < DEPTH_MAX => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                path.push((element.tag, index));
                list.push(write_set(item, policy, path));
                path.pop();
            }
            put_values(&mut out, list);
        }
        Value::Items(_) => {}
        Value::External { .. } => {
            out.insert("BulkDataURI".into(), bulk(path));
        }
        Value::Bytes(bytes) if is_binary(element.vr) => {
            let pixels = path.is_empty() && element.tag == tags::PIXEL_DATA;
            if bytes.len() as u64 > policy.inline_max_bytes || pixels {
                out.insert("BulkDataURI".into(), bulk(path));
            } else if !bytes.is_empty() {
                out.insert("InlineBinary".into(), Json::from(STANDARD.encode(bytes)));
            }
        }
        Value::Bytes(_) if element.tag == tags::SPECIFIC_CHARACTER_SET => {
            put_values(&mut out, vec![Json::from("ISO_IR 192")]);
        }
        Value::Bytes(_) => put_values(&mut out, values(set, element)),
    }
    Json::Object(out)
}

fn put_values(out: &mut Map<String, Json>, list: Vec<Json>) {
    // one empty value is none
    if !matches!(list.as_slice(), [] | [Json::Null]) {
        out.insert("Value".into(), Json::Array(list));
    }
}

/// VRs written as base64.
pub(super) fn is_binary(vr: Vr) -> bool {
    matches!(vr, Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN)
}

fn values(set: &DataSet, element: &Element) -> Vec<Json> {
    if !is_text(element.vr) {
        return match (numbers::binary(element), element.vr) {
            (Some(numbers::Numbers::Integers(list)), Vr::AT) => list
                .into_iter()
                .map(|value| Json::from(format!("{value:08X}")))
                .collect(),
            (Some(numbers::Numbers::Integers(list)), _) => list.into_iter().map(integer).collect(),
            (Some(numbers::Numbers::Floats(list)), _) => list.into_iter().map(float).collect(),
            (None, _) => Vec::new(),
        };
    }
    set.texts_of(element)
        .into_iter()
        .map(|text| one_text(element.vr, text))
        .collect()
}

fn one_text(vr: Vr, text: String) -> Json {
    match vr {
        _ if text.is_empty() => Json::Null,
        Vr::PN => person_name(&text),
        Vr::IS => numbers::integer(&text).map_or_else(|| Json::from(text), integer),
        Vr::DS => match numbers::decimal(&text) {
            Some(value) if value.fract() == 0.0 && value.abs() < EXACT_MAX as f64 => integer(value as i64),
            Some(value) => Number::from_f64(value).map_or_else(|| Json::from(text), Json::Number),
            None => Json::from(text),
        },
        _ => Json::from(text),
    }
}

fn integer(value: i64) -> Json {
    if value.unsigned_abs() <= EXACT_MAX {
        json!(value)
    } else {
        Json::from(value.to_string())
    }
}

/// NaN and infinities have no JSON number; they are written as text.
fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| Json::from(value.to_string()), Json::Number)
}

fn person_name(text: &str) -> Json {
    let name = PersonName::parse(text);
    let mut map = Map::new();
    for (key, group) in [
        ("Alphabetic", name.alphabetic),
        ("Ideographic", name.ideographic),
        ("Phonetic", name.phonetic),
    ] {
        if !group.is_empty() {
            map.insert(key.into(), Json::from(group));
        }
    }
    if map.is_empty() {
        return Json::Null;
    }
    Json::Object(map)
}
