//! An encoder of JPEG lossless (ITU-T T.81 Annex H), small enough to be believed: codes of five bits for the 17
//! categories.

/// One component of `precision` bits; `restart_rows` lines between two restart markers, 0 for none.
pub(crate) fn encode(
    values: &[u16],
    columns: usize,
    precision: u8,
    predictor: u8,
    restart_rows: usize,
) -> Vec<u8> {
    let rows = values.len() / columns;
    let mut out = vec![0xff, 0xd8];
    let segment = |out: &mut Vec<u8>, code: u8, body: &[u8]| {
        out.extend([0xff, code]);
        out.extend(((body.len() + 2) as u16).to_be_bytes());
        out.extend(body);
    };
    let table: Vec<u8> = [&[0, 0, 0, 0, 0, 17][..], &[0; 11]]
        .concat()
        .into_iter()
        .chain(0..17)
        .collect();
    segment(&mut out, 0xc4, &table);
    if restart_rows > 0 {
        segment(&mut out, 0xdd, &((restart_rows * columns) as u16).to_be_bytes());
    }
    let (r, c) = ((rows as u16).to_be_bytes(), (columns as u16).to_be_bytes());
    segment(
        &mut out,
        0xc3,
        &[precision, r[0], r[1], c[0], c[1], 1, 1, 0x11, 0],
    );
    segment(&mut out, 0xda, &[1, 1, 0, predictor, 0, 0]);
    let mut bits = Vec::new();
    let mut markers = 0;
    for y in 0..rows {
        let first_line = y == 0 || restart_rows > 0 && y % restart_rows == 0;
        if first_line && y > 0 {
            flush(&mut bits, &mut out);
            out.extend([0xff, 0xd0 + markers % 8]);
            markers += 1;
        }
        for x in 0..columns {
            let at = |dy: usize, dx: usize| i32::from(values[(y - dy) * columns + x - dx]);
            let guess = predict(&at, first_line, x, predictor, precision);
            put(&mut bits, i32::from((at(0, 0) - guess) as i16));
        }
    }
    flush(&mut bits, &mut out);
    out.extend([0xff, 0xd9]);
    out
}

/// Table H.1, with the special cases of the first line and the first column.
fn predict(
    at: &dyn Fn(usize, usize) -> i32,
    first_line: bool,
    x: usize,
    predictor: u8,
    precision: u8,
) -> i32 {
    match (first_line, x, predictor) {
        (true, 0, _) => 1 << (precision - 1),
        (true, _, _) | (false, 1.., 1) => at(0, 1),
        (false, 0, _) | (false, _, 2) => at(1, 0),
        (_, _, 3) => at(1, 1),
        (_, _, 4) => at(0, 1) + at(1, 0) - at(1, 1),
        (_, _, 5) => at(0, 1) + ((at(1, 0) - at(1, 1)) >> 1),
        (_, _, 6) => at(1, 0) + ((at(0, 1) - at(1, 1)) >> 1),
        _ => (at(0, 1) + at(1, 0)) >> 1,
    }
}

/// A category and the bits behind it.
fn put(bits: &mut Vec<bool>, difference: i32) {
    let (category, count) = match difference {
        -32_768 => (16, 0),
        other => {
            let count = 32 - other.unsigned_abs().leading_zeros();
            (count, count)
        }
    };
    let extra = difference - i32::from(difference < 0);
    bits.extend((0..5).rev().map(|k| category >> k & 1 == 1));
    bits.extend((0..count).rev().map(|k| extra >> k & 1 == 1));
}

/// Whole bytes, with a zero behind each of all ones.
fn flush(bits: &mut Vec<bool>, out: &mut Vec<u8>) {
    while !bits.len().is_multiple_of(8) {
        bits.push(true);
    }
    for byte in bits.chunks(8) {
        let byte = byte.iter().fold(0, |v, bit| v << 1 | u8::from(*bit));
        out.push(byte);
        if byte == 0xff {
            out.push(0);
        }
    }
    bits.clear();
}
