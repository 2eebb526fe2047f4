//! Why bytes are not a data set, and what was odd about those that are.

use crate::dictionary::Tag;

/// A data set, file or identifier that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The bytes end inside something.
    #[error("the data end at byte {offset} inside {inside}; the object was cut off, send it again")]
    Truncated {
        /// Bytes read when the end came.
        offset: u64,
        /// What was being read.
        inside: String,
    },
    /// A length reaches beyond what holds it.
    #[error(
        "element {tag} at byte {offset} claims {length} bytes, but the sequence item around it ends after {available}"
    )]
    LengthBeyondParent {
        /// The element.
        tag: Tag,
        /// Where its header starts.
        offset: u64,
        /// What it claims.
        length: u64,
        /// What is left.
        available: u64,
    },
    /// A value representation that cannot have an undefined length has one.
    #[error("element {tag} at byte {offset} has an undefined length, which its VR {vr} does not allow")]
    UndefinedLength {
        /// The element.
        tag: Tag,
        /// Where its header starts.
        offset: u64,
        /// The VR in force.
        vr: &'static str,
    },
    /// A tag that cannot stand here.
    #[error("{tag} at byte {offset} where {expected} was expected")]
    UnexpectedTag {
        /// What was found.
        tag: Tag,
        /// Where.
        offset: u64,
        /// What may stand there.
        expected: &'static str,
    },
    /// Nested deeper than any real object.
    #[error("sequences are nested deeper than {max} levels at byte {offset}; the object is refused")]
    TooDeep {
        /// Where the level too many starts.
        offset: u64,
        /// The limit.
        max: usize,
    },
    /// Larger than allowed.
    #[error("{what} exceeds the limit of {max} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        max: u64,
    },
    /// A deflated data set that does not inflate.
    #[error("the deflated data set is damaged at byte {offset}: {reason}")]
    Inflate {
        /// Compressed bytes consumed.
        offset: u64,
        /// What the inflater said.
        reason: String,
    },
    /// More bytes are needed to decide; only from [`crate::file::read_header`].
    #[error("the file header is longer than the {given} bytes given")]
    Incomplete {
        /// Bytes given.
        given: usize,
    },
    /// Not DICOM at all.
    #[error("this is not a DICOM file: {reason}")]
    NotDicom {
        /// Why.
        reason: String,
    },
    /// An identifier of the wrong form.
    #[error("{what} {value:?} is not valid: {reason}")]
    Identifier {
        /// Which identifier.
        what: &'static str,
        /// The text, shortened.
        value: String,
        /// Why.
        reason: &'static str,
    },
    /// DICOM JSON of the wrong form.
    #[error("DICOM JSON at {path}: {reason}")]
    Json {
        /// Where, as tags joined by slashes.
        path: String,
        /// Why.
        reason: String,
    },
    /// A value that the chosen encoding cannot hold.
    #[error("element {tag} cannot be written: {reason}")]
    Unwritable {
        /// The element.
        tag: Tag,
        /// Why.
        reason: &'static str,
    },
    /// A parser was fed again after it had refused.
    #[error("the data set was refused earlier")]
    Refused,
}

/// Something odd that does not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// PS3.5 wants even lengths.
    #[error("element {tag} has the odd length {length}")]
    OddLength {
        /// The element.
        tag: Tag,
        /// Its length.
        length: u64,
    },
    /// Tags must ascend.
    #[error("element {tag} is out of order")]
    OutOfOrder {
        /// The element that came late.
        tag: Tag,
    },
    /// The same tag twice in one data set; the first is kept.
    #[error("element {tag} occurs twice; the first is used")]
    Duplicate {
        /// The element.
        tag: Tag,
    },
    /// A VR that PS3.5 does not know.
    #[error("element {tag} has the unknown VR {vr:?}; read as UN")]
    UnknownVr {
        /// The element.
        tag: Tag,
        /// The two bytes as text.
        vr: String,
    },
    /// The data set is coded otherwise than declared.
    #[error("the data set is coded as {found}, not as declared")]
    OtherCoding {
        /// What it is.
        found: &'static str,
    },
    /// One element without VR in an explicit data set.
    #[error("element {tag} has no VR in a data set with explicit VR")]
    ImplicitElement {
        /// The element.
        tag: Tag,
    },
    /// A delimiter that closes nothing.
    #[error("stray delimiter {tag} at byte {offset}")]
    StrayDelimiter {
        /// The delimiter.
        tag: Tag,
        /// Where.
        offset: u64,
    },
    /// An item or sequence without its delimiter.
    #[error("a delimiter is missing before byte {offset}")]
    MissingDelimiter {
        /// Where it was noticed.
        offset: u64,
    },
    /// Zero bytes after the last element.
    #[error("zero bytes follow the data set from byte {offset}")]
    TrailingZeros {
        /// Where they start.
        offset: u64,
    },
    /// More than the limits keep; structure was checked all the same.
    #[error("{elements} nested elements were not kept in memory: the object holds too many")]
    NotRetained {
        /// How many.
        elements: u64,
    },
    /// More fragments than kept.
    #[error("the places of {fragments} pixel data fragments were not kept")]
    FragmentsNotRetained {
        /// How many.
        fragments: u64,
    },
    /// Deflated with a zlib header, which PS3.5 does not want.
    #[error("the deflated data set has a zlib header")]
    ZlibHeader,
    /// Read only as far as it went.
    #[error("cut off: {reason}")]
    Partial {
        /// The error that ended the reading.
        reason: String,
    },
    /// A sequence hidden in a UN value that does not read as one.
    #[error("element {tag} is a sequence sent as UN that cannot be read; kept as bytes")]
    UnreadableSequence {
        /// The element.
        tag: Tag,
    },
    /// File meta information that is not as PS3.10 wants it.
    #[error("file meta information: {0}")]
    Meta(&'static str),
}
