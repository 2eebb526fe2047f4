//! The audit trail: is it whole, and what does it say.

use super::Place;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::audit::AuditFilter;
use clap::Subcommand;
use std::io::Write;
use std::path::PathBuf;

/// Rows taken from the index at once.
const PAGE_ROWS: u32 = 1000;
/// Problems shown; the count tells of the rest.
const PROBLEMS_SHOWN_MAX: usize = 5;

#[derive(Subcommand, Debug)]
pub(crate) enum Audit {
    /// Check the chain: every row, its order, and that none was cut off. Exit code 1 when it is broken.
    #[command(after_help = "Example: gongying admin audit verify --data ./data")]
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Write all rows as JSON lines, newest first.
    #[command(after_help = "Example: gongying admin audit export --config node.toml -o audit.jsonl")]
    Export {
        #[command(flatten)]
        place: Place,
        /// File to write; standard output when missing.
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
    },
}

impl Audit {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Audit::Verify { place } => {
                let report = place.open().await?.archive.verify_audit().await?;
                if report.is_intact() {
                    return output::line(&format!("the audit trail is intact: {} rows", report.rows));
                }
                let shown = report
                    .problems
                    .iter()
                    .take(PROBLEMS_SHOWN_MAX)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("; ");
                bail!(
                    "the audit trail is broken, {} problem(s) in {} rows: {shown}",
                    report.problem_count,
                    report.rows
                )
            }
            Audit::Export { place, o } => {
                let node = place.open().await?;
                let mut out: Box<dyn Write> = match &o {
                    Some(path) => Box::new(std::io::BufWriter::new(
                        std::fs::File::create(path)
                            .with_context(|| format!("{}: cannot be written", path.display()))?,
                    )),
                    None => Box::new(std::io::stdout().lock()),
                };
                let mut cursor = None;
                loop {
                    let page = node
                        .archive
                        .audit()
                        .search(&AuditFilter::default(), PAGE_ROWS, cursor)
                        .await?;
                    for row in &page.rows {
                        writeln!(out, "{}", serde_json::to_string(row)?)?;
                    }
                    cursor = page.next;
                    if cursor.is_none() {
                        return Ok(out.flush()?);
                    }
                }
            }
        }
    }
}
