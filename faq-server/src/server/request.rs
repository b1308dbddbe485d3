//! What belongs to one request: its id, and where it came from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::{HeaderMap, request::Parts};
use uuid::Uuid;

tokio::task_local! {
    static ID: String;
}

/// The id of the request that this task serves.
pub(crate) fn current_id() -> String {
    ID.try_with(Clone::clone).unwrap_or_default()
}

/// Runs `work` as the request `id`.
pub(crate) async fn with_id<T>(id: String, work: impl Future<Output = T>) -> T {
    ID.scope(id, work).await
}

/// The id that a proxy gave, where it is sensible, else a new one.
pub(crate) fn id_of(headers: &HeaderMap) -> String {
    headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        })
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// The client's address, as the outermost layer found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let unknown = Self(IpAddr::from([0, 0, 0, 0]));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(unknown))
    }
}

/// The client's address. `X-Forwarded-For` counts only where a trusted proxy sent it, read
/// from the right: what stands further left anybody can write.
pub(crate) fn address(parts: &Parts, trusted: &[IpAddr]) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |info| {
            info.0.ip().to_canonical()
        });
    forwarded(peer, &parts.headers, trusted)
}

fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in hops.iter().rev() {
        match hop.trim().parse::<IpAddr>() {
            Ok(ip) if trusted.contains(&ip) => {}
            Ok(ip) => return ip.to_canonical(),
            Err(_) => break,
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_came_from() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxy = [ip("10.0.0.1")];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "6.6.6.6, 7.7.7.7".parse().unwrap());
        assert_eq!(forwarded(ip("8.8.8.8"), &headers, &proxy), ip("8.8.8.8"));
        assert_eq!(forwarded(proxy[0], &headers, &proxy), ip("7.7.7.7"));
        headers.insert("x-forwarded-for", "junk".parse().unwrap());
        assert_eq!(forwarded(proxy[0], &headers, &proxy), proxy[0]);
    }
}
