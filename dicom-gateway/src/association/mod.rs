//! Associations that peers open with us.

mod handshake;
mod negotiate;
mod peer;

pub(crate) use negotiate::{AcceptedContext, Service};
pub(crate) use peer::{Ended, Peer, run};
