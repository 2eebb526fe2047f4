//! Associations that we open with others: sending objects.

mod client;
mod files;
mod send;

pub(crate) use client::{Client, Pair};
pub use send::{FileResult, Outcome, SendOptions, SendSummary, echo, send};

use dataset::AeTitle;

/// Whom to talk to and as whom.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// AE title there.
    pub called: AeTitle,
    /// AE title here.
    pub calling: AeTitle,
}

impl Destination {
    /// `host:port`.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}
