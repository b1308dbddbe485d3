//! Why a call on the engine failed.

use std::path::PathBuf;

use faq_index::IndexError;
use faq_ingest::{ChunkError, ParseError};

use crate::generate::GenerateError;
use crate::{EmbedError, Interrupted, ModelError, ReaderError};

/// Why a call on the engine failed. The collection is as it was before the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document could not be parsed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The reader of documents failed, and not the document.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// A document could not be chunked.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A text could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The collection could not be opened, read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A model could not be found or fetched.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model could not be loaded, or could not write.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The caller stopped it.
    #[error("stopped: {0}")]
    Interrupted(#[from] Interrupted),
    /// A file or directory could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A path or pattern matches nothing.
    #[error("{path} does not exist, and as a pattern it matches no file")]
    NoSuchFile {
        /// What was given.
        path: PathBuf,
    },
    /// A pattern is no valid glob.
    #[error("the pattern {pattern} is wrong: {detail}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What was wrong.
        detail: String,
    },
    /// A file is larger than the limit.
    #[error("{path} has {bytes} bytes, allowed are {allowed}")]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        allowed: u64,
    },
    /// The question holds no word.
    #[error("the question is empty; type some words")]
    EmptyQuestion,
    /// The question is longer than anybody asks.
    #[error("the question has {bytes} bytes, allowed are {allowed}; ask in fewer words")]
    QuestionTooLong {
        /// Its size, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        allowed: usize,
    },
    /// A setting makes no sense.
    #[error("{what}")]
    Invalid {
        /// A sentence that names the setting, what it was and what it may be.
        what: String,
    },
}

/// Result of a call on the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Parse(e) => e.code(),
            Self::Reader(e) => e.code,
            Self::Chunk(_) => "chunking_failed",
            Self::Embed(e) => e.code(),
            Self::Index(e) => e.code(),
            Self::Model(e) => e.code(),
            Self::Generate(e) => e.code(),
            Self::Interrupted(Interrupted::Cancelled) => "cancelled",
            Self::Interrupted(Interrupted::Deadline) => "deadline",
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "permission_denied"
            }
            Self::Io { .. } => "io",
            Self::NoSuchFile { .. } => "not_found",
            Self::Pattern { .. } => "bad_pattern",
            Self::FileTooLarge { .. } => "limit",
            Self::EmptyQuestion => "empty_question",
            Self::QuestionTooLong { .. } => "question_too_long",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// Whether the work was stopped by its caller.
    pub fn is_interrupted(&self) -> bool {
        matches!(
            self,
            Self::Interrupted(_)
                | Self::Embed(EmbedError::Interrupted(_))
                | Self::Generate(GenerateError::Interrupted(_))
                | Self::Index(IndexError::Cancelled)
                | Self::Parse(ParseError::Cancelled)
        )
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }
}
