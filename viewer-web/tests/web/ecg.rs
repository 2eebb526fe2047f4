//! Waveform studies: analysis, samples, paper.

use crate::support::objects::{Object, ct_slice, ecg};
use crate::support::{House, Radiologist};
use axum::http::StatusCode;
use serde_json::Value;

async fn reader() -> (House, Radiologist, Object) {
    let (house, object) = (House::open().await, ecg(7));
    house
        .technician()
        .await
        .may_store(std::slice::from_ref(&object))
        .await;
    let reader = house.radiologist().await;
    (house, reader, object)
}

#[tokio::test]
async fn the_analysis_names_rhythm_measurements_and_its_recording() {
    let (_house, reader, object) = reader().await;
    let analysis = reader
        .get(&format!("/api/studies/{}/ecg", object.study_uid))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(analysis["rhythm"], "sinus_rhythm");
    assert_eq!(analysis["sop_instance_uid"], object.sop_instance_uid);
    let rate = analysis["measurements"]["heart_rate_bpm"].as_f64().unwrap();
    assert!((60.0..85.0).contains(&rate), "{rate}");
    let samples = analysis["samples_uv_url"].as_str().unwrap();
    reader.get(samples).await.is(StatusCode::OK);
}

#[tokio::test]
async fn samples_lie_as_their_layout_says() {
    let (_house, reader, object) = reader().await;
    let base = format!("/api/studies/{}/ecg/samples", object.study_uid);
    for path in ["raw", "diagnostic", "display"] {
        let answer = reader
            .get(&format!("{base}?path={path}"))
            .await
            .is(StatusCode::OK);
        let layout: Value = serde_json::from_str(answer.header("x-ecg-layout")).unwrap();
        let leads = layout["leads"].as_array().unwrap();
        assert!(
            leads.len() >= 12 && leads.contains(&Value::from("aVR")),
            "{leads:?}"
        );
        let samples = layout["samples"].as_u64().unwrap() as usize;
        assert_eq!(answer.body.len(), leads.len() * samples * 2, "{path}");
    }
    reader
        .get(&format!("{base}?path=nonsense"))
        .await
        .refuses(StatusCode::BAD_REQUEST);
    reader
        .get(&format!("{base}?instance=1.2.3"))
        .await
        .refuses(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn paper_is_a_drawing_and_impossible_paper_is_refused() {
    let (_house, reader, object) = reader().await;
    let base = format!("/api/studies/{}/ecg.svg", object.study_uid);
    let answer = reader
        .get(&format!("{base}?layout=6x2&speed=50&gain=20"))
        .await
        .is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "image/svg+xml");
    assert!(answer.text().contains("<svg"));
    let cabrera = reader
        .get(&format!("{base}?layout=cabrera&marks=fiducials&path=raw"))
        .await
        .is(StatusCode::OK);
    let drawn = String::from_utf8(cabrera.body.to_vec()).unwrap();
    for part in [
        "data-lead=\"-aVR\"",
        "mark-beat",
        "mark-qrs",
        "河西镇卫生院 心电图",
        "心率 ",
        "未滤波",
    ] {
        assert!(drawn.contains(part), "{part}");
    }
    for bad in [
        "layout=9x9",
        "speed=7",
        "gain=0",
        "path=x",
        "mains=55",
        "start=-1",
        "start=NaN",
        "marks=all",
    ] {
        reader
            .get(&format!("{base}?{bad}"))
            .await
            .refuses(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn printing_is_an_export_in_the_audit_trail() {
    let (house, reader, object) = reader().await;
    let answer = reader
        .get(&format!("/api/studies/{}/ecg.pdf", object.study_uid))
        .await;
    if viewer_web::Fonts::EMBEDDED.regular.is_empty() {
        answer.refuses(StatusCode::NOT_IMPLEMENTED);
    } else {
        let answer = answer.is(StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/pdf");
        assert!(answer.body.starts_with(b"%PDF-"));
    }
    assert_eq!(
        house.audit_rows("rad.writer", &object.study_uid, "110106").await,
        1
    );
}

#[tokio::test]
async fn a_study_of_images_has_no_ecg_and_strangers_see_none() {
    let (house, reader, object) = reader().await;
    let image = ct_slice("1.2.93.1", 0);
    house
        .technician()
        .await
        .may_store(std::slice::from_ref(&image))
        .await;
    reader
        .get("/api/studies/1.2.93.1/ecg")
        .await
        .refuses(StatusCode::NOT_FOUND);
    for kind in ["ecg", "ecg.svg", "ecg.pdf", "ecg/samples"] {
        let path = format!("/api/studies/{}/{kind}", object.study_uid);
        house
            .anonymous()
            .get(&path)
            .await
            .refuses(StatusCode::UNAUTHORIZED);
        house
            .clinician_elsewhere()
            .await
            .get(&path)
            .await
            .refuses(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_ecg_without_an_earlier_one_says_so_and_strangers_learn_nothing() {
    let (house, reader, object) = reader().await;
    let path = format!("/api/studies/{}/ecg/previous", object.study_uid);
    let alone = reader.get(&path).await.is(StatusCode::OK).json();
    assert_eq!(
        (&alone["previous"], &alone["comparison"]),
        (&Value::Null, &Value::Null)
    );
    let stranger = house.clinician_elsewhere().await;
    stranger.get(&path).await.refuses(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_marks_of_every_beat_are_in_order() {
    let (_house, reader, object) = reader().await;
    let path = format!("/api/studies/{}/ecg/marks", object.study_uid);
    let marks = reader.get(&path).await.is(StatusCode::OK).json();
    let beats = marks["beats"].as_array().unwrap();
    assert!(beats.len() >= 8, "{}", beats.len());
    for beat in beats {
        let known = ["p_on", "p_off", "qrs_on", "qrs_off", "t_off"].map(|name| beat[name].as_u64());
        let known: Vec<u64> = known.into_iter().flatten().collect();
        assert!(known.windows(2).all(|w| w[0] <= w[1]), "{beat}");
    }
}

#[tokio::test]
async fn the_summary_of_a_long_recording_is_served_to_those_who_may_see_the_study() {
    let (house, reader, object) = reader().await;
    let path = format!("/api/studies/{}/ecg/holter", object.study_uid);
    reader.get(&path).await.refuses(StatusCode::NOT_FOUND);
    let content = br#"{"duration_s":86400.0,"summary_zh":"x"}"#.to_vec();
    let derived = house.reading.archive().derived();
    for subject in [&object.study_uid, &object.sop_instance_uid] {
        derived
            .put(subject, "ecg_holter", 1, "application/json", content.clone())
            .await
            .unwrap();
    }
    let answer = reader.get(&path).await.is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["duration_s"], 86_400.0);
    let one = format!("{path}?instance={}", object.sop_instance_uid);
    reader.get(&one).await.is(StatusCode::OK);
    reader
        .get(&format!("{path}?instance=1.2.3"))
        .await
        .refuses(StatusCode::NOT_FOUND);
    house
        .anonymous()
        .get(&path)
        .await
        .refuses(StatusCode::UNAUTHORIZED);
    house
        .clinician_elsewhere()
        .await
        .get(&path)
        .await
        .refuses(StatusCode::NOT_FOUND);
}
