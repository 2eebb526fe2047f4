//! What stands above the leads: who, when, what the machine measured and found.

use super::{Anchor, Header, Shape};
use crate::ecg::analysis::Analysis;
use crate::ecg::formats;
use crate::ecg::interpret::rhythm::Rhythm;
use crate::ecg::record::Record;

/// Fields, measurements and findings that have room.
const FIELDS_MAX: usize = 10;
const MEASUREMENTS_MAX: usize = 10;
const FINDINGS_MAX: usize = 6;
/// Letters of a finding that fit its column.
const FINDING_CHARS_MAX: usize = 21;

impl Header {
    /// The measurements and findings of the machine, marked as such, in the order of a Chinese ECG report.
    #[must_use]
    pub fn of(analysis: &Analysis) -> Self {
        let m = &analysis.measurements;
        let whole = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"));
        let fine = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
        let sum = m.rv5_mv.zip(m.sv1_mv).map(|(r, s)| r + s);
        let measurements = vec![
            format!("心率 {} 次/分", whole(m.heart_rate_bpm)),
            format!("PR {} ms", whole(m.pr_ms)),
            format!("QRS {} ms", whole(m.qrs_ms)),
            format!("QT/QTc {}/{} ms", whole(m.qt_ms), whole(m.qtc_fridericia_ms)),
            "QTc: Fridericia".to_owned(),
            format!("P 时限 {} ms", whole(m.p_ms)),
            format!(
                "电轴 {}/{}/{}°",
                whole(m.p_axis_deg),
                whole(m.qrs_axis_deg),
                whole(m.t_axis_deg)
            ),
            format!("RV5/SV1 {}/{} mV", fine(m.rv5_mv), fine(m.sv1_mv)),
            format!("RV5+SV1 {} mV", fine(sum)),
        ];
        let mut findings = vec![
            "机器判读 未经医师确认".to_owned(),
            rhythm_zh(analysis.rhythm).to_owned(),
        ];
        let critical = analysis.critical.iter().map(|c| format!("危急值 {}", c.text_zh));
        findings.extend(critical);
        for statement in &analysis.statements {
            let text = statement.text_zh.to_string();
            if !findings.contains(&text) {
                findings.push(text);
            }
        }
        if findings.len() > FINDINGS_MAX {
            findings.truncate(FINDINGS_MAX - 1);
            findings.push("其余见报告".to_owned());
        }
        Self {
            measurements,
            findings,
            ..Self::default()
        }
    }
}

fn rhythm_zh(rhythm: Rhythm) -> &'static str {
    match rhythm {
        Rhythm::SinusRhythm => "窦性心律",
        Rhythm::SinusBradycardia => "窦性心动过缓",
        Rhythm::SinusTachycardia => "窦性心动过速",
        Rhythm::SinusArrhythmia => "窦性心律不齐",
        Rhythm::AtrialFibrillation => "心房颤动",
        Rhythm::AtrialFlutter => "心房扑动",
        Rhythm::SupraventricularTachycardia => "室上性心动过速",
        Rhythm::VentricularTachycardia => "室性心动过速",
        Rhythm::VentricularFibrillation => "心室颤动",
        Rhythm::Junctional => "交界性心律",
        Rhythm::Idioventricular => "室性自主心律",
        Rhythm::Paced => "起搏心律",
        Rhythm::Undetermined => "节律未定",
    }
}

pub(super) fn text(x: f64, y: f64, size: f64, bold: bool, text: String) -> Shape {
    Shape::Text {
        x,
        y,
        size,
        bold,
        anchor: Anchor::Start,
        lead: None,
        text,
    }
}

/// Texts above the grid, whose left edge is at `left`.
pub(super) fn shapes(record: &Record, header: &Header, left: f64) -> Vec<Shape> {
    let mut out = Vec::new();
    let title = if header.title.is_empty() {
        "心电图"
    } else {
        &header.title
    };
    out.push(text(left, 10.0, 5.0, true, title.to_owned()));
    let place = |index: usize, at: f64, wide: f64| {
        let (column, row) = (index / 5, index % 5);
        (left + at + wide * column as f64, 15.5 + 4.6 * row as f64)
    };
    let fields = fields(record, header);
    for (index, (label, value)) in fields.iter().take(FIELDS_MAX).enumerate() {
        let (x, y) = place(index, 0.0, 60.0);
        out.push(text(x, y, 3.4, false, format!("{label}：{value}")));
    }
    for (index, line) in header.measurements.iter().take(MEASUREMENTS_MAX).enumerate() {
        let (x, y) = place(index, 118.0, 38.0);
        out.push(text(x, y, 3.4, false, line.clone()));
    }
    let findings = header.findings.iter().flat_map(|line| wrapped(line));
    for (index, line) in findings.take(FINDINGS_MAX).enumerate() {
        out.push(text(left + 198.0, 10.0 + 4.7 * index as f64, 3.6, true, line));
    }
    out
}

/// A finding in lines that fit its column.
fn wrapped(line: &str) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    letters
        .chunks(FINDING_CHARS_MAX)
        .map(|part| part.iter().collect())
        .collect()
}

/// The caller's pairs, then what the recording itself says where the label is missing.
fn fields(record: &Record, header: &Header) -> Vec<(String, String)> {
    let mut fields = header.fields.clone();
    let patient = &record.patient;
    let sex = patient.sex.as_deref().map(|sex| match sex {
        "M" => "男".to_owned(),
        "F" => "女".to_owned(),
        other => other.to_owned(),
    });
    let known = [
        ("姓名", patient.name.clone()),
        ("性别", sex),
        ("年龄", patient.age_years.map(|age| format!("{} 岁", age.floor()))),
        ("编号", patient.identifier.clone()),
        ("采集时间", formats::when(record)),
    ];
    for (label, value) in known {
        if let Some(value) = value
            && fields.iter().all(|(have, _)| have != label)
        {
            fields.push((label.to_owned(), value));
        }
    }
    fields.retain(|(_, value)| !value.is_empty());
    fields
}
