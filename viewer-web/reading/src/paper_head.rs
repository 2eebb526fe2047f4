//! What stands at the head of a printed ECG: hospital, person, numbers.

use archive::params;

use crate::access::Access;
use crate::context::{StudyContext, local_minute};
use crate::error::Result;
use crate::service::Reading;

archive::statements! {
    mod sql {
        CONTEXT = crate::context::context_sql!("FROM study s JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id WHERE s.study_uid = $1");
    }
}

/// The head of a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperHead {
    /// Hospital that took the exam.
    pub institution: String,
    /// Chinese labels with their values; empty values are left out.
    pub fields: Vec<(String, String)>,
}

/// The head of a study that may be seen: `access` proves it.
///
/// # Errors
/// What the index says.
pub async fn paper_head(reading: &Reading, access: &Access) -> Result<PaperHead> {
    let db = reading.archive().db();
    let row = db
        .fetch_one(sql::CONTEXT, params![&access.study.study_uid])
        .await?;
    let study = StudyContext::read(&row)?;
    let patient = study.patient_view();
    let sex = match patient.sex.as_deref() {
        Some("M") => "男",
        Some("F") => "女",
        _ => "",
    };
    let fields = [
        ("姓名", patient.name),
        ("性别", sex.to_owned()),
        ("年龄", patient.age_text.unwrap_or_default()),
        ("编号", patient.identifier),
        ("检查号", study.accession_number.clone().unwrap_or_default()),
        ("采集时间", local_minute(study.study_at)),
        ("项目", study.item_name()),
    ];
    let institution = reading.institution(study.institution_id).await?.name_zh.clone();
    let fields = fields.map(|(label, value)| (label.to_owned(), value));
    Ok(PaperHead {
        institution,
        fields: fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    })
}
