//! DICOM JSON to data sets.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::write::is_binary;
use crate::charset::CharacterSets;
use crate::dictionary::{Vr, is_text, parse_tag, tags};
use crate::object::{DataSet, Element, Value};
use crate::{DatasetError, PersonName};

const DEPTH_MAX: usize = 64;

/// Reads a data set. Its text is UTF-8, and (0008,0005) says so as soon as there is other text
/// than ASCII. A bulk data URI leaves [`Value::External`] without place and length.
///
/// # Errors
/// [`DatasetError::Json`] with the place of what is wrong.
pub fn from_json(json: &Json) -> Result<DataSet, DatasetError> {
    let charset = Arc::new(CharacterSets::utf8());
    let mut other_than_ascii = false;
    let mut set = read_set(json, "", 0, &charset, &mut other_than_ascii)?;
    if other_than_ascii || set.contains(tags::SPECIFIC_CHARACTER_SET) {
        set.declare_charset(CharacterSets::utf8());
    }
    Ok(set)
}

fn fail<T>(path: &str, reason: impl Into<String>) -> Result<T, DatasetError> {
    let path = if path.is_empty() { "/" } else { path };
    Err(DatasetError::Json {
        path: path.into(),
        reason: reason.into(),
    })
}

fn read_set(
    json: &Json,
    path: &str,
    depth: usize,
    charset: &Arc<CharacterSets>,
    other: &mut bool,
) -> Result<DataSet, DatasetError> {
    if depth > DEPTH_MAX {
        return fail(path, "nested deeper than 64 sequences");
    }
    let Json::Object(map) = json else {
        return fail(path, "an object with tags as keys is expected");
    };
    let mut set = DataSet::inheriting(Arc::clone(charset));
    for (key, body) in map {
        let path = format!("{path}/{key}");
        let Some(tag) = parse_tag(key).filter(|_| key.len() == 8) else {
            return fail(&path, "a key must be eight hexadecimal digits");
        };
        let Json::Object(body) = body else {
            return fail(&path, "an object with a vr is expected");
        };
        let vr = body
            .get("vr")
            .and_then(Json::as_str)
            .and_then(|text| text.parse::<Vr>().ok());
        let Some(vr) = vr else {
            return fail(&path, "the vr is missing or unknown");
        };
        let value = read_value(vr, body, &path, depth, charset, other)?;
        set.put(Element { tag, vr, value });
    }
    Ok(set)
}

fn read_value(
    vr: Vr,
    body: &Map<String, Json>,
    path: &str,
    depth: usize,
    charset: &Arc<CharacterSets>,
    other: &mut bool,
) -> Result<Value, DatasetError> {
    if body.contains_key("BulkDataURI") {
        return Ok(Value::External {
            offset: 0,
            length: 0,
            encapsulated: false,
        });
    }
    if let Some(inline) = body.get("InlineBinary") {
        let bytes = inline.as_str().and_then(|text| STANDARD.decode(text).ok());
        return match bytes {
            Some(bytes) => Ok(Value::Bytes(bytes.into())),
            None => fail(path, "InlineBinary is not base64"),
        };
    }
    let list: &[Json] = match body.get("Value") {
        None | Some(Json::Null) => &[],
        Some(Json::Array(list)) => list,
        Some(_) => return fail(path, "Value must be an array"),
    };
    if vr == Vr::SQ {
        let items = list
            .iter()
            .enumerate()
            .map(|(index, item)| read_set(item, &format!("{path}/{index}"), depth + 1, charset, other))
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(Value::Items(items.into()));
    }
    if is_text(vr) {
        let texts = list
            .iter()
            .map(|value| text(vr, value))
            .collect::<Option<Vec<_>>>();
        let Some(texts) = texts else {
            return fail(path, "a value does not fit the vr");
        };
        let joined = texts.join("\\");
        *other |= !joined.is_ascii();
        let padding = if vr == Vr::UI { 0 } else { b' ' };
        return Ok(Value::Bytes(
            crate::object::padded(joined.into_bytes(), padding).into(),
        ));
    }
    if is_binary(vr) && !list.is_empty() {
        return fail(path, "this vr takes InlineBinary or BulkDataURI");
    }
    let mut bytes = Vec::with_capacity(list.len() * 8);
    for value in list {
        if !push_number(&mut bytes, vr, value) {
            return fail(path, "a value does not fit the vr");
        }
    }
    Ok(Value::Bytes(bytes.into()))
}

fn text(vr: Vr, value: &Json) -> Option<String> {
    match value {
        Json::Null => Some(String::new()),
        Json::String(text) => Some(text.clone()),
        Json::Number(number) if matches!(vr, Vr::DS | Vr::IS) => Some(number.to_string()),
        Json::Object(groups) if vr == Vr::PN => {
            let group = |key: &str| match groups.get(key) {
                None | Some(Json::Null) => Some(String::new()),
                Some(Json::String(text)) => Some(text.clone()),
                Some(_) => None,
            };
            let name = PersonName {
                alphabetic: group("Alphabetic")?,
                ideographic: group("Ideographic")?,
                phonetic: group("Phonetic")?,
            };
            Some(name.to_dicom())
        }
        _ => None,
    }
}

fn push_number(bytes: &mut Vec<u8>, vr: Vr, value: &Json) -> bool {
    let text = value.as_str();
    let signed = || value.as_i64().or_else(|| text.and_then(|t| t.parse().ok()));
    let unsigned = || value.as_u64().or_else(|| text.and_then(|t| t.parse().ok()));
    let float = || value.as_f64().or_else(|| text.and_then(|t| t.parse().ok()));
    fn put<const N: usize>(bytes: &mut Vec<u8>, value: Option<[u8; N]>) -> bool {
        value.map(|value| bytes.extend_from_slice(&value)).is_some()
    }
    match vr {
        Vr::US => put(
            bytes,
            unsigned()
                .and_then(|v| u16::try_from(v).ok())
                .map(u16::to_le_bytes),
        ),
        Vr::SS => put(
            bytes,
            signed().and_then(|v| i16::try_from(v).ok()).map(i16::to_le_bytes),
        ),
        Vr::UL => put(
            bytes,
            unsigned()
                .and_then(|v| u32::try_from(v).ok())
                .map(u32::to_le_bytes),
        ),
        Vr::SL => put(
            bytes,
            signed().and_then(|v| i32::try_from(v).ok()).map(i32::to_le_bytes),
        ),
        Vr::UV => put(bytes, unsigned().map(u64::to_le_bytes)),
        Vr::SV => put(bytes, signed().map(i64::to_le_bytes)),
        Vr::FL => put(bytes, float().map(|v| (v as f32).to_le_bytes())),
        Vr::FD => put(bytes, float().map(f64::to_le_bytes)),
        Vr::AT => {
            let Some(tag) = text.and_then(parse_tag) else {
                return false;
            };
            put(bytes, Some(tag.0.to_le_bytes())) && put(bytes, Some(tag.1.to_le_bytes()))
        }
        _ => false,
    }
}
