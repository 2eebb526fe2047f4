//! The report on paper: one A4 form as county hospitals print it, with the recognition mark and a code to check it.

mod page;
mod text;

use archive::UnixMicros;
use krilla::Document as Pdf;
use krilla::metadata::{DateTime, Metadata};
use qrcode::{Color, EcLevel, QrCode};

use crate::context::local_minute;
use crate::error::{ReadingError, Result};
use crate::identity::mask_national_id;
use crate::report::{Document, SignedVersion, VersionKind};
use page::{FOOT_PT, HEIGHT_PT, Ink, MARGIN_PT, Mark, Paper, WIDTH_PT, a4, draw};
pub use text::{Face, Line, Step};

/// Side of the printed code, points.
const QR_PT: f32 = 62.0;
/// Size of running text, points.
const BODY_PT: f32 = 10.5;

/// The fonts of printed reports, read once.
pub struct ReportFonts {
    regular: Face,
    bold: Face,
}

impl ReportFonts {
    /// Reads a regular and a bold TrueType font that hold Chinese.
    ///
    /// # Errors
    /// `Rendition` when one is not a font.
    pub fn new(regular: &[u8], bold: &[u8]) -> Result<ReportFonts> {
        Ok(ReportFonts {
            regular: Face::new(regular)?,
            bold: Face::new(bold)?,
        })
    }
}

/// The version as PDF. `verify_url` is printed as a QR code. The same version gives the same page at every call.
///
/// # Errors
/// `Rendition` when the document cannot be written.
pub fn pdf(version: &SignedVersion, fonts: &ReportFonts, verify_url: &str) -> Result<Vec<u8>> {
    let d = &version.document;
    let mut paper = Paper::new(&fonts.regular, &fonts.bold);
    head(&mut paper, d);
    facts(&mut paper, d);
    body(&mut paper, d);
    let squares = qr(verify_url)?;
    let count = paper.pages.len();
    let mut pdf = Pdf::new();
    pdf.set_metadata(metadata(d));
    for (i, marks) in std::mem::take(&mut paper.pages).into_iter().enumerate() {
        paper.pages = vec![marks];
        if i > 0 {
            let line = format!("{}  {}  检查号 {}", d.patient.name, d.item_name, accession(d));
            paper.put(&line, MARGIN_PT, MARGIN_PT - 8.0, 9.0, false, Ink::Grey);
            paper.rule(MARGIN_PT - 3.0, 0.6);
        }
        foot(&mut paper, d, version, &squares, i + 1, count);
        let marks = paper.pages.pop().unwrap_or_default();
        let settings = a4().ok_or(ReadingError::Internal("page size"))?;
        let mut page = pdf.start_page_with(settings);
        let mut surface = page.surface();
        draw(&mut surface, &marks, &paper);
        surface.finish();
        page.finish();
    }
    pdf.finish()
        .map_err(|e| ReadingError::Rendition(format!("{e:?}")))
}

fn accession(d: &Document) -> &str {
    d.accession_number.as_deref().unwrap_or("—")
}

fn minute(iso: &str) -> String {
    UnixMicros::parse_iso8601(iso).map_or_else(|| iso.to_owned(), |t| local_minute(t.0))
}

fn metadata(d: &Document) -> Metadata {
    let local = UnixMicros::parse_iso8601(&d.signed_at).map_or(0, |t| t.0) + crate::context::LOCAL_OFFSET_US;
    let text = UnixMicros(local).to_iso8601();
    let part =
        |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<u16>().ok()).unwrap_or(0);
    let byte = |range| u8::try_from(part(range)).unwrap_or(0);
    let date = DateTime::new(part(0..4))
        .month(byte(5..7))
        .day(byte(8..10))
        .hour(byte(11..13))
        .minute(byte(14..16))
        .second(byte(17..19))
        .utc_offset_hour(8)
        .utc_offset_minute(0);
    Metadata::new()
        .title(title(d).to_owned())
        .language("zh-CN".to_owned())
        .creator("Gongying".to_owned())
        .creation_date(date)
        .document_id(d.verify_code.clone())
}

fn title(d: &Document) -> &'static str {
    match d.modality.as_str() {
        "ECG" => "心电图诊断报告单",
        "US" => "超声诊断报告单",
        "CT" => "CT 诊断报告单",
        "MR" => "磁共振诊断报告单",
        "DX" | "CR" | "DR" => "X 线诊断报告单",
        _ => "医学影像诊断报告单",
    }
}

fn head(paper: &mut Paper<'_>, d: &Document) {
    paper.y = MARGIN_PT;
    paper.centred(&d.reading_institution.name, paper.y + 16.0, 17.0, true);
    paper.centred(title(d), paper.y + 40.0, 14.0, true);
    if let Some(mark) = &d.hr_mark {
        let width = paper.face(true).width(&mark.text, 11.0) + 12.0;
        let x = WIDTH_PT - MARGIN_PT - width;
        paper.mark(Mark::Frame(x, paper.y + 24.0, width, 20.0, Ink::Violet));
        paper.put(&mark.text, x + 6.0, paper.y + 38.0, 11.0, true, Ink::Violet);
    }
    if d.kind == VersionKind::Revocation {
        paper.put("本报告已撤回", MARGIN_PT, paper.y + 38.0, 12.0, true, Ink::Red);
    }
    paper.y += 56.0;
    let line = format!(
        "检查机构：{}    诊断机构：{}",
        d.institution.name, d.reading_institution.name
    );
    paper.put(&line, MARGIN_PT, paper.y, 9.5, false, Ink::Black);
    paper.y += 7.0;
    paper.rule(paper.y, 1.2);
    paper.continue_below(MARGIN_PT + 8.0);
}

/// The block of general facts: three columns, label grey, value black.
fn facts(paper: &mut Paper<'_>, d: &Document) {
    let p = &d.patient;
    let sex = match p.sex.as_deref() {
        Some("M") => "男",
        Some("F") => "女",
        _ => "未说明",
    };
    let national_id = p.national_id.as_deref().map(mask_national_id);
    let or_dash = |text: Option<&str>| text.filter(|t| !t.is_empty()).unwrap_or("—").to_owned();
    let rows: [[(&str, String); 3]; 4] = [
        [
            ("姓名", p.name.clone()),
            ("性别", sex.to_owned()),
            ("年龄", or_dash(p.age_text.as_deref())),
        ],
        [
            ("检查号", accession(d).to_owned()),
            ("患者编号", p.identifier.clone()),
            ("证件号", or_dash(national_id.as_deref())),
        ],
        [
            ("检查项目", d.item_name.clone()),
            ("检查类型", d.modality.clone()),
            ("优先级", priority(&d.priority).to_owned()),
        ],
        [
            ("检查时间", minute(&d.study_at)),
            ("接收时间", minute(&d.received_at)),
            ("签发时间", minute(&d.signed_at)),
        ],
    ];
    const COLUMNS_PT: [f32; 3] = [0.0, 182.0, 348.0];
    const LABEL_PT: f32 = 48.0;
    for row in rows {
        paper.y += 17.0;
        for ((label, value), x) in row.into_iter().zip(COLUMNS_PT) {
            let x = MARGIN_PT + x;
            paper.put(label, x, paper.y, 9.5, false, Ink::Grey);
            let value = fitted(paper, &value, 130.0);
            paper.put(&value, x + LABEL_PT, paper.y, 10.0, false, Ink::Black);
        }
    }
    paper.y += 8.0;
    paper.rule(paper.y, 0.6);
    paper.y += 4.0;
}

/// The first line of a value that is too wide for its column.
fn fitted(paper: &Paper<'_>, text: &str, room: f32) -> String {
    let mut lines = paper.regular.wrap(text, 10.0, room).into_iter();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        format!("{first}…")
    } else {
        first
    }
}

fn priority(word: &str) -> &'static str {
    match word {
        "STAT" => "危急",
        "URGENT" => "急",
        "SCREENING" => "体检",
        _ => "常规",
    }
}

fn section(paper: &mut Paper<'_>, title: &str, text: &str, bold: bool) {
    paper.need(BODY_PT * 4.0);
    paper.y += 6.0;
    paper.put(title, MARGIN_PT, paper.y + 11.0, 11.0, true, Ink::Black);
    paper.y += 19.0;
    paper.paragraph(text, BODY_PT, bold, Ink::Black);
}

fn body(paper: &mut Paper<'_>, d: &Document) {
    let ecg = d.modality == "ECG";
    if let Some(history) = d.clinical_history.as_deref().filter(|t| !t.is_empty()) {
        section(paper, "临床病史", history, false);
    }
    if let Some(technique) = d.technique.as_deref().filter(|t| !t.is_empty()) {
        section(paper, "检查方法", technique, false);
    }
    section(
        paper,
        if ecg { "心电图所见" } else { "影像学表现" },
        &d.findings,
        false,
    );
    section(
        paper,
        if ecg { "心电图诊断" } else { "影像学诊断" },
        &d.impression,
        true,
    );
    for a in &d.amendments {
        let (title, ink) = match a.kind {
            VersionKind::Addendum => ("补充报告", Ink::Black),
            VersionKind::Correction => ("更正报告", Ink::Black),
            _ => ("撤回声明", Ink::Red),
        };
        paper.need(BODY_PT * 5.0);
        paper.y += 8.0;
        let line = format!(
            "{title}（第 {} 版  {}  {}）",
            a.version,
            a.signer.display_name,
            minute(&a.signed_at)
        );
        paper.put(&line, MARGIN_PT, paper.y + 11.0, 11.0, true, ink);
        paper.y += 19.0;
        paper.paragraph(&a.text, BODY_PT, false, ink);
        if let Some(reason) = a.reason.as_deref().filter(|r| !r.is_empty()) {
            paper.paragraph(&format!("原因：{reason}"), 9.5, false, Ink::Grey);
        }
    }
}

fn foot(
    paper: &mut Paper<'_>,
    d: &Document,
    version: &SignedVersion,
    squares: &Squares,
    page: usize,
    pages: usize,
) {
    let top = HEIGHT_PT - FOOT_PT;
    paper.rule(top, 0.8);
    let right = WIDTH_PT - MARGIN_PT - QR_PT;
    paper.mark(Mark::Squares(
        squares
            .dark
            .iter()
            .map(|(x, y)| (right + x * squares.side, top + 8.0 + y * squares.side))
            .collect(),
        squares.side,
    ));
    let y = top + 20.0;
    let people = [
        ("报告医师", &d.author.display_name),
        ("审核医师", &d.signer.display_name),
    ];
    for (i, (label, name)) in people.into_iter().enumerate() {
        let x = MARGIN_PT + 200.0 * i as f32;
        paper.put(label, x, y, 10.0, false, Ink::Grey);
        paper.put(name, x + 52.0, y, 11.0, true, Ink::Black);
    }
    let times = format!(
        "书写时间 {}      签发时间 {}",
        minute(&d.submitted_at),
        minute(&d.signed_at)
    );
    paper.put(&times, MARGIN_PT, y + 18.0, 9.5, false, Ink::Black);
    let kind = match d.kind {
        VersionKind::Original => "",
        VersionKind::Addendum => "  含补充",
        VersionKind::Correction => "  含更正",
        VersionKind::Revocation => "  已撤回",
    };
    let code: Vec<String> = d
        .verify_code
        .as_bytes()
        .chunks(4)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect();
    let lines = [
        format!("第 {} 版{kind}   验证码 {}", d.version, code.join("-")),
        format!(
            "数字指纹 SHA-256 {}",
            version.sha256.get(..32).unwrap_or_default()
        ),
        "本报告经双人签发并数字签名，仅供临床医师参考；检查结果在医共体内互认，原始图像可调阅。".to_owned(),
    ];
    for (i, line) in lines.iter().enumerate() {
        paper.put(line, MARGIN_PT, y + 34.0 + 13.0 * i as f32, 8.5, false, Ink::Grey);
    }
    paper.put(
        "扫码验真",
        right + 12.0,
        top + QR_PT + 20.0,
        8.5,
        false,
        Ink::Grey,
    );
    let number = format!("第 {page} 页 共 {pages} 页");
    let x = WIDTH_PT - MARGIN_PT - paper.regular.width(&number, 8.5);
    paper.put(&number, x, HEIGHT_PT - 18.0, 8.5, false, Ink::Grey);
}

/// Dark squares of a code in units of their side.
struct Squares {
    dark: Vec<(f32, f32)>,
    side: f32,
}

fn qr(url: &str) -> Result<Squares> {
    let wrong = |e| ReadingError::Rendition(format!("the address does not fit into a QR code: {e}"));
    let code = QrCode::with_error_correction_level(url, EcLevel::M).map_err(wrong)?;
    let width = code.width();
    let dark = code
        .to_colors()
        .into_iter()
        .enumerate()
        .filter(|(_, c)| *c == Color::Dark);
    Ok(Squares {
        dark: dark
            .map(|(i, _)| ((i % width) as f32, (i / width) as f32))
            .collect(),
        side: QR_PT / width as f32,
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
