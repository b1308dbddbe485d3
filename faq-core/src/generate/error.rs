//! Why text could not be generated.

use std::path::PathBuf;
use std::time::Duration;

use crate::Interrupted;

/// Why a model could not be loaded, or could not write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The model file could not be read.
    #[error("cannot read the model {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no GGUF, is truncated, or contradicts itself.
    #[error("the model {path} is damaged or no GGUF file: {detail}; fetch it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The file is a GGUF, but not of a kind that can be run.
    #[error("the model {path} cannot be run: {detail}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which architecture, tokenizer or template is unknown.
        detail: String,
    },
    /// An option that cannot be.
    #[error("the option {field} is {value}, and has to be {wanted}")]
    InvalidOption {
        /// The field of the options.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it can be.
        wanted: &'static str,
    },
    /// A grammar that no model can be held to.
    #[error("the {kind} cannot be used: {detail}")]
    InvalidGrammar {
        /// `JSON schema` or `regular expression`.
        kind: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The prompt does not fit the model's context.
    #[error("the prompt has {tokens} tokens, and the model's context holds {context}")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens the context holds.
        context: usize,
    },
    /// The chat template failed.
    #[error("the model's chat template failed: {0}")]
    Template(String),
    /// The tokenizer failed.
    #[error("the model's tokenizer failed: {0}")]
    Tokenizer(String),
    /// The forward pass failed.
    #[error("the model failed: {0}")]
    Model(String),
    /// A remote endpoint failed.
    #[error("the endpoint {url} failed: {detail}")]
    Remote {
        /// The endpoint, without credentials.
        url: String,
        /// What it said, or why it could not be reached.
        detail: String,
        /// Whether the same call may succeed later.
        retryable: bool,
    },
    /// An endpoint failed again and again, and is not asked for a while.
    #[error(
        "{model} failed {failures} times in a row and is left alone for another {} s",
        wait.as_secs() + 1
    )]
    Resting {
        /// The model.
        model: String,
        /// Calls in a row that failed.
        failures: usize,
        /// For how long it is not asked.
        wait: Duration,
    },
    /// The caller stopped it.
    #[error("generation stopped: {0}")]
    Interrupted(#[from] Interrupted),
}

impl GenerateError {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Damaged { .. } => "model_damaged",
            Self::Unsupported { .. } => "model_unsupported",
            Self::InvalidOption { .. } => "invalid_option",
            Self::InvalidGrammar { .. } => "invalid_grammar",
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::Template(_) | Self::Tokenizer(_) | Self::Model(_) => "generation_failed",
            Self::Remote { .. } => "endpoint_failed",
            Self::Resting { .. } => "endpoint_resting",
            Self::Interrupted(Interrupted::Cancelled) => "cancelled",
            Self::Interrupted(Interrupted::Deadline) => "deadline",
        }
    }
}
