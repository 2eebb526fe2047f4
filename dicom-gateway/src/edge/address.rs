//! Where the centre is.

use super::EdgeError;

/// Address of the centre: scheme, host, port, and a path in front of `/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) prefix: String,
}

impl Address {
    /// Reads `https://HOST[:PORT][/PATH]`. Plain HTTP only to this machine: everything that travels is a patient's.
    pub(super) fn parse(url: &str) -> Result<Self, EdgeError> {
        let wrong = |why: &str| EdgeError::Config(format!("[edge] centre_url = {url:?}: {why}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("write https://HOST[:PORT]"))?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("write https://HOST[:PORT]")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split(authority).ok_or_else(|| wrong("the host or the port is not one"))?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let loopback =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !loopback {
            return Err(wrong("plain http:// is for this machine alone; use https://"));
        }
        let path = path.trim_end_matches('/');
        if path.contains(['?', '#', ' ']) {
            return Err(wrong("a query does not belong there"));
        }
        Ok(Self {
            tls,
            host,
            port,
            prefix: if path.is_empty() {
                String::new()
            } else {
                format!("/{path}")
            },
        })
    }

    /// Value of the `Host` header.
    pub(super) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn split(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    if host.is_empty() || !host.chars().all(plausible) {
        return None;
    }
    let port = port.map(str::parse).transpose().ok()?;
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_plain_http_stays_at_home() {
        let check = |url: &str, expect: Option<(&str, u16, &str, &str)>| {
            let read = Address::parse(url).ok();
            let seen = read
                .as_ref()
                .map(|a| (a.host.as_str(), a.port, a.prefix.as_str(), a.authority()));
            let expect = expect.map(|(h, p, x, a)| (h, p, x, a.to_owned()));
            assert_eq!(seen, expect, "{url}");
        };
        check(
            "https://county.example",
            Some(("county.example", 443, "", "county.example")),
        );
        check(
            "https://county.example:8443/gongying/",
            Some(("county.example", 8443, "/gongying", "county.example:8443")),
        );
        check(
            "http://127.0.0.1:8080",
            Some(("127.0.0.1", 8080, "", "127.0.0.1:8080")),
        );
        check("http://[::1]:8080", Some(("::1", 8080, "", "[::1]:8080")));
        check("http://localhost", Some(("localhost", 80, "", "localhost")));
        check("http://10.0.0.1", None);
        check("http://127.0.0.1.evil.example", None);
        check("ftp://county.example", None);
        check("county.example", None);
        check("https://", None);
        check("https://a b", None);
        check("https://user@county.example", None);
        check("https://county.example:70000", None);
    }
}
