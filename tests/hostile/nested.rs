//! Sequences inside sequences: one small object must not end the process of a recursive reader.

use super::Row;
use super::line::{Answer, STUDY_FIND};
use super::object::nested;
use super::target::{STATUS_WAIT, Target};
use crate::support::objects::element;
use crate::support::peer::{EXPLICIT_LE, IMPLICIT_LE};

const LEVELS: [usize; 3] = [1_200, 20_000, 200_000];
const CANNOT_UNDERSTAND: Answer = Answer::Status(0xc000);
/// The peak while 7 MB of levels come in; the object itself is not held.
/// The demonstration computes thumbnails beside the first rows: 30 MiB were seen where the attack itself takes one.
const GROWTH_KIB_MAX: u64 = 48 << 10;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for levels in LEVELS {
        for defined in [false, true] {
            let form = if defined { "defined" } else { "undefined" };
            rows.push(Row::new(format!("c_store_{levels}_{form}"), move |t| {
                by_c_store(t, levels, defined);
            }));
            rows.push(Row::new(format!("stow_{levels}_{form}"), move |t| {
                by_stow(t, levels, defined);
            }));
            rows.push(Row::new(format!("image_info_{levels}_{form}"), move |t| {
                let object = t
                    .object()
                    .raw(0x0040, 0xA730, nested(0x0040, 0xA730, levels, defined));
                t.image_command_on("info", &object.file(EXPLICIT_LE));
            }));
        }
    }
    rows.push(Row::new("c_store_inside_a_private_sequence", private));
    rows.push(Row::new("c_find_identifier_20000", identifier));
    rows
}

fn by_c_store(target: &Target, levels: usize, defined: bool) {
    let object = target
        .object()
        .raw(0x0040, 0xA730, nested(0x0040, 0xA730, levels, defined));
    let before = target.peak_kib();
    assert_eq!(target.store(&object.place, &object.bytes()), CANNOT_UNDERSTAND);
    let grown = target.peak_kib() - before;
    assert!(grown < GROWTH_KIB_MAX, "memory rose by {grown} KiB");
    assert!(target.fetch(&object.place).is_none(), "it was stored");
}

fn by_stow(target: &Target, levels: usize, defined: bool) {
    let object = target
        .object()
        .raw(0x0040, 0xA730, nested(0x0040, 0xA730, levels, defined));
    let answer = target.stow(&object.file(EXPLICIT_LE));
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(target.fetch(&object.place).is_none(), "it was stored");
}

/// The dictionary does not know the sequence, so a reader may take it for bytes, or go down.
fn private(target: &Target) {
    let object = target
        .object()
        .raw(0x0009, 0x0010, element(9, 0x10, "LO", b"X"))
        .raw(0x0009, 0x1010, nested(9, 0x1010, 5_000, false));
    assert_eq!(target.store(&object.place, &object.bytes()), CANNOT_UNDERSTAND);
}

fn identifier(target: &Target) {
    let mut line = target.associate(&[(STUDY_FIND, &[IMPLICIT_LE])]);
    let open = b"\x40\x00\x75\x02\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff".repeat(20_000);
    let close = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0".repeat(20_000);
    let level = b"\x08\x00\x52\x00\x06\0\0\0STUDY ";
    let (count, last) = line.find(&[&level[..], &open, &close].concat(), STATUS_WAIT);
    assert_eq!(count, 0);
    assert!(last.refused() || last == Answer::Aborted, "{last:?}");
}
