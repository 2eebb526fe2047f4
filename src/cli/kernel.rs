//! What `gongying bench` times; each command group makes its own.

use anyhow::Result;

/// A kernel with its input loaded, and how much one run does.
pub(super) struct Loaded {
    /// Work of one run, in `unit`.
    pub(super) work: f64,
    pub(super) unit: &'static str,
    pub(super) run: Box<dyn FnMut() -> Result<()> + Send>,
}
