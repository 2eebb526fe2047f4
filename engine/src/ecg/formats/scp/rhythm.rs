//! Lead definition, reference beats and the coded samples of sections 3 to 6.

use super::super::lead_codes::name_of_code;
use super::super::raw::{u16_le, u32_le};
use super::FORMAT;
use super::huffman::Tables;
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, StoredBeat};

/// Bytes of one lead in section 3.
const LEAD_BYTES: usize = 9;
/// Bytes of one beat's subtraction zone, and of its protected area, in section 4.
const ZONE_BYTES: usize = 14;
const AREA_BYTES: usize = 8;
/// Largest ratio of the rates of reference beat and thinned rhythm; the standard has 4.
const THINNING_MAX: u32 = 8;

/// One lead of section 3: first and last sample number, from 1.
pub(super) struct Span {
    start: u32,
    end: u32,
    code: u8,
}

/// Section 3.
pub(super) struct Layout {
    pub(super) leads: Vec<Span>,
    /// Whether the reference beat was taken off the rhythm.
    subtracted: bool,
}

impl Layout {
    pub(super) fn parse(body: &[u8]) -> Result<Self, EcgError> {
        let [count, flags, rest @ ..] = body else {
            return Err(EcgError::NoSignal { format: FORMAT });
        };
        let parts = rest.as_chunks::<LEAD_BYTES>().0;
        let count = usize::from(*count);
        if count == 0 {
            return Err(EcgError::NoSignal { format: FORMAT });
        }
        if parts.len() < count || count > record::LEADS_MAX {
            let value = count.to_string();
            return Err(EcgError::field(
                FORMAT,
                "number of leads",
                value,
                "as many as section 3 lists, at most 64",
            ));
        }
        let mut leads = Vec::with_capacity(count);
        for part in &parts[..count] {
            let (start, end) = (u32_le(part, 0).unwrap_or(0), u32_le(part, 4).unwrap_or(0));
            if end < start || end - start >= i32::MAX as u32 {
                let value = format!("{start} to {end}");
                return Err(EcgError::field(
                    FORMAT,
                    "samples of a lead",
                    value,
                    "a last sample behind the first",
                ));
            }
            leads.push(Span {
                start,
                end,
                code: part[8],
            });
        }
        Ok(Self {
            leads,
            subtracted: flags & 1 != 0,
        })
    }

    /// First and last sample number of any lead.
    fn whole(&self) -> (u32, u32) {
        let first = self.leads.iter().map(|span| span.start).min();
        let last = self.leads.iter().map(|span| span.end).max();
        (first.unwrap_or(1), last.unwrap_or(1))
    }
}

/// One beat of section 4; sample numbers from 1.
struct Zone {
    kind: u16,
    start: u32,
    fiducial: u32,
    end: u32,
}

/// Section 4.
#[derive(Default)]
pub(super) struct Beats {
    length_ms: u16,
    /// Number of the fiducial sample in the reference beat, from 1.
    fiducial: u16,
    zones: Vec<Zone>,
    /// Areas stored at the full rate, first and last sample number.
    protected: Vec<(u32, u32)>,
}

impl Beats {
    pub(super) fn parse(body: &[u8]) -> Result<Self, EcgError> {
        let field = |at: usize| u16_le(body, at).unwrap_or(0);
        let count = usize::from(field(4));
        let rest = body.get(6..).unwrap_or_default();
        let Some(zones) = rest.get(..count * ZONE_BYTES) else {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the beats of section 4".into(),
                wanted: (6 + count * ZONE_BYTES) as u64,
                got: body.len() as u64,
            });
        };
        let zone = |part: &[u8; ZONE_BYTES]| Zone {
            kind: u16_le(part, 0).unwrap_or(0),
            start: u32_le(part, 2).unwrap_or(0),
            fiducial: u32_le(part, 6).unwrap_or(0),
            end: u32_le(part, 10).unwrap_or(0),
        };
        let areas = rest[zones.len()..].as_chunks::<AREA_BYTES>().0;
        let area = |part: &[u8; AREA_BYTES]| (u32_le(part, 0).unwrap_or(0), u32_le(part, 4).unwrap_or(0));
        let mut protected: Vec<_> = areas.iter().take(count).map(area).collect();
        protected.retain(|(from, to)| *from > 0 && to >= from);
        protected.sort_unstable();
        Ok(Self {
            length_ms: field(0),
            fiducial: field(2),
            zones: zones.as_chunks::<ZONE_BYTES>().0.iter().map(zone).collect(),
            protected,
        })
    }
}

/// Section 5 or 6.
pub(super) struct Coded<'a> {
    /// Nanovolts of one step.
    step_nv: u16,
    interval_us: u16,
    /// How often differences were taken.
    difference: u8,
    bimodal: bool,
    parts: Vec<&'a [u8]>,
}

impl<'a> Coded<'a> {
    pub(super) fn parse(body: &'a [u8], leads: usize, number: usize) -> Result<Self, EcgError> {
        let field = |at: usize| u16_le(body, at).unwrap_or(0);
        let bad = |name: &str, value: u16, expected| {
            EcgError::field(
                FORMAT,
                format!("{name} of section {number}"),
                value.to_string(),
                expected,
            )
        };
        let (step_nv, interval_us) = (field(0), field(2));
        let [.., difference, bimodal] = *body.first_chunk::<6>().unwrap_or(&[0; 6]);
        if step_nv == 0 {
            return Err(bad("amplitude step", step_nv, "nanovolts above 0"));
        }
        if interval_us == 0 {
            return Err(bad("sampling interval", interval_us, "microseconds above 0"));
        }
        if difference > 2 {
            return Err(bad("difference coding", u16::from(difference), "0, 1 or 2"));
        }
        let mut at = 6 + leads * 2;
        let mut parts = Vec::with_capacity(leads);
        for lead in 0..leads {
            let length = usize::from(field(6 + lead * 2));
            let Some(part) = body.get(at..at + length) else {
                return Err(EcgError::Cut {
                    format: FORMAT,
                    what: format!("lead {} in section {number}", lead + 1),
                    wanted: (at + length) as u64,
                    got: body.len() as u64,
                });
            };
            parts.push(part);
            at += length;
        }
        Ok(Self {
            step_nv,
            interval_us,
            difference,
            bimodal: bimodal == 1,
            parts,
        })
    }

    fn rate_hz(&self) -> f64 {
        1e6 / f64::from(self.interval_us)
    }

    /// Decodes one lead and takes the differences back.
    fn decode(&self, tables: &Tables, lead: usize, wanted: usize) -> Vec<i32> {
        let part = self.parts.get(lead).copied().unwrap_or_default();
        let mut values = tables.decode(part, wanted);
        for at in usize::from(self.difference)..values.len() {
            values[at] = match self.difference {
                0 => break,
                1 => values[at].wrapping_add(values[at - 1]),
                _ => values[at]
                    .wrapping_add(values[at - 1].wrapping_mul(2))
                    .wrapping_sub(values[at - 2]),
            };
        }
        values
    }
}

/// The sections that together make the signal.
pub(super) struct Parts<'p, 'a> {
    pub(super) layout: &'p Layout,
    pub(super) tables: &'p Tables,
    pub(super) beats: &'p Beats,
    pub(super) reference: Option<&'p Coded<'a>>,
    pub(super) rhythm: &'p Coded<'a>,
}

impl Parts<'_, '_> {
    /// How many samples of the full rate one stored rhythm sample stands for outside protected areas.
    fn thinning(&self) -> u32 {
        let uses_beat = self.rhythm.bimodal || self.layout.subtracted;
        let Some(reference) = self.reference.filter(|_| uses_beat) else {
            return 1;
        };
        let (slow, full) = (
            u32::from(self.rhythm.interval_us),
            u32::from(reference.interval_us),
        );
        let ratio = slow / full;
        if slow.is_multiple_of(full) && (1..=THINNING_MAX).contains(&ratio) {
            ratio
        } else {
            1
        }
    }

    fn beat_samples(&self, reference: &Coded<'_>) -> usize {
        usize::from(self.beats.length_ms) * 1_000 / usize::from(reference.interval_us)
    }
}

/// The leads and their rate.
pub(super) fn leads(parts: &Parts<'_, '_>, warnings: &mut Vec<String>) -> Result<(Vec<Lead>, f64), EcgError> {
    let (layout, rhythm) = (parts.layout, parts.rhythm);
    let thinning = parts.thinning();
    let rate_hz = rhythm.rate_hz() * f64::from(thinning);
    record::check_sampling_rate(FORMAT, rate_hz)?;
    let (first, last) = layout.whole();
    let length = (last - first) as usize + 1;
    record::check_size(FORMAT, layout.leads.len() as u64, length as u64)?;
    // A sample takes at least one bit, and a thinned one stands for a few.
    let bits: usize = rhythm.parts.iter().map(|part| part.len() * 8).sum();
    let of_a_lead = bits as u64 * u64::from(thinning) / layout.leads.len() as u64;
    record::check_gaps(FORMAT, of_a_lead, length as u64)?;
    let beat = parts.reference.filter(|_| layout.subtracted);
    let step_nv = beat.map_or(rhythm.step_nv, |b| gcd(b.step_nv, rhythm.step_nv));
    let mut out = Vec::with_capacity(layout.leads.len());
    for (index, span) in layout.leads.iter().enumerate() {
        let name = lead_name(span.code, index);
        let plan = Plan::new(span, &parts.beats.protected, thinning);
        let stored = rhythm.decode(parts.tables, index, plan.stored());
        if stored.is_empty() {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: format!("the samples of lead {name}"),
                wanted: plan.stored() as u64,
                got: 0,
            });
        }
        if stored.len() < plan.stored() {
            warnings.push(format!(
                "scp: lead {name} ends after {} of {} stored samples; the file is cut or damaged, send it again",
                stored.len(),
                plan.stored()
            ));
        }
        let mut nanovolts = plan.spread(&stored, f64::from(rhythm.step_nv));
        if let Some(beat) = beat {
            let shape = beat.decode(parts.tables, index, parts.beat_samples(beat));
            add_beats(&mut nanovolts, span, parts.beats, &shape, f64::from(beat.step_nv));
        }
        let mut samples_uv = vec![f32::NAN; (span.start - first) as usize];
        samples_uv.extend(nanovolts.iter().map(|v| (v / 1e3) as f32));
        samples_uv.resize(length, f32::NAN);
        out.push(Lead {
            name,
            samples_uv,
            resolution_uv: f64::from(step_nv) / 1e3,
            derived: false,
        });
    }
    Ok((out, rate_hz))
}

/// The reference beat by itself.
pub(super) fn stored_beat(parts: &Parts<'_, '_>) -> Option<StoredBeat> {
    let reference = parts.reference?;
    let wanted = parts.beat_samples(reference);
    let rate_hz = reference.rate_hz();
    record::check_sampling_rate(FORMAT, rate_hz).ok()?;
    let mut leads = Vec::new();
    for (index, span) in parts.layout.leads.iter().enumerate() {
        let values = reference.decode(parts.tables, index, wanted);
        let step_uv = f64::from(reference.step_nv) / 1e3;
        leads.push(Lead {
            name: lead_name(span.code, index),
            samples_uv: values.iter().map(|v| (f64::from(*v) * step_uv) as f32).collect(),
            resolution_uv: step_uv,
            derived: false,
        });
    }
    let whole = wanted > 0 && leads.iter().all(|lead| lead.samples_uv.len() == wanted);
    whole.then(|| StoredBeat {
        leads,
        sampling_rate_hz: rate_hz,
        fiducial: usize::from(parts.beats.fiducial).checked_sub(1),
    })
}

fn lead_name(code: u8, index: usize) -> LeadName {
    match name_of_code(u16::from(code)) {
        Some(name) => LeadName::new(name),
        None => LeadName::new(&format!("channel {}", index + 1)),
    }
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Which stretches of a lead are stored whole and which thinned, in order and without overlap.
struct Plan {
    /// Samples, and whether they are stored one for `thinning`.
    stretches: Vec<(usize, bool)>,
    thinning: usize,
}

impl Plan {
    fn new(span: &Span, protected: &[(u32, u32)], thinning: u32) -> Self {
        let mut stretches = Vec::new();
        let mut at = span.start;
        if thinning > 1 {
            for (from, to) in protected {
                let (from, to) = ((*from).max(at), (*to).min(span.end));
                if from > to {
                    continue;
                }
                stretches.push(((from - at) as usize, true));
                stretches.push(((to - from) as usize + 1, false));
                at = to.saturating_add(1);
            }
        }
        if at <= span.end {
            stretches.push(((span.end - at) as usize + 1, thinning > 1));
        }
        Self {
            stretches,
            thinning: thinning as usize,
        }
    }

    /// Samples that are stored.
    fn stored(&self) -> usize {
        let one = |(samples, thinned): &(usize, bool)| {
            if *thinned {
                samples.div_ceil(self.thinning)
            } else {
                *samples
            }
        };
        self.stretches.iter().map(one).sum()
    }

    /// Samples at the full rate. A thinned value stands at the middle of its group; between the middles the line is
    /// straight, and before the first and behind the last it is level (EN 1064 annex C).
    fn spread(&self, stored: &[i32], step: f64) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.stretches.iter().map(|s| s.0).sum());
        let mut at = 0;
        for (samples, thinned) in &self.stretches {
            let take = if *thinned {
                samples.div_ceil(self.thinning)
            } else {
                *samples
            };
            let part = stored.get(at..stored.len().min(at + take)).unwrap_or_default();
            at += take;
            if *thinned {
                self.line(part, *samples, step, &mut out);
            } else {
                out.extend(part.iter().map(|v| f64::from(*v) * step));
                out.extend(std::iter::repeat_n(f64::NAN, samples - part.len()));
            }
        }
        out
    }

    fn line(&self, part: &[i32], samples: usize, step: f64, out: &mut Vec<f64>) {
        let half = self.thinning / 2;
        for place in 0..samples {
            let before = place.saturating_sub(half) / self.thinning;
            if place / self.thinning >= part.len() {
                out.push(f64::NAN);
                continue;
            }
            let from = f64::from(part[before.min(part.len() - 1)]);
            let to = f64::from(part[(before + 1).min(part.len() - 1)]);
            let share = if place < half {
                0.0
            } else {
                ((place - half) % self.thinning) as f64 / self.thinning as f64
            };
            out.push((from + (to - from) * share) * step);
        }
    }
}

/// Adds the reference beat where it was taken off (beats of type 0). Zones do not overlap (section 5.7): each sample gets
/// the beat once at most.
fn add_beats(nanovolts: &mut [f64], span: &Span, beats: &Beats, shape: &[i32], step: f64) {
    let fiducial = i64::from(beats.fiducial);
    let mut next = i64::from(span.start);
    for zone in beats.zones.iter().filter(|zone| zone.kind == 0) {
        // Number of the sample under the first sample of the beat.
        let origin = i64::from(zone.fiducial) - fiducial + 1;
        let from = i64::from(zone.start).max(next).max(origin);
        let to = i64::from(zone.end.min(span.end)).min(origin + shape.len() as i64 - 1);
        for number in from..=to {
            let (value, place) = (shape[(number - origin) as usize], number - i64::from(span.start));
            if let Some(sample) = nanovolts.get_mut(place as usize) {
                *sample += f64::from(value) * step;
            }
        }
        next = next.max(to + 1);
    }
}
