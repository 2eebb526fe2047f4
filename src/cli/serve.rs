//! `gongying serve`: a centre node as its configuration file says.

use crate::config::Config;
use crate::node::{Node, start_log};
use crate::output;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Run a centre node: DICOM, pages and jobs, as the roles in the configuration say.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying serve --config node.toml\n\nconfig.example.toml documents every key."
)]
pub(crate) struct Serve {
    /// Configuration file; GONGYING_* environment variables override it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> Result<()> {
        let config = Config::load(Some(&self.config))?;
        start_log(&config.log);
        super::block_on(async {
            let node = Node::open(config).await?;
            let running = node.start().await?;
            let shown = |name: &str, address: Option<std::net::SocketAddr>| {
                address.map(|a| format!(" {name}={a}")).unwrap_or_default()
            };
            output::line(&format!(
                "READY{}{}",
                shown("http", running.http),
                shown("dicom", running.dicom)
            ))?;
            running.until_stopped().await
        })
    }
}
