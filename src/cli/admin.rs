//! `gongying admin`: what an operator does without a page. Every command works on the index itself; where two processes
//! may share it (SQLite in WAL mode, PostgreSQL), the node may keep running.

mod audit;
mod community;
mod device;
mod import;
mod outbox;
mod peers;
mod retention;
mod store;

use crate::config::Config;
use crate::node::Node;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Institutions, users, devices, tokens; other nodes, the outbox; verify, reindex, back up, audit.
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
    Device(device::Device),
    /// Bearer tokens of machines.
    #[command(subcommand)]
    Token(community::Token),
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// What is to be sent on to other nodes.
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// Rules for sending on.
    #[command(subcommand)]
    Route(outbox::RouteCommand),
    /// Ask whether another DICOM node answers (C-ECHO).
    #[command(after_help = "Example: gongying admin echo OLD_PACS --config node.toml")]
    Echo(peers::Echo),
    /// List studies that another DICOM node holds (C-FIND), such as earlier exams in an old archive.
    #[command(
        after_help = "Example: gongying admin query OLD_PACS --patient P0042 --date 20200101-20261231 --config node.toml"
    )]
    Query(peers::Query),
    /// Fetch a study from another DICOM node into this archive (C-GET, or C-MOVE).
    #[command(
        after_help = "Example: gongying admin retrieve OLD_PACS --study 1.2.840.113619.2.55.3 --config node.toml\n\nWhat is fetched is not sent on by [[route]] rules, except with --move, where the running node receives it."
    )]
    Retrieve(peers::Retrieve),
    /// Hash every object again and compare index and store.
    #[command(after_help = "Example: gongying admin verify --data ./data")]
    Verify(store::Verify),
    /// Rebuild the index from the store.
    #[command(after_help = "Example: gongying admin reindex --config node.toml")]
    Reindex(store::Reindex),
    /// Copy index, objects and keys into a folder, consistently, while the node runs.
    #[command(after_help = "Example: gongying admin backup /backup/2026-11-21 --config node.toml")]
    Backup(store::Backup),
    /// Take in a folder, a ZIP file or a medium with a DICOMDIR; a second run goes on where the first ended.
    #[command(
        after_help = "Example: gongying admin import /media/cdrom/DICOMDIR --institution HEXI --report result.csv --config node.toml"
    )]
    Import(import::Import),
    /// Legal holds: what must stay, whatever its age.
    #[command(subcommand)]
    Hold(retention::Hold),
    Purge(retention::Purge),
    /// Bring a backup back into an empty place.
    #[command(after_help = "Example: gongying admin restore /backup/2026-11-21 --config node.toml")]
    Restore(store::Restore),
    /// Keys that stored objects are encrypted under.
    #[command(subcommand)]
    Key(store::Key),
    /// Wrap the keys of all encrypted objects by the first key of the key file.
    #[command(after_help = "Example: gongying admin rewrap --config node.toml")]
    Rewrap(store::Rewrap),
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
                Admin::Audit(command) => command.run().await,
                Admin::Outbox(command) => command.run().await,
                Admin::Route(command) => command.run().await,
                Admin::Echo(command) => command.run().await,
                Admin::Query(command) => command.run().await,
                Admin::Retrieve(command) => command.run().await,
                Admin::Verify(command) => command.run().await,
                Admin::Reindex(command) => command.run().await,
                Admin::Backup(command) => command.run().await,
                Admin::Import(command) => command.run().await,
                Admin::Hold(command) => command.run().await,
                Admin::Purge(command) => command.run().await,
                Admin::Restore(command) => command.run().await,
                Admin::Key(command) => command.run(),
                Admin::Rewrap(command) => command.run().await,
            }
        })
    }
}

/// A field of a CSV file (RFC 4180): quoted when it must be.
fn csv(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_quoted_when_they_must_be() {
        for (text, field) in [
            ("a/b.dcm", "a/b.dcm"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(super::csv(text), field);
        }
    }
}
