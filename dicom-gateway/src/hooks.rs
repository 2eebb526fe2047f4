//! What the gateway asks of the program around it: who a user is, and what needs codecs.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use dataset::TransferSyntaxUid;

/// Checks the name and passcode that a peer may send with its association (PS3.7 D.3.3.7).
pub trait UserVerifier: Send + Sync {
    /// True when they are right. Called once for an association; may wait, within the handshake's
    /// deadline.
    fn verify<'a>(
        &'a self,
        name: &'a str,
        passcode: &'a str,
        peer: IpAddr,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

/// Bytes that can be read from any place on.
pub trait ReadSeek: std::io::Read + std::io::Seek + Send {}

impl<T: std::io::Read + std::io::Seek + Send> ReadSeek for T {}

/// Turns stored objects into transfer syntaxes that a peer takes, when it does not take the stored
/// one (C-GET, C-MOVE). The stored object is never changed.
pub trait Transcoder: Send + Sync {
    /// UIDs of the transfer syntaxes that objects stored in `from` can be turned into, best first.
    /// Not every object succeeds: what an object holds is only known when it is read.
    fn targets(&self, from: &str) -> &[&'static str];

    /// Writes the whole data set in `to`. Called on a thread that may compute and wait; memory must
    /// not follow the length of the object.
    ///
    /// # Errors
    /// Why it cannot be done, in words.
    fn transcode(
        &self,
        object: StoredObject,
        to: &TransferSyntaxUid,
        out: &mut (dyn std::io::Write + Send),
    ) -> Result<(), String>;
}

/// A stored object that is to be turned into another transfer syntax.
pub struct StoredObject {
    /// Its file.
    pub file: Box<dyn ReadSeek>,
    /// Where the data set starts in it.
    pub data_set_offset: u64,
    /// As it is stored.
    pub transfer_syntax: TransferSyntaxUid,
}
