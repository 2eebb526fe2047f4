//! Tests over a real archive: the demo community, with its accounts as types, on both databases.

mod access;
mod accounts;
mod reports;
mod results;
mod statements;
mod world;
