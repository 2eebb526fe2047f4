//! What the windows said, put together in time order.

use super::look::{OVERLAP_S, Seen, SeenBeat, ShapeSize};
use super::quality::{BLOCK_S, Block, LeadState, block_samples};
use super::report::{Excluded, LeadTimes, Quality, TemplateReport};
use super::series::{Settled, merged};
use super::st::Minute;
use super::template::{Template, TemplateId, Templates};
use crate::ecg::beats::BeatClass;
use crate::ecg::record::LeadName;
use std::collections::BTreeMap;
use std::ops::Range;

/// Beats nearer than this at a seam are one, in seconds.
const SAME_S: f64 = 0.200;
/// Marks of two windows for the same beat are nearer than this, in seconds.
const AGREE_S: f64 = 0.060;
/// Silence shorter than this hides no beat, and pauses between silences shorter than that show none, in seconds.
const SILENCE_S_MIN: f64 = 0.10;
const SILENCE_APART_S_MIN: f64 = 0.30;
/// Stretches that cannot be read told one by one, the longest.
const EXCLUDED_MAX: usize = 200;

/// One beat before the templates are final.
struct Kept {
    sample: u64,
    class: BeatClass,
    template: TemplateId,
}

/// What is known so far.
pub(super) struct Gathered {
    rate_hz: f64,
    block: u64,
    size: ShapeSize,
    leads: usize,
    kept: Vec<Kept>,
    templates: Templates,
    /// Begin of each block of the grid and its judgement.
    blocks: Vec<(u64, Block)>,
    silent: Vec<Range<u64>>,
    minutes: Vec<Minute>,
    samples: u64,
    /// The window whose end is not decided, and where its part begins.
    pending: Option<(Seen, u64)>,
}

/// All of it.
pub(super) struct Whole {
    pub(super) beats: Vec<Settled>,
    pub(super) templates: Vec<Template>,
    /// What cannot be read, in time order and apart.
    pub(super) bad: Vec<Range<u64>>,
    pub(super) quality: Quality,
    pub(super) minutes: Vec<Minute>,
}

impl Gathered {
    pub(super) fn new(size: ShapeSize, leads: usize, rate_hz: f64) -> Self {
        Self {
            rate_hz,
            block: block_samples(rate_hz) as u64,
            size,
            leads,
            kept: Vec::new(),
            templates: Templates::new(size, leads),
            blocks: Vec::new(),
            silent: Vec::new(),
            minutes: Vec::new(),
            samples: 0,
            pending: None,
        }
    }

    /// Samples of a lead so far.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes the next window.
    pub(super) fn add(&mut self, mut seen: Seen) {
        self.samples = seen.core.end;
        self.minutes.append(&mut seen.minutes);
        for (index, block) in seen.blocks.drain(..).enumerate() {
            self.blocks
                .push((seen.core.start + index as u64 * self.block, block));
        }
        for gap in seen.silent.drain(..) {
            self.add_silence(gap);
        }
        let seam = match self.pending.take() {
            None => 0,
            Some((before, from)) => {
                let seam = self.seam(&before.beats, &seen.beats, seen.core.start);
                self.keep(&before, from..seam);
                seam
            }
        };
        if seen.last {
            let end = seen.core.end;
            self.keep(&seen, seam..end);
        } else {
            self.pending = Some((seen, seam));
        }
    }

    fn add_silence(&mut self, gap: Range<u64>) {
        let samples = |seconds: f64| (seconds * self.rate_hz) as u64;
        match self.silent.last_mut() {
            Some(last) if gap.start <= last.end + samples(SILENCE_APART_S_MIN) => last.end = gap.end,
            Some(last) if last.end - last.start < samples(SILENCE_S_MIN) => *last = gap,
            _ => self.silent.push(gap),
        }
    }

    /// The middle of the interval nearest to `line` whose beats both windows know; of any interval where they agree on
    /// none; the line itself where there are no beats.
    fn seam(&self, before: &[SeenBeat], after: &[SeenBeat], line: u64) -> u64 {
        let reach = (OVERLAP_S * self.rate_hz) as u64;
        let agree = (AGREE_S * self.rate_hz) as u64;
        let near = |beat: &&SeenBeat| beat.sample.abs_diff(line) <= reach;
        let left: Vec<u64> = before.iter().filter(near).map(|b| b.sample).collect();
        let right: Vec<u64> = after.iter().filter(near).map(|b| b.sample).collect();
        let known = |sample: u64| right.iter().any(|other| other.abs_diff(sample) <= agree);
        let middles = left.windows(2).map(|pair| {
            let middle = pair[0] + (pair[1] - pair[0]) / 2;
            let doubtful = !(known(pair[0]) && known(pair[1]));
            (doubtful, middle.abs_diff(line), middle)
        });
        middles.min().map_or(line, |(_, _, middle)| middle)
    }

    /// Keeps the beats of `range`, which belong to this window.
    fn keep(&mut self, seen: &Seen, range: Range<u64>) {
        let same = (SAME_S * self.rate_hz) as u64;
        for beat in seen.beats.iter().filter(|beat| range.contains(&beat.sample)) {
            if self
                .kept
                .last()
                .is_some_and(|last| beat.sample < last.sample + same)
            {
                continue;
            }
            // Where nothing can be read shapes would only be those of noise.
            let width = self.size.wide() * self.leads;
            let shape = beat
                .shape
                .filter(|_| self.is_readable(beat.sample))
                .and_then(|at| seen.shapes.get(at..at + width));
            let template = match shape {
                Some(shape) => self.templates.join(shape, beat.class, beat.sample),
                None => TemplateId::REST,
            };
            self.kept.push(Kept {
                sample: beat.sample,
                class: beat.class,
                template,
            });
        }
    }

    fn is_readable(&self, sample: u64) -> bool {
        let next = self.blocks.partition_point(|(start, _)| *start <= sample);
        let block = next.checked_sub(1).and_then(|at| self.blocks.get(at));
        block.is_none_or(|(_, block)| block.is_readable())
    }

    /// Ends the recording.
    pub(super) fn finish(mut self, names: &[LeadName]) -> Whole {
        // A stream that broke off after a whole window has one pending.
        if let Some((seen, from)) = self.pending.take() {
            let end = seen.core.end;
            self.keep(&seen, from..end);
        }
        let excluded = self.excluded();
        let unreadable = excluded.iter().map(|(range, _)| range.clone());
        let bad = merged(unreadable.chain(self.silent.iter().cloned()).collect());
        let quality = self.quality(names, &excluded);
        let (templates, lookup) = self.templates.finish();
        let mut beats = Vec::with_capacity(self.kept.len());
        let mut next = 0;
        for kept in &self.kept {
            while bad.get(next).is_some_and(|gap| gap.end <= kept.sample) {
                next += 1;
            }
            // What was marked where nothing can be read is no beat.
            if bad.get(next).is_some_and(|gap| gap.contains(&kept.sample)) {
                continue;
            }
            let template = lookup.place(kept.template);
            let class = template
                .and_then(|place| templates.get(place))
                .map_or(kept.class, |template| template.settle(kept.class));
            beats.push(Settled {
                sample: kept.sample,
                class,
                template,
            });
        }
        let mut templates = templates;
        recount(&mut templates, &beats);
        Whole {
            beats,
            templates,
            bad,
            quality,
            minutes: self.minutes,
        }
    }

    /// Blocks that cannot be read, joined where their reason is the same.
    fn excluded(&self) -> Vec<(Range<u64>, LeadState)> {
        let mut out: Vec<(Range<u64>, LeadState)> = Vec::new();
        for (index, (start, block)) in self.blocks.iter().enumerate() {
            if block.is_readable() {
                continue;
            }
            let end = self.blocks.get(index + 1).map_or(self.samples, |next| next.0);
            let reason = block.reason();
            match out.last_mut() {
                Some((last, of)) if last.end == *start && *of == reason => last.end = end,
                _ => out.push((*start..end, reason)),
            }
        }
        out
    }

    fn quality(&self, names: &[LeadName], excluded: &[(Range<u64>, LeadState)]) -> Quality {
        let seconds = |samples: u64| samples as f64 / self.rate_hz;
        let lost: u64 = excluded.iter().map(|(range, _)| range.end - range.start).sum();
        let mut leads: BTreeMap<String, LeadTimes> = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let times = leads.entry(name.as_str().to_owned()).or_default();
            for (place, (start, block)) in self.blocks.iter().enumerate() {
                let end = self.blocks.get(place + 1).map_or(self.samples, |next| next.0);
                let time = match block.leads.get(index) {
                    Some(LeadState::Good) => &mut times.good_s,
                    Some(LeadState::Flat) => &mut times.flat_s,
                    Some(LeadState::Noise) => &mut times.noise_s,
                    Some(LeadState::LeadOff) | None => &mut times.lead_off_s,
                };
                *time += seconds(end - start);
            }
        }
        for times in leads.values_mut() {
            for time in [
                &mut times.good_s,
                &mut times.lead_off_s,
                &mut times.flat_s,
                &mut times.noise_s,
            ] {
                *time = (*time * 10.0).round() / 10.0;
            }
        }
        let mut told: Vec<Excluded> = excluded
            .iter()
            .map(|(range, reason)| Excluded {
                from_s: seconds(range.start),
                to_s: seconds(range.end),
                reason: *reason,
            })
            .collect();
        if told.len() > EXCLUDED_MAX {
            told.sort_by(|a, b| (b.to_s - b.from_s).total_cmp(&(a.to_s - a.from_s)));
            told.truncate(EXCLUDED_MAX);
            told.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
        }
        Quality {
            readable_s: seconds(self.samples - lost),
            excluded_s: seconds(lost),
            excluded_count: excluded.len() as u64,
            excluded: told,
            leads,
        }
    }
}

/// Counts of what is left after stretches that cannot be read.
fn recount(templates: &mut [Template], beats: &[Settled]) {
    for template in templates.iter_mut() {
        template.count = 0;
    }
    for place in beats.iter().filter_map(|beat| beat.template) {
        if let Some(template) = templates.get_mut(place) {
            template.count += 1;
        }
    }
}

/// The templates as they are told.
pub(super) fn templates(
    all: &[Template],
    size: ShapeSize,
    leads: usize,
    rate_hz: f64,
) -> Vec<TemplateReport> {
    let told = all.iter().filter(|template| template.count > 0);
    told.map(|template| TemplateReport {
        class: template.class(),
        count: template.count,
        example_at_s: template.example as f64 / rate_hz,
        sampling_rate_hz: rate_hz / size.factor as f64,
        mark: size.before,
        leads_uv: template
            .mean
            .chunks(size.length.max(1))
            .take(leads)
            .map(|lead| lead.iter().map(|v| v.round() as i32).collect())
            .collect(),
    })
    .collect()
}

/// Blocks are ten seconds and belong to whole minutes.
const _: () = assert!(BLOCK_S == 10.0);
