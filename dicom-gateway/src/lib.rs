//! DICOM on the wire: associations, services and the receive path.
//!
//! **Promises:** a slow, stalled or hostile peer costs one task and never delays another; no
//! allocation follows a length field; an object is streamed to the archive in the pieces in which
//! it arrives, so memory does not depend on its size; a complete C-STORE always gets a status, and
//! Success only after the archive has the object durably. This crate knows no SQL and not what
//! attributes mean to the index; HTTP only as a client, in [`edge`].

mod association;
mod config;
mod dimse;
pub mod edge;
mod error;
pub mod forward;
mod hooks;
mod limits;
mod pdu;
pub mod scu;
mod server;
mod service;

pub use config::Config;
pub use error::GatewayError;
pub use hooks::{ReadSeek, StoredObject, Transcoder, UserVerifier};
pub use server::{Port, serve};
