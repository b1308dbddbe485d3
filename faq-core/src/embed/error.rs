//! Why a text could not be embedded.

use std::path::PathBuf;

use crate::Interrupted;

/// Why an embedding model could not be loaded, or a text not be embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A model file could not be read.
    #[error("cannot read the model file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A model file is damaged.
    #[error("the model file {path} is damaged: {detail}; fetch the model again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The model is of a kind that cannot be run.
    #[error("the model in {path} cannot be run: {detail}")]
    Unsupported {
        /// The model's directory.
        path: PathBuf,
        /// What is unknown.
        detail: String,
    },
    /// The tokenizer failed.
    #[error("the embedding model's tokenizer failed: {0}")]
    Tokenizer(String),
    /// The forward pass failed.
    #[error("the embedding model failed: {0}")]
    Model(String),
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {detail}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the operating system said.
        detail: String,
    },
    /// The embedder gives one vector a text alone.
    #[error("the embedder {embedder} gives no vectors of tokens; search without reranking")]
    NoTokenVectors {
        /// Its name.
        embedder: String,
    },
    /// The caller stopped it.
    #[error("embedding stopped: {0}")]
    Interrupted(#[from] Interrupted),
}

impl EmbedError {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "model_unreadable",
            Self::Damaged { .. } => "model_damaged",
            Self::Unsupported { .. } => "model_unsupported",
            Self::Tokenizer(_) => "tokenizer_failed",
            Self::Model(_) => "model_failed",
            Self::Threads { .. } => "threads",
            Self::NoTokenVectors { .. } => "no_token_vectors",
            Self::Interrupted(Interrupted::Cancelled) => "cancelled",
            Self::Interrupted(Interrupted::Deadline) => "deadline",
        }
    }
}
