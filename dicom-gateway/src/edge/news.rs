//! What comes down from the centre: devices, waiting exams, the lists of reports and rejects.

use super::client::{Ask, Connection, Content, LineError, read};
use super::{Shared, lock};
use archive::edge::Spool;
use archive::edge::status::LineState;
use archive::edge::wire::{News, RejectWire, ReportWire};
use archive::{ArchiveError, UnixMicros};
use hyper::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The centre holds the question for this time when nothing is new.
const WAIT_S: u64 = 25;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after an answer that made no sense.
const PAUSE: Duration = Duration::from_secs(5);
const REPORTS: &str = "edge.reports";
const REJECTS: &str = "edge.rejects";
/// Longest UID (PS3.5, VR UI).
const UID_CHARS_MAX: usize = 64;

/// What the centre told, and under which marks.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) reports: Vec<ReportWire>,
    pub(super) rejects: Vec<RejectWire>,
    marks: [String; 4],
}

impl Lists {
    /// As the last run knew them.
    pub(super) async fn load(spool: &Spool) -> Result<Self, ArchiveError> {
        // Lists in a form of another version are told anew.
        let read = |text: Option<String>| text.unwrap_or_else(|| "[]".to_owned());
        Ok(Self {
            reports: serde_json::from_str(&read(spool.setting(REPORTS).await?)).unwrap_or_default(),
            rejects: serde_json::from_str(&read(spool.setting(REJECTS).await?)).unwrap_or_default(),
            marks: Default::default(),
        })
    }
}

/// Listens for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut connection = None;
    loop {
        let identity = shared.identity().await;
        shared.line.up().await;
        let begun = Instant::now();
        match listen(&shared, &mut connection, &identity.secret).await {
            Ok(news) => {
                if let Err(error) = apply(&shared, identity.institution_id, news).await {
                    tracing::warn!(%error, "news of the centre could not be kept");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Err(error) => {
                connection = None;
                if error.is_line() {
                    shared.line.failed(begun, &error.to_string());
                } else if error.is_shut_out() {
                    shared.line.shut_out(LineState::Refused, &error.to_string());
                } else {
                    tracing::warn!(%error, "news of the centre could not be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn listen(
    shared: &Shared,
    connection: &mut Option<Connection>,
    secret: &str,
) -> Result<News, LineError> {
    let [devices, orders, reports, rejects] = lock(&shared.lists).marks.clone();
    let ask = Ask {
        method: Method::GET,
        path: format!(
            "/api/edge/news?devices={devices}&orders={orders}&reports={reports}&rejects={rejects}&wait={WAIT_S}"
        ),
        headers: Vec::new(),
        content: Content::Nothing,
        timeout: TIMEOUT,
    };
    let mut open = match connection.take().filter(Connection::is_fresh) {
        Some(open) => open,
        None => shared.target.connect().await?,
    };
    let answer = open.ask(&shared.target, Some(secret), ask).await?;
    *connection = Some(open);
    shared.line.answered();
    read(&answer)
}

fn is_uid(text: &str) -> bool {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (1..=UID_CHARS_MAX).contains(&text.len()) && digits
}

async fn apply(shared: &Shared, institution: archive::InstitutionId, news: News) -> Result<(), ArchiveError> {
    let asked = UnixMicros::now();
    tracing::trace!(behind_us = news.now - asked.0, "news of the centre");
    let mirror = shared.archive.mirror();
    if let Some(devices) = news.devices {
        mirror.devices(institution, &devices.items).await?;
        lock(&shared.lists).marks[0] = devices.mark;
    }
    if let Some(orders) = news.orders {
        mirror.orders(institution, orders.items).await?;
        lock(&shared.lists).marks[1] = orders.mark;
    }
    if let Some(mut reports) = news.reports {
        reports.items.retain(|report| is_uid(&report.study_uid));
        let text = serde_json::to_string(&reports.items).unwrap_or_default();
        shared.spool.set(REPORTS, &text).await?;
        let mut lists = lock(&shared.lists);
        lists.marks[2] = reports.mark;
        lists.reports = reports.items;
    }
    if let Some(rejects) = news.rejects {
        let text = serde_json::to_string(&rejects.items).unwrap_or_default();
        shared.spool.set(REJECTS, &text).await?;
        let mut lists = lock(&shared.lists);
        let known = lists.rejects.len();
        lists.marks[3] = rejects.mark;
        lists.rejects = rejects.items;
        if lists.rejects.len() > known {
            tracing::warn!("a study came back for its quality; see the status page");
        }
    }
    Ok(())
}
