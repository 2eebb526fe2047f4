//! What it costs to store and to read a CT picture of 512 by 512, plain and encrypted.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures"
)]

use archive::store::{Cipher, Encryption, KeySource, ObjectStore, Settings, new_key_line, suite};
use archive::testing::TemporaryFolder;
use std::time::{Duration, Instant};

const OBJECTS: usize = 200;
const OBJECT_BYTES: usize = 512 * 512 * 2 + 3000;

/// Median and least, in microseconds.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort();
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    format!("{:.0} us (least {:.0})", us(times[times.len() / 2]), us(times[0]))
}

fn main() {
    let folder = TemporaryFolder::new().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, new_key_line().unwrap()).unwrap();
    let bytes = suite::content(OBJECT_BYTES);
    let digest = suite::digests(b"", &bytes).whole();
    for cipher in [None, Some(Cipher::Aes256Gcm), Some(Cipher::Sm4Gcm)] {
        let settings = Settings {
            encryption: cipher.map(|cipher| Encryption {
                cipher: Some(cipher),
                keys: KeySource::File(keys.clone()),
            }),
            ..Settings::default()
        };
        let name = cipher.map_or("plain", Cipher::as_str);
        let store = ObjectStore::open(&folder.path().join(name), &settings).unwrap();
        let (mut writes, mut places, mut reads, mut ranges) = (vec![], vec![], vec![], vec![]);
        for _ in 0..OBJECTS {
            let begun = Instant::now();
            let mut spool = store.begin().unwrap();
            for piece in bytes.chunks(256 << 10) {
                spool.write(piece).unwrap();
            }
            writes.push(begun.elapsed());
            let key = store.place(spool, digest, "hexi.dcm").unwrap();
            places.push(begun.elapsed());
            let begun = Instant::now();
            assert_eq!(store.read_all(&key).unwrap().len(), OBJECT_BYTES);
            reads.push(begun.elapsed());
            let begun = Instant::now();
            assert_eq!(store.read_range(&key, 300_000, 4096).unwrap().len(), 4096);
            ranges.push(begun.elapsed());
        }
        println!(
            "{name}: write {}, write and place durably {}, read {}, 4 KiB of it {}",
            figures(writes),
            figures(places),
            figures(reads),
            figures(ranges),
        );
    }
}
