use super::super::frame::test_frame;
use super::super::htj2k::encode_unproved;
use super::super::{Photometric, Samples};
use super::*;
use proptest::prelude::*;

fn stream(width: u16, height: u16, samples: u16) -> Vec<u8> {
    let mut frame = test_frame(height, width, 16, 12);
    frame.samples_per_pixel = samples;
    if samples == 3 {
        frame.photometric = Photometric::Rgb;
    }
    let count = u32::from(width) * u32::from(height) * u32::from(samples);
    let values = (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 22) as u16 | (i % 1500) as u16);
    encode_unproved(&frame, &Samples::U16(values.collect()))
        .unwrap()
        .stream
}

fn at(reduce: u8) -> Wish {
    Wish {
        reduce,
        planes_less: 0,
    }
}

#[test]
fn every_reduction_has_its_size() {
    let bytes = stream(133, 70, 3);
    for reduce in 0..=5 {
        let picture = decode(&bytes, at(reduce)).unwrap();
        let part = |side: usize| side.div_ceil(1 << reduce);
        assert_eq!((picture.width, picture.height), (part(133), part(70)));
        assert_eq!(picture.planes.len(), 3);
        let samples = picture.width * picture.height;
        assert!(picture.planes.iter().all(|p| p.len() == samples));
    }
    assert!(decode(&bytes, at(6)).is_none());
}

/// A stream that ends early is no picture here.
#[test]
fn cuts_are_noticed() {
    let bytes = stream(90, 80, 1);
    for length in (0..bytes.len() - 2).step_by(37) {
        assert!(decode(&bytes[..length], at(0)).is_none(), "{length}");
    }
}

/// The value at a place of the pictures in `tests/j2k`, which OpenJPEG 2.5.4 has encoded.
fn value(x: usize, y: usize, mask: u32) -> i32 {
    let (x, y) = (x as u32, y as u32);
    let n = x
        .wrapping_mul(2_654_435_761)
        .wrapping_add(y.wrapping_mul(2_246_822_519));
    let n = (n ^ n >> 15).wrapping_mul(3_266_489_917);
    ((x * 7 + y * 5 + (n >> 27)) & mask) as i32
}

const GREY: &[u8] = include_bytes!("../../../tests/j2k/grey12.j2k");
const SIGNED: &[u8] = include_bytes!("../../../tests/j2k/signed16.j2k");
const COLOUR: &[u8] = include_bytes!("../../../tests/j2k/rgb8.j2k");

#[test]
fn streams_of_another_encoder_are_exact() {
    let grey = |x, y| vec![value(x, y, 0xfff)];
    let signed = |x, y| vec![value(x, y, 0xffff) - 0x8000];
    let colour = |x, y| {
        let v = value(x, y, 0xff);
        vec![v, (v * 3) & 0xff, 255 - v]
    };
    check(GREY, (131, 70), grey);
    check(SIGNED, (40, 90), signed);
    check(COLOUR, (67, 33), colour);
}

fn check(stream: &[u8], (width, height): (usize, usize), expect: impl Fn(usize, usize) -> Vec<i32>) {
    let picture = decode(stream, at(0)).unwrap();
    assert_eq!((picture.width, picture.height), (width, height));
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let found: Vec<i32> = picture.planes.iter().map(|p| p[y * width + x]).collect();
        assert_eq!(found, expect(x, y), "{x}, {y}");
    }
}

/// Details without their lowest planes stay near, the less so the more planes are left out, and the low half is exact.
#[test]
fn planes_can_be_left_out() {
    let exact = decode(GREY, at(0)).unwrap().planes.concat();
    let mut before = 0;
    for planes_less in 1..4 {
        let wish = Wish {
            reduce: 0,
            planes_less,
        };
        let near = decode(GREY, wish).unwrap().planes.concat();
        let errors = near.iter().zip(&exact).map(|(a, b)| (a - b).unsigned_abs());
        let worst = errors.max().unwrap();
        assert!(
            worst >= before && worst <= 8 << planes_less,
            "{planes_less}: {worst}"
        );
        before = worst;
    }
    assert!(before > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn mutations_of_plane_coded_streams_never_panic(
        which in 0usize..3,
        changes in prop::collection::vec((0usize..20_000, any::<u8>()), 1..6),
        reduce in 0u8..3,
        planes_less in 0u32..4,
    ) {
        let mut bytes = [GREY, SIGNED, COLOUR][which].to_vec();
        let end = bytes.len();
        for (at, byte) in changes {
            bytes[at % end] = byte;
        }
        let _ = decode(&bytes, Wish { reduce, planes_less });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn mutations_never_panic(
        samples in prop::sample::select(vec![1u16, 3]),
        changes in prop::collection::vec((0usize..20_000, any::<u8>()), 1..6),
        in_header: bool,
        reduce in 0u8..4,
    ) {
        let mut bytes = stream(70, 67, samples);
        let end = if in_header { 150 } else { bytes.len() };
        for (at, byte) in changes {
            bytes[at % end] = byte;
        }
        let _ = decode(&bytes, at(reduce));
    }
}
