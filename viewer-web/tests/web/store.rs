//! STOW-RS: what is stored, what is refused, and what the answer says.

use crate::support::House;
use crate::support::objects::{ct_slice, study};
use axum::http::StatusCode;
use serde_json::Value;

fn references(answer: &Value) -> Vec<String> {
    let items = answer["00081199"]["Value"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    items
        .iter()
        .map(|item| item["00081155"]["Value"][0].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn all_objects_are_referenced_with_their_address() {
    let (house, objects) = (House::open().await, study("1.2.96.1"));
    let files: Vec<&[u8]> = objects.iter().map(|o| o.bytes.as_slice()).collect();
    let answer = house
        .technician()
        .await
        .stow("/dicomweb/studies", &files)
        .await
        .is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/dicom+json");
    let body = answer.json();
    assert_eq!(
        references(&body),
        objects
            .iter()
            .map(|o| o.sop_instance_uid.clone())
            .collect::<Vec<_>>()
    );
    for (item, object) in body["00081199"]["Value"].as_array().unwrap().iter().zip(&objects) {
        assert!(
            item["00081190"]["Value"][0]
                .as_str()
                .unwrap()
                .ends_with(&object.path())
        );
    }
}

#[tokio::test]
async fn the_same_object_again_is_fine_and_another_under_its_uid_is_not() {
    let (house, object) = (House::open().await, ct_slice("1.2.96.2", 0));
    let technician = house.technician().await;
    technician.may_store(std::slice::from_ref(&object)).await;
    technician.may_store(std::slice::from_ref(&object)).await;
    let mut other = object.bytes.clone();
    let last = other.len() - 1;
    other[last] ^= 0x55;
    let refused = technician
        .stow("/dicomweb/studies", &[&other])
        .await
        .is(StatusCode::CONFLICT)
        .json();
    assert_eq!(
        refused["00081198"]["Value"][0]["00081155"]["Value"][0],
        object.sop_instance_uid
    );
    let kept = house
        .radiologist()
        .await
        .get_as(&object.path(), "application/dicom")
        .await
        .is(StatusCode::OK);
    assert_eq!(kept.body, object.bytes);
}

#[tokio::test]
async fn a_good_object_is_kept_beside_a_bad_one() {
    let (house, object) = (House::open().await, ct_slice("1.2.96.3", 0));
    let technician = house.technician().await;
    let body = technician
        .stow("/dicomweb/studies", &[&object.bytes, &[0; 500]])
        .await
        .is(StatusCode::ACCEPTED)
        .json();
    assert_eq!(references(&body), std::slice::from_ref(&object.sop_instance_uid));
    assert_eq!(body["0008119A"]["Value"].as_array().unwrap().len(), 1);
    technician.may_see(&object).await;
}

#[tokio::test]
async fn garbage_cut_and_misplaced_objects_are_refused() {
    let (house, object) = (House::open().await, ct_slice("1.2.96.4", 0));
    let technician = house.technician().await;
    technician
        .stow("/dicomweb/studies", &[&b"this is not DICOM".repeat(40)])
        .await
        .is(StatusCode::CONFLICT);
    let half = &object.bytes[..object.bytes.len() / 2];
    technician
        .stow("/dicomweb/studies", &[half])
        .await
        .is(StatusCode::CONFLICT);
    technician
        .stow("/dicomweb/studies/1.2.3", &[&object.bytes])
        .await
        .is(StatusCode::CONFLICT);
    assert_eq!(technician.finds(&object).await, 0);
    technician
        .stow("/dicomweb/studies/1.2.96.4", &[&object.bytes])
        .await
        .is(StatusCode::OK);
}

#[tokio::test]
async fn bodies_that_are_no_upload_are_refused() {
    let house = House::open().await;
    let technician = house.technician().await;
    let multipart = "multipart/related; type=\"application/dicom\"";
    for (kind, body, status) in [
        (
            "application/json".to_owned(),
            "{}",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (format!("{multipart}; boundary=x"), "", StatusCode::BAD_REQUEST),
        (
            format!("{multipart}; boundary=x"),
            "--x--",
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{multipart}; boundary=x"),
            "--x\r\n",
            StatusCode::BAD_REQUEST,
        ),
        (multipart.to_owned(), "--x", StatusCode::BAD_REQUEST),
        (
            format!("{multipart}; boundary={}", "b".repeat(5000)),
            "--b",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let answer = technician
            .send(
                "POST",
                "/dicomweb/studies",
                &[("content-type", &kind)],
                body.into(),
            )
            .await;
        answer.refuses(status);
    }
}
