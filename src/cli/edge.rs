//! `gongying edge`: a township node as its configuration file says.

use crate::config::Config;
use crate::edge;
use crate::node::start_log;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Run a township node: devices send to it as to the centre; what it takes is kept safely and goes to the centre as the
/// line allows, urgent first. Worklist, reports and rejects come back.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying edge --config edge.toml\n\nAt the centre: gongying admin edge enrol --institution HEXI --config node.toml\nconfig.example.toml documents every key of [edge]."
)]
pub(crate) struct Edge {
    /// Configuration file; GONGYING_* environment variables override it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Edge {
    pub(super) fn run(self) -> Result<()> {
        let config = Config::load(Some(&self.config))?;
        start_log(&config.log);
        super::block_on(edge::run(config))
    }
}
