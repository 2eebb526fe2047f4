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

#[test]
fn every_reduction_has_its_size() {
    let bytes = stream(133, 70, 3);
    for reduce in 0..=5 {
        let picture = decode(&bytes, reduce).unwrap();
        let part = |side: usize| side.div_ceil(1 << reduce);
        assert_eq!((picture.width, picture.height), (part(133), part(70)));
        assert_eq!(picture.planes.len(), 3);
        let samples = picture.width * picture.height;
        assert!(picture.planes.iter().all(|p| p.len() == samples));
    }
    assert!(decode(&bytes, 6).is_none());
}

/// A stream that ends early is no picture here.
#[test]
fn cuts_are_noticed() {
    let bytes = stream(90, 80, 1);
    for length in (0..bytes.len() - 2).step_by(37) {
        assert!(decode(&bytes[..length], 0).is_none(), "{length}");
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
        let _ = decode(&bytes, reduce);
    }
}
