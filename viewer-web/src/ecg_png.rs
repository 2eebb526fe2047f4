//! ECG paper as a picture: the same page as the PDF, with its scale written into the file.

use crate::ecg_pdf::{GRID, INK, PdfError, TRACE_MM, grid_lines};
use crate::pages::Fonts;
use engine::ecg::paper::{Anchor, Drawing, MARK_MM, Shape};
use engine::pixel::{Format, Picture, encode};
use reading::renditions::{Face, Step};
use tiny_skia::{Color, FillRule, LineJoin, Paint, PathBuilder, Pixmap, Stroke, Transform};

/// Dots of a millimetre on paper: 254 dots per inch.
pub const DOTS_PER_MM: f32 = 10.0;
/// Signature and IHDR, behind which the scale stands.
const HEAD_BYTES: usize = 33;

/// Draws the page.
///
/// # Errors
/// [`PdfError::NoFonts`] in a build without pages, [`PdfError::Write`] for sizes that no picture can have.
pub fn print(drawing: &Drawing, fonts: Fonts) -> Result<Vec<u8>, PdfError> {
    let face = |bytes| Face::new(bytes).map_err(|_| PdfError::NoFonts);
    let (regular, bold) = (face(fonts.regular)?, face(fonts.bold)?);
    let dots = |mm: f64| (mm * f64::from(DOTS_PER_MM)).round() as u32;
    let mut sheet = Pixmap::new(dots(drawing.width_mm), dots(drawing.height_mm))
        .ok_or_else(|| PdfError::Write("the page has no size".to_owned()))?;
    sheet.fill(Color::WHITE);
    for shape in &drawing.shapes {
        match shape {
            Shape::Grid { x, y, width, height } => grid(&mut sheet, [*x, *y, *width, *height]),
            Shape::Trace { points, .. } => trace(&mut sheet, points),
            Shape::Mark { x, top, bottom, kind } => {
                let mut path = PathBuilder::new();
                path.move_to(*x as f32, *top as f32);
                path.line_to(*x as f32, *bottom as f32);
                stroke(&mut sheet, path, kind.colour(), MARK_MM);
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
                write(
                    &mut sheet,
                    face,
                    text,
                    (*x as f32, *y as f32),
                    *size as f32,
                    *anchor,
                );
            }
        }
    }
    let picture = Picture {
        width: sheet.width(),
        height: sheet.height(),
        channels: 3,
        data: sheet
            .pixels()
            .iter()
            .flat_map(|p| [p.red(), p.green(), p.blue()])
            .collect(),
    };
    let png = encode(&picture, Format::Png, 0).map_err(|e| PdfError::Write(e.to_string()))?;
    Ok(with_scale(png))
}

/// Adds how many dots a metre has (pHYs), so that viewers and printers keep the scale.
fn with_scale(mut png: Vec<u8>) -> Vec<u8> {
    let dots_per_metre = (DOTS_PER_MM * 1000.0) as u32;
    let mut content = b"pHYs".to_vec();
    content.extend(dots_per_metre.to_be_bytes());
    content.extend(dots_per_metre.to_be_bytes());
    content.push(1);
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let length = (content.len() as u32 - 4).to_be_bytes();
    let chunk = length.into_iter().chain(content).chain(crc.sum().to_be_bytes());
    if png.len() >= HEAD_BYTES {
        png.splice(HEAD_BYTES..HEAD_BYTES, chunk);
    }
    png
}

fn paint([r, g, b]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint.anti_alias = true;
    paint
}

fn stroke(sheet: &mut Pixmap, path: PathBuilder, colour: [u8; 3], width_mm: f64) {
    if let Some(path) = path.finish() {
        let stroke = Stroke {
            width: width_mm as f32,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        let scale = Transform::from_scale(DOTS_PER_MM, DOTS_PER_MM);
        sheet.stroke_path(&path, &paint(colour), &stroke, scale, None);
    }
}

fn grid(sheet: &mut Pixmap, area: [f64; 4]) {
    for (step, colour, line_mm) in GRID {
        let mut path = PathBuilder::new();
        for [from, to] in grid_lines(area, step) {
            path.move_to(from[0] as f32, from[1] as f32);
            path.line_to(to[0] as f32, to[1] as f32);
        }
        stroke(sheet, path, colour, line_mm);
    }
}

fn trace(sheet: &mut Pixmap, places: &[(f64, f64)]) {
    let mut path = PathBuilder::new();
    for (i, (x, y)) in places.iter().enumerate() {
        match i {
            0 => path.move_to(*x as f32, *y as f32),
            _ => path.line_to(*x as f32, *y as f32),
        }
    }
    stroke(sheet, path, INK, TRACE_MM);
}

fn write(sheet: &mut Pixmap, face: &Face, text: &str, (x, y): (f32, f32), size: f32, anchor: Anchor) {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let left = match anchor {
        Anchor::End => x - face.width(&text, size),
        Anchor::Start => x,
    };
    let mut path = PathBuilder::new();
    face.outline(&text, size, |step| match step {
        Step::Move([x, y]) => path.move_to(x, y),
        Step::Line([x, y]) => path.line_to(x, y),
        Step::Quad([cx, cy], [x, y]) => path.quad_to(cx, cy, x, y),
        Step::Cubic([ax, ay], [bx, by], [x, y]) => path.cubic_to(ax, ay, bx, by, x, y),
        Step::Close => path.close(),
    });
    if let Some(path) = path.finish() {
        let place = Transform::from_translate(left, y).post_scale(DOTS_PER_MM, DOTS_PER_MM);
        sheet.fill_path(&path, &paint(INK), FillRule::Winding, place, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_stands_behind_the_header() {
        let picture = Picture {
            width: 2,
            height: 1,
            channels: 1,
            data: vec![0, 255],
        };
        let plain = encode(&picture, Format::Png, 0).unwrap();
        let scaled = with_scale(plain.clone());
        let chunk = &scaled[HEAD_BYTES..HEAD_BYTES + 21];
        assert_eq!(&chunk[..8], b"\0\0\0\x09pHYs");
        assert_eq!(&chunk[8..12], 10_000_u32.to_be_bytes());
        assert_eq!(
            (&scaled[..HEAD_BYTES], &scaled[HEAD_BYTES + 21..]),
            plain.split_at(HEAD_BYTES)
        );
    }

    #[test]
    fn traces_and_grid_are_where_the_drawing_says() {
        let mut sheet = Pixmap::new(100, 100).unwrap();
        sheet.fill(Color::WHITE);
        grid(&mut sheet, [0.0, 0.0, 10.0, 10.0]);
        trace(&mut sheet, &[(2.5, 0.0), (2.5, 10.0)]);
        let red = |x: u32, y: u32| sheet.pixel(x, y).unwrap().red();
        assert!(red(25, 52) < 60, "the trace is dark");
        assert!(
            (200..255).contains(&red(50, 33)),
            "a bold line each five millimetres"
        );
        assert_eq!(red(46, 44), 255, "paper between the lines");
    }

    #[test]
    fn without_fonts_it_says_so() {
        let drawing = Drawing {
            width_mm: 10.0,
            height_mm: 10.0,
            shapes: Vec::new(),
        };
        let none = Fonts {
            regular: &[],
            bold: &[],
        };
        assert!(matches!(print(&drawing, none), Err(PdfError::NoFonts)));
    }
}
