//! What peers may ask of us, one file a service.

pub(crate) mod find;
pub(crate) mod retrieve;
pub(crate) mod store;

use archive::ArchiveError;
use tracing::warn;

use crate::dimse::status;

/// Why a request is not carried out.
struct Refused {
    status: u16,
    words: String,
}

impl Refused {
    fn new(status: u16, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
        }
    }
}

impl From<ArchiveError> for Refused {
    fn from(error: ArchiveError) -> Self {
        warn!("a request cannot be answered: {error}");
        Self::new(status::OUT_OF_RESOURCES, "the index does not answer")
    }
}
