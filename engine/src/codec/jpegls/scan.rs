//! Decoding of a scan (T.87 A.2 to A.7).

use super::bits::BitReader;
use super::model::{Context, Parameters, RunContext, order, predict};
use super::{Interleave, ScanHeader, damaged};
use crate::error::{ImagingError, Result};

const ORDER_MAX: u32 = 24;

pub(super) struct ScanDecoder<'a> {
    reader: BitReader<'a>,
    p: &'a Parameters,
    contexts: Vec<Context>,
    runs: [RunContext; 2],
}

/// One line with a sample of padding on each side.
type Line = Vec<i32>;

/// Prepares the edges (T.87 A.2.1): left of the line stands what is above its first sample, right of the line above
/// stands its last sample.
fn edges(above: &mut [i32], current: &mut [i32]) {
    if let [.., last, pad] = above {
        *pad = *last;
    }
    if let (Some(pad), Some(first)) = (current.first_mut(), above.get(1)) {
        *pad = *first;
    }
}

impl<'a> ScanDecoder<'a> {
    pub(super) fn new(data: &'a [u8], at: usize, p: &'a Parameters) -> Self {
        Self {
            reader: BitReader::new(data, at),
            p,
            contexts: vec![Context::new(p.range); 365],
            runs: [RunContext::new(p.range, 0), RunContext::new(p.range, 1)],
        }
    }

    /// Where to look for the next marker.
    pub(super) fn position(&self) -> usize {
        self.reader.position()
    }

    /// Fills the components of the scan in `out`, whose pixels have `stride` samples.
    pub(super) fn decode(
        &mut self,
        scan: &ScanHeader,
        columns: usize,
        stride: usize,
        out: &mut [u16],
    ) -> Result<()> {
        let count = scan.components.len();
        let mut above: Vec<Line> = vec![vec![0; columns + 2]; count];
        let mut current = above.clone();
        let mut indices = vec![0usize; count];
        let plain = self.p.is_plain();
        for (y, row) in out.chunks_exact_mut(columns * stride).enumerate() {
            for (a, c) in above.iter_mut().zip(&mut current) {
                edges(a, c);
            }
            let sound = if scan.interleave == Interleave::Sample {
                self.sample_line(&above, &mut current, indices.first_mut())
            } else {
                above
                    .iter()
                    .zip(&mut current)
                    .zip(&mut indices)
                    .try_for_each(|((a, c), i)| {
                        if plain {
                            self.line::<true>(a, c, i)
                        } else {
                            self.line::<false>(a, c, i)
                        }
                    })
            };
            if sound.is_none() || self.reader.overrun() {
                return Err(ImagingError::damaged(
                    super::CODEC,
                    format!("it ends or breaks in line {}", y + 1),
                ));
            }
            for (line, index) in current.iter().zip(&scan.components) {
                let samples = line
                    .get(1..=columns)
                    .ok_or_else(|| damaged("an impossible width"))?;
                for (o, v) in row.iter_mut().skip(*index).step_by(stride).zip(samples) {
                    *o = *v as u16;
                }
            }
            std::mem::swap(&mut above, &mut current);
        }
        Ok(())
    }

    /// One line of one component; `PLAIN` as [`Parameters::is_plain`].
    fn line<const PLAIN: bool>(
        &mut self,
        above: &[i32],
        current: &mut [i32],
        run_index: &mut usize,
    ) -> Option<()> {
        let columns = current.len() - 2;
        let mut ra = *current.first()?;
        let (mut rc, mut rb) = (*above.first()?, *above.get(1)?);
        let mut middle = self.p.quantise(rb - rc);
        let mut x = 1;
        while x <= columns {
            let rd = *above.get(x + 1)?;
            let right = self.p.quantise(rd - rb);
            let q = (right * 9 + middle) * 9 + self.p.quantise(rc - ra);
            if q != 0 {
                ra = self.regular::<PLAIN>(q, ra, rb, rc)?;
                *current.get_mut(x)? = ra;
                x += 1;
                // The neighbours move on by one: what was right above is above.
                (rc, rb, middle) = (rb, rd, right);
                continue;
            }
            let run = self.run_length(columns + 1 - x, run_index)?;
            current.get_mut(x..x + run)?.fill(ra);
            x += run;
            if x <= columns {
                ra = self.interruption(ra, *above.get(x)?, *run_index)?;
                *current.get_mut(x)? = ra;
                *run_index = run_index.saturating_sub(1);
                x += 1;
            }
            (rc, rb) = (*above.get(x - 1)?, *above.get(x)?);
            middle = self.p.quantise(rb - rc);
        }
        Some(())
    }

    /// One line of all components, sample by sample.
    fn sample_line(
        &mut self,
        above: &[Line],
        current: &mut [Line],
        run_index: Option<&mut usize>,
    ) -> Option<()> {
        let run_index = run_index?;
        let columns = current.first()?.len() - 2;
        let mut x = 1;
        while x <= columns {
            let mut contexts = [0i32; 4];
            for ((a, c), q) in above.iter().zip(current.iter()).zip(&mut contexts) {
                let &[rc, rb, rd] = a.get(x - 1..x + 2)?.first_chunk::<3>()?;
                *q = self.p.context(*c.get(x - 1)?, rb, rc, rd);
            }
            if contexts.iter().any(|q| *q != 0) {
                for ((a, c), q) in above.iter().zip(current.iter_mut()).zip(contexts) {
                    let &[rc, rb] = a.get(x - 1..x + 1)?.first_chunk::<2>()?;
                    let ra = *c.get(x - 1)?;
                    *c.get_mut(x)? = self.regular::<false>(q, ra, rb, rc)?;
                }
                x += 1;
                continue;
            }
            let run = self.run_length(columns + 1 - x, run_index)?;
            for c in current.iter_mut() {
                let ra = *c.get(x - 1)?;
                c.get_mut(x..x + run)?.fill(ra);
            }
            x += run;
            if x <= columns {
                for (a, c) in above.iter().zip(current.iter_mut()) {
                    let (ra, rb) = (*c.get(x - 1)?, *a.get(x)?);
                    let error = self.run_error(0, *run_index)?;
                    *c.get_mut(x)? = self.p.reconstruct(rb, if ra > rb { -error } else { error });
                }
                *run_index = run_index.saturating_sub(1);
                x += 1;
            }
        }
        Some(())
    }

    /// A sample in regular mode (T.87 A.4 to A.6).
    #[inline]
    fn regular<const PLAIN: bool>(&mut self, q: i32, ra: i32, rb: i32, rc: i32) -> Option<i32> {
        let p = self.p;
        let sign = q >> 31 | 1;
        let context = self.contexts.get_mut(q.unsigned_abs() as usize)?;
        let prediction = (predict(ra, rb, rc) + sign * context.c).clamp(0, p.max_value);
        let k = context.order();
        let mapped = golomb(&mut self.reader, k, p.limit, p.range_bits)?;
        let error = (mapped >> 1 ^ -(mapped & 1)) ^ context.turned(k, if PLAIN { 0 } else { p.near });
        if PLAIN {
            context.update(error, 1, p.reset);
            return Some((prediction + sign * error) & p.max_value);
        }
        context.update(error, p.step, p.reset);
        Some(p.reconstruct(prediction, sign * error))
    }

    /// Length of a run (T.87 A.7.1).
    fn run_length(&mut self, room: usize, index: &mut usize) -> Option<usize> {
        let mut run = 0;
        while self.reader.take(1) == 1 {
            let segment = 1usize << order(*index);
            if segment <= room - run {
                *index = (*index + 1).min(31);
            }
            run = (run + segment).min(room);
            if run == room {
                return Some(run);
            }
        }
        run += self.reader.take(order(*index)) as usize;
        (run < room).then_some(run)
    }

    /// The sample that ends a run (T.87 A.7.2).
    fn interruption(&mut self, ra: i32, rb: i32, index: usize) -> Option<i32> {
        let same = (ra - rb).abs() <= self.p.near;
        let error = self.run_error(usize::from(same), index)?;
        Some(match same {
            true => self.p.reconstruct(ra, error),
            false => self.p.reconstruct(rb, if ra > rb { -error } else { error }),
        })
    }

    fn run_error(&mut self, kind: usize, index: usize) -> Option<i32> {
        let context = self.runs.get_mut(kind)?;
        let k = context.order();
        let limit = self.p.limit.checked_sub(order(index) + 1)?;
        let mapped = golomb(&mut self.reader, k, limit, self.p.range_bits)?;
        let error = context.unmap(mapped, k);
        context.update(error, mapped, self.p.reset);
        (error.abs() <= self.p.range).then_some(error)
    }
}

#[inline]
fn golomb(reader: &mut BitReader<'_>, k: u32, limit: u32, range_bits: u32) -> Option<i32> {
    let most = limit.checked_sub(range_bits + 1)?;
    if k > ORDER_MAX {
        return None;
    }
    reader.golomb(k, most, range_bits).map(u32::cast_signed)
}
