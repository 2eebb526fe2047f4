//! Marker segments (ITU-T T.81 Annex B).

use super::CODEC;
use super::huffman::Huffman;
use crate::codec::StreamHeader;
use crate::error::{ImagingError, Result};

const SCANS_MAX: usize = 200;

/// Coding process of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Sequential,
    Progressive,
    Lossless,
}

/// One component of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) quantisation: usize,
}

/// Frame header.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) precision: u8,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) components: Vec<Component>,
    pub(super) h_max: usize,
    pub(super) v_max: usize,
}

impl Frame {
    pub(super) fn header(&self) -> StreamHeader {
        StreamHeader {
            rows: self.rows as u32,
            columns: self.columns as u32,
            components: self.components.len() as u16,
            bits: self.precision,
            signed: false,
        }
    }
}

/// One component of a scan: index in the frame, Huffman tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// Scan header. In a lossless scan `spectral_start` is the predictor and `low` the point transform.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    pub(super) spectral_start: usize,
    pub(super) spectral_end: usize,
    pub(super) high: u32,
    pub(super) low: u32,
    /// Where its entropy-coded data starts.
    pub(super) data: usize,
}

/// What the application segments say about colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    None,
    Jfif,
    /// Adobe's transform: 0 none, 1 YCbCr, 2 YCCK.
    Adobe(u8),
}

/// What [`Parser::next_segment`] stops at.
#[derive(Debug)]
pub(super) enum Segment {
    Frame(Frame),
    Scan(Scan),
}

/// Walks the segments and keeps the tables.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    pub(super) data: &'a [u8],
    at: usize,
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) restart_interval: usize,
    pub(super) marker: Marker,
    ids: Vec<u8>,
    scans: usize,
}

fn damaged(why: &str) -> ImagingError {
    ImagingError::damaged(CODEC, why)
}

impl<'a> Parser<'a> {
    pub(super) fn new(data: &'a [u8]) -> Result<Self> {
        if !data.starts_with(&[0xff, 0xd8]) {
            return Err(damaged("it does not start as a JPEG stream"));
        }
        Ok(Self {
            data,
            at: 2,
            quantisation: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart_interval: 0,
            marker: Marker::None,
            ids: Vec::new(),
            scans: 0,
        })
    }

    /// Goes on at the marker at `at`, after a scan.
    pub(super) fn resume(&mut self, at: usize) {
        self.at = at;
    }

    /// The next frame or scan header; `None` at the end of the image or of the data.
    pub(super) fn next_segment(&mut self) -> Result<Option<Segment>> {
        loop {
            let Some(code) = self.next_code() else {
                return Ok(None);
            };
            match code {
                0xd9 => return Ok(None),
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let body = self.body()?;
            match code {
                0xc4 => self.huffman_tables(body)?,
                0xdb => self.quantisation_tables(body)?,
                0xdd => {
                    self.restart_interval = body
                        .first_chunk::<2>()
                        .map_or(0, |b| u16::from_be_bytes(*b).into())
                }
                0xe0 if body.starts_with(b"JFIF\0") && self.marker == Marker::None => {
                    self.marker = Marker::Jfif
                }
                0xee if body.starts_with(b"Adobe") => {
                    self.marker = body.get(11).map_or(self.marker, |t| Marker::Adobe(*t));
                }
                0xc0 | 0xc1 => return self.frame(body, Process::Sequential).map(Some),
                0xc2 => return self.frame(body, Process::Progressive).map(Some),
                0xc3 => return self.frame(body, Process::Lossless).map(Some),
                0xc5..=0xc7 | 0xc9..=0xcf => {
                    return Err(ImagingError::unsupported(
                        CODEC,
                        "arithmetic or hierarchical coding",
                    ));
                }
                0xda => return self.scan(body).map(Some),
                0xf7 => return Err(damaged("it is a JPEG-LS stream under a JPEG transfer syntax")),
                _ => {}
            }
        }
    }

    fn next_code(&mut self) -> Option<u8> {
        loop {
            let rest = self.data.get(self.at..)?;
            let start = rest.iter().position(|b| *b == 0xff)?;
            let code = *rest.get(start + 1)?;
            self.at += start + 1;
            if code != 0 && code != 0xff {
                self.at += 1;
                return Some(code);
            }
        }
    }

    fn body(&mut self) -> Result<&'a [u8]> {
        let length = self
            .data
            .get(self.at..)
            .and_then(|d| d.first_chunk::<2>())
            .map(|b| usize::from(u16::from_be_bytes(*b)));
        let length = length
            .filter(|n| *n >= 2)
            .ok_or_else(|| damaged("a segment has no length"))?;
        let body = self
            .data
            .get(self.at + 2..self.at + length)
            .ok_or_else(|| damaged("a segment is cut off"))?;
        self.at += length;
        Ok(body)
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Result<()> {
        while let [kind, rest @ ..] = body {
            let counts = rest
                .first_chunk::<16>()
                .ok_or_else(|| damaged("a Huffman table is cut off"))?;
            let n: usize = counts.iter().map(|c| usize::from(*c)).sum();
            let symbols = rest
                .get(16..16 + n)
                .ok_or_else(|| damaged("a Huffman table is cut off"))?;
            let tables = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            let place = tables
                .get_mut(usize::from(kind & 15))
                .ok_or_else(|| damaged("a Huffman table has a wrong number"))?;
            *place = Some(Huffman::new(counts, symbols)?);
            body = rest.get(16 + n..).unwrap_or_default();
        }
        Ok(())
    }

    fn quantisation_tables(&mut self, mut body: &[u8]) -> Result<()> {
        while let [kind, rest @ ..] = body {
            let wide = kind >> 4 != 0;
            let bytes = rest
                .get(..if wide { 128 } else { 64 })
                .ok_or_else(|| damaged("a quantisation table is cut off"))?;
            let mut table = [0u16; 64];
            for (k, t) in table.iter_mut().enumerate() {
                let byte = |i: usize| bytes.get(i).copied().map_or(0, u16::from);
                *t = if wide {
                    byte(2 * k) << 8 | byte(2 * k + 1)
                } else {
                    byte(k)
                };
            }
            let place = self.quantisation.get_mut(usize::from(kind & 15));
            *place.ok_or_else(|| damaged("a quantisation table has a wrong number"))? = Some(table);
            body = rest.get(bytes.len()..).unwrap_or_default();
        }
        Ok(())
    }

    fn frame(&mut self, body: &[u8], process: Process) -> Result<Segment> {
        let [precision, r0, r1, c0, c1, count, rest @ ..] = body else {
            return Err(damaged("the frame header is cut off"));
        };
        let lossless = process == Process::Lossless;
        if !(if lossless {
            (2..=16).contains(precision)
        } else {
            matches!(precision, 8 | 12)
        }) {
            return Err(ImagingError::unsupported(
                CODEC,
                format!("{precision} bits a sample"),
            ));
        }
        let specs = rest
            .as_chunks::<3>()
            .0
            .get(..usize::from(*count))
            .filter(|s| !s.is_empty() && s.len() <= 4);
        let specs = specs.ok_or_else(|| damaged("the frame header is cut off"))?;
        let components: Vec<Component> = specs
            .iter()
            .map(|[id, hv, tq]| Component {
                id: *id,
                h: (hv >> 4).into(),
                v: (hv & 15).into(),
                quantisation: (*tq).into(),
            })
            .collect();
        let h_max = components.iter().map(|c| c.h).max().unwrap_or(0);
        let v_max = components.iter().map(|c| c.v).max().unwrap_or(0);
        for c in &components {
            let sound =
                (1..=4).contains(&c.h) && (1..=4).contains(&c.v) && h_max % c.h == 0 && v_max % c.v == 0;
            if !sound || lossless && (c.h != h_max || c.v != v_max) {
                return Err(ImagingError::unsupported(
                    CODEC,
                    format!("sampling {} x {}", c.h, c.v),
                ));
            }
        }
        self.ids = components.iter().map(|c| c.id).collect();
        Ok(Segment::Frame(Frame {
            process,
            precision: *precision,
            rows: u16::from_be_bytes([*r0, *r1]).into(),
            columns: u16::from_be_bytes([*c0, *c1]).into(),
            components,
            h_max,
            v_max,
        }))
    }

    fn scan(&mut self, body: &[u8]) -> Result<Segment> {
        self.scans += 1;
        if self.scans > SCANS_MAX {
            return Err(damaged("it has too many scans"));
        }
        let cut = || damaged("a scan header is cut off");
        let [count, rest @ ..] = body else {
            return Err(cut());
        };
        let (pairs, tail) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(cut)?;
        let mut components = Vec::with_capacity(4);
        for [id, tables] in pairs.as_chunks::<2>().0 {
            let index = self
                .ids
                .iter()
                .position(|i| i == id)
                .ok_or_else(|| damaged("a scan of an unknown component"))?;
            if components.iter().any(|c: &ScanComponent| c.index == index) {
                return Err(damaged("a scan names a component twice"));
            }
            components.push(ScanComponent {
                index,
                dc: (tables >> 4).into(),
                ac: (tables & 15).into(),
            });
        }
        let [start, end, approximation, ..] = *tail else {
            return Err(cut());
        };
        if components.is_empty() {
            return Err(damaged("a scan without components"));
        }
        Ok(Segment::Scan(Scan {
            components,
            spectral_start: start.into(),
            spectral_end: end.into(),
            high: (approximation >> 4).into(),
            low: (approximation & 15).into(),
            data: self.at,
        }))
    }

    /// A DC (or lossless) table.
    pub(super) fn dc_table(&self, number: usize) -> Result<&Huffman> {
        self.dc
            .get(number)
            .and_then(Option::as_ref)
            .ok_or_else(|| damaged("a Huffman table is missing"))
    }

    /// An AC table.
    pub(super) fn ac_table(&self, number: usize) -> Result<&Huffman> {
        self.ac
            .get(number)
            .and_then(Option::as_ref)
            .ok_or_else(|| damaged("a Huffman table is missing"))
    }
}
