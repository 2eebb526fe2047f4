//! Recognition, critical values, links, rejection, figures.

use super::world::{WANG, World, status};
use crate::critical::{self, CriticalStep, RaiseInput, StepInput};
use crate::statistics::{self, Period};
use crate::{quality, recognition, share, timeline};

async fn recognition_story(world: &World) {
    let order = world.signed_study("JH1", WANG).await;
    let uid = order.study_uid.as_str();
    let tcm = world.user("clin.tcm").await;
    let decide = async |user: &str, decision: &str, reason: Option<&str>| {
        let user = world.user(user).await;
        status(&recognition::decide(&world.reading, &user.actor, uid, decision, reason, None).await)
    };
    assert_eq!(
        decide("clin.tcm", "recognised", None).await,
        404,
        "no treating relationship yet"
    );
    let own = tcm.orders_ct("T1", WANG, "ROUTINE").await;
    let patient = own.patient_id.parse().unwrap();
    let found = timeline::candidates(&world.reading, &tcm.actor, patient, Some("CT-CHEST"))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].hr_mark.as_ref().unwrap().text, "县域 HR");
    assert!(
        timeline::candidates(&world.reading, &tcm.actor, patient, Some("MR-HEAD"))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        decide("clin.hexi", "recognised", None).await,
        403,
        "the sender's own clinician"
    );
    assert_eq!(decide("tech.hexi", "recognised", None).await, 403);
    assert_eq!(decide("clin.tcm", "maybe", None).await, 422);
    assert_eq!(decide("clin.tcm", "refused", None).await, 422);
    assert_eq!(decide("clin.tcm", "refused", Some("emergency")).await, 200);
    assert_eq!(
        decide("clin.tcm", "recognised", None).await,
        200,
        "a later decision replaces the earlier one"
    );
    let kept = recognition::decisions(&world.reading, uid).await.unwrap();
    assert_eq!((kept.len(), kept[0].decision.as_str()), (1, "recognised"));
    let admin = world.user("admin.county").await;
    let figures = statistics::recognition(&world.reading, &admin.actor, Period::ALWAYS)
        .await
        .unwrap();
    assert_eq!(
        (
            figures.recognised,
            figures.refused,
            figures.eligible,
            figures.rate
        ),
        (1, 0, 1, 1.0)
    );
    assert_eq!(figures.refused_by_reason.len(), 6);
}

#[tokio::test]
async fn a_result_is_recognised_by_the_hospital_that_treats_the_patient() {
    recognition_story(&World::new().await).await;
}

#[tokio::test]
async fn the_same_recognition_on_postgres() {
    let Some((world, server)) = World::on_postgres().await else {
        return;
    };
    recognition_story(&world).await;
    figures_story(&world).await;
    drop((world, server));
}

fn pneumothorax() -> RaiseInput {
    RaiseInput {
        item_code: "tension-pneumothorax".into(),
        text: "张力性气胸".into(),
        evidence: Some("右侧".into()),
    }
}

#[tokio::test]
async fn a_critical_value_is_raised_by_a_reader_and_told_to_open_pages() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let (writer, clinician) = (world.user("rad.writer").await, world.user("clin.hexi").await);
    let mut news = world.archive.events().listen();
    let (r, uid) = (&world.reading, order.study_uid.as_str());
    assert_eq!(
        status(&critical::raise(r, &clinician.actor, uid, pneumothorax()).await),
        403
    );
    assert_eq!(
        status(&critical::raise(r, &writer.actor, uid, RaiseInput::default()).await),
        422
    );
    let raised = critical::raise(r, &writer.actor, uid, pneumothorax())
        .await
        .unwrap();
    let event = news.recv().await.unwrap();
    assert_eq!(
        (event.kind.as_str(), event.study_uid.as_deref()),
        ("critical_value", Some(uid))
    );
    let stranger = world.user("tech.dongshan").await;
    assert_eq!(status(&critical::get(r, &stranger.actor, &raised.id).await), 404);
}

#[tokio::test]
async fn a_critical_value_goes_round_in_its_order() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let (writer, clinician) = (world.user("rad.writer").await, world.user("clin.hexi").await);
    let r = &world.reading;
    let raised = critical::raise(r, &writer.actor, &order.study_uid, pneumothorax())
        .await
        .unwrap();
    let nothing = StepInput::default;
    let told = || StepInput {
        person: Some("值班医师".into()),
        read_back: Some(true),
        ..StepInput::default()
    };
    let acted = || StepInput {
        text: Some("胸腔闭式引流".into()),
        ..StepInput::default()
    };
    let open = async || {
        critical::list(r, &clinician.actor, Some("open"))
            .await
            .unwrap()
            .len()
    };
    assert_eq!(open().await, 1);
    for (user, step, input, expect) in [
        (&writer, CriticalStep::Close, nothing(), 409),
        (&writer, CriticalStep::Notify, nothing(), 422),
        (&writer, CriticalStep::Notify, told(), 200),
        (&writer, CriticalStep::Acknowledge, nothing(), 403),
        (&clinician, CriticalStep::Acknowledge, nothing(), 200),
        (&clinician, CriticalStep::Acknowledge, nothing(), 409),
        (&clinician, CriticalStep::Act, acted(), 200),
        (&clinician, CriticalStep::Close, nothing(), 200),
    ] {
        let done = critical::advance(r, &user.actor, &raised.id, step, input).await;
        assert_eq!(status(&done), expect, "{step:?}");
    }
    assert_eq!(open().await, 0);
    let record = critical::get(r, &clinician.actor, &raised.id).await.unwrap();
    let times = [
        Some(record.raised_at),
        record.notified_at,
        record.acknowledged_at,
        record.acted_at,
        record.closed_at,
    ];
    assert!(
        times.iter().all(Option::is_some) && times.is_sorted(),
        "{times:?}"
    );
    assert_eq!(record.acknowledged_by.unwrap().user, "clin.hexi");
}

#[tokio::test]
async fn a_patients_link_opens_with_its_pin_and_dies_when_taken_back() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let (writer, r, uid) = (
        world.user("rad.writer").await,
        &world.reading,
        order.study_uid.as_str(),
    );
    assert_eq!(
        status(&share::create(r, &writer.actor, uid, Some(3600), Some("1")).await),
        422
    );
    assert_eq!(
        status(&share::create(r, &writer.actor, uid, Some(1), Some("4821")).await),
        422
    );
    let link = share::create(r, &writer.actor, uid, Some(3600), Some("4821"))
        .await
        .unwrap();
    let token = link.url.strip_prefix("/share/").unwrap();
    assert_eq!(token.len(), 43);
    share::alive(r, token).await.unwrap();
    assert_eq!(status(&share::alive(r, &"A".repeat(43)).await), 404);
    let opened = share::open(r, token, "4821", None).await.unwrap();
    assert_eq!(
        opened.report.patient.national_id.as_deref(),
        Some("110105********002X")
    );
    assert_eq!(opened.images.len(), 1);
    let (address, key) = opened.images[0].split_once("?key=").unwrap();
    let series = address.split('/').nth(5).unwrap();
    share::may_see_series(r, token, key, series).await.unwrap();
    assert_eq!(status(&share::may_see_series(r, token, key, "1.2.3").await), 404);
    assert_eq!(
        status(&share::may_see_series(r, token, "guess", series).await),
        404
    );
    share::revoke(r, &writer.actor, uid, &link.id).await.unwrap();
    assert_eq!(status(&share::open(r, token, "4821", None).await), 410);
    assert_eq!(status(&share::may_see_series(r, token, key, series).await), 404);
    let second = share::create(r, &writer.actor, uid, None, Some("4821"))
        .await
        .unwrap();
    let token = second.url.strip_prefix("/share/").unwrap();
    for _ in 0..share::PIN_FAILURES_MAX {
        assert_eq!(status(&share::open(r, token, "0000", None).await), 401);
    }
    assert_eq!(
        status(&share::open(r, token, "4821", None).await),
        423,
        "locked after five wrong PINs"
    );
    let unsigned = world.user("tech.hexi").await.orders_ct("JH1", WANG, "STAT").await;
    world.arrives(&unsigned).await;
    assert_eq!(
        status(&share::create(r, &writer.actor, &unsigned.study_uid, None, None).await),
        409
    );
}

#[tokio::test]
async fn a_bad_study_goes_back_to_its_sender() {
    let world = World::new().await;
    let order = world.user("tech.hexi").await.orders_ct("JH1", WANG, "STAT").await;
    world.arrives(&order).await;
    let writer = world.user("rad.writer").await;
    assert_eq!(
        status(&quality::reject(&world.reading, &writer.actor, &order.study_uid, "ugly", None).await),
        422
    );
    quality::reject(
        &world.reading,
        &writer.actor,
        &order.study_uid,
        "motion",
        Some("呼吸伪影"),
    )
    .await
    .unwrap();
    let back = quality::rejections(&world.reading, &world.user("tech.hexi").await.actor)
        .await
        .unwrap();
    assert_eq!((back.len(), back[0].reason_text), (1, "运动伪影"));
    assert!(
        quality::rejections(&world.reading, &world.user("tech.dongshan").await.actor)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(writer.worklist(Default::default()).await.items.is_empty());
}

async fn figures_story(world: &World) {
    let admin = world.user("admin.county").await;
    let (r, a) = (&world.reading, &admin.actor);
    let before = statistics::turnaround(r, a, Period::ALWAYS).await.unwrap().signed;
    world.signed_study("JH7", "110101199003070935").await;
    let after = statistics::turnaround(r, a, Period::ALWAYS).await.unwrap();
    assert_eq!(after.signed, before + 1);
    assert!(after.p90_s >= after.median_s);
    let load = statistics::load(r, a, Period::ALWAYS).await.unwrap();
    let of = |user: &str| load.items.iter().find(|l| l.account == user).unwrap();
    assert_eq!(
        (of("rad.reviewer").signed, of("rad.writer").submitted),
        (after.signed, after.signed)
    );
    let quality = statistics::quality(r, a, Period::ALWAYS).await.unwrap();
    assert_eq!(quality.positive_by_modality[0].rate, 1.0);
    let csv = statistics::weekly_csv(r, a, None).await.unwrap();
    assert_eq!(csv.lines().count(), 7, "a header and six institutions");
    assert!(csv.contains(",HEXI,河西镇卫生院,"));
    let technician = world.user("tech.dongshan").await;
    assert_eq!(
        status(&statistics::recognition(r, &technician.actor, Period::ALWAYS).await),
        403
    );
}

#[tokio::test]
async fn figures_grow_by_what_was_done() {
    figures_story(&World::new().await).await;
}

#[test]
fn a_period_is_two_moments() {
    assert!(Period::parse(Some("2026-11-01"), None).is_ok());
    assert!(Period::parse(Some("soon"), None).is_err());
}

#[tokio::test]
async fn an_ecg_that_the_machine_finds_critical_goes_to_the_front() {
    let world = World::new().await;
    let technician = world.user("tech.hexi").await;
    let mut orders = Vec::new();
    for number in ["1", "2"] {
        let order = technician.orders("ECG-12", number, WANG, "ROUTINE").await;
        world.arrives(&order).await;
        orders.push(order.study_uid);
    }
    let reader = world.user("ecg.writer").await;
    let list = async || reader.worklist(Default::default()).await.items;
    assert_eq!(list().await[1].study_uid, orders[1]);
    let analysis = serde_json::json!({
        "statements": [{"code": "av_block_3", "text_zh": "三度房室传导阻滞", "text_en": "Third-degree AV block"}],
        "critical": [{"rule": "av_block_3", "text_zh": "三度房室传导阻滞", "text_en": "Third-degree AV block"}],
    });
    let bytes = serde_json::to_vec(&analysis).unwrap();
    let derived = world.archive.derived();
    derived
        .put(&orders[1], "ecg_analysis", 1, "application/json", bytes)
        .await
        .unwrap();
    let first = &list().await[0];
    assert_eq!(
        (first.study_uid.as_str(), first.priority.as_str()),
        (orders[1].as_str(), "STAT")
    );
    assert!(first.machine_flags[0].critical);
    assert!(
        world
            .user("rad.writer")
            .await
            .worklist(Default::default())
            .await
            .items
            .is_empty()
    );
}
