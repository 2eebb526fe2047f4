//! What a reader may cost.

use crate::uid::{Encoding, TransferSyntaxUid};

/// Bounds of one parse. The defaults suit a receiving node: a few dozen MiB at the very worst
/// whatever the peer sends; [`Limits::in_memory`] suits code that holds the whole object anyway.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Nested sequences, counted from the data set root.
    pub depth_max: usize,
    /// A longer value is recorded as [`crate::Value::External`] and not kept.
    pub retain_value_bytes: u64,
    /// Sum of kept value bytes, counted apart for the root and for everything nested.
    pub retain_total_bytes: u64,
    /// Elements and items kept, counted apart for the root and for everything nested. What comes
    /// after is still checked for structure, and a warning says how much was left out.
    pub retain_elements: usize,
    /// Bytes of the data set as sent (before inflation).
    pub dataset_bytes_max: u64,
    /// Bytes a deflated data set may inflate to.
    pub inflated_bytes_max: u64,
    /// Fragments of encapsulated pixel data whose place is kept.
    pub fragments_max: usize,
    /// Bytes of a basic or extended offset table that are kept.
    pub offset_table_bytes_max: u64,
    /// Warnings kept.
    pub warnings_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            retain_value_bytes: 64 << 10,
            retain_total_bytes: 8 << 20,
            retain_elements: 150_000,
            dataset_bytes_max: 64 << 30,
            inflated_bytes_max: 2 << 30,
            fragments_max: 1 << 18,
            offset_table_bytes_max: 2 << 20,
            warnings_max: 64,
        }
    }
}

impl Limits {
    /// For an object in `syntax` whose values are wanted: [`Limits::in_memory`], but little of what is deflated, where
    /// a few kilobytes claim a gigabyte.
    pub fn of_object(syntax: &TransferSyntaxUid) -> Self {
        match syntax.kind() {
            Encoding::Deflated => Self {
                retain_value_bytes: 8 << 20,
                retain_total_bytes: 16 << 20,
                ..Self::default()
            },
            _ => Self::in_memory(),
        }
    }

    /// For an object that is in memory already: every value but top-level pixel data is kept
    /// (waveforms, look-up tables, overlays).
    pub fn in_memory() -> Self {
        Self {
            retain_value_bytes: 1 << 30,
            retain_total_bytes: 1 << 30,
            retain_elements: 4_000_000,
            fragments_max: 1 << 22,
            offset_table_bytes_max: 32 << 20,
            ..Self::default()
        }
    }
}
