//! Associations that peers open with us.

mod handshake;
mod negotiate;
mod peer;

use std::net::SocketAddr;

pub(crate) use negotiate::{AcceptedContext, Matching, Service};
pub(crate) use peer::{Ended, Peer, run};

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// SHA-256, in hexadecimal, of the certificate whose key the caller proved to hold.
    pub(crate) certificate: Option<String>,
}
