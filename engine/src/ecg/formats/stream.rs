//! Recordings read piece by piece: what all formats that can be read so have in common.
//!
//! A format gives [`Chunks`] of its leads out of byte ranges; [`Stream`] hands them out in pieces of any size, moves
//! channels with a skew back in step, and ends all leads together.

use crate::ecg::error::EcgError;
use crate::ecg::holter::source::{Layout, Source};

/// Bytes that stand somewhere else: a file, an object in a store.
pub trait Ranges: Send {
    /// How many there are.
    fn size(&self) -> u64;

    /// The bytes from `at` on, `length` of them or as many as there are.
    ///
    /// # Errors
    /// What the disk or the store says, as a sentence.
    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, String>;
}

impl Ranges for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, String> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let to = from.saturating_add(length).min(self.len());
        Ok(self.get(from..to).unwrap_or_default().to_vec())
    }
}

/// Bytes read at once where nothing else is asked for (see [`Stream::in_chunks_of`]).
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// The leads of a format, one chunk after the other.
pub(crate) trait Chunks: Send {
    /// Appends the next chunk, of about `bytes_max` bytes of the file, to the leads; `false` behind the last.
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError>;

    /// What was found out while reading.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A recording that is read piece by piece.
pub struct Stream {
    layout: Layout,
    chunks: Box<dyn Chunks>,
    chunk_bytes: usize,
    pending: Vec<Vec<f32>>,
    /// Values handed out of what is pending.
    used: usize,
    /// First values to leave out of each lead: it was written so much too late.
    late: Vec<usize>,
    /// Samples of each lead in all, and those handed out.
    total: u64,
    given: u64,
    ended: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("layout", &self.layout)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// `shifts` move each lead by so many samples: back where it is negative.
    pub(crate) fn new(layout: Layout, chunks: Box<dyn Chunks>, total: u64, shifts: &[i64]) -> Self {
        let samples = |n: i64| usize::try_from(n.min(total as i64)).unwrap_or(0);
        Self {
            pending: shifts
                .iter()
                .map(|shift| vec![f32::NAN; samples(*shift)])
                .collect(),
            late: shifts
                .iter()
                .map(|shift| samples(shift.saturating_neg()))
                .collect(),
            layout,
            chunks,
            chunk_bytes: CHUNK_BYTES,
            used: 0,
            total,
            given: 0,
            ended: false,
        }
    }

    /// Reads about so many bytes of the file at once, at least one frame of samples. More take memory, fewer take more
    /// requests; what is read does not depend on it.
    #[must_use]
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// Values that every lead has pending.
    fn ready(&self) -> usize {
        let shortest = self.pending.iter().map(Vec::len).min().unwrap_or(0);
        shortest.saturating_sub(self.used)
    }

    fn fill(&mut self) -> Result<(), EcgError> {
        while !self.ended && self.ready() == 0 {
            for lead in &mut self.pending {
                lead.drain(..self.used.min(lead.len()));
            }
            self.used = 0;
            self.ended = !self.chunks.next(self.chunk_bytes, &mut self.pending)?;
            for (lead, late) in self.pending.iter_mut().zip(&mut self.late) {
                let cut = (*late).min(lead.len());
                lead.drain(..cut);
                *late -= cut;
            }
        }
        Ok(())
    }
}

impl Source for Stream {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&mut self, frames: usize, leads: &mut [Vec<f32>]) -> Result<usize, EcgError> {
        let left = usize::try_from(self.total - self.given).unwrap_or(usize::MAX);
        let frames = frames.min(left);
        if frames == 0 {
            return Ok(0);
        }
        self.fill()?;
        let ready = self.ready();
        let count = match (ready, self.ended) {
            // Behind the end of its file a lead has no sample.
            (0, true) => {
                let longest = self.pending.iter().map(Vec::len).max().unwrap_or(0);
                frames.min(longest.saturating_sub(self.used).max(1))
            }
            _ => frames.min(ready),
        };
        for (out, lead) in leads.iter_mut().zip(&self.pending) {
            let from = self.used.min(lead.len());
            let part = lead.get(from..(from + count).min(lead.len())).unwrap_or_default();
            // As in a record: what is too large for a number is no signal.
            let finite = |value: &f32| if value.is_infinite() { f32::NAN } else { *value };
            out.extend(part.iter().map(finite));
            out.resize(out.len() + count - part.len(), f32::NAN);
        }
        self.used += count;
        self.given += count as u64;
        Ok(count)
    }

    fn late_warnings(&self) -> Vec<String> {
        self.chunks.warnings()
    }
}

pub(crate) fn read(
    format: &'static str,
    ranges: &dyn Ranges,
    at: u64,
    length: usize,
) -> Result<Vec<u8>, EcgError> {
    ranges
        .read(at, length)
        .map_err(|why| EcgError::Unreadable { format, why })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ecg::record::Record;

    /// A stream gives what the whole reader gives, whatever is asked of it at once.
    pub(crate) fn compare(open: impl Fn() -> Stream, whole: &Record) {
        let chunks = [1, 50, 4_001, CHUNK_BYTES];
        for (frames, chunk) in [1, 7, 1_000, usize::MAX].into_iter().zip(chunks) {
            let mut stream = open().in_chunks_of(chunk);
            let layout = stream.layout().clone();
            assert_eq!(layout.leads, whole.lead_names());
            assert_eq!(layout.sampling_rate_hz, whole.sampling_rate_hz);
            let mut leads = vec![Vec::new(); layout.leads.len()];
            loop {
                let before = leads[0].len();
                let got = stream.read(frames, &mut leads).unwrap();
                assert!(leads.iter().all(|lead| lead.len() == before + got));
                if got == 0 {
                    break;
                }
            }
            for (got, expect) in leads.iter().zip(&whole.leads) {
                assert_eq!(got.len(), expect.samples_uv.len(), "{}", expect.name);
                let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
                assert!(
                    got.iter().zip(&expect.samples_uv).all(same),
                    "{} {frames}",
                    expect.name
                );
            }
        }
    }

    struct Uneven(usize);

    impl Chunks for Uneven {
        fn next(&mut self, _: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
            if self.0 == 3 {
                return Ok(false);
            }
            for lead in leads {
                lead.extend([self.0 as f32 * 2.0, self.0 as f32 * 2.0 + 1.0]);
            }
            self.0 += 1;
            Ok(true)
        }
    }

    #[test]
    fn leads_are_moved_and_end_together() {
        let layout = Layout {
            format: "npy",
            leads: ["I", "II", "V1"].map(crate::ecg::LeadName::new).to_vec(),
            sampling_rate_hz: 100.0,
            samples: Some(6),
            acquired_at: None,
            warnings: Vec::new(),
        };
        let mut stream = Stream::new(layout, Box::new(Uneven(0)), 6, &[0, 2, -3]);
        let mut leads = vec![Vec::new(); 3];
        while stream.read(4, &mut leads).unwrap() > 0 {}
        assert_eq!(leads[0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(leads[1][..2].iter().all(|v| v.is_nan()));
        assert_eq!(leads[1][2..], [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(leads[2][..3], [3.0, 4.0, 5.0]);
        assert!(leads[2][3..].iter().all(|v| v.is_nan()) && leads[2].len() == 6);
    }
}
