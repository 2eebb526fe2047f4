//! The executable: command line, roles and the demonstration county.
fn main() {}
