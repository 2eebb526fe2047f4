//! DICOM on the wire: associations, services and the receive path.
