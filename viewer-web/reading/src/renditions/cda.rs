//! The report as a Chinese shared health document: WS/T 500.6-2016 检查报告, HL7 CDA R2.

use std::fmt::Write as _;

use archive::UnixMicros;

use crate::report::{Document, SignedVersion, VersionKind};

/// Arc of the national health information standards.
const ARC: &str = "2.16.156.10011";
const DATA_ELEMENTS: &str = "2.16.156.10011.2.2.1";
const LOINC: &str = "2.16.840.1.113883.6.1";

/// Text as XML content; characters that XML 1.0 forbids are dropped.
fn x(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// A moment as HL7 TS on the local clock.
fn ts(iso: &str) -> String {
    let moment = UnixMicros::parse_iso8601(iso).map_or(0, |t| t.0);
    let local = UnixMicros(moment + crate::context::LOCAL_OFFSET_US).to_iso8601();
    local
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .chain("+0800".chars())
        .collect()
}

/// Number of the report: the accession number and the version.
fn report_number(d: &Document, version: u32) -> String {
    format!(
        "{}-{version}",
        d.accession_number.as_deref().unwrap_or(&d.study_uid)
    )
}

/// The version as CDA.
#[must_use]
pub fn cda(version: &SignedVersion) -> String {
    let d = &version.document;
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ClinicalDocument xmlns=\"urn:hl7-org:v3\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n",
    );
    header(&mut xml, d);
    record_target(&mut xml, d);
    people(&mut xml, d);
    if let Some(before) = d.predecessor {
        let id = report_number(d, before);
        let _ = writeln!(
            xml,
            "<relatedDocument typeCode=\"RPLC\"><parentDocument><id root=\"{ARC}.1.1\" extension=\"{}\"/></parentDocument></relatedDocument>",
            x(&id)
        );
    }
    body(&mut xml, d);
    xml.push_str("</ClinicalDocument>\n");
    xml
}

fn header(xml: &mut String, d: &Document) {
    let number = x(&report_number(d, d.version));
    let _ = write!(
        xml,
        "<realmCode code=\"CN\"/>\n<typeId root=\"2.16.840.1.113883.1.3\" extension=\"POCD_MT000040\"/>\n\
         <templateId root=\"{ARC}.2.1.1.26\"/>\n<id root=\"{ARC}.1.1\" extension=\"{number}\"/>\n\
         <code code=\"C0006\" codeSystem=\"{ARC}.2.4\" codeSystemName=\"卫生信息共享文档规范编码体系\"/>\n\
         <title>检查报告</title>\n<effectiveTime value=\"{}\"/>\n\
         <confidentialityCode code=\"N\" codeSystem=\"2.16.840.1.113883.5.25\" codeSystemName=\"Confidentiality\"/>\n\
         <languageCode code=\"zh-CN\"/>\n<setId root=\"{ARC}.1.1\" extension=\"{}\"/>\n<versionNumber value=\"{}\"/>\n",
        ts(&d.signed_at),
        x(d.accession_number.as_deref().unwrap_or(&d.study_uid)),
        d.version
    );
}

fn record_target(xml: &mut String, d: &Document) {
    let p = &d.patient;
    // GB/T 2261.1
    let (sex, sex_text) = match p.sex.as_deref() {
        Some("M") => ("1", "男性"),
        Some("F") => ("2", "女性"),
        _ => ("9", "未说明的性别"),
    };
    let national = p.national_id.as_deref().map_or_else(
        || "<id nullFlavor=\"NI\"/>".to_owned(),
        |id| format!("<id root=\"{ARC}.1.3\" extension=\"{}\"/>", x(id)),
    );
    let born = super::compact_date(p.birth_date.as_deref());
    let _ = write!(
        xml,
        "<recordTarget typeCode=\"RCT\" contextControlCode=\"OP\">\n<patientRole classCode=\"PAT\">\n\
         <id root=\"{ARC}.1.11\" extension=\"{}\"/>\n<id root=\"{ARC}.1.32\" extension=\"{}\"/>\n\
         <id root=\"{ARC}.1.24\" extension=\"{}\"/>\n<patient classCode=\"PSN\" determinerCode=\"INSTANCE\">\n{national}\n\
         <name>{}</name>\n<administrativeGenderCode code=\"{sex}\" codeSystem=\"{ARC}.2.3.3.4\" \
         codeSystemName=\"生理性别代码表(GB/T 2261.1)\" displayName=\"{sex_text}\"/>\n<birthTime value=\"{born}\"/>\n</patient>\n\
         <providerOrganization classCode=\"ORG\" determinerCode=\"INSTANCE\">\n<id root=\"{ARC}.1.5\" extension=\"{}\"/>\n\
         <name>{}</name>\n</providerOrganization>\n</patientRole>\n</recordTarget>\n",
        x(&p.identifier),
        x(&report_number(d, d.version)),
        x(d.accession_number.as_deref().unwrap_or_default()),
        x(&p.name),
        x(&d.institution.code),
        x(&d.institution.name),
    );
}

fn entity(tag: &str, user: &str, name: &str, title: &str, d: &Document) -> String {
    format!(
        "<{tag} classCode=\"ASSIGNED\">\n<id root=\"{ARC}.1.7\" extension=\"{}\"/>\n<code displayName=\"{title}\"/>\n\
         <assignedPerson classCode=\"PSN\" determinerCode=\"INSTANCE\"><name>{}</name></assignedPerson>\n\
         <representedOrganization><id root=\"{ARC}.1.5\" extension=\"{}\"/><name>{}</name></representedOrganization>\n</{tag}>\n",
        x(user),
        x(name),
        x(&d.reading_institution.code),
        x(&d.reading_institution.name),
    )
}

fn people(xml: &mut String, d: &Document) {
    let (author, signer) = (&d.author, &d.signer);
    let _ = write!(
        xml,
        "<author typeCode=\"AUT\" contextControlCode=\"OP\">\n<time value=\"{}\"/>\n{}</author>\n\
         <custodian typeCode=\"CST\"><assignedCustodian classCode=\"ASSIGNED\"><representedCustodianOrganization classCode=\"ORG\" determinerCode=\"INSTANCE\">\
         <id root=\"{ARC}.1.5\" extension=\"{}\"/><name>{}</name></representedCustodianOrganization></assignedCustodian></custodian>\n\
         <legalAuthenticator>\n<time value=\"{}\"/>\n<signatureCode code=\"S\"/>\n{}</legalAuthenticator>\n\
         <authenticator>\n<time value=\"{}\"/>\n<signatureCode code=\"S\"/>\n{}</authenticator>\n",
        ts(&d.submitted_at),
        entity(
            "assignedAuthor",
            &author.user,
            &author.display_name,
            "报告医师",
            d
        ),
        x(&d.reading_institution.code),
        x(&d.reading_institution.name),
        ts(&d.signed_at),
        entity(
            "assignedEntity",
            &signer.user,
            &signer.display_name,
            "审核医师",
            d
        ),
        ts(&d.submitted_at),
        entity(
            "assignedEntity",
            &author.user,
            &author.display_name,
            "报告医师",
            d
        ),
    );
}

/// An observation of the national data element `code` with a text as its value.
fn element(code: &str, name: &str, value: &str) -> String {
    format!(
        "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><code code=\"{code}\" codeSystem=\"{DATA_ELEMENTS}\" \
         codeSystemName=\"卫生信息数据元目录\" displayName=\"{name}\"/><value xsi:type=\"ST\">{}</value></observation></entry>\n",
        x(value)
    )
}

fn section(xml: &mut String, code: &str, text: &str, entries: &[String]) {
    let _ = write!(
        xml,
        "<component>\n<section>\n{code}\n<text>{}</text>\n{}</section>\n</component>\n",
        x(text),
        entries.concat()
    );
}

fn loinc(code: &str, name: &str) -> String {
    format!("<code code=\"{code}\" codeSystem=\"{LOINC}\" codeSystemName=\"LOINC\" displayName=\"{name}\"/>")
}

fn body(xml: &mut String, d: &Document) {
    xml.push_str("<component>\n<structuredBody>\n");
    section(
        xml,
        &loinc("29548-5", "Diagnosis"),
        &d.impression,
        &[element("DE05.01.025.00", "诊断名称", &d.impression)],
    );
    if let Some(history) = d.clinical_history.as_deref().filter(|h| !h.is_empty()) {
        section(
            xml,
            &loinc("10154-3", "CHIEF COMPLAINT"),
            history,
            &[element("DE04.01.119.00", "主诉", history)],
        );
    }
    let technique = d.technique.as_deref().filter(|t| !t.is_empty()).unwrap_or("常规");
    let code = d.item_code.as_deref().unwrap_or(&d.modality);
    section(
        xml,
        &loinc("29545-1", "PHYSICAL EXAMINATION"),
        &d.item_name,
        &[
            element("DE02.10.027", "检查方法名称", technique),
            element("DE04.30.018", "检查类别", &d.modality),
            element("DE04.30.019", "检查项目代码", code),
            element(
                "DE04.30.017",
                "检查结果代码",
                if d.positive == Some(true) { "2" } else { "1" },
            ),
        ],
    );
    let mut remarks = vec![format!("验证码 {}", d.verify_code)];
    remarks.extend(d.hr_mark.iter().map(|m| m.text.clone()));
    remarks.extend(d.amendments.iter().map(|a| {
        let kind = match a.kind {
            VersionKind::Correction => "更正",
            VersionKind::Revocation => "撤回",
            _ => "补充",
        };
        format!("{kind}：{}", a.text)
    }));
    let department = if d.modality == "ECG" {
        "心电诊断中心"
    } else {
        "影像诊断中心"
    };
    section(
        xml,
        "<code displayName=\"检查报告\"/>",
        &format!("{} {}", d.findings, d.impression),
        &[
            element("DE04.50.131.00", "检查报告结果-客观所见", &d.findings),
            element("DE04.50.132.00", "检查报告结果-主观提示", &d.impression),
            element("DE08.10.026.00", "检查报告科室", department),
            element("DE08.10.013.00", "检查报告机构名称", &d.reading_institution.name),
            element("DE06.00.179.00", "检查报告备注", &remarks.join("；")),
        ],
    );
    xml.push_str("</structuredBody>\n</component>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::renditions::sample::{amendment, outside, signed};

    #[test]
    fn the_document_is_well_formed_and_carries_every_identifier() {
        let version = signed(|d| {
            d.version = 2;
            d.predecessor = Some(1);
            d.kind = VersionKind::Correction;
            d.findings = "大小 <5mm & \"边缘\"\u{1} 光滑".into();
            d.amendments.push(amendment(VersionKind::Correction, "更正"));
        });
        let xml = cda(&version);
        for part in [
            "realmCode code=\"CN\"",
            "templateId root=\"2.16.156.10011.2.1.1.26\"",
            "code=\"C0006\" codeSystem=\"2.16.156.10011.2.4\"",
            "root=\"2.16.156.10011.1.32\" extension=\"GY261121000001-2\"",
            "root=\"2.16.156.10011.1.24\" extension=\"GY261121000001\"",
            "root=\"2.16.156.10011.1.3\" extension=\"11010519491231002X\"",
            "root=\"2.16.156.10011.1.5\" extension=\"HEXI\"",
            "administrativeGenderCode code=\"2\" codeSystem=\"2.16.156.10011.2.3.3.4\"",
            "relatedDocument typeCode=\"RPLC\"",
            "大小 &lt;5mm &amp; &quot;边缘&quot; 光滑",
            "effectiveTime value=\"20261121090203+0800\"",
        ] {
            assert!(xml.contains(part), "{part}");
        }
        if let Some(said) = outside("xmllint", &["--noout", "--nonet"], xml.as_bytes(), &[]) {
            assert_eq!(said, "");
        }
    }
}
