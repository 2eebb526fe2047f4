//! `gongying send`: a fast C-STORE sender with a progress bar and a result for each file.

mod journal;

use crate::output;
use anyhow::{Result, bail};
use clap::Args;
use dataset::AeTitle;
use dicom_gateway::scu::{self, Destination, FileResult, Outcome, SendOptions};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Files taken at once; more are better sent folder by folder.
const FILES_MAX: usize = 2_000_000;

/// Send DICOM files to a node by C-STORE, as they are.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying send --to 127.0.0.1:11112 --aet JUDGE folder/ image.dcm\n\nGoing on after an interruption, under TLS:\n  gongying send --to pacs.example:2762 --aet HEXI --tls county-ca.pem --journal sent.jsonl folder/"
)]
pub(crate) struct Send {
    /// Address and DICOM port of the node.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Our AE title; the node has to know it.
    #[arg(long, value_name = "AE")]
    aet: String,
    /// AE title of the node.
    #[arg(long, value_name = "AE", default_value = "GONGYING")]
    aec: String,
    /// Associations at once, 1 to 64.
    #[arg(long, default_value_t = 4)]
    associations: usize,
    /// Seconds that any single wait may take.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// DICOM over TLS; trusts the certificates in this PEM file.
    #[arg(long, value_name = "CA_FILE")]
    tls: Option<PathBuf>,
    /// Our certificate chain (PEM), for nodes that want one.
    #[arg(long, value_name = "FILE", requires = "tls", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of our certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name that the node's certificate carries, when it is not the host.
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Option<String>,
    /// Notes each acknowledged file here, and passes over those that are noted already.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// One JSON object for each file instead of text.
    #[arg(long)]
    json: bool,
    /// Files and folders; folders are searched to the bottom.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    sop_instance_uid: Option<&'a str>,
    result: &'static str,
    status: Option<String>,
    reason: Option<&'a str>,
    bytes: u64,
    ms: f64,
}

impl Send {
    pub(super) fn run(self) -> Result<()> {
        let mut files = expand(&self.files)?;
        let to = self.destination()?;
        let mut journal = self.journal(&to)?;
        if let Some(journal) = &journal {
            let before = files.len();
            files.retain(|file| !journal.has(file));
            output::note(&format!(
                "{} of {before} files were acknowledged before",
                before - files.len()
            ));
        }
        let options = SendOptions {
            to,
            associations: self.associations.clamp(1, 64),
            timeout: Duration::from_secs(self.timeout.max(1)),
        };
        let bar = progress(files.len());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut printed = Ok(());
        let sent = runtime.block_on(scu::send(files, &options, |result| {
            bar.inc(1);
            if let (Some(journal), true) = (&mut journal, result.outcome.is_stored()) {
                let noted = journal.note(&result.path);
                if printed.is_ok() {
                    printed = noted;
                }
            }
            if self.json || !result.outcome.is_stored() {
                let line = if self.json {
                    json_line(&result)
                } else {
                    Ok(text_line(&result))
                };
                let written = line.and_then(|line| bar.suspend(|| output::line(&line)));
                if printed.is_ok() {
                    printed = written;
                }
            }
        }));
        let summary = sent?;
        printed?;
        let seconds = bar.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let megabytes = summary.bytes as f64 / 1e6;
        output::note(&format!(
            "{} stored, {} not stored, {megabytes:.1} MB in {seconds:.1} s ({:.1} MB/s)",
            summary.stored,
            summary.failed,
            megabytes / seconds.max(1e-3)
        ));
        if summary.failed > 0 {
            bail!(
                "{} of {} files were not stored; see the lines above",
                summary.failed,
                summary.failed + summary.stored
            );
        }
        Ok(())
    }
}

impl Send {
    fn destination(&self) -> Result<Destination> {
        let mut to = destination(&self.to, &self.aet, &self.aec)?;
        if let Some(authority) = &self.tls {
            let own = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
            to.tls = Some(crate::tls_client::client(authority, own, self.tls_name.clone())?);
        }
        Ok(to)
    }

    fn journal(&self, to: &Destination) -> Result<Option<journal::Journal>> {
        let Some(path) = &self.journal else {
            return Ok(None);
        };
        let to = format!("{}/{}", to.address(), to.called.as_str());
        journal::Journal::open(path, to).map(Some)
    }
}

/// Reads `HOST:PORT` and both AE titles.
pub(super) fn destination(to: &str, calling: &str, called: &str) -> Result<Destination> {
    let ae = |text: &str| AeTitle::parse(text).map_err(|e| anyhow::anyhow!("AE title {text:?}: {e}"));
    match Destination::parse(to, ae(called)?, ae(calling)?) {
        Some(to) => Ok(to),
        None => bail!("--to {to}: write HOST:PORT, for example 127.0.0.1:11112"),
    }
}

/// The files themselves and everything below folders, in the order of names.
fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
            if files.len() > FILES_MAX {
                bail!("more than {FILES_MAX} files: send them folder by folder");
            }
        }
    }
    if files.is_empty() {
        bail!("no files in what was named");
    }
    Ok(files)
}

fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} files  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Result word, status and reason of one file.
fn parts(outcome: &Outcome) -> (&'static str, Option<u16>, Option<&str>) {
    match outcome {
        Outcome::Stored => ("stored", Some(0), None),
        Outcome::StoredWithWarning(status) => ("stored with a warning", Some(*status), None),
        Outcome::Refused { status, comment } => ("refused", Some(*status), comment.as_deref()),
        Outcome::Failed(reason) => ("failed", None, Some(reason)),
    }
}

fn text_line(result: &FileResult) -> String {
    let (word, status, reason) = parts(&result.outcome);
    let status = status.map(|s| format!(" 0x{s:04X}")).unwrap_or_default();
    let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
    format!("{}: {word}{status}{reason}", result.path.display())
}

fn json_line(result: &FileResult) -> Result<String> {
    let (word, status, reason) = parts(&result.outcome);
    Ok(serde_json::to_string(&Line {
        file: result.path.display().to_string(),
        sop_instance_uid: result.sop_instance_uid.as_deref(),
        result: word,
        status: status.map(|s| format!("0x{s:04X}")),
        reason,
        bytes: result.bytes,
        ms: result.elapsed.as_secs_f64() * 1000.0,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let check = |to: &str, expected: Option<(&str, u16)>| {
            let got = destination(to, "A", "B").ok();
            assert_eq!(got.as_ref().map(|d| (d.host.as_str(), d.port)), expected, "{to}");
        };
        check("127.0.0.1:104", Some(("127.0.0.1", 104)));
        check("[::1]:11112", Some(("::1", 11112)));
        check("pacs.example", None);
        check("pacs.example:dicom", None);
        assert!(destination("a:1", "TOO_LONG_AN_AE_TITLE", "B").is_err());
    }

    #[test]
    fn folders_are_searched_and_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(expand(&[folder.path().to_path_buf()]).is_err());
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/a.dcm"), b"a").unwrap();
        std::fs::write(folder.path().join("b.dcm"), b"b").unwrap();
        let names: Vec<_> = expand(&[folder.path().to_path_buf()]).unwrap();
        assert_eq!(names.len(), 2);
    }
}
