//! Memory does not follow object size: a multi-frame object of 1 GB is received while the process stays within 64 MB
//! of what it needs when idle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::Product;
use support::objects::{MULTI_FRAME_TRUE_COLOR, Place, fresh_run, image_head};
use support::peer::{Association, EXPLICIT_LE, StoreRequest};

const FRAMES: u32 = 1000;
const SIDE: u16 = 1024;
const OVER_IDLE_KIB_MAX: u64 = 64 * 1024;

/// Jobs of the demonstration's own studies would blur the figure.
fn wait_until_memory_stands_still(product: &Product) {
    let mut last = u64::MAX;
    support::eventually(90, || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = product.resident_kib();
        let still = now.abs_diff(last) < 512;
        last = now;
        still.then_some(())
    });
}

#[test]
fn a_gigabyte_is_received_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    // The first start makes the synthetic studies, which leaves a heap that would hide what a receive takes; the second
    // finds them there and idles in little memory.
    drop(Product::start(&folder.path().join("data")));
    let product = Product::start(&folder.path().join("data"));
    let reader = product.login("rad.writer");
    wait_until_memory_stands_still(&product);
    let (idle, peak_before) = (product.resident_kib(), product.peak_kib());
    let place = Place::new(fresh_run(), 1, 1);
    let frame_bytes = usize::from(SIDE) * usize::from(SIDE);
    let head = image_head(
        MULTI_FRAME_TRUE_COLOR,
        &place,
        SIDE,
        SIDE,
        Some(FRAMES),
        8,
        FRAMES * frame_bytes as u32,
    );
    let mut association = Association::open(
        product.dicom,
        "JUDGE",
        "GONGYING",
        &[(MULTI_FRAME_TRUE_COLOR, EXPLICIT_LE)],
    )
    .unwrap();
    let request = StoreRequest {
        sop_class_uid: MULTI_FRAME_TRUE_COLOR,
        sop_instance_uid: &place.instance,
    };
    let mut highest = idle;
    let frames = (0..FRAMES).map(|n| {
        if n % 20 == 0 {
            highest = highest.max(product.resident_kib());
        }
        vec![n as u8; frame_bytes]
    });
    let status = association
        .store(&request, std::iter::once(head).chain(frames))
        .unwrap();
    assert_eq!(status, 0, "status {status:04X}");
    // The peak of the kernel's own count catches what the samples miss, unless the start of the process was higher.
    let peak = product.peak_kib();
    if peak > peak_before {
        highest = highest.max(peak);
    }
    println!("idle {idle} KiB, highest {highest} KiB");
    assert!(
        highest - idle < OVER_IDLE_KIB_MAX,
        "{} KiB over idle",
        highest - idle
    );
    let path = format!(
        "/dicomweb/studies/{}/series/{}/instances/{}/frames/{FRAMES}",
        place.study, place.series, place.instance
    );
    let answer = reader.get(&path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last_frame = vec![(FRAMES - 1) as u8; frame_bytes];
    assert!(
        answer.body.windows(frame_bytes).any(|w| w == last_frame),
        "the last frame came back with other bytes"
    );
}
