//! The place at which the gateway's files expect to stand.

pub mod find;
