//! HL7 annotated ECG (ANSI/HL7 V3 ECG R1, document `AnnotatedECG`): rhythm series, derived beat, filters, remarks.

use super::raw::clean;
use super::xml::{Document, Element, decode};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Annotation, Lead, LeadName, Record, StoredBeat};

/// Root element of the documents.
pub(super) const ROOT: &str = "AnnotatedECG";
const FORMAT: &str = "aecg";
/// Most remarks kept.
const ANNOTATIONS_MAX: usize = 1_000;
/// Most sequences looked at in one set.
const SEQUENCES_MAX: usize = record::LEADS_MAX + 4;

/// Reads a document; limb leads that it leaves out are computed.
///
/// # Errors
/// [`EcgError::Cut`] and [`EcgError::Field`] for a document that is not whole or says impossible things,
/// [`EcgError::NoSignal`] without a rhythm series.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let text = decode(bytes);
    let document = Document::parse(FORMAT, &text)?;
    let root = document.root();
    let mut warnings = Vec::new();
    let series = root
        .descendants("series")
        .find_map(|series| Some((series, series.at(&["component", "sequenceSet"])?)));
    let (series, set) = series.ok_or(EcgError::NoSignal { format: FORMAT })?;
    let (leads, rate_hz) = sequences(&set, &mut warnings)?;
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    made.warnings = warnings;
    made.stored_beat = derived_beat(&root);
    patient(&root, &mut made);
    recorder(&series, &mut made);
    filters(&series, &mut made);
    made.acquired_at = [["low"], ["center"]]
        .iter()
        .find_map(|name| series.at(&["effectiveTime"])?.at(name)?.attribute("value"))
        .map(|time| time.chars().filter(char::is_ascii_digit).take(14).collect());
    made.annotations = annotations(&root);
    Ok(made.with_derived_limb_leads())
}

/// Leads of a set, and the rate of its time sequence.
fn sequences(set: &Element<'_>, warnings: &mut Vec<String>) -> Result<(Vec<Lead>, f64), EcgError> {
    let (mut leads, mut rate_hz) = (Vec::new(), None);
    for component in set.children("component").take(SEQUENCES_MAX) {
        let Some(sequence) = component.at(&["sequence"]) else {
            continue;
        };
        let code = sequence.at(&["code"]).and_then(|c| c.attribute("code"));
        let (code, value) = (code.unwrap_or_default(), sequence.at(&["value"]));
        let Some(value) = value else { continue };
        if let Some(increment) = value.at(&["increment"]) {
            rate_hz = Some(rate_of(&increment)?);
        } else if value.at(&["digits"]).is_some() {
            match lead(code, &value)? {
                Some(lead) => leads.push(lead),
                None => warnings.push(format!("aecg: {code:.40} is not a voltage and was left out")),
            }
        }
    }
    let longest = leads.iter().map(|lead| lead.samples_uv.len()).max().unwrap_or(0);
    if let Some(short) = leads.iter().find(|lead| lead.samples_uv.len() < longest) {
        warnings.push(format!(
            "aecg: lead {} has {} of {longest} samples; the file is cut or damaged, send it again",
            short.name,
            short.samples_uv.len()
        ));
    }
    record::check_size(FORMAT, leads.len() as u64, longest as u64)?;
    for lead in &mut leads {
        lead.samples_uv.resize(longest, f32::NAN);
    }
    let rate_hz = rate_hz.ok_or_else(|| {
        EcgError::field(
            FORMAT,
            "time sequence",
            "",
            "a sequence with an increment in seconds",
        )
    })?;
    record::check_sampling_rate(FORMAT, rate_hz)?;
    Ok((leads, rate_hz))
}

fn rate_of(increment: &Element<'_>) -> Result<f64, EcgError> {
    let unit = increment.attribute("unit").unwrap_or("s");
    let value = increment.attribute("value").unwrap_or_default();
    let bad = || EcgError::field(FORMAT, "increment", format!("{value} {unit}"), "a time above 0");
    let seconds = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => return Err(bad()),
    };
    let step: f64 = value.trim().parse().map_err(|_| bad())?;
    // Increments such as 0.002 are not exact in binary: the rate is rounded to what was meant.
    let rate = 1.0 / (step * seconds);
    let rounded = (rate * 1e6).round() / 1e6;
    if rounded.is_finite() && rounded > 0.0 {
        Ok(rounded)
    } else {
        Err(bad())
    }
}

/// One lead: origin and scale with their units, digits between blanks. `None` where the unit is no voltage.
fn lead(code: &str, value: &Element<'_>) -> Result<Option<Lead>, EcgError> {
    let quantity = |name: &'static str| -> Option<(f64, f64)> {
        let element = value.at(&[name])?;
        let number: f64 = element.attribute("value")?.trim().parse().ok()?;
        Some((number, microvolts(element.attribute("unit")?)?))
    };
    let Some((scale, unit_uv)) = quantity("scale").filter(|(v, _)| v.is_finite()) else {
        return Ok(None);
    };
    let step_uv = scale * unit_uv;
    let origin_uv = quantity("origin").map_or(0.0, |(value, unit)| value * unit);
    let digits = value.at(&["digits"]).map(|d| d.text()).unwrap_or_default();
    let mut samples_uv = Vec::new();
    for word in digits.split_ascii_whitespace() {
        let number: f64 = word.parse().map_err(|_| {
            EcgError::field(
                FORMAT,
                format!("digits of {code:.40}"),
                word,
                "numbers between blanks",
            )
        })?;
        samples_uv.push((number * step_uv + origin_uv) as f32);
    }
    Ok(Some(Lead {
        name: LeadName::new(code),
        samples_uv,
        resolution_uv: step_uv.abs(),
        derived: false,
    }))
}

fn microvolts(unit: &str) -> Option<f64> {
    match unit {
        "uV" => Some(1.0),
        "mV" => Some(1e3),
        "nV" => Some(1e-3),
        "V" => Some(1e6),
        _ => None,
    }
}

/// The representative beat of a derived series.
fn derived_beat(root: &Element<'_>) -> Option<StoredBeat> {
    let series = root.descendants("derivedSeries").next()?;
    let set = series.at(&["component", "sequenceSet"])?;
    let (leads, sampling_rate_hz) = sequences(&set, &mut Vec::new()).ok()?;
    let whole = leads.first().is_some_and(|lead| !lead.samples_uv.is_empty());
    whole.then_some(StoredBeat {
        leads,
        sampling_rate_hz,
        fiducial: None,
    })
}

fn patient(root: &Element<'_>, made: &mut Record) {
    let Some(subject) = root.descendants("trialSubject").next() else {
        return;
    };
    let patient = &mut made.patient;
    patient.identifier = subject
        .at(&["id"])
        .and_then(|id| clean(id.attribute("extension")?));
    let Some(person) = subject.at(&["subjectDemographicPerson"]) else {
        return;
    };
    patient.name = person.at(&["name"]).and_then(|name| {
        let part = |tag: &'static str| name.text_at(&[tag]).and_then(clean);
        match (part("family"), part("given")) {
            (Some(family), Some(given)) => Some(format!("{family}^{given}")),
            (family, given) => family.or(given).or_else(|| clean(name.text())),
        }
    });
    let code = person
        .at(&["administrativeGenderCode"])
        .and_then(|c| c.attribute("code"));
    patient.sex = match code {
        Some("M") => Some("M".into()),
        Some("F") => Some("F".into()),
        _ => None,
    };
    let born = person.at(&["birthTime"]).and_then(|t| t.attribute("value"));
    patient.birth_date = born
        .and_then(|t| t.get(..8))
        .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_owned);
    patient.age_years = age(root);
}

/// Age as LOINC 21612-7, in years where the unit is one of age.
fn age(root: &Element<'_>) -> Option<f64> {
    let observation = root
        .descendants("relatedObservation")
        .find(|o| o.at(&["code"]).and_then(|c| c.attribute("code")) == Some("21612-7"))?;
    let value = observation.at(&["value"])?;
    let number: f64 = value.attribute("value")?.parse().ok()?;
    let years = match value.attribute("unit")? {
        "a" => number,
        "mo" => number / 12.0,
        "wk" => number / 52.18,
        "d" => number / 365.25,
        _ => return None,
    };
    (0.0..150.0).contains(&years).then_some(years)
}

fn recorder(series: &Element<'_>, made: &mut Record) {
    let Some(author) = series.at(&["author", "seriesAuthor"]) else {
        return;
    };
    let text = |path: &[&'static str]| author.text_at(path).and_then(clean);
    made.recorder.model = text(&["manufacturedSeriesDevice", "manufacturerModelName"]);
    made.recorder.software = text(&["manufacturedSeriesDevice", "softwareName"]);
    made.recorder.manufacturer = text(&["manufacturerOrganization", "name"]);
    let id = author.at(&["manufacturedSeriesDevice", "id"]);
    made.recorder.serial_number = id
        .and_then(|id| clean(id.attribute("extension")?))
        .filter(|id| id != "0");
}

/// Cut-off frequencies of the control variables.
fn filters(series: &Element<'_>, made: &mut Record) {
    for outer in series.descendants("controlVariable") {
        let kind = outer
            .at(&["code"])
            .and_then(|c| c.attribute("code"))
            .unwrap_or_default();
        let edge = outer.children("component").find_map(|part| {
            let value = part.at(&["controlVariable", "value"])?;
            let hertz = value.attribute("unit") == Some("Hz");
            value.attribute("value")?.parse::<f64>().ok().filter(|_| hertz)
        });
        match kind {
            "MDC_ECG_CTL_VBL_ATTR_FILTER_LOW_PASS" => made.filters.high_hz = edge,
            "MDC_ECG_CTL_VBL_ATTR_FILTER_HIGH_PASS" => made.filters.low_hz = edge,
            "MDC_ECG_CTL_VBL_ATTR_FILTER_NOTCH" => made.filters.notch_hz = edge,
            _ => {}
        }
    }
}

/// Annotations with a value: measured intervals and statements.
fn annotations(root: &Element<'_>) -> Vec<Annotation> {
    let mut out = Vec::new();
    for annotation in root.descendants("annotation") {
        if out.len() >= ANNOTATIONS_MAX {
            break;
        }
        let code = annotation.at(&["code"]);
        let name = code.and_then(|c| c.attribute("displayName").or_else(|| c.attribute("code")));
        let Some(value) = annotation.at(&["value"]) else {
            continue;
        };
        let said = match (value.attribute("value"), clean(value.text())) {
            (Some(number), _) => Some(format!(
                "{number} {}",
                value.attribute("unit").unwrap_or_default()
            )),
            (None, Some(text)) => Some(text),
            (None, None) => value
                .attribute("displayName")
                .or_else(|| value.attribute("code"))
                .map(str::to_owned),
        };
        let Some(said) = said else { continue };
        let name = name.unwrap_or("annotation");
        out.extend(clean(&format!("{name}: {said}")).map(|text| Annotation { sample: None, text }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(digits: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>
<id extension="S-1"/><subjectDemographicPerson><name>张三</name><administrativeGenderCode code="F"/>
<birthTime value="19530508"/></subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<component><series><effectiveTime><low value="20021122091000.000"/></effectiveTime>
<author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>E1</manufacturerModelName></manufacturedSeriesDevice></seriesAuthor></author>
<controlVariable><controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_LOW_PASS"/><component><controlVariable>
<value value="150" unit="Hz"/></controlVariable></component></controlVariable></controlVariable>
<component><sequenceSet>
<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20021122091000.000"/><increment value="0.002" unit="s"/></value></sequence></component>
<component><sequence><code code="MDC_ECG_LEAD_I"/><value xsi:type="SLIST_PQ"><origin value="1" unit="uV"/><scale value="2.5" unit="uV"/><digits>{digits}</digits></value></sequence></component>
<component><sequence><code code="MDC_ECG_LEAD_AVR"/><value xsi:type="SLIST_PQ"><origin value="0" unit="mV"/><scale value="0.005" unit="mV"/><digits>4 5
6</digits></value></sequence></component>
</sequenceSet></component>
<subjectOf><annotationSet><component><annotation><code code="MDC_ECG_HEART_RATE"/><value value="57" unit="bpm"/></annotation></component></annotationSet></subjectOf>
</series></component></AnnotatedECG>"#
        )
    }

    #[test]
    fn leads_patient_and_settings_are_read() {
        let record = read(document("1 2 -3").as_bytes()).unwrap();
        assert_eq!(record.sampling_rate_hz, 500.0);
        assert_eq!(record.leads[0].samples_uv, [3.5, 6.0, -6.5]);
        assert_eq!(
            (record.leads[1].name.as_str(), &record.leads[1].samples_uv[..]),
            ("aVR", &[20.0, 25.0, 30.0][..])
        );
        assert_eq!(record.patient.name.as_deref(), Some("张三"));
        assert_eq!(record.acquired_at.as_deref(), Some("20021122091000"));
        assert_eq!(record.recorder.model.as_deref(), Some("E1"));
        assert_eq!(record.filters.high_hz, Some(150.0));
        assert_eq!(record.annotations[0].text, "MDC_ECG_HEART_RATE: 57 bpm");
        assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    }

    #[test]
    fn what_is_not_whole_is_told() {
        let short = read(document("1 2").as_bytes()).unwrap();
        assert!(short.warnings[0].contains("2 of 3"), "{:?}", short.warnings);
        assert!(matches!(
            read(document("1 x 3").as_bytes()),
            Err(EcgError::Field { .. })
        ));
        let whole = document("1 2 3");
        for length in (0..whole.len() - 1).filter(|n| whole.is_char_boundary(*n)) {
            assert!(read(&whole.as_bytes()[..length]).is_err(), "{length}");
        }
        let no_time = whole.replace("increment", "decrement");
        assert!(matches!(read(no_time.as_bytes()), Err(EcgError::Field { .. })));
    }

    #[test]
    fn the_public_sample_reads() {
        let Some(folder) = crate::ecg::test_data("ecg/formats/aecg") else {
            return;
        };
        let record = read(&std::fs::read(folder.join("ecgtoolkit_Example.xml")).unwrap()).unwrap();
        assert_eq!(
            (record.len(), record.leads.len(), record.sampling_rate_hz),
            (5_000, 12, 500.0)
        );
        assert_eq!(record.patient.age_years, Some(46.0));
        assert!(record.stored_beat.is_some());
    }

    proptest! {
        #[test]
        fn hostile_documents_never_panic(at in 0_usize..2_000, value: u8, cut in 0_usize..4_000) {
            let mut bytes = document("1 2 3").into_bytes();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
