//! Lengths that lie: of elements, items, PDUs and PDVs. Nothing may be allocated on the word of a length field.

use super::Row;
use super::line::{Answer, JPEG_BASELINE, Line, SECONDARY_CAPTURE, associate_rq, data_pdu};
use super::object::{encapsulated, jpeg_claiming};
use super::target::{CALLED, CALLING, Target};
use crate::support::objects::long_head;
use crate::support::peer::{EXPLICIT_LE, pdu};
use std::time::{Duration, Instant};

/// An impossible length is answered in this time, though the line stays open.
const VERDICT_MAX: Duration = Duration::from_secs(1);
const HELD_LINES: usize = 50;
const STREAMED_MIB_MAX: usize = 64;

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        element_row("pixel_data_claims_4_gib", 0x7FE0, 0x0010, || {
            [long_head(0x7FE0, 0x0010, "OB", 0xFFFF_FFF0), vec![7; 1000]].concat()
        }),
        element_row("sequence_claims_4_gib", 0x0008, 0x1140, || {
            let item = b"\xfe\xff\x00\xe0\0\0\0\0";
            [&long_head(0x0008, 0x1140, "SQ", 0xFFFF_FFF0), &item[..]].concat()
        }),
        element_row("item_claims_4_gib", 0x0008, 0x1140, || {
            let item = b"\xfe\xff\x00\xe0\xf0\xff\xff\xff";
            [&long_head(0x0008, 0x1140, "SQ", u32::MAX), &item[..]].concat()
        }),
        element_row("text_claims_4_gib", 0x0010, 0x4000, || {
            [long_head(0x0010, 0x4000, "UT", 0xFFFF_FFFE), vec![b'x'; 100]].concat()
        }),
        Row::new("offset_table_claims_4_gib", offset_table),
        Row::new("pdu_4_gib_50_lines_held_open", held_open),
        Row::new("association_of_128_contexts_with_100_syntaxes", many_contexts),
    ];
    for kind in [1, 2, 4, 5, 7] {
        rows.push(Row::new(format!("pdu_{kind}_claims_4_gib_and_waits"), move |t| {
            claims_and_waits(t, kind);
        }));
    }
    for kind in [1, 4] {
        rows.push(Row::new(
            format!("pdu_{kind}_claims_4_gib_and_streams"),
            move |t| claims_and_streams(t, kind),
        ));
    }
    let pdvs: [(&str, Vec<u8>); 7] = [
        ("pdv_of_length_0", vec![0; 4]),
        ("pdv_of_length_1", vec![0, 0, 0, 1, 1]),
        (
            "pdv_longer_than_its_pdu",
            [&[0xff, 0xff, 0xff, 0xf0, 1, 3][..], &[7; 50]].concat(),
        ),
        (
            "pdv_of_odd_length_without_a_command",
            vec![0, 0, 0, 5, 1, 3, 0, 0, 0],
        ),
        ("pdata_without_a_pdv", Vec::new()),
        ("pdv_header_cut", vec![0, 0]),
        ("pdv_header_cut_behind_a_pdv", vec![0, 0, 0, 2, 1, 1, 0, 0, 0]),
    ];
    for (name, body) in pdvs {
        rows.push(Row::new(name, move |t| {
            let mut line = t.associate_for_storage();
            let start = Instant::now();
            line.send(&pdu(4, &body));
            let answer = line.answer(VERDICT_MAX * 2);
            assert!(answer.ended(), "{answer:?}");
            assert!(start.elapsed() < VERDICT_MAX, "after {:?}", start.elapsed());
        }));
    }
    rows
}

/// The element in place of the sound one, by C-STORE and by the command.
fn element_row(name: &str, group: u16, number: u16, make: fn() -> Vec<u8>) -> Row {
    Row::new(name, move |t| {
        let object = t.object().raw(group, number, make());
        let start = Instant::now();
        let answer = t.store(&object.place, &object.bytes());
        assert!(answer.refused(), "{answer:?}");
        assert!(
            start.elapsed() < VERDICT_MAX * 2,
            "status after {:?}",
            start.elapsed()
        );
        assert!(t.fetch(&object.place).is_none(), "it was stored");
        t.image_command_on("info", &object.file(EXPLICIT_LE));
    })
}

fn offset_table(target: &Target) {
    let object = target
        .object()
        .raw(0x7FE0, 0x0010, encapsulated(&[jpeg_claiming(8, 8)], 0xFFFF_FFF0));
    let answer = target.store_in(JPEG_BASELINE, &object.place, &object.bytes());
    assert!(answer.refused(), "{answer:?}");
}

/// A line that has an association, or for a request none yet.
fn line_for(target: &Target, kind: u8) -> Line {
    if kind == 1 {
        Line::open(target.product.dicom).unwrap()
    } else {
        target.associate_for_storage()
    }
}

fn claims_and_waits(target: &Target, kind: u8) {
    let mut line = line_for(target, kind);
    let start = Instant::now();
    line.send(&[&[kind, 0, 0xff, 0xff, 0xff, 0xff][..], &[1; 1000]].concat());
    let answer = line.answer(VERDICT_MAX * 5);
    assert!(answer.ended(), "{answer:?}");
    assert!(start.elapsed() < VERDICT_MAX, "after {:?}", start.elapsed());
}

fn claims_and_streams(target: &Target, kind: u8) {
    let mut line = line_for(target, kind);
    line.send(&[kind, 0, 0xff, 0xff, 0xff, 0xff]);
    let piece = vec![1; 1 << 20];
    let taken = (0..STREAMED_MIB_MAX).take_while(|_| line.send(&piece)).count();
    assert!(taken < STREAMED_MIB_MAX, "it took {taken} MiB");
    let answer = line.answer(VERDICT_MAX);
    assert!(answer.ended(), "{answer:?}");
}

fn held_open(target: &Target) {
    let mut lines: Vec<Line> = (0..HELD_LINES).map(|_| target.associate_for_storage()).collect();
    for line in &mut lines {
        line.send(&[&[4, 0, 0xff, 0xff, 0xff, 0xff][..], &[1; 2000]].concat());
    }
    target.assert_healthy_beside("50 lines with a PDU of 4 GiB");
}

fn many_contexts(target: &Target) {
    let syntaxes: Vec<String> = (0..100).map(|i| format!("1.2.3.{i}")).collect();
    let syntaxes: Vec<&str> = syntaxes.iter().map(String::as_str).collect();
    let contexts = vec![(SECONDARY_CAPTURE, syntaxes.as_slice()); 128];
    let (mut line, answer) = Line::associate(target.product.dicom, &associate_rq(CALLING, CALLED, &contexts));
    assert!(answer.ended() || answer == Answer::Accepted, "{answer:?}");
    // it is an association like any other, or none
    line.send(&data_pdu(255, 3, b"x"));
    assert!(line.answer(VERDICT_MAX).ended());
}
