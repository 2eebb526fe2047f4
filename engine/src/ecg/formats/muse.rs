//! GE MUSE XML (document `RestingECG`): leads as base64 of 16-bit numbers, eight of them, the rest derived.

use super::raw::{base64, clean, crc_32, day, time_of_day};
use super::xml::{Document, Element, decode};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Annotation, Lead, LeadName, Record, StoredBeat};

/// Root element of the documents.
pub(super) const ROOT: &str = "RestingECG";
const FORMAT: &str = "muse";
/// Most remarks kept.
const ANNOTATIONS_MAX: usize = 200;

/// Reads a document; limb leads that it leaves out are computed.
///
/// # Errors
/// [`EcgError::Cut`] and [`EcgError::Field`] for a document that is not whole or says impossible things,
/// [`EcgError::NoSignal`] without a rhythm waveform.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let text = decode(bytes);
    let document = Document::parse(FORMAT, &text)?;
    let root = document.root();
    let waveform = |kind: &str| {
        root.children("Waveform").find(|w| {
            w.text_at(&["WaveformType"])
                .is_some_and(|t| t.eq_ignore_ascii_case(kind))
        })
    };
    let rhythm = waveform("Rhythm").ok_or(EcgError::NoSignal { format: FORMAT })?;
    let mut warnings = Vec::new();
    let rate_hz = rate_of(&rhythm)?;
    let leads = leads(&rhythm, &mut warnings)?;
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    made.stored_beat = waveform("Median").and_then(|w| median(&w));
    made.warnings = warnings;
    // Hundredths of a hertz, as the cart stores them.
    made.filters.low_hz = rhythm.number_at(&["HighPassFilter"]).map(|v| v / 100.0);
    made.filters.high_hz = rhythm.number_at(&["LowPassFilter"]);
    made.filters.notch_hz = rhythm.number_at(&["ACFilter"]).filter(|v| *v > 0.0);
    patient(&root, &mut made);
    test(&root, &mut made);
    made.annotations = annotations(&root);
    Ok(made.with_derived_limb_leads())
}

fn rate_of(waveform: &Element<'_>) -> Result<f64, EcgError> {
    let base = waveform.number_at(&["SampleBase"]).unwrap_or(0.0);
    let exponent = waveform.number_at(&["SampleExponent"]).unwrap_or(0.0);
    let rate_hz = base * 10_f64.powf(exponent);
    record::check_sampling_rate(FORMAT, rate_hz)?;
    Ok(rate_hz)
}

fn leads(waveform: &Element<'_>, warnings: &mut Vec<String>) -> Result<Vec<Lead>, EcgError> {
    let mut out = Vec::new();
    for data in waveform.children("LeadData").take(record::LEADS_MAX + 1) {
        out.push(lead(&data, warnings)?);
    }
    let longest = out.iter().map(|lead| lead.samples_uv.len()).max().unwrap_or(0);
    record::check_size(FORMAT, out.len() as u64, longest as u64)?;
    for lead in &mut out {
        if lead.samples_uv.len() < longest {
            warnings.push(format!(
                "muse: lead {} has {} of {longest} samples",
                lead.name,
                lead.samples_uv.len()
            ));
        }
        lead.samples_uv.resize(longest, f32::NAN);
    }
    Ok(out)
}

fn lead(data: &Element<'_>, warnings: &mut Vec<String>) -> Result<Lead, EcgError> {
    let id = data.text_at(&["LeadID"]).unwrap_or_default();
    let bad = |field: &str, value: &str, expected| {
        EcgError::field(FORMAT, format!("{field} of lead {id:.20}"), value, expected)
    };
    let unit = data.text_at(&["LeadAmplitudeUnits"]).unwrap_or("MICROVOLTS");
    let unit_uv = match unit {
        "MICROVOLTS" => 1.0,
        "MILLIVOLTS" => 1e3,
        _ => return Err(bad("LeadAmplitudeUnits", unit, "MICROVOLTS")),
    };
    let step = data.number_at(&["LeadAmplitudeUnitsPerBit"]);
    let step_uv = step
        .filter(|v| *v != 0.0)
        .map(|v| v * unit_uv)
        .ok_or_else(|| bad("LeadAmplitudeUnitsPerBit", "", "a number such as 4.88"))?;
    if let Some(bytes) = data.number_at(&["LeadSampleSize"]).filter(|v| *v != 2.0) {
        return Err(bad("LeadSampleSize", &bytes.to_string(), "2 bytes"));
    }
    let coded = data.text_at(&["WaveFormData"]).unwrap_or_default();
    let raw = base64(coded).ok_or_else(|| bad("WaveFormData", coded, "base64"))?;
    check_stated(data, id, &raw, warnings)?;
    let baseline = data.number_at(&["FirstSampleBaseline"]).unwrap_or(0.0);
    let offset = data.number_at(&["LeadOffsetFirstSample"]).unwrap_or(0.0);
    // A lead that was switched on late starts with a gap (3-lead-at-a-time recorders).
    let late = offset.clamp(0.0, raw.len() as f64) as usize;
    let words = raw.as_chunks::<2>().0.iter();
    let values = words.map(|word| ((f64::from(i16::from_le_bytes(*word)) - baseline) * step_uv) as f32);
    Ok(Lead {
        name: LeadName::new(id),
        samples_uv: std::iter::repeat_n(f32::NAN, late).chain(values).collect(),
        resolution_uv: step_uv.abs(),
        derived: false,
    })
}

/// The number of samples and the checksum that stand beside a lead.
fn check_stated(
    data: &Element<'_>,
    id: &str,
    raw: &[u8],
    warnings: &mut Vec<String>,
) -> Result<(), EcgError> {
    let wanted = data.number_at(&["LeadSampleCountTotal"]).unwrap_or(0.0).max(0.0) as u64;
    let there = raw.len() as u64 / 2;
    if there < 2 {
        return Err(EcgError::Cut {
            format: FORMAT,
            what: format!("the samples of lead {id:.20}"),
            wanted: wanted * 2,
            got: raw.len() as u64,
        });
    }
    if there < wanted {
        warnings.push(format!(
            "muse: lead {id:.20} is cut: {there} of {wanted} samples are there; send it again"
        ));
    }
    let stated = data
        .text_at(&["LeadDataCRC32"])
        .and_then(|t| t.parse::<u32>().ok());
    if stated.is_some_and(|crc| crc != 0 && crc != crc_32(raw)) {
        warnings.push(format!(
            "muse: the checksum of lead {id:.20} differs; the file may be damaged"
        ));
    }
    Ok(())
}

fn median(waveform: &Element<'_>) -> Option<StoredBeat> {
    let leads = leads(waveform, &mut Vec::new()).ok()?;
    let whole = leads.first().is_some_and(|lead| !lead.samples_uv.is_empty());
    let sampling_rate_hz = rate_of(waveform).ok()?;
    whole.then_some(StoredBeat {
        leads,
        sampling_rate_hz,
        fiducial: None,
    })
}

fn patient(root: &Element<'_>, made: &mut Record) {
    let Some(person) = root.at(&["PatientDemographics"]) else {
        return;
    };
    let text = |name: &'static str| person.text_at(&[name]).and_then(clean);
    let patient = &mut made.patient;
    patient.identifier = text("PatientID");
    patient.name = match (text("PatientLastName"), text("PatientFirstName")) {
        (Some(last), Some(first)) => Some(format!("{last}^{first}")),
        (last, first) => last.or(first),
    };
    patient.sex = match text("Gender").as_deref() {
        Some("MALE") => Some("M".into()),
        Some("FEMALE") => Some("F".into()),
        _ => None,
    };
    patient.birth_date = text("DateofBirth").and_then(|t| date(&t));
    let number = person.number_at(&["PatientAge"]);
    patient.age_years = match text("AgeUnits").as_deref() {
        Some("YEARS") | None => number,
        Some("MONTHS") => number.map(|v| v / 12.0),
        Some("WEEKS") => number.map(|v| v / 52.18),
        Some("DAYS") => number.map(|v| v / 365.25),
        Some("HOURS") => number.map(|v| v / 8_766.0),
        Some(_) => None,
    }
    .filter(|age| (0.0..150.0).contains(age));
}

/// `MM-DD-YYYY` as MUSE writes it, as `YYYYMMDD`.
fn date(text: &str) -> Option<String> {
    let parts: Vec<i32> = text
        .split(['-', '/'])
        .map(|p| p.parse().ok())
        .collect::<Option<_>>()?;
    match parts.as_slice() {
        [year, month, of_month] if *year > 1_000 => day(*year, *month, *of_month),
        [month, of_month, year] => day(*year, *month, *of_month),
        _ => None,
    }
}

fn test(root: &Element<'_>, made: &mut Record) {
    let Some(test) = root.at(&["TestDemographics"]) else {
        return;
    };
    let text = |name: &'static str| test.text_at(&[name]).and_then(clean);
    made.recorder.manufacturer = Some("GE".into());
    made.recorder.model = text("AcquisitionDevice");
    made.recorder.software = text("AcquisitionSoftwareVersion");
    let time = text("AcquisitionTime").and_then(|t| {
        let parts: Vec<i32> = t.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
        time_of_day(
            *parts.first()?,
            *parts.get(1)?,
            parts.get(2).copied().unwrap_or(0),
        )
    });
    made.acquired_at = text("AcquisitionDate")
        .and_then(|t| date(&t))
        .map(|day| day + &time.unwrap_or_default());
}

/// Measurements and statements of the cart.
fn annotations(root: &Element<'_>) -> Vec<Annotation> {
    let numbers = [
        ("VentricularRate", "Ventricular rate", "bpm"),
        ("PRInterval", "PR interval", "ms"),
        ("QRSDuration", "QRS duration", "ms"),
        ("QTInterval", "QT interval", "ms"),
        ("QTCorrected", "QTc interval", "ms"),
        ("PAxis", "P axis", "deg"),
        ("RAxis", "QRS axis", "deg"),
        ("TAxis", "T axis", "deg"),
    ];
    let measured = numbers.iter().filter_map(|(tag, name, unit)| {
        let value = root.text_at(&["RestingECGMeasurements", tag])?;
        clean(&format!("{name}: {value} {unit}"))
    });
    let statements = root
        .children("Diagnosis")
        .flat_map(|diagnosis| diagnosis.children("DiagnosisStatement"))
        .filter_map(|statement| clean(statement.text_at(&["StmtText"])?));
    measured
        .chain(statements)
        .take(ANNOTATIONS_MAX)
        .map(|text| Annotation { sample: None, text })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lead_data(id: &str, coded: &str, crc: u32) -> String {
        format!(
            "<LeadData><LeadSampleCountTotal>3</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88\
             </LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{id}</LeadID>\
             <LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>{crc}</LeadDataCRC32><WaveFormData>\n{coded}\n\
             </WaveFormData></LeadData>"
        )
    }

    fn document(crc: u32) -> String {
        // 1, 2, -1 and 5, 4, 3 as 16-bit little endian
        let (one, two) = (lead_data("I", "AQACAP//", crc), lead_data("II", "BQAEAAMA", 0));
        format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><!DOCTYPE RestingECG SYSTEM \"restecg.dtd\"><RestingECG>\
             <PatientDemographics><PatientID>7</PatientID><PatientAge>11</PatientAge><AgeUnits>YEARS</AgeUnits>\
             <DateofBirth>02-09-1990</DateofBirth><Gender>MALE</Gender><PatientLastName>M\u{fc}ller</PatientLastName>\
             </PatientDemographics><TestDemographics><AcquisitionTime>10:35:17</AcquisitionTime>\
             <AcquisitionDate>01-02-2024</AcquisitionDate></TestDemographics><RestingECGMeasurements>\
             <PRInterval>122</PRInterval></RestingECGMeasurements><Diagnosis><DiagnosisStatement><StmtText>Sinus\
             </StmtText></DiagnosisStatement></Diagnosis><Waveform><WaveformType>Median</WaveformType></Waveform>\
             <Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase><SampleExponent>0\
             </SampleExponent><HighPassFilter>5</HighPassFilter><LowPassFilter>150</LowPassFilter>{one}{two}\
             </Waveform></RestingECG>"
        )
    }

    fn latin(text: &str) -> Vec<u8> {
        text.chars().map(|c| c as u8).collect()
    }

    #[test]
    fn leads_are_read_and_derived() {
        let record = read(&latin(&document(crc_32(&[1, 0, 2, 0, 255, 255])))).unwrap();
        assert!(record.warnings.is_empty(), "{:?}", record.warnings);
        let names: Vec<_> = record.leads.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["I", "II", "III", "aVR", "aVL", "aVF"]);
        assert_eq!(record.leads[0].samples_uv, [4.88, 9.76, -4.88]);
        assert_eq!(record.leads[2].samples_uv[0], 24.4 - 4.88);
        assert_eq!(record.leads[3].resolution_uv, 2.44);
        assert_eq!(record.patient.name.as_deref(), Some("Müller"));
        assert_eq!(record.patient.birth_date.as_deref(), Some("19900209"));
        assert_eq!(record.acquired_at.as_deref(), Some("20240102103517"));
        assert_eq!(record.filters.low_hz, Some(0.05));
        let said: Vec<_> = record.annotations.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(said, ["PR interval: 122 ms", "Sinus"]);
    }

    #[test]
    fn damage_is_told() {
        let record = read(&latin(&document(1))).unwrap();
        assert!(record.warnings[0].contains("checksum"), "{:?}", record.warnings);
        let cut = document(0).replace("BQAEAAMA", "BQAEAA==");
        let record = read(&latin(&cut)).unwrap();
        assert!(
            record.warnings.iter().any(|w| w.contains("2 of 3")),
            "{:?}",
            record.warnings
        );
        assert!(read(&latin(&document(0).replace("BQAEAAMA", "B-AEAAMA"))).is_err());
        assert!(read(&latin(&document(0).replace("Rhythm", "Other"))).is_err());
        let whole = latin(&document(0));
        (0..whole.len() - 1).for_each(|length| assert!(read(&whole[..length]).is_err(), "{length}"));
    }

    #[test]
    fn the_teaching_record_reads() {
        let Some(folder) = crate::ecg::test_data("ecg/formats/muse") else {
            return;
        };
        let bytes = std::fs::read(folder.join("guangxi_teaching_sinus_rhythm.xml")).unwrap();
        let record = read(&bytes).unwrap();
        assert_eq!(
            (record.len(), record.leads.len(), record.sampling_rate_hz),
            (5_000, 12, 500.0)
        );
        assert!(record.warnings.is_empty(), "{:?}", record.warnings);
        assert_eq!(record.stored_beat.map(|b| b.leads.len()), Some(12));
    }

    proptest! {
        #[test]
        fn hostile_documents_never_panic(at in 0_usize..3_000, value: u8, cut in 0_usize..6_000) {
            let mut bytes = latin(&document(0));
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
