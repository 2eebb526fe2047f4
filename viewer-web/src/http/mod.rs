//! What every answer shares: negotiation, conditions, ranges, safety headers, limits.

pub(crate) mod accept;
pub(crate) mod chunks;
pub(crate) mod client;
pub(crate) mod conditional;
pub(crate) mod guard;
pub(crate) mod packed;
pub(crate) mod parts;
pub(crate) mod range;
pub(crate) mod upload;
