//! DICOMweb (PS3.18): search, retrieve, store.

mod multipart;
mod upload;
