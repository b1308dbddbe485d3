//! Why an event was not delivered.

use ureq::http::Uri;

use super::resolver::Refused;

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WebhookError {
    /// The URL is none that can be called.
    #[error("the webhook URL cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The host is on this machine, in a private network, or nowhere.
    #[error(
        "the webhook host {host} is on a private or special address, and may not be called from here"
    )]
    Address {
        /// The host in the URL.
        host: String,
    },
    /// The host's name leads nowhere.
    #[error("the webhook host {host} is not found")]
    Unresolved {
        /// The host in the URL.
        host: String,
    },
    /// The endpoint could not be reached, or broke off before it answered.
    #[error("the webhook endpoint cannot be reached: {reason}")]
    Connection {
        /// What went wrong.
        reason: String,
    },
    /// The endpoint did not answer in time.
    #[error("the webhook endpoint did not answer in time")]
    Timeout,
    /// The endpoint answered, but not that it took the event.
    #[error("the webhook endpoint answered {status}")]
    Status {
        /// Its answer.
        status: u16,
    },
}

impl WebhookError {
    pub(super) fn url(reason: impl Into<String>) -> Self {
        Self::Url {
            reason: reason.into(),
        }
    }

    pub(super) fn from_client(error: ureq::Error, url: &Uri) -> Self {
        let host = || url.host().unwrap_or_default().to_owned();
        match error {
            ureq::Error::Other(e) if e.is::<Refused>() => Self::Address { host: host() },
            ureq::Error::HostNotFound => Self::Unresolved { host: host() },
            ureq::Error::Timeout(_) => Self::Timeout,
            // A header that cannot be sent is the caller's id or signature.
            ureq::Error::Http(e) => Self::url(e.to_string()),
            ureq::Error::BadUri(reason) => Self::url(reason),
            other => Self::Connection {
                reason: other.to_string(),
            },
        }
    }

    /// Stable name of the error, for machines.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "webhook_url",
            Self::Address { .. } => "webhook_address",
            Self::Unresolved { .. } => "webhook_unresolved",
            Self::Connection { .. } => "webhook_unreachable",
            Self::Timeout => "webhook_timeout",
            Self::Status { .. } => "webhook_status",
        }
    }

    /// Whether the same event may be taken later. A redirect, or an answer that blames the
    /// request, will be the same then.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Address { .. } => false,
            Self::Unresolved { .. } | Self::Connection { .. } | Self::Timeout => true,
            Self::Status { status } => matches!(status, 408 | 425 | 429 | 500..),
        }
    }
}
