//! What a file is when it is no DICOM object.

/// Bytes that [`describe`] wants to see.
pub(super) const SNIFF_BYTES: usize = 4096;

/// What a file that is no DICOM object looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// An ECG, in this format.
    Ecg(&'static str),
    /// Anything else, with a hint.
    Unknown(&'static str),
}

/// Looks at name and first bytes.
pub(super) fn describe(name: &str, start: &[u8]) -> Other {
    let lower = name.to_ascii_lowercase();
    let ends = |end: &str| lower.ends_with(end);
    let text = String::from_utf8_lossy(start.get(..SNIFF_BYTES.min(start.len())).unwrap_or_default());
    let holds = |word: &str| text.contains(word);
    if start.is_empty() {
        return Other::Unknown("the file is empty");
    }
    if start.starts_with(b"PK\x03\x04") {
        return Other::Unknown("a ZIP file inside the source; import it by itself");
    }
    if holds("AnnotatedECG") {
        return Other::Ecg("HL7 aECG");
    }
    if holds("<RestingECG") || holds("<RestingECGMeasurements") {
        return Other::Ecg("GE MUSE XML");
    }
    if start.get(16..22) == Some(b"SCPECG") || ends(".scp") {
        return Other::Ecg("SCP-ECG");
    }
    if start.starts_with(b"ISHNE1.0") {
        return Other::Ecg("ISHNE");
    }
    if ends(".edf") || (start.starts_with(b"0       ") && start.len() >= 256 && !ends(".txt")) {
        return Other::Ecg("EDF");
    }
    if ends(".mwf") || ends(".mfer") {
        return Other::Ecg("MFER");
    }
    if ends(".hea") {
        return Other::Ecg("WFDB");
    }
    Other::Unknown("no DICOM object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecgs_of_other_formats_are_told_from_the_rest() {
        let check =
            |name: &str, start: &[u8], expect: Other| assert_eq!(describe(name, start), expect, "{name}");
        let mut scp = vec![0; 64];
        scp[16..22].copy_from_slice(b"SCPECG");
        check("x", &scp, Other::Ecg("SCP-ECG"));
        check("100.HEA", b"100 2 360", Other::Ecg("WFDB"));
        check(
            "a.xml",
            b"<?xml version=\"1.0\"?><AnnotatedECG xmlns=",
            Other::Ecg("HL7 aECG"),
        );
        check(
            "b.xml",
            b"<!DOCTYPE RestingECG><RestingECG>",
            Other::Ecg("GE MUSE XML"),
        );
        check("h", b"ISHNE1.0xxxx", Other::Ecg("ISHNE"));
        check("n.edf", b"0", Other::Ecg("EDF"));
        check("readme.txt", b"hello", Other::Unknown("no DICOM object"));
        check(
            "inner.zip",
            b"PK\x03\x04...",
            Other::Unknown("a ZIP file inside the source; import it by itself"),
        );
        check("empty", b"", Other::Unknown("the file is empty"));
    }
}
