//! Associations that we open with others, one file for each service: C-ECHO, C-STORE, C-FIND,
//! C-MOVE, C-GET, MPPS, storage commitment and instance availability.
//!
//! **Promises:** every wait has a deadline; what the other side sends is bounded in number and
//! size before it is kept; a request leaves in one write.

mod client;
pub mod commitment;
mod connection;
mod echo;
mod files;
pub mod find;
pub mod get;
mod normalized;
mod retrieve;
mod send;
pub mod steps;

pub mod availability;

pub(crate) use client::{Client, Message, Pair, Proposal};
pub use connection::Tls;
pub use echo::echo;
pub use find::{Found, QueryModel, find};
pub use get::get;
pub use retrieve::{Progress, RetrieveSummary, retrieve_to};
pub use send::{FileResult, Outcome, SendOptions, SendSummary, send};

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
    /// DICOM over TLS; plain when missing.
    pub tls: Option<Tls>,
}

impl Destination {
    /// A destination without TLS.
    pub fn new(host: impl Into<String>, port: u16, called: AeTitle, calling: AeTitle) -> Self {
        Self {
            host: host.into(),
            port,
            called,
            calling,
            tls: None,
        }
    }

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    pub fn parse(address: &str, called: AeTitle, calling: AeTitle) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => host,
        };
        let port = port.parse().ok().filter(|&port| port != 0)?;
        (!host.is_empty()).then(|| Self::new(host, port, called, calling))
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let check = |text: &str, expect: Option<(&str, u16)>| {
            let title = || AeTitle::parse("A").expect("valid");
            let read = Destination::parse(text, title(), title());
            assert_eq!(
                read.as_ref().map(|to| (to.host.as_str(), to.port)),
                expect,
                "{text}"
            );
            if let Some(to) = read {
                assert_eq!(to.address(), text);
            }
        };
        check("127.0.0.1:104", Some(("127.0.0.1", 104)));
        check("[::1]:11112", Some(("::1", 11112)));
        check("pacs.example:4242", Some(("pacs.example", 4242)));
        check("pacs.example", None);
        check(":104", None);
        check("a:0", None);
        check("[::1:104", None);
    }
}
