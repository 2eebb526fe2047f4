//! Pure compute: ECG, codecs, pixels, volumes, reconstruction; no files, no network, no clock.
//!
//! The engine knows DICOM attributes only through [`dicom::Lookup`], a closure that the caller writes over
//! whatever data set it holds, and pixel data only as byte slices of single frames.

pub mod codec;
pub mod dicom;
pub mod ecg;
pub mod error;
pub mod pixel;
pub mod recon;
pub mod volume;

pub use error::ImagingError;
