//! WADO-RS: frames in every form, ranges, pictures, whole objects.

use crate::support::objects::{COLUMNS, FRAMES, Object, ROWS, study};
use crate::support::{House, Radiologist};
use axum::http::StatusCode;
use engine::codec::{FrameBytes, FrameDescription, Photometric, PixelElement, TransferSyntax, decode};

const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
const AS_STORED: &str = "multipart/related; type=application/octet-stream; transfer-syntax=*";

struct Viewer {
    _house: House,
    reader: Radiologist,
    slice: Object,
    cine: Object,
}

async fn viewer(root: &str) -> Viewer {
    let (house, objects) = (House::open().await, study(root));
    house.technician().await.may_store(&objects).await;
    let reader = house.radiologist().await;
    Viewer {
        _house: house,
        reader,
        slice: objects[0].clone(),
        cine: objects[6].clone(),
    }
}

#[tokio::test]
async fn a_frame_is_exact_in_every_form_of_accept() {
    let v = viewer("1.2.95.1").await;
    let path = format!("{}/frames/1", v.slice.path());
    let head = format!("Content-Type: application/octet-stream; transfer-syntax={EXPLICIT_LE}");
    for accept in [
        AS_STORED,
        r#"multipart/related; type="application/octet-stream"; transfer-syntax=*"#,
        r#"multipart/related; type="application/octet-stream"; transfer-syntax="*""#,
        r#"multipart/related; type="application/octet-stream""#,
        "*/*",
        r#"image/x-nothing; q=1.0, multipart/related; type="application/octet-stream"; transfer-syntax=*; q=0.9, */*; q=0.1"#,
        "multipart/related",
        "Multipart/Related; Type=application/octet-stream; Transfer-Syntax=*",
    ] {
        let parts = v.reader.get_as(&path, accept).await.is(StatusCode::OK).parts();
        assert_eq!(parts, [(head.clone(), v.slice.pixels.clone())], "{accept}");
    }
    let single = v
        .reader
        .get_as(&path, "application/octet-stream")
        .await
        .is(StatusCode::OK);
    assert_eq!(single.body, v.slice.pixels);
    assert_eq!(
        single.header("content-type"),
        format!("application/octet-stream; transfer-syntax={EXPLICIT_LE}")
    );
    v.reader
        .get_as(&path, "video/mp4")
        .await
        .refuses(StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn the_same_address_gives_the_same_bytes_and_never_compressed() {
    let v = viewer("1.2.95.2").await;
    let path = format!("{}/frames/1", v.slice.path());
    let headers = [("accept", AS_STORED), ("accept-encoding", "gzip, br, zstd")];
    let (first, second) = (
        v.reader.get_with(&path, &headers).await,
        v.reader.get_with(&path, &headers).await,
    );
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("content-encoding"), "");
    assert!(first.header("cache-control").starts_with("private"));
}

#[tokio::test]
async fn frames_of_a_loop_singly_and_in_lists() {
    let v = viewer("1.2.95.3").await;
    let length = v.cine.pixels.len() / FRAMES;
    for (list, indexes) in [("4", vec![3]), ("1,3,5", vec![0, 2, 4]), ("2%2C4", vec![1, 3])] {
        let path = format!("{}/frames/{list}", v.cine.path());
        let parts = v.reader.get_as(&path, AS_STORED).await.is(StatusCode::OK).parts();
        let bodies: Vec<&[u8]> = parts.iter().map(|(_, body)| body.as_slice()).collect();
        let wanted: Vec<&[u8]> = indexes
            .iter()
            .map(|i| &v.cine.pixels[i * length..(i + 1) * length])
            .collect();
        assert_eq!(bodies, wanted, "{list}");
    }
    for (bad, status) in [
        ("0", StatusCode::BAD_REQUEST),
        ("6", StatusCode::NOT_FOUND),
        ("x", StatusCode::BAD_REQUEST),
        ("-1", StatusCode::BAD_REQUEST),
        ("4294967297", StatusCode::NOT_FOUND),
        ("1,2,3,4,5,6", StatusCode::NOT_FOUND),
    ] {
        v.reader
            .get_as(&format!("{}/frames/{bad}", v.cine.path()), AS_STORED)
            .await
            .refuses(status);
    }
}

/// Frames in a form in which nobody has stored them, whole and in pieces, of the same values.
#[tokio::test]
async fn frames_as_high_throughput_streams() {
    let v = viewer("1.2.95.31").await;
    let shape = |samples: u16, bits: u16, signed: bool| FrameDescription {
        rows: ROWS,
        columns: COLUMNS,
        samples_per_pixel: samples,
        bits_allocated: bits,
        bits_stored: bits,
        high_bit: bits - 1,
        signed,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        element: PixelElement::Integer,
    };
    let length = v.cine.pixels.len() / FRAMES;
    for (object, number, frame, expect) in [
        (&v.slice, 1, shape(1, 16, true), &v.slice.pixels[..]),
        (
            &v.cine,
            3,
            shape(3, 8, false),
            &v.cine.pixels[2 * length..3 * length],
        ),
    ] {
        let path = format!("{}/frames/{number}", object.path());
        let whole = v.reader.get_as(&path, "image/jphc").await.is(StatusCode::OK);
        let syntax = TransferSyntax::HTJ2K_LOSSLESS_RPCL;
        assert_eq!(
            whole.header("content-type"),
            format!("image/jphc; transfer-syntax={}", syntax.uid())
        );
        let pixels = decode(&frame, syntax, FrameBytes::from(&whole.body[..])).unwrap();
        assert_eq!(pixels.data.to_le_bytes(), expect, "{path}");
        let mut joined = Vec::new();
        for range in ["bytes=0-63", "bytes=64-"] {
            let part = v
                .reader
                .get_with(&path, &[("accept", "image/jphc"), ("range", range)])
                .await;
            joined.extend_from_slice(&part.is(StatusCode::PARTIAL_CONTENT).body);
        }
        assert_eq!(joined, whole.body, "{path}");
    }
}

#[tokio::test]
async fn ranges_of_a_single_part() {
    let v = viewer("1.2.95.4").await;
    let path = format!("{}/frames/1", v.slice.path());
    let octets = ("accept", "application/octet-stream");
    let whole = v.reader.get_with(&path, &[octets]).await.is(StatusCode::OK);
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let total = whole.body.len();
    for (range, from, to) in [
        ("0-99", 0, 99),
        ("100-", 100, total - 1),
        ("5-999999", 5, total - 1),
        ("-50", total - 50, total - 1),
    ] {
        let part = v
            .reader
            .get_with(&path, &[octets, ("range", &format!("bytes={range}"))])
            .await;
        let part = part.is(StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.header("content-range"), format!("bytes {from}-{to}/{total}"));
        assert_eq!(part.body, whole.body.slice(from..=to), "{range}");
    }
    let past = v
        .reader
        .get_with(&path, &[octets, ("range", "bytes=99999999-")])
        .await;
    let past = past.is(StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(past.header("content-range"), format!("bytes */{total}"));
    let stale = [octets, ("range", "bytes=0-9"), ("if-range", "\"another\"")];
    assert_eq!(
        v.reader.get_with(&path, &stale).await.is(StatusCode::OK).body,
        whole.body
    );
    let tag = whole.header("etag");
    v.reader
        .get_with(&path, &[octets, ("if-none-match", tag)])
        .await
        .is(StatusCode::NOT_MODIFIED);
}

fn picture(body: &[u8]) -> image::DynamicImage {
    image::load_from_memory(body).unwrap()
}

#[tokio::test]
async fn pictures_at_every_level_and_in_every_format() {
    let v = viewer("1.2.95.5").await;
    for base in [
        v.slice.study_path(),
        v.slice.series_path(),
        v.slice.path(),
        format!("{}/frames/1", v.slice.path()),
    ] {
        for kind in ["rendered", "thumbnail"] {
            let answer = v
                .reader
                .get_as(&format!("{base}/{kind}"), "image/jpeg")
                .await
                .is(StatusCode::OK);
            assert_eq!(answer.header("content-type"), "image/jpeg");
            assert!(
                picture(&answer.body).to_luma8().iter().max() > picture(&answer.body).to_luma8().iter().min()
            );
        }
    }
    let path = format!("{}/rendered", v.slice.path());
    for (accept, start) in [
        ("image/png", &b"\x89PNG"[..]),
        ("image/webp", b"RIFF"),
        ("image/*", b"\xff\xd8"),
        ("*/*", b"\xff\xd8"),
    ] {
        assert!(
            v.reader
                .get_as(&path, accept)
                .await
                .is(StatusCode::OK)
                .body
                .starts_with(start),
            "{accept}"
        );
    }
    v.reader
        .get_as(&path, "image/x-foo")
        .await
        .refuses(StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn a_window_follows_the_standards_formula() {
    let v = viewer("1.2.95.6").await;
    let hu: Vec<f64> = v
        .slice
        .pixels
        .chunks(2)
        .map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])) - 1024.0)
        .collect();
    for (center, width) in [(40.0, 400.0), (-300.0, 900.0)] {
        let path = format!("{}/rendered?window={center},{width},linear", v.slice.path());
        let answer = v.reader.get_as(&path, "image/png").await.is(StatusCode::OK);
        let got = picture(&answer.body).to_luma8();
        assert_eq!(got.dimensions(), (u32::from(COLUMNS), u32::from(ROWS)));
        for (value, shade) in hu.iter().zip(got.iter()) {
            let wanted = (((value - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0).clamp(0.0, 255.0);
            assert!(
                (wanted - f64::from(*shade)).abs() <= 1.01,
                "{value} became {shade}, not {wanted}"
            );
        }
    }
    for bad in [
        "window=x,y",
        "window=1e308,1e-308,linear",
        "window=NaN,NaN,linear",
        "quality=0",
        "viewport=0,0",
        "viewport=100000,100000",
    ] {
        let path = format!("{}/rendered?{bad}", v.slice.path());
        v.reader
            .get_as(&path, "image/png")
            .await
            .refuses(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_colour_frame_is_exact_and_a_viewport_keeps_the_aspect() {
    let v = viewer("1.2.95.7").await;
    let answer = v
        .reader
        .get_as(&format!("{}/frames/3/rendered", v.cine.path()), "image/png")
        .await
        .is(StatusCode::OK);
    let length = v.cine.pixels.len() / FRAMES;
    assert_eq!(
        picture(&answer.body).to_rgb8().into_raw(),
        v.cine.pixels[2 * length..3 * length]
    );
    let small = v
        .reader
        .get_as(
            &format!("{}/rendered?viewport=32,32", v.slice.path()),
            "image/png",
        )
        .await;
    let small = picture(&small.is(StatusCode::OK).body);
    assert_eq!((small.width(), small.height()), (32, 24));
}

#[tokio::test]
async fn whole_objects_come_back_byte_for_byte_with_a_neutral_preamble() {
    let (house, mut objects) = (House::open().await, study("1.2.95.8"));
    objects[0].bytes[..31].copy_from_slice(b"<html><script>alert(1)</script>");
    house.technician().await.may_store(&objects).await;
    objects[0].bytes[..31].fill(0);
    let reader = house.radiologist().await;
    for (path, count) in [
        (objects[0].path(), 1),
        (objects[0].series_path(), 6),
        (objects[0].study_path(), 7),
    ] {
        for accept in [
            r#"multipart/related; type="application/dicom"; transfer-syntax=*"#,
            "multipart/related; type=application/dicom",
        ] {
            let answer = reader.get_as(&path, accept).await.is(StatusCode::OK);
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            let parts = answer.parts();
            assert_eq!(parts.len(), count);
            for (head, body) in parts {
                assert!(
                    head.starts_with("Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
                    "{head}"
                );
                assert!(objects.iter().any(|object| object.bytes == body));
            }
        }
    }
    let single = reader
        .get_as(&objects[0].path(), "application/dicom")
        .await
        .is(StatusCode::OK);
    assert_eq!(single.body, objects[0].bytes);
    assert!(single.header("content-disposition").starts_with("attachment"));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let v = viewer("1.2.95.9").await;
    for (path, status) in [
        (
            format!("{}/instances/1.2.3.4/frames/1", v.slice.series_path()),
            StatusCode::NOT_FOUND,
        ),
        (
            format!("{}/series/1.2.3.4/metadata", v.slice.study_path()),
            StatusCode::NOT_FOUND,
        ),
        ("/dicomweb/studies/1.2.3.4".to_owned(), StatusCode::NOT_FOUND),
        (
            "/dicomweb/studies/abc/metadata".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
        (
            "/dicomweb/studies/..%2F..%2Fetc%2Fpasswd".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
        // An object is under its own series only.
        (
            v.slice.path().replace(".2/instances", ".3/instances"),
            StatusCode::NOT_FOUND,
        ),
    ] {
        v.reader.get(&path).await.refuses(status);
    }
}
