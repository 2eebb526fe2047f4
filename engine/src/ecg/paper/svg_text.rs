//! A drawing as SVG text.

use std::fmt::Write as _;

use super::{Anchor, Drawing, MARK_MM, MarkKind, Shape};

/// Fonts with Chinese letters on the systems of a county hospital, then whatever there is.
const FONTS: &str = "'Noto Sans SC','Microsoft YaHei','PingFang SC','SimHei',sans-serif";

pub(super) fn write(drawing: &Drawing) -> String {
    let (width, height) = (drawing.width_mm, drawing.height_mm);
    let mut out = String::with_capacity(200_000);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}mm\" height=\"{height}mm\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\" data-unit=\"mm\">\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    for shape in &drawing.shapes {
        match shape {
            Shape::Grid { x, y, width, height } => grid(&mut out, *x, *y, *width, *height),
            Shape::Trace { lead, points } => trace(&mut out, lead.as_deref(), points),
            Shape::Mark { x, top, bottom, kind } => mark(&mut out, *x, (*top, *bottom), *kind),
            Shape::Text {
                x,
                y,
                size,
                bold,
                anchor,
                lead,
                text,
            } => {
                let anchor = if *anchor == Anchor::End {
                    " text-anchor=\"end\""
                } else {
                    ""
                };
                let weight = if *bold { " font-weight=\"bold\"" } else { "" };
                let lead = lead_attribute(lead.as_deref());
                let text = escape(text);
                let _ = write!(
                    out,
                    "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\"{anchor}{weight}{lead}>{text}</text>"
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, x: f64, y: f64, width: f64, height: f64) {
    for (step, from, class, colour, stroke) in [
        (1, 1, "grid-1mm", "#f3c9c9", 0.08),
        (5, 0, "grid-5mm", "#e08f8f", 0.2),
    ] {
        let _ = write!(
            out,
            "<path class=\"{class}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{stroke}\" d=\""
        );
        for mm in (0..=width as u32).filter(|mm| (mm % 5 == 0) == (step == 5) && *mm >= from) {
            let _ = write!(out, "M{} {y}v{height}", x + f64::from(mm));
        }
        for mm in (0..=height as u32).filter(|mm| (mm % 5 == 0) == (step == 5) && *mm >= from) {
            let _ = write!(out, "M{x} {}h{width}", y + f64::from(mm));
        }
        out.push_str("\"/>");
    }
}

fn trace(out: &mut String, lead: Option<&str>, points: &[(f64, f64)]) {
    let class = if lead.is_some() { "trace" } else { "calibration" };
    let lead = lead_attribute(lead);
    let _ = write!(
        out,
        "<polyline class=\"{class}\"{lead} fill=\"none\" stroke=\"#111\" stroke-width=\"0.25\" \
         stroke-linejoin=\"round\" points=\""
    );
    for (index, (x, y)) in points.iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        let _ = write!(out, "{gap}{x:.2},{y:.2}");
    }
    out.push_str("\"/>");
}

fn mark(out: &mut String, x: f64, (top, bottom): (f64, f64), kind: MarkKind) {
    let (class, [r, g, b]) = (kind.as_str(), kind.colour());
    let _ = write!(
        out,
        "<path class=\"mark-{class}\" stroke=\"#{r:02x}{g:02x}{b:02x}\" stroke-width=\"{MARK_MM}\" d=\"M{x:.2} {top:.2}V{bottom:.2}\"/>"
    );
}

fn lead_attribute(lead: Option<&str>) -> String {
    lead.map_or_else(String::new, |lead| format!(" data-lead=\"{}\"", escape(lead)))
}

/// Text for XML: markup signs are escaped, control characters (not allowed in XML) dropped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}
