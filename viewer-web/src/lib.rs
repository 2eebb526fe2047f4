//! The web face: application, API and DICOMweb on one origin.
