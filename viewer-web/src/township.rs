//! The status page of a township node, on the node itself: queue, line, rejects, reports; Chinese first.
//!
//! It shows no names. The PDFs of reports are opened on the machine itself, or elsewhere with the page's password.

use crate::http::client::ClientAddress;
use crate::http::guard;
use crate::session::cookie::bearer_token;
use archive::UnixMicros;
use archive::edge::QueueClass;
use archive::edge::status::{LineState, NodeStatus};
use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// China has one time zone.
const CHINA_OFFSET_MICROS: i64 = 8 * 3600 * 1_000_000;
/// Rows of a table on the page.
const ROWS_MAX: usize = 50;

/// What a node tells about itself.
pub trait Township: Send + Sync {
    /// How it is now; none when its index does not answer.
    fn status(&self) -> Pin<Box<dyn Future<Output = Option<NodeStatus>> + Send + '_>>;
    /// PDF of a report that it keeps.
    fn report(
        &self,
        study_uid: String,
        version: i64,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + '_>>;
    /// Whether it can take objects.
    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    /// Metrics of this process as Prometheus text.
    fn metrics(&self) -> String;
}

/// Who may see what from elsewhere than this machine.
#[derive(Clone, Debug, Default)]
pub struct TownshipAccess {
    /// Bearer token that opens `/metrics`.
    pub metrics_token: Option<String>,
    /// Password (with any user name) that opens the PDFs of reports.
    pub page_password: Option<String>,
}

#[derive(Clone)]
struct Page {
    township: Arc<dyn Township>,
    access: Arc<TownshipAccess>,
}

/// The pages of a township node; serve it with [`crate::serve`].
pub fn router(township: Arc<dyn Township>, access: TownshipAccess) -> Router {
    let page = Page {
        township,
        access: Arc::new(access),
    };
    Router::new()
        .route("/", get(overview))
        .route("/api/status", get(status))
        .route("/reports/{study}/{version}", get(report))
        .route(
            "/healthz",
            get(|| async { axum::Json(serde_json::json!({"status": "ok"})) }),
        )
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(page)
        .layer(middleware::from_fn(guard::deadline))
        .layer(middleware::from_fn(guard::refuse_early))
        .layer(middleware::from_fn(guard::safety_headers))
        .layer(middleware::from_fn(crate::telemetry::measure))
}

fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    ClientAddress::of(Some(peer), headers, false).is_local
}

/// Compares digests, so that the time taken tells nothing of the secret.
fn same(wanted: &str, given: &str) -> bool {
    Sha256::digest(wanted.as_bytes()) == Sha256::digest(given.as_bytes())
}

async fn status(State(page): State<Page>) -> Response {
    match page.township.status().await {
        Some(status) => axum::Json(status).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn ready(State(page): State<Page>) -> Response {
    let (status, word) = match page.township.is_ready().await {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    (status, axum::Json(serde_json::json!({"status": word}))).into_response()
}

async fn metrics(
    State(page): State<Page>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let may = match (&page.access.metrics_token, bearer_token(&headers)) {
        (Some(wanted), Some(given)) => same(wanted, given),
        _ => is_local(peer, &headers),
    };
    match may {
        true => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            page.township.metrics(),
        )
            .into_response(),
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The password of `Authorization: Basic`.
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let coded = text.strip_prefix("Basic ")?;
    let plain = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    plain.split_once(':').map(|(_, password)| password.to_owned())
}

async fn report(
    State(page): State<Page>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((study, version)): Path<(String, String)>,
    request: Request,
) -> Response {
    let headers = request.headers();
    let may = match (&page.access.page_password, basic_password(headers)) {
        (Some(wanted), Some(given)) => same(wanted, &given),
        _ => is_local(peer, headers),
    };
    if !may {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        let ask = HeaderValue::from_static("Basic realm=\"Gongying\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        return response;
    }
    let number = version.strip_suffix(".pdf").and_then(|v| v.parse::<i64>().ok());
    let plausible = study.len() <= 64 && study.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let found = match number.filter(|_| plausible) {
        Some(version) => page.township.report(study, version).await,
        None => None,
    };
    match found {
        Some(pdf) => ([(header::CONTENT_TYPE, "application/pdf")], pdf).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn overview(State(page): State<Page>) -> Response {
    match page.township.status().await {
        Some(status) => Html(html(&status)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "本地索引无响应，请检查磁盘。\n").into_response(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Wall clock in China.
fn clock(at: UnixMicros) -> String {
    let text = UnixMicros(at.0.saturating_add(CHINA_OFFSET_MICROS)).to_iso8601();
    text.get(..19).unwrap_or_default().replace('T', " ")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn line_words(status: &NodeStatus) -> (&'static str, &'static str) {
    match status.line {
        LineState::Up => ("good", "线路正常 · connected"),
        LineState::Down => ("bad", "线路中断，恢复后自动续传 · line down"),
        LineState::NotEnrolled => ("bad", "尚未登记 · not enrolled"),
        LineState::Refused => ("bad", "中心已停用本节点 · shut out by the centre"),
    }
}

fn class_words(class: QueueClass) -> &'static str {
    match class {
        QueueClass::Stat => "急诊 STAT",
        QueueClass::Ecg => "心电 ECG",
        QueueClass::Small => "小对象 small",
        QueueClass::Bulk => "影像 bulk",
    }
}

const STYLE: &str = "body{font:15px/1.5 'Noto Sans SC','Microsoft YaHei',sans-serif;margin:24px auto;max-width:960px;\
    padding:0 16px;color:#1a2330;background:#fff}h1{font-size:22px}h2{font-size:17px;margin-top:28px}\
    table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d5dbe3;padding:6px 10px;text-align:left}\
    .good{color:#0a6b3d}.bad{color:#b3261e;font-weight:600}.quiet{color:#5a6675}";

fn html(status: &NodeStatus) -> String {
    let mut out = String::new();
    let (kind, words) = line_words(status);
    let name = status.institution.as_deref().unwrap_or("共影");
    let _ = write!(
        out,
        "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"10\"><title>{0} 上传节点</title>\
         <style>{STYLE}</style><main><h1>{0} 上传节点</h1><p class=\"{kind}\">{words}</p>",
        escaped(name)
    );
    facts(&mut out, status);
    ecgs(&mut out, status);
    queue(&mut out, status);
    lists(&mut out, status);
    out.push_str("</main></html>");
    out
}

fn facts(out: &mut String, status: &NodeStatus) {
    let contact = status.last_contact_at.map_or_else(|| "—".to_owned(), clock);
    let offset = status
        .clock_offset_us
        .map_or_else(|| "—".to_owned(), |us| format!("{:+.1} s", us as f64 / 1e6));
    let limit = status
        .limit_kbps
        .map_or_else(|| "不限 · unlimited".to_owned(), |kbps| format!("{kbps} kbit/s"));
    let node = status.node.as_deref().unwrap_or("—");
    let space = format!(
        "{} / {}",
        megabytes(status.spool_bytes),
        megabytes(status.spool_bytes_max)
    );
    let sent = format!(
        "{} · {} → {}",
        status.sent_objects,
        megabytes(status.sent_bytes),
        megabytes(status.travelled_bytes)
    );
    out.push_str("<table>");
    for (name, value) in [
        ("节点 node", node),
        ("中心 centre", &status.centre_url),
        ("最近联系 last contact", &contact),
        ("与中心时钟差 clock offset", &offset),
        ("带宽上限 limit", &limit),
        ("本地暂存 spool", &space),
        ("本次启动已上传 sent", &sent),
        ("版本 version", &status.version),
    ] {
        let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", escaped(value));
    }
    out.push_str("</table>");
    if status.spool_bytes >= status.spool_bytes_max {
        out.push_str("<p class=\"bad\">暂存空间已满，设备暂时不能发送；请恢复线路或增大 spool_max_gb。</p>");
    }
    if let Some(error) = &status.line_error {
        let _ = write!(out, "<p class=\"quiet\">{}</p>", escaped(error));
    }
}

/// The newest recordings first: whether to take one again is decided while the patient is there.
fn ecgs(out: &mut String, status: &NodeStatus) {
    if status.ecgs.is_empty() {
        return;
    }
    out.push_str("<h2>心电采集质量 ECG quality</h2><table><tr><th>时间</th><th>设备</th><th>检查号</th><th>结论</th><th>原因与处理</th></tr>");
    for word in status.ecgs.iter().take(ROWS_MAX) {
        let (kind, verdict) = match word.verdict.as_str() {
            "ok" => ("good", "采集合格 ok"),
            "repeat_advised" => ("bad", "建议重采 repeat advised"),
            _ => ("bad", "不可用 unusable"),
        };
        let reasons: Vec<&str> = word.reasons.iter().map(|(zh, _)| zh.as_str()).collect();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{kind}\">{verdict}</td><td>{}</td></tr>",
            clock(word.received_at),
            escaped(&word.sender),
            escaped(word.accession_number.as_deref().unwrap_or("—")),
            escaped(&reasons.join("；"))
        );
    }
    out.push_str("</table>");
}

fn queue(out: &mut String, status: &NodeStatus) {
    out.push_str(
        "<h2>待上传 Queue</h2><table><tr><th>优先级</th><th>对象</th><th>大小</th><th>最早</th></tr>",
    );
    for count in &status.queue {
        let oldest = count.oldest.map_or_else(|| "—".to_owned(), clock);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{oldest}</td></tr>",
            class_words(count.class),
            count.objects,
            megabytes(count.bytes)
        );
    }
    out.push_str("</table>");
}

fn lists(out: &mut String, status: &NodeStatus) {
    if !status.refused.is_empty() {
        out.push_str("<h2>中心拒收 Refused</h2><table><tr><th>时间</th><th>来源</th><th>原因</th></tr>");
        for refused in status.refused.iter().take(ROWS_MAX) {
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                clock(refused.at),
                escaped(&refused.sender),
                escaped(&refused.reason)
            );
        }
        out.push_str("</table>");
    }
    if !status.rejects.is_empty() {
        out.push_str(
            "<h2>质控退回 Quality rejects</h2><table><tr><th>时间</th><th>检查号</th><th>原因</th></tr>",
        );
        for reject in status.rejects.iter().take(ROWS_MAX) {
            let note = reject.note.as_deref().unwrap_or_default();
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{} {}</td></tr>",
                clock(UnixMicros(reject.rejected_at)),
                escaped(reject.accession_number.as_deref().unwrap_or("—")),
                escaped(&reject.reason_text),
                escaped(note)
            );
        }
        out.push_str("</table>");
    }
    if !status.reports.is_empty() {
        out.push_str(
            "<h2>已签发报告 Reports</h2><table><tr><th>签发</th><th>检查号</th><th>类型</th><th></th></tr>",
        );
        for kept in status.reports.iter().take(ROWS_MAX) {
            let report = &kept.report;
            let link = match kept.is_here {
                true => format!(
                    "<a href=\"/reports/{}/{}.pdf\">打开 PDF</a>",
                    escaped(&report.study_uid),
                    report.version
                ),
                false => "下载中…".to_owned(),
            };
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{link}</td></tr>",
                clock(UnixMicros(report.signed_at)),
                escaped(report.accession_number.as_deref().unwrap_or("—")),
                escaped(&report.modality)
            );
        }
        out.push_str("</table>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_basic_authorization_is_read() {
        let check = |value: &'static str, expect: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(basic_password(&headers).as_deref(), expect, "{value}");
        };
        check("Basic dTpzZWNyZXQ=", Some("secret"));
        check("Basic dTphOmI=", Some("a:b"));
        check("Basic !!", None);
        check("Bearer dTpzZWNyZXQ=", None);
    }

    #[test]
    fn what_comes_from_elsewhere_is_escaped() {
        assert_eq!(escaped("<a href='x'>&\u{7}"), "&lt;a href=&#39;x&#39;&gt;&amp; ");
    }
}
