//! Who is asking: session cookie or bearer token.

pub(crate) mod cookie;
pub(crate) mod tries;

/// Name of the session cookie.
pub const COOKIE: &str = "gongying_session";
