//! Looks a name up once, and lets nothing but allowed addresses through.

use std::net::SocketAddr;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::address::reach;

/// A name led to an address that must not be called.
#[derive(Debug, thiserror::Error)]
#[error("an address of the host must not be called")]
pub(super) struct Refused;

/// Refuses a name where any of its addresses is not allowed: one that mixes them means no good.
/// The client connects to the addresses that are returned here and looks up nothing more.
#[derive(Debug)]
pub(super) struct Guarded<R> {
    resolver: R,
    allow_private: bool,
}

impl<R> Guarded<R> {
    pub(super) fn new(resolver: R, allow_private: bool) -> Self {
        Self {
            resolver,
            allow_private,
        }
    }
}

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self
            .resolver
            .resolve(uri, config, timeout)
            .map_err(|e| match e {
                // What the system says of a name that it cannot look up.
                Error::Io(_) => Error::HostNotFound,
                other => other,
            })?;
        let allowed = |address: &SocketAddr| reach(address.ip()).is_allowed(self.allow_private);
        if found.iter().all(allowed) {
            Ok(found)
        } else {
            Err(Error::Other(Box::new(Refused)))
        }
    }
}
