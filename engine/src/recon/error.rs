//! The error of reconstruction.

/// Why an image could not be reconstructed. Each message is the sentence a user reads.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReconError {
    /// A length, angle or count that makes no sense.
    #[error("{what} is {value}; expected {expected}")]
    Field {
        /// What is wrong.
        what: &'static str,
        /// Its value.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The number of projection values does not fit the scan.
    #[error(
        "{got} projection values, the scan of {angles} angles, {rows} rows and {columns} detectors has {wanted}"
    )]
    Shape {
        /// Values given.
        got: usize,
        /// Values wanted.
        wanted: usize,
        /// Angles of the scan.
        angles: usize,
        /// Detector rows.
        rows: usize,
        /// Detectors in a row.
        columns: usize,
    },
    /// A value that is infinite or not a number.
    #[error(
        "projection value {index} is not finite; write line integrals per millimetre, with 0 where there is none"
    )]
    NotFinite {
        /// Place of the first such value, counted from 0.
        index: usize,
    },
    /// More than this program takes.
    #[error("{what} is {value}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// The views leave out directions that filtered back-projection needs.
    #[error(
        "the views cover {covered_deg:.1} degrees, a fan of this width needs {needed_deg:.1}; take more views or reconstruct by sirt"
    )]
    Coverage {
        /// Degrees covered.
        covered_deg: f64,
        /// Degrees needed.
        needed_deg: f64,
    },
    /// A method that does not work with this geometry.
    #[error("{method} does not reconstruct from {beam} projections; use {instead}")]
    Method {
        /// Method asked for.
        method: &'static str,
        /// The beam's form.
        beam: &'static str,
        /// What works.
        instead: &'static str,
    },
}

impl ReconError {
    pub(super) fn field(what: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::Field {
            what,
            value: value.to_string(),
            expected,
        }
    }
}
