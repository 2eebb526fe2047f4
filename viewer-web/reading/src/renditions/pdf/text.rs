//! Text on paper: glyphs, widths, and where a line of mixed Chinese and Latin may break.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, MetadataProvider};

use crate::error::{ReadingError, Result};

/// A font with what is needed to set a line: no shaping, Chinese and Latin text needs none.
pub struct Face {
    font: Font,
    data: std::sync::Arc<Vec<u8>>,
}

/// A step of an outline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Begins a contour.
    Move([f32; 2]),
    /// Straight on.
    Line([f32; 2]),
    /// A quadratic curve: control point, end.
    Quad([f32; 2], [f32; 2]),
    /// A cubic curve: control points, end.
    Cubic([f32; 2], [f32; 2], [f32; 2]),
    /// Back to where the contour began.
    Close,
}

/// Takes the outlines of a glyph, whose y runs upwards.
struct Pen<'s, F> {
    x: f32,
    step: &'s mut F,
}

impl<F: FnMut(Step)> OutlinePen for Pen<'_, F> {
    fn move_to(&mut self, x: f32, y: f32) {
        (self.step)(Step::Move([self.x + x, -y]));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        (self.step)(Step::Line([self.x + x, -y]));
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        (self.step)(Step::Quad([self.x + cx, -cy], [self.x + x, -y]));
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        let (a, b) = ([self.x + ax, -ay], [self.x + bx, -by]);
        (self.step)(Step::Cubic(a, b, [self.x + x, -y]));
    }

    fn close(&mut self) {
        (self.step)(Step::Close);
    }
}

/// A glyph of a line, and the room it takes at size 1.
pub type Line = Vec<KrillaGlyph>;

/// These never begin a line (GB/T 15834, line breaking of punctuation).
const NOT_FIRST: &str = "，。、；：？！）》】」』”’…％℃·,.;:?!)]}%";
/// These never end a line.
const NOT_LAST: &str = "（《【「『“‘([{";

impl Face {
    /// Reads a TrueType font.
    ///
    /// # Errors
    /// `Rendition` when it is none.
    pub fn new(bytes: &[u8]) -> Result<Face> {
        let data = std::sync::Arc::new(bytes.to_vec());
        let unusable =
            || ReadingError::Rendition("the font of printed reports is missing or damaged".to_owned());
        FontRef::new(&data).map_err(|_| unusable())?;
        let font = Font::new(data.clone().into(), 0).ok_or_else(unusable)?;
        Ok(Face { font, data })
    }

    /// The font itself.
    #[must_use]
    pub fn font(&self) -> &Font {
        &self.font
    }

    /// The glyphs of a text, one for each character.
    #[must_use]
    pub fn glyphs(&self, text: &str) -> Line {
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
        text.char_indices().map(glyph).collect()
    }

    /// The outlines of a text that begins at 0, 0, as one path; y downwards, in the unit of `size`.
    pub fn outline(&self, text: &str, size: f32, mut step: impl FnMut(Step)) {
        let Ok(font) = FontRef::new(&self.data) else {
            return;
        };
        let (glyphs, shapes) = (self.glyphs(text), font.outline_glyphs());
        let mut x = 0.0;
        for glyph in glyphs {
            if let Some(shape) = shapes.get(skrifa::GlyphId::new(glyph.glyph_id.to_u32())) {
                // What cannot be drawn is left out, as a missing letter is.
                let settings = DrawSettings::unhinted(Size::new(size), LocationRef::default());
                let _ = shape.draw(settings, &mut Pen { x, step: &mut step });
            }
            x += glyph.x_advance * size;
        }
    }

    /// Width of a text set at `size`, in the unit of `size`.
    #[must_use]
    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.glyphs(text).iter().map(|g| g.x_advance * size).sum()
    }

    /// Cuts a text into lines no wider than `room` points. Own line ends are kept.
    pub(super) fn wrap(&self, text: &str, size: f32, room: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            self.wrap_paragraph(paragraph.trim_end_matches('\r'), size, room, &mut lines);
        }
        lines
    }

    fn wrap_paragraph(&self, text: &str, size: f32, room: f32, lines: &mut Vec<String>) {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut line = String::new();
        let mut used = 0.0;
        for word in words(&clean) {
            let width = self.width(word, size);
            if used + width > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            if width <= room {
                line.push_str(word);
                used += width;
                continue;
            }
            // A word wider than the paper is cut anywhere.
            for c in word.chars() {
                let width = self.width(c.encode_utf8(&mut [0; 4]), size);
                if used + width > room && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += width;
            }
        }
        lines.push(line);
    }
}

/// A Latin word or number stays together; Chinese may break after each character.
fn is_joined(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/' | '%' | '+' | '_' | '×' | '°')
}

/// Pieces of a text between which a line may break; together they are the text.
fn words(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let stays = |b: char| (is_joined(b) && is_joined(c)) || NOT_FIRST.contains(c) || NOT_LAST.contains(b);
        let may_break = before.is_some_and(|b| !stays(b));
        if may_break {
            pieces.extend(text.get(from..at));
            from = at;
        }
        before = Some(c);
    }
    pieces.extend(text.get(from..).filter(|rest| !rest.is_empty()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_characters_but_not_in_numbers_or_before_stops() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(words(text), expect);
            assert_eq!(words(text).concat(), text);
        };
        check("直径约8.5mm，边缘", &["直", "径", "约", "8.5mm，", "边", "缘"]);
        check("（12mm）。见", &["（12mm）。", "见"]);
        check("CT value", &["CT", " ", "value"]);
        check("", &[]);
    }
}
