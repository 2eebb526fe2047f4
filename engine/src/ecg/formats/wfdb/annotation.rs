//! WFDB annotation files (MIT format, annot(5)): beat labels and rhythm marks.

use crate::ecg::beats::BeatClass;
use crate::ecg::error::EcgError;

/// Most annotations read from one file.
const ANNOTATIONS_MAX: usize = 10_000_000;

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WfdbAnnotation {
    /// Sample that it marks.
    pub sample: u64,
    /// Type code of ecgcodes.h (1 = normal beat, 5 = premature ventricular contraction, 28 = rhythm change).
    pub code: u8,
    /// Text attached to it.
    pub text: String,
}

impl WfdbAnnotation {
    /// The EC57 class of a beat annotation, `None` for marks that are no beat.
    #[must_use]
    pub fn beat_class(&self) -> Option<BeatClass> {
        match self.code {
            1..=3 | 11 | 34 | 35 | 25 => Some(BeatClass::Normal),
            4 | 7 | 8 | 9 => Some(BeatClass::Supraventricular),
            5 | 10 | 41 => Some(BeatClass::Ventricular),
            6 => Some(BeatClass::Fusion),
            12 | 13 | 38 | 30 => Some(BeatClass::Unclassifiable),
            _ => None,
        }
    }
}

/// Reads an annotation file.
///
/// # Errors
/// [`EcgError::Cut`] when it ends inside an annotation.
pub fn read(bytes: &[u8]) -> Result<Vec<WfdbAnnotation>, EcgError> {
    let mut out: Vec<WfdbAnnotation> = Vec::new();
    let mut sample = 0_i64;
    let mut at = 0_usize;
    let cut = |at: usize| EcgError::Cut {
        format: "wfdb",
        what: "the annotation file".into(),
        wanted: at as u64 + 2,
        got: bytes.len() as u64,
    };
    let word = |at: usize| match (bytes.get(at), bytes.get(at + 1)) {
        (Some(low), Some(high)) => Ok(u16::from(*low) | u16::from(*high) << 8),
        _ => Err(cut(at)),
    };
    while at < bytes.len() && out.len() < ANNOTATIONS_MAX {
        let head = word(at)?;
        at += 2;
        let (code, interval) = ((head >> 10) as u8, i64::from(head & 0x3ff));
        match code {
            0 if interval == 0 => break,
            59 => {
                // SKIP: a 32-bit interval, high word first, for the annotation that follows.
                let long = u32::from(word(at)?) << 16 | u32::from(word(at + 2)?);
                sample = sample.saturating_add(i64::from(long as i32));
                at += 4;
            }
            60..=62 => {}
            63 => {
                let length = interval as usize;
                let text = bytes.get(at..at + length).ok_or_else(|| cut(at + length))?;
                if let Some(last) = out.last_mut() {
                    last.text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
                }
                at += length + length % 2;
            }
            _ => {
                sample = sample.saturating_add(interval);
                out.push(WfdbAnnotation {
                    sample: sample.max(0) as u64,
                    code,
                    text: String::new(),
                });
            }
        }
    }
    Ok(out)
}
