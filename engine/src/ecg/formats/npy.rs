//! NumPy arrays (`.npy`, format versions 1 to 3): samples in microvolts, shape (leads, samples) or (samples,).

use super::ReadOptions;
use crate::codec::npy::{self, Array, NpyError};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, Record, STANDARD_LEADS};

pub use crate::codec::npy::MAGIC;

const FORMAT: &str = "npy";

/// Reads an array of microvolts.
///
/// # Errors
/// [`EcgError::NoSamplingRate`] without [`ReadOptions::sampling_rate_hz`]; [`EcgError::Field`], [`EcgError::Cut`] and
/// [`EcgError::TooLarge`] for a header that cannot be followed.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Record, EcgError> {
    let array = Array::parse(bytes)?;
    let rate_hz = options
        .sampling_rate_hz
        .ok_or(EcgError::NoSamplingRate { format: FORMAT })?;
    record::check_sampling_rate(FORMAT, rate_hz)?;
    let (count, samples) = shape(&array)?;
    record::check_size(FORMAT, count as u64, samples as u64)?;
    let names = lead_names(options, count)?;
    let values = array.to_f32();
    let mut leads = Vec::with_capacity(count);
    for (row, name) in names.into_iter().enumerate() {
        leads.push(Lead {
            name,
            samples_uv: values[row * samples..(row + 1) * samples].to_vec(),
            resolution_uv: 0.0,
            derived: false,
        });
    }
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    if array.trailing_bytes() > 0 {
        made.warnings.push(format!(
            "npy: {} bytes after the array were ignored",
            array.trailing_bytes()
        ));
    }
    Ok(made)
}

/// Writes rows of equal length as a little-endian `float64` array in C order.
#[must_use]
pub fn write(rows: &[Vec<f64>]) -> Vec<u8> {
    let samples = rows.first().map_or(0, Vec::len);
    let mut out = npy::header("<f8", &[rows.len() as u64, samples as u64]);
    out.reserve(rows.len() * samples * 8);
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

fn shape(array: &Array<'_>) -> Result<(usize, usize), EcgError> {
    let expected = "(leads, samples)";
    let refused = |expected| EcgError::field(FORMAT, "shape", format!("{:?}", array.shape()), expected);
    let (leads, samples) = match array.shape() {
        [samples] => (1, *samples),
        [leads, samples] => (*leads, *samples),
        _ => return Err(refused(expected)),
    };
    if leads > record::LEADS_MAX && samples <= record::LEADS_MAX {
        return Err(refused("(leads, samples); transpose the array"));
    }
    Ok((leads, samples))
}

impl From<NpyError> for EcgError {
    fn from(error: NpyError) -> Self {
        match error {
            NpyError::Magic => EcgError::field(
                FORMAT,
                "first bytes",
                "something else",
                "the magic number of a .npy file",
            ),
            NpyError::Field {
                field,
                value,
                expected,
            } => EcgError::field(FORMAT, field, value, expected),
            NpyError::Cut { what, wanted, got } => EcgError::Cut {
                format: FORMAT,
                what: format!("the {what}"),
                wanted,
                got,
            },
        }
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
