//! Uploads of ECG recordings: who may, what becomes of each file, and what a technician hears of a bad one.

use crate::support::objects::ct_slice;
use crate::support::{Answer, House, Technician};
use axum::http::StatusCode;
use engine::ecg::formats::{edf, wfdb};
use engine::ecg::{Lead, LeadName, Record};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Twelve leads of ten seconds with a beat each second.
fn recording(name: Option<&str>) -> Record {
    let beat = |n: usize| match n % 500 {
        0..20 => (n % 500) as f32 * 50.0,
        20..40 => (40 - n % 500) as f32 * 50.0,
        _ => 0.0,
    };
    let names = [
        "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
    ];
    let leads = names.map(|name| Lead {
        name: LeadName::new(name),
        samples_uv: (0..5_000).map(beat).collect(),
        resolution_uv: 5.0,
        derived: false,
    });
    let mut record = Record::new("edf", leads.to_vec(), 500.0).unwrap();
    record.patient.name = name.map(str::to_owned);
    record
}

fn edf_of(name: Option<&str>) -> Vec<u8> {
    edf::write::write(&recording(name)).unwrap()
}

async fn orders(technician: &Technician, item_code: &str) -> Value {
    let patient = json!({"id": "JH1", "name": "王秀英", "sex": "F", "birth_date": "1949-12-31"});
    let order = json!({"patient": patient, "item_code": item_code, "clinical_history": "胸闷"});
    technician
        .post("/api/orders", &order)
        .await
        .is(StatusCode::CREATED)
        .json()
}

async fn ecg_order(technician: &Technician) -> (String, String) {
    let items = technician.get("/api/items").await.json();
    let item = items["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["modality"] == "ECG")
        .unwrap();
    let order = orders(technician, item["code"].as_str().unwrap()).await;
    let text = |key: &str| order[key].as_str().unwrap().to_owned();
    (text("accession_number"), text("study_uid"))
}

fn only(answer: &Answer) -> Value {
    let items = answer.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 1, "{items:?}");
    items[0].clone()
}

#[tokio::test]
async fn a_recording_goes_under_its_request_and_keeps_its_file() {
    let house = House::open().await;
    let technician = house.technician().await;
    let (number, study_uid) = ecg_order(&technician).await;
    let file = edf_of(Some("WANG XIUYING"));
    let fields = [("accession_number", number.as_str())];
    let answer = technician.upload(&fields, &[("心电 1.edf", &file)]).await;
    let item = only(&answer.is(StatusCode::CREATED));
    assert_eq!(item["outcome"], "stored", "{item}");
    assert_eq!(item["study_uid"], study_uid.as_str());
    assert_eq!(
        (&item["measurable"], &item["format"]),
        (&json!(true), &json!("edf"))
    );
    assert_eq!(item["leads"].as_array().unwrap().len(), 12);
    let again = technician.upload(&fields, &[("心电 1.edf", &file)]).await;
    assert_eq!(only(&again.is(StatusCode::CREATED))["outcome"], "duplicate");
    // The order has its recording, and the ECG is measured.
    let list = technician.get("/api/orders").await.json();
    assert_eq!(list["items"][0]["state"], "arrived");
    let ecg = format!("/api/studies/{study_uid}/ecg");
    let physician = house.ecg_physician().await;
    let analysis = physician.get(&ecg).await.is(StatusCode::OK).json();
    assert_eq!(analysis["sop_instance_uid"], item["sop_instance_uid"]);
    // The file comes back byte for byte.
    let kept = physician.get(&format!("{ecg}/files")).await.is(StatusCode::OK);
    let kept = only(&kept);
    assert_eq!(
        (&kept["name"], &kept["measurable"]),
        (&json!("心电 1.edf"), &json!(true))
    );
    let back = physician
        .get(kept["url"].as_str().unwrap())
        .await
        .is(StatusCode::OK);
    assert_eq!(back.body, file);
    assert!(back.header("content-disposition").starts_with("attachment;"));
    assert!(house.audit_rows("tech.hexi", &study_uid, "110104").await >= 1);
}

#[tokio::test]
async fn another_persons_recording_is_held_back_until_somebody_has_looked() {
    let house = House::open().await;
    let technician = house.technician().await;
    let (number, _) = ecg_order(&technician).await;
    let file = edf_of(Some("LI JIANGUO"));
    let fields = [("accession_number", number.as_str())];
    let refused = technician.upload(&fields, &[("a.edf", &file)]).await;
    let refused = refused.refuses(StatusCode::UNPROCESSABLE_ENTITY);
    let item = only(&refused);
    assert_eq!(item["reason"]["code"], "patient_mismatch");
    let words = item["reason"]["text_zh"].as_str().unwrap();
    assert!(
        words.contains("LI JIANGUO") && words.contains("王秀英"),
        "{words}"
    );
    let seen = [fields[0], ("accept_mismatch", "true")];
    let stored = technician.upload(&seen, &[("a.edf", &file)]).await;
    assert_eq!(only(&stored.is(StatusCode::CREATED))["outcome"], "stored");
}

#[tokio::test]
async fn reports_that_nothing_can_measure_are_kept_as_documents() {
    let house = House::open().await;
    let technician = house.technician().await;
    let physician = house.ecg_physician().await;
    for (name, bytes) in [
        ("报告.pdf", &b"%PDF-1.4 report"[..]),
        ("cart.xml", b"<Cart><b/></Cart>"),
    ] {
        technician
            .upload(&[], &[(name, bytes)])
            .await
            .refuses(StatusCode::UNPROCESSABLE_ENTITY);
        let (number, study_uid) = ecg_order(&technician).await;
        let fields = [("accession_number", number.as_str())];
        let answer = technician.upload(&fields, &[(name, bytes)]).await;
        let item = only(&answer.is(StatusCode::CREATED));
        assert_eq!(item["measurable"], false, "{item}");
        let base = format!("/api/studies/{study_uid}/ecg");
        physician.get(&base).await.refuses(StatusCode::NOT_FOUND);
        let kept = only(&physician.get(&format!("{base}/files")).await.is(StatusCode::OK));
        assert_eq!(kept["measurable"], false);
        let back = physician.get(kept["url"].as_str().unwrap()).await;
        assert_eq!(back.is(StatusCode::OK).body, bytes);
        let line = physician.get("/api/worklist?modality=ECG").await.json();
        let line = line["items"].as_array().unwrap();
        let line = line.iter().find(|line| line["study_uid"] == study_uid.as_str());
        assert_eq!(line.unwrap()["has_waveform"], false);
    }
}

#[tokio::test]
async fn a_mixed_selection_is_answered_file_by_file() {
    let house = House::open().await;
    let technician = house.technician().await;
    let (number, _) = ecg_order(&technician).await;
    let written = wfdb::write::write(&recording(None), "r1");
    let image = ct_slice("1.2.97.1", 0);
    let files: [(&str, &[u8]); 6] = [
        ("r1.dat", &written.signals),
        ("r1.hea", &written.header),
        ("r1.atr", b"\0\0"),
        ("lost.dat", &[7; 100]),
        ("notes.txt", b"hello"),
        ("ct.dcm", &image.bytes),
    ];
    let fields = [("accession_number", number.as_str())];
    let answer = technician.upload(&fields, &files).await.is(StatusCode::ACCEPTED);
    let body = answer.json();
    let said: Vec<(String, String)> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let what = item["reason"]["code"].as_str().or(item["outcome"].as_str());
            (
                item["file"].as_str().unwrap().to_owned(),
                what.unwrap().to_owned(),
            )
        })
        .collect();
    let expect = [
        ("r1.hea", "stored"),
        ("ct.dcm", "no_ecg"),
        ("lost.dat", "no_header"),
        ("notes.txt", "unknown_format"),
    ];
    assert_eq!(
        said,
        expect.map(|(file, what)| (file.to_owned(), what.to_owned()))
    );
}

#[tokio::test]
async fn only_those_who_store_may_upload_and_only_under_requests_of_their_own_hospital() {
    let house = House::open().await;
    let (technician, file) = (house.technician().await, edf_of(Some("A")));
    let (number, study_uid) = ecg_order(&technician).await;
    let files = [("a.edf", file.as_slice())];
    let fields = [("accession_number", number.as_str())];
    let strangers = house.anonymous().upload(&fields, &files).await;
    strangers.refuses(StatusCode::UNAUTHORIZED);
    let readers = house.ecg_physician().await.upload(&fields, &files).await;
    readers.refuses(StatusCode::FORBIDDEN);
    let elsewhere = house.technician_elsewhere().await.upload(&fields, &files).await;
    elsewhere.refuses(StatusCode::NOT_FOUND);
    let nobody = technician.upload(&[("accession_number", "X1")], &files).await;
    nobody.refuses(StatusCode::NOT_FOUND);
    let ct = orders(&technician, "CT-CHEST").await;
    let wrong = [("accession_number", ct["accession_number"].as_str().unwrap())];
    technician
        .upload(&wrong, &files)
        .await
        .refuses(StatusCode::CONFLICT);
    // A machine of the hospital may, and strangers do not see the files.
    let seen = [fields[0], ("accept_mismatch", "true")];
    let machine = house.device_token().await.upload(&seen, &files).await;
    assert_eq!(
        only(&machine.is(StatusCode::CREATED))["study_uid"],
        study_uid.as_str()
    );
    let path = format!("/api/studies/{study_uid}/ecg/files");
    let clinician = house.clinician_elsewhere().await;
    clinician.get(&path).await.refuses(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn broken_forms_are_refused() {
    let house = House::open().await;
    let technician = house.technician().await;
    technician.upload(&[], &[]).await.refuses(StatusCode::BAD_REQUEST);
    let long = "9".repeat(300);
    let fields = [("accession_number", long.as_str())];
    let answer = technician.upload(&fields, &[("a.scp", b"x")]).await;
    answer.refuses(StatusCode::BAD_REQUEST);
    let many = vec![("a.txt", &b"x"[..]); 65];
    technician
        .upload(&[], &many)
        .await
        .refuses(StatusCode::PAYLOAD_TOO_LARGE);
    for (kind, status) in [
        ("application/json", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("multipart/form-data", StatusCode::BAD_REQUEST),
        ("multipart/form-data; boundary=other", StatusCode::BAD_REQUEST),
    ] {
        let body = b"--bnd\r\n\r\nx\r\n--bnd--".to_vec();
        technician
            .send("POST", "/api/ecg/recordings", &[("content-type", kind)], body)
            .await
            .refuses(status);
    }
}

/// Recordings of real carts, where the test data is there.
#[tokio::test]
async fn files_of_real_carts_are_taken() {
    let named = std::env::var_os("GONGYING_TEST_DATA").map(PathBuf::from);
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside = above
        .map(|folder| folder.join("shared/data"))
        .find(|folder| folder.is_dir());
    let Some(folder) = named.or(beside).map(|folder| folder.join("ecg/formats")) else {
        println!("skipped: test data not present");
        return;
    };
    let house = House::open().await;
    let technician = house.technician().await;
    let mut taken = 0;
    for kind in ["scp", "aecg", "muse", "dicom"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if ![".scp", ".xml", ".dcm"]
                .iter()
                .any(|ending| name.ends_with(ending))
            {
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            let (number, study_uid) = ecg_order(&technician).await;
            let fields = [("accession_number", number.as_str()), ("accept_mismatch", "true")];
            let answer = technician.upload(&fields, &[(&name, &bytes)]).await;
            let item = only(&answer.is(StatusCode::CREATED));
            assert_eq!(
                (&item["outcome"], &item["measurable"]),
                (&json!("stored"), &json!(true)),
                "{item}"
            );
            let kept = technician
                .get(&format!("/api/studies/{study_uid}/ecg/files"))
                .await;
            let back = technician.get(only(&kept)["url"].as_str().unwrap()).await;
            assert_eq!(back.body, bytes, "{name}");
            taken += 1;
        }
    }
    assert!(taken >= 6, "{taken} recordings of carts");
}
