//! A data set read from chunks of any size, with a bounded memory.
//!
//! [`Tokenizer`] is a push parser: [`Tokenizer::feed`] takes bytes as they arrive,
//! [`Tokenizer::finish`] says whether they were a whole data set. Nesting is an explicit stack.
//! Pixel data of the root is never kept; [`PixelDataInfo`] says where it is.

mod close;
mod core;
mod end;
mod header;
mod inflate;
mod pixel;
mod value;

use serde::{Deserialize, Serialize};

use self::core::Core;
use self::inflate::Inflater;
use crate::charset::{self, CharsetReport};
use crate::dictionary::Tag;
use crate::uid::{Encoding, TransferSyntaxUid};
use crate::{DataSet, DatasetError, Limits, Warning};

/// Where the pixel data of an object are. Offsets count from the first byte of the data set,
/// after inflation; add the length of preamble and file meta information for a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelDataInfo {
    /// Pixel Data, Float Pixel Data or Double Float Pixel Data, as `0xggggeeee`.
    pub tag: u32,
    /// First byte of the value.
    pub offset: u64,
    /// Bytes of the value; `None` when its length is undefined.
    pub length: Option<u64>,
    /// Held in fragments.
    pub encapsulated: bool,
    /// The value representation is OW: where the byte order is big-endian, bytes and bits lie in words.
    #[serde(default)]
    pub words: bool,
    /// Basic offset table: offsets of frames from the first fragment's item header. Empty when
    /// there is none.
    pub basic_offset_table: Vec<u32>,
    /// Offset of the item header of the first fragment, from which offset tables count.
    pub fragments_offset: u64,
    /// Place and bytes of each fragment's data, without item headers and without the basic offset
    /// table.
    pub fragments: Vec<(u64, u64)>,
    /// All fragments are in `fragments`.
    pub fragments_complete: bool,
    /// Extended offset table: offset from the first fragment's item header and bytes of each
    /// frame. Empty when there is none.
    pub extended_offset_table: Vec<(u64, u64)>,
}

/// A data set and what was found out on the way.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The attributes.
    pub data_set: DataSet,
    /// Where the root's pixel data are.
    pub pixel_data: Option<PixelDataInfo>,
    /// What was odd.
    pub warnings: Vec<Warning>,
    /// How the declared character set fits.
    pub charset: CharsetReport,
    /// Bytes of the data set, after inflation.
    pub length: u64,
    /// How the bytes really are laid out; differs from the declared one with a warning.
    pub explicit_vr: bool,
}

/// Push parser of one data set.
pub struct Tokenizer {
    core: Core,
    inflater: Option<Inflater>,
    received: u64,
    dataset_bytes_max: u64,
    refused: bool,
}

impl Tokenizer {
    /// A parser for a data set in `syntax`.
    pub fn new(syntax: &TransferSyntaxUid, limits: Limits) -> Self {
        let kind = syntax.kind();
        let inflater = (kind == Encoding::Deflated).then(|| Inflater::new(limits.inflated_bytes_max));
        let dataset_bytes_max = limits.dataset_bytes_max;
        Self {
            core: Core::new(kind, limits),
            inflater,
            received: 0,
            dataset_bytes_max,
            refused: false,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever makes the bytes no data set or breaks a limit. After an error every further call
    /// answers [`DatasetError::Refused`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        if self.refused {
            return Err(DatasetError::Refused);
        }
        let result = self.take(bytes);
        self.refused = result.is_err();
        result
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.dataset_bytes_max {
            return Err(DatasetError::TooLarge {
                what: "the data set",
                max: self.dataset_bytes_max,
            });
        }
        match &mut self.inflater {
            None => self.core.feed(bytes),
            Some(inflater) => {
                let core = &mut self.core;
                let zlib = inflater.feed(bytes, &mut |plain| core.feed(plain))?;
                if zlib {
                    self.core.warn(Warning::ZlibHeader);
                }
                Ok(())
            }
        }
    }

    /// Data set bytes taken so far, after inflation.
    pub fn position(&self) -> u64 {
        self.core.position()
    }

    /// An attribute of the root whose value has been read already; `None` while it has not.
    /// Lets a receiver decide before the end.
    pub fn seen(&self, tag: Tag) -> Option<&crate::Element> {
        self.core.seen(tag)
    }

    /// Ends the data set.
    ///
    /// # Errors
    /// [`DatasetError::Truncated`] when the bytes end inside something, or the earlier refusal.
    pub fn finish(mut self) -> Result<Parsed, DatasetError> {
        if self.refused {
            return Err(DatasetError::Refused);
        }
        if let Some(inflater) = &self.inflater {
            inflater.finish(self.received)?;
        }
        self.core.end()?;
        Ok(self.assemble())
    }

    /// Ends the data set wherever it is and gives what could be read, with a warning when that is
    /// not all. For tools that look at damaged files; never for deciding to keep an object.
    pub fn finish_partial(mut self) -> Parsed {
        let whole = if self.refused {
            Err(DatasetError::Refused)
        } else {
            self.core.end()
        };
        if let Err(error) = whole {
            self.core.abandon();
            self.core.warn(Warning::Partial {
                reason: error.to_string(),
            });
        }
        self.assemble()
    }

    fn assemble(self) -> Parsed {
        let explicit_vr = self.core.explicit_vr();
        let length = self.core.position();
        let (mut data_set, pixel_data, warnings) = self.core.into_parts();
        let charset = charset::settle(&mut data_set);
        Parsed {
            data_set,
            pixel_data,
            warnings,
            charset,
            length,
            explicit_vr,
        }
    }
}

/// Reads a whole data set that is in memory.
///
/// # Errors
/// As [`Tokenizer::feed`] and [`Tokenizer::finish`].
pub fn parse(bytes: &[u8], syntax: &TransferSyntaxUid, limits: Limits) -> Result<Parsed, DatasetError> {
    let mut tokenizer = Tokenizer::new(syntax, limits);
    tokenizer.feed(bytes)?;
    tokenizer.finish()
}
