//! Transfer syntaxes that hold still images (PS3.5, PS3.6 A-1).

/// How pixel data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all (native, or encapsulated uncompressed).
    None,
    /// PS3.5 Annex G.
    Rle,
    /// ITU-T T.81, DCT processes, 8 and 12 bits.
    Jpeg,
    /// ITU-T T.81, lossless process 14.
    JpegLossless,
    /// ITU-T T.87.
    JpegLs,
    /// ITU-T T.800 and T.814 (high throughput).
    Jpeg2000,
    /// ISO/IEC 18181.
    JpegXl,
    /// Deflated Image Frame Compression: each frame raw deflate (RFC 1951).
    Deflated,
}

/// A transfer syntax by its UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransferSyntax(&'static Entry);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Entry {
    uid: &'static str,
    name: &'static str,
    compression: Option<Compression>,
    encapsulated: bool,
    big_endian: bool,
}

const fn entry(
    uid: &'static str,
    name: &'static str,
    compression: Option<Compression>,
    encapsulated: bool,
) -> Entry {
    Entry {
        uid,
        name,
        compression,
        encapsulated,
        big_endian: false,
    }
}

static ENTRIES: &[Entry] = &[
    entry(
        "1.2.840.10008.1.2",
        "Implicit VR Little Endian",
        Some(Compression::None),
        false,
    ),
    entry(
        "1.2.840.10008.1.2.1",
        "Explicit VR Little Endian",
        Some(Compression::None),
        false,
    ),
    Entry {
        uid: "1.2.840.10008.1.2.2",
        name: "Explicit VR Big Endian",
        compression: Some(Compression::None),
        encapsulated: false,
        big_endian: true,
    },
    entry(
        "1.2.840.10008.1.2.4.50",
        "JPEG Baseline",
        Some(Compression::Jpeg),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.5",
        "RLE Lossless",
        Some(Compression::Rle),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.80",
        "JPEG-LS Lossless",
        Some(Compression::JpegLs),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.202",
        "HTJ2K Lossless RPCL",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.1.99",
        "Deflated Explicit VR Little Endian",
        Some(Compression::None),
        false,
    ),
    entry(
        "1.2.840.10008.1.2.1.98",
        "Encapsulated Uncompressed Explicit VR Little Endian",
        Some(Compression::None),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.8.1",
        "Deflated Image Frame",
        Some(Compression::Deflated),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.51",
        "JPEG Extended",
        Some(Compression::Jpeg),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.52",
        "JPEG Extended (3 & 5)",
        Some(Compression::Jpeg),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.53",
        "JPEG Spectral Selection",
        Some(Compression::Jpeg),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.55",
        "JPEG Full Progression",
        Some(Compression::Jpeg),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.57",
        "JPEG Lossless",
        Some(Compression::JpegLossless),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless First-Order Prediction",
        Some(Compression::JpegLossless),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.81",
        "JPEG-LS Near-Lossless",
        Some(Compression::JpegLs),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.90",
        "JPEG 2000 Lossless",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.91",
        "JPEG 2000",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.92",
        "JPEG 2000 Part 2 Lossless",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.93",
        "JPEG 2000 Part 2",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.110",
        "JPEG XL Lossless",
        Some(Compression::JpegXl),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.111",
        "JPEG XL JPEG Recompression",
        Some(Compression::JpegXl),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.112",
        "JPEG XL",
        Some(Compression::JpegXl),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.201",
        "HTJ2K Lossless",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.203",
        "HTJ2K",
        Some(Compression::Jpeg2000),
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.100",
        "MPEG2 Main Profile / Main Level",
        None,
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.101",
        "MPEG2 Main Profile / High Level",
        None,
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.102",
        "MPEG-4 AVC/H.264 High Profile",
        None,
        true,
    ),
    entry(
        "1.2.840.10008.1.2.4.103",
        "MPEG-4 AVC/H.264 BD-compatible",
        None,
        true,
    ),
    entry("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 2D", None, true),
    entry("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 3D", None, true),
    entry("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo", None, true),
    entry("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile", None, true),
    entry(
        "1.2.840.10008.1.2.4.108",
        "HEVC/H.265 Main 10 Profile",
        None,
        true,
    ),
];

impl TransferSyntax {
    /// Implicit VR Little Endian.
    pub const IMPLICIT_LE: Self = Self(&ENTRIES[0]);
    /// Explicit VR Little Endian.
    pub const EXPLICIT_LE: Self = Self(&ENTRIES[1]);
    /// Explicit VR Big Endian (retired).
    pub const EXPLICIT_BE: Self = Self(&ENTRIES[2]);
    /// JPEG Baseline.
    pub const JPEG_BASELINE: Self = Self(&ENTRIES[3]);
    /// RLE Lossless.
    pub const RLE: Self = Self(&ENTRIES[4]);
    /// JPEG-LS Lossless.
    pub const JPEG_LS_LOSSLESS: Self = Self(&ENTRIES[5]);
    /// HTJ2K Lossless RPCL.
    pub const HTJ2K_LOSSLESS_RPCL: Self = Self(&ENTRIES[6]);

    /// By UID; `None` when it is none of those known here.
    #[must_use]
    pub fn from_uid(uid: &str) -> Option<Self> {
        let uid = uid.trim_end_matches([' ', '\0']);
        ENTRIES.iter().find(|e| e.uid == uid).map(Self)
    }

    /// The UID.
    #[must_use]
    pub fn uid(self) -> &'static str {
        self.0.uid
    }

    /// The name in PS3.6, shortened.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How pixels are compressed; `None` for video.
    #[must_use]
    pub fn compression(self) -> Option<Compression> {
        self.0.compression
    }

    /// Pixel Data is a sequence of fragments.
    #[must_use]
    pub fn is_encapsulated(self) -> bool {
        self.0.encapsulated
    }

    /// Words are big endian.
    #[must_use]
    pub fn is_big_endian(self) -> bool {
        self.0.big_endian
    }
}
