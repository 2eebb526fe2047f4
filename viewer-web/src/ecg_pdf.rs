//! ECG paper as PDF: one page, true to scale, with the fonts embedded.

use crate::pages::Fonts;
use engine::ecg::paper::{Anchor, Drawing, MARK_MM, Shape};
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineJoin, Stroke};
use krilla::surface::Surface;
use reading::renditions::Face;

/// Points in a millimetre.
const POINTS_PER_MM: f64 = 72.0 / 25.4;
/// Width of a trace.
pub(crate) const TRACE_MM: f64 = 0.25;
/// Colour of traces and letters.
pub(crate) const INK: [u8; 3] = [17, 17, 17];
/// Lines each millimetre, then each five: step, colour, width in millimetres.
pub(crate) const GRID: [(u32, [u8; 3], f64); 2] = [(1, [243, 201, 201], 0.08), (5, [224, 143, 143], 0.2)];

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
    let face = |bytes| Face::new(bytes).map_err(|_| PdfError::NoFonts);
    let (regular, bold) = (face(fonts.regular)?, face(fonts.bold)?);
    let settings = PageSettings::from_wh(points(drawing.width_mm), points(drawing.height_mm))
        .ok_or_else(|| PdfError::Write("the page has no size".to_owned()))?;
    let mut document = Document::new();
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    for shape in &drawing.shapes {
        match shape {
            Shape::Grid { x, y, width, height } => grid(&mut surface, [*x, *y, *width, *height]),
            Shape::Trace { points, .. } => trace(&mut surface, points),
            Shape::Mark { x, top, bottom, kind } => {
                let mut path = PathBuilder::new();
                path.move_to(points(*x), points(*top));
                path.line_to(points(*x), points(*bottom));
                stroke(&mut surface, path, kind.colour(), MARK_MM);
            }
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
                write(&mut surface, face, text, (*x, *y), *size, *anchor);
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
        for [from, to] in grid_lines([x, y, width, height], step) {
            path.move_to(points(from[0]), points(from[1]));
            path.line_to(points(to[0]), points(to[1]));
        }
        stroke(surface, path, colour, line_mm);
    }
}

/// Lines of the grid that are drawn each `step` millimetres and not by a coarser step.
pub(crate) fn grid_lines([x, y, width, height]: [f64; 4], step: u32) -> impl Iterator<Item = [[f64; 2]; 2]> {
    let lines = move |length: f64| (0..=length as u32).filter(move |mm| (mm % 5 == 0) == (step == 5));
    let upright = lines(width)
        .map(move |mm| x + f64::from(mm))
        .map(move |at| [[at, y], [at, y + height]]);
    let level = lines(height)
        .map(move |mm| y + f64::from(mm))
        .map(move |at| [[x, at], [x + width, at]]);
    upright.chain(level)
}

fn trace(surface: &mut Surface<'_>, places: &[(f64, f64)]) {
    let mut path = PathBuilder::new();
    for (i, (x, y)) in places.iter().enumerate() {
        match i {
            0 => path.move_to(points(*x), points(*y)),
            _ => path.line_to(points(*x), points(*y)),
        }
    }
    stroke(surface, path, INK, TRACE_MM);
}

/// Puts a line of text; nothing that a font has no glyph for.
fn write(surface: &mut Surface<'_>, face: &Face, text: &str, (x, y): (f64, f64), size: f64, anchor: Anchor) {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let left = match anchor {
        Anchor::End => points(x) - face.width(&text, points(size)),
        Anchor::Start => points(x),
    };
    surface.set_stroke(None);
    surface.set_fill(Some(Fill {
        paint: rgb::Color::new(INK[0], INK[1], INK[2]).into(),
        opacity: NormalizedF32::ONE,
        rule: Default::default(),
    }));
    let (place, glyphs) = (Point::from_xy(left, points(y)), face.glyphs(&text));
    surface.draw_glyphs(place, &glyphs, face.font().clone(), &text, points(size), false);
}

#[cfg(test)]
#[path = "ecg_pdf_tests.rs"]
mod tests;
