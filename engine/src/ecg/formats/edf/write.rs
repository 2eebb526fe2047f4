//! Writes EDF+ (continuous): 16 bits, microvolts, remarks as annotations.

use super::super::quantise::{Quantised, VALUE_MAX, quantise};
use crate::ecg::error::EcgError;
use crate::ecg::record::Record;

const FORMAT: &str = "edf";
/// Longest data record that EDF recommends, in bytes.
const RECORD_BYTES_MAX: usize = 61_440;
/// Longest remark written, in bytes.
const REMARK_BYTES_MAX: usize = 200;
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Writes a recording. Samples keep the recorder's own steps where 16 bits hold them; gaps become the level of zero and
/// are remarked.
///
/// # Errors
/// [`EcgError::CannotHold`] when the sampling rate or the range of a lead cannot be said in EDF's eight characters.
pub fn write(record: &Record) -> Result<Vec<u8>, EcgError> {
    let (samples, duration) = data_record(record.len(), record.sampling_rate_hz, record.leads.len())?;
    let records = record.len().div_ceil(samples);
    let signals: Vec<(String, Coded)> = record
        .leads
        .iter()
        .map(|lead| {
            let quantised = quantise(&lead.samples_uv, lead.resolution_uv);
            (label(lead.name.as_str()), Coded::of(quantised))
        })
        .collect();
    if let Some((name, _)) = signals.iter().find(|(_, coded)| coded.is_flat()) {
        return Err(EcgError::CannotHold {
            format: FORMAT,
            why: format!(
                "the range of {name} cannot be said in EDF's eight characters of microvolts; write DICOM or WFDB"
            ),
        });
    }
    let record_s: f64 = duration.trim().parse().unwrap_or(1.0);
    let lists = annotation_lists(&remarks(record), records, record_s);
    let list_bytes = lists
        .iter()
        .map(Vec::len)
        .max()
        .unwrap_or(0)
        .next_multiple_of(2)
        .max(16);
    let mut out = header(record, &signals, records, &duration, samples, list_bytes / 2);
    for (index, list) in lists.iter().enumerate() {
        for (_, coded) in &signals {
            for place in index * samples..(index + 1) * samples {
                out.extend_from_slice(&coded.at(place).to_le_bytes());
            }
        }
        out.extend_from_slice(list);
        out.extend(std::iter::repeat_n(0, list_bytes - list.len()));
    }
    Ok(out)
}

/// One channel with limits that eight characters can say.
struct Coded {
    values: Vec<Option<i16>>,
    digital_max: i32,
    physical: [String; 2],
    zero: i16,
}

impl Coded {
    fn of(quantised: Quantised) -> Self {
        const TRIED_MAX: i32 = 8_000;
        let largest = quantised
            .values
            .iter()
            .flatten()
            .map(|v| i32::from(*v).abs())
            .max()
            .unwrap_or(0);
        let limits =
            |d: i32| [-1.0, 1.0].map(|sign| sign * f64::from(d) * quantised.step_uv + quantised.offset_uv);
        // The limits are chosen so that their eight characters say the step exactly, if any do.
        let error = |d: i32| -> f64 {
            let written = limits(d).map(|v| short(v).parse::<f64>().unwrap_or(f64::MAX));
            let step = (written[1] - written[0]) / (2.0 * f64::from(d));
            let centre = (written[0] + written[1]) / 2.0;
            (step - quantised.step_uv).abs() * f64::from(largest.max(1))
                + (centre - quantised.offset_uv).abs()
        };
        let lowest = largest.max(1).max(VALUE_MAX - TRIED_MAX);
        let mut best = (f64::MAX, VALUE_MAX);
        for d in (lowest..=VALUE_MAX).rev() {
            let now = error(d);
            if now < best.0 {
                best = (now, d);
            }
            if now < 1e-9 * quantised.step_uv {
                break;
            }
        }
        let zero = (-quantised.offset_uv / quantised.step_uv).round();
        Self {
            digital_max: best.1,
            physical: limits(best.1).map(short),
            zero: zero.clamp(-f64::from(best.1), f64::from(best.1)) as i16,
            values: quantised.values,
        }
    }

    /// Whether both limits are said as the same number, or hardly another: steps too small for eight characters.
    fn is_flat(&self) -> bool {
        let [low, high] = [0, 1].map(|place| self.physical[place].parse().unwrap_or(0.0_f64));
        (high - low).abs() < 1e-6
    }

    /// Behind the end of the recording the last value goes on.
    fn at(&self, place: usize) -> i16 {
        let value = self.values.get(place).or(self.values.last());
        value.copied().flatten().unwrap_or(self.zero)
    }
}

/// A number in at most eight characters.
fn short(value: f64) -> String {
    const CHARS_MAX: usize = 8;
    let plain = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    let tries = (0..=7).rev().map(|digits| plain(format!("{value:.digits$}")));
    let fitting = tries.into_iter().find(|text| text.len() <= CHARS_MAX);
    fitting.unwrap_or_else(|| plain(format!("{value:.0}")).chars().take(CHARS_MAX).collect())
}

/// Samples in a data record and its duration: whole records if some length divides the recording.
fn data_record(length: usize, rate_hz: f64, leads: usize) -> Result<(usize, String), EcgError> {
    let exact = |samples: usize| {
        let seconds = samples as f64 / rate_hz;
        let text = short(seconds);
        let said: f64 = text.parse().unwrap_or(0.0);
        ((said - seconds).abs() <= 1e-9 * seconds).then_some(text)
    };
    let most = (RECORD_BYTES_MAX / 2 / leads.max(1)).clamp(1, length.max(1));
    let whole = (1..=most)
        .rev()
        .filter(|samples| length.is_multiple_of(*samples))
        .find_map(|samples| Some((samples, exact(samples)?)));
    // A length without such a divisor gets full seconds and a few samples more than it has.
    let padded = || {
        (1..=most)
            .rev()
            .find_map(|samples| Some((samples, exact(samples)?)))
    };
    let few = |found: &(usize, String)| length / found.0 <= 99_999_999 && (found.0 > 20 || length < 2_000);
    whole
        .filter(few)
        .or_else(padded)
        .ok_or_else(|| EcgError::CannotHold {
            format: FORMAT,
            why: format!("{rate_hz} Hz cannot be said in EDF's eight characters; write DICOM or WFDB"),
        })
}

fn label(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(12)
        .collect();
    format!("ECG {plain}")
}

/// Onset in seconds and text.
fn remarks(record: &Record) -> Vec<(f64, String)> {
    let rate_hz = record.sampling_rate_hz;
    let mut out: Vec<(f64, String)> = record
        .annotations
        .iter()
        .map(|a| {
            (
                a.sample.map_or(0.0, |sample| sample as f64 / rate_hz),
                a.text.clone(),
            )
        })
        .collect();
    for lead in &record.leads {
        let missing = lead.samples_uv.iter().filter(|v| v.is_nan()).count();
        if let Some(first) = lead.samples_uv.iter().position(|v| v.is_nan()) {
            out.push((
                first as f64 / rate_hz,
                format!("{}: {missing} samples without signal", lead.name),
            ));
        }
    }
    out
}

/// One list for each data record: its start, then as many remarks as are its share.
fn annotation_lists(remarks: &[(f64, String)], records: usize, record_s: f64) -> Vec<Vec<u8>> {
    let seconds = |value: f64| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let stamped: Vec<Vec<u8>> = remarks
        .iter()
        .map(|(onset, text)| {
            let mut kept = text.replace(['\u{0}', '\u{14}', '\u{15}'], " ");
            let end = (0..=REMARK_BYTES_MAX.min(kept.len()))
                .rev()
                .find(|at| kept.is_char_boundary(*at));
            kept.truncate(end.unwrap_or(0));
            format!("+{}\u{14}{kept}\u{14}\u{0}", seconds(*onset)).into_bytes()
        })
        .collect();
    let total: usize = stamped.iter().map(Vec::len).sum();
    let longest = stamped.iter().map(Vec::len).max().unwrap_or(0);
    let share = total / records.max(1) + longest;
    let mut waiting = stamped.into_iter().peekable();
    (0..records)
        .map(|index| {
            let mut list = format!("+{}\u{14}\u{14}\u{0}", seconds(index as f64 * record_s)).into_bytes();
            let room = list.len() + share;
            while let Some(next) = waiting.next_if(|next| list.len() + next.len() <= room) {
                list.extend(next);
            }
            list
        })
        .collect()
}

/// The header under construction: fields of fixed width in plain ASCII.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn put(&mut self, text: &str, width: usize) {
        let plain = text
            .chars()
            .map(|c| if c.is_ascii() && !c.is_control() { c } else { '_' });
        let kept: String = plain.take(width).collect();
        self.0.push_str(&format!("{kept:width$}"));
    }
}

fn header(
    record: &Record,
    signals: &[(String, Coded)],
    records: usize,
    duration: &str,
    samples: usize,
    list_samples: usize,
) -> Vec<u8> {
    let count = signals.len() + 1;
    let (date, time) = super::super::stamp::split(record.acquired_at.as_deref());
    let mut fields = Fields::default();
    fields.put("0", 8);
    fields.put(&patient(record), 80);
    fields.put(&recording(record, date.as_deref()), 80);
    // Without a date the first day that the two-digit year can say.
    let date = date.as_deref().unwrap_or("19850101");
    let time = time.as_deref().unwrap_or("000000");
    fields.put(&format!("{}.{}.{}", &date[6..8], &date[4..6], &date[2..4]), 8);
    fields.put(&format!("{}.{}.{}", &time[..2], &time[2..4], &time[4..6]), 8);
    fields.put(&(256 * (count + 1)).to_string(), 8);
    fields.put("EDF+C", 44);
    fields.put(&records.to_string(), 8);
    fields.put(duration, 8);
    fields.put(&count.to_string(), 4);
    channels(&mut fields, record, signals, samples, list_samples);
    fields.0.into_bytes()
}

/// The properties of all channels, each property of all of them together; the annotations come last.
fn channels(
    fields: &mut Fields,
    record: &Record,
    signals: &[(String, Coded)],
    samples: usize,
    list_samples: usize,
) {
    let each = |fields: &mut Fields, width: usize, value: &dyn Fn(&Coded) -> String, list: &str| {
        signals
            .iter()
            .for_each(|(_, coded)| fields.put(&value(coded), width));
        fields.put(list, width);
    };
    signals.iter().for_each(|(label, _)| fields.put(label, 16));
    fields.put("EDF Annotations", 16);
    each(fields, 80, &|_| String::new(), "");
    each(fields, 8, &|_| "uV".to_owned(), "");
    each(fields, 8, &|coded| coded.physical[0].clone(), "-1");
    each(fields, 8, &|coded| coded.physical[1].clone(), "1");
    each(fields, 8, &|coded| (-coded.digital_max).to_string(), "-32768");
    each(fields, 8, &|coded| coded.digital_max.to_string(), "32767");
    let filters = prefilter(record);
    each(fields, 80, &|_| filters.clone(), "");
    each(fields, 8, &|_| samples.to_string(), &list_samples.to_string());
    each(fields, 32, &|_| String::new(), "");
}

/// A subfield of EDF+: blanks become underscores, what ASCII cannot say becomes `X`.
fn subfield(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() || !text.is_ascii() {
        return "X".to_owned();
    }
    text.replace(' ', "_")
}

fn patient(record: &Record) -> String {
    let patient = &record.patient;
    let born = patient.birth_date.as_deref().and_then(day_of_edf);
    format!(
        "{} {} {} {}",
        subfield(patient.identifier.as_deref()),
        subfield(patient.sex.as_deref().filter(|sex| matches!(*sex, "M" | "F"))),
        born.as_deref().unwrap_or("X"),
        subfield(patient.name.as_deref())
    )
}

fn recording(record: &Record, date: Option<&str>) -> String {
    let start = date.and_then(day_of_edf);
    let model = record.recorder.model.as_deref();
    format!(
        "Startdate {} X X {}",
        start.as_deref().unwrap_or("X"),
        subfield(model)
    )
}

/// `19510802` as `02-AUG-1951`.
fn day_of_edf(date: &str) -> Option<String> {
    let month: usize = date.get(4..6)?.parse().ok()?;
    let name = MONTHS.get(month.checked_sub(1)?)?;
    Some(format!("{}-{name}-{}", date.get(6..8)?, date.get(..4)?))
}

fn prefilter(record: &Record) -> String {
    let filters = &record.filters;
    let parts = [
        ("HP", filters.low_hz),
        ("LP", filters.high_hz),
        ("N", filters.notch_hz),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter_map(|(key, hz)| Some(format!("{key}:{}Hz", (*hz)?)))
        .collect();
    said.join(" ")
}
