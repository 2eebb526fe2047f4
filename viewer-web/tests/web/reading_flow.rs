//! From the stored study to the signed report and what is made of it, over HTTP.

use crate::support::objects::study;
use crate::support::{Answer, House, Radiologist, Technician};
use axum::http::StatusCode;
use serde_json::{Value, json};

const FINDINGS: &str = "胸廓对称，双肺纹理清晰，右肺上叶见结节影，直径约8mm。";
const IMPRESSION: &str = "右肺上叶结节，建议3个月后复查。";

/// A stored study, somebody who writes and somebody who signs.
struct Desk {
    house: House,
    uid: String,
    writer: Radiologist,
    reviewer: Radiologist,
    technician: Technician,
}

impl Desk {
    async fn open(root: &str) -> Desk {
        let house = House::open().await;
        let objects = study(root);
        let technician = house.technician().await;
        technician.may_store(&objects).await;
        let (writer, reviewer) = (house.radiologist().await, house.reviewer().await);
        Desk {
            uid: objects[0].study_uid.clone(),
            house,
            writer,
            reviewer,
            technician,
        }
    }

    fn path(&self, tail: &str) -> String {
        format!("/api/studies/{}{tail}", self.uid)
    }

    async fn signed(root: &str) -> Desk {
        let desk = Desk::open(root).await;
        let draft = json!({"findings": FINDINGS, "impression": IMPRESSION, "positive": true});
        let body = draft.to_string().into_bytes();
        let json_body = [("content-type", "application/json")];
        desk.writer
            .send("PUT", &desk.path("/report/draft"), &json_body, body)
            .await
            .is(StatusCode::OK);
        desk.writer
            .post(&desk.path("/report/submit"), &json!({}))
            .await
            .is(StatusCode::OK);
        desk.reviewer
            .post(&desk.path("/report/sign"), &json!({}))
            .await
            .is(StatusCode::OK);
        desk
    }
}

/// The whole body as text.
fn whole(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn has(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part} is missing in {answer}");
    }
}

#[tokio::test]
async fn a_claim_names_its_holder_to_the_second_reader() {
    let desk = Desk::open("1.2.98.1").await;
    let worklist = desk
        .writer
        .get("/api/worklist?limit=10")
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(worklist["items"][0]["study_uid"], desk.uid.as_str());
    assert_eq!(worklist["counts"]["to_write"], 1);
    desk.writer
        .get("/api/worklist?limit=abc")
        .await
        .refuses(StatusCode::BAD_REQUEST);
    desk.writer
        .post(&desk.path("/claim"), &json!({}))
        .await
        .is(StatusCode::OK);
    let refused = desk
        .reviewer
        .post(&desk.path("/claim"), &json!({}))
        .await
        .refuses(StatusCode::CONFLICT)
        .json();
    assert_eq!(refused["holder"]["user"], "rad.writer");
    desk.reviewer
        .send("DELETE", &desk.path("/claim"), &[], Vec::new())
        .await
        .refuses(StatusCode::CONFLICT);
    desk.writer
        .send("DELETE", &desk.path("/claim"), &[], Vec::new())
        .await
        .is(StatusCode::NO_CONTENT);
    desk.technician
        .post(&desk.path("/claim"), &json!({}))
        .await
        .refuses(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_draft_is_saved_only_over_the_text_that_was_seen() {
    let desk = Desk::open("1.2.98.2").await;
    let save = async |text: &str, tag: Option<&str>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(tag.map(|t| ("if-match", t)));
        let body = json!({"findings": text, "impression": text})
            .to_string()
            .into_bytes();
        desk.writer
            .send("PUT", &desk.path("/report/draft"), &headers, body)
            .await
    };
    let first = save("初稿", None)
        .await
        .is(StatusCode::OK)
        .header("etag")
        .to_owned();
    save("二稿", Some(&first)).await.is(StatusCode::OK);
    save("丢失", Some(&first))
        .await
        .refuses(StatusCode::PRECONDITION_FAILED);
    let kept = desk
        .writer
        .get(&desk.path("/report"))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(kept["findings"], "二稿");
    let seen = desk
        .technician
        .get(&desk.path("/report"))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(seen["findings"], "", "a draft is for readers only");
}

#[tokio::test]
async fn the_signed_report_says_the_same_in_every_form() {
    let desk = Desk::signed("1.2.98.3").await;
    let version = desk
        .technician
        .get(&desk.path("/report/versions/1"))
        .await
        .is(StatusCode::OK);
    has(
        &whole(&version),
        &[
            FINDINGS,
            IMPRESSION,
            "rad.writer",
            "rad.reviewer",
            "\"signature\"",
        ],
    );
    desk.writer
        .get(&desk.path("/report/versions/2"))
        .await
        .refuses(StatusCode::NOT_FOUND);
    let put = desk
        .writer
        .send("PUT", &desk.path("/report/versions/1"), &[], b"{}".to_vec())
        .await;
    put.refuses(StatusCode::METHOD_NOT_ALLOWED);
    let sr = desk
        .writer
        .get(&desk.path("/report.sr.dcm"))
        .await
        .is(StatusCode::OK);
    assert_eq!(sr.header("content-type"), "application/dicom");
    has(&whole(&sr), &[FINDINGS, IMPRESSION]);
    let cda = desk
        .writer
        .get(&desk.path("/report.cda.xml"))
        .await
        .is(StatusCode::OK);
    has(&whole(&cda), &[FINDINGS, IMPRESSION, "2.16.156.10011.2.1.1.26"]);
    let pdf = desk.writer.get(&desk.path("/report.pdf")).await;
    assert!(
        pdf.status == 503 || pdf.header("content-type") == "application/pdf",
        "without fonts it says so"
    );
    assert!(
        desk.house.audit_rows("rad.writer", &desk.uid, "110106").await >= 2,
        "exports are written down"
    );
}

#[tokio::test]
async fn the_signed_report_is_found_over_fhir() {
    let desk = Desk::signed("1.2.98.6").await;
    let found = desk
        .writer
        .get(&format!("/fhir/DiagnosticReport?study={}", desk.uid))
        .await
        .is(StatusCode::OK);
    assert_eq!(found.header("content-type"), "application/fhir+json");
    let report = &found.json()["entry"][0]["resource"];
    assert_eq!(
        (report["status"].as_str(), report["conclusion"].as_str()),
        (Some("final"), Some(IMPRESSION))
    );
    let task = desk
        .writer
        .get(&format!("/fhir/Task?focus=ImagingStudy/{}", desk.uid))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(task["entry"][0]["resource"]["status"], "completed");
    let patient = report["subject"]["reference"].as_str().unwrap();
    desk.writer
        .get(&format!("/fhir/{patient}"))
        .await
        .is(StatusCode::OK);
}

#[tokio::test]
async fn another_township_gets_no_form_of_it_and_each_try_is_written_down() {
    let desk = Desk::signed("1.2.98.4").await;
    let stranger = desk.house.technician_elsewhere().await;
    for tail in [
        "/report",
        "/report/versions",
        "/report/versions/1",
        "/report.sr.dcm",
        "/report.cda.xml",
        "",
        "/shares",
    ] {
        stranger
            .get(&desk.path(tail))
            .await
            .refuses(StatusCode::NOT_FOUND);
        desk.house
            .anonymous()
            .get(&desk.path(tail))
            .await
            .refuses(StatusCode::UNAUTHORIZED);
    }
    for (tail, body) in [
        ("/claim", json!({})),
        ("/report/sign", json!({})),
        ("/report/amend", json!({"kind": "addendum", "text": "x"})),
        ("/recognition", json!({"decision": "recognised"})),
        ("/critical-values", json!({"item_code": "x", "text": "x"})),
        ("/shares", json!({})),
        ("/consultations", json!({"text": "x"})),
        ("/reject", json!({"reason_code": "x"})),
    ] {
        stranger
            .post(&desk.path(tail), &body)
            .await
            .refuses(StatusCode::NOT_FOUND);
    }
    let found = stranger
        .get(&format!("/fhir/DiagnosticReport?study={}", desk.uid))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(found["total"], 0);
    assert!(desk.house.audit_rows("tech.tcm", &desk.uid, "110111").await >= 8);
}

#[tokio::test]
async fn an_order_is_checked_field_by_field_and_a_link_dies_when_taken_back() {
    let desk = Desk::signed("1.2.98.5").await;
    let bad = desk
        .technician
        .post("/api/orders", &json!({"patient": {}, "priority": "SOON"}))
        .await;
    assert_eq!(
        bad.refuses(StatusCode::UNPROCESSABLE_ENTITY).json()["field"],
        "patient.id"
    );
    let order = json!({"patient": {"id": "P9", "name": "王秀英", "national_id": "11010519491231002X"}, "item_code": "CT-CHEST"});
    let placed = desk
        .technician
        .post("/api/orders", &order)
        .await
        .is(StatusCode::CREATED)
        .json();
    assert_eq!(placed["modality"], "CT");
    desk.house
        .auditor()
        .await
        .post("/api/orders", &order)
        .await
        .refuses(StatusCode::FORBIDDEN);
    let link = desk
        .writer
        .post(
            &desk.path("/shares"),
            &json!({"expires_in_s": 3600, "pin": "4821"}),
        )
        .await;
    let link: Value = link.is(StatusCode::CREATED).json();
    let token = link["url"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let open = async |pin: &str| {
        desk.house
            .anonymous()
            .post(&format!("/api/shares/{token}/open"), &json!({"pin": pin}))
            .await
    };
    open("0000").await.refuses(StatusCode::UNAUTHORIZED);
    let shown = open("4821").await.is(StatusCode::OK).json();
    assert_eq!(shown["report"]["findings"], FINDINGS);
    let gone = format!("/shares/{}", link["id"].as_str().unwrap());
    desk.writer
        .send("DELETE", &desk.path(&gone), &[], Vec::new())
        .await
        .is(StatusCode::NO_CONTENT);
    open("4821").await.refuses(StatusCode::GONE);
    let page = desk.house.anonymous().get(&format!("/share/{token}")).await;
    assert_eq!(page.status, 410);
}
