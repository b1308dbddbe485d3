//! A language model from a GGUF file, computed in this process.
//!
//! The work is done on the caller's thread and the model's pool. One conversation is computed at
//! a time; other callers wait, and their cancel tokens and deadlines count while they do.
//!
//! # Invariant
//! An answer depends on the messages and the options alone, to the last bit, never on what
//! the model was asked before; the decoder's own invariant carries it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::attention::{Attention, Snapshot};
use super::decoder::{Decoder, Room, Sequence, Wanted};
use super::gguf::{Fault, Gguf};
use super::sampler::Sampler;
use super::slot::Slot;
use super::stream::{Flow, TextStream};
use super::template::{ChatTemplate, Part};
use super::tokenizer::{ModelTokenizer, Stretch};
use super::{GenerateError, GenerateOptions, Generation, Generator, Message, StopReason};
use crate::{Control, Interrupted};

/// Tokens of a prompt that are read at once: enough that opening the weights costs little, few
/// enough that what is between two layers stays in a cache. Interruptions are noticed within.
const CHUNK: usize = 256;

/// Beginnings of prompts that are kept. An engine asks in two or three ways (answers,
/// follow-ups).
const PREFIXES: usize = 4;

/// How to open a [`LocalModel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// Most tokens of context, where the model itself holds more; the memory for them is taken
    /// as they come. Default 8192.
    pub context_tokens: usize,
    /// Name to show with answers instead of the one in the file.
    pub name: Option<String>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            context_tokens: 8192,
            name: None,
        }
    }
}

/// A model from a GGUF file: Llama or Qwen2 architecture, byte-level BPE tokenizer, with its
/// own chat template.
///
/// Contents of messages are always plain text to it: `<|im_end|>` in a document is six
/// characters and some letters, not the end of a turn.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use faq_core::Control;
/// use faq_core::generate::{GenerateOptions, Generator, LocalModel, Message, Role};
///
/// let model = LocalModel::open("SmolLM2-135M-Instruct.Q4_1.gguf")?;
/// model.generate(
///     &[Message::new(Role::User, "What is the capital of France?")],
///     &GenerateOptions::default(),
///     &Control::new(),
///     &mut |piece| {
///         print!("{piece}");
///         ControlFlow::Continue(())
///     },
/// )?;
/// # Ok::<(), faq_core::generate::GenerateError>(())
/// ```
pub struct LocalModel {
    name: String,
    path: PathBuf,
    context: usize,
    tokenizer: ModelTokenizer,
    template: ChatTemplate,
    decoder: Decoder,
    memory: Slot<Memory>,
}

/// What changes while the model works.
struct Memory {
    attention: Attention,
    room: Room,
    /// Most recently used last.
    prefixes: Vec<Prefix>,
}

/// The beginning of prompts, read once.
struct Prefix {
    tokens: Vec<u32>,
    snapshot: Snapshot,
}

/// A conversation in tokens.
struct Prompt {
    tokens: Vec<u32>,
    /// Number of leading tokens that come again in the next call.
    fixed: usize,
}

impl std::fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalModel")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl LocalModel {
    /// Loads the model at `path` with default options.
    ///
    /// # Errors
    /// As [`LocalModel::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GenerateError> {
        Self::open_with(path, &LocalOptions::default())
    }

    /// Loads the model at `path`.
    ///
    /// # Errors
    /// [`GenerateError::Io`], [`GenerateError::Damaged`] for a file that is no GGUF or is cut
    /// off, [`GenerateError::Unsupported`] for an architecture, tokenizer or template that is
    /// not known.
    pub fn open_with(
        path: impl AsRef<Path>,
        options: &LocalOptions,
    ) -> Result<Self, GenerateError> {
        let path = path.as_ref();
        let started = Instant::now();
        let mut gguf = Gguf::open(path)?;
        let model = Self::load(&mut gguf, options).map_err(|fault| fault.at(path))?;
        tracing::debug!(
            model = model.name,
            path = %path.display(),
            ms = started.elapsed().as_millis() as u64,
            "model loaded"
        );
        Ok(model)
    }

    fn load(gguf: &mut Gguf, options: &LocalOptions) -> Result<Self, Fault> {
        let tokenizer = ModelTokenizer::from_gguf(gguf)?;
        let source = gguf.text("tokenizer.chat_template")?.ok_or_else(|| {
            Fault::Unsupported(
                "it has no chat template, so it is a base model; take its Instruct variant".into(),
            )
        })?;
        let template = ChatTemplate::new(source, tokenizer.begin_name(), tokenizer.end_name())?;
        let path = gguf.path().to_owned();
        let name = options
            .name
            .clone()
            .or(gguf.text("general.name")?.map(str::to_owned))
            .or_else(|| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        let decoder = Decoder::load(gguf, tokenizer.len())?;
        Ok(Self {
            name,
            path,
            context: decoder.context().min(options.context_tokens),
            tokenizer,
            template,
            memory: Slot::new(Memory {
                attention: decoder.attention(),
                room: Room::default(),
                prefixes: Vec::new(),
            }),
            decoder,
        })
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens of a text, as the model reads it within a message: never a control token.
    ///
    /// # Errors
    /// [`GenerateError::Tokenizer`].
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        let mut tokens = Vec::new();
        self.tokenizer.encode(text, &mut tokens)?;
        Ok(tokens)
    }

    /// The tokens that the model would read for a conversation, the frame of its chat template
    /// included.
    ///
    /// # Errors
    /// [`GenerateError::Template`], [`GenerateError::Tokenizer`], and
    /// [`GenerateError::PromptTooLong`].
    pub fn prompt_tokens(&self, messages: &[Message]) -> Result<Vec<u32>, GenerateError> {
        Ok(self.prompt(messages, 0)?.tokens)
    }

    fn prompt(&self, messages: &[Message], fixed: usize) -> Result<Prompt, GenerateError> {
        let bytes = messages.iter().map(|m| m.content.len()).sum();
        let least = self.tokenizer.least_tokens(bytes);
        if least >= self.context {
            return Err(GenerateError::PromptTooLong {
                tokens: least,
                context: self.context,
            });
        }
        let fixed = fixed.min(messages.len().saturating_sub(1));
        let mut tokens: Vec<u32> = self.tokenizer.leading().into_iter().collect();
        let mut fixed_tokens = None;
        // Text of the frame and of contents between two control tokens is encoded as one, as
        // it would be if the prompt were one text.
        let mut run = String::new();
        for part in self.template.render(messages, SystemTime::now())? {
            match part {
                Part::Frame(frame) => {
                    for stretch in self.tokenizer.split_controls(&frame) {
                        match stretch {
                            Stretch::Text(text) => run.push_str(text),
                            Stretch::Control(id) => {
                                self.tokenizer.encode(&run, &mut tokens)?;
                                run.clear();
                                // A template may write the leading token itself.
                                if tokens != [id] || self.tokenizer.leading() != Some(id) {
                                    tokens.push(id);
                                }
                            }
                        }
                    }
                }
                Part::Content(number, content) => {
                    if number >= fixed {
                        fixed_tokens.get_or_insert(tokens.len());
                    }
                    run.push_str(content);
                }
            }
        }
        self.tokenizer.encode(&run, &mut tokens)?;
        if tokens.is_empty() {
            return Err(GenerateError::Template("it makes an empty prompt".into()));
        }
        if tokens.len() >= self.context {
            return Err(GenerateError::PromptTooLong {
                tokens: tokens.len(),
                context: self.context,
            });
        }
        let fixed = match fixed_tokens {
            Some(end) if fixed > 0 => end.min(tokens.len() - 1),
            _ => 0,
        };
        Ok(Prompt { tokens, fixed })
    }

    /// Reads the prompt, and gives the scores of the token after it.
    fn read_prompt<'m>(
        &self,
        memory: &'m mut Memory,
        prompt: &Prompt,
        control: &Control,
    ) -> Result<&'m [f32], GenerateError> {
        let (fixed, rest) = prompt.tokens.split_at(prompt.fixed);
        memory.recall(fixed);
        let seen = memory.attention.len();
        for chunk in fixed[seen..].chunks(CHUNK) {
            self.read(memory, chunk, Wanted::None, control)?;
        }
        if seen < fixed.len() {
            memory.keep(fixed);
        }
        let (all, last) = rest.split_at((rest.len() - 1) / CHUNK * CHUNK);
        for chunk in all.chunks(CHUNK) {
            self.read(memory, chunk, Wanted::None, control)?;
        }
        Ok(self.read(memory, last, Wanted::Last, control)?)
    }

    fn read<'m>(
        &self,
        memory: &'m mut Memory,
        tokens: &[u32],
        scores: Wanted,
        control: &Control,
    ) -> Result<&'m [f32], Interrupted> {
        let sequence = Sequence {
            tokens,
            attention: &mut memory.attention,
            scores,
        };
        self.decoder
            .read(&mut memory.room, &mut [sequence], control)
    }
}

impl Memory {
    /// Puts the attention where it was after as much of `fixed` as is kept.
    fn recall(&mut self, fixed: &[u32]) {
        let common = |prefix: &Prefix| {
            let pairs = prefix.tokens.iter().zip(fixed);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = (0..self.prefixes.len())
            .map(|at| (common(&self.prefixes[at]), at))
            .max();
        self.attention.cut(0);
        if let Some((tokens, at)) = best.filter(|(tokens, _)| *tokens > 0) {
            let prefix = self.prefixes.remove(at);
            self.attention.restore(&prefix.snapshot, tokens);
            self.prefixes.push(prefix);
        }
    }

    /// Remembers the attention as it is after `fixed`.
    fn keep(&mut self, fixed: &[u32]) {
        if self.prefixes.len() == PREFIXES {
            self.prefixes.remove(0);
        }
        self.prefixes.push(Prefix {
            tokens: fixed.to_vec(),
            snapshot: self.attention.snapshot(),
        });
    }
}

impl Generator for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn context_tokens(&self) -> usize {
        self.context
    }

    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError> {
        Ok(self.tokens(text)?.len())
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
        let prompt = self.prompt(messages, options.fixed_messages)?;
        let most = options.max_tokens.min(self.context - prompt.tokens.len());
        let mut generation = Generation {
            text: String::new(),
            prompt_tokens: prompt.tokens.len(),
            completion_tokens: 0,
            first_token_ms: 0,
            stop: StopReason::Length,
        };
        if most == 0 {
            return Ok(generation);
        }
        let mut memory = self.memory.take(control)?;
        let mut scores = self.read_prompt(&mut memory, &prompt, control)?;
        let mut sampler = Sampler::new(options);
        let mut stream = TextStream::new(&options.stop, sink);
        loop {
            let token = sampler
                .choose(scores)
                .ok_or_else(|| GenerateError::Model("its scores are no numbers".into()))?;
            if generation.completion_tokens == 0 {
                generation.first_token_ms = started.elapsed().as_millis() as u64;
            }
            if self.tokenizer.ends_turn(token) {
                generation.stop = StopReason::End;
                break;
            }
            generation.completion_tokens += 1;
            let flow = stream.push(self.tokenizer.token_bytes(token));
            if flow != Flow::Open {
                generation.stop = flow.reason();
                generation.text = stream.into_text();
                return Ok(generation);
            }
            if generation.completion_tokens == most {
                break;
            }
            control.check()?;
            scores = self.read(&mut memory, &[token], Wanted::Last, control)?;
        }
        let (text, flow) = stream.finish();
        generation.text = text;
        if flow != Flow::Open {
            generation.stop = flow.reason();
        }
        Ok(generation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::LocalModel;
    use crate::Control;
    use crate::generate::tests::{SMOLLM2, model_file};
    use crate::generate::{Message, Role};

    #[test]
    fn what_is_fixed_is_read_once() {
        let model = LocalModel::open(model_file(SMOLLM2).unwrap()).unwrap();
        let control = Control::new();
        let prompt = |system: &str, question: &str| {
            let messages = [
                Message::new(Role::System, system),
                Message::new(Role::User, question),
            ];
            model.prompt(&messages, 1).unwrap()
        };
        let rules = "Answer in one word. ".repeat(20);
        let (one, two) = (
            prompt(&rules, "Is water wet?"),
            prompt(&rules, "Is ice cold?"),
        );
        assert_eq!(one.tokens[..one.fixed], two.tokens[..two.fixed]);
        assert!(one.fixed > 50 && one.fixed < one.tokens.len());

        let mut memory = model.memory.take(&control).unwrap();
        let fresh = model
            .read_prompt(&mut memory, &one, &control)
            .unwrap()
            .to_vec();
        memory.recall(&two.tokens[..two.fixed]);
        assert_eq!(memory.attention.len(), two.fixed);
        assert_eq!(
            model.read_prompt(&mut memory, &one, &control).unwrap(),
            fresh
        );
        assert_eq!(
            (memory.prefixes.len(), memory.attention.len()),
            (1, one.tokens.len())
        );

        // Of a beginning that is the same for a while, as much as is the same.
        let other = prompt(&format!("{rules}Or in two."), "Is water wet?");
        memory.recall(&other.tokens[..other.fixed]);
        let pairs = one.tokens.iter().zip(&other.tokens);
        let same = pairs.take_while(|(a, b)| a == b).count();
        assert!(same > 50 && same < one.fixed);
        assert_eq!(memory.attention.len(), same);
    }
}
