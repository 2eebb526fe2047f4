//! The text header: record line, signal lines or segment lines, comments.

use super::FORMAT;
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, LEADS_MAX};

/// Largest header file, in bytes.
const HEADER_BYTES_MAX: usize = 4 << 20;
/// Most segments in one record.
const SEGMENTS_MAX: usize = 100_000;
/// Most comment lines kept.
const COMMENTS_MAX: usize = 1_000;
/// Gain where the header says none or 0 (header(5)).
const DEFAULT_GAIN: f64 = 200.0;

/// One signal line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SignalSpec {
    pub(super) file: String,
    pub(super) format: u16,
    pub(super) samples_per_frame: usize,
    pub(super) skew: usize,
    pub(super) byte_offset: usize,
    pub(super) gain: f64,
    pub(super) baseline: f64,
    pub(super) units: String,
    pub(super) checksum: Option<i16>,
    pub(super) initial_value: i32,
    pub(super) description: String,
}

/// One line of a multi-segment header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) samples: u64,
}

/// A header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) signal_count: usize,
    pub(super) sampling_rate_hz: f64,
    /// Frames in the record; `None` where the header is silent and the file's length decides.
    pub(super) samples: Option<u64>,
    pub(super) start: Option<String>,
    pub(super) signals: Vec<SignalSpec>,
    /// Segments promised by the record line; 0 for an ordinary record.
    segment_count: usize,
    pub(super) segments: Vec<Segment>,
    pub(super) comments: Vec<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Header, EcgError> {
    if bytes.len() > HEADER_BYTES_MAX {
        let (value, limit) = (bytes.len() as u64, HEADER_BYTES_MAX as u64);
        return Err(EcgError::TooLarge {
            format: FORMAT,
            what: "header length",
            value,
            limit,
        });
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = Vec::new();
    let mut comments = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            if comments.len() < COMMENTS_MAX {
                comments.push(comment.trim().to_owned());
            }
        } else if !line.is_empty() {
            lines.push(line);
        }
    }
    let first = lines
        .first()
        .ok_or_else(|| EcgError::field(FORMAT, "header", "", "a record line"))?;
    let mut header = parse_record_line(first)?;
    header.comments = comments;
    let multi = header.segment_count > 0;
    let rest = lines.get(1..).unwrap_or_default();
    let needed = if multi {
        header.segment_count
    } else {
        header.signal_count
    };
    if rest.len() < needed {
        let what = format!("the header (line {} of {})", rest.len() + 1, needed + 1);
        let got = bytes.len() as u64;
        return Err(EcgError::Cut {
            format: FORMAT,
            what,
            wanted: got + 1,
            got,
        });
    }
    for line in rest.iter().take(needed) {
        if multi {
            header.segments.push(parse_segment_line(line)?);
        } else {
            header.signals.push(parse_signal_line(line)?);
        }
    }
    record::check_size(FORMAT, header.signal_count as u64, header.samples.unwrap_or(0))?;
    Ok(header)
}

/// `NAME[/SEGMENTS] SIGNALS [RATE[/COUNTER[(BASE)]] [SAMPLES [TIME [DATE]]]]`
fn parse_record_line(line: &str) -> Result<Header, EcgError> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let segments = match name.split_once('/') {
        None => 0,
        Some((_, count)) => {
            let count = count
                .parse::<usize>()
                .ok()
                .filter(|n| (1..=SEGMENTS_MAX).contains(n));
            count.ok_or_else(|| EcgError::field(FORMAT, "segment count", name, "1 to 100000"))?
        }
    };
    let count = words.next().unwrap_or_default();
    let signal_count = count
        .parse::<usize>()
        .ok()
        .filter(|n| (1..=LEADS_MAX).contains(n));
    let signal_count =
        signal_count.ok_or_else(|| EcgError::field(FORMAT, "signal count", count, "1 to 64"))?;
    let rate = words.next().unwrap_or("250");
    let plain = rate.split(['/', '(']).next().unwrap_or_default();
    let sampling_rate_hz: f64 = plain
        .parse()
        .map_err(|_| EcgError::field(FORMAT, "sampling rate", rate, "a number of hertz"))?;
    record::check_sampling_rate(FORMAT, sampling_rate_hz)?;
    let samples = match words.next() {
        None | Some("0") => None,
        Some(word) => {
            let parsed = word.parse::<u64>();
            Some(parsed.map_err(|_| EcgError::field(FORMAT, "number of samples", word, "a whole number"))?)
        }
    };
    let start: Vec<&str> = words.take(2).collect();
    let start = (!start.is_empty()).then(|| start.join(" ").chars().take(40).collect());
    Ok(Header {
        signal_count,
        sampling_rate_hz,
        samples,
        start,
        signals: Vec::new(),
        segment_count: segments,
        segments: Vec::new(),
        comments: Vec::new(),
    })
}

fn parse_segment_line(line: &str) -> Result<Segment, EcgError> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let samples = words.next().and_then(|w| w.parse::<u64>().ok());
    let samples =
        samples.ok_or_else(|| EcgError::field(FORMAT, "segment line", line, "a name and a length"))?;
    Ok(Segment { name, samples })
}

/// `FILE FORMAT[xFRAME][:SKEW][+OFFSET] [GAIN[(BASELINE)][/UNITS] [BITS [ZERO [INITIAL [CHECKSUM [BLOCK [NAME]]]]]]]`
fn parse_signal_line(line: &str) -> Result<SignalSpec, EcgError> {
    let mut rest = line.trim();
    let mut word = || {
        let (first, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = tail.trim_start();
        first
    };
    let file = word().to_owned();
    let storage = word().to_owned();
    let gain = word().to_owned();
    let (_bits, zero) = (word(), word().parse::<f64>().unwrap_or(0.0));
    let initial = word().parse::<f64>().unwrap_or(zero);
    let checksum = word().parse::<i32>().ok().map(|sum| sum as i16);
    let _block = word();
    let description = rest.to_owned();
    // Names come from the file: only plain ones beside the header, never a path out of the folder.
    if file.is_empty() || file.contains(['/', '\\', '\0']) || file.contains("..") {
        return Err(EcgError::field(
            FORMAT,
            "signal file name",
            &file,
            "a plain name beside the header",
        ));
    }
    let mut spec = SignalSpec {
        file,
        format: 0,
        samples_per_frame: 1,
        skew: 0,
        byte_offset: 0,
        gain: DEFAULT_GAIN,
        baseline: zero,
        units: String::new(),
        checksum,
        initial_value: initial.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32,
        description,
    };
    parse_storage(&storage, &mut spec)?;
    parse_gain(&gain, &mut spec)?;
    Ok(spec)
}

fn parse_storage(word: &str, spec: &mut SignalSpec) -> Result<(), EcgError> {
    const SAMPLES_PER_FRAME_MAX: usize = 1_000;
    const SKEW_MAX: usize = 1_000_000;
    const BYTE_OFFSET_MAX: usize = 1 << 30;
    let bad = || EcgError::field(FORMAT, "signal format", word, "a format such as 16 or 212x2:3+24");
    let first = word.find(['x', ':', '+']).unwrap_or(word.len());
    spec.format = word[..first].parse().map_err(|_| bad())?;
    let mut rest = &word[first..];
    while let Some(mark) = rest.chars().next() {
        let tail = &rest[1..];
        let end = tail.find(['x', ':', '+']).unwrap_or(tail.len());
        let value: usize = tail[..end].parse().map_err(|_| bad())?;
        match mark {
            'x' if (1..=SAMPLES_PER_FRAME_MAX).contains(&value) => spec.samples_per_frame = value,
            ':' if value <= SKEW_MAX => spec.skew = value,
            '+' if value <= BYTE_OFFSET_MAX => spec.byte_offset = value,
            _ => return Err(bad()),
        }
        rest = &tail[end..];
    }
    Ok(())
}

fn parse_gain(word: &str, spec: &mut SignalSpec) -> Result<(), EcgError> {
    if word.is_empty() {
        return Ok(());
    }
    let bad = || EcgError::field(FORMAT, "gain", word, "a number such as 200(1024)/mV");
    let (value, units) = word.split_once('/').unwrap_or((word, ""));
    spec.units = units.to_owned();
    let (gain, baseline) = match value.split_once('(') {
        Some((gain, tail)) => (gain, Some(tail.trim_end_matches(')'))),
        None => (value, None),
    };
    let gain: f64 = gain.parse().map_err(|_| bad())?;
    if let Some(text) = baseline {
        spec.baseline = text.parse().map_err(|_| bad())?;
    }
    if !gain.is_finite() || !spec.baseline.is_finite() {
        return Err(bad());
    }
    if gain != 0.0 {
        spec.gain = gain;
    }
    Ok(())
}
