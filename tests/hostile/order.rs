//! PDUs and message parts out of order: A-ABORT or a refusing status, and nothing is stored.

use super::Row;
use super::line::{
    ABORT, Answer, Line, RELEASE_RQ, SECONDARY_CAPTURE, associate_rq, data_pdu, store_command,
};
use super::object::Object;
use super::target::{CALLED, CALLING, STATUS_WAIT, Target};
use crate::support::peer::{EXPLICIT_LE, IMPLICIT_LE, VERIFICATION};
use std::time::{Duration, Instant};

const VERDICT_MAX: Duration = Duration::from_secs(2);
/// PDV flags: command, last.
const COMMAND: u8 = 1;
const LAST: u8 = 2;
const STORM: usize = 200;

/// What goes over the line for a sound object.
type Script = fn(&Object) -> Vec<Vec<u8>>;

/// Broken orders by name.
const SCRIPTS: [(&str, Script); 12] = [
    ("unknown_presentation_context", |o| {
        vec![begin(99, o), data_pdu(99, LAST, &o.bytes())]
    }),
    ("data_set_on_another_context", |o| {
        let d = o.bytes();
        vec![
            begin(1, o),
            data_pdu(5, 0, &d[..400]),
            data_pdu(5, LAST, &d[400..]),
        ]
    }),
    ("two_contexts_in_one_data_set", |o| {
        let d = o.bytes();
        let parts = [data_pdu(1, 0, &d[..300]), data_pdu(3, 0, &d[300..600])];
        vec![begin(1, o), parts.concat(), data_pdu(1, LAST, &d[600..])]
    }),
    ("command_in_the_middle_of_a_data_set", |o| {
        let d = o.bytes();
        vec![
            begin(1, o),
            data_pdu(1, 0, &d[..300]),
            begin(1, o),
            data_pdu(1, LAST, &d[300..]),
        ]
    }),
    ("data_set_before_the_command", |o| {
        vec![data_pdu(1, LAST, &o.bytes())]
    }),
    ("command_without_an_end", |o| {
        let piece = store_command(SECONDARY_CAPTURE, &o.place.instance).repeat(40);
        vec![data_pdu(1, COMMAND, &piece); 40]
    }),
    ("command_with_lengths_beyond_its_end", |o| {
        let mut set = store_command(SECONDARY_CAPTURE, &o.place.instance);
        let end = set.len() - 10;
        set[end..].fill(0xff);
        vec![data_pdu(1, COMMAND | LAST, &set), data_pdu(1, LAST, &o.bytes())]
    }),
    ("release_in_the_middle_of_a_data_set", |o| {
        vec![
            begin(1, o),
            data_pdu(1, 0, &o.bytes()[..300]),
            RELEASE_RQ.to_vec(),
        ]
    }),
    ("abort_in_the_middle_of_a_data_set", |o| {
        vec![begin(1, o), data_pdu(1, 0, &o.bytes()[..300]), ABORT.to_vec()]
    }),
    ("second_association_request", |_| vec![request()]),
    ("association_request_in_the_middle_of_a_data_set", |o| {
        vec![begin(1, o), data_pdu(1, 0, &o.bytes()[..300]), request()]
    }),
    ("an_answer_nobody_asked_for", |o| {
        let mut set = store_command(SECONDARY_CAPTURE, &o.place.instance);
        let at = set
            .windows(8)
            .position(|w| w == [0, 0, 0, 1, 2, 0, 0, 0])
            .unwrap();
        set[at + 9] |= 0x80;
        vec![data_pdu(1, COMMAND | LAST, &set), data_pdu(1, LAST, &o.bytes())]
    }),
];

pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SCRIPTS
        .into_iter()
        .map(|(name, script)| Row::new(name, move |t| play(t, script)))
        .collect();
    rows.push(Row::new(
        "storage_command_on_the_verification_context",
        wrong_service,
    ));
    rows.push(Row::new("the_same_message_twice_without_waiting", duplicated));
    rows.push(Row::new("storm_of_aborts_inside_data_sets", storm));
    rows
}

fn request() -> Vec<u8> {
    associate_rq(
        CALLING,
        CALLED,
        &[
            (SECONDARY_CAPTURE, &[EXPLICIT_LE]),
            (SECONDARY_CAPTURE, &[IMPLICIT_LE]),
            (VERIFICATION, &[IMPLICIT_LE]),
        ],
    )
}

fn begin(context: u8, object: &Object) -> Vec<u8> {
    let set = store_command(SECONDARY_CAPTURE, &object.place.instance);
    data_pdu(context, COMMAND | LAST, &set)
}

fn play(target: &Target, script: Script) {
    let (mut line, answer) = Line::associate(target.product.dicom, &request());
    assert_eq!(answer, Answer::Accepted);
    let object = target.object();
    let start = Instant::now();
    for bytes in script(&object) {
        if !line.send(&bytes) {
            break;
        }
    }
    let answer = line.answer(VERDICT_MAX * 2);
    assert!(answer.ended() || answer.refused(), "{answer:?}");
    assert!(start.elapsed() < VERDICT_MAX, "after {:?}", start.elapsed());
    assert!(target.fetch(&object.place).is_none(), "it was stored");
}

fn wrong_service(target: &Target) {
    let mut line = target.associate(&[(VERIFICATION, &[IMPLICIT_LE])]);
    let object = target.object();
    line.send(&begin(1, &object));
    line.send(&data_pdu(1, LAST, &object.bytes()));
    assert_eq!(line.answer(STATUS_WAIT), Answer::Status(0x0122));
    assert!(target.fetch(&object.place).is_none(), "it was stored");
}

/// Replayed or sent twice in a hurry: each gets its status, and there is one object.
fn duplicated(target: &Target) {
    let object = target.object();
    let data_set = object.bytes();
    let mut line = target.associate_for_storage();
    let message = [
        line.frames(1, true, &store_command(SECONDARY_CAPTURE, &object.place.instance)),
        line.frames(1, false, &data_set),
    ]
    .concat();
    line.send(&message.repeat(3));
    for _ in 0..3 {
        assert_eq!(line.answer(STATUS_WAIT), Answer::Status(0));
    }
    assert_eq!(target.store(&object.place, &data_set), Answer::Status(0));
    let path = format!("/dicomweb/studies/{}/instances", object.place.study);
    let list = target.reader.get(&path).json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
}

fn storm(target: &Target) {
    for number in 0..STORM {
        let object = target.object();
        let mut line = target.associate_for_storage();
        line.send(&begin(1, &object));
        line.send(&data_pdu(1, 0, &object.bytes()[..300]));
        if number % 2 == 1 {
            line.send(&ABORT);
        }
    }
    let spool = target.product.data.clone();
    let left = crate::support::eventually(5, || (files_named(&spool, "part") == 0).then_some(()));
    assert!(left.is_some(), "half objects stay in the store");
}

/// Files under a folder with this extension.
fn files_named(folder: &std::path::Path, extension: &str) -> usize {
    let entries = std::fs::read_dir(folder).map(|e| e.flatten().map(|e| e.path()).collect::<Vec<_>>());
    entries
        .unwrap_or_default()
        .iter()
        .map(|path| {
            if path.is_dir() {
                files_named(path, extension)
            } else {
                usize::from(path.extension().is_some_and(|e| e == extension))
            }
        })
        .sum()
}
