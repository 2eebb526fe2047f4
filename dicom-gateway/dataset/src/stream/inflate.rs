//! Inflation of a deflated data set, with a bounded result.

use flate2::{Decompress, FlushDecompress, Status};

use crate::DatasetError;

const CHUNK_BYTES: usize = 64 << 10;
/// A data set of zeros deflates a thousandfold; below this size that is no attack.
const RATIO_FREE_BYTES: u64 = 256 << 20;
const RATIO_MAX: u64 = 200;

pub(super) struct Inflater {
    state: Option<Decompress>,
    /// The first byte, held back until the second tells raw deflate from a zlib header.
    first: Option<u8>,
    out: Box<[u8]>,
    inflated: u64,
    inflated_max: u64,
    consumed: u64,
    ended: bool,
}

impl Inflater {
    pub(super) fn new(inflated_max: u64) -> Self {
        Self {
            state: None,
            first: None,
            out: vec![0; CHUNK_BYTES].into_boxed_slice(),
            inflated: 0,
            inflated_max,
            consumed: 0,
            ended: false,
        }
    }

    /// Inflates `input` into `sink`; true when the stream turns out to have a zlib header.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), DatasetError>,
    ) -> Result<bool, DatasetError> {
        let mut zlib = false;
        if self.state.is_none() {
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(false);
            };
            let Some(first) = self.first else {
                self.first = Some(byte);
                return self.feed(rest, sink);
            };
            zlib = first == 0x78 && u16::from_be_bytes([first, byte]) % 31 == 0;
            self.state = Some(Decompress::new(zlib));
            self.run(&[first], sink)?;
        }
        while !input.is_empty() && !self.ended {
            let used = self.run(input, sink)?;
            input = input.get(used..).unwrap_or_default();
        }
        // PS3.5 A.5: a null byte may follow to make the length even
        Ok(zlib)
    }

    /// One pass over `input` until it is used up or the stream ends; bytes used.
    fn run(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), DatasetError>,
    ) -> Result<usize, DatasetError> {
        let Some(state) = &mut self.state else {
            return Ok(input.len());
        };
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (in_before, out_before) = (state.total_in(), state.total_out());
            let status = state
                .decompress(rest, &mut self.out, FlushDecompress::None)
                .map_err(|error| DatasetError::Inflate {
                    offset: self.consumed,
                    reason: error.to_string(),
                })?;
            let took = state.total_in() - in_before;
            let gave = state.total_out() - out_before;
            used += usize::try_from(took).unwrap_or(usize::MAX);
            self.consumed += took;
            self.inflated += gave;
            let by_ratio = self.consumed.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES);
            if self.inflated > self.inflated_max.min(by_ratio) {
                return Err(DatasetError::TooLarge {
                    what: "the inflated data set",
                    max: self.inflated_max.min(by_ratio),
                });
            }
            let gave = usize::try_from(gave).unwrap_or(usize::MAX);
            sink(self.out.get(..gave).unwrap_or_default())?;
            if status == Status::StreamEnd {
                self.ended = true;
                return Ok(used);
            }
            if used >= input.len() && gave < self.out.len() || took == 0 && gave == 0 {
                return Ok(used.max(input.len()));
            }
        }
    }

    pub(super) fn finish(&self, received: u64) -> Result<(), DatasetError> {
        if self.ended || received == 0 {
            return Ok(());
        }
        Err(DatasetError::Truncated {
            offset: received,
            inside: "the deflated data set".into(),
        })
    }
}
