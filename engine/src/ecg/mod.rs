//! Electrocardiograms: from the bytes of any maker's file to measurements, findings and true-scale paper.
//!
//! The path is one-way: [`formats`] makes a [`record::Record`], [`filter`] and [`beats`] work on its
//! leads, [`delineate`] and [`measure`] put numbers on waves, [`interpret`] and [`critical`] name
//! findings, [`quality`] judges each lead and [`paper`] draws. Nothing here opens a file, reads a clock
//! or keeps state between calls. Amplitudes are microvolts, times are samples of the record's own rate
//! unless a name ends in another unit.

pub mod analysis;
pub mod beats;
pub mod critical;
pub mod delineate;
pub mod error;
pub mod filter;
pub mod formats;
pub mod holter;
pub mod interpret;
pub mod measure;
pub mod paper;
pub mod quality;
pub mod record;
mod simd;
mod spline;
#[cfg(test)]
mod synth;

pub use analysis::{Analysis, AnalyzeOptions, analyze, analyze_with};
pub use beats::{Beat, BeatClass};
pub use error::EcgError;
pub use record::{Lead, LeadName, Record};

/// A folder of the shared test data, or `None` with a word on it: `GONGYING_TEST_DATA`, else `shared/data` beside the
/// checkout.
#[cfg(test)]
fn test_data(part: &str) -> Option<std::path::PathBuf> {
    let named = std::env::var_os("GONGYING_TEST_DATA").map(std::path::PathBuf::from);
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside = above
        .map(|folder| folder.join("shared/data"))
        .find(|folder| folder.is_dir());
    let found = named
        .or(beside)
        .map(|folder| folder.join(part))
        .filter(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: test data not present ({part})");
    }
    found
}
