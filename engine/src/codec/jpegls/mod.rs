//! JPEG-LS (ITU-T T.87): lossless and near-lossless, all three interleave modes, preset parameters.

mod bits;
mod encode;
mod model;
mod scan;

pub use encode::encode;

use model::Parameters;
use scan::ScanDecoder;

use super::frame::FrameDescription;
use super::stored::{DecodedColour, StoredPixels, pack_words};
use super::{FrameDecoder, StreamHeader};
use crate::error::{ImagingError, Result};

const CODEC: &str = "JPEG-LS";

/// Decoder of JPEG-LS.
#[derive(Debug)]
pub(super) struct JpegLs;

/// How components are mixed in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interleave {
    None,
    Line,
    Sample,
}

/// Preset coding parameters (T.87 C.2.4.1.1); 0 means default.
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    max_value: u16,
    thresholds: [u16; 3],
    reset: u16,
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
    header: Option<StreamHeader>,
    ids: Vec<u8>,
    preset: Preset,
}

struct ScanHeader {
    components: Vec<usize>,
    near: u8,
    interleave: Interleave,
}

fn damaged(why: &str) -> ImagingError {
    ImagingError::damaged(CODEC, why)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk::<2>())
        .map_or(0, |b| u16::from_be_bytes(*b))
}

impl<'a> Parser<'a> {
    fn new(data: &'a [u8]) -> Result<Self> {
        if !data.starts_with(&[0xff, 0xd8]) {
            return Err(damaged("it does not start as a JPEG-LS stream"));
        }
        Ok(Self {
            data,
            at: 2,
            header: None,
            ids: Vec::new(),
            preset: Preset::default(),
        })
    }

    /// The next scan header; the frame header and parameters on the way are kept.
    fn next_scan(&mut self) -> Result<ScanHeader> {
        loop {
            let Some(code) = self.next_code() else {
                return Err(damaged("it ends before its last scan"));
            };
            if code == 0xd9 {
                return Err(damaged("it ends before its last scan"));
            }
            if matches!(code, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let body = self.body()?;
            match code {
                0xf7 => self.frame(body)?,
                0xf8 => self.parameters(body)?,
                0xdd if body.iter().any(|b| *b != 0) => {
                    return Err(ImagingError::unsupported(CODEC, "restart intervals"));
                }
                0xda => return self.scan(body),
                0xc0..=0xc3 => return Err(damaged("it is a JPEG stream under a JPEG-LS transfer syntax")),
                _ => {}
            }
        }
    }

    fn next_code(&mut self) -> Option<u8> {
        let rest = self.data.get(self.at..)?;
        let place = rest
            .windows(2)
            .position(|w| matches!(w, [0xff, code] if *code >= 0x80 && *code != 0xff))?;
        self.at += place + 2;
        rest.get(place + 1).copied()
    }

    fn body(&mut self) -> Result<&'a [u8]> {
        let length = usize::from(word(self.data, self.at));
        let body = self
            .data
            .get(self.at + 2..self.at + length.max(2))
            .filter(|_| length >= 2);
        self.at += length;
        body.ok_or_else(|| damaged("a segment is cut off"))
    }

    fn frame(&mut self, body: &[u8]) -> Result<()> {
        let [bits, _, _, _, _, count, specs @ ..] = body else {
            return Err(damaged("the frame header is cut off"));
        };
        let specs = specs
            .as_chunks::<3>()
            .0
            .get(..usize::from(*count))
            .unwrap_or_default();
        if self.header.is_some() || !(2..=16).contains(bits) || specs.is_empty() || specs.len() > 4 {
            return Err(damaged("the frame header is impossible"));
        }
        if specs.iter().any(|s| s.get(1) != Some(&0x11)) {
            return Err(ImagingError::unsupported(CODEC, "subsampled components"));
        }
        self.ids = specs.iter().map(|s| s[0]).collect();
        self.header = Some(StreamHeader {
            rows: word(body, 1).into(),
            columns: word(body, 3).into(),
            components: u16::from(*count),
            bits: *bits,
            signed: false,
        });
        Ok(())
    }

    fn parameters(&mut self, body: &[u8]) -> Result<()> {
        match body.first() {
            Some(1) => {
                self.preset = Preset {
                    max_value: word(body, 1),
                    thresholds: [word(body, 3), word(body, 5), word(body, 7)],
                    reset: word(body, 9),
                };
                Ok(())
            }
            _ => Err(ImagingError::unsupported(
                CODEC,
                "mapping tables and oversize images",
            )),
        }
    }

    fn scan(&self, body: &[u8]) -> Result<ScanHeader> {
        let cut = || damaged("a scan header is cut off");
        let [count, rest @ ..] = body else {
            return Err(cut());
        };
        let (pairs, tail) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(cut)?;
        let mut components = Vec::new();
        for [id, table] in pairs.as_chunks::<2>().0 {
            let index = self
                .ids
                .iter()
                .position(|i| i == id)
                .ok_or_else(|| damaged("a scan of an unknown component"))?;
            if *table != 0 {
                return Err(ImagingError::unsupported(CODEC, "mapping tables"));
            }
            if components.contains(&index) {
                return Err(damaged("a scan names a component twice"));
            }
            components.push(index);
        }
        let [near, interleave, point, ..] = *tail else {
            return Err(cut());
        };
        if point & 15 != 0 {
            return Err(ImagingError::unsupported(CODEC, "point transform"));
        }
        let interleave = match (interleave, components.len()) {
            (_, 0) => return Err(damaged("a scan without components")),
            (_, 1) => Interleave::None,
            (1, _) => Interleave::Line,
            (2, _) => Interleave::Sample,
            _ => return Err(damaged("an impossible interleave mode")),
        };
        Ok(ScanHeader {
            components,
            near,
            interleave,
        })
    }
}

impl FrameDecoder for JpegLs {
    fn header(&self, bytes: &[u8]) -> Result<StreamHeader> {
        let mut parser = Parser::new(bytes)?;
        parser.next_scan()?;
        parser.header.ok_or_else(|| damaged("no frame header"))
    }

    fn decode(&self, frame: &FrameDescription, bytes: &[u8], _reduce: u8) -> Result<StoredPixels> {
        let mut parser = Parser::new(bytes)?;
        let mut scan = parser.next_scan()?;
        let header = parser.header.ok_or_else(|| damaged("no frame header"))?;
        header.check(CODEC, frame)?;
        let count = usize::from(header.components);
        let mut out = vec![0u16; frame.samples_per_frame()?];
        let mut seen = vec![false; count];
        loop {
            for index in &scan.components {
                if let Some(s) = seen.get_mut(*index) {
                    *s = true;
                }
            }
            let parameters = Parameters::new(header.bits, scan.near, &parser.preset)?;
            let mut decoder = ScanDecoder::new(bytes, parser.at, &parameters);
            decoder.decode(&scan, usize::from(frame.columns), count, &mut out)?;
            parser.at = decoder.position();
            if seen.iter().all(|s| *s) {
                break;
            }
            scan = parser.next_scan()?;
        }
        let data = pack_words(frame, out);
        StoredPixels::new(frame, data, DecodedColour::AsDeclared)
    }
}

#[cfg(test)]
mod tests;
