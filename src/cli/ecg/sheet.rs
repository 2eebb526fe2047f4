//! `gongying ecg render`: one record on paper at true scale.

use super::Chain;
use super::record::Source;
use crate::output;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use engine::ecg::Record;
use engine::ecg::paper::{self, Header, Layout, Marks, PaperOptions};
use std::path::Path;

/// Longest recording that is measured for the head of its paper, in seconds.
const MEASURED_S_MAX: f64 = 300.0;

/// How the paper looks.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Arrangement of twelve leads; cabrera puts the limb leads in the order of the frontal plane, with -aVR.
    #[arg(long, value_enum, default_value_t = PaperLayout::ThreeByFour)]
    layout: PaperLayout,
    /// Paper speed in mm/s: 12.5, 25 or 50.
    #[arg(long, default_value_t = 25.0, value_parser = one_of::<3>([12.5, 25.0, 50.0]))]
    speed: f64,
    /// Gain in mm/mV: 2.5, 5, 10, 20 or 40.
    #[arg(long, default_value_t = 10.0, value_parser = one_of::<5>([2.5, 5.0, 10.0, 20.0, 40.0]))]
    gain: f64,
    /// What is marked on the traces.
    #[arg(long, value_enum, default_value_t = MarksName::None)]
    marks: MarksName,
    /// Second of the recording at which the page begins.
    #[arg(long, default_value_t = 0.0, value_name = "S")]
    start: f64,
    /// Line at the top, such as the hospital; 心电图 without it.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Leave measurements and findings of this program out of the head.
    #[arg(long)]
    no_measurements: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum PaperLayout {
    #[value(name = "3x4+1")]
    ThreeByFour,
    #[value(name = "6x2")]
    SixByTwo,
    #[value(name = "12x1")]
    TwelveByOne,
    Cabrera,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum MarksName {
    None,
    Beats,
    Fiducials,
}

/// Reads a number that has to be one of a few.
fn one_of<const N: usize>(allowed: [f64; N]) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let value = text.parse::<f64>().ok().filter(|value| allowed.contains(value));
        let words = || allowed.map(|value| value.to_string()).join(", ");
        value.ok_or_else(|| format!("write one of {}", words()))
    }
}

pub(super) fn render(source: &Source, options: &Options, chain: Chain, to: &Path) -> Result<()> {
    let form = Sheet::of(to)?;
    let record = source.read()?;
    let measured = !options.no_measurements && record.duration_s() <= MEASURED_S_MAX;
    let machine = measured.then(|| Header::of(&engine::ecg::analyze(&record)));
    let paper = PaperOptions {
        layout: options.layout.into(),
        speed_mm_s: options.speed,
        gain_mm_mv: options.gain,
        path: chain.path(),
        mains: chain.mains(),
        start_s: options.start,
        marks: options.marks.into(),
        header: Header {
            title: options.title.clone().unwrap_or_default(),
            ..machine.unwrap_or_default()
        },
    };
    output::write(Some(to), &form.draw(&record, &paper)?)
}

/// What the paper is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sheet {
    Svg,
    Pdf,
    Png,
}

impl Sheet {
    /// By the ending of the file's name.
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "svg" => Ok(Self::Svg),
            "pdf" => Ok(Self::Pdf),
            "png" => Ok(Self::Png),
            _ => bail!("{}: the name must end in .svg, .pdf or .png", path.display()),
        }
    }

    fn draw(self, record: &Record, options: &PaperOptions) -> Result<Vec<u8>> {
        let fonts = viewer_web::Fonts::EMBEDDED;
        Ok(match self {
            Self::Svg => paper::svg(record, options).into_bytes(),
            Self::Pdf => viewer_web::ecg_pdf::print(&paper::draw(record, options), fonts)?,
            Self::Png => viewer_web::ecg_png::print(&paper::draw(record, options), fonts)?,
        })
    }
}

impl From<PaperLayout> for Layout {
    fn from(name: PaperLayout) -> Self {
        match name {
            PaperLayout::ThreeByFour => Layout::ThreeByFourPlusOne,
            PaperLayout::SixByTwo => Layout::SixByTwo,
            PaperLayout::TwelveByOne => Layout::TwelveByOne,
            PaperLayout::Cabrera => Layout::Cabrera,
        }
    }
}

impl From<MarksName> for Marks {
    fn from(name: MarksName) -> Self {
        match name {
            MarksName::None => Marks::None,
            MarksName::Beats => Marks::Beats,
            MarksName::Fiducials => Marks::Fiducials,
        }
    }
}
