//! Reports of the earlier exams, so that a timeline has something to recognise: written by one person, signed by
//! another, as the rules ask.

use super::person;
use crate::node::Node;
use anyhow::Result;
use fixtures::demo::DemoStudy;
use reading::report::{self, ReportText, State};

/// Findings and impression of a normal earlier exam of each kind.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "ECG",
        "窦性心律，心率正常范围。P-R 间期、QRS 时限及 Q-T 间期正常。各导联 ST 段无偏移，T 波方向正常。",
        "1. 窦性心律\n2. 正常心电图",
    ),
    (
        "DX",
        "胸廓对称，气管居中。双肺纹理清晰，肺野内未见实变及占位影。双侧肺门不大。心影大小、形态正常。双侧膈面光整，肋膈角锐利。",
        "双肺、心、膈未见明显异常。",
    ),
];

/// Writes, submits and signs; an exam that is reported already stays as it is.
pub(super) async fn write(node: &Node, study: &DemoStudy, password: &str) -> Result<()> {
    let Some((_, findings, impression)) = TEXTS.iter().find(|(modality, ..)| *modality == study.modality)
    else {
        return Ok(());
    };
    let (writer, reviewer) = if study.modality == "ECG" {
        ("ecg.writer", "ecg.reviewer")
    } else {
        ("rad.writer", "rad.reviewer")
    };
    let (writer, reviewer) = (
        person(node, writer, password).await?,
        person(node, reviewer, password).await?,
    );
    let uid = study.context.study_uid.as_str();
    let view = report::report(&node.reading, &writer, uid).await?;
    if view.status.is_issued() {
        return Ok(());
    }
    if view.status != State::Submitted {
        let text = ReportText {
            findings: (*findings).into(),
            impression: (*impression).into(),
            positive: Some(false),
            ..ReportText::default()
        };
        report::save(&node.reading, &writer, uid, text, Some(&view.etag)).await?;
        report::submit(&node.reading, &writer, uid).await?;
    }
    report::sign(&node.reading, &reviewer, uid).await?;
    Ok(())
}
