//! Texts of presentation states on a picture.

use crate::ecg_pdf::PdfError;
use crate::pages::Fonts;
use engine::pixel::{Align, Note, Picture};
use reading::renditions::{Face, Step};
use tiny_skia::{FillRule, LineJoin, Mask, Path, PathBuilder, Stroke, Transform};

/// Height of a line over the size of its letters.
const LINE: f32 = 1.25;
/// Where letters stand in their line, from its top.
const BASELINE: f32 = 0.95;
/// Smallest letters, in pixels: what does not fit its box hangs over.
const SIZE_MIN: f32 = 9.0;
/// Size where no box says it, as a share of the picture's shorter side.
const SHARE: f32 = 0.03;
/// Largest letters, as a share of the picture's height.
const SHARE_MAX: f32 = 0.25;
/// Width of the edge that sets letters off, as a share of their size.
const EDGE: f32 = 0.16;

/// Writes the texts, each with what its `Note` says of its place: in its box, upright, and with a line to its anchor where
/// that is to be seen. Letters have an edge of the opposite grey, so that they can be read on bone and on air.
///
/// Answers how many have no place, neither a box nor an anchor, and are not written.
///
/// # Errors
/// [`PdfError::NoFonts`] in a build without pages, [`PdfError::Write`] for a picture without pixels.
pub fn write(picture: &mut Picture, notes: &[(String, Note)], fonts: Fonts) -> Result<usize, PdfError> {
    let face = Face::new(fonts.regular).map_err(|_| PdfError::NoFonts)?;
    for (text, note) in notes {
        let Some(caption) = Caption::set(text, note, &face, [picture.width, picture.height]) else {
            continue;
        };
        let against = if note.grey > 127 { 0 } else { 255 };
        let edge = Stroke {
            width: (caption.size * EDGE).max(1.5),
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        let mut layers = Vec::new();
        for path in [&caption.letters, &caption.line].into_iter().flatten() {
            layers.extend(path.stroke(&edge, 1.0).map(|outline| (outline, against)));
        }
        let thin = Stroke::default();
        let line = caption.line.as_ref().and_then(|line| line.stroke(&thin, 1.0));
        layers.extend(line.map(|line| (line, note.grey)));
        layers.extend(caption.letters.map(|letters| (letters, note.grey)));
        for (path, grey) in layers {
            ink(picture, &path, grey)?;
        }
    }
    Ok(notes.iter().filter(|(_, note)| note.bounds.is_none()).count())
}

/// A text that has been set.
struct Caption {
    size: f32,
    letters: Option<Path>,
    /// From the box to the anchor.
    line: Option<Path>,
}

impl Caption {
    /// `None` where there is nothing to write or no place to write it.
    fn set(text: &str, note: &Note, face: &Face, [width, height]: [u32; 2]) -> Option<Self> {
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect();
        let [left, top, right, bottom] = note.bounds?.map(|v| v as f32);
        let widest = lines.iter().map(|line| face.width(line, 1.0)).fold(0.0, f32::max);
        if widest <= 0.0 {
            return None;
        }
        let (width, height) = (width as f32, height as f32);
        let size = if right > left && bottom > top {
            ((bottom - top) / (lines.len() as f32 * LINE)).min((right - left) / widest)
        } else {
            width.min(height) * SHARE
        };
        let size = size.min(height * SHARE_MAX).max(SIZE_MIN);
        let mut letters = PathBuilder::new();
        for (number, line) in lines.iter().enumerate() {
            let own = face.width(line, size);
            let x = match note.align {
                Align::Left => left,
                Align::Center => (left + right - own) / 2.0,
                Align::Right => right - own,
            };
            // A text that is wider than the picture begins at its edge.
            let x = x.min(width - own).max(0.0);
            let y = top + size * (LINE * number as f32 + BASELINE);
            face.outline(line, size, |step| match step {
                Step::Move([a, b]) => letters.move_to(x + a, y + b),
                Step::Line([a, b]) => letters.line_to(x + a, y + b),
                Step::Quad([a, b], [c, d]) => letters.quad_to(x + a, y + b, x + c, y + d),
                Step::Cubic([a, b], [c, d], [e, f]) => {
                    letters.cubic_to(x + a, y + b, x + c, y + d, x + e, y + f);
                }
                Step::Close => letters.close(),
            });
        }
        let line = note.anchor.and_then(|[x, y]| {
            let (x, y) = (x as f32, y as f32);
            let (from_x, from_y) = (x.clamp(left, right.max(left)), y.clamp(top, bottom.max(top)));
            let mut path = PathBuilder::new();
            path.move_to(from_x, from_y);
            path.line_to(x, y);
            path.finish().filter(|_| (from_x, from_y) != (x, y))
        });
        Some(Self {
            size,
            letters: letters.finish(),
            line,
        })
    }
}

/// Fills a path with a grey level.
fn ink(picture: &mut Picture, path: &Path, grey: u8) -> Result<(), PdfError> {
    let bounds = path.bounds();
    let edge = |v: f32, most: u32| v.clamp(0.0, most as f32) as u32;
    let (left, top) = (
        edge(bounds.left().floor(), picture.width),
        edge(bounds.top().floor(), picture.height),
    );
    let (right, bottom) = (
        edge(bounds.right().ceil(), picture.width),
        edge(bounds.bottom().ceil(), picture.height),
    );
    if left >= right || top >= bottom {
        return Ok(());
    }
    // Only as large as what is written.
    let mut mask = Mask::new(right - left, bottom - top)
        .ok_or_else(|| PdfError::Write("the picture has no size".to_owned()))?;
    let place = Transform::from_translate(-(left as f32), -(top as f32));
    mask.fill_path(path, FillRule::Winding, true, place);
    let channels = usize::from(picture.channels);
    let row_bytes = picture.width as usize * channels;
    let rows = picture.data.chunks_exact_mut(row_bytes).skip(top as usize);
    for (row, covered) in rows.zip(mask.data().chunks_exact((right - left) as usize)) {
        let pixels = row[left as usize * channels..].chunks_exact_mut(channels);
        for (pixel, share) in pixels.zip(covered) {
            for value in pixel {
                let (from, to) = (u32::from(*value), u32::from(grey));
                let share = u32::from(*share);
                *value = ((from * (255 - share) + to * share + 127) / 255) as u8;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(bounds: [f64; 4], align: Align) -> Note {
        Note {
            raw: Vec::new(),
            bounds: Some(bounds),
            anchor: None,
            align,
            grey: 255,
        }
    }

    fn picture() -> Picture {
        Picture {
            width: 200,
            height: 100,
            channels: 1,
            data: vec![90; 20_000],
        }
    }

    /// Columns and rows between which something was written.
    fn written(text: &str, note: Note) -> Option<[usize; 4]> {
        let mut after = picture();
        write(&mut after, &[(text.to_owned(), note)], Fonts::EMBEDDED).unwrap();
        let changed = (0..20_000).filter(|i| after.data[*i] != 90);
        changed.fold(None, |found: Option<[usize; 4]>, i| {
            let (x, y) = (i % 200, i / 200);
            let [a, b, c, d] = found.unwrap_or([x, y, x, y]);
            Some([a.min(x), b.min(y), c.max(x), d.max(y)])
        })
    }

    #[test]
    fn a_text_stands_in_its_box_and_on_its_side() {
        if Fonts::EMBEDDED.regular.is_empty() {
            return;
        }
        let bounds = [20.0, 30.0, 180.0, 55.0];
        for (align, near) in [(Align::Left, 20), (Align::Center, 100), (Align::Right, 180)] {
            let [left, top, right, bottom] = written("结节 5 mm", note(bounds, align)).unwrap();
            assert!(top >= 28 && bottom <= 57 && left >= 17 && right <= 183);
            let at = match align {
                Align::Left => left,
                Align::Center => usize::midpoint(left, right),
                Align::Right => right,
            };
            assert!(at.abs_diff(near) <= 4, "{align:?}: {at}");
        }
        let [_, top, _, bottom] = written("a\r\nb\r\nc", note([5.0, 5.0, 60.0, 80.0], Align::Left)).unwrap();
        assert!(bottom - top > 50, "three lines fill the box");
    }

    #[test]
    fn what_lies_beyond_is_cut_off_and_nothing_is_written_of_nothing() {
        if Fonts::EMBEDDED.regular.is_empty() {
            return;
        }
        assert_eq!(written("", note([0.0, 0.0, 50.0, 50.0], Align::Left)), None);
        assert_eq!(written("x", note([0.0, 900.0, 50.0, 950.0], Align::Left)), None);
        let mut nowhere = note([0.0; 4], Align::Left);
        nowhere.bounds = None;
        let left_out = write(&mut picture(), &[("x".to_owned(), nowhere)], Fonts::EMBEDDED);
        assert_eq!(left_out.unwrap(), 1);
        // An anchor far away: the line goes there, as far as the picture reaches.
        let mut away = note([20.0, 20.0, 80.0, 40.0], Align::Left);
        away.anchor = Some([1e7, 1e7]);
        assert!(written("x", away).is_some());
        let far = note([1e7, 1e7, 1e7, 1e7], Align::Right);
        assert_eq!(written("x", far), None);
        // At an anchor without a box, at the right edge: still whole.
        let [_, _, right, _] = written("ABCDEF", note([198.0, 50.0, 198.0, 50.0], Align::Left)).unwrap();
        assert!(right <= 199);
    }

    #[test]
    fn a_line_leads_to_an_anchor_that_is_to_be_seen() {
        if Fonts::EMBEDDED.regular.is_empty() {
            return;
        }
        let mut note = note([20.0, 20.0, 80.0, 40.0], Align::Left);
        note.anchor = Some([150.0, 90.0]);
        let [_, _, right, bottom] = written("x", note).unwrap();
        assert!(right.abs_diff(150) <= 3 && bottom.abs_diff(90) <= 3);
    }

    #[test]
    fn without_fonts_it_says_so() {
        let none = Fonts {
            regular: b"",
            bold: b"",
        };
        assert!(matches!(write(&mut picture(), &[], none), Err(PdfError::NoFonts)));
    }
}
