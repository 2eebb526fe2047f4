//! Hostile bytes to typed DICOM attributes.
