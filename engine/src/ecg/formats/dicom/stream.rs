//! DICOM waveforms read piece by piece: the attributes are there, the samples stand somewhere else.

use super::channel::{Channel, Encoding};
use super::{FORMAT, Group, WAVEFORM_SEQUENCE, groups, rhythm_group};
use crate::dicom::{Attributes, Lookup};
use crate::ecg::error::EcgError;
use crate::ecg::formats::stream::{CHUNK_BYTES, Chunks, Ranges, Stream, read};
use crate::ecg::holter::source::Layout;
use crate::ecg::record::unique_names;
use std::ops::Range;

/// Where the Waveform Data of a multiplex group (counted from 0) stand in the bytes, in little-endian order; `None`
/// where they cannot be read in place.
pub type Place<'a> = dyn Fn(usize) -> Option<Range<u64>> + 'a;

/// What the longest original group says of its length, before any sample is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length {
    /// Seconds.
    pub seconds: f64,
    /// Channels.
    pub channels: u64,
}

/// How long the recording is; `None` without a waveform.
///
/// # Errors
/// As the reader of the whole object.
pub fn length(lookup: &Lookup<'_>) -> Result<Option<Length>, EcgError> {
    let groups = groups(&Attributes::root(lookup))?;
    Ok(rhythm_group(&groups).map(|group| Length {
        seconds: group.samples as f64 / group.rate_hz,
        channels: group.channels,
    }))
}

/// Opens the longest original group; `None` where its samples are not at hand in place.
///
/// # Errors
/// As the reader of the whole object.
pub fn open(
    lookup: &Lookup<'_>,
    place: &Place<'_>,
    ranges: Box<dyn Ranges>,
) -> Result<Option<Stream>, EcgError> {
    let root = Attributes::root(lookup);
    let groups = groups(&root)?;
    let Some(main) = rhythm_group(&groups) else {
        return Err(EcgError::NoSignal { format: FORMAT });
    };
    let number = (0..root.item_count(WAVEFORM_SEQUENCE))
        .find(|index| groups.get(*index).is_some_and(|group| std::ptr::eq(group, main)));
    let Some(data) = number.and_then(place) else {
        return Ok(None);
    };
    let encoding = Encoding::of(&main.attributes)?;
    let stride = main.channels as usize;
    let frame = (stride * encoding.bytes) as u64;
    let stored = data.end.min(ranges.size()).saturating_sub(data.start) / frame.max(1);
    let total = stored.min(main.samples);
    let mut warnings = Vec::new();
    if total < main.samples {
        if total * 50 < main.samples || total < 2 {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the waveform data".into(),
                wanted: main.samples * frame,
                got: stored * frame,
            });
        }
        let all = main.samples;
        warnings.push(format!(
            "dicom: the waveform data is cut: {total} of {all} samples are there; send it again"
        ));
    }
    let others = groups
        .iter()
        .filter(|group| group.original && !std::ptr::eq(*group, main));
    for group in others {
        warnings.push(format!(
            "dicom: a group of {} channels was left out: one group is read in pieces",
            group.channels
        ));
    }
    let tracks = tracks_of(main, &encoding, &mut warnings);
    if tracks.is_empty() || total == 0 {
        return Err(EcgError::NoSignal { format: FORMAT });
    }
    let shifts: Vec<i64> = tracks.iter().map(|t| t.channel.shift(main.rate_hz)).collect();
    let layout = Layout {
        format: FORMAT,
        leads: unique_names(tracks.iter().map(|t| t.channel.name.clone()).collect()),
        sampling_rate_hz: main.rate_hz,
        samples: Some(total),
        acquired_at: root.text(0x0008_002A).or_else(|| root.text(0x0008_0022)),
        warnings,
    };
    let mut frames = Frames {
        ranges,
        start: data.start,
        encoding,
        stride,
        total,
        done: 0,
        tracks,
    };
    frames.find_missing_signs()?;
    Ok(Some(Stream::new(layout, Box::new(frames), total, &shifts)))
}

/// The channels of a group that are voltages.
fn tracks_of(group: &Group<'_, '_>, encoding: &Encoding, warnings: &mut Vec<String>) -> Vec<Track> {
    let mut tracks = Vec::new();
    for index in 0..group.channels as usize {
        let definition = group.attributes.item(0x003A_0200, index);
        let channel = Channel::of(definition.as_ref(), index, warnings);
        if channel.unit_uv.is_none() {
            let name = &channel.name;
            warnings.push(format!("dicom: channel {name} is not a voltage and was left out"));
            continue;
        }
        tracks.push(Track {
            index,
            channel,
            shortest: encoding.shortest_gap(group.rate_hz),
            held: 0,
            gap: false,
            sign: None,
        });
    }
    tracks
}

/// One channel that is read.
struct Track {
    index: usize,
    channel: Channel,
    /// Length from which a run of the padding value is a gap.
    shortest: usize,
    /// Padding values at the end of what was read, not yet known to be a gap.
    held: usize,
    /// Whether what was read ends within a gap.
    gap: bool,
    /// The bit that stands for the sign where it was not extended.
    sign: Option<i64>,
}

struct Frames {
    ranges: Box<dyn Ranges>,
    start: u64,
    encoding: Encoding,
    stride: usize,
    total: u64,
    done: u64,
    tracks: Vec<Track>,
}

impl Frames {
    fn frame_bytes(&self) -> usize {
        self.stride * self.encoding.bytes
    }

    /// About `bytes_max` bytes of whole frames from frame `from` on, and how many frames.
    fn bytes(&self, from: u64, bytes_max: usize) -> Result<(Vec<u8>, usize), EcgError> {
        let each = (bytes_max / self.frame_bytes().max(1)).max(1) as u64;
        let count = each.min(self.total - from) as usize;
        if count == 0 {
            return Ok((Vec::new(), 0));
        }
        let at = self.start + from * self.frame_bytes() as u64;
        Ok((
            read(FORMAT, &*self.ranges, at, count * self.frame_bytes())?,
            count,
        ))
    }

    /// Channels whose samples hold fewer bits than are stored are read once before: whether their sign was extended
    /// shows in all of them only.
    fn find_missing_signs(&mut self) -> Result<(), EcgError> {
        let mut doubtful: Vec<(usize, i64, bool)> = Vec::new();
        for (place, track) in self.tracks.iter().enumerate() {
            if let Some(bit) = track.channel.doubtful_sign(&self.encoding) {
                doubtful.push((place, bit, false));
            }
        }
        let mut from = 0;
        while !doubtful.is_empty() && from < self.total {
            let (data, count) = self.bytes(from, CHUNK_BYTES)?;
            let (encoding, stride, tracks) = (&self.encoding, self.stride, &self.tracks);
            doubtful.retain_mut(|(place, bit, used)| {
                (0..count).all(|frame| {
                    let at = (frame * stride + tracks[*place].index) * encoding.bytes;
                    let value = encoding.value(&data, at).filter(|v| !encoding.is_padding(*v));
                    *used |= value.is_some_and(|v| v & *bit != 0);
                    value.is_none_or(|v| (0..2 * *bit).contains(&v))
                })
            });
            from += count as u64;
        }
        for (place, bit, used) in doubtful {
            self.tracks[place].sign = used.then_some(bit);
        }
        Ok(())
    }
}

impl Track {
    /// Appends one stored value; runs of the padding value wait until they are long enough to be a gap. The other
    /// leads wait with them, so a lead that is off for a day must not be held for a day.
    fn put(&mut self, value: Option<i64>, encoding: &Encoding, lead: &mut Vec<f32>) {
        match value {
            Some(value) if encoding.is_padding(value) => {
                self.held += 1;
                if self.gap || self.held >= self.shortest {
                    lead.resize(lead.len() + self.held, f32::NAN);
                    (self.held, self.gap) = (0, true);
                }
            }
            other => {
                self.let_go(encoding, lead);
                self.gap = false;
                lead.push(other.map_or(f32::NAN, |value| self.channel.microvolts(value, self.sign)));
            }
        }
    }

    fn let_go(&mut self, encoding: &Encoding, lead: &mut Vec<f32>) {
        if self.held == 0 {
            return;
        }
        let value = self
            .channel
            .microvolts(encoding.padding().unwrap_or(0), self.sign);
        lead.resize(lead.len() + self.held, value);
        self.held = 0;
    }
}

impl Chunks for Frames {
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
        let (data, count) = self.bytes(self.done, bytes_max)?;
        if count == 0 {
            let held = self.tracks.iter().any(|track| track.held > 0);
            for (track, lead) in self.tracks.iter_mut().zip(leads) {
                track.let_go(&self.encoding, lead);
            }
            return Ok(held);
        }
        for (track, lead) in self.tracks.iter_mut().zip(leads) {
            for frame in 0..count {
                let at = (frame * self.stride + track.index) * self.encoding.bytes;
                track.put(self.encoding.value(&data, at), &self.encoding, lead);
            }
        }
        self.done += count as u64;
        Ok(true)
    }
}
