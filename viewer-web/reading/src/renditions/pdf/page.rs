//! A4 pages that fill from the top; what does not fit goes on to the next.

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;

use super::text::Face;

/// A4, points.
pub(super) const WIDTH_PT: f32 = 595.28;
/// A4, points.
pub(super) const HEIGHT_PT: f32 = 841.89;
/// Left and right margin, points.
pub(super) const MARGIN_PT: f32 = 48.0;
/// Room kept at the foot for signatures and code, points.
pub(super) const FOOT_PT: f32 = 118.0;
/// Pages of a report at most; a text at its longest needs fewer.
pub(super) const PAGES_MAX: usize = 80;

/// Something drawn at a place, kept until its page is drawn.
pub(super) enum Mark {
    /// A line of text: left, baseline, size, bold, colour.
    Text(String, f32, f32, f32, bool, Ink),
    /// A straight line between two points with a width.
    Rule(f32, f32, f32, f32, f32, Ink),
    /// An empty box: left, top, width, height.
    Frame(f32, f32, f32, f32, Ink),
    /// Filled squares of one size.
    Squares(Vec<(f32, f32)>, f32),
}

/// Colours of the form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Text.
    Black,
    /// Labels and rules.
    Grey,
    /// Recognition.
    Violet,
    /// Withdrawn.
    Red,
}

impl Ink {
    fn colour(self) -> rgb::Color {
        match self {
            Ink::Black => rgb::Color::new(17, 17, 17),
            Ink::Grey => rgb::Color::new(90, 90, 90),
            Ink::Violet => rgb::Color::new(88, 44, 140),
            Ink::Red => rgb::Color::new(176, 24, 24),
        }
    }

    fn fill(self) -> Fill {
        Fill {
            paint: self.colour().into(),
            opacity: NormalizedF32::ONE,
            rule: Default::default(),
        }
    }

    fn stroke(self, width: f32) -> Stroke {
        Stroke {
            paint: self.colour().into(),
            width,
            ..Stroke::default()
        }
    }
}

/// Pages being filled.
pub(super) struct Paper<'f> {
    pub(super) regular: &'f Face,
    pub(super) bold: &'f Face,
    pub(super) pages: Vec<Vec<Mark>>,
    /// Next free height on the last page.
    pub(super) y: f32,
    top: f32,
}

impl<'f> Paper<'f> {
    pub(super) fn new(regular: &'f Face, bold: &'f Face) -> Self {
        Paper {
            regular,
            bold,
            pages: vec![Vec::new()],
            y: MARGIN_PT,
            top: MARGIN_PT,
        }
    }

    pub(super) fn face(&self, bold: bool) -> &'f Face {
        if bold { self.bold } else { self.regular }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Text whose baseline is at `y`.
    pub(super) fn put(&mut self, text: &str, x: f32, y: f32, size: f32, bold: bool, ink: Ink) {
        if !text.is_empty() {
            self.mark(Mark::Text(text.to_owned(), x, y, size, bold, ink));
        }
    }

    pub(super) fn centred(&mut self, text: &str, y: f32, size: f32, bold: bool) {
        let x = (WIDTH_PT - self.face(bold).width(text, size)) / 2.0;
        self.put(text, x, y, size, bold, Ink::Black);
    }

    pub(super) fn rule(&mut self, y: f32, width: f32) {
        self.mark(Mark::Rule(
            MARGIN_PT,
            y,
            WIDTH_PT - MARGIN_PT,
            y,
            width,
            Ink::Grey,
        ));
    }

    /// Later pages start below what stands on top of each.
    pub(super) fn continue_below(&mut self, top: f32) {
        self.top = top;
    }

    /// Makes sure that `height` points are free, on a new page if need be.
    pub(super) fn need(&mut self, height: f32) {
        if self.y + height > HEIGHT_PT - FOOT_PT - MARGIN_PT / 2.0 && self.pages.len() < PAGES_MAX {
            self.pages.push(Vec::new());
            self.y = self.top;
        }
    }

    /// A paragraph over the whole width.
    pub(super) fn paragraph(&mut self, text: &str, size: f32, bold: bool, ink: Ink) {
        const INDENT_PT: f32 = 4.0;
        let leading = size * 1.65;
        let room = WIDTH_PT - 2.0 * (MARGIN_PT + INDENT_PT);
        for line in self.face(bold).wrap(text, size, room) {
            self.need(leading);
            self.put(&line, MARGIN_PT + INDENT_PT, self.y + size, size, bold, ink);
            self.y += leading;
        }
    }
}

/// Size of an A4 page.
pub(super) fn a4() -> Option<PageSettings> {
    PageSettings::from_wh(WIDTH_PT, HEIGHT_PT)
}

/// Draws the marks of one page.
pub(super) fn draw(surface: &mut Surface<'_>, marks: &[Mark], paper: &Paper<'_>) {
    for mark in marks {
        match mark {
            Mark::Text(text, x, y, size, bold, ink) => {
                let face = paper.face(*bold);
                surface.set_stroke(None);
                surface.set_fill(Some(ink.fill()));
                surface.draw_glyphs(
                    Point::from_xy(*x, *y),
                    &face.glyphs(text),
                    face.font().clone(),
                    text,
                    *size,
                    false,
                );
            }
            Mark::Rule(x0, y0, x1, y1, width, ink) => {
                let mut path = PathBuilder::new();
                path.move_to(*x0, *y0);
                path.line_to(*x1, *y1);
                stroke(surface, path, *ink, *width);
            }
            Mark::Frame(x, y, w, h, ink) => {
                let mut path = PathBuilder::new();
                path.extend(Rect::from_xywh(*x, *y, *w, *h));
                stroke(surface, path, *ink, 1.0);
            }
            Mark::Squares(places, side) => {
                let mut path = PathBuilder::new();
                for (x, y) in places {
                    path.extend(Rect::from_xywh(*x, *y, *side, *side));
                }
                if let Some(path) = path.finish() {
                    surface.set_stroke(None);
                    surface.set_fill(Some(Ink::Black.fill()));
                    surface.draw_path(&path);
                }
            }
        }
    }
}

trait Extend {
    fn extend(&mut self, rect: Option<Rect>);
}

impl Extend for PathBuilder {
    fn extend(&mut self, rect: Option<Rect>) {
        if let Some(rect) = rect {
            self.push_rect(rect);
        }
    }
}

fn stroke(surface: &mut Surface<'_>, path: PathBuilder, ink: Ink, width: f32) {
    if let Some(path) = path.finish() {
        surface.set_fill(None);
        surface.set_stroke(Some(ink.stroke(width)));
        surface.draw_path(&path);
    }
}
