//! Planes and projections that the server makes of a series.

use crate::support::House;
use crate::support::objects::{COLUMNS, ROWS, study};
use axum::http::StatusCode;
use engine::codec::npy::Array;
use engine_gpu::{Choice, Gpu, Residents};
use std::sync::Arc;

/// HU of the slice objects at column x, row y, slice k.
fn hu(x: usize, y: usize, k: usize) -> f32 {
    (x * 20 + y * 10 + k * 50) as f32 - 1024.0
}

/// The values of an array answer, and its shape.
fn values(body: &[u8]) -> (Vec<usize>, Vec<f32>) {
    let array = Array::parse(body).unwrap();
    (array.shape().to_vec(), array.to_f32())
}

#[tokio::test]
async fn planes_of_a_series_hold_its_values() {
    let (house, objects) = (House::open().await, study("1.2.99.31"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let series = format!("/api/series/{}", objects[0].series_uid);
    let (columns, rows) = (usize::from(COLUMNS), usize::from(ROWS));

    let info = reader
        .get(&format!("{series}/volume"))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(info["dimensions"], serde_json::json!([6, rows, columns]));
    assert_eq!(info["spacing_mm"], serde_json::json!([2.5, 0.75, 0.75]));
    assert_eq!(info["warnings"], serde_json::json!([]));

    // feet first in the array, head first on the light box
    let coronal = reader
        .get(&format!("{series}/mpr?plane=coronal&index=12&format=npy"))
        .await
        .is(StatusCode::OK);
    let expect: Vec<f32> = (0..6)
        .rev()
        .flat_map(|k| (0..columns).map(move |x| hu(x, 12, k)))
        .collect();
    assert_eq!(values(&coronal.body), (vec![6, columns], expect));

    // half way between two slices, in patient millimetres
    let between =
        format!("{series}/mpr?origin=-24,-18,6.25&row=1,0,0&col=0,1,0&pixel=0.75&size=8,4&format=npy");
    let between = reader.get(&between).await.is(StatusCode::OK);
    let (shape, found) = values(&between.body);
    assert_eq!(shape, [4, 8]);
    for (i, value) in found.iter().enumerate() {
        let expect = (hu(i % 8, i / 8, 2) + hu(i % 8, i / 8, 3)) / 2.0;
        assert!((value - expect).abs() < 0.01, "{i}: {value} {expect}");
    }
}

/// Slabs and projections of a device are those of the CPU, and are told apart from them.
#[tokio::test]
async fn a_device_makes_slabs_and_projections() {
    match Gpu::open(Choice::Force) {
        Ok(_) => {}
        Err(error) if std::env::var_os("REQUIRE_ALL").is_some() => panic!("{error}"),
        Err(error) => return eprintln!("skipped: {error}"),
    }
    let device = Arc::new(Residents::new(Choice::Force, 1 << 30));
    let (house, with_device) = (House::open().await, House::open_with(Some(device)).await);
    let mut answers = Vec::new();
    for house in [&house, &with_device] {
        let objects = study("1.2.99.35");
        house.technician().await.may_store(&objects).await;
        let reader = house.radiologist().await;
        let series = format!("/api/series/{}", objects[0].series_uid);
        let mut own = Vec::new();
        for path in [
            "mpr?plane=axial&index=2&slab=6&mode=mean&format=npy",
            "project?mode=mip&view=20,10&size=40,30&format=npy",
            "project?mode=composite&size=40,30",
        ] {
            own.push(reader.get(&format!("{series}/{path}")).await.is(StatusCode::OK));
        }
        answers.push(own);
    }
    for (a, b) in answers[0].iter().zip(&answers[1]).take(2) {
        let (a, b) = (values(&a.body), values(&b.body));
        assert_eq!(a.0, b.0);
        assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() < 0.02));
    }
    for (a, b) in answers[0].iter().zip(&answers[1]) {
        assert_ne!(a.header("etag"), b.header("etag"));
    }
}

#[tokio::test]
async fn pictures_are_kept_by_browsers_and_told_apart() {
    let (house, objects) = (House::open().await, study("1.2.99.32"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let series = format!("/api/series/{}", objects[0].series_uid);
    for path in [
        format!("{series}/mpr?plane=axial&index=3"),
        format!("{series}/project?mode=mip&view=30,10&size=64,48"),
        format!("{series}/project?mode=composite&preset=ct-lung&size=64,48"),
    ] {
        let picture = reader.get(&path).await.is(StatusCode::OK);
        assert_eq!(picture.header("content-type"), "image/png", "{path}");
        assert!(picture.body.starts_with(b"\x89PNG"), "{path}");
        let tag = picture.header("etag").to_owned();
        let again = [("if-none-match", tag.as_str())];
        reader
            .send("GET", &path, &again, Vec::new())
            .await
            .is(StatusCode::NOT_MODIFIED);
        let other = format!("{path}&window=0,100");
        assert_ne!(reader.get(&other).await.is(StatusCode::OK).header("etag"), tag);
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_said() {
    let (house, objects) = (House::open().await, study("1.2.99.33"));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    let ct = format!("/api/series/{}", objects[0].series_uid);
    let cine = format!("/api/series/{}", objects[6].series_uid);
    for (path, status) in [
        (format!("{ct}/mpr"), StatusCode::BAD_REQUEST),
        (format!("{ct}/mpr?plane=axial&index=6"), StatusCode::BAD_REQUEST),
        (
            format!("{ct}/mpr?plane=axial&index=1&pixel=NaN"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{ct}/mpr?plane=axial&index=1&pixel=0"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{ct}/mpr?plane=axial&index=1&window=x"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{ct}/mpr?plane=axial&index=1&phase=2"),
            StatusCode::BAD_REQUEST,
        ),
        (
            format!("{ct}/project?preset=none&mode=composite"),
            StatusCode::BAD_REQUEST,
        ),
        (format!("{ct}/project?view=1"), StatusCode::BAD_REQUEST),
        (
            format!("{cine}/project?mode=mip"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "/api/series/1.2.3.4/mpr?plane=axial&index=0".to_owned(),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let problem = reader.get(&path).await.refuses(status).json();
        assert!(
            problem["detail"].as_str().is_some_and(|d| !d.is_empty()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn nobody_elsewhere_sees_a_plane() {
    let (house, objects) = (House::open().await, study("1.2.99.34"));
    house.technician().await.may_store(&objects).await;
    let (elsewhere, anonymous) = (house.technician_elsewhere().await, house.anonymous());
    for path in ["volume", "mpr?plane=axial&index=0", "project?mode=mip"] {
        let path = format!("/api/series/{}/{path}", objects[0].series_uid);
        assert!(matches!(elsewhere.get(&path).await.status, 403 | 404), "{path}");
        anonymous.get(&path).await.refuses(StatusCode::UNAUTHORIZED);
    }
}
