//! NumPy arrays (`.npy`, format versions 1 to 3): samples in microvolts, shape (leads, samples) or (samples,).

use super::ReadOptions;
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, Record, STANDARD_LEADS};

/// First bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
const FORMAT: &str = "npy";
/// Longest header accepted, in bytes; NumPy writes about 120.
const HEADER_BYTES_MAX: usize = 65_536;

/// Kind of number in the array.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
}

/// What the header says.
#[derive(Debug, PartialEq)]
struct Header {
    kind: Kind,
    item_bytes: usize,
    big_endian: bool,
    fortran_order: bool,
    leads: usize,
    samples: usize,
    data_offset: usize,
}

/// Reads an array of microvolts.
///
/// # Errors
/// [`EcgError::NoSamplingRate`] without [`ReadOptions::sampling_rate_hz`]; [`EcgError::Field`], [`EcgError::Cut`],
/// [`EcgError::Unsupported`] and [`EcgError::TooLarge`] for a header that cannot be followed.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Record, EcgError> {
    let header = parse_header(bytes)?;
    let rate_hz = options
        .sampling_rate_hz
        .ok_or(EcgError::NoSamplingRate { format: FORMAT })?;
    record::check_sampling_rate(FORMAT, rate_hz)?;
    record::check_size(FORMAT, header.leads as u64, header.samples as u64)?;
    let data = bytes.get(header.data_offset..).unwrap_or_default();
    let wanted = header.leads * header.samples * header.item_bytes;
    if data.len() < wanted {
        let (wanted, got) = (wanted as u64, data.len() as u64);
        return Err(EcgError::Cut {
            format: FORMAT,
            what: "the array".into(),
            wanted,
            got,
        });
    }
    let names = lead_names(options, header.leads)?;
    let mut leads = Vec::with_capacity(header.leads);
    for (row, name) in names.into_iter().enumerate() {
        let samples_uv = decode_row(data, &header, row);
        leads.push(Lead {
            name,
            samples_uv,
            resolution_uv: 0.0,
            derived: false,
        });
    }
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    if data.len() > wanted {
        made.warnings.push(format!(
            "npy: {} bytes after the array were ignored",
            data.len() - wanted
        ));
    }
    Ok(made)
}

/// Writes rows of equal length as a little-endian `float64` array in C order.
#[must_use]
pub fn write(rows: &[Vec<f64>]) -> Vec<u8> {
    let samples = rows.first().map_or(0, Vec::len);
    let mut dict = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {}), }}",
        rows.len(),
        samples
    );
    // The data starts at a multiple of 64 bytes, as NumPy's format note asks.
    let unpadded = MAGIC.len() + 4 + dict.len() + 1;
    dict.push_str(&" ".repeat((64 - unpadded % 64) % 64));
    dict.push('\n');
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + dict.len() + rows.len() * samples * 8);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&u16::try_from(dict.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(dict.as_bytes());
    for row in rows {
        for value in row.iter().take(samples) {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    out
}

fn lead_names(options: &ReadOptions, count: usize) -> Result<Vec<LeadName>, EcgError> {
    if let Some(given) = &options.lead_names {
        if given.len() == count {
            return Ok(given.iter().map(|name| LeadName::new(name)).collect());
        }
        let value = format!("{} names for {count} leads", given.len());
        return Err(EcgError::field(
            FORMAT,
            "--leads",
            value,
            "one name for each row of the array",
        ));
    }
    if count == STANDARD_LEADS.len() {
        return Ok(STANDARD_LEADS.iter().map(|name| LeadName::new(name)).collect());
    }
    Ok((1..=count)
        .map(|place| LeadName::new(&format!("lead {place}")))
        .collect())
}

fn parse_header(bytes: &[u8]) -> Result<Header, EcgError> {
    let bad = |field: &str, value: &str, expected| EcgError::field(FORMAT, field, value, expected);
    let cut = || EcgError::Cut {
        format: FORMAT,
        what: "the header".into(),
        wanted: 128,
        got: bytes.len() as u64,
    };
    if !bytes.starts_with(MAGIC) {
        return Err(bad(
            "first bytes",
            "something else",
            "the magic number of a .npy file",
        ));
    }
    let version = *bytes.get(6).ok_or_else(cut)?;
    let byte = |at: usize| bytes.get(at).map(|b| usize::from(*b)).ok_or_else(cut);
    let (header_bytes, start) = match version {
        1 => (byte(8)? | byte(9)? << 8, 10),
        2 | 3 => (byte(8)? | byte(9)? << 8 | byte(10)? << 16 | byte(11)? << 24, 12),
        other => return Err(bad("version", &other.to_string(), "1, 2 or 3")),
    };
    if header_bytes > HEADER_BYTES_MAX {
        let (value, limit) = (header_bytes as u64, HEADER_BYTES_MAX as u64);
        return Err(EcgError::TooLarge {
            format: FORMAT,
            what: "header length",
            value,
            limit,
        });
    }
    let text = bytes.get(start..start + header_bytes).ok_or_else(cut)?;
    let text = String::from_utf8_lossy(text);
    let descr = quoted_after(&text, "'descr'").ok_or_else(|| bad("descr", &text, "a type such as '<f8'"))?;
    let (big_endian, kind, item_bytes) = parse_type(&descr)?;
    let fortran_order = after(&text, "'fortran_order'").is_some_and(|rest| rest.starts_with("True"));
    let shape = after(&text, "'shape'").and_then(|rest| rest.strip_prefix('('));
    let shape = shape.and_then(|rest| rest.split(')').next());
    let shape = shape.ok_or_else(|| bad("shape", &text, "(leads, samples)"))?;
    let sizes: Option<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect();
    let (leads, samples) = match sizes.as_deref() {
        Some([samples]) => (1, *samples),
        Some([leads, samples]) => (*leads, *samples),
        _ => return Err(bad("shape", shape, "(leads, samples)")),
    };
    if leads > record::LEADS_MAX && samples <= record::LEADS_MAX {
        return Err(bad("shape", shape, "(leads, samples); transpose the array"));
    }
    Ok(Header {
        kind,
        item_bytes,
        big_endian,
        fortran_order,
        leads,
        samples,
        data_offset: start + header_bytes,
    })
}

fn parse_type(descr: &str) -> Result<(bool, Kind, usize), EcgError> {
    let unsupported = || EcgError::Unsupported {
        format: FORMAT,
        what: format!("array type {descr:.16}"),
    };
    let mut chars = descr.chars();
    let order = chars.next().ok_or_else(unsupported)?;
    let kind = match chars.next() {
        Some('f') => Kind::Float,
        Some('i') => Kind::Signed,
        Some('u') => Kind::Unsigned,
        _ => return Err(unsupported()),
    };
    let item_bytes: usize = chars.as_str().parse().map_err(|_| unsupported())?;
    let known = match kind {
        Kind::Float => matches!(item_bytes, 4 | 8),
        Kind::Signed | Kind::Unsigned => matches!(item_bytes, 1 | 2 | 4 | 8),
    };
    if !known || !matches!(order, '<' | '>' | '|' | '=') {
        return Err(unsupported());
    }
    Ok((order == '>', kind, item_bytes))
}

fn after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let rest = &text[text.find(key)? + key.len()..];
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted_after(text: &str, key: &str) -> Option<String> {
    let rest = after(text, key)?.strip_prefix('\'')?;
    Some(rest[..rest.find('\'')?].to_owned())
}

fn decode_row(data: &[u8], header: &Header, row: usize) -> Vec<f32> {
    let size = header.item_bytes;
    let (first, stride) = if header.fortran_order {
        (row, header.leads)
    } else {
        (row * header.samples, 1)
    };
    let mut out = Vec::with_capacity(header.samples);
    if !header.fortran_order && !header.big_endian && header.kind == Kind::Float {
        // The common case without a branch for each sample.
        let part = data
            .get(first * size..(first + header.samples) * size)
            .unwrap_or_default();
        if size == 4 {
            out.extend(
                part.as_chunks::<4>()
                    .0
                    .iter()
                    .map(|item| f32::from_le_bytes(*item)),
            );
        } else {
            out.extend(
                part.as_chunks::<8>()
                    .0
                    .iter()
                    .map(|item| f64::from_le_bytes(*item) as f32),
            );
        }
        return out;
    }
    for index in 0..header.samples {
        let at = (first + index * stride) * size;
        let item = data.get(at..at + size).unwrap_or_default();
        out.push(decode_item(item, header) as f32);
    }
    out
}

fn decode_item(item: &[u8], header: &Header) -> f64 {
    let mut le = [0_u8; 8];
    for (place, byte) in item.iter().enumerate().take(8) {
        let to = if header.big_endian {
            item.len() - 1 - place
        } else {
            place
        };
        le[to] = *byte;
    }
    let raw = u64::from_le_bytes(le);
    match (header.kind, header.item_bytes) {
        (Kind::Float, 4) => f64::from(f32::from_bits(raw as u32)),
        (Kind::Float, _) => f64::from_bits(raw),
        (Kind::Signed, bytes) => {
            let shift = 64 - 8 * bytes as u32;
            (((raw << shift) as i64) >> shift) as f64
        }
        (Kind::Unsigned, _) => raw as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options() -> ReadOptions {
        ReadOptions {
            sampling_rate_hz: Some(500.0),
            lead_names: None,
        }
    }

    fn array(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let dict = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut out = [MAGIC, &[1, 0], &(dict.len() as u16).to_le_bytes()].concat();
        out.extend_from_slice(dict.as_bytes());
        out.extend_from_slice(data);
        out
    }

    #[test]
    fn types_and_orders() {
        let check = |bytes: &[u8], expect: &[&[f32]]| {
            let record = read(bytes, &options()).unwrap();
            let got: Vec<_> = record.leads.iter().map(|l| l.samples_uv.as_slice()).collect();
            assert_eq!(got, expect);
        };
        check(
            &array("<i2", "False", "(2, 2)", &[1, 0, 2, 0, 255, 255, 4, 0]),
            &[&[1.0, 2.0], &[-1.0, 4.0]],
        );
        check(
            &array(">i2", "True", "(2, 2)", &[0, 1, 0, 2, 0, 3, 0, 4]),
            &[&[1.0, 3.0], &[2.0, 4.0]],
        );
        check(
            &array("|u1", "False", "(3,)", &[1, 2, 200]),
            &[&[1.0, 2.0, 200.0]],
        );
        let float = [1.5_f32.to_be_bytes(), (-2.0_f32).to_be_bytes()].concat();
        check(&array(">f4", "False", "(1, 2)", &float), &[&[1.5, -2.0]]);
    }

    #[test]
    fn bad_arrays_are_refused() {
        let check = |bytes: &[u8]| assert!(read(bytes, &options()).is_err());
        check(b"");
        check(MAGIC);
        check(&array("<f8", "False", "(1, 2)", &[0; 15]));
        check(&array("<c8", "False", "(1, 1)", &[0; 8]));
        check(&array("<f8", "False", "(1, 0)", &[]));
        check(&array("<f8", "False", "(1, 1, 1)", &[0; 8]));
        check(&array("<f8", "False", "(99999999999, 99999999999)", &[0; 8]));
        check(&array("<f8", "False", "(5000, 12)", &[0; 480_000]));
        let no_rate = read(
            &array("|u1", "False", "(3,)", &[1, 2, 3]),
            &ReadOptions::default(),
        );
        assert!(matches!(no_rate, Err(EcgError::NoSamplingRate { .. })));
    }

    proptest! {
        #[test]
        fn written_arrays_read_back(rows in proptest::collection::vec(proptest::collection::vec(-1e4_f64..1e4, 5), 1..4)) {
            let record = read(&write(&rows), &options()).unwrap();
            for (lead, row) in record.leads.iter().zip(&rows) {
                let expect: Vec<f32> = row.iter().map(|v| *v as f32).collect();
                prop_assert_eq!(&lead.samples_uv, &expect);
            }
        }

        #[test]
        fn mutated_bytes_never_panic(at in 0_usize..200, value: u8, cut in 0_usize..200) {
            let mut bytes = array("<f8", "False", "(2, 4)", &[7; 64]);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = read(&bytes, &options());
            bytes.truncate(cut);
            let _ = read(&bytes, &options());
        }
    }
}
