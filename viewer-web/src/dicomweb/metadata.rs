//! `GET …/metadata`: attributes without pixel data as DICOM JSON (PS3.18 section 10.4.1.1.2 and annex F).

use super::holdings::{self, Held, Named};
use crate::App;
use crate::extract::Path;
use crate::http::accept::choose;
use crate::http::conditional::{CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, stamp};
use crate::http::packed;
use crate::problem::Problem;
use crate::session::Signed;
use archive::study::PackedAttributes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// Forms of metadata; the first is the standard's own.
pub(crate) const JSON_FORMS: [(&str, &str); 2] = [("application", "dicom+json"), ("application", "json")];

/// Of a study, a series or an instance.
pub(crate) async fn metadata(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let held = named.open(&app, &actor).await?;
    answer(&app, held, &headers).await
}

async fn answer(app: &App, held: Vec<Held>, headers: &HeaderMap) -> Result<Response, Problem> {
    let (main, sub) = choose(headers, &JSON_FORMS)
        .ok_or_else(|| Problem::not_acceptable("application/dicom+json, application/json"))?;
    let tag = etag(&["metadata", &holdings::digest_of(&held)]);
    if is_current(headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_REVALIDATE));
    }
    let packed = match app.made().get(&tag) {
        Some(packed) => packed,
        None => make(app, held, &tag).await?,
    };
    let mut response = packed::answer(headers, packed)?;
    if let Ok(value) = HeaderValue::from_str(&format!("{main}/{sub}")) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    stamp(&mut response, &tag, CACHE_PRIVATE_REVALIDATE);
    Ok(response)
}

/// Builds the array, sorted by geometry, and keeps it packed.
async fn make(app: &App, held: Vec<Held>, tag: &str) -> Result<Bytes, Problem> {
    let sources = sources(app, held).await?;
    let (pool, key) = (app.pool().clone(), tag.to_owned());
    let app = app.clone();
    pool.run(move || {
        // One object at a time is held as a tree; the others are text already.
        let mut items = Vec::with_capacity(sources.len());
        for (object, source) in sources {
            let item = attributes(&object, source.open()?)?;
            items.push((Place::of(&item), item.to_string()));
        }
        sort(&mut items);
        let texts = items.iter().map(|(_, text)| text.as_str());
        let packed = packed::json_array(texts).map_err(|e| Problem::internal(&e))?;
        app.made().put(&key, packed.clone(), packed.len());
        Ok(packed)
    })
    .await?
}

/// Attributes as they come from the archive.
enum Blob {
    One(Value),
    Packed(PackedAttributes),
}

impl Blob {
    fn open(self) -> Result<Value, Problem> {
        match self {
            Self::One(value) => Ok(value),
            Self::Packed(packed) => Ok(packed.json()?),
        }
    }
}

async fn sources(app: &App, held: Vec<Held>) -> Result<Vec<(Held, Blob)>, Problem> {
    if let [one] = held.as_slice() {
        let value = app.archive().studies().attributes(one.id).await?;
        return Ok(vec![(one.clone(), Blob::One(value))]);
    }
    let packed = holdings::attributes(app, held).await?;
    Ok(packed
        .into_iter()
        .map(|(object, packed)| (object, Blob::Packed(packed)))
        .collect())
}

/// One object's attributes with working links to large values.
fn attributes(object: &Held, mut item: Value) -> Result<Value, Problem> {
    link(&mut item, &format!("{}/bulkdata", object.url()));
    let Value::Object(members) = &mut item else {
        return Err(Problem::internal(
            &"the attributes kept of an object are no JSON object",
        ));
    };
    members.insert(
        "00083002".into(),
        json!({"vr": "UI", "Value": [object.transfer_syntax_uid]}),
    );
    Ok(item)
}

/// Puts `base` before every relative `BulkDataURI`.
fn link(value: &mut Value, base: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(uri) if name == "BulkDataURI" => {
                        *uri = format!("{base}/{}", uri.trim_start_matches('/'))
                    }
                    other => link(other, base),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| link(item, base)),
        _ => {}
    }
}

/// What the order of objects goes by.
#[derive(Debug, Default)]
struct Place {
    series_number: f64,
    series_uid: String,
    position: Vec<f64>,
    orientation: Vec<f64>,
    number: f64,
}

impl Place {
    fn of(item: &Value) -> Self {
        let first = |key| numbers(item, key).first().copied().unwrap_or(f64::MAX);
        Self {
            series_number: first("00200011"),
            series_uid: text(item, "0020000E"),
            position: numbers(item, "00200032"),
            orientation: numbers(item, "00200037"),
            number: first("00200013"),
        }
    }

    fn normal(&self) -> Option<[f64; 3]> {
        match self.orientation.as_slice() {
            [a, b, c, d, e, f] => Some([b * f - c * e, c * d - a * f, a * e - b * d]),
            _ => None,
        }
    }

    fn along(&self, normal: [f64; 3]) -> Option<f64> {
        match self.position.as_slice() {
            [x, y, z] => Some(x * normal[0] + y * normal[1] + z * normal[2]),
            _ => None,
        }
    }
}

/// By series, then place along the normal of the slices, then instance number.
fn sort<T>(items: &mut [(Place, T)]) {
    let normal = items.iter().find_map(|(place, _)| place.normal());
    items.sort_by(|(a, _), (b, _)| {
        a.series_number
            .total_cmp(&b.series_number)
            .then_with(|| a.series_uid.cmp(&b.series_uid))
            .then_with(|| match normal.and_then(|n| a.along(n).zip(b.along(n))) {
                Some((a, b)) => a.total_cmp(&b),
                None => Ordering::Equal,
            })
            .then_with(|| a.number.total_cmp(&b.number))
    });
}

fn numbers(item: &Value, key: &str) -> Vec<f64> {
    let values = item
        .get(key)
        .and_then(|attribute| attribute.get("Value"))
        .and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn text(item: &Value, key: &str) -> String {
    let first = item
        .get(key)
        .and_then(|attribute| attribute.get("Value"))
        .and_then(|values| values.get(0));
    first.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(z: f64, number: i64) -> Value {
        json!({
            "0020000E": {"vr": "UI", "Value": ["1.2"]},
            "00200011": {"vr": "IS", "Value": [2]},
            "00200013": {"vr": "IS", "Value": [number]},
            "00200032": {"vr": "DS", "Value": [-10, 5.5, z]},
            "00200037": {"vr": "DS", "Value": [1, 0, 0, 0, 1, 0]},
        })
    }

    fn check_order(items: &[Value], expect: &[i64]) {
        let mut items: Vec<(Place, i64)> = items
            .iter()
            .map(|item| {
                (
                    Place::of(item),
                    item["00200013"]["Value"][0].as_i64().unwrap_or(0),
                )
            })
            .collect();
        sort(&mut items);
        assert_eq!(
            items.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
            expect
        );
    }

    #[test]
    fn slices_are_sorted_along_their_normal_and_others_by_number() {
        check_order(&[slice(5.0, 1), slice(-2.5, 3), slice(0.0, 2)], &[3, 2, 1]);
        let numbered = |n: i64| json!({"00200013": {"vr": "IS", "Value": [n]}});
        check_order(&[numbered(7), json!({}), numbered(3)], &[3, 7, 0]);
    }

    #[test]
    fn links_lead_to_this_origin_at_every_depth() {
        let object = Held::example("1.2.840.10008.1.2.1");
        let blob = json!({
            "00991001": {"vr": "OB", "BulkDataURI": "00991001"},
            "54000100": {"vr": "SQ", "Value": [{"54001010": {"vr": "OW", "BulkDataURI": "54000100/0/54001010"}}]},
        });
        let item = attributes(&object, blob).unwrap();
        let base = format!("{}/bulkdata", object.url());
        assert_eq!(item["00991001"]["BulkDataURI"], format!("{base}/00991001"));
        assert_eq!(
            item["54000100"]["Value"][0]["54001010"]["BulkDataURI"],
            format!("{base}/54000100/0/54001010")
        );
        assert_eq!(item["00083002"]["Value"][0], "1.2.840.10008.1.2.1");
    }
}
