//! DICOM JSON (PS3.18 Annex F).
