//! QIDO-RS as viewers use it.

use crate::support::objects::study;
use crate::support::{House, Radiologist};
use axum::http::StatusCode;
use serde_json::{Value, json};

async fn reader(root: &str) -> (House, Radiologist) {
    let house = House::open().await;
    house.technician().await.may_store(&study(root)).await;
    let reader = house.radiologist().await;
    (house, reader)
}

async fn search(reader: &Radiologist, path: &str) -> Vec<Value> {
    let answer = reader
        .get_as(path, "application/dicom+json")
        .await
        .is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/dicom+json");
    answer.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn a_study_answer_has_what_viewers_need() {
    let (_house, reader) = reader("1.2.98.1").await;
    let found = search(
        &reader,
        "/dicomweb/studies?StudyInstanceUID=1.2.98.1&limit=101&offset=0&fuzzymatching=false",
    )
    .await;
    let [one] = found.as_slice() else {
        panic!("{found:?}")
    };
    for tag in [
        "0020000D", "00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020",
        "00100030", "00201206", "00201208",
    ] {
        assert!(one.get(tag).is_some(), "{tag} is missing");
    }
    assert_eq!(one["00100010"]["Value"][0], json!({"Alphabetic": "欧阳^建国"}));
    assert_eq!(one["00201206"]["Value"], json!([2]));
    assert_eq!(one["00201208"]["Value"], json!([7]));
    let mut modalities: Vec<&str> = one["00080061"]["Value"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    modalities.sort_unstable();
    assert_eq!(modalities, ["CT", "US"]);
}

#[tokio::test]
async fn matching_by_every_usual_key() {
    let (_house, reader) = reader("1.2.98.2").await;
    let id = "PatientID=P12982";
    for (query, hits) in [
        ("00100020=P12982", 1),
        ("PatientID=P12982", 1),
        ("PatientID=P129829", 0),
        ("PatientID=P129*", 1),
        ("PatientID=P1298%3F", 1),
        ("AccessionNumber=A12982", 1),
        ("AccessionNumber=*2982*", 1),
        ("StudyDescription=*Probe*", 1),
        ("PatientName=*建国*", 1),
        ("PatientName=*建军*", 0),
        ("StudyDate=20251103", 1),
        ("StudyDate=20251102-20251104", 1),
        ("StudyDate=20251103-", 1),
        ("StudyDate=-20251103", 1),
        ("StudyDate=20251104-", 0),
        ("ModalitiesInStudy=US", 1),
        ("ModalitiesInStudy=MR", 0),
        ("StudyInstanceUID=1.2.98.2,1.2.3.4", 1),
        ("StudyInstanceUID=1.2.98.2%5C1.2.3.4", 1),
        ("nonsense=1", 1),
    ] {
        let found = search(&reader, &format!("/dicomweb/studies?{id}&{query}")).await;
        let found = if query.starts_with("PatientID") || query.starts_with("0010") {
            search(&reader, &format!("/dicomweb/studies?{query}")).await
        } else {
            found
        };
        assert_eq!(found.len(), hits, "{query}");
    }
}

#[tokio::test]
async fn series_and_instances_with_their_counts_and_shapes() {
    let (_house, reader) = reader("1.2.98.3").await;
    let series = search(
        &reader,
        "/dicomweb/studies/1.2.98.3/series?includefield=0008103e,00080021",
    )
    .await;
    assert_eq!(series.len(), 2);
    for one in &series {
        for tag in [
            "0020000D", "0020000E", "00080060", "00200011", "0008103E", "00201209",
        ] {
            assert!(one.get(tag).is_some(), "{tag}");
        }
    }
    assert_eq!(
        search(&reader, "/dicomweb/studies/1.2.98.3/series?Modality=US")
            .await
            .len(),
        1
    );
    let slices = search(&reader, "/dicomweb/studies/1.2.98.3/series/1.2.98.3.2/instances").await;
    assert_eq!(slices.len(), 6);
    assert!(
        slices
            .iter()
            .all(|s| s["00280010"]["Value"] == json!([48]) && s["00280011"]["Value"] == json!([64]))
    );
    let cine = search(&reader, "/dicomweb/studies/1.2.98.3/series/1.2.98.3.3/instances").await;
    assert_eq!(cine[0]["00280008"]["Value"], json!([5]));
    let nowhere = reader.get("/dicomweb/studies/1.2.3.4.5/series").await;
    nowhere.refuses(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let (_house, reader) = reader("1.2.98.4").await;
    let mut all = Vec::new();
    for offset in [0, 2, 4, 6] {
        let page = search(
            &reader,
            &format!("/dicomweb/instances?StudyInstanceUID=1.2.98.4&limit=2&offset={offset}"),
        )
        .await;
        all.extend(
            page.iter()
                .map(|one| one["00080018"]["Value"][0].as_str().unwrap().to_owned()),
        );
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 7);
    reader
        .get("/dicomweb/studies?limit=abc")
        .await
        .refuses(StatusCode::BAD_REQUEST);
    reader
        .get_as("/dicomweb/studies", "text/html")
        .await
        .refuses(StatusCode::NOT_ACCEPTABLE);
    let json = reader
        .get_as("/dicomweb/studies?limit=1", "application/json")
        .await
        .is(StatusCode::OK);
    assert_eq!(json.header("content-type"), "application/json");
}
