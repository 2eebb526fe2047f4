//! ECG paper as PDF: one page, true to scale, with the fonts embedded.

use crate::pages::Fonts;
use engine::ecg::paper::{Anchor, Drawing, Shape};
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineJoin, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};
use std::sync::Arc;

/// Points in a millimetre.
const POINTS_PER_MM: f64 = 72.0 / 25.4;
const TRACE_MM: f64 = 0.25;
/// Lines each millimetre, then each five: step, colour, width in millimetres.
const GRID: [(u32, [u8; 3], f64); 2] = [(1, [243, 201, 201], 0.08), (5, [224, 143, 143], 0.2)];

/// Why paper could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// Built without pages, and so without fonts.
    #[error("this executable was built without fonts; use a build with the pages")]
    NoFonts,
    /// The page could not be written.
    #[error("the page could not be written: {0}")]
    Write(String),
}

/// Prints a drawing.
///
/// # Errors
/// [`PdfError::NoFonts`] in a build without pages, [`PdfError::Write`] for sizes that no page can have.
pub fn print(drawing: &Drawing, fonts: Fonts) -> Result<Vec<u8>, PdfError> {
    let (regular, bold) = (Face::new(fonts.regular)?, Face::new(fonts.bold)?);
    let settings = PageSettings::from_wh(points(drawing.width_mm), points(drawing.height_mm))
        .ok_or_else(|| PdfError::Write("the page has no size".to_owned()))?;
    let mut document = Document::new();
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    for shape in &drawing.shapes {
        match shape {
            Shape::Grid { x, y, width, height } => grid(&mut surface, [*x, *y, *width, *height]),
            Shape::Trace { points, .. } => trace(&mut surface, points),
            Shape::Text {
                x,
                y,
                size,
                bold: is_bold,
                anchor,
                text,
                ..
            } => {
                let face = if *is_bold { &bold } else { &regular };
                face.write(&mut surface, text, (*x, *y), *size, *anchor);
            }
        }
    }
    surface.finish();
    page.finish();
    document.finish().map_err(|e| PdfError::Write(format!("{e:?}")))
}

fn points(mm: f64) -> f32 {
    (mm * POINTS_PER_MM) as f32
}

fn stroke(surface: &mut Surface<'_>, path: PathBuilder, [r, g, b]: [u8; 3], width_mm: f64) {
    if let Some(path) = path.finish() {
        surface.set_fill(None);
        surface.set_stroke(Some(Stroke {
            paint: rgb::Color::new(r, g, b).into(),
            width: points(width_mm),
            line_join: LineJoin::Round,
            ..Stroke::default()
        }));
        surface.draw_path(&path);
    }
}

fn grid(surface: &mut Surface<'_>, [x, y, width, height]: [f64; 4]) {
    for (step, colour, line_mm) in GRID {
        let mut path = PathBuilder::new();
        let lines = |length: f64| (0..=length as u32).filter(move |mm| (mm % 5 == 0) == (step == 5));
        for at in lines(width).map(|mm| x + f64::from(mm)) {
            path.move_to(points(at), points(y));
            path.line_to(points(at), points(y + height));
        }
        for at in lines(height).map(|mm| y + f64::from(mm)) {
            path.move_to(points(x), points(at));
            path.line_to(points(x + width), points(at));
        }
        stroke(surface, path, colour, line_mm);
    }
}

fn trace(surface: &mut Surface<'_>, places: &[(f64, f64)]) {
    let mut path = PathBuilder::new();
    for (i, (x, y)) in places.iter().enumerate() {
        match i {
            0 => path.move_to(points(*x), points(*y)),
            _ => path.line_to(points(*x), points(*y)),
        }
    }
    stroke(surface, path, [17, 17, 17], TRACE_MM);
}

/// A font and its widths. One glyph a character: Chinese and Latin need no shaping.
struct Face {
    font: Font,
    data: Arc<Vec<u8>>,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Result<Self, PdfError> {
        let data = Arc::new(bytes.to_vec());
        FontRef::new(&data).map_err(|_| PdfError::NoFonts)?;
        let font = Font::new(Arc::clone(&data).into(), 0).ok_or(PdfError::NoFonts)?;
        Ok(Self { font, data })
    }

    fn write(&self, surface: &mut Surface<'_>, text: &str, (x, y): (f64, f64), size: f64, anchor: Anchor) {
        let glyphs = self.glyphs(text);
        let width: f32 = glyphs.iter().map(|glyph| glyph.x_advance).sum::<f32>() * points(size);
        let left = if anchor == Anchor::End {
            points(x) - width
        } else {
            points(x)
        };
        surface.set_stroke(None);
        surface.set_fill(Some(Fill {
            paint: rgb::Color::new(17, 17, 17).into(),
            opacity: NormalizedF32::ONE,
            rule: Default::default(),
        }));
        let place = Point::from_xy(left, points(y));
        surface.draw_glyphs(place, &glyphs, self.font.clone(), text, points(size), false);
    }

    fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let Ok(font) = FontRef::new(&self.data) else {
            return Vec::new();
        };
        let charmap = font.charmap();
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        let glyph = |(at, c): (usize, char)| {
            let id = charmap.map(c).unwrap_or_default();
            KrillaGlyph {
                glyph_id: GlyphId::new(id.to_u32()),
                text_range: at..at + c.len_utf8(),
                x_advance: metrics.advance_width(id).unwrap_or(1.0),
                x_offset: 0.0,
                y_offset: 0.0,
                y_advance: 0.0,
                location: None,
            }
        };
        text.char_indices()
            .filter(|(_, c)| !c.is_control())
            .map(glyph)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let text = Shape::Text {
            x: 10.0,
            y: 10.0,
            size: 4.0,
            bold: true,
            anchor: Anchor::End,
            lead: None,
            text: "心电图 25 mm/s".to_owned(),
        };
        Drawing {
            width_mm: 297.0,
            height_mm: 210.0,
            shapes: vec![
                Shape::Grid {
                    x: 5.0,
                    y: 5.0,
                    width: 250.0,
                    height: 150.0,
                },
                Shape::Trace {
                    lead: Some("II".to_owned()),
                    points: vec![(5.0, 80.0), (6.0, 70.0), (7.0, 80.0)],
                },
                text,
            ],
        }
    }

    #[test]
    fn paper_is_printed_with_its_fonts_or_says_that_there_are_none() {
        let printed = print(&drawing(), Fonts::EMBEDDED);
        if Fonts::EMBEDDED.regular.is_empty() {
            assert!(matches!(printed, Err(PdfError::NoFonts)));
            return;
        }
        let pdf = printed.unwrap();
        assert!(pdf.starts_with(b"%PDF-"));
        // 297 mm x 210 mm in points.
        let text = String::from_utf8_lossy(&pdf);
        assert!(
            text.contains("841.8") && text.contains("595.2"),
            "the page is A4 across"
        );
    }
}
