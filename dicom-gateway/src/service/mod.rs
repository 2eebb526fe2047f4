//! What peers may ask of us, one file a service.

pub(crate) mod find;
pub(crate) mod store;
