//! `gongying admin`: what an operator does without a page. Every command works on the index itself; where two processes
//! may share it (SQLite in WAL mode, PostgreSQL), the node may keep running.

mod audit;
mod community;
mod edge;
mod store;

use crate::config::Config;
use crate::node::Node;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Institutions, users, devices, tokens, township nodes; verify, reindex, back up, audit.
#[derive(Subcommand, Debug)]
pub(crate) enum Admin {
    /// Institutions of the community.
    #[command(subcommand)]
    Institution(community::Institution),
    /// Accounts of people.
    #[command(subcommand)]
    User(community::User),
    /// DICOM devices that may connect.
    #[command(subcommand)]
    Device(community::Device),
    /// Bearer tokens of machines.
    #[command(subcommand)]
    Token(community::Token),
    /// Township nodes.
    #[command(subcommand)]
    Edge(edge::Edge),
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Hash every object again and compare index and store.
    #[command(after_help = "Example: gongying admin verify --data ./data")]
    Verify(store::Verify),
    /// Rebuild the index from the store.
    #[command(after_help = "Example: gongying admin reindex --config node.toml")]
    Reindex(store::Reindex),
    /// Copy index, objects and keys into a folder, consistently, while the node runs.
    #[command(after_help = "Example: gongying admin backup /backup/2026-11-21 --config node.toml")]
    Backup(store::Backup),
    /// Bring a backup back into an empty place.
    #[command(after_help = "Example: gongying admin restore /backup/2026-11-21 --config node.toml")]
    Restore(store::Restore),
}

/// Which node: its configuration file, or the folder of a demonstration.
#[derive(Args, Debug, Clone)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// Folder of a demonstration.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file of a node.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    pub(crate) fn config(&self) -> Result<Config> {
        let Some(data) = &self.data else {
            return Config::load(self.config.as_deref());
        };
        if !data.is_dir() {
            bail!(
                "{}: no such folder; name the --data folder of the demonstration",
                data.display()
            );
        }
        let unused = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Config::demo(data, unused, unused))
    }

    async fn open(&self) -> Result<Node> {
        Node::open_beside(self.config()?).await
    }
}

impl Admin {
    pub(super) fn run(self) -> Result<()> {
        super::block_on(async {
            match self {
                Admin::Institution(command) => command.run().await,
                Admin::User(command) => command.run().await,
                Admin::Device(command) => command.run().await,
                Admin::Token(command) => command.run().await,
                Admin::Edge(command) => command.run().await,
                Admin::Audit(command) => command.run().await,
                Admin::Verify(command) => command.run().await,
                Admin::Reindex(command) => command.run().await,
                Admin::Backup(command) => command.run().await,
                Admin::Restore(command) => command.run().await,
            }
        })
    }
}
