//! Hostile bytes to typed DICOM attributes.
//!
//! The crate knows the encoding (PS3.5), files (PS3.10), character sets, DICOM JSON (PS3.18
//! Annex F) and attribute matching (PS3.4 C.2.2.2). It does **not** know files on disk, sockets,
//! services or what an attribute means to the archive.
//!
//! Every reader is bounded: nesting is an explicit stack of at most [`Limits::depth_max`]
//! sequences, values above [`Limits::retain_value_bytes`] are recorded as a place instead of
//! being kept, and nothing is allocated on the word of a length field.

pub mod charset;
pub mod dictionary;
mod error;
pub mod file;
pub mod json;
mod limits;
pub mod matching;
pub mod object;
mod person_name;
pub mod stream;
pub mod uid;
pub mod write;

pub use charset::{CharacterSets, CharsetReport};
pub use dictionary::{Tag, Vr, tags, uids};
pub use error::{DatasetError, Warning};
pub use limits::Limits;
pub use object::{DataSet, Element, Sequence, Value};
pub use person_name::PersonName;
pub use stream::{Parsed, PixelDataInfo, Tokenizer};
pub use uid::{
    AeTitle, Encoding, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
    Uid,
};
