//! The service over a real archive in a temporary folder: who sees what, and what viewers get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod byte_order;
mod dicomweb;
mod ecg;
mod edge;
mod events;
mod metadata;
mod reading_flow;
mod recordings;
mod search;
mod session;
mod store;
mod support;
mod surface;
mod volume;
