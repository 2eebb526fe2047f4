//! XLI, the compression of Philips carts: chunks of LZW with codes of 10 bits, high bytes before low bytes, second
//! differences with a bias of 64.

use super::super::raw::{i16_le, u32_le};

/// Bytes of a chunk's header: length, an unused word, the first difference.
const HEADER_BYTES: usize = 8;
const CODE_BITS: u32 = 10;
/// First code that stands for a string.
const FIRST_STRING: usize = 256;
/// Code that ends a chunk; strings stay below it.
const END_CODE: usize = (1 << CODE_BITS) - 1;
/// Added to each stored difference.
const BIAS: i32 = 64;

/// The chunks of a stream, one a lead, at most `leads_max`. `Err` says which chunk is cut.
pub(super) fn decode(data: &[u8], leads_max: usize, samples_max: usize) -> Result<Vec<Vec<i32>>, usize> {
    let (mut at, mut out) = (0, Vec::new());
    while out.len() < leads_max && at < data.len() {
        let length = u32_le(data, at).ok_or(out.len())? as usize;
        let first = i16_le(data, at + 6).ok_or(out.len())?;
        let start = at + HEADER_BYTES;
        let chunk = start.checked_add(length).and_then(|end| data.get(start..end));
        let bytes = expand(chunk.ok_or(out.len())?, samples_max * 2);
        out.push(undo_differences(&join_halves(&bytes), i32::from(first)));
        at = start + length;
    }
    Ok(out)
}

/// LZW of fixed code length. Every string is a stretch of what was put out before: the string before it and the byte
/// behind that.
fn expand(data: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut strings: Vec<(usize, usize)> = Vec::with_capacity(END_CODE);
    let mut out: Vec<u8> = Vec::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    let mut before: Option<(usize, usize)> = None;
    for byte in data {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        if bits < CODE_BITS {
            continue;
        }
        bits -= CODE_BITS;
        let code = (held >> bits) as usize & END_CODE;
        held &= (1 << bits) - 1;
        let start = out.len();
        if code == END_CODE || start >= bytes_max {
            break;
        }
        // The string that this code completes: it is entered first, because the code may already mean it.
        let made = before.filter(|_| FIRST_STRING + strings.len() < END_CODE);
        if let Some((from, length)) = made {
            strings.push((from, length + 1));
        }
        if let Ok(plain) = u8::try_from(code) {
            out.push(plain);
        } else {
            let Some((from, length)) = strings.get(code - FIRST_STRING).copied() else {
                break;
            };
            for place in from..from + length {
                out.push(out[place]);
            }
        }
        before = Some((start, out.len() - start));
    }
    out
}

fn join_halves(bytes: &[u8]) -> Vec<i32> {
    let (high, low) = bytes.split_at(bytes.len().div_ceil(2));
    let low = low.iter().copied().chain(std::iter::repeat(0));
    high.iter()
        .zip(low)
        .map(|(high, low)| i32::from(i16::from_be_bytes([*high, low])))
        .collect()
}

fn undo_differences(codes: &[i32], first: i32) -> Vec<i32> {
    let mut out: Vec<i32> = codes.iter().take(2).copied().collect();
    let mut difference = first;
    for code in codes.iter().skip(2) {
        let (before, last) = (out[out.len() - 2], out[out.len() - 1]);
        out.push(last.wrapping_mul(2).wrapping_sub(before).wrapping_sub(difference));
        difference = code.wrapping_sub(BIAS);
    }
    out
}

#[cfg(test)]
pub(super) mod encode {
    use super::*;
    use std::collections::HashMap;

    /// The chunk of one lead.
    pub(in super::super) fn chunk(samples: &[i32]) -> Vec<u8> {
        let difference = |n: usize| samples[n] - 2 * samples[n - 1] + samples[n - 2];
        let mut codes: Vec<i32> = samples[..2].to_vec();
        codes.extend((3..samples.len()).map(|n| BIAS - difference(n)));
        codes.push(BIAS);
        let words: Vec<[u8; 2]> = codes.iter().map(|c| (*c as i16).to_be_bytes()).collect();
        let bytes: Vec<u8> = words
            .iter()
            .map(|w| w[0])
            .chain(words.iter().map(|w| w[1]))
            .collect();
        let body = compress(&bytes);
        let mut out = (body.len() as u32).to_le_bytes().to_vec();
        out.extend(1_u16.to_le_bytes());
        out.extend((-difference(2) as i16).to_le_bytes());
        out.extend(body);
        out
    }

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut known: HashMap<Vec<u8>, usize> = (0..=255_u8).map(|b| (vec![b], usize::from(b))).collect();
        let (mut codes, mut now) = (Vec::new(), Vec::new());
        for byte in bytes {
            let mut longer = now.clone();
            longer.push(*byte);
            if known.contains_key(&longer) {
                now = longer;
                continue;
            }
            codes.push(known[&now]);
            if known.len() < END_CODE {
                known.insert(longer, known.len());
            }
            now = vec![*byte];
        }
        codes.push(known[&now]);
        codes.push(END_CODE);
        let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for code in codes {
            held = held << CODE_BITS | code as u32;
            bits += CODE_BITS;
            while bits >= 8 {
                bits -= 8;
                out.push((held >> bits) as u8);
                held &= (1 << bits) - 1;
            }
        }
        out.push((held << (8 - bits)) as u8);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_may_mean_the_string_that_it_completes() {
        // "aaaa" is a, 256 (aa), a
        let codes = [97_u32, 256, 97, 1_023];
        let bits = codes
            .iter()
            .fold(0_u64, |bits, code| bits << 10 | u64::from(*code))
            << 24;
        assert_eq!(expand(&bits.to_be_bytes()[..5], 100), b"aaaa");
    }

    #[test]
    fn a_cut_chunk_is_named() {
        let two = [encode::chunk(&[1, 2, 3, 5]), encode::chunk(&[0; 8])].concat();
        assert_eq!(decode(&two, 2, 8).unwrap().len(), 2);
        assert_eq!(decode(&two[..two.len() - 1], 2, 8), Err(1));
        assert_eq!(decode(&two[..5], 2, 8), Err(0));
    }

    proptest! {
        #[test]
        fn leads_come_back(steps in proptest::collection::vec(-40_i32..40, 3..2_000)) {
            let mut now = 0;
            let samples: Vec<i32> = steps.iter().map(|s| { now = (now + s).clamp(-6_000, 6_000); now }).collect();
            let got = decode(&encode::chunk(&samples), 1, samples.len()).unwrap();
            prop_assert_eq!(&got[0], &samples);
        }

        #[test]
        fn hostile_chunks_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&data, 16, 1_000);
            prop_assert!(expand(&data, 1_000).len() <= 1_000 + END_CODE);
        }
    }
}
