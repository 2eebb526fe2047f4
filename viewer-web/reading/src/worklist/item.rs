//! One line of the worklist.

use archive::UnixMicros;
use archive::db::Row;
use serde::Serialize;

use crate::account::InstitutionView;
use crate::actor::{Actor, Person};
use crate::context::{PatientView, StudyContext};
use crate::error::Result;
use crate::goals::Priority;
use crate::service::Reading;

/// Who holds a study, in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimView {
    /// Account.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Since when, ISO 8601.
    pub since: String,
    /// Until when unless renewed, ISO 8601.
    pub until: String,
    /// Whether the asker holds it.
    pub mine: bool,
}

/// Something the machine found, unconfirmed.
#[derive(Debug, Clone, Serialize)]
pub struct MachineFlag {
    /// Stable word.
    pub code: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// A critical value by its rule set.
    pub critical: bool,
}

/// Number of open critical values.
#[derive(Debug, Clone, Serialize)]
pub struct CriticalCount {
    /// Not closed yet.
    pub open: i64,
}

/// One line of the worklist.
#[derive(Debug, Clone, Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own on the page"
)]
pub struct WorklistItem {
    /// Study Instance UID.
    pub study_uid: String,
    /// Accession number.
    pub accession_number: Option<String>,
    /// received, to_write, writing, submitted, returned, signed, amended, revoked, rejected.
    pub status: String,
    /// Urgency.
    pub priority: Priority,
    /// Modality that is read.
    pub modality: String,
    /// All modalities.
    pub modalities: Vec<String>,
    /// Body part examined.
    pub body_part: Option<String>,
    /// Code of the exam item.
    pub item_code: Option<String>,
    /// Name of the exam item.
    pub item_name: String,
    /// Description by the device.
    pub study_description: Option<String>,
    /// The patient.
    pub patient: PatientView,
    /// Where it was taken.
    pub institution: InstitutionView,
    /// When it was ordered, ISO 8601.
    pub requested_at: Option<String>,
    /// When it was taken, ISO 8601.
    pub study_at: String,
    /// When it arrived, ISO 8601.
    pub received_at: String,
    /// Seconds since it arrived, until its report was signed.
    pub waiting_s: i64,
    /// When its report is due, ISO 8601.
    pub due_at: String,
    /// Whether that is over.
    pub overdue: bool,
    /// Number of objects.
    pub images: i64,
    /// Number of series.
    pub series: i64,
    /// Other studies of the person.
    pub priors: i64,
    /// Whether it holds an ECG.
    pub has_waveform: bool,
    /// Whether it belongs to an order.
    pub matched: bool,
    /// Critical values, when there are any.
    pub critical: Option<CriticalCount>,
    /// What the machine found.
    pub machine_flags: Vec<MachineFlag>,
    /// Whether the recording of an ECG will do, once the machine has looked.
    pub acquisition: Option<Acquisition>,
    /// Who holds it.
    pub claimed_by: Option<ClaimView>,
    /// Who wrote the report.
    pub author: Option<Person>,
    /// Who signed it.
    pub signer: Option<Person>,
    /// State of the report.
    pub report_status: String,
    /// 临床病史.
    pub clinical_history: Option<String>,
    /// Whether something abnormal was found, once signed.
    pub positive: Option<bool>,
}

/// Whether a recording will do, as the gate at its acquisition says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acquisition {
    /// ok, repeat_advised or unusable.
    pub verdict: String,
    /// Why it is not ok, the worst first.
    pub reasons: Vec<AcquisitionReason>,
}

/// One reason, in words that a technician acts upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AcquisitionReason {
    /// Stable word.
    pub code: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
}

archive::statements! {
    mod sql {
        ITEMS = crate::context::context_sql!(", i.kind AS i_kind, i.priority_class AS i_class, i.due_at AS i_due, i.status AS i_status, i.author AS i_author, i.signer AS i_signer, i.positive AS i_positive, i.critical_open AS i_critical, i.signed_at AS i_signed, s.has_waveform AS s_waveform, \
            c.user_name AS c_user, c.since_at AS c_since, c.until_at AS c_until, \
            (SELECT COUNT(*) FROM patient q JOIN study t ON t.patient_id = q.id WHERE q.person_id = p.person_id AND t.id <> s.id) AS priors \
            FROM reading_item i JOIN study s ON s.study_uid = i.study_uid JOIN patient p ON p.id = s.patient_id \
            LEFT JOIN exam_order o ON o.id = s.order_id LEFT JOIN reading_claim c ON c.study_uid = i.study_uid");
    }
}

/// Columns and joins of a line; conditions follow.
pub(crate) const fn item_sql() -> &'static str {
    sql::ITEMS
}

/// Reads a line.
pub(super) async fn read(reading: &Reading, actor: &Actor, row: &Row, now: i64) -> Result<WorklistItem> {
    enrich(reading, actor, row, now).await
}

/// Reads a line of [`item_sql`] with the names of people and institutions.
pub(crate) async fn enrich(reading: &Reading, actor: &Actor, row: &Row, now: i64) -> Result<WorklistItem> {
    let study = StudyContext::read(row)?;
    let institution = InstitutionView::from(&reading.institution(study.institution_id).await?);
    let signed_at = row.opt_int("i_signed")?;
    let due_at = row.int("i_due")?;
    let claimed_by = claim_of(reading, actor, row, now).await?;
    let status = row.text("i_status")?;
    let critical = row.int("i_critical")?;
    let reader = actor.is_reader();
    let author = row
        .opt_text("i_author")?
        .filter(|_| reader || signed_at.is_some());
    let signer = row.opt_text("i_signer")?;
    let machine = if row.text("i_kind")? == "ecg" {
        machine(reading, &study.study_uid).await?
    } else {
        Machine::default()
    };
    Ok(WorklistItem {
        accession_number: study.accession_number.clone(),
        report_status: report_status(&status).to_owned(),
        status: if study.receiving && status == "to_write" {
            "received".to_owned()
        } else {
            status
        },
        priority: Priority::from_class(row.int("i_class")?),
        modality: study.modality.clone(),
        modalities: study.modalities.clone(),
        body_part: study.body_part.clone(),
        item_code: study.item_code(),
        item_name: study.item_name(),
        study_description: study.description.clone(),
        patient: study.patient_view(),
        institution,
        requested_at: study
            .order
            .as_ref()
            .map(|o| UnixMicros(o.ordered_at).to_iso8601()),
        study_at: UnixMicros(study.study_at).to_iso8601(),
        received_at: UnixMicros(study.received_at).to_iso8601(),
        waiting_s: (signed_at.unwrap_or(now) - study.received_at).max(0) / 1_000_000,
        due_at: UnixMicros(due_at).to_iso8601(),
        overdue: signed_at.unwrap_or(now) > due_at,
        images: study.instances,
        series: study.series,
        priors: row.int("priors")?,
        has_waveform: row.bool("s_waveform")?,
        matched: study.order.is_some(),
        critical: (critical > 0).then_some(CriticalCount { open: critical }),
        machine_flags: machine.flags,
        acquisition: machine.acquisition,
        claimed_by,
        author: reading.person_opt(author.as_deref()).await?,
        signer: reading.person_opt(signer.as_deref()).await?,
        clinical_history: study.order.as_ref().and_then(|o| o.clinical_history.clone()),
        positive: row
            .opt_int("i_positive")?
            .map(|v| v != 0)
            .filter(|_| signed_at.is_some()),
        study_uid: study.study_uid,
    })
}

async fn claim_of(reading: &Reading, actor: &Actor, row: &Row, now: i64) -> Result<Option<ClaimView>> {
    let (Some(user), Some(until)) = (row.opt_text("c_user")?, row.opt_int("c_until")?) else {
        return Ok(None);
    };
    if until <= now {
        return Ok(None);
    }
    Ok(Some(ClaimView {
        display_name: reading.person(&user).await?.display_name,
        since: UnixMicros(row.opt_int("c_since")?.unwrap_or(0)).to_iso8601(),
        until: UnixMicros(until).to_iso8601(),
        mine: user == actor.user,
        user,
    }))
}

fn report_status(status: &str) -> &str {
    match status {
        "to_write" | "rejected" => "none",
        "writing" => "draft",
        other => other,
    }
}

/// What the machine says of an ECG, unconfirmed.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Critical rules, then findings.
    pub(super) flags: Vec<MachineFlag>,
    /// Whether the recording will do.
    pub(super) acquisition: Option<Acquisition>,
}

/// The machine's ECG reading, if there is one.
pub(super) async fn machine(reading: &Reading, study_uid: &str) -> Result<Machine> {
    let made = reading.archive().derived().get(study_uid, "ecg_analysis").await?;
    let content = made.map(|d| d.content).unwrap_or_default();
    let analysis: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
    Ok(read_machine(&analysis))
}

fn read_machine(analysis: &serde_json::Value) -> Machine {
    let items = |of: &serde_json::Value, name: &str| {
        let found = of.get(name).and_then(serde_json::Value::as_array);
        found.cloned().unwrap_or_default()
    };
    let text =
        |v: &serde_json::Value, key: &str| v.get(key).and_then(|t| t.as_str()).unwrap_or_default().to_owned();
    let mut flags = Vec::new();
    for (list, code, critical) in [("critical", "rule", true), ("statements", "code", false)] {
        flags.extend(items(analysis, list).iter().map(|v| MachineFlag {
            code: text(v, code),
            text_zh: text(v, "text_zh"),
            text_en: text(v, "text_en"),
            critical,
        }));
    }
    let acquisition = analysis.get("acquisition").map(|gate| Acquisition {
        verdict: text(gate, "verdict"),
        // Remarks are no reason to take it again.
        reasons: items(gate, "reasons")
            .iter()
            .filter(|reason| text(reason, "verdict") != "ok")
            .map(|reason| AcquisitionReason {
                code: text(reason, "code"),
                text_zh: text(reason, "text_zh"),
                text_en: text(reason, "text_en"),
            })
            .collect(),
    });
    Machine { flags, acquisition }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_machines_reading_gives_flags_and_the_word_on_the_recording() {
        let reason = |verdict: &str| json!({"code": verdict, "verdict": verdict, "text_zh": "导联脱落", "text_en": "off"});
        let made = read_machine(&json!({
            "critical": [{"rule": "r", "text_zh": "三度", "text_en": "third"}],
            "statements": [{"code": "lbbb", "text_zh": "左束支", "text_en": "lbbb"}],
            "acquisition": {"verdict": "repeat_advised", "reasons": [reason("repeat_advised"), reason("ok")]},
        }));
        let flags: Vec<(&str, bool)> = made.flags.iter().map(|f| (f.code.as_str(), f.critical)).collect();
        assert_eq!(flags, [("r", true), ("lbbb", false)]);
        let gate = made.acquisition.unwrap();
        assert_eq!((gate.verdict.as_str(), gate.reasons.len()), ("repeat_advised", 1));
        assert_eq!(gate.reasons[0].text_zh, "导联脱落");
        let none = read_machine(&serde_json::Value::Null);
        assert!(none.flags.is_empty() && none.acquisition.is_none());
    }
}
