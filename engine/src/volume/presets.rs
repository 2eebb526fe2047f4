//! Transfer functions: which values are seen in a composite projection, in which colour and how dense.

use super::voxels::Volume;

/// Entries of a table made from a transfer function.
const ENTRIES: usize = 4096;
/// Voxels left out between those that tell the range of an uncalibrated volume.
const SPARSE: usize = 7;
/// Share of voxels below and above the range of an uncalibrated volume.
const TAILS: (f64, f64) = (0.02, 0.005);

/// A ready transfer function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Bone in CT.
    CtBone,
    /// Vessels filled with contrast medium in CT.
    CtVessel,
    /// Airways and the lungs' surface in CT.
    CtLung,
    /// Bright tissue in MR, whose values have no unit: relative to the volume's own range.
    Mr,
}

/// Value, opacity of one millimetre, colour.
type Stop = (f64, f64, [f64; 3]);

/// In Hounsfield units.
const BONE: &[Stop] = &[
    (140.0, 0.0, [0.60, 0.30, 0.18]),
    (220.0, 0.10, [0.78, 0.50, 0.32]),
    (400.0, 0.45, [0.93, 0.80, 0.62]),
    (900.0, 0.80, [1.00, 0.95, 0.85]),
    (2000.0, 0.92, [1.00, 1.00, 1.00]),
];
const VESSEL: &[Stop] = &[
    (110.0, 0.0, [0.45, 0.05, 0.03]),
    (170.0, 0.15, [0.75, 0.12, 0.08]),
    (300.0, 0.55, [0.92, 0.32, 0.20]),
    (450.0, 0.65, [0.98, 0.65, 0.45]),
    (700.0, 0.75, [1.00, 0.93, 0.82]),
    (2000.0, 0.85, [1.00, 1.00, 1.00]),
];
const LUNG: &[Stop] = &[
    (-980.0, 0.0, [0.20, 0.45, 0.75]),
    (-930.0, 0.004, [0.25, 0.55, 0.85]),
    (-850.0, 0.002, [0.45, 0.70, 0.90]),
    (-700.0, 0.03, [0.80, 0.62, 0.55]),
    (-500.0, 0.08, [0.88, 0.60, 0.50]),
    (-300.0, 0.02, [0.90, 0.55, 0.45]),
    (-150.0, 0.0, [0.90, 0.55, 0.45]),
    (3000.0, 0.0, [1.0, 1.0, 1.0]),
];
/// In parts of the volume's range.
const MR: &[Stop] = &[
    (0.15, 0.0, [0.10, 0.10, 0.12]),
    (0.30, 0.02, [0.35, 0.28, 0.26]),
    (0.55, 0.12, [0.70, 0.58, 0.50]),
    (0.80, 0.35, [0.92, 0.84, 0.74]),
    (1.00, 0.60, [1.00, 1.00, 0.98]),
];

impl Preset {
    /// Every preset with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("ct-bone", Self::CtBone),
        ("ct-vessel", Self::CtVessel),
        ("ct-lung", Self::CtLung),
        ("mr", Self::Mr),
    ];

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|p| p.0 == name).map(|p| p.1)
    }

    /// The stops in the modality's units.
    fn stops(self, volume: &Volume) -> Vec<Stop> {
        match self {
            Self::CtBone => BONE.to_vec(),
            Self::CtVessel => VESSEL.to_vec(),
            Self::CtLung => LUNG.to_vec(),
            Self::Mr => {
                let (low, high) = common_range(volume);
                let placed = MR
                    .iter()
                    .map(|(at, opacity, colour)| (low + at * (high - low), *opacity, *colour));
                placed.collect()
            }
        }
    }
}

/// The range of nearly all voxels.
fn common_range(volume: &Volume) -> (f64, f64) {
    let mut histogram = vec![0_u32; 1 << 16];
    let mut total = 0_u32;
    for v in volume.bricks().values().iter().step_by(SPARSE) {
        histogram[usize::from(v.wrapping_sub(i16::MIN).cast_unsigned())] += 1;
        total += 1;
    }
    let stored = |bin: usize| volume.rescale().apply(bin as f64 + f64::from(i16::MIN));
    let bins = 0..histogram.len();
    let low = reach(&histogram, bins.clone(), TAILS.0 * f64::from(total)).map_or(0.0, stored);
    let high = reach(&histogram, bins.rev(), TAILS.1 * f64::from(total)).map_or(1.0, stored);
    (low, high.max(low + volume.rescale().slope))
}

/// The bin at which more than `share` values have been passed.
fn reach(histogram: &[u32], mut bins: impl Iterator<Item = usize>, share: f64) -> Option<usize> {
    let mut seen = 0.0;
    bins.find(|bin| {
        seen += f64::from(histogram[*bin]);
        seen > share
    })
}

/// What a stored value looks like: opacity of one step, then red, green, blue from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Table {
    low: f32,
    per_value: f32,
    entries: Vec<[f32; 4]>,
    /// Entries up to here that are seen at all.
    seen: Vec<u32>,
}

impl Table {
    /// For rays sampled every `step_mm`.
    pub(super) fn new(preset: Preset, volume: &Volume, step_mm: f64) -> Self {
        let stops = preset.stops(volume);
        let (low, high) = volume.range();
        let first = stops.first().map_or(low, |s| s.0).max(low).min(high);
        let last = stops.last().map_or(high, |s| s.0).min(high).max(first);
        let width = (last - first).max(volume.rescale().slope);
        let entries: Vec<[f32; 4]> = (0..ENTRIES)
            .map(|i| {
                let value = first + width * i as f64 / (ENTRIES - 1) as f64;
                let (opacity, colour) = at(&stops, value);
                let step = 1.0 - (1.0 - opacity).powf(step_mm);
                [step, colour[0], colour[1], colour[2]].map(|v| v as f32)
            })
            .collect();
        let mut count = 0;
        let mut seen = vec![0];
        for entry in &entries {
            count += u32::from(entry[0] > 0.0);
            seen.push(count);
        }
        let rescale = volume.rescale();
        Self {
            low: rescale.stored(first) as f32,
            per_value: ((ENTRIES - 1) as f64 * rescale.slope / width) as f32,
            entries,
            seen,
        }
    }

    /// All entries.
    pub(super) fn entries(&self) -> &[[f32; 4]] {
        &self.entries
    }

    /// Stored value of the first entry, and entries for each stored value.
    pub(super) fn scale(&self) -> (f32, f32) {
        (self.low, self.per_value)
    }

    fn index(&self, stored: f32) -> usize {
        // a float becomes 0 below and the last entry above
        (((stored - self.low) * self.per_value + 0.5) as usize).min(ENTRIES - 1)
    }

    /// Opacity and colour of a stored value.
    pub(super) fn look(&self, stored: f32) -> [f32; 4] {
        self.entries[self.index(stored)]
    }

    /// Whether any value between these is seen.
    pub(super) fn sees(&self, least: i16, most: i16) -> bool {
        self.seen[self.index(most.into()) + 1] > self.seen[self.index(least.into())]
    }
}

/// Opacity and colour between the stops; the outermost ones reach on.
fn at(stops: &[Stop], value: f64) -> (f64, [f64; 3]) {
    let above = stops.partition_point(|s| s.0 <= value);
    match (above.checked_sub(1).and_then(|i| stops.get(i)), stops.get(above)) {
        (Some(a), Some(b)) => {
            let t = (value - a.0) / (b.0 - a.0);
            let mix = |x: f64, y: f64| x + (y - x) * t;
            (mix(a.1, b.1), [0, 1, 2].map(|i| mix(a.2[i], b.2[i])))
        }
        (Some(last), None) => (last.1, last.2),
        (None, Some(first)) => (first.1, first.2),
        (None, None) => (0.0, [0.0; 3]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::voxels::Rescale;
    use super::*;

    fn volume(values: &[i16], rescale: Rescale) -> Volume {
        let grid = Grid::upright([values.len(), 1, 1], [1.0; 3]).unwrap();
        Volume::from_values(grid, rescale, values, u64::MAX).unwrap()
    }

    #[test]
    fn bone_is_seen_and_soft_tissue_is_not() {
        let rescale = Rescale {
            slope: 0.5,
            intercept: -1024.0,
        };
        let volume = volume(&[0, 6048], rescale);
        let table = Table::new(Preset::CtBone, &volume, 1.0);
        let stored = |hu: f64| rescale.stored(hu) as f32;
        assert_eq!(table.look(stored(40.0))[0], 0.0);
        assert!((table.look(stored(900.0))[0] - 0.80).abs() < 0.01);
        assert!((table.look(stored(400.0))[1] - 0.93).abs() < 0.01);
        assert!(!table.sees(stored(-1000.0) as i16, stored(130.0) as i16));
        assert!(table.sees(stored(-1000.0) as i16, stored(300.0) as i16));
        let half = Table::new(Preset::CtBone, &volume, 0.5);
        let (one, two) = (table.look(stored(900.0))[0], half.look(stored(900.0))[0]);
        assert!((1.0 - (1.0 - two) * (1.0 - two) - one).abs() < 1e-3);
    }

    #[test]
    fn mr_follows_the_volume() {
        for gain in [1, 20] {
            let values: Vec<i16> = (0..7000).map(|i| (i % 1000) * gain).collect();
            let volume = volume(&values, Rescale::default());
            let table = Table::new(Preset::Mr, &volume, 1.0);
            assert_eq!(table.look(f32::from(100 * gain))[0], 0.0);
            assert!(table.look(f32::from(900 * gain))[0] > 0.3);
        }
        // one value only
        let flat = Table::new(Preset::Mr, &volume(&[5; 100], Rescale::default()), 1.0);
        assert!(flat.look(5.0)[0].is_finite());
    }

    #[test]
    fn names() {
        for (name, preset) in Preset::ALL {
            assert_eq!(Preset::parse(name), Some(preset));
        }
        assert_eq!(Preset::parse("xray"), None);
    }
}
