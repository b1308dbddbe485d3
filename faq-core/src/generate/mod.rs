//! Text from a language model: the seam, and the models behind it.
//!
//! A [`Generator`] turns a conversation into a stream of text. It knows nothing of
//! collections, sources or citations; `answer` does.

mod attention;
mod batch;
mod decoder;
mod error;
mod gguf;
mod grammar;
mod kept;
mod kernels;
mod layer;
mod local;
mod matrix;
mod options;
mod pool;
#[cfg(feature = "remote")]
mod remote;
mod resilient;
mod sampler;
mod scripted;
mod sentencepiece;
mod shape;
mod slot;
mod stream;
mod template;
mod tokenizer;

pub use error::GenerateError;
pub use grammar::Grammar;
pub use local::{LocalModel, LocalOptions};
pub use options::GenerateOptions;
#[cfg(feature = "remote")]
pub use remote::{RemoteApi, RemoteModel, RemoteOptions};
pub use resilient::{Resilience, Resilient};
pub use scripted::ScriptedModel;

use std::ops::ControlFlow;

use crate::Control;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// `system`, `user` or `assistant`, as chat templates name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended its turn, or a stop text came.
    End,
    /// `max_tokens` were written, or the model's context is full.
    Length,
    /// The sink, or who looked into the model, asked to stop.
    Sink,
}

/// What a generation came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The whole text; equal to the joined pieces that the sink got.
    pub text: String,
    /// Tokens read, those kept from an earlier call included.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
    /// Time until the first token was chosen, in milliseconds.
    pub first_token_ms: u64,
    /// Why it ended.
    pub stop: StopReason,
}

/// A look into a model after it has read a prompt and before it writes.
pub struct Look<'a> {
    /// After how many of the model's layers, from 1.
    pub layers: usize,
    /// Gets what the prompt's last token has become there, `[width]`; `ControlFlow::Break` ends the
    /// generation before its first token.
    pub see: &'a mut dyn FnMut(&[f32]) -> ControlFlow<()>,
}

impl std::fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// A language model that continues a conversation.
///
/// Calls from several threads wait for each other where the model can serve one at a time.
pub trait Generator: Send + Sync {
    /// Name of the model, as shown with an answer.
    fn name(&self) -> &str;

    /// Tells this model apart from others of its name, as far as that can be known: two models of
    /// one fingerprint say the same. Default: the name.
    fn fingerprint(&self) -> String {
        self.name().to_owned()
    }

    /// Tells what was trained apart, whatever it was rounded to: two files of one model have one
    /// lineage. Default: `None`, as where the model is computed elsewhere.
    fn lineage(&self) -> Option<String> {
        None
    }

    /// Tokens that the model's context holds.
    fn context_tokens(&self) -> usize;

    /// Tokens of a text, without special tokens; an estimate where the model is remote.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError>;

    /// Continues `messages` with the assistant's turn. Each finished piece of text goes to
    /// `sink` as it comes, always whole characters; `ControlFlow::Break` ends the generation.
    ///
    /// # Errors
    /// [`GenerateError::InvalidOption`], [`GenerateError::Interrupted`] when `control` says so,
    /// [`GenerateError::PromptTooLong`], and the model's own errors.
    fn generate(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError>;

    /// As [`generate`](Self::generate), with a look into the model in between. Default: without, as
    /// where the model is computed elsewhere; `look` then sees nothing.
    ///
    /// # Errors
    /// Those of [`generate`](Self::generate), and [`GenerateError::InvalidOption`] for layers that
    /// the model has not.
    fn generate_with_look(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        _look: Look<'_>,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        self.generate(messages, options, control, sink)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use crate::ModelStore;

    pub(super) const SMOLLM2: &str = "smollm2-135m-instruct";
    pub(super) const QWEN05: &str = "qwen2.5-coder-0.5b-instruct";

    /// A model for a test; SmolLM2 must be there, the others need not.
    pub(super) fn model_file(name: &str) -> Option<PathBuf> {
        let found = ModelStore::default().offline(true).generation(name);
        assert!(
            found.is_ok() || name != SMOLLM2,
            "run scripts/fetch-models: {found:?}"
        );
        found.ok()
    }
}
