//! What an operator can set.

use std::sync::Arc;
use std::time::Duration;

use dataset::AeTitle;

use crate::{Transcoder, UserVerifier};

/// Settings of the gateway. Durations and counts are bounds on what one peer, one device or all
/// together may cost.
#[derive(Clone)]
pub struct Config {
    /// Our AE title.
    pub ae_title: AeTitle,
    /// Refuse associations that call another AE title.
    pub check_called_ae: bool,
    /// Longest P-DATA PDU that we take (told to every peer).
    pub pdu_bytes_max: u32,
    /// From the connection (TLS included) to the whole A-ASSOCIATE-RQ.
    pub handshake_timeout: Duration,
    /// Between two messages.
    pub idle_timeout: Duration,
    /// From the first byte of a command to its last.
    pub request_timeout: Duration,
    /// Inside a data set: each span of this length must bring [`Config::progress_bytes_min`].
    pub progress_timeout: Duration,
    /// See [`Config::progress_timeout`].
    pub progress_bytes_min: u64,
    /// Until the peer has taken an answer.
    pub write_timeout: Duration,
    /// How long associations may go on after the shutdown was asked for.
    pub drain_timeout: Duration,
    /// Connections that have not yet become an association; the oldest goes when one more comes.
    pub half_open_max: usize,
    /// Associations in all.
    pub associations_max: usize,
    /// Associations from one address.
    pub associations_per_address_max: usize,
    /// Associations of one device.
    pub associations_per_device_max: usize,
    /// Answers to one C-FIND.
    pub find_answers_max: usize,
    /// Checks user identities; without it a passcode is never right, and a name alone is noted.
    pub users: Option<Arc<dyn UserVerifier>>,
    /// Turns objects into what a peer takes; without it they go in their stored form only.
    pub transcoder: Option<Arc<dyn Transcoder>>,
    /// Objects that are turned at once.
    pub conversions_max: usize,
}

impl Config {
    /// The defaults under an AE title.
    pub fn new(ae_title: AeTitle) -> Self {
        Self {
            ae_title,
            check_called_ae: true,
            pdu_bytes_max: 128 << 10,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(20),
            progress_timeout: Duration::from_secs(30),
            progress_bytes_min: 1024,
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
            half_open_max: 1024,
            associations_max: 1024,
            associations_per_address_max: 512,
            associations_per_device_max: 512,
            find_answers_max: 20_000,
            users: None,
            transcoder: None,
            conversions_max: 2,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("ae_title", &self.ae_title)
            .finish_non_exhaustive()
    }
}
