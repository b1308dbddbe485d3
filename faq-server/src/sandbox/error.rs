//! Why a document came out of the sandbox as an error.

use std::time::Duration;

use faq_core::{Interrupted, ParseError, ReaderError};

/// Why a document was not parsed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SandboxError {
    /// The parser refused the document.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The child asked for more memory than it may have.
    #[error("the document needs more memory to be read than the {} MiB allowed", allowed >> 20)]
    Memory {
        /// The child's address space, in bytes.
        allowed: u64,
    },
    /// The child ran for longer than it may, and was killed.
    #[error("the document took longer to be read than the {} ms allowed", allowed.as_millis())]
    Time {
        /// The limit on the parse.
        allowed: Duration,
    },
    /// The parsed document is larger than it may be.
    #[error("the document's text is larger than the {} MiB allowed", allowed >> 20)]
    Output {
        /// Largest document, as JSON, in bytes.
        allowed: u64,
    },
    /// The child ended without an answer, or with one that makes no sense.
    #[error("the process that read the document ended early ({how})")]
    Crashed {
        /// How it ended, such as `signal 11`.
        how: String,
        /// The beginning of what it wrote to stderr. It may quote the document.
        said: String,
    },
    /// The child could not be started, or not confined.
    #[error("cannot start a process to read the document in: {0}")]
    Start(std::io::Error),
    /// The caller stopped it.
    #[error("stopped: {0}")]
    Interrupted(#[from] Interrupted),
}

impl SandboxError {
    /// Stable name of the error, for machines.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Parse(e) => e.code(),
            Self::Memory { .. } | Self::Time { .. } | Self::Output { .. } => "limit",
            Self::Crashed { .. } => "crashed",
            Self::Start(_) => "sandbox_unavailable",
            Self::Interrupted(Interrupted::Cancelled) => "cancelled",
            Self::Interrupted(Interrupted::Deadline) => "deadline",
        }
    }

    /// Whether the same document may be read when it is tried again.
    ///
    /// A crash counts: the system may have killed the child for reasons that pass. A document
    /// that crashes its child each time is given up when the attempts are.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Parse(_) | Self::Memory { .. } | Self::Time { .. } | Self::Output { .. } => false,
            Self::Crashed { .. } | Self::Start(_) | Self::Interrupted(_) => true,
        }
    }
}

impl From<SandboxError> for faq_core::Error {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Parse(e) => Self::Parse(e),
            SandboxError::Interrupted(e) => Self::Interrupted(e),
            other => Self::Reader(ReaderError {
                code: other.code(),
                message: other.to_string(),
                retryable: other.is_retryable(),
            }),
        }
    }
}
