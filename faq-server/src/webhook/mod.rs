//! Tells an organisation's endpoint what happened to its documents.
//!
//! [`deliver`] sends one event once: who calls it keeps the queue and tries again where the
//! error [says so](WebhookError::is_retryable). It blocks its thread, for `Policy::timeout` at
//! most.
//!
//! The address is an outsider's choice, so a delivery must not become a way into the network
//! that the server stands in: the host is resolved once, every address of it has to be a public
//! one, and the connection goes to those very addresses. No redirect is followed, no proxy is
//! used, and nothing of the response but its status is kept.

mod address;
mod error;
mod resolver;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;

use address::Reach;
pub(crate) use error::WebhookError;
use resolver::Guarded;

/// Result of a call here.
type Result<T, E = WebhookError> = std::result::Result<T, E>;

/// Longest URL, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// What is read of a response's body, so that the endpoint may end its sending, in bytes.
const MAX_RESPONSE_BYTES: u64 = 64 << 10;

/// Largest head of a response, in bytes.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// What a delivery may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `WEBHOOK_TIMEOUT`: for all of it, from the look-up of the name to the end of the
    /// response. Default 30 s.
    pub(crate) timeout: Duration,
    /// Whether this machine and private networks may be called. Link-local addresses, where
    /// clouds keep their machines' credentials, never may.
    pub(crate) allow_private: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            allow_private: false,
        }
    }
}

/// One event on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The event's id, the same at each attempt, by which the receiver knows it again.
    pub(crate) id: &'a str,
    /// When this attempt is made, in the unit in which it was signed.
    pub(crate) timestamp: i64,
    /// The event as JSON.
    pub(crate) body: &'a [u8],
    /// HMAC-SHA256 of `timestamp.body` under the endpoint's secret, in hex.
    pub(crate) signature: &'a str,
}

/// An event was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The endpoint's answer, 200 to 299.
    pub(crate) status: u16,
}

/// Checks a URL when it is set: form, and the address where it is a number. Names are looked up
/// at each delivery, since they may move.
///
/// # Errors
/// [`WebhookError::Url`], [`WebhookError::Address`].
pub(crate) fn validate_url(url: &str, policy: &Policy) -> Result<()> {
    check(url, policy).map(|_| ())
}

/// Sends an event to `url`, once.
///
/// # Errors
/// Any [`WebhookError`]; every status but 2xx is one.
pub(crate) fn deliver(url: &str, event: &Event<'_>, policy: &Policy) -> Result<Delivered> {
    deliver_through(DefaultResolver::default(), url, event, policy)
}

/// As [`deliver`], with names looked up by `resolver`.
fn deliver_through(
    resolver: impl Resolver,
    url: &str,
    event: &Event<'_>,
    policy: &Policy,
) -> Result<Delivered> {
    let url = check(url, policy)?;
    let resolver = Guarded::new(resolver, policy.allow_private);
    let response = agent(resolver, policy)
        .post(&url)
        .header("Content-Type", "application/json")
        .header("X-Webhook-Id", event.id)
        .header("X-Webhook-Timestamp", event.timestamp.to_string())
        .header("X-Webhook-Signature", event.signature)
        .send(event.body)
        .map_err(|e| WebhookError::from_client(e, &url))?;
    let status = response.status();
    // The status has decided; what comes after it can neither succeed nor fail.
    let mut rest = response.into_body().into_reader().take(MAX_RESPONSE_BYTES);
    let _ignored = std::io::copy(&mut rest, &mut std::io::sink());
    if status.is_success() {
        Ok(Delivered {
            status: status.as_u16(),
        })
    } else {
        Err(WebhookError::Status {
            status: status.as_u16(),
        })
    }
}

/// A client for one delivery: what one endpoint leaves in it cannot reach the next.
fn agent(resolver: impl Resolver, policy: &Policy) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(policy.timeout))
        .max_response_header_size(MAX_HEADER_BYTES)
        .user_agent(concat!("faq/", env!("CARGO_PKG_VERSION")))
        .accept("*/*")
        .accept_encoding("identity")
        .build();
    Agent::with_parts(config, DefaultConnector::default(), resolver)
}

fn check(url: &str, policy: &Policy) -> Result<Uri> {
    if url.len() > MAX_URL_BYTES {
        return Err(WebhookError::url(format!(
            "it has {} bytes, allowed are {MAX_URL_BYTES}",
            url.len()
        )));
    }
    let uri: Uri = url.parse().map_err(|e| WebhookError::url(format!("{e}")))?;
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        _ => {
            return Err(WebhookError::url(
                "it has to begin with https:// or http://",
            ));
        }
    }
    let authority = uri
        .authority()
        .ok_or_else(|| WebhookError::url("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(WebhookError::url(
            "it holds a user name or password; deliveries are signed instead",
        ));
    }
    let port_is_left_out = authority.as_str().ends_with(authority.host());
    if authority.host().is_empty()
        || !port_is_left_out && authority.port_u16().is_none_or(|p| p == 0)
    {
        return Err(WebhookError::url("its host or port is none"));
    }
    let host = authority.host();
    let number = host.trim_start_matches('[').trim_end_matches(']').parse();
    let reach = match number {
        Ok(ip) => address::reach(ip),
        Err(_) if is_this_machine(host) => Reach::Private,
        Err(_) => Reach::Public,
    };
    if reach.is_allowed(policy.allow_private) {
        Ok(uri)
    } else {
        Err(WebhookError::Address {
            host: host.to_owned(),
        })
    }
}

/// Names that stand for this machine whatever a name server says (RFC 6761).
fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
