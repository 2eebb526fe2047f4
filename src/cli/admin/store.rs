//! The store and the index: check, rebuild, copy, bring back.

use super::Place;
use crate::output;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};

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

#[derive(Args, Debug)]
pub(crate) struct Rewrap {
    #[command(flatten)]
    place: Place,
}

/// Keys that stored objects are encrypted under.
#[derive(Subcommand, Debug)]
pub(crate) enum Key {
    /// Put a fresh key on top of a key file; the file is made when it is missing.
    #[command(after_help = "Example: gongying admin key create /etc/gongying/keys")]
    Create {
        /// The key file: what `[encryption] key_file` names.
        file: PathBuf,
    },
}

impl Key {
    pub(super) fn run(self) -> Result<()> {
        let Key::Create { file } = self;
        let known = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => bail!("{}: {error}", file.display()),
        };
        let fresh = file.with_extension("new");
        write_private(&fresh, &format!("{}{known}", archive::store::new_key_line()?))
            .and_then(|()| std::fs::rename(&fresh, &file))
            .with_context(|| format!("{}: the key file cannot be written", file.display()))?;
        output::line(&format!("{}: a fresh key is on top", file.display()))?;
        output::note("keep a copy at another place: without its key no object can be read");
        if !known.is_empty() {
            output::note("run gongying admin rewrap, then the older keys may go");
        }
        Ok(())
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl Rewrap {
    pub(super) async fn run(self) -> Result<()> {
        let report = self.place.open().await?.archive.rewrap().await?;
        output::line(&format!(
            "{} files under the current key now, {} were before, {} are not encrypted",
            report.renewed, report.current, report.plain
        ))?;
        if report.damaged > 0 {
            bail!(
                "{} files are damaged: {}",
                report.damaged,
                report.problems.join("; ")
            );
        }
        Ok(())
    }
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
            "the store is damaged: {summary}, {} missing, {} changed, {} unreadable: {shown}",
            report.missing,
            report.changed,
            report.unreadable
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
        if report.encrypted > 0 {
            output::note(&format!(
                "{} of the files are encrypted: keep their keys ([encryption] key_file) at another place, the backup does not hold them",
                report.encrypted
            ));
        }
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.place.config()?.place()?;
        let report = archive::admin::restore(&self.from, &config, &[&reading::MIGRATIONS]).await?;
        output::line(&format!(
            "{} files ({} bytes) brought back; check with gongying admin verify",
            report.files, report.bytes
        ))
    }
}
