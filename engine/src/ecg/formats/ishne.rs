//! ISHNE Holter standard output format (Badilini 1998): a fixed header, then interleaved 16-bit samples.

use super::raw::{crc_ccitt, day, i16_le, i32_le, text, time_of_day, u16_le};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, Record};

pub mod stream;

/// First bytes of every recording.
pub(super) const MAGIC: &[u8] = b"ISHNE1.0";
const FORMAT: &str = "ishne";
/// Magic, checksum and the fixed block.
const HEADER_BYTES: usize = 522;
/// Bytes before those that the checksum covers.
const CHECKED_FROM: usize = 10;
/// Largest number of leads of the format.
const LEADS_MAX: usize = 12;
/// Names by the code of the lead specification.
const LEAD_NAMES: [&str; 20] = [
    "", "", "X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "ES",
    "AS", "AI",
];

/// Reads a recording.
///
/// # Errors
/// [`EcgError::Cut`], [`EcgError::Field`] and [`EcgError::TooLarge`] for a file that cannot be followed.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let mut warnings = Vec::new();
    let head = Head::parse(bytes, bytes.len() as u64, &mut warnings)?;
    let data = bytes.get(head.start..).unwrap_or_default();
    let count = head.names.len();
    let mut leads = Vec::with_capacity(count);
    for (index, (name, step_uv)) in head.names.iter().zip(&head.steps_uv).enumerate() {
        let values = (0..head.samples).map(|n| {
            let value = i16_le(data, (n * count + index) * 2);
            value.map_or(f32::NAN, |value| (f64::from(value) * step_uv) as f32)
        });
        leads.push(Lead {
            name: name.clone(),
            samples_uv: values.collect(),
            resolution_uv: *step_uv,
            derived: false,
        });
    }
    let mut made = Record::new(FORMAT, leads, head.rate_hz)?;
    made.warnings = warnings;
    describe(bytes, &mut made);
    Ok(made)
}

/// What the header says of the samples.
struct Head {
    /// Byte at which the samples begin.
    start: usize,
    /// Samples of each lead that are there.
    samples: usize,
    rate_hz: f64,
    names: Vec<LeadName>,
    /// Microvolts of a step, by lead.
    steps_uv: Vec<f64>,
}

impl Head {
    /// From the first bytes of a file of `size` bytes.
    fn parse(bytes: &[u8], size: u64, warnings: &mut Vec<String>) -> Result<Self, EcgError> {
        if bytes.len() < HEADER_BYTES {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the header".into(),
                wanted: HEADER_BYTES as u64,
                got: bytes.len() as u64,
            });
        }
        let short = |at: usize| i16_le(bytes, at).unwrap_or(0);
        let long = |at: usize| i32_le(bytes, at).unwrap_or(0);
        let count = leads_of(short(156))?;
        let rate_hz = f64::from(short(272));
        record::check_sampling_rate(FORMAT, rate_hz)?;
        let start = usize::try_from(long(22)).ok().filter(|at| *at >= HEADER_BYTES);
        let start = start.ok_or_else(|| {
            EcgError::field(
                FORMAT,
                "offset of the samples",
                long(22).to_string(),
                "a place behind the header",
            )
        })?;
        check_sum(bytes, start, warnings);
        let there = usize::try_from(size.saturating_sub(start as u64)).unwrap_or(usize::MAX);
        let samples = samples(long(14), there, count, warnings)?;
        record::check_size(FORMAT, count as u64, samples as u64)?;
        let (mut names, mut steps_uv) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            // Nanovolts; absent leads have negative values.
            let resolution_nv = short(206 + 2 * index);
            if resolution_nv <= 0 {
                let (field, value) = (
                    format!("resolution of lead {}", index + 1),
                    resolution_nv.to_string(),
                );
                return Err(EcgError::field(FORMAT, field, value, "nanovolts above 0"));
            }
            names.push(lead_name(short(158 + 2 * index), index));
            steps_uv.push(f64::from(resolution_nv) / 1e3);
        }
        Ok(Self {
            start,
            samples,
            rate_hz,
            names,
            steps_uv,
        })
    }
}

fn leads_of(count: i16) -> Result<usize, EcgError> {
    let fits = usize::try_from(count)
        .ok()
        .filter(|n| (1..=LEADS_MAX).contains(n));
    fits.ok_or_else(|| EcgError::field(FORMAT, "number of leads", count.to_string(), "1 to 12"))
}

fn check_sum(bytes: &[u8], start: usize, warnings: &mut Vec<String>) {
    let stated = u16_le(bytes, 8).unwrap_or(0);
    let covered = bytes
        .get(CHECKED_FROM..start.min(bytes.len()))
        .unwrap_or_default();
    if stated != crc_ccitt(covered) {
        warnings.push("ishne: the checksum of the header differs; it may be damaged".into());
    }
}

/// Samples of each lead. Some recorders state those of all leads together.
fn samples(stated: i32, bytes: usize, count: usize, warnings: &mut Vec<String>) -> Result<usize, EcgError> {
    let there = bytes / (2 * count);
    let stated = usize::try_from(stated).unwrap_or(0);
    if stated == 0 {
        return Err(EcgError::field(
            FORMAT,
            "number of samples",
            stated.to_string(),
            "a number above 0",
        ));
    }
    if count > 1 && stated == there * count {
        warnings.push(format!(
            "ishne: {there} of {stated} samples a lead are there: the header counts all leads together, or the file is cut"
        ));
        return Ok(there);
    }
    if there < stated {
        if there < 2 {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the samples".into(),
                wanted: (stated * count * 2) as u64,
                got: bytes as u64,
            });
        }
        warnings.push(format!(
            "ishne: the recording is cut: {there} of {stated} samples are there; send it again"
        ));
    }
    Ok(there.min(stated))
}

fn lead_name(code: i16, index: usize) -> LeadName {
    let known = usize::try_from(code)
        .ok()
        .and_then(|code| LEAD_NAMES.get(code))
        .filter(|name| !name.is_empty());
    match known {
        Some(name) => LeadName::new(name),
        None => LeadName::new(&format!("channel {}", index + 1)),
    }
}

fn describe(bytes: &[u8], made: &mut Record) {
    let short = |at: usize| i32::from(i16_le(bytes, at).unwrap_or(0));
    let field = |at: usize, length: usize| bytes.get(at..at + length).and_then(text);
    let patient = &mut made.patient;
    patient.name = match (field(68, 40), field(28, 40)) {
        (Some(last), Some(first)) => Some(format!("{last}^{first}")),
        (last, first) => last.or(first),
    };
    patient.identifier = field(108, 20);
    patient.sex = match short(128) {
        1 => Some("M".into()),
        2 => Some("F".into()),
        _ => None,
    };
    patient.birth_date = day(short(136), short(134), short(132));
    made.acquired_at = acquired_at(bytes);
    made.recorder.model = field(232, 40);
}

fn acquired_at(bytes: &[u8]) -> Option<String> {
    let short = |at: usize| i32::from(i16_le(bytes, at).unwrap_or(0));
    let time = time_of_day(short(150), short(152), short(154));
    day(short(142), short(140), short(138)).map(|day| day + &time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Three leads (II, V5 and one without a name) of 2.5 uV at 200 Hz.
    fn file(samples: &[[i16; 3]]) -> Vec<u8> {
        const VARIABLE: &[u8] = b"remarks";
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(10, &(VARIABLE.len() as i32).to_le_bytes());
        put(14, &(samples.len() as i32).to_le_bytes());
        put(18, &(HEADER_BYTES as i32).to_le_bytes());
        put(22, &((HEADER_BYTES + VARIABLE.len()) as i32).to_le_bytes());
        put(28, b"Ann");
        put(68, b"Clark");
        put(108, b"H-9");
        let shorts = [
            (128, 2),
            (132, 8),
            (134, 5),
            (136, 1953),
            (138, 22),
            (140, 11),
            (142, 2002),
            (150, 9),
            (152, 10),
            (156, 3),
            (158, 6),
            (160, 15),
            (162, 0),
            (206, 2_500),
            (208, 2_500),
            (210, 2_500),
            (272, 200),
        ];
        for (at, value) in shorts {
            put(at, &i16::to_le_bytes(value));
        }
        put(232, b"Recorder 7");
        bytes.extend(VARIABLE);
        let crc = crc_ccitt(&bytes[CHECKED_FROM..]);
        bytes[8..10].copy_from_slice(&crc.to_le_bytes());
        bytes.extend(samples.iter().flatten().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    #[test]
    fn leads_and_patient_are_read() {
        let record = read(&file(&[[1, 2, 3], [-1, -2, -3]])).unwrap();
        assert!(record.warnings.is_empty(), "{:?}", record.warnings);
        let names: Vec<_> = record.leads.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(
            (names, record.sampling_rate_hz),
            (vec!["II", "V5", "channel 3"], 200.0)
        );
        assert_eq!(record.leads[1].samples_uv, [5.0, -5.0]);
        assert_eq!(record.patient.name.as_deref(), Some("Clark^Ann"));
        assert_eq!(record.patient.birth_date.as_deref(), Some("19530508"));
        assert_eq!(record.acquired_at.as_deref(), Some("20021122091000"));
        assert_eq!(record.recorder.model.as_deref(), Some("Recorder 7"));
    }

    #[test]
    fn a_count_of_all_leads_together_is_understood() {
        let mut bytes = file(&[[1, 2, 3]; 10]);
        bytes[14..18].copy_from_slice(&30_i32.to_le_bytes());
        let record = read(&bytes).unwrap();
        assert_eq!((record.len(), record.warnings.len()), (10, 2));
    }

    #[test]
    fn cut_and_damaged_files_are_told() {
        let whole = file(&[[1, 2, 3]; 50]);
        for length in 0..whole.len() {
            if let Ok(record) = read(&whole[..length]) {
                assert!(record.warnings.iter().any(|w| w.contains("cut")), "{length}");
            }
        }
        let mut damaged = whole.clone();
        damaged[80] ^= 1;
        assert!(read(&damaged).unwrap().warnings[0].contains("checksum"));
        let bad = |at: usize, value: i16| {
            let mut bytes = whole.clone();
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            assert!(read(&bytes).is_err(), "{at}");
        };
        bad(156, 0);
        bad(156, 13);
        bad(272, 0);
        bad(206, -9);
    }

    #[test]
    fn pieces_are_the_whole() {
        let samples: Vec<[i16; 3]> = (0..5_000).map(|i| [i, i % 97, -i]).collect();
        let bytes = file(&samples);
        let whole = read(&bytes).unwrap();
        crate::ecg::formats::stream::tests::compare(
            || stream::open(Box::new(bytes.clone())).unwrap(),
            &whole,
        );
        let cut = bytes[..20_000].to_vec();
        let whole = read(&cut).unwrap();
        crate::ecg::formats::stream::tests::compare(|| stream::open(Box::new(cut.clone())).unwrap(), &whole);
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic(changes in proptest::collection::vec((0_usize..600, any::<u8>()), 1..12), cut in 0_usize..1_200) {
            let mut bytes = file(&[[1, 2, 3]; 50]);
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
