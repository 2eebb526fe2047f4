//! Images that claim more than any picture: kept as they came or refused, never decoded beyond the budget.

use super::Row;
use super::line::{Answer, JPEG_BASELINE};
use super::object::{Object, encapsulated, jpeg_claiming};
use crate::support::objects::element;
use crate::support::peer::EXPLICIT_LE;

pub fn rows() -> Vec<Row> {
    vec![
        row("65535_x_65535_x_100000_frames", EXPLICIT_LE, |o| {
            sized(o, 65535, 65535, "100000")
        }),
        row("number_of_frames_2_to_the_31", EXPLICIT_LE, |o| {
            sized(o, 32, 32, "2147483647")
        }),
        row("number_of_frames_negative", EXPLICIT_LE, |o| {
            sized(o, 32, 32, "-1")
        }),
        row("zero_rows", EXPLICIT_LE, |o| o.us(0x0028, 0x0010, 0)),
        row("rows_as_ul", EXPLICIT_LE, |o| {
            o.raw(0x0028, 0x0010, element(0x28, 0x10, "UL", &u32::MAX.to_le_bytes()))
        }),
        row("bits_65535_high_bit_255", EXPLICIT_LE, |o| {
            o.us(0x0028, 0x0100, 65535).us(0x0028, 0x0102, 255)
        }),
        row("samples_per_pixel_65535", EXPLICIT_LE, |o| {
            o.us(0x0028, 0x0002, 65535)
        }),
        row("jpeg_of_8_x_8_claims_65535_x_65535", JPEG_BASELINE, |o| {
            let pixels = encapsulated(&[jpeg_claiming(65535, 65535)], 0);
            sized(o, 65535, 65535, "1").raw(0x7FE0, 0x0010, pixels)
        }),
        row("jpeg_larger_than_the_header", JPEG_BASELINE, |o| {
            let pixels = encapsulated(&[jpeg_claiming(40000, 40000)], 0);
            sized(o, 16, 16, "1").raw(0x7FE0, 0x0010, pixels)
        }),
        row(
            "jpeg_of_65535_x_65535_within_the_budget_of_the_header",
            JPEG_BASELINE,
            |o| {
                let pixels = encapsulated(&[jpeg_claiming(16000, 16000)], 0);
                sized(o, 16000, 16000, "1").raw(0x7FE0, 0x0010, pixels)
            },
        ),
        row("100000_empty_fragments", JPEG_BASELINE, |o| {
            sized(o, 32, 32, "100000").raw(0x7FE0, 0x0010, encapsulated(&vec![Vec::new(); 100_000], 0))
        }),
        row("window_of_nan_and_slope_of_infinity", EXPLICIT_LE, |o| {
            o.with(0x0028, 0x1050, "DS", b"NaN\\1e308")
                .with(0x0028, 0x1051, "DS", b"1e-308\\-1")
                .with(0x0028, 0x1052, "DS", b"-inf")
                .with(0x0028, 0x1053, "DS", b"1e309")
        }),
    ]
}

fn sized(object: Object, rows: u16, columns: u16, frames: &str) -> Object {
    object
        .us(0x0028, 0x0010, rows)
        .us(0x0028, 0x0011, columns)
        .with(0x0028, 0x0008, "IS", frames.as_bytes())
}

fn row(name: &str, syntax: &'static str, make: fn(Object) -> Object) -> Row {
    Row::new(name, move |t| {
        let object = make(t.object());
        let answer = t.store_in(syntax, &object.place, &object.bytes());
        assert!(matches!(answer, Answer::Status(_)), "{answer:?}");
        if answer == Answer::Status(0) {
            t.look_at(&object.place);
        }
        let file = object.file(syntax);
        for sub in ["info", "decode", "thumbnail", "render"] {
            t.image_command_on(sub, &file);
        }
    })
}
