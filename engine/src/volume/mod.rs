//! Volumes: from slices to a lattice of 16-bit values, cut and projected in any direction.
//!
//! [`Series`] puts slices in order and says what is wrong with them, [`Volume`] holds their values in bricks,
//! [`reformat`], [`curved`], [`project`] and [`composite`] make pictures. Millimetres are the patient's (LPS:
//! left, posterior, head). Kernels are plain functions that run on the rayon pool of their caller; the samples
//! between voxels have the same bits on every processor.

mod bricks;
mod cells;
mod composite;
mod cubic;
mod curved;
mod device;
mod display;
mod encoding;
mod grid;
mod lines;
mod math;
mod mpr;
mod presets;
mod project;
mod sample;
pub mod series;
mod simd;
mod slab;
mod voxels;
mod walk;

pub use bricks::Fetch;
pub use composite::{Scene, composite};
pub use curved::{Curve, CurvedLayout, curved};
pub use device::{DeviceFault, VolumeDevice};
pub use display::{display, whole_range};
pub use encoding::{Encoding, FrameValues, seen_range};
pub use grid::{BodyPlane, Grid};
pub use lines::{Fixed, Lines, SampleLine, StoredVoxels};
pub use math::Vec3;
pub use mpr::{Plane, Reformat, body_plane, native_plane, reformat};
pub use presets::Preset;
pub use project::{View, project};
pub use sample::Interpolation;
pub use series::{Finding, Series, SeriesVolume, Slice, SliceValues, Stack};
pub use slab::{Slab, SlabMode};
pub use voxels::{Rescale, Volume};

#[cfg(test)]
mod tests;
