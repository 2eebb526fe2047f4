use super::*;
use proptest::prelude::*;

fn item(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        short @ 0..128 => out.push(short as u8),
        long => {
            out.push(0x82);
            out.extend((long as u16).to_be_bytes());
        }
    }
    out.extend(value);
    out
}

fn channel(index: u8, definitions: &[Vec<u8>]) -> Vec<u8> {
    let inner = definitions.concat();
    [&[0x3f, index, inner.len() as u8][..], &inner].concat()
}

/// Two leads of 500 Hz and 2.5 uV in two blocks of three samples, and a channel of pressure.
fn file(little: bool) -> Vec<u8> {
    let word = |v: i16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
    let samples: Vec<u8> = [1, 2, 3, -4, -5, -6, 7, 7, 7, 8, 9, -32_768, 1, 1, 1, 7, 7, 7]
        .iter()
        .flat_map(|v| word(*v))
        .collect();
    let year = |y: i16| word(y);
    [
        item(0x40, b"MFR standard 12 leads"),
        item(0x01, &[u8::from(little)]),
        item(0x03, b"GB18030"),
        item(0x08, &word(1)),
        item(0x0b, &[&[1, 0xfd][..], &word(2)].concat()),
        item(0x0c, &[&[0, 0xf8][..], &word(250)].concat()),
        item(0x04, &word(3)),
        item(0x05, &[3]),
        item(0x06, &word(2)),
        item(0x12, &word(-32_768)),
        channel(0, &[item(0x09, &word(1))]),
        channel(1, &[item(0x09, &word(3))]),
        channel(2, &[item(0x0c, &[1, 0, 1])]),
        item(0x17, b"Maker^Model^1.0^77"),
        item(0x81, &[0xd5, 0xc5, 0xc8, 0xfd]),
        item(0x82, b"id-1"),
        item(0x83, &[&[46, 0, 0][..], &year(1953), &[5, 8]].concat()),
        item(0x84, &[2]),
        item(0x85, &[&year(2002)[..], &[11, 22, 9, 10, 0, 0, 0, 0, 0]].concat()),
        item(0x1e, &samples),
        item(0x80, &[]),
    ]
    .concat()
}

#[test]
fn definitions_and_samples_of_both_byte_orders() {
    for little in [false, true] {
        let bytes = file(little);
        assert!(looks_like(&bytes));
        let record = read(&bytes).unwrap();
        let names: Vec<_> = record.leads.iter().map(|l| l.name.as_str()).collect();
        assert_eq!((names, record.sampling_rate_hz), (vec!["I", "V1"], 500.0));
        assert_eq!(record.leads[0].samples_uv[..5], [2.5, 5.0, 7.5, 20.0, 22.5]);
        assert!(record.leads[0].samples_uv[5].is_nan());
        assert_eq!(record.leads[1].samples_uv, [-10.0, -12.5, -15.0, 2.5, 2.5, 2.5]);
        assert_eq!(record.leads[0].resolution_uv, 2.5);
        assert_eq!(record.patient.name.as_deref(), Some("张三"));
        assert_eq!(record.patient.birth_date.as_deref(), Some("19530508"));
        assert_eq!(record.patient.sex.as_deref(), Some("F"));
        assert_eq!(record.acquired_at.as_deref(), Some("20021122091000"));
        assert_eq!(record.recorder.serial_number.as_deref(), Some("77"));
        assert_eq!(record.warnings.len(), 1, "{:?}", record.warnings);
    }
}

#[test]
fn numbers_of_every_kind() {
    let check = |kind: u8, data: &[u8], expect: &[f32]| {
        let bytes = [
            item(0x01, &[0]),
            item(0x0b, &[0, 2, 5]),
            item(0x0c, &[0, 0xfa, 1]),
            item(0x0a, &[kind]),
            item(0x1e, data),
        ]
        .concat();
        let record = read(&bytes).unwrap();
        assert_eq!(
            (&record.leads[0].samples_uv[..], record.sampling_rate_hz),
            (expect, 500.0)
        );
    };
    check(0, &[0xff, 0xfe, 0, 1], &[-2.0, 1.0]);
    check(1, &[0xff, 0xfe], &[65_534.0]);
    check(2, &[0xff, 0xff, 0xff, 0xfe], &[-2.0]);
    check(3, &[254], &[254.0]);
    check(5, &[254], &[-2.0]);
    check(6, &[0, 1, 0, 0], &[65_536.0]);
    check(7, &1.5_f32.to_be_bytes(), &[1.5]);
    check(8, &(-2.5_f64).to_be_bytes(), &[-2.5]);
}

#[test]
fn cut_or_impossible_files_are_refused() {
    let whole = file(true);
    // The waveform ends two bytes before the end.
    (0..whole.len() - 2).for_each(|length| assert!(read(&whole[..length]).is_err(), "{length}"));
    let check = |items: &[Vec<u8>]| assert!(read(&items.concat()).is_err());
    let (rate, step) = (item(0x0b, &[0, 2, 5]), item(0x0c, &[0, 0xfa, 1]));
    check(&[rate.clone(), item(0x1e, &[0; 8])]);
    check(&[step.clone(), item(0x1e, &[0; 8])]);
    check(&[rate.clone(), step.clone(), item(0x0a, &[9]), item(0x1e, &[0; 8])]);
    check(&[
        rate.clone(),
        step.clone(),
        item(0x0e, &[0, 1]),
        item(0x1e, &[0; 8]),
    ]);
    check(&[
        rate.clone(),
        step.clone(),
        item(0x05, &[200]),
        item(0x1e, &[0; 8]),
    ]);
    check(&[rate, step, item(0x04, &[255; 4]), item(0x1e, &[0; 8])]);
}

#[test]
fn what_is_left_out_is_told_once() {
    let wave = |bytes: usize| item(0x1e, &vec![1; bytes]);
    let head = [
        item(0x0b, &[0, 2, 5]),
        item(0x0c, &[0, 0xfa, 1]),
        item(0x0a, &[3]),
        item(0x05, &[2]),
        channel(1, &[item(0x0c, &[1, 0, 1])]),
    ]
    .concat();
    let record = read(&[head, wave(2).repeat(1_000)].concat()).unwrap();
    assert_eq!((record.len(), record.leads.len()), (1_000, 1));
    assert_eq!(record.warnings.len(), 1, "{:?}", record.warnings.len());
}

#[test]
fn leads_of_unlike_length_take_no_more_memory_than_is_allowed() {
    // one long channel, then 63 short ones
    let samples = (record::SAMPLES_MAX / 64 + 1) as u32;
    let long = [
        &[0x1e, 0x84][..],
        &samples.to_be_bytes(),
        &vec![1; samples as usize],
    ]
    .concat();
    let bytes = [
        item(0x0b, &[0, 2, 5]),
        item(0x0c, &[0, 0xfa, 1]),
        item(0x0a, &[3]),
        long,
        item(0x05, &[64]),
        item(0x1e, &[1; 64]),
    ]
    .concat();
    assert!(matches!(read(&bytes), Err(EcgError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn hostile_files_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..10), cut: proptest::sample::Index) {
        let mut bytes = file(true);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() * 2));
        let _ = read(&bytes);
    }

    #[test]
    fn hostile_items_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = looks_like(&bytes);
        let _ = read(&bytes);
    }
}
