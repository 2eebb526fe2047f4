use std::borrow::Cow;
use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

/// A data set small enough to write by hand: tags, and items of sequences.
#[derive(Default, Clone)]
struct Set {
    values: BTreeMap<u32, Vec<u8>>,
    items: BTreeMap<u32, Vec<Set>>,
}

impl Set {
    fn with(mut self, tag: u32, value: &[u8]) -> Self {
        self.values.insert(tag, value.to_vec());
        self
    }

    fn item(mut self, tag: u32, item: Set) -> Self {
        self.items.entry(tag).or_default().push(item);
        self
    }

    fn at(&self, path: &[(u32, usize)], tag: u32) -> Option<Cow<'_, [u8]>> {
        match path.split_first() {
            Some(((sequence, index), rest)) => self.items.get(sequence)?.get(*index)?.at(rest, tag),
            None => match self.items.get(&tag) {
                Some(items) => Some(crate::dicom::item_count_bytes(items.len())),
                None => self.values.get(&tag).map(|v| Cow::Borrowed(v.as_slice())),
            },
        }
    }
}

fn channel(code: &str, scheme: &str, unit: &str) -> Set {
    let source = Set::default()
        .with(0x0008_0100, code.as_bytes())
        .with(0x0008_0102, scheme.as_bytes());
    let units = Set::default().with(0x0008_0100, unit.as_bytes());
    Set::default()
        .item(0x003A_0208, source)
        .with(0x003A_0210, b"2.5 ")
        .item(0x003A_0211, units)
}

fn group(channels: &[Set], samples: u32, bits: u16, interpretation: &str, data: &[u8]) -> Set {
    let mut group = Set::default()
        .with(0x003A_0005, &(channels.len() as u16).to_le_bytes())
        .with(0x003A_0010, &samples.to_le_bytes())
        .with(0x003A_001A, b"500")
        .with(0x5400_1004, &bits.to_le_bytes())
        .with(0x5400_1006, interpretation.as_bytes())
        .with(0x5400_1010, data);
    for channel in channels {
        group = group.item(0x003A_0200, channel.clone());
    }
    group
}

fn open(set: &Set) -> Result<Record, EcgError> {
    read(&|path, tag| set.at(path, tag))
}

#[test]
fn samples_become_microvolts() {
    let check = |bits: u16, interpretation: &str, data: &[u8], expect: &[f32]| {
        let channels = [channel("2:1", "MDC", "uV")];
        let set = Set::default().item(
            WAVEFORM_SEQUENCE,
            group(&channels, expect.len() as u32, bits, interpretation, data),
        );
        assert_eq!(
            open(&set).unwrap().leads[0].samples_uv,
            expect,
            "{interpretation}"
        );
    };
    check(16, "SS", &[4, 0, 254, 255], &[10.0, -5.0]);
    check(16, "US", &[4, 0, 255, 255], &[10.0, 163_837.5]);
    check(8, "SB", &[4, 255], &[10.0, -2.5]);
    check(8, "UB", &[4, 255], &[10.0, 637.5]);
    check(32, "SL", &[2, 0, 0, 0, 255, 255, 255, 255], &[5.0, -2.5]);
}

#[test]
fn correction_baseline_padding_skew_and_units() {
    let second = channel("5.6.3-9-3", "SCPECG", "mV")
        .with(0x003A_0212, b"2")
        .with(0x003A_0213, b"1")
        .with(0x003A_0215, b"1");
    let channels = [
        channel("2:2", "MDC", "uV"),
        second,
        channel("X", "99LOCAL", "mm[Hg]"),
    ];
    let data: Vec<u8> = [1_i16, 1, 9, i16::MIN, 2, 9, 3, 3, 9]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let part = group(&channels, 3, 16, "SS", &data).with(0x5400_100A, &i16::MIN.to_le_bytes());
    let record = open(&Set::default().item(WAVEFORM_SEQUENCE, part)).unwrap();
    let names: Vec<_> = record.leads.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["II", "V1"]);
    let first = &record.leads[0].samples_uv;
    assert!(first[0] == 2.5 && first[1].is_nan() && first[2] == 7.5);
    let second = &record.leads[1].samples_uv;
    assert!(
        second[0].is_nan() && second[1] == 6_000.0 && second[2] == 11_000.0,
        "{second:?}"
    );
    assert_eq!(record.leads[1].resolution_uv, 5_000.0);
    assert!(record.warnings.iter().any(|w| w.contains("not a voltage")));
}

#[test]
fn a_padding_value_within_the_range_counts_in_runs_only() {
    let mut values = vec![5_i16; 300];
    values[10] = 0;
    values[100..250].fill(0);
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let part = group(&[channel("2:1", "MDC", "uV")], 300, 16, "SS", &data).with(0x5400_100A, &[0, 0]);
    let record = open(&Set::default().item(WAVEFORM_SEQUENCE, part)).unwrap();
    let samples = &record.leads[0].samples_uv;
    assert_eq!((samples[10], samples[99], samples[250]), (0.0, 12.5, 12.5));
    assert!(samples[100..250].iter().all(|v| v.is_nan()));
}

#[test]
fn twelve_bits_without_their_sign_are_extended() {
    let check = |values: &[i16], stored: u16, expect: &[f32]| {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let one = channel("2:1", "MDC", "uV").with(0x003A_021A, &stored.to_le_bytes());
        let part = group(&[one], values.len() as u32, 16, "SS", &data);
        let record = open(&Set::default().item(WAVEFORM_SEQUENCE, part)).unwrap();
        assert_eq!(record.leads[0].samples_uv, expect);
    };
    check(&[0x0fff, 2], 12, &[-2.5, 5.0]);
    check(&[-1, 2], 12, &[-2.5, 5.0]);
    check(&[0x0fff, 2], 16, &[10_237.5, 5.0]);
    check(&[0x0fff, -1], 12, &[10_237.5, -2.5]);
}

#[test]
fn median_beats_are_kept_apart() {
    let one = [channel("2:1", "MDC", "uV")];
    let rhythm = group(&one, 4_000, 16, "SS", &[1; 8_000]);
    let median = group(&one, 600, 16, "SS", &[2; 1_200])
        .with(0x003A_0004, b"DERIVED ")
        .with(0x0018_106E, &11_u32.to_le_bytes());
    let set = Set::default()
        .item(WAVEFORM_SEQUENCE, rhythm)
        .item(WAVEFORM_SEQUENCE, median);
    let record = open(&set).unwrap();
    let beat = record.stored_beat.unwrap();
    assert_eq!(
        (record.leads[0].samples_uv.len(), beat.leads[0].samples_uv.len()),
        (4_000, 600)
    );
    assert_eq!(beat.fiducial, Some(10));
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
}

#[test]
fn median_beats_as_long_as_the_rhythm_add_no_leads() {
    let derived = |codes: &[&str]| {
        let channels: Vec<Set> = codes.iter().map(|code| channel(code, "MDC", "uV")).collect();
        group(&channels, 4, 16, "SS", &vec![0; 8 * codes.len()]).with(0x003A_0004, b"DERIVED ")
    };
    let check = |codes: &[&str], leads: usize| {
        let rhythm = group(&[channel("2:2", "MDC", "uV")], 4, 16, "SS", &[0; 8]);
        let set = Set::default()
            .item(WAVEFORM_SEQUENCE, rhythm)
            .item(WAVEFORM_SEQUENCE, derived(codes));
        assert_eq!(open(&set).unwrap().leads.len(), leads);
    };
    check(&["2:1", "2:2"], 1);
    check(&["2:61", "2:62"], 3);
    // A label says it even where no lead is known.
    let labelled = derived(&["2:61"]).with(0x003A_0020, b"MEDIAN BEAT ");
    let rhythm = group(&[channel("2:2", "MDC", "uV")], 4, 16, "SS", &[0; 8]);
    let set = Set::default()
        .item(WAVEFORM_SEQUENCE, rhythm)
        .item(WAVEFORM_SEQUENCE, labelled);
    assert_eq!(open(&set).unwrap().leads.len(), 1);
}

#[test]
fn the_rhythm_group_is_taken_and_joined() {
    let rhythm = group(&[channel("2:1", "MDC", "uV")], 4, 16, "SS", &[0; 8]);
    let beside = group(&[channel("2:2", "MDC", "uV")], 4, 16, "SS", &[0; 8]);
    let median = group(&[channel("2:1", "MDC", "uV")], 40, 16, "SS", &[0; 80]).with(0x003A_0004, b"DERIVED ");
    let set = Set::default()
        .item(WAVEFORM_SEQUENCE, median)
        .item(WAVEFORM_SEQUENCE, rhythm)
        .item(WAVEFORM_SEQUENCE, beside);
    let record = open(&set).unwrap();
    assert_eq!((record.len(), record.leads.len()), (4, 2));
}

#[test]
fn cut_and_impossible_objects_are_refused_or_warned() {
    let one = [channel("2:1", "MDC", "uV")];
    let cut = Set::default().item(WAVEFORM_SEQUENCE, group(&one, 100, 16, "SS", &[0; 100]));
    assert!(
        open(&cut)
            .unwrap()
            .warnings
            .iter()
            .any(|w| w.contains("50 of 100"))
    );
    let bad = |set: Set| assert!(open(&Set::default().item(WAVEFORM_SEQUENCE, set)).is_err());
    bad(group(&one, 100, 16, "SS", &[0; 2]));
    bad(group(&one, u32::MAX, 16, "SS", &[0; 2]));
    bad(group(&one, 100, 8, "MB", &[0; 100]));
    bad(group(&one, 100, 16, "SS", &[0; 200]).with(0x003A_001A, b"0"));
    bad(group(&one, 100, 16, "SS", &[0; 200]).with(0x003A_0005, &[255, 255]));
    assert!(matches!(open(&Set::default()), Err(EcgError::NoSignal { .. })));
}

proptest! {
    #[test]
    fn hostile_attributes_never_panic(
        tag in prop::sample::select(vec![0x003A_0005_u32, 0x003A_0010, 0x003A_001A, 0x5400_1004, 0x5400_1006, 0x5400_100A, 0x5400_1010]),
        value in proptest::collection::vec(any::<u8>(), 0..24),
        channel_tag in prop::sample::select(vec![0x003A_0210_u32, 0x003A_0212, 0x003A_0213, 0x003A_0214, 0x003A_0215]),
        number in "[-0-9.e]{0,12}",
    ) {
        let one = channel("2:1", "MDC", "uV").with(channel_tag, number.as_bytes());
        let set = group(&[one], 8, 16, "SS", &[1; 16]).with(tag, &value);
        let _ = open(&Set::default().item(WAVEFORM_SEQUENCE, set));
    }
}

#[test]
fn pieces_are_the_whole() {
    use crate::ecg::formats::stream::tests::compare;
    let check = |change: &dyn Fn(Set, usize) -> Set, padding: Option<i16>, values: &dyn Fn(usize) -> i16| {
        let data: Vec<u8> = (0..9_000).flat_map(|i| values(i).to_le_bytes()).collect();
        let channels: Vec<Set> = ["2:1", "2:2", "2:3"]
            .iter()
            .enumerate()
            .map(|(index, code)| change(channel(code, "MDC", "uV"), index))
            .collect();
        let mut made = group(&channels, 3_000, 16, "SS", &data);
        if let Some(padding) = padding {
            made = made.with(0x5400_100A, &padding.to_le_bytes());
        }
        let set = Set::default().item(WAVEFORM_SEQUENCE, made);
        let whole = open(&set).unwrap();
        // Three bytes before the samples, as anything may stand there.
        let stored = [&[1, 2, 3][..], &data].concat();
        let end = stored.len() as u64;
        let opened = || {
            let lookup =
                |path: &[(u32, usize)], tag: u32| set.at(path, tag).filter(|_| tag != super::WAVEFORM_DATA);
            let place = |number: usize| (number == 0).then_some(3..end);
            stream::open(&lookup, &place, Box::new(stored.clone()))
                .unwrap()
                .unwrap()
        };
        compare(opened, &whole);
    };
    let plain = |set: Set, _: usize| set;
    let wave = |i: usize| (i * 37 % 811) as i16 - 400;
    check(&plain, None, &wave);
    check(&plain, Some(i16::MIN), &|i| {
        if i % 50 < 9 { i16::MIN } else { wave(i) }
    });
    check(&plain, Some(0), &|i| {
        if i / 600 % 2 == 1 || i > 8_000 {
            0
        } else {
            wave(i) % 3
        }
    });
    let skewed = |set: Set, index: usize| set.with(0x003A_0215, [&b"5 "[..], b"-7", b"0 "][index]);
    check(&skewed, None, &wave);
    let narrow = |set: Set, _: usize| set.with(0x003A_021A, &12_u16.to_le_bytes());
    check(&narrow, None, &|i| wave(i) & 0x0fff);
    check(&narrow, None, &wave);
}

#[test]
fn a_lead_that_is_off_does_not_hold_the_others_back() {
    use crate::ecg::holter::source::Source as _;
    for padding in [0_i16, i16::MIN] {
        let frames = (0..20_000_i16).flat_map(|i| [i % 100 + 1, padding]);
        let data: Vec<u8> = frames.flat_map(i16::to_le_bytes).collect();
        let channels = ["2:1", "2:2"].map(|code| channel(code, "MDC", "uV"));
        let made = group(&channels, 20_000, 16, "SS", &data).with(0x5400_100A, &padding.to_le_bytes());
        let set = Set::default().item(WAVEFORM_SEQUENCE, made);
        let lookup =
            |path: &[(u32, usize)], tag: u32| set.at(path, tag).filter(|_| tag != super::WAVEFORM_DATA);
        let place = |_: usize| Some(0..data.len() as u64);
        let opened = stream::open(&lookup, &place, Box::new(data.clone())).unwrap();
        let mut stream = opened.unwrap().in_chunks_of(4_000);
        let mut leads = vec![Vec::new(); 2];
        let first = stream.read(usize::MAX, &mut leads).unwrap();
        assert!((1..=1_000).contains(&first), "{first} samples were held");
        while stream.read(usize::MAX, &mut leads).unwrap() > 0 {}
        assert!(leads[1].len() == 20_000 && leads[1].iter().all(|v| v.is_nan()));
    }
}

#[test]
fn a_start_that_cannot_be_is_no_start() {
    let check = |tag: u32, value: &[u8], told: bool| {
        let channels = [
            channel("2:1", "MDC", "uV"),
            channel("2:2", "MDC", "uV").with(tag, value),
        ];
        let made = group(&channels, 100, 16, "SS", &[1; 400]);
        let record = open(&Set::default().item(WAVEFORM_SEQUENCE, made)).unwrap();
        let shifted = record.leads[1].samples_uv.iter().any(|v| v.is_nan());
        assert_eq!((shifted, record.warnings.len()), (!told, usize::from(told)));
    };
    check(0x003A_0215, b"5 ", false);
    check(0x003A_0215, b"2e6 ", true);
    check(0x003A_0214, b"0.02", false);
    check(0x003A_0214, b"-1e9", true);
}
