use super::world::{User, WANG, World, status};
use crate::access::{Action, guard, search_scope};
use crate::critical::RaiseInput;
use crate::quality::ConsultInput;
use crate::worklist::WorklistFilter;
use crate::{critical, quality, recognition, report, share, timeline};

/// Everything that can be asked about one study; gives the statuses.
async fn everything(user: &User<'_>, study: &str, patient: i64) -> Vec<(&'static str, u16)> {
    let (r, a) = (&user.world.reading, &user.actor);
    vec![
        ("images", status(&guard(r, a, Action::ViewImages, study).await)),
        ("page", status(&crate::study(r, a, study).await)),
        ("report", status(&report::report(r, a, study).await)),
        ("versions", status(&report::versions(r, a, study).await)),
        ("version", status(&report::version_json(r, a, study, 1).await)),
        ("export", status(&guard(r, a, Action::ExportReport, study).await)),
        ("timeline", status(&timeline::timeline(r, a, patient).await)),
        (
            "candidates",
            status(&timeline::candidates(r, a, patient, None).await),
        ),
        ("claim", status(&user.claims(study).await)),
        ("draft", status(&user.writes(study, "x", "x", None).await)),
        ("submit", status(&user.submits(study).await)),
        ("sign", status(&user.signs(study).await)),
        ("return", status(&user.returns(study, "x").await)),
        (
            "amend",
            status(&user.amends(study, "addendum", "x", Some("x")).await),
        ),
        (
            "recognise",
            status(&recognition::decide(r, a, study, "recognised", None, None).await),
        ),
        (
            "critical",
            status(
                &critical::raise(
                    r,
                    a,
                    study,
                    RaiseInput {
                        item_code: "x".into(),
                        text: "x".into(),
                        evidence: None,
                    },
                )
                .await,
            ),
        ),
        ("share", status(&share::create(r, a, study, None, None).await)),
        (
            "consult",
            status(
                &quality::consult(
                    r,
                    a,
                    study,
                    ConsultInput {
                        question: "x".into(),
                        invited: None,
                    },
                )
                .await,
            ),
        ),
        ("reject", status(&quality::reject(r, a, study, "x", None).await)),
    ]
}

#[tokio::test]
async fn a_technician_of_another_township_gets_nothing_and_every_try_is_written_down() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let patient = order.patient_id.parse().unwrap();
    let stranger = world.user("tech.dongshan").await;
    let tries = everything(&stranger, &order.study_uid, patient).await;
    assert!(tries.iter().all(|(_, s)| matches!(s, 403 | 404)), "{tries:?}");
    let (rows, refused) = world.audit_rows("tech.dongshan", &order.study_uid).await;
    let about_the_study = tries
        .iter()
        .filter(|(what, _)| !matches!(*what, "timeline" | "candidates"))
        .count();
    assert_eq!((rows, refused), (about_the_study, about_the_study));
    assert!(
        stranger
            .worklist(WorklistFilter {
                q: Some(order.accession_number.clone()),
                ..WorklistFilter::default()
            })
            .await
            .items
            .is_empty()
    );
    let found = timeline::patients(&world.reading, &stranger.actor, Some("王秀英"), 50, None)
        .await
        .unwrap();
    assert!(found.items.is_empty());
}

#[tokio::test]
async fn administrator_security_and_auditor_open_no_study() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let patient = order.patient_id.parse().unwrap();
    for name in ["admin.county", "security.county", "auditor.county"] {
        let tries = everything(&world.user(name).await, &order.study_uid, patient).await;
        assert!(
            tries.iter().all(|(_, s)| matches!(s, 403 | 404)),
            "{name} {tries:?}"
        );
    }
}

#[tokio::test]
async fn a_clinician_elsewhere_sees_a_signed_study_once_the_hospital_treats_the_patient() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let clinician = world.user("clin.tcm").await;
    let sees = async || {
        status(
            &guard(
                &world.reading,
                &clinician.actor,
                Action::ViewImages,
                &order.study_uid,
            )
            .await,
        )
    };
    assert_eq!(sees().await, 404);
    let unsigned = world
        .user("tech.hexi")
        .await
        .orders_ct("JH1", WANG, "ROUTINE")
        .await;
    world.arrives(&unsigned).await;
    let own = clinician.orders_ct("T1", WANG, "ROUTINE").await;
    assert_eq!(sees().await, 200);
    assert_eq!(
        status(
            &guard(
                &world.reading,
                &clinician.actor,
                Action::ViewImages,
                &unsigned.study_uid
            )
            .await
        ),
        403
    );
    let patient = own.patient_id.parse().unwrap();
    let line = timeline::timeline(&world.reading, &clinician.actor, patient)
        .await
        .unwrap();
    assert_eq!(
        line.items
            .iter()
            .map(|i| i.study_uid.as_str())
            .collect::<Vec<_>>(),
        [order.study_uid.as_str()]
    );
    assert_eq!(line.patient.identifiers.len(), 2);
    let scope = search_scope(&world.reading, &clinician.actor).await.unwrap();
    assert_eq!((scope.institutions.len(), scope.treating.is_some()), (1, true));
}

#[tokio::test]
async fn every_access_leaves_a_row_and_nothing_opens_when_none_can_be_written() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    let writer = world.user("rad.writer").await;
    let before = world.audit_rows("rad.writer", &order.study_uid).await.0;
    writer.reads_report(&order.study_uid).await.unwrap();
    assert_eq!(
        world.audit_rows("rad.writer", &order.study_uid).await.0,
        before + 1
    );
    // The trail is frozen: its head cannot be moved on any more.
    world
        .reading
        .execute("DELETE FROM audit_head", Vec::new())
        .await
        .unwrap();
    let shut = writer.reads_report(&order.study_uid).await;
    assert_eq!(status(&shut), 503);
    assert!(writer.claims(&order.study_uid).await.is_err());
}

#[tokio::test]
async fn without_an_agreement_nobody_reads_for_another_institution() {
    let world = World::new().await;
    let order = world.user("tech.hexi").await.orders_ct("JH1", WANG, "STAT").await;
    world.arrives(&order).await;
    let writer = world.user("rad.writer").await;
    assert_eq!(status(&writer.reads_report(&order.study_uid).await), 200);
    world
        .reading
        .execute("UPDATE reading_agreement SET valid_to = 1", Vec::new())
        .await
        .unwrap();
    world.reading.subjects().clear();
    assert_eq!(status(&writer.reads_report(&order.study_uid).await), 404);
    assert!(writer.worklist(WorklistFilter::default()).await.items.is_empty());
}
