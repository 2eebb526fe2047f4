//! Renditions of an issued version: each a pure function of the signed document, so that all say the same.

mod cda;
pub mod fhir;
mod pdf;
#[cfg(test)]
mod sample;
mod sr;

pub use cda::cda;
pub use pdf::{ReportFonts, pdf};
pub use sr::{SOP_CLASS as SR_SOP_CLASS, instance_uid as sr_instance_uid, sr};
