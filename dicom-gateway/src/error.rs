//! Why the gateway cannot work.

/// An error of the gateway or of a sender.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A port cannot be used.
    #[error("the DICOM port cannot be used: {0}; choose another in [dicom] listen")]
    Listener(std::io::Error),
    /// The other side cannot be reached.
    #[error("{address} cannot be reached: {source}; check host, port and firewall")]
    Connect {
        /// As given.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The other side refused the association.
    #[error(
        "{address} refused the association: {reason}; check the AE titles and that this node is known there"
    )]
    Refused {
        /// As given.
        address: String,
        /// The words of the standard.
        reason: String,
    },
    /// The association broke.
    #[error("the association with {address} ended: {reason}")]
    Broken {
        /// As given.
        address: String,
        /// Why.
        reason: String,
    },
}
