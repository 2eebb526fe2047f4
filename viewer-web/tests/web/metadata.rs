//! Metadata and bulk data.

use crate::support::House;
use crate::support::objects::{bulk, study};
use axum::http::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn series_metadata_is_complete_sorted_and_without_pixels() {
    let (house, objects) = (House::open().await, study("1.2.97.1"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let path = format!("{}/metadata", objects[0].series_path());
    let answer = reader
        .get_as(&path, "application/dicom+json")
        .await
        .is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/dicom+json");
    let items = answer.json();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 6);
    let z: Vec<f64> = items
        .iter()
        .map(|i| i["00200032"]["Value"][2].as_f64().unwrap())
        .collect();
    assert!(z.is_sorted(), "{z:?}");
    for item in items {
        assert_eq!(item["00280010"]["Value"], json!([48]));
        assert_eq!(item["00281052"]["Value"], json!([-1024]));
        assert_eq!(item["00280030"]["Value"], json!([0.75, 0.75]));
        assert!(item["7FE00010"].get("InlineBinary").is_none());
        assert!(item["00991001"]["BulkDataURI"].is_string());
        assert_no_empty_value(item);
    }
    let study_items = reader
        .get(&format!("{}/metadata", objects[0].study_path()))
        .await
        .json();
    assert_eq!(study_items.as_array().unwrap().len(), 7);
    let one = reader
        .get(&format!("{}/metadata", objects[0].path()))
        .await
        .json();
    assert_eq!(one[0]["00080018"]["Value"][0], objects[0].sop_instance_uid);
    reader
        .get_as(&path, "text/css")
        .await
        .refuses(StatusCode::NOT_ACCEPTABLE);
}

fn assert_no_empty_value(value: &Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("vr")
                && let Some(values) = members.get("Value")
            {
                assert!(values.as_array().is_some_and(|list| !list.is_empty()), "{value}");
            }
            members.values().for_each(assert_no_empty_value);
        }
        Value::Array(items) => items.iter().for_each(assert_no_empty_value),
        _ => {}
    }
}

#[tokio::test]
async fn metadata_is_packed_for_those_who_take_it_and_asked_again_by_its_tag() {
    let (house, objects) = (House::open().await, study("1.2.97.2"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let path = format!("{}/metadata", objects[0].series_path());
    let packed = reader
        .get_with(&path, &[("accept-encoding", "gzip, br")])
        .await
        .is(StatusCode::OK);
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(packed.body.as_ref()),
        &mut plain,
    )
    .unwrap();
    assert_eq!(plain, reader.get(&path).await.body);
    let tag = packed.header("etag").to_owned();
    assert!(packed.header("cache-control").starts_with("private"));
    let again = reader
        .get_with(&path, &[("if-none-match", &tag)])
        .await
        .is(StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    reader
        .get_with(&path, &[("if-none-match", "\"another\"")])
        .await
        .is(StatusCode::OK);
}

#[tokio::test]
async fn a_large_value_is_where_metadata_says() {
    let (house, objects) = (House::open().await, study("1.2.97.3"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let items = reader
        .get(&format!("{}/metadata", objects[0].series_path()))
        .await
        .json();
    let uri = items[0]["00991001"]["BulkDataURI"].as_str().unwrap();
    let single = reader
        .get_as(uri, "application/octet-stream")
        .await
        .is(StatusCode::OK);
    assert_eq!(single.body, bulk(0));
    let parts = reader
        .get_as(uri, "multipart/related; type=application/octet-stream")
        .await
        .is(StatusCode::OK)
        .parts();
    assert_eq!(
        parts,
        [("Content-Type: application/octet-stream".to_owned(), bulk(0))]
    );
    reader
        .get(&format!("{}/bulkdata/00991002", objects[0].path()))
        .await
        .refuses(StatusCode::NOT_FOUND);
    reader
        .get(&format!("{}/bulkdata/nonsense", objects[0].path()))
        .await
        .refuses(StatusCode::NOT_FOUND);
}
