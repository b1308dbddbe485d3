//! Why a verb failed, and which exit code that is.

use std::path::PathBuf;

use faq_core::{Error, IndexError, ModelError};
use serde_json::json;

pub(super) type Result<T, E = CliError> = std::result::Result<T, E>;

/// How a verb ended that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything was done.
    Done,
    /// Something was not done, and the output says what.
    Failed,
}

impl Outcome {
    pub(super) fn failed_if(failed: bool) -> Self {
        if failed { Self::Failed } else { Self::Done }
    }
}

/// Why a verb did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The engine said so.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// Nothing goes by this name.
    #[error("{0}")]
    NotFound(String),
    /// Stdout or stdin failed.
    #[error("cannot {action}: {source}")]
    Stream {
        action: &'static str,
        source: std::io::Error,
    },
    /// A file that would be written is there already.
    #[error("{0} is there already; give another name, or --force to replace it")]
    Exists(PathBuf),
    /// A file or folder that the command keeps could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A result could not be put into JSON.
    #[error("cannot write the result as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Settings of the server make no sense.
    #[error(transparent)]
    Settings(#[from] crate::server::BadSettings),
    /// The server cannot start.
    #[error(transparent)]
    Setup(#[from] crate::server::SetupError),
    /// There is nothing to try the server on.
    #[error(transparent)]
    Demo(#[from] crate::server::demo::DemoError),
    /// A backup could not be written or restored.
    #[error(transparent)]
    Backup(#[from] crate::server::backup::BackupError),
    /// The server cannot go on.
    #[error("{0}")]
    Serve(std::io::Error),
    /// The async runtime cannot start.
    #[error("cannot start the server's threads: {0}")]
    Runtime(std::io::Error),
    /// Ctrl-C cannot be listened to.
    #[error("cannot listen for Ctrl-C: {0}")]
    Interrupt(#[from] ctrlc::Error),
}

impl CliError {
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(sentence.into())
    }

    /// Stable name of the error, for machines.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Engine(e) => e.code(),
            Self::Usage(_) => "usage",
            Self::NotFound(_) => "not_found",
            Self::Exists(_) => "exists",
            Self::Stream { .. } | Self::Write { .. } | Self::Serve(_) => "io",
            Self::Settings(_) => "settings",
            Self::Setup(_) | Self::Demo(_) => "setup",
            Self::Backup(e) => e.code(),
            Self::Json(_) | Self::Interrupt(_) | Self::Runtime(_) => "internal",
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({ "error": self.to_string(), "code": self.code() })
    }

    /// 2 where the same command line can never work, 1 for the rest.
    pub(super) fn exit_code(&self) -> u8 {
        let wrong_use = match self {
            Self::Usage(_) | Self::Settings(_) => true,
            Self::Engine(e) => matches!(
                e,
                Error::EmptyQuestion
                    | Error::QuestionTooLong { .. }
                    | Error::Pattern { .. }
                    | Error::Invalid { .. }
                    | Error::Chunk(faq_core::ChunkError::Config { .. })
                    | Error::Index(IndexError::Invalid { .. })
                    | Error::Model(ModelError::Unknown { .. })
            ),
            _ => false,
        };
        if wrong_use { 2 } else { 1 }
    }

    /// Whether whoever read stdout has gone.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stream { source, .. }
            if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<ModelError> for CliError {
    fn from(e: ModelError) -> Self {
        Self::Engine(e.into())
    }
}

impl From<IndexError> for CliError {
    fn from(e: IndexError) -> Self {
        Self::Engine(e.into())
    }
}

impl From<faq_core::EmbedError> for CliError {
    fn from(e: faq_core::EmbedError) -> Self {
        Self::Engine(e.into())
    }
}
