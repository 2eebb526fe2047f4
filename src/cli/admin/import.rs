//! Taking in what stands on disks and media: a folder, a ZIP file, a DICOMDIR.

use super::Place;
use crate::node::Node;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::InstitutionId;
use archive::import::{ImportNews, ImportOptions, ImportStatus, ImportSummary, ImportedFile};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Files that were not kept, named on standard error at most; the report has them all.
const NAMED_MAX: u64 = 20;

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Folder (searched to the bottom), ZIP file or DICOMDIR.
    source: PathBuf,
    /// Code of the institution whose studies these are; may be left away when there is only one.
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Files at once, 1 to 64.
    #[arg(long, default_value_t = 8, value_name = "N")]
    jobs: usize,
    /// Write the result of each file as CSV.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Try again what an earlier run refused.
    #[arg(long)]
    retry: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Import {
    pub(super) async fn run(self) -> Result<()> {
        // Before anything else: a mistyped source should not open an archive.
        archive::import::source_kind(&self.source)?;
        let node = self.place.open().await?;
        let institution_id = institution(&node, self.institution.as_deref()).await?;
        let mut report = self.report.as_ref().map(Report::create).transpose()?;
        let bar = progress();
        let options = ImportOptions {
            source: self.source.clone(),
            institution_id,
            user: "import".to_owned(),
            workers: self.jobs.clamp(1, archive::import::WORKERS_MAX),
            retry_refused: self.retry,
        };
        let mut named = 0;
        let imported = node.archive.import(options, |news| match news {
            ImportNews::Found(count) => bar.inc_length(count),
            ImportNews::File(file) => {
                bar.inc(1);
                if let Some(report) = &mut report {
                    report.write(&file);
                }
                if matches!(file.status, ImportStatus::Refused | ImportStatus::Failed) {
                    named += 1;
                    if named <= NAMED_MAX {
                        bar.suspend(|| output::note(&line(&file)));
                    }
                }
            }
        });
        let imported = imported.await;
        let elapsed = bar.elapsed();
        bar.finish_and_clear();
        // Also when the import ended early: what was done stands in it.
        report.map(Report::close).transpose()?;
        node.archive.close().await?;
        self.conclude(&imported?, elapsed)
    }

    fn conclude(&self, summary: &ImportSummary, elapsed: Duration) -> Result<()> {
        for remark in &summary.remarks {
            output::note(remark);
        }
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let rate = summary.stored as f64 / seconds;
        if self.json {
            output::json(
                None,
                &serde_json::json!({
                    "stored": summary.stored,
                    "duplicate": summary.duplicate,
                    "refused": summary.refused,
                    "failed": summary.failed,
                    "ecg_other_format": summary.other_ecg,
                    "not_dicom": summary.not_dicom,
                    "known_from_earlier_run": summary.known,
                    "stored_bytes": summary.stored_bytes,
                    "seconds": seconds,
                    "stored_per_second": rate,
                    "remarks": summary.remarks,
                }),
            )?;
        } else {
            output::line(&format!(
                "{} stored ({:.1} MB), {} there before, {} refused, {} failed, {} ECGs of other formats, {} no DICOM; {seconds:.1} s, {rate:.0} objects/s",
                summary.stored,
                summary.stored_bytes as f64 / 1e6,
                summary.duplicate,
                summary.refused,
                summary.failed,
                summary.other_ecg,
                summary.not_dicom
            ))?;
        }
        if summary.refused + summary.failed > 0 {
            bail!(
                "{} DICOM files were not kept; see the lines above or --report",
                summary.refused + summary.failed
            );
        }
        Ok(())
    }
}

async fn institution(node: &Node, code: Option<&str>) -> Result<InstitutionId> {
    let institutions = node.archive.institutions();
    if let Some(code) = code {
        let found = institutions.by_code(code).await;
        let found =
            found.with_context(|| format!("institution {code}: see gongying admin institution list"))?;
        return Ok(found.id);
    }
    let all = institutions.list().await?;
    match all.as_slice() {
        [one] => Ok(one.id),
        [] => bail!("there is no institution yet; create one with gongying admin institution create"),
        many => {
            let codes: Vec<&str> = many.iter().map(|i| i.code.as_str()).collect();
            bail!(
                "whose studies are these? Say --institution with one of: {}",
                codes.join(", ")
            )
        }
    }
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} files  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn line(file: &ImportedFile) -> String {
    let reason = file.reason.as_deref().unwrap_or("no reason given");
    format!("{}: {}: {reason}", file.name, file.status.as_str())
}

/// One line for each file (RFC 4180).
struct Report {
    path: PathBuf,
    out: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Report {
    fn create(path: &PathBuf) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        let mut report = Report {
            path: path.clone(),
            out: BufWriter::new(file),
            failed: None,
        };
        report.row("file,status,sop_instance_uid,study_uid,bytes,reason\r\n");
        Ok(report)
    }

    fn row(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(text.as_bytes()).err();
        }
    }

    fn write(&mut self, file: &ImportedFile) {
        let row = [
            super::csv(&file.name),
            file.status.as_str().to_owned(),
            file.sop_instance_uid.clone().unwrap_or_default(),
            file.study_uid.clone().unwrap_or_default(),
            file.size_bytes.to_string(),
            super::csv(file.reason.as_deref().unwrap_or_default()),
        ];
        self.row(&format!("{}\r\n", row.join(",")));
    }

    fn close(mut self) -> Result<()> {
        let written = match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        };
        written.with_context(|| format!("{}: the report could not be written", self.path.display()))
    }
}
