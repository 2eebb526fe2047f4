//! The store and the index: check, rebuild, copy, bring back.

use super::Place;
use crate::output;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Problems shown; the counts tell of the rest.
const PROBLEMS_SHOWN_MAX: usize = 5;

#[derive(Args, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct Reindex {
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Folder to copy into; what it holds from an earlier backup is not copied again.
    into: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// Folder that `gongying admin backup` made.
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Verify {
    pub(super) async fn run(self) -> Result<()> {
        let report = self.place.open().await?.archive.verify_store().await?;
        let summary = format!("{} objects and {} results hashed", report.objects, report.derived);
        if report.is_intact() {
            return output::line(&format!(
                "the store is intact: {summary}, {} files without an index row",
                report.unindexed
            ));
        }
        let shown = report
            .problems
            .iter()
            .take(PROBLEMS_SHOWN_MAX)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        bail!(
            "the store is damaged: {summary}, {} missing, {} changed: {shown}",
            report.missing,
            report.changed
        )
    }
}

impl Reindex {
    pub(super) async fn run(self) -> Result<()> {
        let report = self.place.open().await?.archive.reindex().await?;
        output::line(&format!(
            "{} files read, {} taken into the index, {} damaged",
            report.files, report.adopted, report.damaged
        ))?;
        if report.damaged > 0 {
            bail!(
                "{} files could not be read; gongying admin verify names them",
                report.damaged
            );
        }
        Ok(())
    }
}

impl Backup {
    pub(super) async fn run(self) -> Result<()> {
        let node = self.place.open().await?;
        let report = node.archive.backup(&self.into).await?;
        output::line(&format!(
            "{} files ({} bytes) copied to {}, {} were there",
            report.files,
            report.bytes,
            self.into.display(),
            report.unchanged
        ))?;
        if !report.index {
            output::note("the index is a PostgreSQL database: back it up with pg_dump");
        }
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.place.config()?.place()?;
        let report =
            tokio::task::spawn_blocking(move || archive::admin::restore(&self.from, &config)).await??;
        output::line(&format!(
            "{} files ({} bytes) brought back; check with gongying admin verify",
            report.files, report.bytes
        ))
    }
}
