//! Every kind of job on a real archive: objects come in, results appear.

#![allow(clippy::unwrap_used)]

mod support;

use archive::events::EventKind;
use fixtures::ct::{self, CtOptions};
use fixtures::dx::{self, DxOptions};
use fixtures::ecg::{self, EcgRhythm};
use fixtures::us;
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::Duration;
use support::{Site, context};
use worker::JobKind;

fn picture_size(jpeg: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory(jpeg).unwrap();
    (picture.width(), picture.height())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ct_gets_thumbnail_and_metadata() {
    let site = Site::new().await;
    let study = context(1);
    for file in ct::thorax(&study, CtOptions::small()) {
        site.store(&file).await;
    }
    let series_uid = study.series_uid(2);
    let worker = site.start();
    let thumbnail = site.wait_for(&series_uid, JobKind::Thumbnail).await;
    assert_eq!(
        (
            thumbnail.info.content_type.as_str(),
            picture_size(&thumbnail.content)
        ),
        ("image/jpeg", (256, 256))
    );
    let metadata = site.wait_for(&series_uid, JobKind::SeriesMetadata).await;
    let mut text = String::new();
    flate2::read::GzDecoder::new(metadata.content.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let objects: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(objects.len(), 12);
    let numbers: Vec<i64> = objects
        .iter()
        .map(|o| o["00200013"]["Value"][0].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>(), "by instance number");
    let one = site.wait_for(&study.instance_uid(2, 3), JobKind::Thumbnail).await;
    assert_eq!(
        picture_size(&one.content),
        (256, 256),
        "few pictures get one each"
    );
    worker.stop().await;
    site.nothing_died().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_cines_and_radiographs_get_thumbnails() {
    let site = Site::new().await;
    let (cine, chest) = (context(2), context(3));
    site.store(&us::abdomen_cine(&cine, 3).unwrap()).await;
    site.store(&dx::chest(&chest, DxOptions::small())).await;
    let worker = site.start();
    let thumbnail = site.wait_for(&cine.series_uid(1), JobKind::Thumbnail).await;
    assert_eq!(picture_size(&thumbnail.content), (256, 192));
    let thumbnail = site.wait_for(&chest.series_uid(1), JobKind::Thumbnail).await;
    assert_eq!(picture_size(&thumbnail.content), (213, 256));
    worker.stop().await;
    site.nothing_died().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_infarction_is_critical_and_speaks_for_its_study() {
    let site = Site::new().await;
    let mut news = site.archive.events().listen();
    let (ill, well) = (context(4), context(5));
    let (file, truth) = ecg::twelve_lead(&ill, EcgRhythm::InferiorStemi);
    site.store(&file).await;
    site.store(&ecg::twelve_lead(&well, EcgRhythm::Sinus).0).await;
    let worker = site.start();
    let found = site.wait_for(&ill.study_uid, JobKind::EcgAnalysis).await;
    let analysis: Value = serde_json::from_slice(&found.content).unwrap();
    assert_eq!(analysis["rhythm"], json!("sinus_rhythm"));
    assert!(
        !analysis["critical"].as_array().unwrap().is_empty(),
        "{analysis:#}"
    );
    assert_eq!(analysis["beats"].as_array().unwrap().len(), truth.beats.len());
    assert_eq!(analysis["sop_instance_uid"], json!(file.sop_instance_uid));
    let calm = site.wait_for(&well.study_uid, JobKind::EcgAnalysis).await;
    let calm: Value = serde_json::from_slice(&calm.content).unwrap();
    assert_eq!(calm["critical"], json!([]));
    let told = loop {
        let event = tokio::time::timeout(Duration::from_secs(10), news.recv())
            .await
            .unwrap()
            .unwrap();
        if event.kind == EventKind::Derived && event.study_uid.as_deref() == Some(ill.study_uid.as_str()) {
            break event;
        }
    };
    assert_eq!(told.institution_ids, [site.institution]);
    assert!(!told.data["critical"].as_array().unwrap().is_empty());
    worker.stop().await;
    site.nothing_died().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_slices_are_found_when_the_study_is_quiet() {
    let site = Site::new().await;
    let study = context(6);
    for (index, file) in ct::thorax(&study, CtOptions::small()).enumerate() {
        if !(5..7).contains(&index) {
            site.store(&file).await;
        }
    }
    assert!(site.archive.studies().settle_now(&study.study_uid).await.unwrap());
    let worker = site.start();
    let report = site.wait_for(&study.study_uid, JobKind::Quality).await;
    let report: Value = serde_json::from_slice(&report.content).unwrap();
    let gap = &report["findings"][0];
    assert_eq!(
        (&gap["code"], &gap["severity"]),
        (&json!("slice_gap"), &json!("error"))
    );
    assert_eq!(gap["evidence"]["slices"], json!(2.0));
    assert_eq!(gap["series_uid"], json!(study.series_uid(2)));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_studies_have_no_findings() {
    let site = Site::new().await;
    let (volume, signal) = (context(7), context(8));
    for file in ct::thorax(&volume, CtOptions::small()) {
        site.store(&file).await;
    }
    site.store(&ecg::twelve_lead(&signal, EcgRhythm::AtrialFibrillation).0)
        .await;
    for uid in [&volume.study_uid, &signal.study_uid] {
        site.archive.studies().settle_now(uid).await.unwrap();
    }
    let worker = site.start();
    for uid in [&volume.study_uid, &signal.study_uid] {
        let report = site.wait_for(uid, JobKind::Quality).await;
        let report: Value = serde_json::from_slice(&report.content).unwrap();
        assert_eq!(report["findings"], json!([]), "{report:#}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_done_twice_gives_the_same_result() {
    let site = Site::new().await;
    let study = context(9);
    site.store(&dx::chest(&study, DxOptions::small())).await;
    let worker = site.start();
    let series_uid = study.series_uid(1);
    let first = site.wait_for(&series_uid, JobKind::Thumbnail).await;
    site.ask(JobKind::Thumbnail, &series_uid).await;
    site.until_idle().await;
    let second = site.wait_for(&series_uid, JobKind::Thumbnail).await;
    assert_eq!(first.info.digest, second.info.digest);
    assert!(second.info.made_at > first.info.made_at, "it was made again");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_about_nothing_are_done_and_bombs_fail_quickly() {
    let site = Site::new().await;
    let bomb = fixtures::bad::pixel_bomb(fixtures::Seed::new(1));
    let stored = site.store_bytes(bomb).await.unwrap();
    for kind in JobKind::ALL {
        site.ask(kind, "1.2.3.4").await;
    }
    site.archive
        .studies()
        .settle_now(&stored.study_uid)
        .await
        .unwrap();
    let worker = site.start();
    let report = site.wait_for(&stored.study_uid, JobKind::Quality).await;
    let report: Value = serde_json::from_slice(&report.content).unwrap();
    assert_eq!(
        report["findings"][0]["code"],
        json!("pixels_damaged"),
        "{report:#}"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_recording_is_summed_up() {
    use fixtures::ecg::{Day, Phase};
    let site = Site::new().await;
    let study = context(11);
    let plan = [
        Phase::Sinus(900.0, 70.0),
        Phase::VentricularRun(5, 160.0),
        Phase::Sinus(600.0, 72.0),
        Phase::Pause(3.3),
        Phase::Sinus(420.0, 66.0),
    ];
    let day = Day::new(&plan, 125.0, fixtures::Seed::new(4));
    let file = ecg::ambulatory(&study, &day);
    site.store(&file).await;
    let worker = site.start();
    let analysis = site.wait_for(&study.study_uid, JobKind::EcgAnalysis).await;
    let analysis: Value = serde_json::from_slice(&analysis.content).unwrap();
    assert_eq!(
        analysis["duration_s"],
        json!(60.0),
        "one minute of it is read as a resting ECG"
    );
    for subject in [&study.study_uid, &file.sop_instance_uid] {
        let found = site
            .archive
            .derived()
            .get(subject, "ecg_holter")
            .await
            .unwrap()
            .unwrap();
        let holter: Value = serde_json::from_slice(&found.content).unwrap();
        assert_eq!(holter["sop_instance_uid"], json!(file.sop_instance_uid));
        assert_eq!(holter["pauses"]["count_3_s"], json!(1));
        assert_eq!(holter["ventricular"]["longest_run"]["beats"], json!(5));
        let beats = holter["beats"]["total"].as_u64().unwrap();
        assert!(beats.abs_diff(day.beats.len() as u64) <= 3, "{beats}");
        assert!(holter["summary_zh"].as_str().unwrap().contains("动态心电图"));
    }
    worker.stop().await;
    site.nothing_died().await;
}
