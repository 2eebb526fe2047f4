//! Frames of big-endian objects are those of their little-endian twins.

use crate::support::House;
use crate::support::objects::{Object, big_endian, two_frames};
use axum::http::StatusCode;
use dicom_core::VR;

/// Frames and pictures of an object; every house has it for itself.
async fn given(object: &Object) -> Vec<Vec<u8>> {
    let house = House::open().await;
    house
        .technician()
        .await
        .may_store(std::slice::from_ref(object))
        .await;
    let reader = house.radiologist().await;
    let mut answers = Vec::new();
    for (path, accept) in [
        ("frames/1", "application/octet-stream"),
        ("frames/2", "application/octet-stream"),
        ("frames/1/rendered", "image/png"),
        ("frames/2/thumbnail", "image/png"),
    ] {
        let answer = reader.get_as(&format!("{}/{path}", object.path()), accept).await;
        answers.push(answer.is(StatusCode::OK).body.to_vec());
    }
    answers
}

#[tokio::test]
async fn a_frame_has_the_order_of_its_attributes_whatever_the_order_of_bytes() {
    for (case, (samples, planar, bits, vr)) in [
        (3, 0, 8, VR::OB),
        (3, 1, 8, VR::OB),
        (3, 0, 8, VR::OW),
        (3, 1, 8, VR::OW),
        (1, 0, 8, VR::OW),
        (1, 0, 16, VR::OW),
        (3, 1, 16, VR::OW),
    ]
    .into_iter()
    .enumerate()
    {
        let object = two_frames(&format!("1.2.96.{case}"), samples, planar, bits, vr);
        let (little, big) = (given(&object).await, given(&big_endian(&object)).await);
        let frame = object.pixels.len() / 2;
        assert_eq!(
            little[0],
            object.pixels[..frame],
            "{samples} {planar} {bits} {vr:?}"
        );
        assert_eq!(
            little[1],
            object.pixels[frame..],
            "{samples} {planar} {bits} {vr:?}"
        );
        assert_eq!(little, big, "{samples} {planar} {bits} {vr:?}");
    }
}
