//! What came back.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    #[track_caller]
    pub fn is(self, status: StatusCode) -> Self {
        assert_eq!(
            self.status,
            status.as_u16(),
            "{} {}",
            self.header("content-type"),
            self.text()
        );
        self
    }

    /// An error is problem JSON, never a page.
    #[track_caller]
    pub fn refuses(self, status: StatusCode) -> Self {
        let this = self.is(status);
        assert_eq!(
            this.header("content-type"),
            "application/problem+json",
            "{}",
            this.text()
        );
        assert_eq!(this.json()["status"], status.as_u16());
        this
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub fn text(&self) -> String {
        let head = self.body.get(..self.body.len().min(600)).unwrap_or_default();
        String::from_utf8_lossy(head).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {}", self.text()),
        }
    }

    /// Parts of a multipart answer as header block and content. Framing must be exact.
    #[track_caller]
    pub fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let kind = self.header("content-type");
        assert!(kind.starts_with("multipart/related; type=\""), "{kind}");
        let boundary = kind.split("boundary=").nth(1).unwrap();
        assert!(boundary.len() >= 24);
        let open = format!("--{boundary}\r\n").into_bytes();
        let close = format!("\r\n--{boundary}--\r\n").into_bytes();
        assert!(
            self.body.starts_with(&open) && self.body.ends_with(&close),
            "{}",
            self.text()
        );
        let inner = &self.body[open.len()..self.body.len() - close.len()];
        let between = format!("\r\n--{boundary}\r\n").into_bytes();
        split(inner, &between)
            .into_iter()
            .map(|part| {
                let at = find(part, b"\r\n\r\n").unwrap();
                (
                    String::from_utf8(part[..at].to_vec()).unwrap(),
                    part[at + 4..].to_vec(),
                )
            })
            .collect()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn split<'b>(mut bytes: &'b [u8], separator: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, separator) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + separator.len()..];
    }
    parts.push(bytes);
    parts
}
