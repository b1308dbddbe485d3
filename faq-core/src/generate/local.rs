//! A language model from a GGUF file, computed in this process.
//!
//! The work is done on the callers' threads and the model's pool. Some conversations are computed
//! together ([`super::batch`]); further callers wait, and their cancel tokens and deadlines count
//! while they do.
//!
//! # Invariant
//! An answer depends on the messages and the options alone, to the last bit, never on what
//! the model was asked before; the decoder's own invariant carries it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::attention::{Attention, Snapshot};
use super::batch::{Batch, Failure, Member, Step};
use super::decoder::{Decoder, State, Wanted};
use super::gguf::{Fault, Gguf};
use super::grammar::Holder;
use super::kept::{self, Kept};
use super::sampler::Sampler;
use super::slot::{Slot, Taken};
use super::stream::{Flow, TextStream};
use super::template::{ChatTemplate, Part};
use super::tokenizer::{ModelTokenizer, Stretch};
use super::{GenerateError, GenerateOptions, Generation, Generator, Look, Message, StopReason};
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
    /// Most conversations that are computed at a time; each has a context of its own. Default 4.
    pub conversations: usize,
    /// Folder in which the model's state after the fixed beginning of prompts is kept between
    /// processes; it is made where its parent is there, bounded (16 files, 512 MB), and may be deleted
    /// at any time. Default none.
    ///
    /// What is kept are numbers from which [`GenerateOptions::fixed_messages`] could be guessed.
    pub prompts: Option<PathBuf>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            context_tokens: 8192,
            name: None,
            conversations: 4,
            prompts: None,
        }
    }
}

/// A model from a GGUF file: of the Llama, Qwen2, Qwen3, Gemma 2, Gemma 3 or Phi-3 architecture, with
/// its own tokenizer (byte-level BPE or SentencePiece) and chat template.
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
    /// [`Generator::lineage`].
    lineage: String,
    path: PathBuf,
    context: usize,
    tokenizer: ModelTokenizer,
    template: ChatTemplate,
    decoder: Decoder,
    batch: Batch,
    /// What the conversations of the past left behind: room to remember in.
    seats: Slot<Option<Attention>>,
    prefixes: Mutex<Prefixes>,
    kept: Option<Kept>,
    holder: Holder,
}

/// Beginnings of prompts, most recently used last.
#[derive(Default)]
struct Prefixes(Vec<Prefix>);

/// A conversation while the model computes it.
struct Conversation<'a> {
    model: &'a LocalModel,
    member: Member<'a>,
    seat: Taken<'a, Option<Attention>>,
    control: &'a Control,
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
        let gguf = Gguf::open(path)?;
        let model = Self::load(&gguf, options).map_err(|fault| fault.at(path))?;
        tracing::debug!(
            model = model.name,
            path = %path.display(),
            ms = started.elapsed().as_millis() as u64,
            "model loaded"
        );
        Ok(model)
    }

    fn load(gguf: &Gguf, options: &LocalOptions) -> Result<Self, Fault> {
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
        let kept = match &options.prompts {
            Some(dir) => Some(Kept::new(
                dir,
                gguf.path(),
                &decoder.computed(),
                decoder.sizes(),
            )?),
            None => None,
        };
        let norm = decoder.last_norm().iter();
        let norm: Vec<u8> = norm.flat_map(|weight| weight.to_le_bytes()).collect();
        Ok(Self {
            name,
            lineage: crate::hex(&Sha256::digest(norm)[..8]),
            path,
            context: decoder.context().min(options.context_tokens),
            tokenizer,
            template,
            batch: Batch::new(),
            seats: Slot::new((0..options.conversations.max(1)).map(|_| None).collect()),
            prefixes: Mutex::default(),
            kept,
            holder: Holder::default(),
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
        let (messages, fixed) = self.template.accepted(messages, fixed);
        let fixed = fixed.min(messages.len().saturating_sub(1));
        let mut tokens: Vec<u32> = self.tokenizer.leading().into_iter().collect();
        let mut fixed_tokens = None;
        // Text of the frame and of contents between two control tokens is encoded as one, as
        // it would be if the prompt were one text.
        let mut run = String::new();
        for part in self.template.render(&messages, SystemTime::now())? {
            match part {
                Part::Frame(frame) => {
                    for stretch in self.tokenizer.split_controls(&frame) {
                        match stretch {
                            Stretch::Text(text) => run.push_str(text),
                            Stretch::Control(id) => {
                                self.tokenizer.encode_behind(&run, &mut tokens)?;
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
        self.tokenizer.encode_behind(&run, &mut tokens)?;
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

    fn converse<'a>(&'a self, control: &'a Control) -> Result<Conversation<'a>, Interrupted> {
        Ok(Conversation {
            model: self,
            seat: self.seats.take(control)?,
            member: self.batch.join(),
            control,
        })
    }

    /// Nothing that can panic runs under the lock, so a poisoned one holds a good value.
    fn prefixes(&self) -> MutexGuard<'_, Prefixes> {
        self.prefixes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversation<'_> {
    /// Reads the prompt, and gives the scores of the token after it. What its last token becomes on the
    /// way goes into `state`.
    fn read_prompt(
        &mut self,
        prompt: &Prompt,
        state: &mut Option<State>,
    ) -> Result<Vec<f32>, GenerateError> {
        let (fixed, rest) = prompt.tokens.split_at(prompt.fixed);
        if fixed.is_empty() {
            self.attention().cut(0);
        } else {
            self.read_fixed(fixed)?;
        }
        let (all, last) = rest.split_at((rest.len() - 1) / CHUNK * CHUNK);
        for chunk in all.chunks(CHUNK) {
            self.read(chunk, Wanted::None, &mut None)?;
        }
        self.read(last, Wanted::Last, state)
    }

    /// Brings the attention to where it is after the fixed tokens: from what this process
    /// remembers, from what an earlier one kept, or by reading.
    fn read_fixed(&mut self, fixed: &[u32]) -> Result<(), GenerateError> {
        let model = self.model;
        let recalled = |model: &LocalModel, attention: &mut Attention| {
            model.prefixes().recall(fixed, attention);
            attention.len()
        };
        let mut seen = recalled(model, self.attention());
        if seen == fixed.len() {
            return Ok(());
        }
        if let Some(snapshot) = model.kept.as_ref().and_then(|kept| kept.load(fixed)) {
            model.prefixes().keep(Prefix {
                tokens: fixed.to_vec(),
                snapshot,
            });
            seen = recalled(model, self.attention());
        }
        if seen == fixed.len() {
            return Ok(());
        }
        for chunk in fixed[seen..].chunks(CHUNK) {
            self.read(chunk, Wanted::None, &mut None)?;
        }
        let snapshot = self.attention().snapshot();
        if let Some(kept) = &model.kept {
            kept.store(fixed, &snapshot);
        }
        model.prefixes().keep(Prefix {
            tokens: fixed.to_vec(),
            snapshot,
        });
        Ok(())
    }

    /// Reads tokens after those that were read.
    fn read(
        &mut self,
        tokens: &[u32],
        scores: Wanted,
        state: &mut Option<State>,
    ) -> Result<Vec<f32>, GenerateError> {
        let model = self.model;
        let attention = self.seat.take();
        let step = Step {
            tokens: tokens.to_vec(),
            attention: attention.unwrap_or_else(|| model.decoder.attention()),
            scores,
            state: state.take(),
        };
        match self.member.take(&model.decoder, step, self.control) {
            Ok(taken) => {
                *self.seat = Some(taken.attention);
                *state = taken.state;
                Ok(taken.scores)
            }
            Err(Failure::Interrupted(e)) => Err(e.into()),
            Err(Failure::Lost) => Err(GenerateError::Model("its computation failed".into())),
        }
    }

    fn attention(&mut self) -> &mut Attention {
        let decoder = &self.model.decoder;
        self.seat.get_or_insert_with(|| decoder.attention())
    }
}

impl Prefixes {
    /// Puts the attention where it was after as much of `fixed` as is kept.
    fn recall(&mut self, fixed: &[u32], attention: &mut Attention) {
        let common = |prefix: &Prefix| {
            let pairs = prefix.tokens.iter().zip(fixed);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = (0..self.0.len()).map(|at| (common(&self.0[at]), at)).max();
        attention.cut(0);
        if let Some((tokens, at)) = best.filter(|(tokens, _)| *tokens > 0) {
            let prefix = self.0.remove(at);
            attention.restore(&prefix.snapshot, tokens);
            self.0.push(prefix);
        }
    }

    fn keep(&mut self, prefix: Prefix) {
        self.0.retain(|other| other.tokens != prefix.tokens);
        if self.0.len() == PREFIXES {
            self.0.remove(0);
        }
        self.0.push(prefix);
    }
}

impl Generator for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    /// The name, and a digest of the model's file and of this program's version.
    fn fingerprint(&self) -> String {
        match kept::fingerprint(&self.path, "") {
            Ok(digest) => format!("{} {}", self.name, crate::hex(&digest[..16])),
            Err(_) => self.name.clone(),
        }
    }

    fn lineage(&self) -> Option<String> {
        Some(self.lineage.clone())
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
        self.write(messages, options, control, None, sink)
    }

    fn generate_with_look(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        look: Look<'_>,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        if !(1..=self.decoder.layers()).contains(&look.layers) {
            return Err(GenerateError::InvalidOption {
                field: "layers",
                value: look.layers.to_string(),
                wanted: "a layer of the model, from 1",
            });
        }
        self.write(messages, options, control, Some(look), sink)
    }
}

impl LocalModel {
    fn write(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        look: Option<Look<'_>>,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        let started = Instant::now();
        control.check()?;
        options.check()?;
        let prompt = self.prompt(messages, options.fixed_messages)?;
        let mut held = match &options.grammar {
            Some(grammar) => Some(self.holder.hold(grammar, &self.tokenizer)?),
            None => None,
        };
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
        let mut conversation = self.converse(control)?;
        let mut state = look.as_ref().map(|look| State {
            layers: look.layers,
            values: Vec::new(),
        });
        let mut scores = conversation.read_prompt(&prompt, &mut state)?;
        if let (Some(look), Some(state)) = (look, state)
            && (look.see)(&state.values).is_break()
        {
            generation.stop = StopReason::Sink;
            return Ok(generation);
        }
        let mut sampler = Sampler::new(options);
        let mut stream = TextStream::new(&options.stop, sink);
        loop {
            if let Some(held) = &mut held {
                held.allow(&mut scores)?;
            }
            let token = sampler
                .choose(&mut scores)
                .ok_or_else(|| GenerateError::Model("its scores are no numbers".into()))?;
            if generation.completion_tokens == 0 {
                generation.first_token_ms = started.elapsed().as_millis() as u64;
            }
            if self.tokenizer.ends_turn(token) {
                generation.stop = StopReason::End;
                break;
            }
            generation.completion_tokens += 1;
            let mut bytes = self.tokenizer.token_bytes(token);
            // A grammar means the text as it is, first blank or none.
            let leads = held.is_none() && self.tokenizer.leads_with_space();
            if generation.completion_tokens == 1 && leads {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
            let flow = stream.push(bytes);
            if flow != Flow::Open {
                generation.stop = flow.reason();
                generation.text = stream.into_text();
                return Ok(generation);
            }
            if let Some(held) = &mut held
                && held.take(token)?
            {
                generation.stop = StopReason::End;
                break;
            }
            if generation.completion_tokens == most {
                break;
            }
            control.check()?;
            scores = conversation.read(&[token], Wanted::Last, &mut None)?;
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

        let mut conversation = model.converse(&control).unwrap();
        let fresh = conversation.read_prompt(&one, &mut None).unwrap();
        let recall = |fixed: &[u32]| {
            let mut attention = model.decoder.attention();
            model.prefixes().recall(fixed, &mut attention);
            attention.len()
        };
        assert_eq!(recall(&two.tokens[..two.fixed]), two.fixed);
        assert_eq!(conversation.read_prompt(&one, &mut None).unwrap(), fresh);
        assert_eq!(conversation.attention().len(), one.tokens.len());
        assert_eq!(model.prefixes().0.len(), 1);

        // Of a beginning that is the same for a while, as much as is the same.
        let other = prompt(&format!("{rules}Or in two."), "Is water wet?");
        let pairs = one.tokens.iter().zip(&other.tokens);
        let same = pairs.take_while(|(a, b)| a == b).count();
        assert!(same > 50 && same < one.fixed);
        assert_eq!(recall(&other.tokens[..other.fixed]), same);
    }
}
