//! Scans and image grids, checked once so that the kernels need not.

use super::ReconError;

/// Detectors in a row.
const COLUMNS_MAX: usize = 16_384;
const ROWS_MAX: usize = 4_096;
const ANGLES_MAX: usize = 65_536;
/// Pixels along one side.
const SIZE_MAX: usize = 4_096;
/// Values of one array of projections or of one volume: 2 GiB.
pub(super) const VALUES_MAX: usize = 1 << 29;
/// Lengths beyond this in either direction are typing mistakes.
const LENGTH_MM_RANGE: std::ops::RangeInclusive<f64> = 1e-6..=1e6;
const ANGLE_RAD_RANGE: std::ops::RangeInclusive<f64> = -1e4..=1e4;
/// Distance of the source over that of the image's corners: nearer ones would be magnified beyond sense.
const CLEARANCE_LEAST: f64 = 1.05;
/// Ratio of detector and pixel, either way.
const RATIO_MAX: f64 = 64.0;

/// Form of the rays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beam {
    /// All rays of a view side by side.
    Parallel,
    /// One source, one row of detectors.
    Fan {
        /// From the source to the rotation axis.
        source_mm: f64,
        /// From the source to the detector, along the central ray.
        source_detector_mm: f64,
    },
    /// One source, rows and columns of detectors.
    Cone {
        /// From the source to the rotation axis.
        source_mm: f64,
        /// From the source to the detector, along the central ray.
        source_detector_mm: f64,
    },
}

impl Beam {
    /// Name as users write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Fan { .. } => "fan",
            Self::Cone { .. } => "cone",
        }
    }

    /// Source to axis and source to detector, in millimetres; `None` for parallel rays.
    pub(super) fn distances_mm(self) -> Option<(f64, f64)> {
        match self {
            Self::Parallel => None,
            Self::Fan {
                source_mm,
                source_detector_mm,
            }
            | Self::Cone {
                source_mm,
                source_detector_mm,
            } => Some((source_mm, source_detector_mm)),
        }
    }

    /// How much smaller things are on the axis than on the detector.
    #[must_use]
    pub fn demagnification(self) -> f64 {
        self.distances_mm().map_or(1.0, |(d, sd)| d / sd)
    }
}

/// How the projections were taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    beam: Beam,
    angles_rad: Vec<f64>,
    rows: usize,
    columns: usize,
    pitch_mm: f64,
    axis_mm: f64,
}

impl Scan {
    /// A scan whose axis projects onto the middle of the detector. `rows` is 1 but for [`Beam::Cone`]; `pitch_mm` is
    /// the distance of neighbouring detectors.
    ///
    /// # Errors
    /// [`ReconError::Field`] and [`ReconError::TooLarge`] for what no scanner can be.
    pub fn new(
        beam: Beam,
        angles_rad: Vec<f64>,
        rows: usize,
        columns: usize,
        pitch_mm: f64,
    ) -> Result<Self, ReconError> {
        check_count("number of angles", angles_rad.len(), 1, ANGLES_MAX)?;
        check_count("number of detectors", columns, 2, COLUMNS_MAX)?;
        check_count("number of detector rows", rows, 1, ROWS_MAX)?;
        check_length("distance of the detectors in mm", pitch_mm)?;
        if let Some(angle) = angles_rad.iter().find(|a| !ANGLE_RAD_RANGE.contains(a)) {
            return Err(ReconError::field("an angle in radians", angle, "-10000 to 10000"));
        }
        if let Some((source, detector)) = beam.distances_mm() {
            check_length("distance of the source from the axis in mm", source)?;
            check_length("distance of the source from the detector in mm", detector)?;
        }
        if rows > 1 && !matches!(beam, Beam::Cone { .. }) {
            let expected = "1; several rows are a cone beam";
            return Err(ReconError::field("number of detector rows", rows, expected));
        }
        let values = angles_rad.len().saturating_mul(rows).saturating_mul(columns);
        check_values("number of projection values", values)?;
        Ok(Self {
            beam,
            angles_rad,
            rows,
            columns,
            pitch_mm,
            axis_mm: 0.0,
        })
    }

    /// The same scan with the axis projecting `axis_mm` from the middle of the detector, towards higher columns.
    ///
    /// # Errors
    /// [`ReconError::Field`] when that is not on the detector.
    pub fn with_axis(mut self, axis_mm: f64) -> Result<Self, ReconError> {
        let half_mm = self.columns as f64 * self.pitch_mm / 2.0;
        if !(-half_mm..=half_mm).contains(&axis_mm) {
            let expected = "a place on the detector";
            return Err(ReconError::field("place of the axis in mm", axis_mm, expected));
        }
        self.axis_mm = axis_mm;
        Ok(self)
    }

    /// Form of the rays.
    #[must_use]
    pub fn beam(&self) -> Beam {
        self.beam
    }

    /// Angles in radians, in the order of the projections.
    #[must_use]
    pub fn angles_rad(&self) -> &[f64] {
        &self.angles_rad
    }

    /// Rows of detectors; 1 but for a cone.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Detectors in a row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Distance of neighbouring detectors.
    #[must_use]
    pub fn pitch_mm(&self) -> f64 {
        self.pitch_mm
    }

    /// Column (with fraction) onto which the axis projects.
    pub(super) fn axis_column(&self) -> f64 {
        (self.columns as f64 - 1.0) / 2.0 + self.axis_mm / self.pitch_mm
    }

    /// Detector pitch scaled down to the axis.
    pub(super) fn axis_pitch_mm(&self) -> f64 {
        self.pitch_mm * self.beam.demagnification()
    }

    /// Checks projections against the scan: their number, and that all are finite.
    ///
    /// # Errors
    /// [`ReconError::Shape`] and [`ReconError::NotFinite`].
    pub fn check(&self, projections: &[f32]) -> Result<(), ReconError> {
        let (angles, rows, columns) = (self.angles_rad.len(), self.rows, self.columns);
        let wanted = angles * rows * columns;
        if projections.len() != wanted {
            return Err(ReconError::Shape {
                got: projections.len(),
                wanted,
                angles,
                rows,
                columns,
            });
        }
        match projections.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(ReconError::NotFinite { index }),
            None => Ok(()),
        }
    }

    /// Checks that the grid lies between source and detector and is not out of all proportion.
    pub(super) fn check_grid(&self, grid: &Grid) -> Result<(), ReconError> {
        let ratio = self.axis_pitch_mm() / grid.pixel_mm;
        if !(1.0 / RATIO_MAX..=RATIO_MAX).contains(&ratio) {
            let expected = "between 1/64 and 64";
            return Err(ReconError::field("detector over pixel", ratio, expected));
        }
        if let Some((source, _)) = self.beam.distances_mm() {
            let corner = grid.size as f64 * grid.pixel_mm * std::f64::consts::FRAC_1_SQRT_2;
            if source < corner * CLEARANCE_LEAST {
                return Err(ReconError::Field {
                    what: "distance of the source from the axis in mm",
                    value: source.to_string(),
                    expected: "well over half the image's diagonal; the source stands outside the image",
                });
            }
        }
        Ok(())
    }
}

/// The square, or for a cone the cube, that is reconstructed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    size: usize,
    pixel_mm: f64,
}

impl Grid {
    /// `size` pixels of `pixel_mm` along each side, the middle on the rotation axis.
    ///
    /// # Errors
    /// [`ReconError::Field`] and [`ReconError::TooLarge`].
    pub fn new(size: usize, pixel_mm: f64) -> Result<Self, ReconError> {
        check_count("number of pixels along a side", size, 1, SIZE_MAX)?;
        check_length("size of a pixel in mm", pixel_mm)?;
        Ok(Self { size, pixel_mm })
    }

    /// Pixels along a side.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Size of a pixel.
    #[must_use]
    pub fn pixel_mm(&self) -> f64 {
        self.pixel_mm
    }

    /// Pixel index (with fraction) of the axis.
    pub(super) fn middle(&self) -> f64 {
        (self.size as f64 - 1.0) / 2.0
    }

    pub(super) fn check_volume(&self) -> Result<(), ReconError> {
        check_values("number of voxels", self.size.saturating_pow(3))
    }
}

fn check_count(what: &'static str, value: usize, least: usize, most: usize) -> Result<(), ReconError> {
    if value < least {
        return Err(ReconError::field(what, value, "more"));
    }
    check_most(what, value, most)
}

pub(super) fn check_values(what: &'static str, values: usize) -> Result<(), ReconError> {
    check_most(what, values, VALUES_MAX)
}

fn check_most(what: &'static str, value: usize, most: usize) -> Result<(), ReconError> {
    if value > most {
        let (value, limit) = (value as u64, most as u64);
        return Err(ReconError::TooLarge { what, value, limit });
    }
    Ok(())
}

fn check_length(what: &'static str, value: f64) -> Result<(), ReconError> {
    if LENGTH_MM_RANGE.contains(&value) {
        return Ok(());
    }
    Err(ReconError::field(what, value, "0.000001 to 1000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_scans_are_refused() {
        let fan = |source_mm, source_detector_mm| Beam::Fan {
            source_mm,
            source_detector_mm,
        };
        let refused = |beam, angles: Vec<f64>, rows, columns, pitch| {
            assert!(Scan::new(beam, angles, rows, columns, pitch).is_err());
        };
        refused(Beam::Parallel, vec![], 1, 8, 1.0);
        refused(Beam::Parallel, vec![f64::NAN], 1, 8, 1.0);
        refused(Beam::Parallel, vec![0.0], 2, 8, 1.0);
        refused(Beam::Parallel, vec![0.0], 1, 1, 1.0);
        refused(Beam::Parallel, vec![0.0], 1, usize::MAX, 1.0);
        refused(Beam::Parallel, vec![0.0], 1, 8, f64::INFINITY);
        refused(Beam::Parallel, vec![0.0; 65_536], 1, 16_384, 1.0);
        refused(fan(0.0, 10.0), vec![0.0], 1, 8, 1.0);
        refused(fan(10.0, -1.0), vec![0.0], 1, 8, 1.0);
        assert!(Grid::new(0, 1.0).is_err() && Grid::new(1 << 20, 1.0).is_err());
        assert!(Grid::new(8, 0.0).is_err());
        assert!(Grid::new(4_096, 1.0).unwrap().check_volume().is_err());
    }

    #[test]
    fn axis_and_source_have_their_places() {
        let scan = Scan::new(Beam::Parallel, vec![0.0], 1, 8, 0.5).unwrap();
        assert_eq!(scan.axis_column(), 3.5);
        assert_eq!(scan.clone().with_axis(1.0).unwrap().axis_column(), 5.5);
        assert!(scan.clone().with_axis(2.1).is_err() && scan.with_axis(f64::NAN).is_err());
        let beam = Beam::Fan {
            source_mm: 50.0,
            source_detector_mm: 100.0,
        };
        let scan = Scan::new(beam, vec![0.0], 1, 8, 2.0).unwrap();
        assert_eq!(scan.axis_pitch_mm(), 1.0);
        assert!(scan.check_grid(&Grid::new(67, 1.0).unwrap()).is_ok());
        assert!(scan.check_grid(&Grid::new(68, 1.0).unwrap()).is_err());
        assert!(scan.check_grid(&Grid::new(4, 0.01).unwrap()).is_err());
    }

    #[test]
    fn projections_have_to_fit_and_be_finite() {
        let scan = Scan::new(Beam::Parallel, vec![0.0, 1.0], 1, 3, 1.0).unwrap();
        assert!(scan.check(&[0.0; 6]).is_ok());
        assert!(matches!(
            scan.check(&[0.0; 5]),
            Err(ReconError::Shape { wanted: 6, .. })
        ));
        let bad = [0.0, 0.0, f32::INFINITY, 0.0, f32::NAN, 0.0];
        assert_eq!(scan.check(&bad), Err(ReconError::NotFinite { index: 2 }));
    }
}
