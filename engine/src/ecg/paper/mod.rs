//! ECG paper at true scale: millimetre grid, calibration pulse, leads, header and filter line.
//!
//! [`draw`] places everything in millimetres on an A4 page laid across; [`svg`] writes that drawing. A printer or a
//! PDF writer can take the same [`Drawing`].

mod header;
mod layout;
mod marks;
mod svg_text;

use super::filter::{Mains, Path};
use super::record::Record;

pub use layout::draw;

/// Width of the page in millimetres.
pub const PAGE_WIDTH_MM: f64 = 297.0;
/// Height of the page in millimetres.
pub const PAGE_HEIGHT_MM: f64 = 210.0;

/// How the leads stand on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Three rows of four leads and a rhythm strip.
    #[default]
    ThreeByFourPlusOne,
    /// Six rows of two leads.
    SixByTwo,
    /// Twelve rows.
    TwelveByOne,
    /// Six rows of two leads with the limb leads in the order of the frontal plane: aVL, I, -aVR, II, aVF, III (Cabrera
    /// 1944; recommended by the AHA/ACCF/HRS statement of 2007, part I).
    Cabrera,
}

impl Layout {
    /// Reads `3x4+1`, `6x2`, `12x1` or `cabrera`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "3x4+1" => Some(Self::ThreeByFourPlusOne),
            "6x2" => Some(Self::SixByTwo),
            "12x1" => Some(Self::TwelveByOne),
            "cabrera" => Some(Self::Cabrera),
            _ => None,
        }
    }
}

/// What is marked on the traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marks {
    /// Nothing.
    #[default]
    None,
    /// The beats, those that are not normal with their class (EC57: S, V, F, Q).
    Beats,
    /// The beats and the edges of P, QRS and T over all leads.
    Fiducials,
}

impl Marks {
    /// Reads `none`, `beats` or `fiducials`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "beats" => Some(Self::Beats),
            "fiducials" => Some(Self::Fiducials),
            _ => None,
        }
    }
}

/// What stands above the leads. Empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Line at the top, such as the hospital and `心电图`.
    pub title: String,
    /// Pairs such as `("姓名", "王建国")`; patient fields of the record are added where the label is missing.
    pub fields: Vec<(String, String)>,
    /// Measurements, one line each, such as `心率 72 次/分`.
    pub measurements: Vec<String>,
    /// Findings, one line each.
    pub findings: Vec<String>,
}

/// How to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperOptions {
    /// Arrangement of twelve leads; other sets of leads stand in one row each.
    pub layout: Layout,
    /// Paper speed in millimetres a second: 12.5, 25 or 50.
    pub speed_mm_s: f64,
    /// Gain in millimetres a millivolt: 5, 10, 20 or 40.
    pub gain_mm_mv: f64,
    /// Filter path of what is drawn.
    pub path: Path,
    /// Mains frequency taken out.
    pub mains: Mains,
    /// Where the page starts in the recording, in seconds.
    pub start_s: f64,
    /// What is marked.
    pub marks: Marks,
    /// What stands above.
    pub header: Header,
}

impl Default for PaperOptions {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            speed_mm_s: 25.0,
            gain_mm_mv: 10.0,
            path: Path::Diagnostic,
            mains: Mains::Hz50,
            start_s: 0.0,
            marks: Marks::default(),
            header: Header::default(),
        }
    }
}

/// Where a text hangs on its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text starts there.
    Start,
    /// The text ends there.
    End,
}

/// What a mark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A beat.
    Beat,
    /// An edge of P.
    P,
    /// An edge of QRS.
    Qrs,
    /// The end of T.
    T,
}

impl MarkKind {
    /// The word in class names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::P => "p",
            Self::Qrs => "qrs",
            Self::T => "t",
        }
    }

    /// Its colour, red, green and blue.
    #[must_use]
    pub fn colour(self) -> [u8; 3] {
        match self {
            Self::Beat => [0x5b, 0x5b, 0x5b],
            Self::P => [0x2f, 0x6f, 0xb7],
            Self::Qrs => [0x0f, 0x7a, 0x55],
            Self::T => [0x8a, 0x4f, 0xb3],
        }
    }
}

/// Width of a mark in millimetres.
pub const MARK_MM: f64 = 0.2;

/// One thing on the page; lengths in millimetres, y downwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Millimetre grid with every fifth line bold.
    Grid {
        /// Left edge.
        x: f64,
        /// Upper edge.
        y: f64,
        /// Width, a whole number of millimetres.
        width: f64,
        /// Height, a whole number of millimetres.
        height: f64,
    },
    /// A trace, or the calibration pulse when `lead` is `None`.
    Trace {
        /// Name of the lead.
        lead: Option<String>,
        /// Points in order.
        points: Vec<(f64, f64)>,
    },
    /// An upright line at a moment.
    Mark {
        /// Where.
        x: f64,
        /// Its upper end.
        top: f64,
        /// Its lower end.
        bottom: f64,
        /// What it is about.
        kind: MarkKind,
    },
    /// A text.
    Text {
        /// Point that it hangs on.
        x: f64,
        /// Its base line.
        y: f64,
        /// Height of the letters.
        size: f64,
        /// Whether it is bold.
        bold: bool,
        /// Which end hangs on the point.
        anchor: Anchor,
        /// The lead that it names.
        lead: Option<String>,
        /// The words.
        text: String,
    },
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Width in millimetres.
    pub width_mm: f64,
    /// Height in millimetres.
    pub height_mm: f64,
    /// What is on it, in the order of drawing.
    pub shapes: Vec<Shape>,
}

/// The page as a stand-alone SVG document whose user unit is one millimetre.
#[must_use]
pub fn svg(record: &Record, options: &PaperOptions) -> String {
    svg_text::write(&draw(record, options))
}

#[cfg(test)]
mod tests;
