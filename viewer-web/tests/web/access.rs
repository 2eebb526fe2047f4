//! Who may store, find and see what.

use crate::support::House;
use crate::support::objects::study;
use axum::http::StatusCode;

#[tokio::test]
async fn a_technician_stores_and_the_readers_of_the_county_see_it() {
    let (house, objects) = (House::open().await, study("1.2.99.1"));
    house.technician().await.may_store(&objects).await;
    house.radiologist().await.may_see(&objects[0]).await;
}

#[tokio::test]
async fn a_technician_sees_the_studies_of_the_own_hospital() {
    let (house, objects) = (House::open().await, study("1.2.99.2"));
    let technician = house.technician().await;
    technician.may_store(&objects).await;
    technician.may_see(&objects[0]).await;
}

#[tokio::test]
async fn a_stranger_sees_nothing_at_all() {
    let (house, objects) = (House::open().await, study("1.2.99.3"));
    house.technician().await.may_store(&objects).await;
    let anonymous = house.anonymous();
    for path in objects[0].paths() {
        anonymous.get(&path).await.refuses(StatusCode::UNAUTHORIZED);
    }
    anonymous
        .get("/dicomweb/studies")
        .await
        .refuses(StatusCode::UNAUTHORIZED);
    anonymous
        .stow("/dicomweb/studies", &[&objects[0].bytes])
        .await
        .refuses(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn people_of_another_hospital_find_and_see_nothing() {
    let (house, objects) = (House::open().await, study("1.2.99.4"));
    house.technician().await.may_store(&objects).await;
    let clinician = house.clinician_elsewhere().await;
    clinician.finds_nothing_of(&objects[0]).await;
    clinician.may_not_see(&objects[0]).await;
    let technician = house.technician_elsewhere().await;
    technician.finds_nothing_of(&objects[0]).await;
    technician.may_not_see(&objects[0]).await;
}

#[tokio::test]
async fn guardians_of_the_system_neither_store_nor_search_nor_see() {
    let (house, objects) = (House::open().await, study("1.2.99.5"));
    house.technician().await.may_store(&objects).await;
    for guardian in [house.county_admin().await.0, house.auditor().await.0] {
        guardian.may_not_see(&objects[0]).await;
        guardian.may_not_store(&objects[0]).await;
        guardian
            .get("/dicomweb/studies")
            .await
            .refuses(StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn readers_do_not_store_and_a_device_stores_and_sees_nothing() {
    let (house, objects) = (House::open().await, study("1.2.99.6"));
    house.radiologist().await.may_not_store(&objects[0]).await;
    let device = house.device_token().await;
    device.may_store(&objects).await;
    device.may_not_see(&objects[0]).await;
    device
        .get("/dicomweb/studies")
        .await
        .refuses(StatusCode::FORBIDDEN);
    house.radiologist().await.may_see(&objects[0]).await;
}

#[tokio::test]
async fn every_retrieval_and_refusal_leaves_an_audit_row() {
    let (house, objects) = (House::open().await, study("1.2.99.7"));
    house.technician().await.may_store(&objects).await;
    let before = house
        .audit_rows("rad.writer", &objects[0].study_uid, "110103")
        .await;
    let radiologist = house.radiologist().await;
    for path in objects[0].paths() {
        radiologist.get(&path).await.is(StatusCode::OK);
    }
    let after = house
        .audit_rows("rad.writer", &objects[0].study_uid, "110103")
        .await;
    assert_eq!(after - before, objects[0].paths().len());
    house.clinician_elsewhere().await.get(&objects[0].path()).await;
    assert_eq!(
        house
            .audit_rows("clin.tcm", &objects[0].study_uid, "110103")
            .await,
        1
    );
    assert!(
        house
            .audit_rows("tech.hexi", &objects[0].study_uid, "110104")
            .await
            >= 1
    );
}
