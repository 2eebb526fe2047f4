//! numpy's file format (`.npy`, versions 1 to 3): a header and the values. Written as version 1.0, little endian, C
//! order; read in every number type of up to 8 bytes and in both orders.

/// First bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header accepted, in bytes; numpy writes about 120.
const HEADER_BYTES_MAX: usize = 65_536;
const DIMENSIONS_MAX: usize = 8;
const SHOWN_CHARS_MAX: usize = 60;

/// Why an array could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// The first bytes are others.
    #[error("this is no .npy file; write one with numpy.save")]
    Magic,
    /// A field of the header says something impossible.
    #[error(".npy header: {field} is {value:?}; expected {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What stands there, shortened.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// Fewer bytes than the header promises.
    #[error(".npy {what} ends after {got} of {wanted} bytes; the file is cut, copy it again")]
    Cut {
        /// Part that is cut.
        what: &'static str,
        /// Bytes wanted.
        wanted: u64,
        /// Bytes there.
        got: u64,
    },
}

/// Header of an array of `dtype` (numpy's name, such as `<i2`) and `shape`, 64-byte aligned.
#[must_use]
pub fn header(dtype: &str, shape: &[u64]) -> Vec<u8> {
    let dims: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut text = format!(
        "{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}",
        dims.trim_end()
    );
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

/// A whole `float32` array as a file.
#[must_use]
pub fn write_f32(shape: &[u64], values: &[f32]) -> Vec<u8> {
    let mut out = header("<f4", shape);
    out.reserve(values.len() * 4);
    values
        .iter()
        .for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
    out
}

/// Kind of number in the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IEEE 754, 4 or 8 bytes.
    Float,
    /// Two's complement, 1, 2, 4 or 8 bytes.
    Signed,
    /// 1, 2, 4 or 8 bytes.
    Unsigned,
}

/// An array whose header was read and whose values are all there.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<'a> {
    kind: Kind,
    item_bytes: usize,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
    data: &'a [u8],
    trailing_bytes: usize,
}

impl<'a> Array<'a> {
    /// Reads the header and checks that the values are there.
    ///
    /// # Errors
    /// [`NpyError`] for a header that cannot be followed and for fewer bytes than it promises.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NpyError> {
        let (text, data) = split(bytes)?;
        let text = String::from_utf8_lossy(text);
        let descr = quoted_after(&text, "'descr'")
            .ok_or_else(|| field("descr", &text, "a number type such as '<f4'"))?;
        let (big_endian, kind, item_bytes) = parse_type(&descr)?;
        let fortran_order = after(&text, "'fortran_order'").is_some_and(|rest| rest.starts_with("True"));
        let shape = parse_shape(&text)?;
        let wanted = shape
            .iter()
            .try_fold(item_bytes, |bytes, n| bytes.checked_mul(*n))
            .unwrap_or(usize::MAX);
        let values = data.get(..wanted).ok_or(NpyError::Cut {
            what: "array",
            wanted: wanted as u64,
            got: data.len() as u64,
        })?;
        Ok(Self {
            kind,
            item_bytes,
            big_endian,
            fortran_order,
            shape,
            data: values,
            trailing_bytes: data.len() - wanted,
        })
    }

    /// Length of each axis, slowest first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Kind of number and its bytes.
    #[must_use]
    pub fn item(&self) -> (Kind, usize) {
        (self.kind, self.item_bytes)
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.item_bytes
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Bytes of the file after the last value.
    #[must_use]
    pub fn trailing_bytes(&self) -> usize {
        self.trailing_bytes
    }

    /// The values in C order as `f32`; integers of more than 24 bits lose their lowest ones.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match (self.kind, self.item_bytes, self.is_plain()) {
            (Kind::Float, 4, true) => self.chunks::<4, f32>(f32::from_le_bytes),
            (Kind::Float, 8, true) => self.chunks::<8, f32>(|b| f64::from_le_bytes(b) as f32),
            (Kind::Signed, 2, true) => self.chunks::<2, f32>(|b| f32::from(i16::from_le_bytes(b))),
            _ => self.gather(|v| match v {
                Value::Float(v) => v as f32,
                Value::Integer(v) => v as f32,
            }),
        }
    }

    /// The values in C order as `f64`; integers of more than 53 bits lose their lowest ones.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        self.gather(|v| match v {
            Value::Float(v) => v,
            Value::Integer(v) => v as f64,
        })
    }

    /// The values in C order as `i16`; `None` for floating point and for wider or larger integers.
    #[must_use]
    pub fn to_i16(&self) -> Option<Vec<i16>> {
        match (self.kind, self.item_bytes, self.is_plain()) {
            (Kind::Float, ..) => None,
            (Kind::Signed, 2, true) => Some(self.chunks::<2, i16>(i16::from_le_bytes)),
            _ => self
                .gather(|v| match v {
                    Value::Integer(v) => i16::try_from(v).ok(),
                    Value::Float(_) => None,
                })
                .into_iter()
                .collect(),
        }
    }

    /// Little endian and C order: items follow one another as they are wanted.
    fn is_plain(&self) -> bool {
        !self.big_endian && !self.fortran_order
    }

    fn chunks<const N: usize, T>(&self, convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        self.data
            .as_chunks::<N>()
            .0
            .iter()
            .map(|item| convert(*item))
            .collect()
    }

    fn gather<T>(&self, convert: impl Fn(Value) -> T) -> Vec<T> {
        let value = |index: usize| convert(self.value(index * self.item_bytes));
        if !self.fortran_order || self.shape.len() < 2 {
            return (0..self.len()).map(value).collect();
        }
        // First axis fastest in the file: an odometer over C order carries the offset along.
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1_usize;
        for n in &self.shape {
            strides.push(stride);
            stride = stride.wrapping_mul(*n);
        }
        let mut place = vec![0_usize; self.shape.len()];
        let mut offset = 0;
        (0..self.len())
            .map(|_| {
                let got = value(offset);
                for axis in (0..place.len()).rev() {
                    place[axis] += 1;
                    offset += strides[axis];
                    if place[axis] < self.shape[axis] {
                        break;
                    }
                    offset -= strides[axis] * self.shape[axis];
                    place[axis] = 0;
                }
                got
            })
            .collect()
    }

    fn value(&self, at: usize) -> Value {
        let item = self.data.get(at..at + self.item_bytes).unwrap_or_default();
        let mut le = [0_u8; 8];
        for (place, byte) in item.iter().enumerate().take(8) {
            let to = if self.big_endian {
                item.len() - 1 - place
            } else {
                place
            };
            le[to] = *byte;
        }
        let raw = u64::from_le_bytes(le);
        match (self.kind, self.item_bytes) {
            (Kind::Float, 4) => Value::Float(f64::from(f32::from_bits(raw as u32))),
            (Kind::Float, _) => Value::Float(f64::from_bits(raw)),
            (Kind::Signed, bytes) => {
                let shift = 64 - 8 * bytes as u32;
                Value::Integer(i128::from(((raw << shift) as i64) >> shift))
            }
            (Kind::Unsigned, _) => Value::Integer(i128::from(raw)),
        }
    }
}

#[derive(Clone, Copy)]
enum Value {
    Float(f64),
    Integer(i128),
}

fn field(field: &'static str, value: &str, expected: &'static str) -> NpyError {
    NpyError::Field {
        field,
        value: value.chars().take(SHOWN_CHARS_MAX).collect(),
        expected,
    }
}

/// Text of the header and the bytes after it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), NpyError> {
    if !bytes.starts_with(MAGIC) {
        return Err(NpyError::Magic);
    }
    let cut = |wanted: usize| NpyError::Cut {
        what: "header",
        wanted: wanted as u64,
        got: bytes.len() as u64,
    };
    let byte = |at: usize| bytes.get(at).map(|b| usize::from(*b)).ok_or_else(|| cut(128));
    let (length, start) = match byte(6)? {
        1 => (byte(8)? | byte(9)? << 8, 10),
        2 | 3 => (byte(8)? | byte(9)? << 8 | byte(10)? << 16 | byte(11)? << 24, 12),
        other => return Err(field("version", &other.to_string(), "1, 2 or 3")),
    };
    if length > HEADER_BYTES_MAX {
        return Err(field("length", &length.to_string(), "at most 65536 bytes"));
    }
    let text = bytes
        .get(start..start + length)
        .ok_or_else(|| cut(start + length))?;
    Ok((text, &bytes[start + length..]))
}

fn parse_type(descr: &str) -> Result<(bool, Kind, usize), NpyError> {
    let unsupported = || {
        let expected = "integers of 1, 2, 4 or 8 bytes or floats of 4 or 8, such as '<f4'";
        field("descr", descr, expected)
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

fn parse_shape(text: &str) -> Result<Vec<usize>, NpyError> {
    let expected = "a tuple of at most 8 lengths";
    let shape = after(text, "'shape'")
        .and_then(|rest| rest.strip_prefix('('))
        .and_then(|rest| rest.split_once(')'))
        .map(|(inside, _)| inside)
        .ok_or_else(|| field("shape", text, expected))?;
    let sizes: Option<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .take(DIMENSIONS_MAX + 1)
        .map(|part| part.parse().ok())
        .collect();
    sizes
        .filter(|sizes| sizes.len() <= DIMENSIONS_MAX)
        .ok_or_else(|| field("shape", shape, expected))
}

fn after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let rest = &text[text.find(key)? + key.len()..];
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted_after(text: &str, key: &str) -> Option<String> {
    let rest = after(text, key)?.strip_prefix('\'')?;
    Some(rest[..rest.find('\'')?].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let dict = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut out = [MAGIC, &[1, 0], &(dict.len() as u16).to_le_bytes()].concat();
        out.extend_from_slice(dict.as_bytes());
        out.extend_from_slice(data);
        out
    }

    #[test]
    fn header_is_aligned_and_readable() {
        let h = header("<u2", &[1, 512, 300]);
        assert_eq!(h.len() % 64, 0);
        assert!(String::from_utf8_lossy(&h).contains("'shape': (1, 512, 300,), }"));
        assert_eq!(usize::from(u16::from_le_bytes([h[8], h[9]])) + 10, h.len());
    }

    #[test]
    fn types_and_orders() {
        let check = |bytes: &[u8], shape: &[usize], expect: &[f32], whole: Option<&[i16]>| {
            let array = Array::parse(bytes).unwrap();
            assert_eq!((array.shape(), array.to_f32().as_slice()), (shape, expect));
            assert_eq!(
                array.to_f64(),
                expect.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()
            );
            assert_eq!(array.to_i16().as_deref(), whole);
        };
        let plain = file("<i2", "False", "(2, 2)", &[1, 0, 2, 0, 255, 255, 4, 0]);
        check(&plain, &[2, 2], &[1.0, 2.0, -1.0, 4.0], Some(&[1, 2, -1, 4]));
        let fortran = file(">i2", "True", "(2, 3)", &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]);
        check(
            &fortran,
            &[2, 3],
            &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0],
            Some(&[1, 3, 5, 2, 4, 6]),
        );
        let cube = file("|u1", "True", "(2, 1, 2)", &[1, 2, 3, 4]);
        check(&cube, &[2, 1, 2], &[1.0, 3.0, 2.0, 4.0], Some(&[1, 3, 2, 4]));
        check(&file("<u2", "False", "(1,)", &[0, 200]), &[1], &[51_200.0], None);
        let float = [1.5_f32.to_be_bytes(), (-2.0_f32).to_be_bytes()].concat();
        check(
            &file(">f4", "False", "(1, 2)", &float),
            &[1, 2],
            &[1.5, -2.0],
            None,
        );
    }

    #[test]
    fn bad_arrays_are_refused() {
        let check = |bytes: &[u8]| assert!(Array::parse(bytes).is_err());
        check(b"");
        check(MAGIC);
        check(&file("<f8", "False", "(1, 2)", &[0; 15]));
        check(&file("<c8", "False", "(1, 1)", &[0; 8]));
        check(&file("|O", "False", "(1,)", &[0; 8]));
        check(&file("<f8", "False", "(-1,)", &[0; 8]));
        check(&file("<f8", "False", "(1,1,1,1,1,1,1,1,1)", &[0; 8]));
        check(&file("<f8", "False", "(99999999999, 99999999999)", &[0; 8]));
        check(&file("<f8", "False", "1, 2", &[0; 16]));
    }

    proptest! {
        #[test]
        fn written_arrays_read_back(values in proptest::collection::vec(-1e4_f32..1e4, 0..40)) {
            let bytes = write_f32(&[values.len() as u64, 1], &values);
            let array = Array::parse(&bytes).unwrap();
            prop_assert_eq!(array.shape(), &[values.len(), 1]);
            prop_assert_eq!(array.to_f32(), values);
        }

        #[test]
        fn mutated_bytes_never_panic(at in 0_usize..200, value: u8, cut in 0_usize..200) {
            let mut bytes = file("<f8", "True", "(2, 4)", &[7; 64]);
            let at = at % bytes.len();
            bytes[at] = value;
            let read = |bytes: &[u8]| Array::parse(bytes).map(|a| (a.to_f32(), a.to_i16()));
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
