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
    /// No TLS with the other side.
    #[error("no TLS with {address}: {reason}; check its port, its certificate and the trusted authority")]
    Tls {
        /// As given.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// The other side accepted the association, but not the service.
    #[error("{address} does not offer {service} to this node; check its settings for our AE title")]
    NotOffered {
        /// As given.
        address: String,
        /// SOP class.
        service: String,
    },
    /// The other side did not do what was asked.
    #[error("{address} answered with status 0x{status:04X}{}", comment.as_deref().map(|c| format!(": {c}")).unwrap_or_default())]
    Failed {
        /// As given.
        address: String,
        /// As received.
        status: u16,
        /// Error Comment (0000,0902).
        comment: Option<String>,
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
