//! What was acknowledged is there: after `kill -9` in the middle of concurrent sends, every object that got Success is
//! in the archive, equal byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::objects::{CT_IMAGE, Place, ct_slice, fresh_run};
use support::peer::{Association, EXPLICIT_LE, StoreRequest};
use support::{Product, run};

const SENDERS: u32 = 20;
const ACKNOWLEDGED_BEFORE_KILL_MIN: usize = 60;
const SIDE: u16 = 128;

/// Sends slice after slice until the peer is gone; what was acknowledged goes to the list.
fn send_until_cut(
    to: std::net::SocketAddr,
    base: u64,
    series: u32,
    acknowledged: &Mutex<Vec<(Place, u64)>>,
    stop: &AtomicBool,
) {
    let Ok(mut association) = Association::open(to, "JUDGE", "GONGYING", &[(CT_IMAGE, EXPLICIT_LE)]) else {
        return;
    };
    for number in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let place = Place::new(base, series, number);
        let seed = base ^ (u64::from(series) << 20) ^ u64::from(number);
        let request = StoreRequest {
            sop_class_uid: CT_IMAGE,
            sop_instance_uid: &place.instance,
        };
        match association.store(&request, [ct_slice(&place, SIDE, seed)]) {
            Ok(0) => acknowledged.lock().unwrap().push((place, seed)),
            Ok(status) => panic!("a healthy slice was answered {status:04X}"),
            Err(_) => return,
        }
    }
}

#[test]
fn killed_in_the_middle_of_twenty_sends_no_acknowledged_object_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("data"));
    let base = fresh_run();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (1..=SENDERS)
        .map(|series| {
            let (acknowledged, stop, to) = (acknowledged.clone(), stop.clone(), product.dicom);
            std::thread::spawn(move || send_until_cut(to, base, series, &acknowledged, &stop))
        })
        .collect();
    support::eventually(60, || {
        (acknowledged.lock().unwrap().len() >= ACKNOWLEDGED_BEFORE_KILL_MIN).then_some(())
    })
    .expect("sends go through");
    std::thread::sleep(Duration::from_millis(137));
    let data = product.data.clone();
    product.kill();
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }

    let product = Product::start(&data);
    let reader = product.login("rad.writer");
    let list = acknowledged.lock().unwrap();
    for (place, seed) in list.iter() {
        let path = format!(
            "/dicomweb/studies/{}/series/{}/instances/{}",
            place.study, place.series, place.instance
        );
        let answer = reader.get(&path);
        assert_eq!(
            answer.status,
            200,
            "{path} was acknowledged and is not there: {}",
            answer.text()
        );
        let wanted = ct_slice(place, SIDE, *seed);
        assert!(
            answer.body.windows(wanted.len()).any(|w| w == wanted),
            "{path} came back with other bytes"
        );
    }
    println!("{} acknowledged objects, all there after kill -9", list.len());
    product.kill();
    let (code, _, message) = run(&["admin", "verify", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "admin verify: {message}");
}
