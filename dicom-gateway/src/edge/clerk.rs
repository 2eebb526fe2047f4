//! The papers: manifests go to the centre, reports come back.

use super::client::{Ask, Connection, Content, LineError, json, read};
use super::{Shared, lock};
use archive::ArchiveError;
use archive::edge::spool::Untold;
use archive::edge::status::LineState;
use archive::edge::wire::{Completeness, Manifest, ReportWire};
use bytes::Bytes;
use hyper::Method;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Studies told in one round.
const STUDIES_MAX: u32 = 16;
/// Reports that are kept; the oldest files go.
const REPORT_FILES_MAX: usize = 1000;
/// Looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(60);
/// A report that the centre does not give is asked for again after this time.
const REPORT_AGAIN: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

struct Clerk {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    reports_at: Instant,
}

/// Works for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut clerk = Clerk {
        shared,
        connection: None,
        reports_at: Instant::now(),
    };
    let mut queue = clerk.shared.spool.changes();
    loop {
        let secret = clerk.shared.identity().await.secret;
        clerk.shared.line.up().await;
        queue.borrow_and_update();
        let begun = Instant::now();
        let done = match clerk.manifests(&secret).await {
            Ok(()) => clerk.reports(&secret).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {}
            Err(Failed::Line(error)) if error.is_line() => {
                clerk.connection = None;
                clerk.shared.line.failed(begun, &error.to_string());
            }
            Err(Failed::Line(error)) if error.is_shut_out() => {
                clerk.shared.line.shut_out(LineState::Refused, &error.to_string());
            }
            Err(error) => tracing::warn!(%error, "the centre was not told, or did not tell, everything"),
        }
        tokio::select! {
            _ = queue.changed() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

impl Clerk {
    async fn ask(
        &mut self,
        secret: &str,
        method: Method,
        path: String,
        content: Content,
    ) -> Result<Bytes, LineError> {
        let fresh = self.connection.take().filter(Connection::is_fresh);
        let mut connection = match fresh {
            Some(connection) => connection,
            None => self.shared.target.connect().await?,
        };
        let ask = Ask {
            method,
            path,
            headers: Vec::new(),
            content,
            timeout: TIMEOUT,
        };
        let answer = connection.ask(&self.shared.target, Some(secret), ask).await;
        if !answer.as_ref().is_err_and(LineError::is_line) {
            self.connection = Some(connection);
        }
        answer
    }

    async fn manifests(&mut self, secret: &str) -> Result<(), Failed> {
        for untold in self.shared.spool.untold(STUDIES_MAX).await? {
            let manifest = self.manifest(&untold).await?;
            let path = format!("/api/edge/studies/{}/manifest", untold.study_uid);
            let answer = self.ask(secret, Method::PUT, path, json(&manifest)).await?;
            let completeness: Completeness = read(&answer)?;
            tracing::debug!(?completeness, "the centre knows what belongs to a study");
            self.shared.spool.told(&untold).await?;
        }
        Ok(())
    }

    async fn manifest(&self, untold: &Untold) -> Result<Manifest, ArchiveError> {
        let objects = self.shared.spool.objects_of(&untold.study_uid).await?;
        Ok(Manifest {
            revision: untold.revision,
            closed: untold.closed,
            first_received_at: objects.iter().map(|o| o.2.0).min().unwrap_or(0),
            last_received_at: objects.iter().map(|o| o.2.0).max().unwrap_or(0),
            clock_offset_us: self.shared.line.clock_offset_us().unwrap_or(0),
            objects: objects
                .into_iter()
                .map(|(uid, digest, _)| (uid, digest.to_hex()))
                .collect(),
        })
    }

    /// Fetches issued reports that are not here.
    async fn reports(&mut self, secret: &str) -> Result<(), Failed> {
        if self.reports_at > Instant::now() {
            return Ok(());
        }
        let listed: Vec<ReportWire> = lock(&self.shared.lists).reports.clone();
        for report in listed {
            let path = path_of(&self.shared.config.reports_dir, &report.study_uid, report.version);
            if path.exists() {
                continue;
            }
            let from = format!(
                "/api/studies/{}/report.pdf?version={}",
                report.study_uid, report.version
            );
            match self.ask(secret, Method::GET, from, Content::Nothing).await {
                Ok(pdf) => keep(path, pdf).await?,
                Err(error) if error.is_line() => return Err(error.into()),
                Err(error) => {
                    // The centre may have been built without fonts, or has withdrawn the report.
                    tracing::warn!(%error, "a report could not be fetched");
                    self.reports_at = Instant::now() + REPORT_AGAIN;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Where a report is kept. UIDs are digits and dots only: checked when they are listed.
pub(super) fn path_of(folder: &Path, study_uid: &str, version: i64) -> PathBuf {
    folder.join(format!("{study_uid}-{version}.pdf"))
}

async fn keep(path: PathBuf, pdf: Bytes) -> Result<(), ArchiveError> {
    let write = move || {
        let part = path.with_extension("part");
        let done = std::fs::write(&part, &pdf)
            .and_then(|()| std::fs::File::open(&part)?.sync_all())
            .and_then(|()| std::fs::rename(&part, &path));
        done.map_err(|error| ArchiveError::io("write", &path, error))?;
        forget_oldest(path.parent().unwrap_or(&path));
        Ok(())
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(|_| ArchiveError::Closed)?
}

fn forget_oldest(folder: &Path) {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
        .collect();
    if files.len() <= REPORT_FILES_MAX {
        return;
    }
    files.sort();
    for (_, path) in files.iter().take(files.len() - REPORT_FILES_MAX) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, "an old report could not be removed");
        }
    }
}
