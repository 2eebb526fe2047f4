//! Renditions of an issued version: each a pure function of the signed document, so that all say the same.

mod pdf;
#[cfg(test)]
mod sample;

pub use pdf::{ReportFonts, pdf};
