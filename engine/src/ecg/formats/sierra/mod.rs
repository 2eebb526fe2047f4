//! Philips Sierra XML (document `restingecgdata`, versions 1.03, 1.04 and 1.04.01): plain, base64 or XLI samples.
//!
//! In XLI the leads III, aVR, aVL and aVF are stored as what is left when I and II have foretold them.

mod xli;

use super::raw::{base64, clean};
use super::xml::{Document, Element, decode};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Annotation, Lead, LeadName, Record, STANDARD_LEADS, StoredBeat};

/// Root element of the documents.
pub(super) const ROOT: &str = "restingecgdata";
const FORMAT: &str = "sierra";
/// Most remarks kept.
const ANNOTATIONS_MAX: usize = 200;
/// Longest stretch a lead of a resting ECG may have, in samples.
const LEAD_SAMPLES_MAX: usize = 1 << 18;

/// Reads a document.
///
/// # Errors
/// [`EcgError::Cut`] and [`EcgError::Field`] for a document that is not whole or says impossible things,
/// [`EcgError::NoSignal`] without waveforms, [`EcgError::Unsupported`] for another compression.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let text = decode(bytes);
    let document = Document::parse(FORMAT, &text)?;
    let root = document.root();
    let waves = root.at(&["waveforms", "parsedwaveforms"]);
    let waves = waves.ok_or(EcgError::NoSignal { format: FORMAT })?;
    let shape = Shape::of(&root, &waves)?;
    let mut warnings = Vec::new();
    let mut values = samples(&waves, &shape)?;
    let wanted = shape.samples();
    for (name, lead) in shape.names.iter().zip(&mut values) {
        lead.truncate(wanted);
        if lead.len() < wanted {
            warnings.push(format!(
                "sierra: lead {name} ends after {} of {wanted} samples; the file is cut or damaged, send it again",
                lead.len()
            ));
        }
    }
    let longest = values.iter().map(Vec::len).max().unwrap_or(0);
    record::check_size(FORMAT, values.len() as u64, longest as u64)?;
    let named = shape.names.iter().zip(values);
    let leads = named.map(|(name, lead)| {
        let offset = shape.offset;
        let mut samples_uv: Vec<f32> = lead
            .iter()
            .map(|v| ((f64::from(*v) - offset) * shape.step_uv) as f32)
            .collect();
        samples_uv.resize(longest, f32::NAN);
        Lead {
            name: LeadName::new(name),
            samples_uv,
            resolution_uv: shape.step_uv,
            derived: false,
        }
    });
    let mut made = Record::new(FORMAT, leads.collect(), shape.rate_hz)?;
    made.warnings = warnings;
    made.stored_beat = stored_beat(&root);
    describe(&root, &waves, &mut made);
    made.annotations = annotations(&root);
    leave_out_calibration(&mut made);
    Ok(made)
}

/// Recordings of 11 s end with a calibration mark of 1 mV in every lead, which would be measured as a beat. No heart
/// breaks Einthoven's law as the mark does; where it is found the last second is left out.
fn leave_out_calibration(record: &mut Record) {
    const MARK_UV_MIN: f32 = 500.0;
    const MARK_S_MIN: f64 = 0.05;
    let rate_hz = record.sampling_rate_hz;
    let second = rate_hz.round() as usize;
    let limb = [0, 1, 2].map(|standard| record.standard(standard));
    let ([Some(one), Some(two), Some(three)], Some(start)) = (limb, record.len().checked_sub(second)) else {
        return;
    };
    let marked = (start..record.len())
        .filter(|n| {
            let broken = three.samples_uv[*n] - two.samples_uv[*n] + one.samples_uv[*n];
            broken.abs() > MARK_UV_MIN
        })
        .count();
    if (marked as f64) < MARK_S_MIN * rate_hz || start < second {
        return;
    }
    for lead in &mut record.leads {
        lead.samples_uv.truncate(start);
    }
    record.annotations.push(Annotation {
        sample: None,
        text: "calibration mark in the last second left out".into(),
    });
}

/// What the document says about its samples.
struct Shape {
    names: Vec<String>,
    rate_hz: f64,
    step_uv: f64,
    offset: f64,
    duration_ms: f64,
}

impl Shape {
    /// Version 1.04 says it beside the samples, 1.03 with the acquisition.
    fn of(root: &Element<'_>, waves: &Element<'_>) -> Result<Self, EcgError> {
        let signal = root.at(&["dataacquisition", "signalcharacteristics"]);
        let number = |attribute: &str, element: &'static str| {
            let beside = waves
                .attribute(attribute)
                .and_then(|v| v.trim().parse::<f64>().ok());
            beside.or_else(|| signal?.number_at(&[element]))
        };
        let bad = |field: &str| EcgError::field(FORMAT, field, "", "a number above 0");
        let rate_hz = number("samplespersecond", "samplingrate").ok_or_else(|| bad("sampling rate"))?;
        record::check_sampling_rate(FORMAT, rate_hz)?;
        let step_uv = number("resolution", "resolution")
            .or_else(|| signal?.number_at(&["signalresolution"]))
            .filter(|v| *v > 0.0)
            .ok_or_else(|| bad("resolution"))?;
        let bits = number("bitspersample", "bitspersample").unwrap_or(16.0);
        if (bits - 16.0).abs() > 0.5 {
            return Err(EcgError::Unsupported {
                format: FORMAT,
                what: format!("samples of {bits} bits"),
            });
        }
        let duration_ms = number("durationperchannel", "durationperchannel");
        let duration_ms = duration_ms
            .filter(|v| *v > 0.0)
            .ok_or_else(|| bad("durationperchannel"))?;
        if duration_ms * rate_hz / 1e3 > LEAD_SAMPLES_MAX as f64 {
            let value = (duration_ms * rate_hz / 1e3) as u64;
            return Err(EcgError::TooLarge {
                format: FORMAT,
                what: "number of samples of a lead",
                value,
                limit: LEAD_SAMPLES_MAX as u64,
            });
        }
        Ok(Self {
            names: names(waves, number("numberofleads", "numberchannelsvalid")),
            rate_hz,
            step_uv,
            offset: number("signaloffset", "signaloffset").unwrap_or(0.0),
            duration_ms,
        })
    }

    fn samples(&self) -> usize {
        (self.duration_ms * self.rate_hz / 1e3).round() as usize
    }
}

fn names(waves: &Element<'_>, count: Option<f64>) -> Vec<String> {
    let labels = waves.attribute("leadlabels").unwrap_or_default();
    let mut names: Vec<String> = labels
        .split_ascii_whitespace()
        .take(record::LEADS_MAX)
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        names = STANDARD_LEADS.iter().map(|name| (*name).to_owned()).collect();
    }
    if let Some(count) = count.filter(|c| *c >= 1.0) {
        names.truncate(count as usize);
    }
    names
}

/// The samples of each lead as they are stored.
fn samples(waves: &Element<'_>, shape: &Shape) -> Result<Vec<Vec<i32>>, EcgError> {
    let (leads, each) = (shape.names.len(), shape.samples());
    let encoding = waves.attribute("dataencoding").unwrap_or("Base64");
    if encoding.eq_ignore_ascii_case("plain") {
        let words = waves
            .text()
            .split([' ', '\t', '\r', '\n', ','])
            .filter(|w| !w.is_empty());
        let values: Result<Vec<i32>, EcgError> = words
            .take(leads.saturating_mul(each))
            .map(|word| {
                word.parse()
                    .map_err(|_| EcgError::field(FORMAT, "waveform", word, "numbers between blanks"))
            })
            .collect();
        return cut_into_leads(&values?, leads, each);
    }
    if !encoding.eq_ignore_ascii_case("base64") {
        return Err(EcgError::Unsupported {
            format: FORMAT,
            what: format!("waveforms encoded as {encoding:.20}"),
        });
    }
    let bytes = base64(waves.text())
        .ok_or_else(|| EcgError::field(FORMAT, "waveform", waves.text().trim(), "base64"))?;
    let flag = waves.attribute("compressflag").unwrap_or("True");
    let method = waves.attribute("compression").or_else(|| {
        waves
            .attribute("compressmethod")
            .filter(|_| flag.eq_ignore_ascii_case("true"))
    });
    match method {
        None | Some("" | "None") => {
            let words = bytes.as_chunks::<2>().0.iter();
            let values: Vec<i32> = words.map(|w| i32::from(i16::from_le_bytes(*w))).collect();
            cut_into_leads(&values, leads, each)
        }
        Some("XLI") => {
            let mut found =
                xli::decode(&bytes, leads, each + 2).map_err(|place| cut(leads, place, bytes.len()))?;
            if found.len() < leads {
                return Err(cut(leads, found.len(), bytes.len()));
            }
            restore_limb_leads(&shape.names, &mut found);
            Ok(found)
        }
        Some(other) => Err(EcgError::Unsupported {
            format: FORMAT,
            what: format!("compression {other:.20}"),
        }),
    }
}

fn cut(leads: usize, place: usize, bytes: usize) -> EcgError {
    EcgError::Cut {
        format: FORMAT,
        what: format!("lead {} of {leads} in the waveforms", place + 1),
        wanted: bytes as u64 + 1,
        got: bytes as u64,
    }
}

fn cut_into_leads(values: &[i32], leads: usize, each: usize) -> Result<Vec<Vec<i32>>, EcgError> {
    let found: Vec<Vec<i32>> = values
        .chunks(each.max(1))
        .take(leads)
        .map(<[i32]>::to_vec)
        .collect();
    if found.len() < leads {
        return Err(cut(leads, found.len(), values.len() * 2));
    }
    Ok(found)
}

/// III, aVR, aVL and aVF from what I and II foretell and the stored rest.
fn restore_limb_leads(names: &[String], leads: &mut [Vec<i32>]) {
    let standard = STANDARD_LEADS[..6]
        .iter()
        .zip(names)
        .all(|(a, b)| *a == b.as_str());
    let [one, two, three, avr, avl, avf, ..] = leads else {
        return;
    };
    if !standard {
        return;
    }
    let at = |lead: &[i32], place: usize| lead.get(place).copied().unwrap_or(0);
    for (place, value) in three.iter_mut().enumerate() {
        *value = at(two, place).wrapping_sub(at(one, place)).wrapping_sub(*value);
    }
    let half = |a: i32, b: i32| a.wrapping_add(b) / 2;
    for (place, value) in avr.iter_mut().enumerate() {
        *value = 0_i32
            .wrapping_sub(*value)
            .wrapping_sub(half(at(one, place), at(two, place)));
    }
    for (place, value) in avl.iter_mut().enumerate() {
        *value = half(at(one, place), 0_i32.wrapping_sub(at(three, place))).wrapping_sub(*value);
    }
    for (place, value) in avf.iter_mut().enumerate() {
        *value = half(at(two, place), at(three, place)).wrapping_sub(*value);
    }
}

/// Representative beats, stored as base64 of 16-bit numbers.
fn stored_beat(root: &Element<'_>) -> Option<StoredBeat> {
    let beats = root.at(&["waveforms", "repbeats"])?;
    let number = |name: &str| beats.attribute(name)?.trim().parse::<f64>().ok();
    let (sampling_rate_hz, step_uv) = (number("samplespersec")?, number("resolution")?);
    record::check_sampling_rate(FORMAT, sampling_rate_hz).ok()?;
    let plain = beats.attribute("compression").is_none()
        && beats
            .attribute("dataencoding")
            .is_some_and(|e| e.eq_ignore_ascii_case("base64"));
    let mut leads = Vec::new();
    for beat in beats.children("repbeat").take(record::LEADS_MAX) {
        let coded = beat.at(&["waveform"]).map_or(beat.text(), |w| w.text());
        let bytes = base64(coded).filter(|_| plain)?;
        let words = bytes.as_chunks::<2>().0.iter();
        leads.push(Lead {
            name: LeadName::new(beat.attribute("leadname")?),
            samples_uv: words
                .map(|w| (f64::from(i16::from_le_bytes(*w)) * step_uv) as f32)
                .collect(),
            resolution_uv: step_uv,
            derived: false,
        });
    }
    let length = leads.first()?.samples_uv.len();
    let whole = length > 0 && leads.iter().all(|lead| lead.samples_uv.len() == length);
    whole.then_some(StoredBeat {
        leads,
        sampling_rate_hz,
        fiducial: None,
    })
}

fn describe(root: &Element<'_>, waves: &Element<'_>, made: &mut Record) {
    let text = |path: &[&'static str]| root.text_at(path).and_then(clean);
    let person = ["patient", "generalpatientdata"];
    let of = |rest: &[&'static str]| text(&[&person[..], rest].concat());
    let patient = &mut made.patient;
    patient.identifier = of(&["patientid"]);
    patient.name = match (of(&["name", "lastname"]), of(&["name", "firstname"])) {
        (Some(last), Some(first)) => Some(format!("{last}^{first}")),
        (last, first) => last.or(first),
    };
    patient.sex = match of(&["sex"]).as_deref() {
        Some("Male") => Some("M".into()),
        Some("Female") => Some("F".into()),
        _ => None,
    };
    patient.birth_date = of(&["age", "dateofbirth"])
        .map(|t| t.chars().filter(char::is_ascii_digit).collect::<String>())
        .filter(|t| t.len() == 8);
    patient.age_years = of(&["age", "years"])
        .and_then(|t| t.parse().ok())
        .filter(|age| (0.0..150.0).contains(age));
    if let Some(acquired) = root.at(&["dataacquisition"]) {
        let stamp = ["date", "time"].map(|name| acquired.attribute(name).unwrap_or_default());
        let digits: String = stamp.concat().chars().filter(char::is_ascii_digit).collect();
        made.acquired_at = (digits.len() >= 8).then_some(digits);
        let machine = acquired.at(&["machine"]);
        made.recorder.manufacturer = Some("Philips".into());
        made.recorder.model = machine.and_then(|m| clean(m.text()));
        made.recorder.serial_number = machine.and_then(|m| clean(m.attribute("machineid")?));
        made.recorder.software = machine.and_then(|m| clean(m.attribute("detaildescription")?));
    }
    let edge = |attribute: &str, element: &'static str| {
        let beside = waves.attribute(attribute).and_then(|v| v.parse::<f64>().ok());
        beside
            .or_else(|| root.number_at(&["dataacquisition", "signalcharacteristics", element]))
            .filter(|v| *v > 0.0)
    };
    made.filters.low_hz = edge("hipass", "hipass");
    made.filters.high_hz = edge("lowpass", "lowpass");
    made.filters.notch_hz = edge("notchfilterfreqs", "notchfilterfreqs");
}

/// Measurements and statements of the cart.
fn annotations(root: &Element<'_>) -> Vec<Annotation> {
    let numbers = [
        ("heartrate", "Ventricular rate", "bpm"),
        ("meanprint", "PR interval", "ms"),
        ("meanqrsdur", "QRS duration", "ms"),
        ("meanqtint", "QT interval", "ms"),
        ("meanqtc", "QTc interval", "ms"),
        ("pfrontaxis", "P axis", "deg"),
        ("qrsfrontaxis", "QRS axis", "deg"),
        ("tfrontaxis", "T axis", "deg"),
    ];
    let measured = root.descendants("crossleadmeasurements").next();
    let measured = measured.or_else(|| root.descendants("interpretationmeasurements").next());
    let measured = measured.into_iter().flat_map(|element| {
        numbers.iter().filter_map(move |(tag, name, unit)| {
            let value = element.number_at(&[tag])?;
            Some(format!("{name}: {value} {unit}"))
        })
    });
    let statements = root.descendants("statement").filter_map(|statement| {
        let part = |name: &'static str| statement.text_at(&[name]).unwrap_or_default();
        clean(&format!("{} {}", part("leftstatement"), part("rightstatement")))
    });
    measured
        .chain(statements)
        .take(ANNOTATIONS_MAX)
        .map(|text| Annotation { sample: None, text })
        .collect()
}

#[cfg(test)]
mod tests;
