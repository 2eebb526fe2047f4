//! Templates: beats of like shape over the whole recording, a bounded number of them.
//!
//! A beat joins the likest template, or founds one. When all places are taken the two likest templates become one, or
//! the rarest goes to the rest. At the end templates that have grown alike become one. What a single window said of the
//! class of a beat is then weighed against what all windows said of its template.

use super::look::ShapeSize;
use crate::ecg::beats::BeatClass;
use crate::ecg::simd;

/// Templates kept while reading.
const LIVE_MAX: usize = 32;
/// Templates told.
pub(super) const TOLD_MAX: usize = 24;
/// Likeness from which a beat joins.
const JOIN_LIKENESS: f32 = 0.90;
/// Likeness from which no better place is looked for.
const SURE_LIKENESS: f32 = 0.95;
/// Likeness of templates that become one at the end, and of those that may have to before.
const MERGE_LIKENESS: f32 = 0.93;
const CROWDED_LIKENESS: f32 = 0.80;

/// Number of a template; stands for another after a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TemplateId(u32);

/// Beats without a template of their own.
const REST: u32 = u32::MAX;

impl TemplateId {
    pub(super) const REST: Self = Self(REST);
}

struct Live {
    id: u32,
    mean: Vec<f32>,
    power: f32,
    count: u64,
    /// Votes of the windows for N, S, V, F and Q.
    votes: [u64; 5],
    /// The beat likest to it when it was young.
    example: u64,
}

impl Live {
    /// Likeness with amplitude: 1 when equal, 0 when unrelated, negative when opposed.
    fn likeness(&self, values: &[f32], power: f32) -> f32 {
        likeness(simd::dot(&self.mean, values), self.power, power)
    }

    fn absorb(&mut self, other: &Live) {
        let share = other.count as f32 / (self.count + other.count).max(1) as f32;
        for (mean, value) in self.mean.iter_mut().zip(&other.mean) {
            *mean += (value - *mean) * share;
        }
        self.power = simd::dot(&self.mean, &self.mean);
        self.count += other.count;
        for (votes, more) in self.votes.iter_mut().zip(other.votes) {
            *votes += more;
        }
    }
}

fn likeness(product: f32, a: f32, b: f32) -> f32 {
    let root = (a * b).sqrt();
    if root <= f32::MIN_POSITIVE {
        return 0.0;
    }
    product / root * (2.0 * root / (a + b)).sqrt()
}

fn place_of(class: BeatClass) -> usize {
    match class {
        BeatClass::Normal => 0,
        BeatClass::Supraventricular => 1,
        BeatClass::Ventricular => 2,
        BeatClass::Fusion => 3,
        BeatClass::Unclassifiable => 4,
    }
}

const CLASSES: [BeatClass; 5] = [
    BeatClass::Normal,
    BeatClass::Supraventricular,
    BeatClass::Ventricular,
    BeatClass::Fusion,
    BeatClass::Unclassifiable,
];

/// One template at the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    /// Mean shape, all leads one after the other, in microvolts.
    pub(super) mean: Vec<f32>,
    /// Beats, and their votes for N, S, V, F and Q.
    pub(super) count: u64,
    votes: [u64; 5],
    /// One of its beats.
    pub(super) example: u64,
}

impl Template {
    /// The class that most windows gave.
    pub(super) fn class(&self) -> BeatClass {
        let most = (0..5).max_by_key(|place| (self.votes[*place], 5 - place));
        CLASSES[most.unwrap_or(0)]
    }

    /// Whether nearly all of its beats are conducted.
    pub(super) fn is_conducted(&self) -> bool {
        const SHARE: f64 = 0.80;
        self.share(BeatClass::Normal) + self.share(BeatClass::Supraventricular) >= SHARE
    }

    fn share(&self, class: BeatClass) -> f64 {
        self.votes[place_of(class)] as f64 / self.votes.iter().sum::<u64>().max(1) as f64
    }

    /// The class of a beat of this template to which its own window gave `class`.
    pub(super) fn settle(&self, class: BeatClass) -> BeatClass {
        /// Beats from which a template knows more than a window.
        const BEATS_MIN: u64 = 12;
        const SURE_SHARE: f64 = 0.60;
        const FEW_SHARE: f64 = 0.02;
        use BeatClass::{Fusion, Normal, Supraventricular, Unclassifiable, Ventricular};
        if self.count < BEATS_MIN {
            return class;
        }
        match class {
            Normal | Fusion if self.share(Ventricular) >= SURE_SHARE => Ventricular,
            Ventricular | Fusion if self.share(Ventricular) + self.share(Fusion) <= FEW_SHARE => Normal,
            Supraventricular | Unclassifiable => class,
            other => other,
        }
    }
}

/// The templates of a recording while it is read.
pub(super) struct Templates {
    size: ShapeSize,
    leads: usize,
    live: Vec<Live>,
    /// What became of each number: itself, another, or the rest.
    fate: Vec<u32>,
    /// The shape at hand, without the room for moving.
    values: Vec<f32>,
    best: Vec<f32>,
}

impl Templates {
    pub(super) fn new(size: ShapeSize, leads: usize) -> Self {
        Self {
            size,
            leads,
            live: Vec::with_capacity(LIVE_MAX + 1),
            fate: Vec::new(),
            values: vec![0.0; size.length * leads],
            best: vec![0.0; size.length * leads],
        }
    }

    /// Gives a beat its template. `shape` has the room for moving.
    pub(super) fn join(&mut self, shape: &[f32], class: BeatClass, sample: u64) -> TemplateId {
        if shape.len() != self.size.wide() * self.leads {
            return TemplateId::REST;
        }
        let Some((place, like)) = self.likest(shape) else {
            return self.found(class, sample);
        };
        if like < JOIN_LIKENESS {
            return self.found(class, sample);
        }
        let live = &mut self.live[place];
        // The mean follows posture and drift: the weight of one beat never falls below 1/64.
        let weight = 1.0 / (live.count as f32 + 1.0).min(64.0);
        for (mean, value) in live.mean.iter_mut().zip(&self.best) {
            *mean += (value - *mean) * weight;
        }
        live.power = simd::dot(&live.mean, &live.mean);
        live.count += 1;
        live.votes[place_of(class)] += 1;
        if live.count == 8 {
            live.example = sample;
        }
        TemplateId(live.id)
    }

    /// The likest template with the shape where it lies best in `best`.
    fn likest(&mut self, shape: &[f32]) -> Option<(usize, f32)> {
        let mut found: Option<(usize, f32)> = None;
        let room = self.size.shift;
        // The place of the mark first, then outwards.
        for step in 0..=2 * room {
            let away = step.div_ceil(2);
            let shift = if step % 2 == 1 { room + away } else { room - away };
            cut(shape, shift, self.size, &mut self.values);
            let power = simd::dot(&self.values, &self.values);
            for (place, live) in self.live.iter().enumerate() {
                let like = live.likeness(&self.values, power);
                if found.is_none_or(|(_, have)| like > have) {
                    found = Some((place, like));
                    self.best.copy_from_slice(&self.values);
                }
            }
            if step == 0 && found.is_none_or(|(_, like)| like >= SURE_LIKENESS) {
                break;
            }
        }
        if found.is_none_or(|(_, like)| like < JOIN_LIKENESS) {
            cut(shape, room, self.size, &mut self.best);
        }
        found
    }

    /// A new template of the shape in `best`.
    fn found(&mut self, class: BeatClass, sample: u64) -> TemplateId {
        let Ok(id) = u32::try_from(self.fate.len()) else {
            return TemplateId::REST;
        };
        self.fate.push(id);
        let mut votes = [0; 5];
        votes[place_of(class)] = 1;
        self.live.push(Live {
            id,
            mean: self.best.clone(),
            power: simd::dot(&self.best, &self.best),
            count: 1,
            votes,
            example: sample,
        });
        if self.live.len() > LIVE_MAX {
            self.make_room();
        }
        TemplateId(id)
    }

    /// Sends the rarest but the newest to the rest, or makes the two likest one.
    fn make_room(&mut self) {
        /// So few beats are not worth the search for the two likest.
        const FEW: u64 = 2;
        let newest = self.live.len() - 1;
        let rarest = (0..newest).min_by_key(|place| (self.live[*place].count, self.live[*place].id));
        let lonely = rarest.is_some_and(|place| self.live[place].count <= FEW);
        if !lonely
            && let Some((a, b, like)) = self.closest()
            && like >= CROWDED_LIKENESS
        {
            self.merge(a, b);
            return;
        }
        if let Some(place) = rarest {
            let gone = self.live.remove(place);
            self.fate[gone.id as usize] = REST;
        }
    }

    fn closest(&self) -> Option<(usize, usize, f32)> {
        let mut best: Option<(usize, usize, f32)> = None;
        for (a, one) in self.live.iter().enumerate() {
            for (b, two) in self.live.iter().enumerate().skip(a + 1) {
                let like = one.likeness(&two.mean, two.power);
                if best.is_none_or(|(_, _, have)| like > have) {
                    best = Some((a, b, like));
                }
            }
        }
        best
    }

    /// The rarer of two goes into the other.
    fn merge(&mut self, a: usize, b: usize) {
        let (keep, go) = if self.live[a].count >= self.live[b].count {
            (a, b)
        } else {
            (b, a)
        };
        let gone = self.live.remove(go);
        let keep = if go < keep { keep - 1 } else { keep };
        self.live[keep].absorb(&gone);
        self.fate[gone.id as usize] = self.live[keep].id;
    }

    /// The templates by count, and which of them each number is now.
    pub(super) fn finish(mut self) -> (Vec<Template>, Lookup) {
        while let Some((a, b, _)) = self.closest().filter(|(_, _, like)| *like >= MERGE_LIKENESS) {
            self.merge(a, b);
        }
        self.live
            .sort_by_key(|live| (std::cmp::Reverse(live.count), live.id));
        let mut places = vec![None; self.fate.len()];
        for (place, live) in self.live.iter().take(TOLD_MAX).enumerate() {
            places[live.id as usize] = Some(place);
        }
        // A number is always merged into an older or younger one that lives on; chains are followed to their end.
        let ends: Vec<Option<usize>> = (0..self.fate.len())
            .map(|number| {
                let mut at = number;
                while let Some(next) = self.fate.get(at).map(|f| *f as usize).filter(|next| *next != at) {
                    at = next;
                }
                places.get(at).copied().flatten()
            })
            .collect();
        let told = self.live.into_iter().take(TOLD_MAX).map(|live| Template {
            mean: live.mean,
            count: live.count,
            votes: live.votes,
            example: live.example,
        });
        (told.collect(), Lookup { ends })
    }
}

/// Which template of the end a number is.
pub(super) struct Lookup {
    ends: Vec<Option<usize>>,
}

impl Lookup {
    pub(super) fn place(&self, id: TemplateId) -> Option<usize> {
        self.ends.get(id.0 as usize).copied().flatten()
    }
}

/// The shape from `shift` on, each lead freed of its mean.
fn cut(shape: &[f32], shift: usize, size: ShapeSize, out: &mut [f32]) {
    let wide = size.wide().max(1);
    for (part, from) in out.chunks_mut(size.length.max(1)).zip(shape.chunks(wide)) {
        let Some(from) = from.get(shift..shift + part.len()) else {
            continue;
        };
        let mean = from.iter().sum::<f32>() / part.len().max(1) as f32;
        for (value, source) in part.iter_mut().zip(from) {
            *value = source - mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::synth::Noise;

    const SIZE: ShapeSize = ShapeSize {
        factor: 2,
        before: 14,
        length: 46,
        shift: 6,
    };

    /// A wave of `width` samples at `mark` in the wide window, of two leads.
    fn shape(width: usize, height: f32, moved: isize, noise: &mut Noise) -> Vec<f32> {
        let mut out = Vec::new();
        for lead in 0..2 {
            let mark = (20 + moved) as usize;
            out.extend((0..SIZE.wide()).map(|at| {
                let away = at.abs_diff(mark) as f32 / width as f32;
                let wave = height * (1.0 - away).max(0.0) * if lead == 0 { 1.0 } else { -0.6 };
                wave + (10.0 * noise.next()) as f32
            }));
        }
        out
    }

    #[test]
    fn shapes_are_told_apart_and_moved_ones_are_not() {
        let mut templates = Templates::new(SIZE, 2);
        let mut noise = Noise(5);
        let mut ids = Vec::new();
        for beat in 0..300 {
            let (width, height, class) = match beat % 10 {
                3 => (14, 1_500.0, BeatClass::Ventricular),
                7 => (12, -1_200.0, BeatClass::Ventricular),
                _ => (5, 1_000.0, BeatClass::Normal),
            };
            let shape = shape(width, height, beat % 5 - 2, &mut noise);
            ids.push((beat, templates.join(&shape, class, beat as u64)));
        }
        let (told, lookup) = templates.finish();
        assert_eq!(told.len(), 3);
        let counts: Vec<u64> = told.iter().map(|t| t.count).collect();
        assert_eq!(counts, [240, 30, 30]);
        assert_eq!(told[0].class(), BeatClass::Normal);
        assert_eq!(told[1].class(), BeatClass::Ventricular);
        for (beat, id) in ids {
            let place = lookup.place(id);
            assert_eq!(place == Some(0), !matches!(beat % 10, 3 | 7), "{beat} {place:?}");
        }
    }

    #[test]
    fn noise_never_takes_more_than_its_places() {
        let mut templates = Templates::new(SIZE, 2);
        let mut noise = Noise(9);
        let mut ids = Vec::new();
        for beat in 0..2_000_u64 {
            let shape: Vec<f32> = (0..SIZE.wide() * 2)
                .map(|_| (500.0 * noise.next()) as f32)
                .collect();
            ids.push(templates.join(&shape, BeatClass::Unclassifiable, beat));
            assert!(templates.live.len() <= LIVE_MAX);
        }
        let (told, lookup) = templates.finish();
        assert!(told.len() <= TOLD_MAX);
        for id in ids {
            assert!(lookup.place(id).is_none_or(|place| place < told.len()));
        }
        assert_eq!(lookup.place(TemplateId::REST), None);
    }

    #[test]
    fn a_window_that_errs_is_outvoted() {
        let template = |votes: [u64; 5]| Template {
            mean: Vec::new(),
            count: votes.iter().sum(),
            votes,
            example: 0,
        };
        use BeatClass::{Fusion, Normal, Supraventricular, Ventricular};
        let ventricular = template([3, 0, 97, 0, 0]);
        assert_eq!(ventricular.settle(Normal), Ventricular);
        assert_eq!(ventricular.settle(Supraventricular), Supraventricular);
        let normal = template([995, 0, 2, 3, 0]);
        assert_eq!(normal.settle(Ventricular), Normal);
        assert_eq!(normal.settle(Fusion), Normal);
        let mixed = template([60, 0, 40, 0, 0]);
        assert_eq!(mixed.settle(Ventricular), Ventricular);
        assert_eq!(template([1, 0, 9, 0, 0]).settle(Normal), Normal);
    }
}
