//! Multiplex groups: channel definitions and interleaved samples (PS3.3 C.10.9).

use super::super::element::{Code, Set};
use super::{Class, short};
use crate::ecg::formats::lead_codes::code_of_name;
use crate::ecg::formats::quantise::{Quantised, quantise};
use crate::ecg::record::{Lead, Record, RecorderFilters, StoredBeat};

/// Sample that stands for "no signal"; it is never a value.
const PADDING: i16 = i16::MIN;
/// Scheme of names that no standard numbers.
const OWN_SCHEME: &str = "99GONGYING";

/// The rhythm of all leads.
pub(super) fn rhythm(record: &Record) -> Set {
    group(
        &record.leads,
        record.sampling_rate_hz,
        &record.filters,
        ("ORIGINAL", "RHYTHM"),
    )
}

/// The recorder's representative beat; `None` for one that the class does not hold.
pub(super) fn beat(beat: &StoredBeat, class: Class) -> Option<Set> {
    const GROUP_CHANNELS_MAX: usize = 13;
    let fits = (200.0..=1_000.0).contains(&beat.sampling_rate_hz)
        && beat.leads.len() <= GROUP_CHANNELS_MAX
        && !beat.leads.is_empty();
    if !fits || class == Class::Ambulatory {
        return None;
    }
    let mut set = group(
        &beat.leads,
        beat.sampling_rate_hz,
        &RecorderFilters::default(),
        ("DERIVED", "MEDIAN BEAT"),
    );
    if let Some(fiducial) = beat.fiducial {
        set.ul(0x0018_106E, &[fiducial as u32 + 1]);
    }
    Some(set)
}

fn group(leads: &[Lead], rate_hz: f64, filters: &RecorderFilters, (originality, label): (&str, &str)) -> Set {
    let coded: Vec<Quantised> = leads
        .iter()
        .map(|lead| quantise(&lead.samples_uv, lead.resolution_uv))
        .collect();
    let samples = leads.first().map_or(0, |lead| lead.samples_uv.len());
    let channels: Vec<Set> = leads
        .iter()
        .zip(&coded)
        .map(|(lead, coded)| channel(lead, coded, filters))
        .collect();
    let mut set = Set::default();
    set.text(0x003A_0004, *b"CS", originality);
    set.us(0x003A_0005, &[leads.len() as u16]);
    set.ul(0x003A_0010, &[samples as u32]);
    set.ds(0x003A_001A, rate_hz);
    set.text(0x003A_0020, *b"SH", label);
    set.sequence(0x003A_0200, &channels);
    set.us(0x5400_1004, &[16]);
    set.text(0x5400_1006, *b"CS", "SS");
    let gaps = coded.iter().any(|lead| lead.values.contains(&None));
    if gaps {
        set.bytes(0x5400_100A, *b"OW", PADDING.to_le_bytes().to_vec());
    }
    let mut data = Vec::with_capacity(samples * leads.len() * 2);
    for place in 0..samples {
        for lead in &coded {
            let value = lead.values.get(place).copied().flatten().unwrap_or(PADDING);
            data.extend_from_slice(&value.to_le_bytes());
        }
    }
    set.bytes(0x5400_1010, *b"OW", data);
    set
}

fn channel(lead: &Lead, coded: &Quantised, filters: &RecorderFilters) -> Set {
    let name = lead.name.as_str();
    let number = code_of_name(name).map(|code| format!("2:{code}"));
    // A code value has 16 bytes.
    let own: String = name.chars().filter(char::is_ascii).take(16).collect();
    let own = if own.trim().is_empty() {
        "lead".to_owned()
    } else {
        own.trim().to_owned()
    };
    let meaning = match &number {
        Some(_) if lead.name.standard_index().is_some() => format!("Lead {name}"),
        _ => short(name, 64),
    };
    let source = match &number {
        Some(value) => Code {
            value,
            scheme: "MDC",
            meaning: &meaning,
        },
        None => Code {
            value: &own,
            scheme: OWN_SCHEME,
            meaning: &meaning,
        },
    };
    let mut set = Set::default();
    set.text(0x003A_0203, *b"SH", &short(name, 16));
    set.code(0x003A_0208, &source);
    set.ds(0x003A_0210, coded.step_uv);
    let microvolt = Code {
        value: "uV",
        scheme: "UCUM",
        meaning: "microvolt",
    };
    set.code(0x003A_0211, &microvolt);
    set.ds(0x003A_0212, 1.0);
    set.ds(0x003A_0213, coded.offset_uv);
    set.ds(0x003A_0215, 0.0);
    set.us(0x003A_021A, &[16]);
    let edges = [
        (0x003A_0220, filters.low_hz),
        (0x003A_0221, filters.high_hz),
        (0x003A_0222, filters.notch_hz),
    ];
    for (tag, hertz) in edges {
        if let Some(hertz) = hertz {
            set.ds(tag, hertz);
        }
    }
    set
}
