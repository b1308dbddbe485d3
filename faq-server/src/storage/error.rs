//! Why a blob could not be written, read or removed.

use std::io::{self, ErrorKind};

use super::{BlobKey, BoxError};

/// Why a call on the storage failed. No blob is half written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StorageError {
    /// There is no such blob.
    #[error("there is no {key} in the storage")]
    NotFound {
        /// The blob.
        key: BlobKey,
    },
    /// The blob is larger than it may be.
    #[error("the file is larger than the {allowed} bytes allowed")]
    TooLarge {
        /// The limit, in bytes.
        allowed: u64,
    },
    /// Another number of bytes came than was announced.
    #[error("{expected} bytes were announced, and {received} came")]
    SizeMismatch {
        /// The size announced, in bytes.
        expected: u64,
        /// The bytes that came; at least these, where more than announced did.
        received: u64,
    },
    /// The stream of bytes failed before its end.
    #[error("the upload broke off after {received} bytes: {source}")]
    Interrupted {
        /// The bytes that came.
        received: u64,
        /// What the stream said.
        source: BoxError,
    },
    /// The disk is full.
    #[error("cannot {action}: the disk is full")]
    NoSpace {
        /// What was being done.
        action: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The store across the network refused or cannot be reached.
    #[error("cannot {action} in the S3 store: {source}")]
    Remote {
        /// What was being done.
        action: &'static str,
        /// What it said.
        source: object_store::Error,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
}

impl StorageError {
    /// Stable name of the error, for machines.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::TooLarge { .. } => "too_large",
            Self::SizeMismatch { .. } => "size_mismatch",
            Self::Interrupted { .. } => "upload_interrupted",
            Self::NoSpace { .. } => "no_space",
            Self::Io { .. } | Self::Remote { .. } => "storage_unavailable",
            Self::Config(_) => "invalid",
        }
    }

    /// Whether the same call may work later.
    pub(crate) fn is_retryable(&self) -> bool {
        use object_store::Error as Store;
        match self {
            Self::Interrupted { .. } | Self::NoSpace { .. } | Self::Io { .. } => true,
            Self::Remote { source, .. } => !matches!(
                source,
                Store::PermissionDenied { .. }
                    | Store::Unauthenticated { .. }
                    | Store::InvalidPath { .. }
            ),
            Self::NotFound { .. }
            | Self::TooLarge { .. }
            | Self::SizeMismatch { .. }
            | Self::Config(_) => false,
        }
    }

    /// For `map_err`: an error of the operating system while doing `action`.
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { action },
            _ => Self::Io { action, source },
        }
    }

    /// For `map_err`: an error of the store while doing `action`.
    pub(super) fn remote(action: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Remote { action, source }
    }
}
