//! numpy's file format 1.0: a header and the values, little endian, C order.

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
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn header_is_aligned_and_readable() {
        let h = super::header("<u2", &[1, 512, 300]);
        assert_eq!(h.len() % 64, 0);
        assert!(String::from_utf8_lossy(&h).contains("'shape': (1, 512, 300,), }"));
        assert_eq!(usize::from(u16::from_le_bytes([h[8], h[9]])) + 10, h.len());
    }
}
