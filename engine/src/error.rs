//! The one error of the imaging half of the engine.

/// Why pixels could not be decoded, rendered or encoded. Each message is the sentence a user reads.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImagingError {
    /// An attribute that the image needs is not there.
    #[error(
        "{0} is missing: the pixels cannot be understood without it; ask the sending device to send the object again"
    )]
    Missing(&'static str),
    /// An attribute holds an impossible value.
    #[error(
        "{attribute} is {value}, allowed is {allowed}: the object's header is damaged or was written wrongly"
    )]
    Attribute {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value as text.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The frame is bigger than this program accepts.
    #[error("one frame needs {needed_bytes} bytes, the limit is {limit_bytes}: refused before reading it")]
    TooLarge {
        /// Bytes that the header claims.
        needed_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Fewer bytes than the header claims.
    #[error(
        "pixel data has {found_bytes} bytes where the header claims {needed_bytes}: the file was cut off or its header is wrong"
    )]
    Short {
        /// Bytes that the header claims.
        needed_bytes: u64,
        /// Bytes that are there.
        found_bytes: u64,
    },
    /// A compressed stream breaks its own rules.
    #[error(
        "the {codec} data of this frame is damaged ({why}); ask the sending device to send the object again"
    )]
    Damaged {
        /// Name of the compression.
        codec: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A valid but unsupported form.
    #[error("{codec}: {why} is not supported")]
    Unsupported {
        /// Name of the compression or step.
        codec: &'static str,
        /// What is not supported.
        why: String,
    },
    /// Unknown transfer syntax.
    #[error("transfer syntax {0} holds no still image that this program can decode")]
    TransferSyntax(String),
    /// No such frame.
    #[error("frame {frame} does not exist, the image has {frames}")]
    NoFrame {
        /// Frame asked for, from 1.
        frame: u64,
        /// Number of frames.
        frames: u64,
    },
    /// Fragments cannot be split into frames.
    #[error("{fragments} fragments cannot be divided among {frames} frames: the pixel data is incomplete")]
    Fragments {
        /// Fragments found.
        fragments: usize,
        /// Frames claimed.
        frames: u64,
    },
    /// Slices or values from which no volume can be made.
    #[error("these images do not form a volume: {0}")]
    NoVolume(String),
    /// The volume is bigger than this program accepts.
    #[error(
        "the volume needs {needed_bytes} bytes of memory, the limit is {limit_bytes}: refused before reading it"
    )]
    VolumeTooLarge {
        /// Bytes that its sides ask for; `u64::MAX` when no program could hold it.
        needed_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A request that makes no sense for this image.
    #[error("{0}")]
    Request(String),
}

impl ImagingError {
    pub(crate) fn damaged(codec: &'static str, why: impl Into<String>) -> Self {
        Self::Damaged {
            codec,
            why: why.into(),
        }
    }

    pub(crate) fn unsupported(codec: &'static str, why: impl Into<String>) -> Self {
        Self::Unsupported {
            codec,
            why: why.into(),
        }
    }

    pub(crate) fn attribute(attribute: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self::Attribute {
            attribute,
            value: value.to_string(),
            allowed,
        }
    }
}

/// Shorthand of this half of the engine.
pub type Result<T, E = ImagingError> = std::result::Result<T, E>;
