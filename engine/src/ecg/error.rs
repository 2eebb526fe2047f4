//! The one error type of the ECG engine.

/// Why a recording could not be read or worked on. Each message is the sentence that a user reads.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EcgError {
    /// The bytes match none of the formats known here.
    #[error(
        "{name}: this is not an ECG format known here; expected WFDB, DICOM, SCP-ECG, HL7 aECG, GE MUSE XML, \
         Philips Sierra XML, EDF, BDF, MFER, ISHNE or .npy"
    )]
    UnknownFormat {
        /// Name of the file as the caller gave it.
        name: String,
    },
    /// A document that a person can read but that holds no waveform for a program.
    #[error(
        "{name}: {what} cannot be measured; it can be kept as a document, or export the recording as DICOM, SCP-ECG or \
         HL7 aECG"
    )]
    NotMeasurable {
        /// Name of the file as the caller gave it.
        name: String,
        /// What the file is.
        what: String,
    },
    /// A recording that a format cannot hold.
    #[error("{format}: the recording cannot be written: {why}")]
    CannotHold {
        /// Format to be written.
        format: &'static str,
        /// What does not fit, and where it would.
        why: String,
    },
    /// A DICOM object has to be tokenised by the caller and read through a lookup.
    #[error("{name}: DICOM objects are read through their data set, not as plain bytes")]
    DicomNeedsLookup {
        /// Name of the file as the caller gave it.
        name: String,
    },
    /// A field of a header says something impossible.
    #[error("{format}: {field} is {value:?}; expected {expected}")]
    Field {
        /// Format being read.
        format: &'static str,
        /// Field of that format.
        field: String,
        /// What stands in the file, shortened.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The header names a file which is not there.
    #[error("{format}: the header names {file}, which is missing; put it beside the header")]
    MissingFile {
        /// Format being read.
        format: &'static str,
        /// Name of the missing file.
        file: String,
    },
    /// Fewer bytes than the header promises, with too little left to use.
    #[error("{format}: {what} ends after {got} of {wanted} bytes; the file is cut, send it again")]
    Cut {
        /// Format being read.
        format: &'static str,
        /// Part which is cut.
        what: String,
        /// Bytes wanted.
        wanted: u64,
        /// Bytes there.
        got: u64,
    },
    /// A size beyond the limits of this engine.
    #[error("{format}: {what} is {value}, the limit is {limit}")]
    TooLarge {
        /// Format being read.
        format: &'static str,
        /// What is too large.
        what: &'static str,
        /// The value in the file.
        value: u64,
        /// The largest accepted value.
        limit: u64,
    },
    /// A variant of the format which is not read here.
    #[error("{format}: {what} is not supported")]
    Unsupported {
        /// Format being read.
        format: &'static str,
        /// The variant.
        what: String,
    },
    /// The array format carries no sampling rate and none was given.
    #[error("{format}: the sampling rate is not in the file; give it with --fs HZ")]
    NoSamplingRate {
        /// Format being read.
        format: &'static str,
    },
    /// The recording holds no voltage samples.
    #[error("{format}: there is no ECG lead with samples in it")]
    NoSignal {
        /// Format being read.
        format: &'static str,
    },
    /// The bytes of a recording that is read piece by piece cannot be had.
    #[error("{format}: the recording cannot be read any further: {why}")]
    Unreadable {
        /// Short name of the format.
        format: &'static str,
        /// What the store or the disk said.
        why: String,
    },
    /// The caller asked for a lead which the recording lacks.
    #[error("lead {wanted} is not in this recording; it has {have}")]
    NoSuchLead {
        /// Lead asked for.
        wanted: String,
        /// Leads of the recording, comma separated.
        have: String,
    },
}

impl EcgError {
    /// A [`EcgError::Field`] with the value shortened so that hostile text cannot flood a message.
    pub(crate) fn field(
        format: &'static str,
        field: impl Into<String>,
        value: impl AsRef<str>,
        expected: &'static str,
    ) -> Self {
        const SHOWN_CHARS_MAX: usize = 40;
        let value: String = value.as_ref().chars().take(SHOWN_CHARS_MAX).collect();
        Self::Field {
            format,
            field: field.into(),
            value,
            expected,
        }
    }
}
