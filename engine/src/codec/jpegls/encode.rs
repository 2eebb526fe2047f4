//! Lossless encoding: one scan, components sample-interleaved when there are several.

use super::bits::BitWriter;
use super::model::{Context, Parameters, RunContext, order, predict};
use super::{CODEC, Preset};
use crate::codec::frame::FrameDescription;
use crate::codec::stored::Samples;
use crate::error::{ImagingError, Result};

/// A lossless JPEG-LS stream of the stored values.
///
/// # Errors
/// Samples of more than 16 bits or floats.
pub fn encode(frame: &FrameDescription, samples: &Samples) -> Result<Vec<u8>> {
    let bits = (frame.effective_high_bit() + 1).max(2);
    let mask = i32::from(u16::MAX >> (16 - bits.min(16)));
    let values: Vec<i32> = match samples {
        Samples::U8(v) => v.iter().map(|x| i32::from(*x)).collect(),
        Samples::I8(v) => v.iter().map(|x| i32::from(*x) & mask).collect(),
        Samples::U16(v) => v.iter().map(|x| i32::from(*x)).collect(),
        Samples::I16(v) => v.iter().map(|x| i32::from(*x) & mask).collect(),
        _ => return Err(ImagingError::unsupported(CODEC, "samples of more than 16 bits")),
    };
    let count = usize::from(frame.samples_per_pixel);
    if values.len() != frame.samples_per_frame()? {
        return Err(ImagingError::unsupported(CODEC, "this number of samples"));
    }
    let parameters = Parameters::new(bits as u8, 0, &Preset::default())?;
    let mut out = vec![0xff, 0xd8, 0xff, 0xf7];
    out.extend((8 + 3 * count as u16).to_be_bytes());
    out.push(bits as u8);
    out.extend(frame.rows.to_be_bytes());
    out.extend(frame.columns.to_be_bytes());
    out.push(count as u8);
    out.extend((1..=count as u8).flat_map(|id| [id, 0x11, 0]));
    out.extend([0xff, 0xda]);
    out.extend((6 + 2 * count as u16).to_be_bytes());
    out.push(count as u8);
    out.extend((1..=count as u8).flat_map(|id| [id, 0]));
    out.extend([0, if count > 1 { 2 } else { 0 }, 0]);
    let mut encoder = ScanEncoder {
        writer: BitWriter::new(out),
        contexts: vec![Context::new(parameters.range); 365],
        runs: [
            RunContext::new(parameters.range, 0),
            RunContext::new(parameters.range, 1),
        ],
        p: parameters,
        run_index: 0,
    };
    encoder.lines(&values, usize::from(frame.columns), count);
    let mut out = encoder.writer.finish();
    out.extend([0xff, 0xd9]);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    Ok(out)
}

struct ScanEncoder {
    writer: BitWriter,
    p: Parameters,
    contexts: Vec<Context>,
    runs: [RunContext; 2],
    run_index: usize,
}

/// Neighbours of a sample.
#[derive(Clone, Copy)]
struct Near {
    ra: i32,
    rb: i32,
    rc: i32,
    rd: i32,
}

impl ScanEncoder {
    fn lines(&mut self, values: &[i32], columns: usize, count: usize) {
        let zeros = vec![0; columns * count];
        let mut left_above = vec![0; count];
        let mut above: &[i32] = &zeros;
        for row in values.chunks_exact(columns * count) {
            self.line(row, above, &left_above, count);
            left_above = above.get(..count).unwrap_or_default().to_vec();
            above = row;
        }
    }

    /// One line; `left_above` is what stands left of the line above.
    fn line(&mut self, row: &[i32], above: &[i32], left_above: &[i32], count: usize) {
        let columns = row.len() / count;
        let at = |line: &[i32], x: usize, c: usize| line.get(x * count + c).copied().unwrap_or(0);
        let near = |x: usize, c: usize| Near {
            ra: if x > 0 { at(row, x - 1, c) } else { at(above, 0, c) },
            rb: at(above, x, c),
            rc: if x > 0 {
                at(above, x - 1, c)
            } else {
                left_above.get(c).copied().unwrap_or(0)
            },
            rd: at(above, (x + 1).min(columns - 1), c),
        };
        let context = |p: &Parameters, n: Near| p.context(n.ra, n.rb, n.rc, n.rd);
        let mut x = 0;
        while x < columns {
            if (0..count).any(|c| context(&self.p, near(x, c)) != 0) {
                for c in 0..count {
                    let n = near(x, c);
                    self.regular(context(&self.p, n), n, at(row, x, c));
                }
                x += 1;
                continue;
            }
            let start = x;
            while x < columns && (0..count).all(|c| at(row, x, c) == near(start, c).ra) {
                x += 1;
            }
            self.run(x - start, x == columns);
            if x < columns {
                for c in 0..count {
                    self.interruption(near(x, c), at(row, x, c), count > 1);
                }
                self.run_index = self.run_index.saturating_sub(1);
                x += 1;
            }
        }
    }

    fn regular(&mut self, q: i32, n: Near, value: i32) {
        let sign = q >> 31 | 1;
        let (near, step, reset) = (self.p.near, self.p.step, self.p.reset);
        let Some(context) = self.contexts.get_mut(q.unsigned_abs() as usize) else {
            return;
        };
        let prediction = (predict(n.ra, n.rb, n.rc) + sign * context.c).clamp(0, self.p.max_value);
        let error = self.p.error(sign * (value - prediction));
        let k = context.order();
        let turned = error ^ context.turned(k, near);
        let mapped = (turned << 1) ^ (turned >> 31);
        context.update(error, step, reset);
        self.golomb(mapped.cast_unsigned(), k, self.p.limit);
    }

    fn run(&mut self, mut length: usize, to_the_end: bool) {
        while length >= 1 << order(self.run_index) {
            self.writer.put(1, 1);
            length -= 1 << order(self.run_index);
            self.run_index = (self.run_index + 1).min(31);
        }
        if to_the_end {
            if length > 0 {
                self.writer.put(1, 1);
            }
        } else {
            self.writer.put(length as u32, order(self.run_index) + 1);
        }
    }

    fn interruption(&mut self, n: Near, value: i32, several: bool) {
        let same = !several && n.ra == n.rb;
        let difference = if same {
            value - n.ra
        } else if n.ra > n.rb {
            n.rb - value
        } else {
            value - n.rb
        };
        let error = self.p.error(difference);
        let Some(context) = self.runs.get_mut(usize::from(same)) else {
            return;
        };
        let k = context.order();
        let mapped = context.map(error, k);
        context.update(error, mapped, self.p.reset);
        let limit = self.p.limit - order(self.run_index) - 1;
        self.golomb(mapped.cast_unsigned(), k, limit);
    }

    fn golomb(&mut self, value: u32, k: u32, limit: u32) {
        let most = limit - self.p.range_bits - 1;
        let high = value >> k;
        if high < most {
            self.zeros_and_one(high);
            self.writer.put(value & ((1 << k) - 1), k);
        } else {
            self.zeros_and_one(most);
            self.writer.put(value - 1, self.p.range_bits);
        }
    }

    fn zeros_and_one(&mut self, zeros: u32) {
        if zeros > 31 {
            self.writer.put(0, 31);
            self.writer.put(1, zeros - 30);
        } else {
            self.writer.put(1, zeros + 1);
        }
    }
}
