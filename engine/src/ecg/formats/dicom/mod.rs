//! DICOM waveform objects: 12-lead, General, Ambulatory and General 32-bit ECG (PS3.3 A.34 and C.10.9).
//!
//! The rhythm group is read: the longest original multiplex group, and with it every group of the same rate, length and
//! start that adds leads. A group of median beats becomes the stored beat. Values become microvolts as
//! `(sample x sensitivity x correction + baseline) x unit`; padding values become gaps; channels with a skew are moved
//! back in step.

mod annotations;
mod channel;
mod element;
pub mod stream;
pub mod write;

use self::channel::{Channel, Encoding};
use crate::dicom::{Attributes, Lookup};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, Patient, Record, Recorder, RecorderFilters, StoredBeat};

pub(super) const FORMAT: &str = "dicom";
/// Most multiplex groups looked at.
const GROUPS_MAX: usize = 32;

const WAVEFORM_SEQUENCE: u32 = 0x5400_0100;
const WAVEFORM_DATA: u32 = 0x5400_1010;

/// One multiplex group, before its samples are decoded.
struct Group<'l, 'a> {
    attributes: Attributes<'l, 'a>,
    channels: u64,
    samples: u64,
    rate_hz: f64,
    offset_ms: f64,
    original: bool,
    /// Whether its label says that it is a mean beat and no stretch of time.
    mean_beat: bool,
}

/// Reads a waveform object. The patient's name is left to the caller, who knows the character set.
///
/// # Errors
/// [`EcgError::NoSignal`] without a waveform, [`EcgError::Field`], [`EcgError::TooLarge`] and [`EcgError::Unsupported`]
/// for attributes that cannot be followed, [`EcgError::Cut`] when less than a fiftieth of the samples is there.
pub fn read(lookup: &Lookup<'_>) -> Result<Record, EcgError> {
    let root = Attributes::root(lookup);
    let groups = groups(&root)?;
    let Some(main) = rhythm_group(&groups) else {
        return Err(EcgError::NoSignal { format: FORMAT });
    };
    let mut warnings = Vec::new();
    let mut filters = RecorderFilters::default();
    let mut leads = read_group(main, &mut warnings, &mut filters)?;
    for group in &groups {
        let beside = group.samples == main.samples
            && (group.rate_hz - main.rate_hz).abs() < 1e-9
            && (group.offset_ms - main.offset_ms).abs() < 0.5;
        if std::ptr::eq(group, main) || group.channels == 0 {
            continue;
        }
        if !beside {
            if group.original {
                warnings.push(format!(
                    "dicom: a group of {} channels of another rate, length or start was left out",
                    group.channels
                ));
            }
            continue;
        }
        if group.mean_beat {
            continue;
        }
        let beside = read_group(group, &mut warnings, &mut filters)?;
        let known = |lead: &Lead| leads.iter().any(|have| have.name == lead.name);
        // Derived leads are others than the recorded ones; the same leads again are median beats, even where the
        // rhythm is no longer than a beat.
        if !group.original && beside.iter().any(known) {
            continue;
        }
        for lead in beside {
            if leads.len() < record::LEADS_MAX && leads.iter().all(|have| have.name != lead.name) {
                leads.push(lead);
            }
        }
    }
    let mut made = Record::new(FORMAT, leads, main.rate_hz)?;
    made.warnings = warnings;
    made.filters = filters;
    made.stored_beat = stored_beat(&groups, main);
    made.recorder = Recorder {
        manufacturer: root.text(0x0008_0070),
        model: root.text(0x0008_1090),
        serial_number: root.text(0x0018_1000),
        software: root.text(0x0018_1020),
    };
    made.patient = patient(&root);
    made.acquired_at = root.text(0x0008_002A).or_else(|| root.text(0x0008_0022));
    made.annotations = annotations::read(&root);
    Ok(made)
}

fn groups<'l, 'a>(root: &Attributes<'l, 'a>) -> Result<Vec<Group<'l, 'a>>, EcgError> {
    let count = root.item_count(WAVEFORM_SEQUENCE).min(GROUPS_MAX);
    let mut groups = Vec::with_capacity(count);
    for index in 0..count {
        let Some(attributes) = root.item(WAVEFORM_SEQUENCE, index) else {
            continue;
        };
        let channels = u64::from(attributes.us(0x003A_0005).unwrap_or(0));
        let samples = u64::from(attributes.ul(0x003A_0010).unwrap_or(0));
        let rate_hz = attributes.ds(0x003A_001A).unwrap_or(0.0);
        record::check_sampling_rate(FORMAT, rate_hz)?;
        record::check_size(FORMAT, channels, samples)?;
        let original = attributes.text(0x003A_0004).as_deref() != Some("DERIVED");
        groups.push(Group {
            channels,
            samples,
            rate_hz,
            offset_ms: attributes.ds(0x0018_1068).unwrap_or(0.0),
            original,
            mean_beat: !original && says_beat(&attributes),
            attributes,
        });
    }
    Ok(groups)
}

/// Whether the Multiplex Group Label (free text) names a median or mean beat.
fn says_beat(group: &Attributes<'_, '_>) -> bool {
    let label = group.text(0x003A_0020).unwrap_or_default().to_ascii_uppercase();
    label.contains("BEAT") || label.contains("MEDIAN")
}

/// The longest original group, else the longest; the first of equals.
fn rhythm_group<'g, 'l, 'a>(groups: &'g [Group<'l, 'a>]) -> Option<&'g Group<'l, 'a>> {
    let seconds = |group: &Group<'_, '_>| group.samples as f64 / group.rate_hz;
    let rank = |group: &Group<'_, '_>| (group.original, seconds(group));
    groups
        .iter()
        .filter(|g| g.channels > 0 && g.samples > 0)
        .rev()
        .max_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
}

fn read_group(
    group: &Group<'_, '_>,
    warnings: &mut Vec<String>,
    filters: &mut RecorderFilters,
) -> Result<Vec<Lead>, EcgError> {
    let encoding = Encoding::of(&group.attributes)?;
    let data = group.attributes.bytes(WAVEFORM_DATA).unwrap_or_default();
    let frame = group.channels * encoding.bytes as u64;
    let there = (data.len() as u64 / frame).min(group.samples);
    if there < group.samples {
        let (wanted, got) = (group.samples * frame, data.len() as u64);
        if there * 50 < group.samples || there < 2 {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the waveform data".into(),
                wanted,
                got,
            });
        }
        let all = group.samples;
        warnings.push(format!(
            "dicom: the waveform data is cut: {there} of {all} samples are there; send it again"
        ));
    } else if data.len() as u64 > group.samples * frame + 1 {
        warnings.push("dicom: there is more waveform data than the header says; the rest was ignored".into());
    }
    let mut leads = Vec::new();
    for index in 0..group.channels as usize {
        let definition = group.attributes.item(0x003A_0200, index);
        let channel = Channel::of(definition.as_ref(), index, warnings);
        if let Some(definition) = &definition {
            filters.low_hz = filters.low_hz.or(definition.ds(0x003A_0220));
            filters.high_hz = filters.high_hz.or(definition.ds(0x003A_0221));
            filters.notch_hz = filters.notch_hz.or(definition.ds(0x003A_0222));
        }
        let Some(unit_uv) = channel.unit_uv else {
            warnings.push(format!(
                "dicom: channel {} is not a voltage and was left out",
                channel.name
            ));
            continue;
        };
        let samples_uv = channel.decode(
            &data,
            &encoding,
            index,
            group.channels as usize,
            there as usize,
            group.rate_hz,
        );
        let resolution_uv = (channel.sensitivity * channel.correction * unit_uv).abs();
        leads.push(Lead {
            name: channel.name,
            samples_uv,
            resolution_uv,
            derived: false,
        });
    }
    Ok(leads)
}

/// The first derived group of a beat's length.
fn stored_beat<'l, 'a>(groups: &[Group<'l, 'a>], main: &Group<'l, 'a>) -> Option<StoredBeat> {
    const BEAT_S_MAX: f64 = 3.0;
    let beat = groups.iter().find(|group| {
        let short = group.samples > 1 && group.samples as f64 <= BEAT_S_MAX * group.rate_hz;
        !group.original && short && group.channels > 0 && !std::ptr::eq(*group, main)
    })?;
    let leads = read_group(beat, &mut Vec::new(), &mut RecorderFilters::default()).ok()?;
    // Positions count from 1.
    let fiducial = beat.attributes.ul(0x0018_106E).and_then(|n| n.checked_sub(1));
    (!leads.is_empty()).then(|| StoredBeat {
        leads,
        sampling_rate_hz: beat.rate_hz,
        fiducial: fiducial.map(|n| n as usize),
    })
}

fn patient(root: &Attributes<'_, '_>) -> Patient {
    let age = root.text(0x0010_1010).and_then(|text| {
        // PS3.5 AS: three digits and D, W, M or Y.
        let digits: f64 = text.get(..3)?.parse().ok()?;
        match text.get(3..4)? {
            "Y" => Some(digits),
            "M" => Some(digits / 12.0),
            "W" => Some(digits / 52.18),
            "D" => Some(digits / 365.25),
            _ => None,
        }
    });
    Patient {
        name: None,
        identifier: root.text(0x0010_0020),
        sex: root.text(0x0010_0040),
        age_years: age,
        birth_date: root.text(0x0010_0030),
    }
}

#[cfg(test)]
mod tests;
