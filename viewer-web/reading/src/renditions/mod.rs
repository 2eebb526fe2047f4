//! Renditions of an issued version: each a pure function of the signed document, so that all say the same.

/// An ISO 8601 date without its hyphens; empty for none.
fn compact_date(date: Option<&str>) -> String {
    date.unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect()
}

mod cda;
pub mod fhir;
mod pdf;
#[cfg(test)]
mod sample;
mod sr;

pub use cda::cda;
pub use pdf::{Face, Line, ReportFonts, Step, pdf};
pub use sr::{SOP_CLASS as SR_SOP_CLASS, instance_uid as sr_instance_uid, sr};
