//! Waveform annotations: measurements as numbers with their units, remarks as text.

use super::super::element::{Code, Set};
use crate::ecg::analysis::Analysis;
use crate::ecg::record::Record;

/// Most annotations written.
const ANNOTATIONS_MAX: usize = 500;
/// Longest text written, in characters.
const TEXT_CHARS_MAX: usize = 500;
/// Group of what the recorder or its user remarked, and of what was measured here.
const GROUP_OF_RECORDER: u16 = 0;
const GROUP_OF_ANALYSIS: u16 = 1;

const MILLISECOND: Code<'_> = Code {
    value: "ms",
    scheme: "UCUM",
    meaning: "millisecond",
};
const DEGREE: Code<'_> = Code {
    value: "deg",
    scheme: "UCUM",
    meaning: "degree",
};
const PER_MINUTE: Code<'_> = Code {
    value: "/min",
    scheme: "UCUM",
    meaning: "per minute",
};
const MILLIVOLT: Code<'_> = Code {
    value: "mV",
    scheme: "UCUM",
    meaning: "millivolt",
};

/// Remarks first, then measurements.
pub(super) fn items(record: &Record, analysis: Option<&Analysis>) -> Vec<Set> {
    let mut items = Vec::new();
    for annotation in record.annotations.iter().take(ANNOTATIONS_MAX) {
        let kept: String = annotation
            .text
            .chars()
            .filter(|c| !c.is_control())
            .take(TEXT_CHARS_MAX)
            .collect();
        if kept.trim().is_empty() {
            continue;
        }
        let mut item = about(GROUP_OF_RECORDER);
        item.text(0x0070_0006, *b"ST", kept.trim());
        let place = annotation.sample.filter(|sample| *sample < record.len() as u64);
        if let Some(sample) = place {
            item.text(0x0040_A130, *b"CS", "POINT");
            // Positions count from 1.
            item.ul(0x0040_A132, &[sample as u32 + 1]);
        }
        items.push(item);
    }
    if let Some(analysis) = analysis {
        items.extend(measurements(analysis));
    }
    items
}

/// An annotation of all channels of the rhythm group.
fn about(group: u16) -> Set {
    let mut item = Set::default();
    item.us(0x0040_A0B0, &[1, 0]);
    item.us(0x0040_A180, &[group]);
    item
}

/// Numbers with the concepts of ISO/IEEE 11073-10102 that TID 3713 names (CID 3229), others with codes of our own.
fn measurements(analysis: &Analysis) -> Vec<Set> {
    let m = &analysis.measurements;
    let mdc = |value: &'static str, meaning: &'static str| Code {
        value,
        scheme: "MDC",
        meaning,
    };
    let own = |value: &'static str, meaning: &'static str| Code {
        value,
        scheme: "99GONGYING",
        meaning,
    };
    let rows = [
        (
            m.heart_rate_bpm,
            mdc("2:16016", "Ventricular Heart Rate"),
            PER_MINUTE,
        ),
        (m.rr_ms, mdc("2:16168", "RR interval global"), MILLISECOND),
        (m.p_ms, own("p_duration", "P duration global"), MILLISECOND),
        (m.pr_ms, mdc("2:15872", "PR interval global"), MILLISECOND),
        (m.qrs_ms, mdc("2:16156", "QRS duration global"), MILLISECOND),
        (m.qt_ms, mdc("2:16160", "QT interval global"), MILLISECOND),
        (
            m.qtc_bazett_ms,
            own("qtc_bazett", "QTc Interval (Bazett)"),
            MILLISECOND,
        ),
        (
            m.qtc_fridericia_ms,
            own("qtc_fridericia", "QTc Interval (Fridericia)"),
            MILLISECOND,
        ),
        (
            m.qtc_framingham_ms,
            own("qtc_framingham", "QTc Interval (Framingham)"),
            MILLISECOND,
        ),
        (
            m.qtc_hodges_ms,
            own("qtc_hodges", "QTc Interval (Hodges)"),
            MILLISECOND,
        ),
        (m.p_axis_deg, mdc("2:16128", "P Axis"), DEGREE),
        (m.qrs_axis_deg, mdc("2:16132", "QRS axis"), DEGREE),
        (m.t_axis_deg, mdc("2:16136", "T axis"), DEGREE),
        (m.rv5_mv, own("rv5", "R amplitude in V5"), MILLIVOLT),
        (m.sv1_mv, own("sv1", "S amplitude in V1"), MILLIVOLT),
    ];
    rows.iter()
        .filter_map(|(value, name, unit)| {
            let value = value.filter(|v| v.is_finite())?;
            let mut item = about(GROUP_OF_ANALYSIS);
            item.code(0x0040_08EA, unit);
            item.code(0x0040_A043, name);
            item.ds(0x0040_A30A, (value * 1e3).round() / 1e3);
            Some(item)
        })
        .collect()
}
