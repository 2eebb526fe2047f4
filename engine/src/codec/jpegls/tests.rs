use super::super::frame::test_frame;
use super::*;
use crate::codec::Samples;
use proptest::prelude::*;

/// Values with flat parts, ramps and noise, so that every mode of the coder is used.
fn mixed(n: usize, bits: u32, seed: u32) -> Vec<u16> {
    let mut s = seed | 1;
    let mut level = 0u32;
    (0..n)
        .map(|i| {
            s ^= s << 13;
            s ^= s >> 17;
            s ^= s << 5;
            match s % 23 {
                0 => level = s >> 7,
                1..4 => level = level.wrapping_add(i as u32 % 5),
                _ => {}
            }
            (level & ((1 << bits) - 1)) as u16
        })
        .collect()
}

proptest! {
    #[test]
    fn round_trip_grey(rows in 1u16..30, columns in 1u16..40, bits in 2u16..=16, seed: u32) {
        let frame = test_frame(rows, columns, 16, bits);
        let samples = Samples::U16(mixed(usize::from(rows) * usize::from(columns), bits.into(), seed));
        let bytes = encode(&frame, &samples).unwrap();
        prop_assert_eq!(JpegLs.decode(&frame, &bytes, 0).unwrap().data, samples);
    }

    #[test]
    fn round_trip_colour_and_signed(seed: u32) {
        let mut frame = test_frame(17, 23, 8, 8);
        frame.samples_per_pixel = 3;
        let samples = Samples::U8(mixed(17 * 23 * 3, 8, seed).iter().map(|v| *v as u8).collect());
        let bytes = encode(&frame, &samples).unwrap();
        prop_assert_eq!(JpegLs.decode(&frame, &bytes, 0).unwrap().data, samples);
        let mut frame = test_frame(17, 23, 16, 12);
        frame.signed = true;
        let samples = Samples::I16(mixed(17 * 23, 12, seed).iter().map(|v| v.cast_signed() - 2048).collect());
        let bytes = encode(&frame, &samples).unwrap();
        prop_assert_eq!(JpegLs.decode(&frame, &bytes, 0).unwrap().data, samples);
    }

    #[test]
    fn full_range_noise(values in proptest::collection::vec(any::<u16>(), 400)) {
        let frame = test_frame(20, 20, 16, 16);
        let samples = Samples::U16(values);
        let bytes = encode(&frame, &samples).unwrap();
        prop_assert_eq!(JpegLs.decode(&frame, &bytes, 0).unwrap().data, samples);
    }

    #[test]
    fn mutations_never_panic(seed: u32, at in any::<usize>(), byte: u8, cut in any::<usize>(), colour: bool) {
        let mut frame = test_frame(12, 16, 16, 12);
        if colour {
            frame.samples_per_pixel = 3;
        }
        let samples = Samples::U16(mixed(frame.samples_per_frame().unwrap(), 12, seed));
        let mut bytes = encode(&frame, &samples).unwrap();
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes.truncate(cut % (3 * n));
        let _ = JpegLs.decode(&frame, &bytes, 0);
    }
}

#[test]
fn every_truncation_is_an_error() {
    let frame = test_frame(24, 24, 16, 12);
    let bytes = encode(&frame, &Samples::U16(mixed(576, 12, 99))).unwrap();
    for n in 0..bytes.len() - 6 {
        assert!(
            JpegLs.decode(&frame, &bytes[..n], 0).is_err(),
            "{n} of {}",
            bytes.len()
        );
    }
}

/// The worked example of T.87 Annex H.3: a 4 x 4 image of 8 bits and its coded bits.
#[test]
fn example_of_the_standard() {
    let values = vec![
        0u8, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145,
    ];
    let frame = test_frame(4, 4, 8, 8);
    let bytes = encode(&frame, &Samples::U8(values.clone())).unwrap();
    let at = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 10;
    let coded = [
        0xc0u8, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e, 0x01, 0xc0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6e,
        0xe6, 0x00, 0x00, 0x01, 0xbc, 0x18, 0x00, 0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60,
    ];
    assert_eq!(&bytes[at..at + coded.len()], coded);
    assert_eq!(
        JpegLs.decode(&frame, &bytes, 0).unwrap().data,
        Samples::U8(values)
    );
}
