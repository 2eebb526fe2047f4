//! Writes WFDB: a header and one signal file of format 16.

use super::super::quantise::quantise;
use super::super::stamp;
use crate::ecg::record::Record;

/// Format 16's value for "no sample".
const NO_SAMPLE: i16 = i16::MIN;

/// The two files of a record called `name`: `NAME.hea` and `NAME.dat`.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// Text of the header.
    pub header: Vec<u8>,
    /// Samples.
    pub signals: Vec<u8>,
}

/// Writes a recording. Samples keep the recorder's own steps where 16 bits hold them. Characters that a record name may
/// not have become underscores.
#[must_use]
pub fn write(record: &Record, name: &str) -> Files {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let coded: Vec<_> = record
        .leads
        .iter()
        .map(|lead| quantise(&lead.samples_uv, lead.resolution_uv))
        .collect();
    let mut header = format!(
        "{name} {} {} {}",
        coded.len(),
        record.sampling_rate_hz,
        record.len()
    );
    let (date, time) = stamp::split(record.acquired_at.as_deref());
    if let Some(time) = &time {
        header.push_str(&format!(" {}:{}:{}", &time[..2], &time[2..4], &time[4..6]));
        if let Some(date) = &date {
            header.push_str(&format!(" {}/{}/{}", &date[6..8], &date[4..6], &date[..4]));
        }
    }
    header.push('\n');
    for (lead, coded) in record.leads.iter().zip(&coded) {
        let stored = |value: &Option<i16>| value.unwrap_or(NO_SAMPLE);
        let sum = coded
            .values
            .iter()
            .fold(0_i16, |sum, value| sum.wrapping_add(stored(value)));
        let first = coded.values.first().map_or(0, stored);
        // Gain is steps a millivolt, baseline the step at zero; only whole numbers may stand there, so an offset within
        // a step moves the samples by less than half of one.
        let baseline = (-coded.offset_uv / coded.step_uv).round();
        header.push_str(&format!(
            "{name}.dat 16 {}({baseline})/mV 16 0 {first} {sum} 0 {}\n",
            1e3 / coded.step_uv,
            lead.name
        ));
    }
    let patient = &record.patient;
    if let Some(age) = patient.age_years {
        header.push_str(&format!("# age: {age}\n"));
    }
    if let Some(sex) = &patient.sex {
        header.push_str(&format!("# sex: {sex}\n"));
    }
    let mut signals = Vec::with_capacity(record.len() * coded.len() * 2);
    for place in 0..record.len() {
        for lead in &coded {
            let value = lead.values.get(place).copied().flatten().unwrap_or(NO_SAMPLE);
            signals.extend_from_slice(&value.to_le_bytes());
        }
    }
    Files {
        header: header.into_bytes(),
        signals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::formats::wfdb;
    use crate::ecg::synth::Synth;

    #[test]
    fn what_is_written_reads_back() {
        let mut record = Synth::default().make().record;
        for lead in &mut record.leads {
            lead.resolution_uv = 4.88;
            for value in &mut lead.samples_uv {
                *value = ((f64::from(*value) / 4.88).round() * 4.88) as f32;
            }
        }
        record.leads[3].samples_uv[7] = f32::NAN;
        record.acquired_at = Some("20240102103517".into());
        record.patient.age_years = Some(46.0);
        let files = write(&record, "a b");
        assert!(files.header.starts_with(b"a_b 12 500 5000 10:35:17 02/01/2024\n"));
        let side = |name: &str| (name == "a_b.dat").then(|| files.signals.clone());
        let back = wfdb::read(&files.header, &side).unwrap();
        assert!(back.warnings.is_empty(), "{:?}", back.warnings);
        assert_eq!(
            (back.lead_names(), back.patient),
            (record.lead_names(), record.patient)
        );
        for (got, want) in back.leads.iter().zip(&record.leads) {
            for (a, b) in got.samples_uv.iter().zip(&want.samples_uv) {
                assert!((a - b).abs() < 0.01 || a.is_nan() && b.is_nan(), "{a} {b}");
            }
        }
    }
}
