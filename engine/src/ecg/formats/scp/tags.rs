//! Section 1: the patient, the time, the recorder and its filters (EN 1064 section 5.4).

use super::super::raw::{day, text, time_of_day, u16_le};
use crate::ecg::record::Record;

/// Tag that ends the section.
const END: u8 = 255;

/// Puts what section 1 says into the record; a tag that is cut ends the reading of it.
pub(super) fn apply(body: &[u8], record: &mut Record) {
    let mut at = 0;
    let (mut last, mut first, mut second) = (None, None, None);
    let (mut date, mut time) = (None, None);
    while let (Some(tag), Some(length)) = (body.get(at).copied(), u16_le(body, at + 1)) {
        let start = at + 3;
        let Some(value) = body
            .get(start..start + usize::from(length))
            .filter(|_| tag != END)
        else {
            break;
        };
        at = start + value.len();
        let number = || u16_le(value, 0).filter(|v| *v > 0).map(f64::from);
        match tag {
            0 => last = text(value),
            1 => first = text(value),
            2 => record.patient.identifier = text(value),
            3 => second = text(value),
            4 => record.patient.age_years = age(value),
            5 => record.patient.birth_date = date_of(value),
            8 => record.patient.sex = sex(value),
            14 => recorder(value, record),
            25 => date = date_of(value),
            26 => time = time_of(value),
            27 => record.filters.low_hz = number().map(|hundredths| hundredths / 100.0),
            28 => record.filters.high_hz = number(),
            29 => record.filters.notch_hz = notch(value),
            _ => {}
        }
    }
    let given: Vec<String> = [first, second].into_iter().flatten().collect();
    let family = last.unwrap_or_default();
    let name = if given.is_empty() {
        family
    } else {
        format!("{family}^{}", given.join(" "))
    };
    record.patient.name = (!name.is_empty()).then_some(name);
    record.acquired_at = date.map(|date| date + &time.unwrap_or_default());
}

fn age(value: &[u8]) -> Option<f64> {
    let (number, unit) = (f64::from(u16_le(value, 0)?), *value.get(2)?);
    let years = match unit {
        1 => number,
        2 => number / 12.0,
        3 => number / 52.18,
        4 => number / 365.25,
        5 => number / 8_766.0,
        _ => return None,
    };
    (number > 0.0).then_some(years)
}

fn date_of(value: &[u8]) -> Option<String> {
    let [month, of_month] = *value.get(2..4)? else {
        return None;
    };
    day(
        i32::from(u16_le(value, 0)?),
        i32::from(month),
        i32::from(of_month),
    )
}

fn time_of(value: &[u8]) -> Option<String> {
    let [hour, minute, second] = *value.first_chunk::<3>()?;
    time_of_day(i32::from(hour), i32::from(minute), i32::from(second))
}

fn sex(value: &[u8]) -> Option<String> {
    match value.first()? {
        1 => Some("M".into()),
        2 => Some("F".into()),
        _ => None,
    }
}

fn notch(value: &[u8]) -> Option<f64> {
    let bits = *value.first()?;
    match (bits & 1 != 0, bits & 2 != 0) {
        (true, _) => Some(60.0),
        (false, true) => Some(50.0),
        _ => None,
    }
}

/// Tag 14: the model stands at a fixed place; the other texts follow one another behind byte 36.
fn recorder(value: &[u8], record: &mut Record) {
    const MODEL: std::ops::Range<usize> = 8..14;
    const TEXTS: usize = 36;
    let mut rest = value.get(TEXTS..).unwrap_or_default().split(|b| *b == 0);
    let mut next = || rest.next().and_then(text);
    let (_analysis, serial_number, software, _scp, manufacturer) = (next(), next(), next(), next(), next());
    let recorder = &mut record.recorder;
    recorder.model = value.get(MODEL).and_then(text);
    recorder.serial_number = serial_number;
    recorder.software = software;
    recorder.manufacturer = manufacturer;
}
