use super::super::frame::test_frame;
use super::*;
use crate::codec::Samples;
use proptest::prelude::*;

fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff, code];
    out.extend(((body.len() + 2) as u16).to_be_bytes());
    out.extend(body);
    out
}

/// T.81 table H.1, with the special cases of the first line and the first column.
fn predict(
    at: &dyn Fn(usize, usize) -> i32,
    first_line: bool,
    x: usize,
    predictor: u8,
    precision: u8,
) -> i32 {
    match (first_line, x, predictor) {
        (true, 0, _) => 1 << (precision - 1),
        (true, _, _) | (false, 1.., 1) => at(0, 1),
        (false, 0, _) | (false, _, 2) => at(1, 0),
        (_, _, 3) => at(1, 1),
        (_, _, 4) => at(0, 1) + at(1, 0) - at(1, 1),
        (_, _, 5) => at(0, 1) + ((at(1, 0) - at(1, 1)) >> 1),
        (_, _, 6) => at(1, 0) + ((at(0, 1) - at(1, 1)) >> 1),
        _ => (at(0, 1) + at(1, 0)) >> 1,
    }
}

/// Writes a lossless stream with fixed 5-bit codes for the 17 categories: an encoder small enough to be believed.
fn lossless(
    values: &[u16],
    rows: usize,
    columns: usize,
    precision: u8,
    predictor: u8,
    restart_rows: usize,
) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    let mut table = vec![0u8, 0, 0, 0, 0, 17];
    table.extend([0; 11]);
    table.extend(0..17);
    out.extend(segment(0xc4, &table));
    if restart_rows > 0 {
        out.extend(segment(0xdd, &((restart_rows * columns) as u16).to_be_bytes()));
    }
    let (r, c) = ((rows as u16).to_be_bytes(), (columns as u16).to_be_bytes());
    out.extend(segment(0xc3, &[precision, r[0], r[1], c[0], c[1], 1, 1, 0x11, 0]));
    out.extend(segment(0xda, &[1, 1, 0, predictor, 0, 0]));
    let mut bits: Vec<bool> = Vec::new();
    let mut markers = 0u8;
    let flush = |bits: &mut Vec<bool>, out: &mut Vec<u8>| {
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        for byte in bits
            .chunks(8)
            .map(|b| b.iter().fold(0u8, |v, b| v << 1 | u8::from(*b)))
        {
            out.push(byte);
            if byte == 0xff {
                out.push(0);
            }
        }
        bits.clear();
    };
    for y in 0..rows {
        let first_line = y == 0 || restart_rows > 0 && y % restart_rows == 0;
        if first_line && y > 0 {
            flush(&mut bits, &mut out);
            out.extend([0xff, 0xd0 + markers % 8]);
            markers += 1;
        }
        for x in 0..columns {
            let at = |dy: usize, dx: usize| i32::from(values[(y - dy) * columns + x - dx]);
            let prediction = predict(&at, first_line, x, predictor, precision);
            let difference = i32::from((at(0, 0) - prediction) as i16);
            let category = if difference == -32768 {
                16
            } else {
                32 - difference.unsigned_abs().leading_zeros()
            };
            let extra = if difference < 0 {
                difference - 1
            } else {
                difference
            };
            bits.extend((0..5).rev().map(|k| category >> k & 1 == 1));
            bits.extend(
                (0..if category == 16 { 0 } else { category })
                    .rev()
                    .map(|k| extra >> k & 1 == 1),
            );
        }
    }
    flush(&mut bits, &mut out);
    out.extend([0xff, 0xd9]);
    out
}

proptest! {
    #[test]
    fn lossless_round_trip(values in proptest::collection::vec(any::<u16>(), 70), predictor in 1u8..=7, precision in 2u8..=16, restart in 0usize..3) {
        let values: Vec<u16> = values.iter().map(|v| v >> (16 - precision)).collect();
        let bytes = lossless(&values, 7, 10, precision, predictor, restart);
        let frame = test_frame(7, 10, 16, 16);
        prop_assert_eq!(Jpeg.decode(&frame, &bytes, 0).unwrap().data, Samples::U16(values));
        prop_assert_eq!(Jpeg.header(&bytes).unwrap().bits, precision);
    }

    #[test]
    fn mutations_never_panic(seed: u32, at in any::<usize>(), byte: u8, cut in any::<usize>(), wide: bool) {
        let values: Vec<u16> = (0..70u32).map(|i| (i.wrapping_mul(seed) >> 8) as u16).collect();
        let mut bytes = if wide { lossless(&values, 7, 10, 16, 4, 0) } else { baseline(64, 48, seed as u8) };
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes.truncate(cut % (2 * n));
        let mut frame = test_frame(7, 10, 16, 16);
        if !wide {
            frame = test_frame(48, 64, 8, 8);
            frame.samples_per_pixel = 3;
        }
        let _ = Jpeg.decode(&frame, &bytes, 0);
    }
}

/// A smooth colour picture through an independent encoder.
fn baseline(width: u16, height: u16, seed: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_2_0);
    encoder.set_progressive(seed % 2 == 1);
    encoder
        .encode(
            &picture(width, height),
            width,
            height,
            jpeg_encoder::ColorType::Ycbcr,
        )
        .unwrap();
    out
}

fn picture(width: u16, height: u16) -> Vec<u8> {
    let wave =
        |x: u16, y: u16, f: f64| (127.0 + 100.0 * (f64::from(x) / f).sin() * (f64::from(y) / f).cos()) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    pixels
        .flat_map(|(x, y)| [wave(x, y, 9.0), wave(x, y, 20.0), wave(y, x, 15.0)])
        .collect()
}

#[test]
fn sequential_and_progressive_agree_with_the_picture() {
    for seed in [0, 1] {
        let (width, height) = (67, 45);
        let mut frame = test_frame(height, width, 8, 8);
        frame.samples_per_pixel = 3;
        let got = Jpeg.decode(&frame, &baseline(width, height, seed), 0).unwrap();
        let Samples::U8(got) = got.data else {
            panic!("not bytes")
        };
        let mean = picture(width, height)
            .iter()
            .zip(&got)
            .map(|(a, b)| f64::from(a.abs_diff(*b)))
            .sum::<f64>()
            / got.len() as f64;
        assert!(mean < 2.0, "{mean}");
    }
}

#[test]
fn sizes_that_contradict_the_header_are_refused() {
    let bytes = baseline(64, 48, 0);
    let mut frame = test_frame(48, 65, 8, 8);
    frame.samples_per_pixel = 3;
    let message = Jpeg.decode(&frame, &bytes, 0).unwrap_err().to_string();
    assert!(
        message.contains("48 x 64 where the header says 48 x 65"),
        "{message}"
    );
}

#[test]
fn size_lies_are_refused_before_memory_is_taken() {
    let mut bytes = lossless(&[0; 4], 2, 2, 16, 1, 0);
    let at = bytes.windows(2).position(|w| w == [0xff, 0xc3]).unwrap() + 5;
    bytes[at..at + 4].copy_from_slice(&[0xff, 0, 0x40, 0]);
    assert!(Jpeg.decode(&test_frame(0xff00, 0x4000, 8, 8), &bytes, 0).is_err());
    assert!(
        Jpeg.decode(&test_frame(0xff00, 0x400, 16, 16), &bytes, 0)
            .is_err()
    );
}

#[test]
fn cut_tiles_of_a_multi_frame_image_are_padded() {
    let bytes = baseline(64, 48, 0);
    let mut frame = test_frame(50, 70, 8, 8);
    frame.samples_per_pixel = 3;
    let decode = |f: &FrameDescription| {
        crate::codec::decode(
            f,
            crate::codec::TransferSyntax::JPEG_BASELINE,
            bytes.as_slice().into(),
        )
    };
    assert!(decode(&frame).is_err());
    frame.frames = 2;
    let padded = decode(&frame).unwrap();
    assert_eq!((padded.rows, padded.columns, padded.data.len()), (50, 70, 10_500));
    let Samples::U8(v) = padded.data else {
        panic!("not bytes")
    };
    assert!(v[63 * 3..64 * 3].iter().any(|x| *x > 0) && v[64 * 3..70 * 3].iter().all(|x| *x == 0));
}
