//! Where the bytes of each frame are: native pixel data by arithmetic, encapsulated pixel data by its offset tables,
//! its fragment count or the start codes of its streams (PS3.5 A.4).

use super::frame::{FrameDescription, Photometric, PixelElement};
use super::syntax::{Compression, TransferSyntax};
use crate::error::{ImagingError, Result};

/// The bytes of one frame as they are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLocation {
    /// Byte ranges `(offset, length)` to read and put together, in order.
    pub ranges: Vec<(u64, u64)>,
    /// Bits at the start of the first byte that belong to the frame before (1-bit images are not byte aligned).
    pub skip_bits: u32,
}

impl FrameLocation {
    /// Bytes in all ranges together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().fold(0, |n, r| n.saturating_add(r.1))
    }
}

/// The encoded bytes of one frame, ready to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameBytes<'a> {
    /// The bytes of all ranges of its [`FrameLocation`], put together.
    pub bytes: &'a [u8],
    /// See [`FrameLocation::skip_bits`].
    pub skip_bits: u32,
    /// The value representation is OW (matters for big-endian images of 8 bits and less).
    pub words: bool,
}

impl<'a> From<&'a [u8]> for FrameBytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            skip_bits: 0,
            words: false,
        }
    }
}

/// Encapsulated pixel data as found in the file. All offsets are positions in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragments {
    /// `(offset of the first value byte, length)` of each fragment after the basic offset table.
    pub fragments: Vec<(u64, u64)>,
    /// Basic Offset Table: starts of frames, relative to the first fragment's item tag.
    pub basic_offsets: Vec<u32>,
    /// Extended Offset Table (7FE0,0001).
    pub extended_offsets: Vec<u64>,
}

impl Fragments {
    /// As a reader of data sets finds them, in a data set that begins at `start` of the file. `extended_offsets` are
    /// the offset and length of each frame.
    #[must_use]
    pub fn at(
        start: u64,
        fragments: &[(u64, u64)],
        basic_offsets: &[u32],
        extended_offsets: &[(u64, u64)],
    ) -> Self {
        Self {
            fragments: fragments
                .iter()
                .map(|(offset, length)| (offset.saturating_add(start), *length))
                .collect(),
            basic_offsets: basic_offsets.to_vec(),
            extended_offsets: extended_offsets.iter().map(|(offset, _)| *offset).collect(),
        }
    }
}

/// Where every frame of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameMap {
    frames: u64,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Native {
        offset: u64,
        length: u64,
        frame_bits: u64,
        aligned: bool,
    },
    Encapsulated {
        fragments: Vec<(u64, u64)>,
        starts: Vec<usize>,
    },
}

impl FrameMap {
    /// Native pixel data of `length` bytes at `offset`.
    ///
    /// # Errors
    /// Frames too large.
    pub fn native(
        frame: &FrameDescription,
        syntax: TransferSyntax,
        offset: u64,
        length: u64,
    ) -> Result<Self> {
        let frame_bits = native_frame_bits(frame, length)?;
        let aligned = syntax.is_big_endian() && frame.bits_allocated <= 8;
        Ok(Self {
            frames: frame.frames,
            kind: Kind::Native {
                offset,
                length,
                frame_bits,
                aligned,
            },
        })
    }

    /// Encapsulated pixel data. `peek(offset)` gives some first bytes of a fragment (16 are enough); it is asked only
    /// when neither an offset table nor the fragment count tells.
    ///
    /// # Errors
    /// [`ImagingError::Fragments`] when the fragments cannot be divided among the frames.
    pub fn encapsulated(
        frame: &FrameDescription,
        syntax: TransferSyntax,
        parts: Fragments,
        peek: &mut dyn FnMut(u64) -> Option<Vec<u8>>,
    ) -> Result<Self> {
        frame.frame_bytes()?;
        let frames = frame.frames;
        let wrong = ImagingError::Fragments {
            fragments: parts.fragments.len(),
            frames,
        };
        if parts.fragments.is_empty() || frames > parts.fragments.len() as u64 {
            return Err(wrong);
        }
        let starts = if frames == 1 {
            vec![0]
        } else {
            by_table(&parts.extended_offsets, &parts.fragments, frames)
                .or_else(|| {
                    let basic: Vec<u64> = parts.basic_offsets.iter().map(|o| u64::from(*o)).collect();
                    by_table(&basic, &parts.fragments, frames)
                })
                .or_else(|| {
                    (parts.fragments.len() as u64 == frames).then(|| (0..parts.fragments.len()).collect())
                })
                .or_else(|| by_start_code(&parts.fragments, syntax, frames, peek))
                .ok_or(wrong)?
        };
        Ok(Self {
            frames,
            kind: Kind::Encapsulated {
                fragments: parts.fragments,
                starts,
            },
        })
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Checks that every frame's bytes are inside the pixel data.
    ///
    /// # Errors
    /// [`ImagingError::Short`].
    pub fn check_complete(&self) -> Result<()> {
        let Kind::Native {
            length, frame_bits, ..
        } = self.kind
        else {
            return Ok(());
        };
        let needed = u128::from(frame_bits) * u128::from(self.frames);
        if needed > u128::from(length) * 8 {
            let needed_bytes = u64::try_from(needed.div_ceil(8)).unwrap_or(u64::MAX);
            return Err(ImagingError::Short {
                needed_bytes,
                found_bytes: length,
            });
        }
        Ok(())
    }

    /// The bytes of frame `index`, counted from 0.
    ///
    /// # Errors
    /// No such frame, or its bytes are missing.
    pub fn locate(&self, index: u64) -> Result<FrameLocation> {
        if index >= self.frames {
            return Err(ImagingError::NoFrame {
                frame: index.saturating_add(1),
                frames: self.frames,
            });
        }
        match &self.kind {
            Kind::Native {
                offset,
                length,
                frame_bits,
                aligned,
            } => {
                let step = if *aligned { 2 } else { 1 };
                let start_bit = u128::from(*frame_bits) * u128::from(index);
                let end_bit = start_bit + u128::from(*frame_bits);
                if end_bit > u128::from(*length) * 8 {
                    let needed_bytes = u64::try_from(end_bit.div_ceil(8)).unwrap_or(u64::MAX);
                    return Err(ImagingError::Short {
                        needed_bytes,
                        found_bytes: *length,
                    });
                }
                let start = (start_bit / 8) as u64 / step * step;
                let end = (end_bit.div_ceil(8) as u64)
                    .div_ceil(step)
                    .saturating_mul(step)
                    .min(*length);
                Ok(FrameLocation {
                    ranges: vec![(offset.saturating_add(start), end - start)],
                    skip_bits: (start_bit - u128::from(start) * 8) as u32,
                })
            }
            Kind::Encapsulated { fragments, starts } => {
                let i = usize::try_from(index).unwrap_or(usize::MAX);
                let start = starts.get(i).copied().unwrap_or(fragments.len());
                let end = starts
                    .get(i.saturating_add(1))
                    .copied()
                    .unwrap_or(fragments.len());
                let ranges = fragments.get(start..end).unwrap_or_default().to_vec();
                Ok(FrameLocation { ranges, skip_bits: 0 })
            }
        }
    }
}

/// Bits of one native frame. YBR_FULL_422 has two samples a pixel, unless the data is long enough for three.
fn native_frame_bits(frame: &FrameDescription, length: u64) -> Result<u64> {
    frame.frame_bytes()?;
    let allocated = u64::from(frame.bits_allocated);
    if frame.element == PixelElement::Integer && !matches!(allocated, 1 | 8 | 16 | 32) {
        return Err(ImagingError::attribute(
            "Bits Allocated (0028,0100)",
            allocated,
            "1, 8, 16 or 32 for uncompressed pixels",
        ));
    }
    let full = frame.pixels() as u64 * u64::from(frame.samples_per_pixel) * allocated;
    if is_shared_chroma(frame) && u128::from(full) * u128::from(frame.frames) > u128::from(length) * 8 {
        return Ok(full / 3 * 2);
    }
    Ok(full)
}

fn is_shared_chroma(frame: &FrameDescription) -> bool {
    frame.samples_per_pixel == 3
        && matches!(
            frame.photometric,
            Photometric::YbrFull422 | Photometric::YbrPartial422
        )
}

/// First fragment of each frame from an offset table, if the table is sound.
fn by_table(offsets: &[u64], fragments: &[(u64, u64)], frames: u64) -> Option<Vec<usize>> {
    if offsets.len() as u64 != frames || offsets.first() != Some(&0) {
        return None;
    }
    let first = fragments.first()?.0;
    offsets
        .iter()
        .map(|o| {
            fragments
                .binary_search_by_key(&first.checked_add(*o)?, |f| f.0)
                .ok()
        })
        .collect::<Option<Vec<usize>>>()
        .filter(|s| s.is_sorted_by(|a, b| a < b))
}

/// First fragment of each frame by looking for the start of a stream.
fn by_start_code(
    fragments: &[(u64, u64)],
    syntax: TransferSyntax,
    frames: u64,
    peek: &mut dyn FnMut(u64) -> Option<Vec<u8>>,
) -> Option<Vec<usize>> {
    let codes: &[&[u8]] = match syntax.compression()? {
        Compression::Jpeg | Compression::JpegLossless | Compression::JpegLs => &[&[0xff, 0xd8]],
        Compression::Jpeg2000 => &[&[0xff, 0x4f, 0xff, 0x51], &[0, 0, 0, 12, b'j', b'P']],
        Compression::JpegXl => &[&[0xff, 0x0a], &[0, 0, 0, 12, b'J', b'X', b'L']],
        Compression::Rle | Compression::Deflated | Compression::None => return None,
    };
    let mut starts = Vec::new();
    for (i, (offset, length)) in fragments.iter().enumerate() {
        let head = if *length == 0 { Vec::new() } else { peek(*offset)? };
        if codes.iter().any(|c| head.starts_with(c)) {
            starts.push(i);
        }
    }
    (starts.len() as u64 == frames && starts.first() == Some(&0)).then_some(starts)
}

#[cfg(test)]
mod tests {
    use super::super::frame::test_frame;
    use super::*;

    const JPEG: TransferSyntax = TransferSyntax::JPEG_BASELINE;

    fn parts(lengths: &[u64], basic: &[u32]) -> Fragments {
        let mut at = 1000;
        let fragments = lengths
            .iter()
            .map(|l| {
                let f = (at, *l);
                at += l + 8;
                f
            })
            .collect();
        Fragments {
            fragments,
            basic_offsets: basic.to_vec(),
            extended_offsets: Vec::new(),
        }
    }

    fn counts(map: &FrameMap) -> Vec<usize> {
        (0..map.frames())
            .map(|i| map.locate(i).unwrap().ranges.len())
            .collect()
    }

    #[test]
    fn native_one_bit_frames_are_not_byte_aligned() {
        let mut f = test_frame(3, 3, 1, 1);
        f.frames = 3;
        let map = FrameMap::native(&f, TransferSyntax::EXPLICIT_LE, 100, 4).unwrap();
        map.check_complete().unwrap();
        assert_eq!(
            map.locate(1).unwrap(),
            FrameLocation {
                ranges: vec![(101, 2)],
                skip_bits: 1
            }
        );
        assert_eq!(
            map.locate(2).unwrap(),
            FrameLocation {
                ranges: vec![(102, 2)],
                skip_bits: 2
            }
        );
        assert!(map.locate(3).is_err());
        assert!(
            FrameMap::native(&f, TransferSyntax::EXPLICIT_LE, 100, 3)
                .unwrap()
                .check_complete()
                .is_err()
        );
    }

    #[test]
    fn big_endian_bytes_are_read_by_words() {
        let mut f = test_frame(3, 3, 8, 8);
        f.frames = 2;
        let map = FrameMap::native(&f, TransferSyntax::EXPLICIT_BE, 0, 18).unwrap();
        assert_eq!(
            map.locate(1).unwrap(),
            FrameLocation {
                ranges: vec![(8, 10)],
                skip_bits: 8
            }
        );
    }

    #[test]
    fn tables_counts_and_start_codes_divide_fragments() {
        let mut f = test_frame(8, 8, 8, 8);
        f.frames = 2;
        let none = &mut |_: u64| None;
        let three = parts(&[10, 20, 30], &[0, 18]);
        assert_eq!(
            counts(&FrameMap::encapsulated(&f, JPEG, three, none).unwrap()),
            [1, 2]
        );
        assert_eq!(
            counts(&FrameMap::encapsulated(&f, JPEG, parts(&[10, 20], &[]), none).unwrap()),
            [1, 1]
        );
        let peek = &mut |at: u64| {
            Some(if at == 1018 {
                vec![1, 2]
            } else {
                vec![0xff, 0xd8, 0xff]
            })
        };
        assert_eq!(
            counts(&FrameMap::encapsulated(&f, JPEG, parts(&[10, 20, 30], &[0, 7]), peek).unwrap()),
            [2, 1]
        );
        assert!(FrameMap::encapsulated(&f, JPEG, parts(&[10], &[0]), none).is_err());
        f.frames = 1;
        assert_eq!(
            counts(&FrameMap::encapsulated(&f, JPEG, parts(&[10, 20, 30], &[0]), none).unwrap()),
            [3]
        );
    }

    #[test]
    fn absurd_frame_counts_are_refused() {
        let mut f = test_frame(65535, 1000, 16, 16);
        f.frames = u64::MAX;
        let map = FrameMap::native(&f, TransferSyntax::EXPLICIT_LE, 0, 8192).unwrap();
        assert!(map.check_complete().is_err());
        assert!(map.locate(u64::MAX - 1).is_err());
    }
}
