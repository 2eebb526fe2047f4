//! Where a request comes from.

use crate::App;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The asker's address as audit rows name it: the TCP peer, or what the trusted proxy in front says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Address of the asker.
    pub ip: IpAddr,
    /// True where the request came over the loopback interface and through no proxy.
    pub is_local: bool,
}

impl ClientAddress {
    /// Reads peer and `X-Forwarded-For`; the header counts only behind a proxy that the operator declared.
    pub(crate) fn of(peer: Option<SocketAddr>, headers: &HeaderMap, behind_proxy: bool) -> Self {
        let peer_ip = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let forwarded = headers
            .get("x-forwarded-for")
            .and_then(|value| value.to_str().ok());
        let proxied = forwarded
            .filter(|_| behind_proxy)
            .and_then(|list| list.rsplit(',').next())
            .and_then(|last| last.trim().parse::<IpAddr>().ok());
        Self {
            ip: proxied.unwrap_or(peer_ip),
            is_local: peer_ip.is_loopback() && forwarded.is_none() && !headers.contains_key("forwarded"),
        }
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0);
        Ok(Self::of(peer, &parts.headers, app.settings().behind_proxy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_counts_only_behind_a_declared_proxy() {
        let mut headers = HeaderMap::new();
        let peer = Some("127.0.0.1:5".parse().unwrap());
        let direct = ClientAddress::of(peer, &headers, false);
        assert!(direct.is_local && direct.ip.is_loopback());
        headers.insert("x-forwarded-for", "6.6.6.6, 10.0.0.7".parse().unwrap());
        let forged = ClientAddress::of(peer, &headers, false);
        assert_eq!(
            (forged.ip.to_string().as_str(), forged.is_local),
            ("127.0.0.1", false)
        );
        let proxied = ClientAddress::of(peer, &headers, true);
        assert_eq!(
            (proxied.ip.to_string().as_str(), proxied.is_local),
            ("10.0.0.7", false)
        );
    }

    #[test]
    fn an_unknown_peer_is_never_local() {
        assert!(!ClientAddress::of(None, &HeaderMap::new(), false).is_local);
    }
}
