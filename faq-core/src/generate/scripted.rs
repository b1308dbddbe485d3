//! A generator without a model, for tests of what is built on one.

use std::ops::ControlFlow;
use std::time::Instant;

use super::stream::{Flow, TextStream};
use super::{GenerateError, GenerateOptions, Generation, Generator, Message, StopReason};
use crate::Control;

type Script = dyn Fn(&[Message]) -> String + Send + Sync;

/// A [`Generator`] whose answers come from a closure: the double to test with, in this crate
/// and in programs that use it. A word with the blank before it counts as a token.
///
/// ```
/// use std::ops::ControlFlow;
/// use faq_core::Control;
/// use faq_core::generate::{GenerateOptions, Generator, Message, Role, ScriptedModel};
///
/// let model = ScriptedModel::new(|messages| format!("{} messages", messages.len()));
/// let mut shown = String::new();
/// let generation = model.generate(
///     &[Message::new(Role::User, "How many?")],
///     &GenerateOptions::default(),
///     &Control::new(),
///     &mut |piece| {
///         shown.push_str(piece);
///         ControlFlow::Continue(())
///     },
/// )?;
/// assert_eq!(generation.text, "1 messages");
/// assert_eq!(shown, generation.text);
/// # Ok::<(), faq_core::generate::GenerateError>(())
/// ```
pub struct ScriptedModel {
    name: String,
    context: usize,
    script: Box<Script>,
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("name", &self.name)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl ScriptedModel {
    /// A model that answers a conversation with what `script` makes of it. It is called
    /// `scripted` and has a context of 4096 tokens.
    pub fn new(script: impl Fn(&[Message]) -> String + Send + Sync + 'static) -> Self {
        Self {
            name: "scripted".into(),
            context: 4096,
            script: Box::new(script),
        }
    }

    /// The same with another context, in tokens.
    pub fn with_context(mut self, tokens: usize) -> Self {
        self.context = tokens;
        self
    }

    /// The same under another name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

/// Cuts a text into its tokens.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let begun = rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(rest.len());
        let end = rest[begun..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |at| begun + at);
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

impl Generator for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn context_tokens(&self) -> usize {
        self.context
    }

    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError> {
        Ok(words(text).count())
    }

    fn generate(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        let started = Instant::now();
        control.check()?;
        options.check()?;
        let prompt_tokens = messages.iter().map(|m| words(&m.content).count()).sum();
        if prompt_tokens >= self.context {
            return Err(GenerateError::PromptTooLong {
                tokens: prompt_tokens,
                context: self.context,
            });
        }
        let most = options.max_tokens.min(self.context - prompt_tokens);
        let answer = (self.script)(messages);
        let first_token_ms = started.elapsed().as_millis() as u64;
        let mut stream = TextStream::new(&options.stop, sink);
        let mut completion_tokens = 0;
        let mut stop = StopReason::End;
        for word in words(&answer) {
            control.check()?;
            if completion_tokens == most {
                stop = StopReason::Length;
                break;
            }
            completion_tokens += 1;
            let flow = stream.push(word.as_bytes());
            if flow != Flow::Open {
                return Ok(Generation {
                    text: stream.into_text(),
                    prompt_tokens,
                    completion_tokens,
                    first_token_ms,
                    stop: flow.reason(),
                });
            }
        }
        let (text, flow) = stream.finish();
        Ok(Generation {
            text,
            prompt_tokens,
            completion_tokens,
            first_token_ms,
            stop: if flow == Flow::Open {
                stop
            } else {
                flow.reason()
            },
        })
    }
}
