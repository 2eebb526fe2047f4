//! Reports that a person can read and a program cannot measure, as DICOM objects: Encapsulated PDF (PS3.3 A.45.1) for PDF,
//! Raw Data (PS3.3 A.37) for a maker's own XML, which no encapsulated document class holds.

use super::super::element::Set;
use super::{
    Identity, ORIGINAL_BLOCK, ORIGINAL_BYTES, ORIGINAL_CREATOR, ORIGINAL_FORMAT, ORIGINAL_LENGTH,
    ORIGINAL_NAME, long, meta, patient, short,
};
use crate::ecg::formats::stamp;
use crate::ecg::record::Patient;

/// Encapsulated Document.
pub(super) const ENCAPSULATED: u32 = 0x0042_0011;
/// What the series says of itself, so that every viewer shows it.
const NOT_MEASURABLE: &str = "心电图文件 不可测量";

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// Portable Document Format.
    Pdf,
    /// Markup of a maker.
    Xml,
}

impl DocumentKind {
    /// By the first bytes; everything that is no PDF and was taken for a document is markup.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"%PDF-") {
            Self::Pdf
        } else {
            Self::Xml
        }
    }

    /// Short name, as formats of recordings have one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Xml => "xml",
        }
    }

    fn class_uid(self) -> &'static str {
        match self {
            Self::Pdf => "1.2.840.10008.5.1.4.1.1.104.1",
            Self::Xml => "1.2.840.10008.5.1.4.1.1.66",
        }
    }
}

/// A document and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// What it is.
    pub kind: DocumentKind,
    /// Name of its file, without a folder.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whose it is: nothing in it is read.
    pub patient: &'a Patient,
}

/// Writes a Part 10 file. [`super::originals`] gives the document back.
#[must_use]
pub fn document(document: &Document<'_>, identity: &Identity) -> Vec<u8> {
    let mut set = Set::default();
    let (date, time) = stamp::split(Some(&identity.now));
    let (date, time) = (
        date.unwrap_or_default(),
        time.unwrap_or_else(|| "000000".to_owned()),
    );
    common(&mut set, document, identity, (&date, &time));
    patient(&mut set, document.patient);
    let mut bytes = document.bytes.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    set.text(ORIGINAL_BLOCK, *b"LO", ORIGINAL_CREATOR);
    set.text(ORIGINAL_FORMAT, *b"LO", document.kind.as_str());
    set.text(ORIGINAL_NAME, *b"LO", &long(document.name));
    set.ul(ORIGINAL_LENGTH, &[document.bytes.len() as u32]);
    match document.kind {
        DocumentKind::Pdf => {
            // Made by a workstation, which is what an exporting cart is.
            set.text(0x0008_0064, *b"CS", "WSD");
            set.text(0x0028_0301, *b"CS", "YES");
            set.text(0x0042_0010, *b"ST", &long(document.name));
            set.text(0x0042_0012, *b"LO", "application/pdf");
            set.ul(0x0042_0015, &[document.bytes.len() as u32]);
            set.sequence(0x0040_A043, &[]);
            set.bytes(ENCAPSULATED, *b"OB", bytes);
        }
        DocumentKind::Xml => {
            set.text(0x0008_9123, *b"UI", super::IMPLEMENTATION_CLASS_UID);
            set.sequence(0x0040_0555, &[]);
            set.bytes(ORIGINAL_BYTES, *b"OB", bytes);
        }
    }
    let mut out = meta(identity, document.kind.class_uid());
    out.extend(set.encode());
    out
}

fn common(set: &mut Set, document: &Document<'_>, identity: &Identity, (date, time): (&str, &str)) {
    set.text(0x0008_0005, *b"CS", "ISO_IR 192");
    set.text(0x0008_0016, *b"UI", document.kind.class_uid());
    set.text(0x0008_0018, *b"UI", &identity.sop_instance_uid);
    set.text(0x0008_0020, *b"DA", "");
    set.text(0x0008_0030, *b"TM", "");
    set.text(0x0008_0023, *b"DA", date);
    set.text(0x0008_0033, *b"TM", time);
    set.text(0x0008_002A, *b"DT", "");
    let accession = identity.accession_number.as_deref().map(|text| short(text, 16));
    set.text_or_empty(0x0008_0050, *b"SH", accession.as_deref());
    set.text(0x0008_0060, *b"CS", "ECG");
    set.text(0x0008_0070, *b"LO", "unknown");
    set.text(0x0008_0090, *b"PN", "");
    set.text(0x0008_103E, *b"LO", NOT_MEASURABLE);
    set.text(0x0020_000D, *b"UI", &identity.study_instance_uid);
    set.text(0x0020_000E, *b"UI", &identity.series_instance_uid);
    set.text(0x0020_0010, *b"SH", "");
    set.text(0x0020_0011, *b"IS", "1");
    set.text(0x0020_0013, *b"IS", "1");
}
